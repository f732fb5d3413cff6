/*
 * The header of sealed data: whatever parses is found at the same length,
 * and is only opened by its key, which the corpus's files are for.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/header.h"
#include "crypt/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* The key of tests/vectors/seal. */
static struct dr_identities *
identities(void)
{
	static const char text[] =
	    "AGE-SECRET-KEY-1FSFPCMJ9H9GVQKC35WWTWD3HN5X70UEKS80XR9S9EW8TFX"
	    "AYA6QQ4HUXRP";
	static struct dr_identities *ids;
	struct dr_err err = { 0 };

	if (ids == NULL && ((ids = dr_identities_new(&err)) == NULL ||
	                       dr_identities_text(ids, text, strlen(text), "x",
	                           NULL, &err) == -1))
		abort();
	return ids;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dr_err err = { 0 };
	struct dr_filekey fk;
	struct dr_header h;
	ssize_t len, step = 0;
	char *text;

	/* Exactly as long, so that a read beyond it shows. */
	if ((text = calloc(1, size + (size == 0))) == NULL)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	len = dr_header_find(text, size, 0, &err);
	if (len == -1 && err.cause != DR_EDATA)
		abort();
	/* Found a piece at a time, it is the same. */
	for (size_t n = 1, seen = 0; n <= size && step == 0; seen = n, n += 7)
		step = dr_header_find(text, n, seen, &err);
	if (len > 0 && step > 0 && step != len)
		abort();
	err = (struct dr_err){ 0 };
	if (len > 0 && dr_header_parse(&h, text, (size_t)len, &err) == 0) {
		if (h.n == 0 || h.mac_len >= (size_t)len)
			abort();
		if (dr_header_open(&h, identities(), &fk, &err) == 0 &&
		    fk.len != 16 && fk.len != 32)
			abort();
		dr_header_wipe(&h);
	}
	if (err.cause != DR_OK && err.cause != DR_EDATA)
		abort();
	free(text);
	return 0;
}
