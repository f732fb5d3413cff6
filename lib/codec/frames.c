#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/num.h"
#include "codec/pack.h"
#include "codec/table.h"

#define INDEX_WINDOW_LOG 23

static int
damaged(const char *what, struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA, "the seek table is damaged: %s", what);
}

void
dr_frames_free(struct dr_frames *f)
{
	free(f->v);
	memset(f, 0, sizeof(*f));
}

/* The last entry has no data: the member index, if it lies there. */
static int
add_index(struct dr_blob *b, struct dr_frames *f, const struct dr_entry *e,
    uint64_t at, struct dr_err *err)
{
	unsigned char head[DR_SKIP_HEADER];

	if (e->sum != DR_EMPTY_SUM || e->size <= sizeof(head))
		return damaged("an entry without data", err);
	if (dr_blob_pread(b, head, sizeof(head), at, err) == -1)
		return -1;
	if (dr_get32(head) != DR_INDEX_MAGIC ||
	    dr_get32(head + 4) != e->size - sizeof(head))
		return damaged("no member index where it must be", err);
	f->index_at = at + sizeof(head);
	f->index_size = e->size - (uint32_t)sizeof(head);
	return 0;
}

/* N entries at AT; what they add up to must end where the table begins. */
static int
read_entries(struct dr_blob *b, struct dr_frames *f, uint32_t n, uint64_t at,
    uint64_t table, struct dr_err *err)
{
	unsigned char buf[341 * DR_TABLE_ENTRY];
	uint32_t chunk = 341;
	struct dr_entry e;
	uint64_t pos = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (i % chunk == 0 &&
		    dr_blob_pread(b, buf,
		        (n - i < chunk ? n - i : chunk) *
		            (size_t)DR_TABLE_ENTRY,
		        at + (uint64_t)i * DR_TABLE_ENTRY, err) == -1)
			return -1;
		dr_entry_get(buf + i % chunk * DR_TABLE_ENTRY, &e);
		if (e.size > table - pos)
			return damaged("frames beyond the end", err);
		if (e.raw_size == 0) {
			if (i != n - 1)
				return damaged("an entry without data", err);
			if (add_index(b, f, &e, pos, err) == -1)
				return -1;
		} else {
			if (e.size < DR_DATA_FRAME_MIN ||
			    e.raw_size > DR_FRAME_SIZE_MAX ||
			    e.size > ZSTD_compressBound(e.raw_size) + 64)
				return damaged("a frame's size", err);
			f->v[f->n++] = (struct dr_frame){ pos, f->raw_size,
				e.size, e.raw_size };
			f->raw_size += e.raw_size;
		}
		pos += e.size;
	}
	return pos == table ? 0 : damaged("frames do not add up", err);
}

int
dr_frames_read(struct dr_blob *b, struct dr_frames *f, struct dr_err *err)
{
	unsigned char foot[DR_TABLE_FOOTER], head[DR_SKIP_HEADER];
	uint64_t table;
	uint32_t n;

	memset(f, 0, sizeof(*f));
	if (b->size < dr_table_size(0))
		return dr_err_set(err, DR_EDATA,
		    "no seek table: it is too short for a packed stream");
	if (dr_blob_pread(b, foot, sizeof(foot), b->size - sizeof(foot), err) ==
	    -1)
		return -1;
	if (!dr_table_footer(foot, &n))
		return dr_err_set(err, DR_EDATA,
		    "no seek table at its end: truncated, or not packed");
	if (dr_table_size(n) > b->size)
		return damaged("more frames than there is room for", err);
	table = b->size - dr_table_size(n);
	if (n > 0 && table / DR_DATA_FRAME_MIN < n - 1)
		return damaged("more frames than there is room for", err);
	if (dr_blob_pread(b, head, sizeof(head), table, err) == -1)
		return -1;
	if (dr_get32(head) != DR_TABLE_MAGIC ||
	    dr_get32(head + 4) != dr_table_size(n) - sizeof(head))
		return damaged("its header", err);
	/* Its size is in proportion to bytes that are there. */
	if ((f->v = calloc((size_t)n + 1, sizeof(*f->v))) == NULL)
		return dr_err_sys(err, "cannot allocate a seek table");
	if (read_entries(b, f, n, table + sizeof(head), table, err) == -1) {
		dr_frames_free(f);
		return -1;
	}
	return 0;
}

/* --- one frame ------------------------------------------------------------ */

struct dr_unframe {
	ZSTD_DCtx *dctx;
};

struct dr_unframe *
dr_unframe_new(struct dr_err *err)
{
	struct dr_unframe *u;

	if ((u = calloc(1, sizeof(*u))) == NULL ||
	    (u->dctx = ZSTD_createDCtx()) == NULL) {
		dr_err_sys(err, "cannot allocate a decompressor");
		free(u);
		return NULL;
	}
	return u;
}

void
dr_unframe_free(struct dr_unframe *u)
{
	if (u == NULL)
		return;
	ZSTD_freeDCtx(u->dctx);
	free(u);
}

int
dr_unframe(struct dr_unframe *u, const void *packed, size_t len, void *out,
    size_t raw_size, struct dr_err *err)
{
	struct dr_walk walk = { 0 };
	size_t need, rc;

	switch (dr_walk(&walk, packed, len, &need, err)) {
	case -1:
		return -1;
	case 0:
		return dr_err_set(err, DR_EDATA,
		    "the packed stream is damaged: a frame is cut short");
	default:
		break;
	}
	if (need != len || walk.raw_size != raw_size)
		return dr_err_set(err, DR_EDATA,
		    "the packed stream is damaged: a frame's size is not "
		    "what the seek table says");
	rc = ZSTD_decompressDCtx(u->dctx, out, raw_size, packed, len);
	if (ZSTD_isError(rc))
		return dr_err_set(err, DR_EDATA,
		    "the packed stream is damaged: %s", ZSTD_getErrorName(rc));
	if (rc != raw_size)
		return dr_err_set(err, DR_EDATA,
		    "the packed stream is damaged: a frame has a false size");
	return 0;
}

/* --- the member index ----------------------------------------------------- */

struct range {
	struct dr_source source;
	struct dr_blob *blob; /* borrowed */
	uint64_t at, end;
};

static ssize_t
range_read(struct dr_source *source, void *buf, size_t len, struct dr_err *err)
{
	struct range *r = (struct range *)source;

	if (len > r->end - r->at)
		len = (size_t)(r->end - r->at);
	if (len > 0 && dr_blob_pread(r->blob, buf, len, r->at, err) == -1)
		return -1;
	r->at += len;
	return (ssize_t)len;
}

static void
range_free(struct dr_source *source)
{
	free(source);
}

static const struct dr_source_ops range_ops = {
	.read = range_read,
	.free = range_free,
};

struct dr_source *
dr_frames_index(struct dr_blob *b, const struct dr_frames *f,
    struct dr_err *err)
{
	struct dr_source *s;
	struct range *r;

	if (f->index_at == 0) {
		dr_err_set(err, DR_EFAIL, "there is no member index");
		return NULL;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		return NULL;
	}
	r->source.ops = &range_ops;
	r->blob = b;
	r->at = f->index_at;
	r->end = f->index_at + f->index_size;
	if ((s = dr_zsource_new(&r->source, INDEX_WINDOW_LOG, true, err)) ==
	    NULL)
		free(r);
	return s;
}
