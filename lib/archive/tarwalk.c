#include "archive/tarwalk.h"

#include <stdlib.h>
#include <string.h>

#include "archive/tarhead.h"
#include "base/num.h"

#define BLOCK        DR_TAR_BLOCK
#define META_MAX     (1U << 20) /* bytes of one extended header */
#define PATH_MAX_LEN 65536U
#define SIZE_LIMIT   (UINT64_C(1) << 62)

/* What an extended header says in place of the header block. */
struct extra {
	struct dr_buf path, link, sparse;
	bool has_size, has_mtime, has_uid, has_gid;
	uint64_t size, uid, gid;
	int64_t mtime;
};

struct dr_tarwalk {
	const struct dr_tarwalk_ops *ops;
	void *arg;
	enum {
		AT_HEADER,
		AT_META,   /* in the data of an extended header */
		AT_SPARSE, /* in the extra blocks of an old GNU sparse file */
		AT_DATA,
		AT_PAD,
		AT_ZERO, /* one zero block was seen, a second must follow */
		AT_END,
	} state;
	uint64_t offset; /* of the next byte of input */
	uint64_t start;  /* of the member's first block */
	uint64_t left;   /* in AT_META, AT_DATA and AT_PAD */
	size_t pad;      /* after the data or extended header */
	bool begun;      /* a member's first block was met */
	bool pending;    /* extended headers wait for their member */
	char meta_type;
	struct dr_buf meta;
	struct extra local, global;
	struct dr_buf path, link; /* of the member at hand */
	struct dr_member m;
	size_t have; /* bytes in block */
	unsigned char block[BLOCK];
};

static int
damaged(const struct dr_tarwalk *t, const char *what, struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA,
	    "the tar is damaged near byte %llu: %s",
	    (unsigned long long)t->start, what);
}

static void
extra_free(struct extra *x)
{
	dr_buf_free(&x->path);
	dr_buf_free(&x->link);
	dr_buf_free(&x->sparse);
}

/* Ready for the next member, with the buffers kept. */
static void
extra_reset(struct extra *x)
{
	x->path.len = x->link.len = x->sparse.len = 0;
	x->has_size = x->has_mtime = x->has_uid = x->has_gid = false;
}

struct dr_tarwalk *
dr_tarwalk_new(const struct dr_tarwalk_ops *ops, void *arg, struct dr_err *err)
{
	struct dr_tarwalk *t;

	if ((t = calloc(1, sizeof(*t))) == NULL) {
		dr_err_sys(err, "cannot allocate a tar reader");
		return NULL;
	}
	t->ops = ops;
	t->arg = arg;
	t->meta.max = META_MAX + 1;
	t->path.max = t->link.max = PATH_MAX_LEN + 1;
	t->local.path.max = t->local.link.max = PATH_MAX_LEN + 1;
	t->local.sparse.max = PATH_MAX_LEN + 1;
	t->global.path.max = t->global.link.max = PATH_MAX_LEN + 1;
	t->global.sparse.max = PATH_MAX_LEN + 1;
	return t;
}

void
dr_tarwalk_free(struct dr_tarwalk *t)
{
	if (t == NULL)
		return;
	dr_buf_free(&t->meta);
	dr_buf_free(&t->path);
	dr_buf_free(&t->link);
	extra_free(&t->local);
	extra_free(&t->global);
	free(t);
}

/* BUF = the N bytes at P, which must not hold NUL nor be too long. */
static int
set_text(struct dr_tarwalk *t, struct dr_buf *buf, const void *p, size_t n,
    struct dr_err *err)
{
	if (n > PATH_MAX_LEN)
		return damaged(t, "a path is longer than 64 KiB", err);
	if (memchr(p, '\0', n) != NULL)
		return damaged(t, "a path holds a NUL byte", err);
	buf->len = 0;
	return dr_buf_add(buf, p, n, err);
}

static int
pax_number(struct dr_tarwalk *t, const char *v, size_t n, bool *has,
    uint64_t *out, struct dr_err *err)
{
	*has = n > 0;
	if (n > 0 && !dr_tar_decimal(v, n, out))
		return damaged(t, "a pax header has a bad number", err);
	return 0;
}

static int
pax_record(struct dr_tarwalk *t, struct extra *x, const char *key, size_t klen,
    const char *v, size_t n, struct dr_err *err)
{
#define KEY(s) (klen == sizeof(s) - 1 && memcmp(key, s, klen) == 0)
	if (KEY("path"))
		return set_text(t, &x->path, v, n, err);
	if (KEY("linkpath"))
		return set_text(t, &x->link, v, n, err);
	if (KEY("GNU.sparse.name"))
		return set_text(t, &x->sparse, v, n, err);
	if (KEY("size"))
		return pax_number(t, v, n, &x->has_size, &x->size, err);
	if (KEY("uid"))
		return pax_number(t, v, n, &x->has_uid, &x->uid, err);
	if (KEY("gid"))
		return pax_number(t, v, n, &x->has_gid, &x->gid, err);
	if (KEY("mtime")) {
		x->has_mtime = n > 0;
		if (n > 0 && !dr_tar_seconds(v, n, &x->mtime))
			return damaged(t, "a pax header has a bad time", err);
	}
	return 0;
#undef KEY
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts the whole record. */
static int
pax_parse(struct dr_tarwalk *t, struct extra *x, struct dr_err *err)
{
	const char *p = t->meta.data, *eq, *key, *sp;
	size_t left = t->meta.len, len, used;
	uint64_t n;

	while (left > 0) {
		sp = memchr(p, ' ', left < 8 ? left : 8);
		if (sp == NULL || !dr_tar_decimal(p, (size_t)(sp - p), &n))
			return damaged(t, "a pax header is malformed", err);
		key = sp + 1;
		used = (size_t)(key - p);
		if (n > left || n < used + 2 || p[n - 1] != '\n')
			return damaged(t, "a pax header is malformed", err);
		len = (size_t)n;
		if ((eq = memchr(key, '=', len - used)) == NULL || eq == key)
			return damaged(t, "a pax header is malformed", err);
		if (pax_record(t, x, key, (size_t)(eq - key), eq + 1,
		        (size_t)(p + len - 1 - (eq + 1)), err) == -1)
			return -1;
		p += len;
		left -= len;
	}
	return 0;
}

/* The data of an extended header are all here. */
static int
meta_done(struct dr_tarwalk *t, struct dr_err *err)
{
	size_t n = t->meta.len;

	switch (t->meta_type) {
	case 'g':
		return pax_parse(t, &t->global, err);
	case 'x':
	case 'X':
		return pax_parse(t, &t->local, err);
	default: /* 'L' and 'K', with NULs at the end */
		while (n > 0 && t->meta.data[n - 1] == '\0')
			n--;
		return set_text(t,
		    t->meta_type == 'L' ? &t->local.path : &t->local.link,
		    n > 0 ? t->meta.data : "", n, err);
	}
}

static int
pick_text(struct dr_tarwalk *t, struct dr_buf *out, const struct dr_buf *local,
    const struct dr_buf *global, struct dr_err *err)
{
	const struct dr_buf *b = local->len > 0 ? local : global;

	if (b->len == 0)
		return 0;
	return set_text(t, out, b->data, b->len, err);
}

/* What extended headers say goes before what the block says. */
static int
apply_extra(struct dr_tarwalk *t, struct dr_err *err)
{
	const struct extra *l = &t->local, *g = &t->global;

	if (pick_text(t, &t->path, &l->path, &g->path, err) == -1 ||
	    pick_text(t, &t->path, &l->sparse, &g->sparse, err) == -1 ||
	    pick_text(t, &t->link, &l->link, &g->link, err) == -1)
		return -1;
	if (l->has_size || g->has_size)
		t->m.size = l->has_size ? l->size : g->size;
	if (l->has_mtime || g->has_mtime)
		t->m.mtime = l->has_mtime ? l->mtime : g->mtime;
	if (l->has_uid || g->has_uid)
		t->m.uid = l->has_uid ? l->uid : g->uid;
	if (l->has_gid || g->has_gid)
		t->m.gid = l->has_gid ? l->gid : g->gid;
	return 0;
}

static int
member_end(struct dr_tarwalk *t, struct dr_err *err)
{
	t->state = t->pad > 0 ? AT_PAD : AT_HEADER;
	t->left = t->pad;
	t->begun = t->pending = false;
	extra_reset(&t->local);
	return t->ops->end != NULL ? t->ops->end(t->arg, err) : 0;
}

/* All headers of a member were read: tell, and expect its data. */
static int
member_begin(struct dr_tarwalk *t, struct dr_err *err)
{
	if (t->ops->member != NULL && t->ops->member(t->arg, &t->m, err) == -1)
		return -1;
	t->left = t->m.size;
	t->pad = dr_tar_pad(t->m.size);
	t->state = AT_DATA;
	return t->left > 0 ? 0 : member_end(t, err);
}

static int
begin_meta(struct dr_tarwalk *t, char type, uint64_t size, struct dr_err *err)
{
	if (size > META_MAX)
		return damaged(t, "an extended header is over 1 MiB", err);
	t->meta_type = type;
	t->meta.len = 0;
	t->left = size;
	t->pad = dr_tar_pad(size);
	t->pending = t->pending || type != 'g';
	t->state = AT_META;
	return 0;
}

static int
header(struct dr_tarwalk *t, const unsigned char *b, struct dr_err *err)
{
	struct dr_tar_fields f;
	const char *why;

	if (t->state == AT_ZERO) {
		if (!dr_tar_zero(b, BLOCK))
			return damaged(t, "a lone zero block", err);
		t->state = AT_END;
		return 0;
	}
	if (dr_tar_zero(b, BLOCK)) {
		if (t->pending)
			return damaged(t, "an extended header ends it", err);
		t->state = AT_ZERO;
		return 0;
	}
	if ((why = dr_tar_fields(b, &f)) != NULL)
		return damaged(t, why, err);
	if (f.type == 'x' || f.type == 'X' || f.type == 'g' || f.type == 'L' ||
	    f.type == 'K')
		return begin_meta(t, f.type, f.size, err);

	t->m = (struct dr_member){
		.type = f.type,
		.size = f.size,
		.offset = t->start,
		.mode = f.mode,
		.mtime = f.mtime,
		.uid = f.uid,
		.gid = f.gid,
	};
	if (set_text(t, &t->path, f.path, strlen(f.path), err) == -1 ||
	    set_text(t, &t->link, f.link, strlen(f.link), err) == -1 ||
	    apply_extra(t, err) == -1)
		return -1;
	/* Only these have no data whatever their size says. */
	if (f.type >= '1' && f.type <= '6')
		t->m.size = 0;
	if (t->m.size >= SIZE_LIMIT)
		return damaged(t, "a member's size is beyond reason", err);
	t->m.path = t->path.len > 0 ? t->path.data : "";
	t->m.link = (f.type == '1' || f.type == '2') && t->link.len > 0
	                ? t->link.data
	                : "";
	/* Old tars mark a directory by a slash at the end. */
	if (f.type == '0' && t->m.size == 0 && t->path.len > 0 &&
	    t->m.path[t->path.len - 1] == '/')
		t->m.type = '5';
	if (f.type == 'S' && b[482] != 0) {
		t->state = AT_SPARSE;
		return 0;
	}
	return member_begin(t, err);
}

/* One whole block, of a header or of a sparse file's map. */
static int
block(struct dr_tarwalk *t, const unsigned char *b, struct dr_err *err)
{
	if (t->state == AT_SPARSE)
		return b[504] != 0 ? 0 : member_begin(t, err);
	return header(t, b, err);
}

static int
add_block(struct dr_tarwalk *t, const unsigned char *p, size_t len,
    size_t *used, struct dr_err *err)
{
	if (t->have == 0) {
		if (!t->begun)
			t->start = t->offset;
		t->begun = true;
		if (len >= BLOCK) {
			*used = BLOCK;
			return block(t, p, err);
		}
	}
	*used = len < BLOCK - t->have ? len : BLOCK - t->have;
	memcpy(t->block + t->have, p, *used);
	if ((t->have += *used) < BLOCK)
		return 0;
	t->have = 0;
	return block(t, t->block, err);
}

static int
add_some(struct dr_tarwalk *t, const unsigned char *p, size_t len, size_t *used,
    struct dr_err *err)
{
	size_t n = t->left < len ? (size_t)t->left : len;

	*used = n;
	switch (t->state) {
	case AT_DATA:
		if (t->ops->data != NULL &&
		    t->ops->data(t->arg, p, n, err) == -1)
			return -1;
		if ((t->left -= n) == 0)
			return member_end(t, err);
		return 0;
	case AT_META:
		if (n > 0 && dr_buf_add(&t->meta, p, n, err) == -1)
			return -1;
		if ((t->left -= n) > 0)
			return 0;
		t->left = t->pad;
		t->state = t->pad > 0 ? AT_PAD : AT_HEADER;
		return meta_done(t, err);
	case AT_PAD:
		if ((t->left -= n) == 0)
			t->state = AT_HEADER;
		return 0;
	case AT_END:
		*used = len;
		if (!dr_tar_zero(p, len))
			return damaged(t, "bytes after its end", err);
		return 0;
	case AT_HEADER:
	case AT_SPARSE:
	case AT_ZERO:
	default:
		return add_block(t, p, len, used, err);
	}
}

int
dr_tarwalk_add(struct dr_tarwalk *t, const void *buf, size_t len,
    struct dr_err *err)
{
	const unsigned char *p = buf;
	size_t used;

	while (len > 0) {
		if (add_some(t, p, len, &used, err) == -1)
			return -1;
		p += used;
		len -= used;
		t->offset += used;
	}
	return 0;
}

int
dr_tarwalk_end(struct dr_tarwalk *t, struct dr_err *err)
{
	if (t->state == AT_END)
		return 0;
	return dr_err_set(err, DR_EDATA,
	    "the tar is truncated: it ends after %llu bytes without two zero "
	    "blocks",
	    (unsigned long long)t->offset);
}
