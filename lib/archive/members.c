#include "archive/members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/tarhead.h"
#include "base/hash.h"
#include "base/num.h"

#define PATH_MAX_LEN 65536U
#define HEAD_MAX     64U /* TYPE SIZE OFFSET CRC and blanks */

struct dr_indexer {
	struct dr_tarwalk *walk;
	int (*emit)(void *, const void *, size_t, struct dr_err *);
	void *arg;
	bool quiet; /* it is no tar */
	bool seen;  /* a member was met: it is a tar */
	uint32_t crc;
	struct dr_member m; /* without its borrowed strings */
	struct dr_buf path;
};

static int
on_member(void *arg, const struct dr_member *m, struct dr_err *err)
{
	struct dr_indexer *x = arg;

	x->seen = true;
	x->crc = 0;
	x->m = *m;
	x->path.len = 0;
	return dr_buf_str(&x->path, m->path, err);
}

static int
on_data(void *arg, const void *buf, size_t len, struct dr_err *err)
{
	struct dr_indexer *x = arg;

	(void)err;
	x->crc = dr_crc32c(x->crc, buf, len);
	return 0;
}

static int
on_end(void *arg, struct dr_err *err)
{
	struct dr_indexer *x = arg;
	char head[HEAD_MAX];
	int n;

	n = snprintf(head, sizeof(head), "%c %llu %llu %08x ", x->m.type,
	    (unsigned long long)x->m.size, (unsigned long long)x->m.offset,
	    x->crc);
	if (x->emit(x->arg, head, (size_t)n, err) == -1)
		return -1;
	/* With the NUL that follows a buffer's bytes. */
	return x->emit(x->arg, x->path.len > 0 ? x->path.data : "",
	    x->path.len + 1, err);
}

static const struct dr_tarwalk_ops indexer_ops = {
	.member = on_member,
	.data = on_data,
	.end = on_end,
};

struct dr_indexer *
dr_indexer_new(int (*emit)(void *, const void *, size_t, struct dr_err *),
    void *arg, struct dr_err *err)
{
	struct dr_indexer *x;

	if ((x = calloc(1, sizeof(*x))) == NULL) {
		dr_err_sys(err, "cannot allocate an indexer");
		return NULL;
	}
	if ((x->walk = dr_tarwalk_new(&indexer_ops, x, err)) == NULL) {
		free(x);
		return NULL;
	}
	x->path.max = PATH_MAX_LEN + 1;
	x->emit = emit;
	x->arg = arg;
	return x;
}

void
dr_indexer_free(struct dr_indexer *x)
{
	if (x == NULL)
		return;
	dr_tarwalk_free(x->walk);
	dr_buf_free(&x->path);
	free(x);
}

/* A failure before the first member only means that this is no tar. */
static int
judge(struct dr_indexer *x, const struct dr_err *why, struct dr_err *err)
{
	if (!x->seen && why->cause == DR_EDATA) {
		x->quiet = true;
		return 0;
	}
	dr_err_set(err, why->cause, "%s", why->msg);
	if (why->hint[0] != '\0')
		dr_err_hint(err, "%s", why->hint);
	return -1;
}

int
dr_indexer_add(struct dr_indexer *x, const void *buf, size_t len,
    struct dr_err *err)
{
	struct dr_err why = { 0 };

	if (x->quiet || dr_tarwalk_add(x->walk, buf, len, &why) == 0)
		return 0;
	return judge(x, &why, err);
}

int
dr_indexer_end(struct dr_indexer *x, bool *whole, struct dr_err *err)
{
	struct dr_err why = { 0 };

	*whole = !x->quiet && dr_tarwalk_end(x->walk, &why) == 0;
	return *whole || x->quiet ? 0 : judge(x, &why, err);
}

bool
dr_indexer_no_tar(const struct dr_indexer *x)
{
	return x->quiet;
}

struct dr_records {
	struct dr_source *in; /* borrowed */
	uint64_t n;           /* records given out */
	uint64_t least;       /* the next one's offset is at least that */
	size_t at, have;      /* in buf */
	bool ended;
	char buf[2 * (PATH_MAX_LEN + HEAD_MAX)];
};

struct dr_records *
dr_records_new(struct dr_source *in, struct dr_err *err)
{
	struct dr_records *r;

	if ((r = malloc(sizeof(*r))) == NULL) {
		dr_err_sys(err, "cannot allocate a reader of the member index");
		return NULL;
	}
	r->in = in;
	r->n = r->least = 0;
	r->at = r->have = 0;
	r->ended = false;
	return r;
}

void
dr_records_free(struct dr_records *r)
{
	free(r);
}

static int
malformed(const struct dr_records *r, const char *what, struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA,
	    "the member index is damaged: record %llu %s",
	    (unsigned long long)r->n, what);
}

/* More input behind what is left of the former. */
static int
refill(struct dr_records *r, struct dr_err *err)
{
	ssize_t n;

	memmove(r->buf, r->buf + r->at, r->have - r->at);
	r->have -= r->at;
	r->at = 0;
	if (r->have == sizeof(r->buf))
		return malformed(r, "is too long", err);
	n = dr_source_read(r->in, r->buf + r->have, sizeof(r->buf) - r->have,
	    err);
	if (n == -1)
		return -1;
	r->have += (size_t)n;
	r->ended = n == 0;
	return 0;
}

/* A decimal number as printf makes it, and the blank after it. */
static bool
decimal(const char **p, uint64_t *out)
{
	size_t n = strspn(*p, "0123456789");

	if ((*p)[n] != ' ' || (n > 1 && **p == '0') ||
	    !dr_tar_decimal(*p, n, out))
		return false;
	*p += n + 1;
	return true;
}

static bool
parse(const char *p, struct dr_record *rec)
{
	unsigned char crc[4];
	char hex[9];

	if (p[0] < '!' || p[0] > '~' || p[1] != ' ')
		return false;
	rec->type = p[0];
	p += 2;
	if (!decimal(&p, &rec->size) || !decimal(&p, &rec->offset))
		return false;
	if (strcspn(p, " ") != 8 || p[8] != ' ')
		return false;
	memcpy(hex, p, 8);
	hex[8] = '\0';
	if (!dr_unhex(hex, sizeof(crc), crc))
		return false;
	rec->crc = (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 |
	           (uint32_t)crc[2] << 8 | crc[3];
	rec->path = p + 9;
	return true;
}

int
dr_records_next(struct dr_records *r, struct dr_record *rec, struct dr_err *err)
{
	const char *end, *line;

	while ((end = memchr(r->buf + r->at, '\0', r->have - r->at)) == NULL) {
		if (r->ended && r->at == r->have)
			return 0;
		if (r->ended)
			return malformed(r, "is cut short", err);
		if (refill(r, err) == -1)
			return -1;
	}
	line = r->buf + r->at;
	if (!parse(line, rec))
		return malformed(r, "is malformed", err);
	if (end - rec->path > PATH_MAX_LEN)
		return malformed(r, "has too long a path", err);
	if (rec->offset % DR_TAR_BLOCK != 0 || rec->offset < r->least)
		return malformed(r, "is out of order", err);
	if (rec->size > INT64_MAX / 2 || rec->offset > INT64_MAX / 2)
		return malformed(r, "is out of bounds", err);
	r->least =
	    rec->offset + DR_TAR_BLOCK + rec->size + dr_tar_pad(rec->size);
	r->at += (size_t)(end - line) + 1;
	r->n++;
	return 1;
}
