/* minisign's files: public keys, secret keys, signatures. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/minisign.h"
#include "crypt/minisign_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* The key of tests/vectors/keys, whose signature lies in the corpus. */
static const char pub[] =
    "RWTx4tPEtaaXiDjHv8rA2ur6RxL21mkoQ8Rqj95tGkVUJihJTVTh6iAq\n";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dr_verify_keys *ours;
	struct dr_verify_keys *keys;
	struct dr_sign_key *k;
	struct dr_err err = { 0 };
	char *text, signer[DR_KEYID_HEX];
	bool encrypted = false;

	if ((text = calloc(1, size + (size == 0))) == NULL ||
	    (ours == NULL && (ours = dr_verify_keys_parse(pub, strlen(pub), "x",
	                          &err)) == NULL))
		abort();
	if (size > 0)
		memcpy(text, data, size);

	if ((keys = dr_verify_keys_parse(text, size, "k", &err)) == NULL &&
	    err.cause != DR_EUSAGE)
		abort();
	dr_verify_keys_free(keys);

	memset(&err, 0, sizeof(err));
	k = dr_sign_key_parse(text, size, "s", false, NULL, &encrypted, &err);
	if ((k == NULL) != (encrypted || err.cause != DR_OK))
		abort();
	dr_sign_key_free(k);

	memset(&err, 0, sizeof(err));
	if (dr_verify(ours, "data that is signed\n", 20, text, size,
	        "file:minisign.data", signer, &err) == 0) {
		if (strcmp(signer, "8897a6b5c4d3e2f1") != 0 ||
		    dr_sig_claims(text, size, signer, &err) == -1)
			abort();
	} else if (err.cause != DR_EDATA)
		abort();
	free(text);
	return 0;
}
