/* backup_manifest: read in pieces, and rewritten where it can be read. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "pg/backup_manifest.h"
#include "stream/pump.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int
each(void *arg, const struct dr_bm_file *f, struct dr_err *err)
{
	uint64_t *n = arg;

	(void)err;
	if (strlen(f->path) == 0 || f->sum_len > DR_BM_SUM_MAX ||
	    f->at >= f->end)
		abort();
	++*n;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dr_bm_edit edit[] = { { "a", "x", 1 },
		{ "tablespace_map", "1 /y\n", 5 } };
	struct dr_err err = { 0 };
	struct dr_bm_facts facts;
	struct dr_buf out = { .max = 1U << 24 };
	struct dr_sink *sink;
	struct dr_blob *blob;
	struct dr_bm *bm;
	uint64_t n = 0;
	size_t step = size > 0 ? data[0] % 37 + 1U : 1;
	int rc = 0;

	if ((bm = dr_bm_new(each, &n, &err)) == NULL)
		return 0;
	for (size_t at = 0; at < size && rc == 0; at += step)
		rc = dr_bm_add(bm, data + at,
		    size - at < step ? size - at : step, &err);
	if (rc == 0)
		rc = dr_bm_end(bm, &facts, &err);
	dr_bm_free(bm);
	if (rc == -1 && err.cause == DR_OK)
		abort();
	if (rc == -1)
		return 0;
	if (facts.files != n)
		abort();

	/* What was a manifest is one afterwards. */
	sink = dr_sink_buf(&out, &err);
	blob = dr_blob_mem(data, size, &err);
	if (sink != NULL && blob != NULL &&
	    dr_bm_rewrite(blob, edit, 2, sink, &err) == 0) {
		n = 0;
		if ((bm = dr_bm_new(each, &n, &err)) != NULL &&
		    (dr_bm_add(bm, out.data, out.len, &err) == -1 ||
		        dr_bm_end(bm, &facts, &err) == -1))
			abort();
		dr_bm_free(bm);
	}
	dr_blob_free(blob);
	dr_sink_free(sink);
	dr_buf_free(&out);
	return 0;
}
