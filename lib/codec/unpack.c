#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/num.h"
#include "codec/pack.h"
#include "codec/pool.h"
#include "codec/table.h"

#define READ_SIZE          (256U << 10)
#define FOREIGN_WINDOW_LOG 27
#define INDEX_WINDOW_LOG   23

struct unpack {
	struct dr_source source;
	struct dr_pool *pool;   /* NULL: in the caller's thread */
	struct dr_unframe *one; /* then */
	struct dr_slot single;  /* then */
	struct dr_table table;  /* what was read */
	struct dr_err in_err;   /* of next, told after the frames before it */
	bool in_end;            /* no more data frames */
	/* What was read beyond the last frame; in BEHIND's input. */
	const unsigned char *ahead;
	size_t ahead_len;
	/* The frame that is being given out. */
	const unsigned char *out;
	size_t out_at, out_len;
	unsigned char *tail; /* READ_SIZE bytes, to read what follows frames */
};

static int
damaged(const char *what, struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA, "the packed stream is damaged: %s",
	    what);
}

static int
truncated(struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA, "the packed stream is truncated");
}

static uint32_t
slot_raw(const struct dr_slot *s)
{
	return (uint32_t)ZSTD_getFrameContentSize(s->in, s->in_len);
}

static int
work(void *ctx, struct dr_slot *s, struct dr_err *err)
{
	uint32_t raw = slot_raw(s);

	if (dr_slot_room(&s->out, &s->out_cap, raw, err) == -1 ||
	    dr_unframe(ctx, s->in, s->in_len, s->out, raw, err) == -1)
		return -1;
	s->out_len = raw;
	return 0;
}

static void *
work_open(void *arg, struct dr_err *err)
{
	(void)arg;
	return dr_unframe_new(err);
}

static void
work_close(void *ctx)
{
	dr_unframe_free(ctx);
}

static const struct dr_pool_ops unpack_ops = {
	.open = work_open,
	.work = work,
	.close = work_close,
};

/*
 * Read the next frame, whole, into S.  1; 0 when what comes next is no data
 * frame but a skippable one or the end; -1.  What was read too much is left
 * behind it in S.
 */
static int
read_frame(struct unpack *u, struct dr_slot *s, struct dr_err *err)
{
	struct dr_walk walk = { 0 };
	size_t have = u->ahead_len, need, want;
	ssize_t n;
	int rc;

	if (dr_slot_room(&s->in, &s->in_cap, 2 * READ_SIZE, err) == -1)
		return -1;
	assert(have <= s->in_cap);
	if (have > 0)
		memmove(s->in, u->ahead, have);
	u->ahead = s->in;
	for (;;) {
		if (have >= 4 && walk.at == 0 &&
		    (dr_get32(s->in) & 0xfffffff0U) ==
		        ZSTD_MAGIC_SKIPPABLE_START) {
			u->ahead_len = have;
			return 0;
		}
		if ((rc = dr_walk(&walk, s->in, have, &need, err)) == -1)
			return -1;
		if (rc == 1)
			break;
		want = need > have + READ_SIZE ? need : have + READ_SIZE;
		if (dr_slot_room(&s->in, &s->in_cap, want, err) == -1)
			return -1;
		u->ahead = s->in;
		n = dr_source_read(u->source.next, s->in + have, want - have,
		    err);
		if (n == -1)
			return -1;
		if (n == 0 && have == 0) {
			u->ahead_len = 0;
			return 0;
		}
		if (n == 0)
			return truncated(err);
		have += (size_t)n;
	}
	s->in_len = need;
	u->ahead = s->in + need;
	u->ahead_len = have - need;
	if (dr_table_add(&u->table, (uint32_t)need, walk.raw_size,
	        dr_get32(s->in + need - 4), err) == -1)
		return -1;
	return 1;
}

/* --- what follows the data frames ----------------------------------------- */

/* LEN more bytes of input into BUF. */
static int
tail_get(struct unpack *u, void *buf, size_t len, struct dr_err *err)
{
	size_t n = len < u->ahead_len ? len : u->ahead_len;
	ssize_t got;

	if (n > 0)
		memcpy(buf, u->ahead, n);
	u->ahead += n;
	u->ahead_len -= n;
	if (n == len)
		return 0;
	got = dr_source_fill(u->source.next, (char *)buf + n, len - n, err);
	if (got == -1)
		return -1;
	return (size_t)got == len - n ? 0 : truncated(err);
}

/* The member index: one zstd frame of LEN bytes, with a checksum. */
static int
check_index(struct unpack *u, ZSTD_DCtx *dctx, uint32_t len, struct dr_err *err)
{
	unsigned char *scratch = u->tail + READ_SIZE;
	size_t n, rc = 1;

	if (ZSTD_isError(ZSTD_DCtx_setParameter(dctx, ZSTD_d_windowLogMax,
	        INDEX_WINDOW_LOG)))
		return dr_err_set(err, DR_EFAIL, "cannot set up zstd");
	for (uint32_t left = len; left > 0; left -= (uint32_t)n) {
		n = left < READ_SIZE ? left : READ_SIZE;
		if (tail_get(u, u->tail, n, err) == -1)
			return -1;
		if (left == len &&
		    (n < 5 || dr_get32(u->tail) != ZSTD_MAGICNUMBER ||
		        (u->tail[4] & 0x04) == 0))
			return damaged("its member index", err);

		ZSTD_inBuffer in = { u->tail, n, 0 };

		while (in.pos < in.size && rc != 0) {
			ZSTD_outBuffer out = { scratch, READ_SIZE, 0 };

			rc = ZSTD_decompressStream(dctx, &out, &in);
			if (ZSTD_isError(rc))
				return damaged("its member index", err);
		}
		if (in.pos < in.size)
			return damaged("its member index", err);
	}
	/* All input is taken, but zstd may still hold output. */
	while (rc != 0) {
		ZSTD_inBuffer in = { NULL, 0, 0 };
		ZSTD_outBuffer out = { scratch, READ_SIZE, 0 };

		rc = ZSTD_decompressStream(dctx, &out, &in);
		if (ZSTD_isError(rc) || (rc != 0 && out.pos == 0))
			return damaged("its member index", err);
	}
	return dr_table_add(&u->table, len + DR_SKIP_HEADER, 0, DR_EMPTY_SUM,
	    err);
}

/* The seek table must say what was read, and be the end of it all. */
static int
check_table(struct unpack *u, uint32_t len, struct dr_err *err)
{
	unsigned char buf[DR_TABLE_ENTRY];
	struct dr_entry e;
	uint32_t n;

	if (len != dr_table_size(u->table.n) - DR_SKIP_HEADER)
		return damaged("its seek table has another length", err);
	for (size_t i = 0; i < u->table.n; i++) {
		if (tail_get(u, buf, sizeof(buf), err) == -1)
			return -1;
		dr_entry_get(buf, &e);
		if (e.size != u->table.v[i].size ||
		    e.raw_size != u->table.v[i].raw_size ||
		    e.sum != u->table.v[i].sum)
			return damaged("its seek table is not of these frames",
			    err);
	}
	if (tail_get(u, buf, DR_TABLE_FOOTER, err) == -1)
		return -1;
	if (!dr_table_footer(buf, &n) || n != u->table.n)
		return damaged("its seek table's end", err);
	return 0;
}

static int
at_the_end(struct unpack *u, struct dr_err *err)
{
	ssize_t n = 0;

	if (u->ahead_len == 0 &&
	    (n = dr_source_read(u->source.next, u->tail, 1, err)) == -1)
		return -1;
	if (u->ahead_len > 0 || n > 0)
		return damaged("bytes after its seek table", err);
	return 0;
}

static int
check_tail(struct unpack *u, struct dr_err *err)
{
	unsigned char head[DR_SKIP_HEADER];
	ZSTD_DCtx *dctx = NULL;
	int rc = -1;

	if ((u->tail = malloc(2 * (size_t)READ_SIZE)) == NULL)
		return dr_err_sys(err, "cannot allocate a buffer");
	if (tail_get(u, head, sizeof(head), err) == -1)
		goto out;
	if (dr_get32(head) == DR_INDEX_MAGIC) {
		if (dr_get32(head + 4) > DR_INDEX_MAX) {
			damaged("its member index is too large", err);
			goto out;
		}
		if ((dctx = ZSTD_createDCtx()) == NULL) {
			dr_err_sys(err, "cannot allocate a decompressor");
			goto out;
		}
		if (check_index(u, dctx, dr_get32(head + 4), err) == -1 ||
		    tail_get(u, head, sizeof(head), err) == -1)
			goto out;
	}
	if (dr_get32(head) != DR_TABLE_MAGIC) {
		damaged("no seek table where it must be", err);
		goto out;
	}
	if (check_table(u, dr_get32(head + 4), err) == -1 ||
	    at_the_end(u, err) == -1)
		goto out;
	rc = 0;

out:
	ZSTD_freeDCtx(dctx);
	free(u->tail);
	u->tail = NULL;
	return rc;
}

/* --- in the caller's thread ----------------------------------------------- */

/*
 * The next frame: straight into BUF when it fits there, and then returns its
 * length; else into u->out, returning 0 like at the end of the frames.
 */
static ssize_t
next_here(struct unpack *u, void *buf, size_t len, struct dr_err *err)
{
	struct dr_slot *s = &u->single;
	uint32_t raw;
	int rc;

	if ((rc = read_frame(u, s, err)) <= 0) {
		u->in_end = true;
		return rc;
	}
	raw = slot_raw(s);
	if (raw <= len) {
		if (dr_unframe(u->one, s->in, s->in_len, buf, raw, err) == -1)
			return -1;
		return raw;
	}
	if (work(u->one, s, err) == -1)
		return -1;
	u->out = s->out;
	u->out_len = s->out_len;
	u->out_at = 0;
	return 0;
}

/* --- with threads --------------------------------------------------------- */

/* Keep the threads busy, then wait for the next frame; 0 as above. */
static int
next_pooled(struct unpack *u, struct dr_err *err)
{
	struct dr_slot *s;

	if (u->out != NULL) {
		u->out = NULL;
		dr_pool_release(u->pool);
	}
	while (!u->in_end && (s = dr_pool_take(u->pool)) != NULL) {
		if (read_frame(u, s, &u->in_err) <= 0) {
			u->in_end = true;
			break;
		}
		dr_pool_submit(u->pool);
	}
	if ((s = dr_pool_oldest(u->pool, true)) == NULL) {
		if (u->in_err.cause != DR_OK) {
			*err = u->in_err;
			return -1;
		}
		return 0;
	}
	if (s->err.cause != DR_OK)
		return dr_err_set(err, s->err.cause, "%s", s->err.msg);
	u->out = s->out;
	u->out_len = s->out_len;
	u->out_at = 0;
	return 0;
}

static ssize_t
unpack_read(struct dr_source *source, void *buf, size_t len, struct dr_err *err)
{
	struct unpack *u = (struct unpack *)source;
	ssize_t n;

	if (u->out == NULL || u->out_at == u->out_len) {
		if (u->pool == NULL) {
			u->out = NULL;
			if ((n = next_here(u, buf, len, err)) != 0)
				return n;
		} else if (next_pooled(u, err) == -1)
			return -1;
		if (u->out == NULL)
			return check_tail(u, err);
	}
	if (len > u->out_len - u->out_at)
		len = u->out_len - u->out_at;
	memcpy(buf, u->out + u->out_at, len);
	u->out_at += len;
	return (ssize_t)len;
}

static void
unpack_free(struct dr_source *source)
{
	struct unpack *u = (struct unpack *)source;

	dr_pool_free(u->pool);
	dr_unframe_free(u->one);
	dr_table_free(&u->table);
	free(u->single.in);
	free(u->single.out);
	free(u->tail);
	free(u);
}

static const struct dr_source_ops unpack_source_ops = {
	.read = unpack_read,
	.free = unpack_free,
};

struct dr_source *
dr_unpack_new(struct dr_source *next, int workers, bool foreign,
    struct dr_err *err)
{
	struct unpack *u;

	if (foreign)
		return dr_zsource_new(next, FOREIGN_WINDOW_LOG, false, err);
	if ((u = calloc(1, sizeof(*u))) == NULL) {
		dr_err_sys(err, "cannot allocate a decoder");
		return NULL;
	}
	u->source.ops = &unpack_source_ops;
	if (workers > 1)
		u->pool = dr_pool_new(workers, &unpack_ops, NULL, err);
	else
		u->one = dr_unframe_new(err);
	if (u->pool == NULL && u->one == NULL) {
		unpack_free(&u->source);
		return NULL;
	}
	u->source.next = next;
	return &u->source;
}
