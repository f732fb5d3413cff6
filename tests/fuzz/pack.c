/*
 * Packed streams: unpacked in order, by their seek table, and as foreign
 * frames; what all of them accept must be the same bytes.  Then the input is
 * packed itself, and must come back.
 */
#include "codec/pack.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "stream/pump.h"

#define MOST (64U << 20) /* of output; a few bytes can say gigabytes */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* 0 with the CRC and length of all of it; -1 refused; 1 too much. */
static int
unpack(const uint8_t *p, size_t len, int workers, bool foreign, size_t step,
    uint32_t *crc, uint64_t *total)
{
	struct dr_err err = { 0 };
	struct dr_source *in = dr_source_mem(p, len, step, &err), *un;
	uint8_t *buf = malloc(100000);
	ssize_t n;

	assert(in != NULL && buf != NULL);
	un = dr_unpack_new(in, workers, foreign, &err);
	assert(un != NULL);
	*crc = 0;
	*total = 0;
	while ((n = dr_source_read(un, buf, step < 100000 ? step : 100000,
	            &err)) > 0 &&
	       *total < MOST) {
		*crc = dr_crc32c(*crc, buf, (size_t)n);
		*total += (uint64_t)n;
	}
	assert(n != -1 || err.cause == DR_EDATA);
	dr_source_free(un);
	free(buf);
	return n > 0 ? 1 : (int)n;
}

/* The same by its seek table. */
static int
by_table(const uint8_t *p, size_t len, uint32_t *crc, uint64_t *total)
{
	struct dr_err err = { 0 };
	struct dr_blob *b = dr_blob_mem(p, len, &err);
	struct dr_unframe *u = dr_unframe_new(&err);
	struct dr_frames f;
	struct dr_source *s;
	uint8_t *out = NULL;
	int rc;

	assert(b != NULL && u != NULL);
	*crc = 0;
	*total = 0;
	rc = dr_frames_read(b, &f, &err);
	for (size_t i = 0; rc == 0 && i < f.n && *total < MOST; i++) {
		assert(f.v[i].at + f.v[i].size <= len);
		out = realloc(out, f.v[i].raw_size);
		assert(out != NULL);
		rc = dr_unframe(u, p + f.v[i].at, f.v[i].size, out,
		    f.v[i].raw_size, &err);
		if (rc == 0)
			*crc = dr_crc32c(*crc, out, f.v[i].raw_size);
		*total += f.v[i].raw_size;
	}
	if (rc == 0 && f.index_at != 0) {
		s = dr_frames_index(b, &f, &err);
		assert(s != NULL);
		rc = dr_source_drain(s, &err);
		dr_source_free(s);
	}
	assert(rc == 0 || err.cause == DR_EDATA);
	dr_frames_free(&f);
	dr_unframe_free(u);
	dr_blob_free(b);
	free(out);
	return rc == 0 && *total >= MOST ? 1 : rc;
}

static void
round_trip(const uint8_t *p, size_t len)
{
	struct dr_err err = { 0 };
	struct dr_buf out = { .max = SIZE_MAX / 2 };
	struct dr_pack_opts o = { .level = 1,
		.workers = 1,
		.frame_size = 1 + len / 3 };
	struct dr_pack_facts facts;
	struct dr_source *in = dr_source_mem(p, len, 1 + len % 77, &err);
	struct dr_sink *sink = dr_sink_buf(&out, &err);
	uint32_t crc;
	uint64_t total;

	assert(dr_pack(in, sink, &o, &facts, &err) == 0);
	assert(unpack((uint8_t *)out.data, out.len, 1, false, 1 + len % 99,
	           &crc, &total) == 0);
	assert(total == len && crc == dr_crc32c(0, p, len));
	dr_source_free(in);
	dr_sink_free(sink);
	dr_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	uint32_t a, b, c;
	uint64_t na, nb, nc;
	int ra, rb, rc;

	ra = unpack(p, len, 1, false, 1 + len, &a, &na);
	rb = unpack(p, len, 2, false, 1 + len % 1000, &b, &nb);
	assert(ra == rb && (ra == 1 || (na == nb && a == b)));
	rb = by_table(p, len, &b, &nb);
	rc = unpack(p, len, 1, true, 1 + len % 5000, &c, &nc);
	if (ra == 0) {
		assert(rb == 0 && na == nb && a == b);
		/* A foreign file of no frames would be a truncated one. */
		assert(rc == 0 && na == nc && a == c);
	}
	round_trip(p, len);
	return 0;
}
