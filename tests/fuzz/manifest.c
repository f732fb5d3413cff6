/* manifest.c - any bytes as a manifest: refused, or written back the same. */
#include "manifest/manifest.h"

#include <assert.h>
#include <stdint.h>

#include "manifest/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dr_buf line = { .max = 4 * DR_MANIFEST_LINE_MAX };
	struct dr_err err = { 0 };
	struct dr_link link;
	json_t *m, *again;

	m = dr_manifest_parse((const char *)data, size, "x", &err);
	if (m == NULL) {
		assert(err.cause == DR_EDATA);
		return 0;
	}
	assert(dr_id_ok(dr_manifest_str(m, "id")));
	if (dr_manifest_line(m, &line, &err) == 0) {
		again = dr_manifest_parse(line.data, line.len, "x", &err);
		assert(again != NULL && json_equal(m, again));
		json_decref(again);
	}
	dr_err_clear(&err);
	if (dr_link_from(m, "", false, &link, &err) == 0)
		assert(link.seq > 0);
	dr_buf_free(&line);
	json_decref(m);
	return 0;
}
