#include "codec/pack.h"

#include <assert.h>

#include <zstd.h>

#include "base/num.h"
#include "base/tty.h"
#include "codec/pool.h"
#include "codec/table.h"

struct packer {
	struct dr_source *in;
	struct dr_sink *out;
	const struct dr_pack_opts *o;
	struct dr_pack_facts *facts;
	struct dr_pool *pool;
	struct dr_table table;
};

static int
set(ZSTD_CCtx *cctx, ZSTD_cParameter param, int value, struct dr_err *err)
{
	size_t rc = ZSTD_CCtx_setParameter(cctx, param, value);

	if (ZSTD_isError(rc))
		return dr_err_set(err, DR_EFAIL, "cannot set up zstd: %s",
		    ZSTD_getErrorName(rc));
	return 0;
}

static void *
compressor_open(void *arg, struct dr_err *err)
{
	const struct dr_pack_opts *o = arg;
	ZSTD_CCtx *cctx;

	if ((cctx = ZSTD_createCCtx()) == NULL) {
		dr_err_sys(err, "cannot allocate a compressor");
		return NULL;
	}
	if (set(cctx, ZSTD_c_compressionLevel, o->level, err) == -1 ||
	    set(cctx, ZSTD_c_contentSizeFlag, 1, err) == -1 ||
	    set(cctx, ZSTD_c_checksumFlag, 1, err) == -1) {
		ZSTD_freeCCtx(cctx);
		return NULL;
	}
	return cctx;
}

static int
compressor_work(void *ctx, struct dr_slot *s, struct dr_err *err)
{
	size_t rc = ZSTD_compress2(ctx, s->out, s->out_cap, s->in, s->in_len);

	if (ZSTD_isError(rc))
		return dr_err_set(err, DR_EFAIL, "cannot compress: %s",
		    ZSTD_getErrorName(rc));
	s->out_len = rc;
	return 0;
}

static void
compressor_close(void *ctx)
{
	ZSTD_freeCCtx(ctx);
}

static const struct dr_pool_ops compressor_ops = {
	.open = compressor_open,
	.work = compressor_work,
	.close = compressor_close,
};

/* One frame's worth of input; less means the end of it. */
static int
fill(struct packer *p, struct dr_slot *s, struct dr_err *err)
{
	size_t max = (size_t)p->o->frame_size;
	ssize_t n = 1;

	if (dr_slot_room(&s->in, &s->in_cap, max, err) == -1 ||
	    dr_slot_room(&s->out, &s->out_cap, ZSTD_compressBound(max), err) ==
	        -1)
		return -1;
	while (s->in_len < max && n > 0) {
		n = dr_source_read(p->in, s->in + s->in_len, max - s->in_len,
		    err);
		if (n == -1)
			return -1;
		if (n > 0 && p->o->tap != NULL &&
		    p->o->tap(p->o->arg, s->in + s->in_len, (size_t)n, err) ==
		        -1)
			return -1;
		s->in_len += (size_t)n;
		p->facts->raw_size += (uint64_t)n;
		dr_progress(p->facts->raw_size);
	}
	return 0;
}

/* Write the oldest frame, if it is done or WAIT; *ANY whether it was. */
static int
drain_one(struct packer *p, bool wait, bool *any, struct dr_err *err)
{
	struct dr_slot *s = dr_pool_oldest(p->pool, wait);

	*any = s != NULL;
	if (s == NULL)
		return 0;
	if (s->err.cause != DR_OK)
		return dr_err_set(err, s->err.cause, "%s", s->err.msg);
	/* The checksum is how a frame ends. */
	if (dr_table_add(&p->table, (uint32_t)s->out_len, (uint32_t)s->in_len,
	        dr_get32(s->out + s->out_len - 4), err) == -1 ||
	    dr_sink_write(p->out, s->out, s->out_len, err) == -1)
		return -1;
	p->facts->packed_size += s->out_len;
	p->facts->frames++;
	dr_pool_release(p->pool);
	return 0;
}

static int
frames(struct packer *p, struct dr_err *err)
{
	struct dr_slot *s;
	bool any, end = false;

	while (!end) {
		while ((s = dr_pool_take(p->pool)) == NULL)
			if (drain_one(p, true, &any, err) == -1)
				return -1;
		if (fill(p, s, err) == -1)
			return -1;
		end = s->in_len < p->o->frame_size;
		if (s->in_len > 0)
			dr_pool_submit(p->pool);
		do {
			if (drain_one(p, end, &any, err) == -1)
				return -1;
		} while (any);
	}
	return 0;
}

static int
member_index(struct packer *p, struct dr_err *err)
{
	struct dr_buf b = { .max = DR_INDEX_MAX };
	unsigned char head[DR_SKIP_HEADER];
	int rc = -1;

	if (p->o->index(p->o->arg, &b, err) == -1)
		goto out;
	if (b.len > 0) {
		dr_put32(head, DR_INDEX_MAGIC);
		dr_put32(head + 4, (uint32_t)b.len);
		if (dr_table_add(&p->table, (uint32_t)(b.len + sizeof(head)), 0,
		        DR_EMPTY_SUM, err) == -1 ||
		    dr_sink_write(p->out, head, sizeof(head), err) == -1 ||
		    dr_sink_write(p->out, b.data, b.len, err) == -1)
			goto out;
		p->facts->packed_size += b.len + sizeof(head);
	}
	rc = 0;

out:
	dr_buf_free(&b);
	return rc;
}

int
dr_pack(struct dr_source *in, struct dr_sink *out, const struct dr_pack_opts *o,
    struct dr_pack_facts *facts, struct dr_err *err)
{
	struct packer p = { .in = in, .out = out, .o = o, .facts = facts };
	struct dr_pack_opts opts = *o;
	int rc = -1;

	assert(o->workers >= 1 && o->frame_size >= 1 &&
	       o->frame_size <= DR_FRAME_SIZE_MAX);
	*facts = (struct dr_pack_facts){ 0 };
	if ((p.pool = dr_pool_new(o->workers, &compressor_ops, &opts, err)) ==
	    NULL)
		goto out;
	if (frames(&p, err) == -1)
		goto out;
	/* The threads' memory is not needed for what follows. */
	dr_pool_free(p.pool);
	p.pool = NULL;
	if (o->index != NULL && member_index(&p, err) == -1)
		goto out;
	if (dr_table_write(&p.table, out, err) == -1)
		goto out;
	facts->packed_size += dr_table_size(p.table.n);
	rc = dr_sink_finish(out, err);

out:
	dr_pool_free(p.pool);
	dr_table_free(&p.table);
	return rc;
}
