#include "stream/source.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

ssize_t
dr_source_read(struct dr_source *s, void *buf, size_t len, struct dr_err *err)
{
	ssize_t n;

	assert(s->state != DR_SOURCE_FAILED && len > 0);
	if (s->state == DR_SOURCE_END)
		return 0;
	n = s->ops->read(s, buf, len, err);
	assert(n <= (ssize_t)len);
	if (n == 0)
		s->state = DR_SOURCE_END;
	else if (n == -1)
		s->state = DR_SOURCE_FAILED;
	return n;
}

ssize_t
dr_source_fill(struct dr_source *s, void *buf, size_t len, struct dr_err *err)
{
	size_t have = 0;
	ssize_t n;

	while (have < len) {
		n = dr_source_read(s, (char *)buf + have, len - have, err);
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

int
dr_source_drain(struct dr_source *s, struct dr_err *err)
{
	const size_t size = 256U << 10;
	char *buf;
	ssize_t n;

	if ((buf = malloc(size)) == NULL)
		return dr_err_sys(err, "cannot allocate a buffer");
	while ((n = dr_source_read(s, buf, size, err)) > 0)
		;
	free(buf);
	return n == 0 ? 0 : -1;
}

void
dr_source_free(struct dr_source *s)
{
	struct dr_source *next;

	for (; s != NULL; s = next) {
		next = s->next;
		s->ops->free(s);
	}
}

/* --- a descriptor -------------------------------------------------------- */

struct fdsource {
	struct dr_source source;
	int fd;
	const char *name;
};

static ssize_t
fd_read(struct dr_source *source, void *buf, size_t len, struct dr_err *err)
{
	struct fdsource *f = (struct fdsource *)source;

	return dr_fd_read(f->fd, buf, len, f->name, err);
}

static void
fd_free(struct dr_source *source)
{
	struct fdsource *f = (struct fdsource *)source;

	if (f->fd > 0)
		close(f->fd);
	free(f);
}

static const struct dr_source_ops fd_ops = { fd_read, fd_free };

struct dr_source *
dr_source_fd(int fd, const char *name, struct dr_err *err)
{
	struct fdsource *f;

	if ((f = calloc(1, sizeof(*f))) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		return NULL;
	}
	f->source.ops = &fd_ops;
	f->fd = fd;
	f->name = name;
	return &f->source;
}

/* --- memory -------------------------------------------------------------- */

struct memsource {
	struct dr_source source;
	const char *at;
	size_t left, step;
};

static ssize_t
mem_read(struct dr_source *source, void *buf, size_t len, struct dr_err *err)
{
	struct memsource *m = (struct memsource *)source;
	size_t n = len < m->left ? len : m->left;

	(void)err;
	if (n > m->step)
		n = m->step;
	if (n > 0)
		memcpy(buf, m->at, n);
	m->at += n;
	m->left -= n;
	return (ssize_t)n;
}

static void
mem_free(struct dr_source *source)
{
	free(source);
}

static const struct dr_source_ops mem_ops = { mem_read, mem_free };

struct dr_source *
dr_source_mem(const void *data, size_t len, size_t step, struct dr_err *err)
{
	struct memsource *m;

	if ((m = calloc(1, sizeof(*m))) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		return NULL;
	}
	m->source.ops = &mem_ops;
	m->at = data;
	m->left = len;
	m->step = step == 0 ? SIZE_MAX : step;
	return &m->source;
}
