#include "crypt/aead.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define NONCE 12

struct dr_aead {
	EVP_CIPHER_CTX *ctx;
};

struct dr_aead *
dr_aead_new(enum dr_cipher cipher, const unsigned char key[DR_AEAD_KEY],
    bool seal, struct dr_err *err)
{
	const EVP_CIPHER *evp = cipher == DR_CIPHER_AES
	                            ? EVP_aes_256_gcm()
	                            : EVP_chacha20_poly1305();
	struct dr_aead *a;

	if ((a = calloc(1, sizeof(*a))) == NULL ||
	    (a->ctx = EVP_CIPHER_CTX_new()) == NULL) {
		dr_err_set(err, DR_EFAIL, "cannot allocate a cipher");
		goto fail;
	}
	if (EVP_CipherInit_ex(a->ctx, evp, NULL, key, NULL, seal) != 1) {
		dr_err_set(err, DR_EFAIL, "cannot start the cipher");
		goto fail;
	}
	return a;

fail:
	dr_aead_free(a);
	return NULL;
}

void
dr_aead_free(struct dr_aead *a)
{
	if (a == NULL)
		return;
	EVP_CIPHER_CTX_free(a->ctx);
	free(a);
}

/* Big-endian chunk number in 11 bytes, then the mark of the last. */
static void
nonce(unsigned char out[NONCE], uint64_t n, bool last)
{
	memset(out, 0, NONCE);
	for (unsigned i = 0; i < 8; i++)
		out[3 + i] = (unsigned char)(n >> (8 * (7 - i)));
	out[11] = last;
}

int
dr_aead_seal(struct dr_aead *a, uint64_t n, bool last, const void *in,
    size_t len, void *out, struct dr_err *err)
{
	unsigned char iv[NONCE], *to = out;
	int got = 0;

	nonce(iv, n, last);
	if (EVP_CipherInit_ex(a->ctx, NULL, NULL, NULL, iv, 1) != 1 ||
	    (len > 0 &&
	        EVP_CipherUpdate(a->ctx, to, &got, in, (int)len) != 1) ||
	    EVP_CipherFinal_ex(a->ctx, to + got, &got) != 1 ||
	    EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, DR_TAG,
	        to + len) != 1)
		return dr_err_set(err, DR_EFAIL, "cannot encrypt");
	return 0;
}

bool
dr_aead_open(struct dr_aead *a, uint64_t n, bool last, const void *in,
    size_t len, void *out)
{
	unsigned char iv[NONCE], tag[DR_TAG], *to = out;
	const unsigned char *from = in;
	int got = 0;

	len -= DR_TAG;
	memcpy(tag, from + len, sizeof(tag));
	nonce(iv, n, last);
	if (EVP_CipherInit_ex(a->ctx, NULL, NULL, NULL, iv, 0) == 1 &&
	    EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, DR_TAG, tag) ==
	        1 &&
	    (len == 0 ||
	        EVP_CipherUpdate(a->ctx, to, &got, from, (int)len) == 1) &&
	    EVP_CipherFinal_ex(a->ctx, to + got, &got) == 1)
		return true;
	if (len > 0)
		sodium_memzero(out, len);
	return false;
}

int
dr_wrap(enum dr_cipher cipher, const unsigned char key[DR_AEAD_KEY],
    const void *in, size_t len, void *out, struct dr_err *err)
{
	struct dr_aead *a;
	int rc;

	if ((a = dr_aead_new(cipher, key, true, err)) == NULL)
		return -1;
	rc = dr_aead_seal(a, 0, false, in, len, out, err);
	dr_aead_free(a);
	return rc;
}

int
dr_unwrap(enum dr_cipher cipher, const unsigned char key[DR_AEAD_KEY],
    const void *in, size_t len, void *out, struct dr_err *err)
{
	struct dr_aead *a;
	bool good;

	if ((a = dr_aead_new(cipher, key, false, err)) == NULL)
		return -1;
	good = dr_aead_open(a, 0, false, in, len, out);
	dr_aead_free(a);
	return good;
}

int
dr_hmac(const void *key, size_t key_len, const void *data, size_t len,
    unsigned char out[32], struct dr_err *err)
{
	unsigned n = 32;

	if (HMAC(EVP_sha256(), key, (int)key_len, data, len, out, &n) == NULL)
		return dr_err_set(err, DR_EFAIL, "cannot compute HMAC");
	return 0;
}

int
dr_hkdf(const void *ikm, size_t ikm_len, const void *salt, size_t salt_len,
    const char *info, unsigned char out[32], struct dr_err *err)
{
	unsigned char prk[32], msg[64];
	size_t n = strlen(info);
	int rc = -1;

	/* One block of output: T(1) = HMAC(PRK, info || 1). */
	if (n >= sizeof(msg))
		return dr_err_set(err, DR_EFAIL, "label too long");
	memcpy(msg, info, n);
	msg[n] = 1;
	if (dr_hmac(salt_len > 0 ? salt : "", salt_len, ikm, ikm_len, prk,
	        err) == 0)
		rc = dr_hmac(prk, sizeof(prk), msg, n + 1, out, err);
	sodium_memzero(prk, sizeof(prk));
	return rc;
}
