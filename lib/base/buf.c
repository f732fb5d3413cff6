#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
dr_buf_room(struct dr_buf *b, size_t n, struct dr_err *err)
{
	size_t need, cap;
	char *p;

	if (b->len > b->max || n > b->max - b->len || n >= SIZE_MAX - b->len)
		return dr_err_set(err, DR_EFAIL,
		    "more than %zu bytes where that is the most allowed",
		    b->max);
	need = b->len + n + 1;
	if (need <= b->cap)
		return 0;
	cap = b->cap < 128 ? 128 : b->cap;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (cap - 1 > b->max)
		cap = b->max + 1;
	if ((p = realloc(b->data, cap)) == NULL)
		return dr_err_sys(err, "cannot allocate %zu bytes", cap);
	b->data = p;
	b->cap = cap;
	b->data[b->len] = '\0';
	return 0;
}

int
dr_buf_add(struct dr_buf *b, const void *p, size_t n, struct dr_err *err)
{
	if (dr_buf_room(b, n, err) == -1)
		return -1;
	if (n > 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int
dr_buf_str(struct dr_buf *b, const char *s, struct dr_err *err)
{
	return dr_buf_add(b, s, strlen(s), err);
}

int
dr_buf_fmt(struct dr_buf *b, struct dr_err *err, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return dr_err_sys(err, "cannot format a string");
	if (dr_buf_room(b, (size_t)n, err) == -1)
		return -1;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void
dr_buf_free(struct dr_buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

int
dr_strs_add(struct dr_strs *l, const char *s, struct dr_err *err)
{
	const char **v;

	/* Room doubles at each power of two. */
	if ((l->n & (l->n - 1)) == 0) {
		v = reallocarray(l->v, l->n == 0 ? 4 : l->n * 2, sizeof(*v));
		if (v == NULL)
			return dr_err_sys(err, "cannot allocate a list");
		l->v = v;
	}
	l->v[l->n++] = s;
	return 0;
}

void
dr_strs_free(struct dr_strs *l)
{
	free(l->v);
	l->v = NULL;
	l->n = 0;
}

char *
dr_fmt(struct dr_err *err, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n == -1) {
		dr_err_sys(err, "cannot allocate a string");
		return NULL;
	}
	return s;
}
