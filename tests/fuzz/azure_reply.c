/* azure_reply.c - any bytes as what Azure answers: a list, blocks, an error. */
#include "store/azure.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int
on_entry(void *arg, const struct dr_az_entry *e, struct dr_err *err)
{
	size_t *n = arg;

	(void)err;
	assert(e->name != NULL && *e->name != '\0');
	assert(strlen(e->mark) < DR_AZ_MARK_LEN && e->size <= INT64_MAX);
	assert(e->version == NULL || strlen(e->version) <= 16384);
	return ++*n > 100000 ? -1 : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct dr_buf marker = { .max = 65536 };
	struct dr_err err = { 0 };
	struct dr_http_req q = { 0 };
	struct dr_az_blocks b;
	char code[64], *token;
	int64_t expires, again;
	size_t n = 0;

	if (dr_az_parse_list(text, size, on_entry, &n, &marker, &err) == -1)
		assert(err.cause == DR_EDATA);
	dr_buf_free(&marker);
	dr_err_clear(&err);
	if (dr_az_parse_blocks(text, size, &b, &err) == -1)
		assert(err.cause == DR_EDATA);
	else
		assert(b.foreign + b.marks <= b.pending);

	q.reply.data = (char *)(uintptr_t)text;
	q.reply.len = size;
	dr_az_code(&q, code);
	assert(strpbrk(code, " \r\n%\"") == NULL);
	(void)dr_az_verdict(400, code);

	dr_err_clear(&err);
	if (dr_az_token_parse(text, size, 0, &token, &expires, &err) == 0) {
		assert(strpbrk(token, " \r\n") == NULL && expires >= 0);
		free(token);
	}
	/* As a date, and back. */
	if (size == 29) {
		char date[30], out[DR_AZ_DATE_LEN];

		memcpy(date, data, 29);
		date[29] = '\0';
		if (dr_az_parse_date(date, &expires))
			assert(dr_az_parse_date(dr_az_date(expires, out),
			           &again) &&
			       again == expires);
	}
	return 0;
}
