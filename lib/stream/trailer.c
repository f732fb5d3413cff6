#include "stream/trailer.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"

static const char mark[8] = { 'D', 'R', 'S', 'T', 'R', 'E', 'A', 'M' };

int
dr_trailer_encode(const struct dr_trailer *t, struct dr_buf *out,
    struct dr_err *err)
{
	const uint32_t j = t->manifest_len;
	unsigned char *p;

	if (j > DR_MANIFEST_MAX)
		return dr_err_set(err, DR_EFAIL,
		    "the manifest is longer than 64 KiB");
	if (dr_buf_room(out, DR_TRAILER_FIXED + (size_t)j, err) == -1)
		return -1;
	p = (unsigned char *)out->data + out->len;
	dr_put32(p, DR_TRAILER_MAGIC);
	dr_put32(p + 4, 28 + j);
	memcpy(p + 8, t->manifest, j);
	dr_put64(p + 8 + j, t->body_len);
	dr_put32(p + 16 + j, t->body_crc);
	dr_put32(p + 20 + j, j);
	dr_put32(p + 24 + j, dr_crc32c(0, p, 24 + (size_t)j));
	memcpy(p + 28 + j, mark, sizeof(mark));
	out->len += DR_TRAILER_FIXED + (size_t)j;
	return 0;
}

size_t
dr_trailer_decode(const void *tail, size_t len, struct dr_trailer *t)
{
	const unsigned char *end = (const unsigned char *)tail + len, *p;
	uint32_t j;
	size_t size;

	if (len < DR_TRAILER_FIXED ||
	    memcmp(end - sizeof(mark), mark, sizeof(mark)) != 0)
		return 0;
	j = dr_get32(end - 16);
	if (j > DR_MANIFEST_MAX || DR_TRAILER_FIXED + (size_t)j > len)
		return 0;
	size = DR_TRAILER_FIXED + (size_t)j;
	p = end - size;
	if (dr_get32(p) != DR_TRAILER_MAGIC || dr_get32(p + 4) != 28 + j ||
	    dr_get32(end - 12) != dr_crc32c(0, p, 24 + (size_t)j))
		return 0;
	t->manifest = (const char *)p + 8;
	t->manifest_len = j;
	t->body_len = dr_get64(p + 8 + j);
	t->body_crc = dr_get32(p + 16 + j);
	return size;
}

/*
 * The reader.  It may give out a byte only when DR_TRAILER_MAX bytes follow
 * it (then it cannot be part of the trailer) or when the end has been seen
 * and judged.  The bytes held back lie in HOLD; a large read copies them to
 * the front of the caller's buffer, reads straight in behind them, and then
 * refills HOLD, so that only DR_TRAILER_MAX bytes a call are copied.
 */
struct endmark {
	struct dr_source source;
	const char *name;
	unsigned char *hold; /* 2 * DR_TRAILER_MAX */
	size_t at, held;     /* what is in hold: [at, at + held) */
	bool ended;          /* NEXT said 0, the trailer was found */
	bool judged;
	uint64_t given;
	uint32_t crc;
	struct dr_trailer trailer; /* its manifest lies in hold */
	char *manifest;
};

static int
truncated(struct endmark *e, struct dr_err *err)
{
	dr_err_set(err, DR_EDATA, "%s ends without its end mark", e->name);
	return dr_err_hint(err,
	    "the tool before this one failed or was killed; bytes of another "
	    "tool's making need --foreign");
}

/*
 * The input ended: KEPT bytes precede those in hold.  Find the trailer at the
 * end of both and set *BODY to the bytes before it.
 */
static int
judge(struct endmark *e, const unsigned char *kept, size_t nkept, size_t *body,
    struct dr_err *err)
{
	size_t total = nkept + e->held, tail, size;
	unsigned char *all = NULL;
	const unsigned char *p = e->hold + e->at;

	/* The tail in one piece: at most DR_TRAILER_MAX bytes of it. */
	tail = total < DR_TRAILER_MAX ? total : DR_TRAILER_MAX;
	if (tail > e->held) {
		size_t before = tail - e->held;

		if ((all = malloc(tail)) == NULL)
			return dr_err_sys(err, "cannot allocate a buffer");
		memcpy(all, kept + nkept - before, before);
		memcpy(all + before, p, e->held);
		p = all;
	} else
		p += e->held - tail;
	if ((size = dr_trailer_decode(p, tail, &e->trailer)) == 0) {
		free(all);
		return truncated(e, err);
	}
	if ((e->manifest = malloc((size_t)e->trailer.manifest_len + 1)) ==
	    NULL) {
		free(all);
		return dr_err_sys(err, "cannot allocate a manifest");
	}
	memcpy(e->manifest, e->trailer.manifest, e->trailer.manifest_len);
	e->manifest[e->trailer.manifest_len] = '\0';
	e->trailer.manifest = e->manifest;
	free(all);
	*body = total - size;
	e->ended = true;
	return 0;
}

/* Every byte is out: do count and CRC agree with the trailer? */
static int
settle(struct endmark *e, struct dr_err *err)
{
	if (e->given != e->trailer.body_len)
		return dr_err_set(err, DR_EDATA,
		    "%s is damaged: %llu bytes came before an end mark that "
		    "counts %llu",
		    e->name, (unsigned long long)e->given,
		    (unsigned long long)e->trailer.body_len);
	if (e->trailer.body_crc != 0 && e->crc != e->trailer.body_crc)
		return dr_err_set(err, DR_EDATA,
		    "%s is damaged: its CRC-32C is %08x, its end mark says "
		    "%08x",
		    e->name, e->crc, e->trailer.body_crc);
	e->judged = true;
	return 0;
}

static ssize_t
give(struct endmark *e, const void *buf, size_t len)
{
	e->given += len;
	e->crc = dr_crc32c(e->crc, buf, len);
	return (ssize_t)len;
}

static size_t
take(struct endmark *e, void *buf, size_t len)
{
	memcpy(buf, e->hold + e->at, len);
	e->at += len;
	e->held -= len;
	return len;
}

/* Read on into hold until it holds WANT bytes or NEXT ends. */
static int
refill(struct endmark *e, size_t want, bool *end, struct dr_err *err)
{
	ssize_t n;

	if (e->at > 0) {
		memmove(e->hold, e->hold + e->at, e->held);
		e->at = 0;
	}
	*end = false;
	if (e->held >= want)
		return 0;
	n = dr_source_fill(e->source.next, e->hold + e->held, want - e->held,
	    err);
	if (n == -1)
		return -1;
	*end = (size_t)n < want - e->held;
	e->held += (size_t)n;
	return 0;
}

/* The end is known: what is left of the body lies at the front of hold. */
static ssize_t
rest(struct endmark *e, void *buf, size_t len, struct dr_err *err)
{
	if (e->held == 0)
		return e->judged || settle(e, err) == 0 ? 0 : -1;
	return give(e, buf, take(e, buf, len < e->held ? len : e->held));
}

static ssize_t
endmark_read(struct dr_source *source, void *buf, size_t len,
    struct dr_err *err)
{
	struct endmark *e = (struct endmark *)source;
	size_t have, body;
	ssize_t n;
	bool end;

	if (e->ended)
		return rest(e, buf, len, err);

	if (len < 2 * (size_t)DR_TRAILER_MAX) {
		/* Small: everything goes through hold. */
		if (e->held <= DR_TRAILER_MAX) {
			if (refill(e, 2 * (size_t)DR_TRAILER_MAX, &end, err) ==
			    -1)
				return -1;
			if (end) {
				if (judge(e, NULL, 0, &body, err) == -1)
					return -1;
				e->held = body;
				return rest(e, buf, len, err);
			}
		}
		have = e->held - DR_TRAILER_MAX;
		return give(e, buf, take(e, buf, len < have ? len : have));
	}

	/* Large: held bytes, then straight from NEXT, then hold anew. */
	have = take(e, buf, e->held);
	n = dr_source_fill(source->next, (unsigned char *)buf + have,
	    len - have, err);
	if (n == -1)
		return -1;
	have += (size_t)n;
	if (refill(e, DR_TRAILER_MAX, &end, err) == -1)
		return -1;
	if (!end)
		return give(e, buf, have);
	if (judge(e, buf, have, &body, err) == -1)
		return -1;
	if (body <= have) {
		e->held = 0;
		if (body == 0)
			return rest(e, buf, len, err);
		return give(e, buf, body);
	}
	e->held = body - have;
	return give(e, buf, have);
}

static void
endmark_free(struct dr_source *source)
{
	struct endmark *e = (struct endmark *)source;

	free(e->hold);
	free(e->manifest);
	free(e);
}

static const struct dr_source_ops endmark_ops = { endmark_read, endmark_free };

struct dr_source *
dr_endmark_source(struct dr_source *next, const char *name, struct dr_err *err)
{
	struct endmark *e;

	if ((e = calloc(1, sizeof(*e))) == NULL ||
	    (e->hold = malloc(2 * (size_t)DR_TRAILER_MAX)) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		free(e);
		return NULL;
	}
	e->source.ops = &endmark_ops;
	e->source.next = next;
	e->name = name;
	return &e->source;
}

const char *
dr_endmark_manifest(struct dr_source *source, size_t *len)
{
	struct endmark *e = (struct endmark *)source;

	*len = e->trailer.manifest_len;
	return e->judged ? e->manifest : NULL;
}
