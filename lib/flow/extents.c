#include "flow/extents.h"

#include <stdlib.h>
#include <string.h>

#include "archive/members.h"
#include "archive/tarwalk.h"
#include "base/buf.h"

#define BLOCK 512U

struct dr_extents {
	struct dr_blob *packed;
	const struct dr_frames *frames;
	struct dr_source *index;
	struct dr_records *records;
	struct dr_extent next; /* read ahead; its path is in path[which] */
	struct dr_buf path[2];
	int which;
	enum { FRESH, AHEAD, ENDED } state;
};

/* The frame that holds OFF. */
static size_t
frame_at(const struct dr_frames *f, uint64_t off)
{
	size_t lo = 0, hi = f->n;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->v[mid].raw_at <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

int
dr_frames_pread(struct dr_blob *packed, const struct dr_frames *f, void *out,
    size_t len, uint64_t off, struct dr_err *err)
{
	struct dr_unframe *u = NULL;
	unsigned char *in = NULL, *raw = NULL, *to = out;
	int rc = -1;

	if (off > f->raw_size || len > f->raw_size - off)
		return dr_err_set(err, DR_EDATA,
		    "the member index names bytes outside the backup");
	if ((u = dr_unframe_new(err)) == NULL)
		return -1;
	for (size_t i = frame_at(f, off), n, skip; len > 0; i++) {
		const struct dr_frame *v = &f->v[i];

		free(in);
		free(raw);
		in = malloc(v->size + 1U);
		raw = malloc(v->raw_size + 1U);
		if (in == NULL || raw == NULL) {
			dr_err_sys(err, "cannot allocate a frame");
			goto out;
		}
		if (dr_blob_pread(packed, in, v->size, v->at, err) == -1 ||
		    dr_unframe(u, in, v->size, raw, v->raw_size, err) == -1)
			goto out;
		skip = (size_t)(off - v->raw_at);
		n = v->raw_size - skip < len ? v->raw_size - skip : len;
		memcpy(to, raw + skip, n);
		to += n;
		off += n;
		len -= n;
	}
	rc = 0;

out:
	free(in);
	free(raw);
	dr_unframe_free(u);
	return rc;
}

struct dr_extents *
dr_extents_new(struct dr_blob *packed, const struct dr_frames *frames,
    struct dr_err *err)
{
	struct dr_extents *x;

	if ((x = calloc(1, sizeof(*x))) == NULL) {
		dr_err_sys(err, "cannot allocate an index reader");
		return NULL;
	}
	x->packed = packed;
	x->frames = frames;
	x->path[0].max = x->path[1].max = 65536;
	if ((x->index = dr_frames_index(packed, frames, err)) == NULL ||
	    (x->records = dr_records_new(x->index, err)) == NULL) {
		dr_extents_free(x);
		return NULL;
	}
	return x;
}

void
dr_extents_free(struct dr_extents *x)
{
	if (x == NULL)
		return;
	dr_records_free(x->records);
	dr_source_free(x->index);
	dr_buf_free(&x->path[0]);
	dr_buf_free(&x->path[1]);
	free(x);
}

static int
read_ahead(struct dr_extents *x, struct dr_err *err)
{
	struct dr_buf *path;
	struct dr_record r;
	int rc;

	if ((rc = dr_records_next(x->records, &r, err)) == -1)
		return -1;
	x->state = rc == 0 ? ENDED : AHEAD;
	if (rc == 0)
		return 0;
	path = &x->path[x->which ^= 1];
	path->len = 0;
	if (dr_buf_str(path, r.path, err) == -1)
		return -1;
	x->next.type = r.type;
	x->next.size = r.size;
	x->next.offset = r.offset;
	x->next.crc = r.crc;
	x->next.path = path->data;
	return 0;
}

static int
met(void *arg, const struct dr_member *m, struct dr_err *err)
{
	const struct dr_member **seen = arg;

	(void)err;
	*seen = m;
	return 0;
}

/*
 * Nothing says where the last member's headers end: read them, a block at a
 * time.
 */
static int
last_data(const struct dr_extents *x, struct dr_extent *e, struct dr_err *err)
{
	static const struct dr_tarwalk_ops ops = { .member = met };
	const struct dr_member *seen = NULL;
	unsigned char *head = NULL;
	struct dr_tarwalk *walk = NULL;
	uint64_t left;
	size_t n, used = 0;
	int rc = -1;

	if (e->offset > x->frames->raw_size)
		return dr_err_set(err, DR_EDATA,
		    "the member index does not fit the backup");
	left = x->frames->raw_size - e->offset;
	/* A header, and before it a long name and its own header. */
	n = left < 160 * 1024 ? (size_t)left : 160 * 1024;
	if ((head = malloc(n + 1)) == NULL) {
		dr_err_sys(err, "cannot read a header");
		goto out;
	}
	if ((walk = dr_tarwalk_new(&ops, &seen, err)) == NULL ||
	    dr_frames_pread(x->packed, x->frames, head, n, e->offset, err) ==
	        -1)
		goto out;
	while (seen == NULL && used + BLOCK <= n) {
		if (dr_tarwalk_add(walk, head + used, BLOCK, err) == -1)
			goto out;
		used += BLOCK;
	}
	if (seen == NULL) {
		dr_err_set(err, DR_EDATA, "the last member has no header");
		goto out;
	}
	e->data = e->offset + used;
	rc = 0;

out:
	dr_tarwalk_free(walk);
	free(head);
	return rc;
}

int
dr_extents_next(struct dr_extents *x, struct dr_extent *e, struct dr_err *err)
{
	uint64_t padded;

	if (x->state == FRESH && read_ahead(x, err) == -1)
		return -1;
	if (x->state == ENDED)
		return 0;
	*e = x->next;
	if (read_ahead(x, err) == -1)
		return -1;
	if (e->size > x->frames->raw_size)
		goto bad;
	padded = (e->size + BLOCK - 1) / BLOCK * BLOCK;
	if (x->state == ENDED) {
		if (last_data(x, e, err) == -1)
			return -1;
	} else {
		/* Between two members there is nothing. */
		if (x->next.offset < padded ||
		    x->next.offset - padded < e->offset + BLOCK)
			goto bad;
		e->data = x->next.offset - padded;
	}
	if (e->data > x->frames->raw_size ||
	    padded > x->frames->raw_size - e->data)
		goto bad;
	return 1;

bad:
	return dr_err_set(err, DR_EDATA,
	    "the member index does not fit the backup");
}
