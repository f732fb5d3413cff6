/* s3_xml.c - replies of S3 as an attacker would write them. */
#include <stdint.h>
#include <string.h>

#include "store/s3.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int
on_entry(void *arg, const struct dr_s3_entry *e, struct dr_err *err)
{
	(void)err;
	*(size_t *)arg += strlen(e->key) + strlen(e->id);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct dr_s3_next next = { 0 };
	struct dr_err err = { 0 };
	struct dr_s3_said said;
	const char *xml = (const char *)data;
	size_t sum = 0;
	char out[64];

	(void)dr_s3_page(xml, len, on_entry, &sum, &next, &err);
	dr_s3_next_wipe(&next);
	(void)dr_s3_said(xml, len, &said);
	dr_err_clear(&err);
	(void)dr_s3_element(xml, len, "Retention/Mode", out, sizeof(out), &err);
	return 0;
}
