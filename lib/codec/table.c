#include "codec/table.h"

#include <stdlib.h>

#include <zstd.h>

#include "base/num.h"
#include "codec/pack.h"

int
dr_table_add(struct dr_table *t, uint32_t size, uint32_t raw_size, uint32_t sum,
    struct dr_err *err)
{
	size_t cap = t->cap == 0 ? 256 : t->cap * 2;
	struct dr_entry *v;

	if (t->n == DR_TABLE_MAX) {
		dr_err_set(err, DR_EFAIL, "too many frames for a seek table");
		return dr_err_hint(err, "larger frames hold more");
	}
	if (t->n == t->cap) {
		if ((v = realloc(t->v, cap * sizeof(*v))) == NULL)
			return dr_err_sys(err, "cannot allocate a seek table");
		t->v = v;
		t->cap = cap;
	}
	t->v[t->n++] = (struct dr_entry){ size, raw_size, sum };
	return 0;
}

void
dr_table_free(struct dr_table *t)
{
	free(t->v);
	t->v = NULL;
	t->n = t->cap = 0;
}

uint64_t
dr_table_size(size_t n)
{
	return (uint64_t)n * DR_TABLE_ENTRY + DR_SKIP_HEADER + DR_TABLE_FOOTER;
}

int
dr_table_write(const struct dr_table *t, struct dr_sink *out,
    struct dr_err *err)
{
	unsigned char buf[341 * DR_TABLE_ENTRY];
	size_t used = 0;

	dr_put32(buf, DR_TABLE_MAGIC);
	dr_put32(buf + 4, (uint32_t)(dr_table_size(t->n) - DR_SKIP_HEADER));
	if (dr_sink_write(out, buf, DR_SKIP_HEADER, err) == -1)
		return -1;
	for (size_t i = 0; i < t->n; i++) {
		dr_put32(buf + used, t->v[i].size);
		dr_put32(buf + used + 4, t->v[i].raw_size);
		dr_put32(buf + used + 8, t->v[i].sum);
		used += DR_TABLE_ENTRY;
		if (used == sizeof(buf) || i == t->n - 1) {
			if (dr_sink_write(out, buf, used, err) == -1)
				return -1;
			used = 0;
		}
	}
	dr_put32(buf, (uint32_t)t->n);
	buf[4] = 0x80; /* entries have checksums */
	dr_put32(buf + 5, DR_TABLE_FOOTER_MAGIC);
	return dr_sink_write(out, buf, DR_TABLE_FOOTER, err);
}

void
dr_entry_get(const unsigned char p[DR_TABLE_ENTRY], struct dr_entry *e)
{
	e->size = dr_get32(p);
	e->raw_size = dr_get32(p + 4);
	e->sum = dr_get32(p + 8);
}

bool
dr_table_footer(const unsigned char p[DR_TABLE_FOOTER], uint32_t *n)
{
	*n = dr_get32(p);
	return dr_get32(p + 5) == DR_TABLE_FOOTER_MAGIC && p[4] == 0x80 &&
	       *n <= DR_TABLE_MAX;
}

/* Length of a frame's header, from its fifth byte. */
static size_t
header_len(unsigned descriptor)
{
	static const size_t fcs[4] = { 0, 2, 4, 8 };
	bool single = (descriptor & 0x20) != 0;
	size_t n = fcs[descriptor >> 6];

	if (n == 0 && single)
		n = 1;
	return (single ? 5U : 6U) + n;
}

static int
walk_header(struct dr_walk *w, const unsigned char *p, size_t len,
    struct dr_err *err)
{
	unsigned long long raw = ZSTD_getFrameContentSize(p, len);

	if (raw == 0 || raw > DR_FRAME_SIZE_MAX)
		return dr_err_set(err, DR_EDATA,
		    "the packed stream is damaged: a frame's size is %s",
		    raw == ZSTD_CONTENTSIZE_UNKNOWN ? "not known"
		                                    : "out of bounds");
	w->raw_size = (uint32_t)raw;
	w->at = len;
	return 0;
}

int
dr_walk(struct dr_walk *w, const unsigned char *buf, size_t have, size_t *need,
    struct dr_err *err)
{
	uint32_t head;
	size_t len, type;

	if (w->at == 0) {
		*need = 5;
		if (have < *need)
			return 0;
		if (dr_get32(buf) != ZSTD_MAGICNUMBER)
			return dr_err_set(err, DR_EDATA,
			    "the packed stream is damaged: no frame where one "
			    "must be");
		/* Unused and reserved bit, checksum flag, dictionary. */
		if ((buf[4] & 0x1f) != 0x04)
			return dr_err_set(err, DR_EDATA,
			    "the packed stream is damaged: a frame without a "
			    "checksum, or with a dictionary");
		*need = header_len(buf[4]);
		if (have < *need)
			return 0;
		if (walk_header(w, buf, *need, err) == -1)
			return -1;
	}
	while (!w->last) {
		*need = w->at + 3;
		if (have < *need)
			return 0;
		head = (uint32_t)buf[w->at] | (uint32_t)buf[w->at + 1] << 8 |
		       (uint32_t)buf[w->at + 2] << 16;
		type = head >> 1 & 3;
		len = type == 1 ? 1 : head >> 3; /* 1: one byte, repeated */
		/* Sizes are checked here lest memory grow beyond reason. */
		if (type == 3 || head >> 3 > ZSTD_BLOCKSIZE_MAX ||
		    w->at + 3 + len + 4 > ZSTD_compressBound(w->raw_size) + 64)
			return dr_err_set(err, DR_EDATA,
			    "the packed stream is damaged: a frame has a bad "
			    "block");
		w->at += 3 + len;
		w->last = (head & 1) != 0;
	}
	*need = w->at + 4;
	return have >= *need;
}
