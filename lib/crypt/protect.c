#include "crypt/protect.h"

#include <sodium.h>
#include <string.h>

#include "crypt/aead.h"
#include "crypt/armor.h"
#include "crypt/header.h"
#include "crypt/keys.h"
#include "crypt/unseal.h"

bool
dr_protected(const char *s, size_t len)
{
	enum dr_cipher cipher;

	return dr_armor_is(s, len) || dr_seal_sniff(s, len, &cipher) == 0;
}

struct asked {
	const char *name, *file;
};

static int
by_passphrase(const struct dr_header *h, const void *arg, struct dr_filekey *fk,
    struct dr_err *err)
{
	const struct asked *a = arg;
	char *prompt, *pass = NULL;
	int rc = -1;

	if (!dr_header_has_passphrase(h))
		return dr_err_set(err, DR_EUSAGE,
		    "sealed to recipients, not protected by a passphrase");
	if ((prompt = dr_fmt(err, "Passphrase for \"%s\": ", a->name)) !=
	        NULL &&
	    (pass = dr_passphrase_new(a->file, prompt, false, err)) != NULL)
		rc = dr_header_open_passphrase(h, pass, fk, err);
	free(prompt);
	sodium_free(pass);
	return rc;
}

int
dr_unprotect(const char *s, size_t len, const char *name,
    const char *passphrase_file, struct dr_secret *plain, struct dr_err *err)
{
	struct dr_buf bytes = { .max = DR_KEY_FILE_MAX };
	const struct asked asked = { name, passphrase_file };
	struct dr_source *in = NULL, *open = NULL;
	ssize_t n;
	int rc = -1;

	if (dr_armor_is(s, len)) {
		if (dr_armor_decode(s, len, &bytes, err) == -1)
			goto out;
		s = bytes.data;
		len = bytes.len;
	}
	plain->exposed = false;
	if ((plain->data = dr_secret_new(DR_CHUNK + 1, err)) == NULL ||
	    (in = dr_source_mem(s, len, 0, err)) == NULL ||
	    (open = dr_unseal_with(in, by_passphrase, &asked, err)) == NULL)
		goto out;
	in = open;
	/* A chunk holds any key file; one byte more shows that it does not. */
	n = dr_source_fill(in, plain->data, DR_CHUNK + 1, err);
	if (n == -1)
		goto out;
	if (n > (ssize_t)DR_CHUNK) {
		dr_err_set(err, DR_EDATA, "larger than a key file can be");
		goto out;
	}
	plain->data[n] = '\0';
	plain->len = (size_t)n;
	rc = 0;

out:
	dr_source_free(in);
	dr_buf_free(&bytes);
	if (rc == -1) {
		dr_secret_wipe(plain);
		dr_err_wrap(err, "cannot open \"%s\"", name);
	}
	return rc;
}

int
dr_protect(const void *data, size_t len, const char *passphrase,
    unsigned work_factor, struct dr_buf *out, struct dr_err *err)
{
	struct dr_buf bytes = { .max = DR_HEADER_MAX };
	unsigned char nonce[DR_SEAL_NONCE], key[DR_AEAD_KEY] = { 0 };
	struct dr_filekey fk = { { 0 }, 0 };
	struct dr_aead *aead = NULL;
	int rc = -1;

	if (len > DR_CHUNK)
		return dr_err_set(err, DR_EUSAGE, "too large for a key file");
	randombytes_buf(nonce, sizeof(nonce));
	if (dr_sodium(err) == -1 ||
	    dr_header_make_passphrase(passphrase, work_factor, &fk, &bytes,
	        err) == -1 ||
	    dr_buf_add(&bytes, nonce, sizeof(nonce), err) == -1 ||
	    dr_payload_key(&fk, nonce, key, err) == -1 ||
	    (aead = dr_aead_new(DR_CIPHER_AGE, key, true, err)) == NULL ||
	    dr_buf_room(&bytes, len + DR_TAG, err) == -1 ||
	    dr_aead_seal(aead, 0, true, data, len, bytes.data + bytes.len,
	        err) == -1)
		goto out;
	bytes.len += len + DR_TAG;
	rc = dr_armor_encode(bytes.data, bytes.len, out, err);

out:
	dr_aead_free(aead);
	sodium_memzero(&fk, sizeof(fk));
	sodium_memzero(key, sizeof(key));
	dr_buf_free(&bytes);
	return rc;
}
