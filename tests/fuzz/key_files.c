/* Files of identities, recipients and armor, in whatever form. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/armor.h"
#include "crypt/keys.h"
#include "crypt/protect.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dr_buf out = { .max = 1U << 20 }, again = { .max = 2U << 20 };
	struct dr_recipients *r;
	struct dr_identities *ids;
	struct dr_err err = { 0 };
	char *text, key[DR_BECH32_LEN];

	/* Exactly as long, so that a read beyond it shows. */
	if ((text = calloc(1, size + (size == 0))) == NULL)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	if ((r = dr_recipients_new(&err)) == NULL ||
	    (ids = dr_identities_new(&err)) == NULL)
		abort();
	if (dr_recipients_text(r, text, size, "r", &err) == 0)
		for (size_t i = 0; i < r->n; i++) {
			dr_recipient_text(r->v[i], key);
			if (memmem(text, size, key, strlen(key)) == NULL)
				abort();
		}
	else if (err.cause != DR_EUSAGE)
		abort();
	memset(&err, 0, sizeof(err));
	/* A passphrase is never had here: the file is not there. */
	if (dr_identities_text(ids, text, size, "i", "/nonexistent", &err) ==
	        0 &&
	    ids->n == 0)
		abort();
	memset(&err, 0, sizeof(err));
	if (dr_armor_decode(text, size, &out, &err) == 0) {
		if (!dr_protected(text, size) ||
		    dr_armor_encode(out.data, out.len, &again, &err) == -1)
			abort();
		out.max = 2U << 20;
		out.len = 0;
		if (dr_armor_decode(again.data, again.len, &out, &err) == -1)
			abort();
	}
	dr_recipients_free(r);
	dr_identities_free(ids);
	dr_buf_free(&out);
	dr_buf_free(&again);
	free(text);
	return 0;
}
