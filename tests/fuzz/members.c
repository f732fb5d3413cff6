/*
 * Member indexes: the input as records, in two cuts; then the input as a
 * tar, whose records must be good ones.
 */
#include "archive/members.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int
records(const void *p, size_t len, size_t step, uint64_t *n, uint32_t *crc)
{
	struct dr_err err = { 0 };
	struct dr_source *s = dr_source_mem(p, len, step, &err);
	struct dr_records *r = dr_records_new(s, &err);
	struct dr_record rec;
	uint64_t end = 0;
	int rc;

	assert(s != NULL && r != NULL);
	*n = 0;
	*crc = 0;
	while ((rc = dr_records_next(r, &rec, &err)) == 1) {
		assert(rec.offset >= end && strlen(rec.path) <= 65536);
		end = rec.offset + rec.size;
		++*n;
		*crc = dr_crc32c(*crc, rec.path, strlen(rec.path) + 1);
	}
	assert(rc == 0 || err.cause == DR_EDATA);
	dr_records_free(r);
	dr_source_free(s);
	return rc;
}

static int
emit(void *arg, const void *p, size_t len, struct dr_err *err)
{
	return dr_buf_add(arg, p, len, err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct dr_buf index = { .max = SIZE_MAX / 2 };
	struct dr_err err = { 0 };
	struct dr_indexer *x;
	uint64_t na, nb;
	uint32_t a, b;
	bool whole = false;
	int ra, rb;

	ra = records(p, len, 0, &na, &a);
	rb = records(p, len, 1 + len % 33, &nb, &b);
	assert(ra == rb && na == nb && a == b);

	x = dr_indexer_new(emit, &index, &err);
	assert(x != NULL);
	if (dr_indexer_add(x, p, len, &err) == 0 &&
	    dr_indexer_end(x, &whole, &err) == 0)
		assert(whole || index.len == 0);
	else
		assert(err.cause == DR_EDATA);
	dr_indexer_free(x);
	assert(records(index.len > 0 ? index.data : "", index.len, 0, &na,
	           &a) == 0);
	dr_buf_free(&index);
	return 0;
}
