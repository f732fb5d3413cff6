/* ledger.c - any bytes as a ledger: refused, or written back the same. */
#include "manifest/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dr_buf one = { .max = 2 * DR_LEDGER_MAX };
	struct dr_buf two = { .max = 2 * DR_LEDGER_MAX };
	struct dr_err err = { 0 };
	struct dr_ledger l, named;
	char *name;

	if (dr_ledger_parse((const char *)data, size, "x", &l, &err) == -1) {
		assert(err.cause == DR_EDATA && l.object == NULL);
		return 0;
	}
	assert(l.n > 0 && (l.prev_name == NULL) == (l.n == 1));
	name = dr_ledger_name(&l, &err);
	assert(name != NULL);
	/* A year of five digits fits no name. */
	if (dr_ledger_name_parse(name, &named) == 1)
		assert(named.n == l.n && strcmp(named.signer, l.signer) == 0);
	free(name);
	assert(dr_ledger_write(&l, &one, &err) == 0);
	dr_ledger_wipe(&l);
	if (one.len <= DR_LEDGER_MAX) {
		assert(dr_ledger_parse(one.data, one.len, "x", &l, &err) == 0);
		assert(dr_ledger_write(&l, &two, &err) == 0);
		assert(one.len == two.len &&
		       memcmp(one.data, two.data, one.len) == 0);
		dr_ledger_wipe(&l);
	}
	dr_buf_free(&one);
	dr_buf_free(&two);
	return 0;
}
