/*
 * The two kinds of stanza: X25519, for a recipient, and scrypt, for a
 * passphrase (c2sp.org/age).
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "crypt/aead.h"
#include "crypt/base64.h"
#include "crypt/header.h"
#include "crypt/keys.h"
#include "crypt/secret.h"

#define LABEL_X25519 "age-encryption.org/v1/X25519"
#define LABEL_SCRYPT "age-encryption.org/v1/scrypt"
#define B64          sodium_base64_VARIANT_ORIGINAL_NO_PADDING
#define B64_32       44 /* 32 bytes in base64 and a NUL */

#define SCRYPT_SALT 16
#define SCRYPT_MAX  22U /* 4 GiB */

static bool
is(const struct dr_stanza *st, const char *type)
{
	return st->arg_len[0] == strlen(type) &&
	       memcmp(st->arg[0], type, st->arg_len[0]) == 0;
}

static size_t
key_len(enum dr_cipher cipher)
{
	return cipher == DR_CIPHER_AES ? 32 : 16;
}

/* The key that wraps the file key, from the shared secret. */
static int
x25519_key(const unsigned char scalar[32], const unsigned char point[32],
    const unsigned char share[32], const unsigned char recipient[32],
    unsigned char key[32], struct dr_err *err)
{
	unsigned char secret[32], salt[64];
	int rc;

	/* It refuses points of low order: the secret would be zero. */
	if (crypto_scalarmult_curve25519(secret, scalar, point) != 0)
		return dr_err_set(err, DR_EDATA,
		    "a public key in the seal's header is a weak one");
	memcpy(salt, share, 32);
	memcpy(salt + 32, recipient, 32);
	rc = dr_hkdf(secret, sizeof(secret), salt, sizeof(salt), LABEL_X25519,
	    key, err);
	sodium_memzero(secret, sizeof(secret));
	return rc;
}

/* 1: opened; 0: for another identity; -1. */
static int
x25519_open(const struct dr_stanza *st, enum dr_cipher cipher,
    const struct dr_identity *id, struct dr_filekey *fk, struct dr_err *err)
{
	unsigned char share[32], key[32];
	size_t got;
	int rc;

	if (st->args != 2 || st->arg_len[1] != B64_32 - 1 ||
	    dr_unbase64(share, sizeof(share), st->arg[1], st->arg_len[1], B64,
	        &got) != 0 ||
	    got != sizeof(share) || st->body_len != key_len(cipher) + DR_TAG)
		return dr_err_set(err, DR_EDATA,
		    "an X25519 stanza of the seal's header is malformed");
	if (x25519_key(id->secret, share, share, id->public, key, err) == -1)
		return -1;
	rc = dr_unwrap(cipher, key, st->body, st->body_len, fk->b, err);
	fk->len = key_len(cipher);
	sodium_memzero(key, sizeof(key));
	return rc;
}

bool
dr_header_has_passphrase(const struct dr_header *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (is(&h->v[i], "scrypt"))
			return true;
	return false;
}

int
dr_header_open(const struct dr_header *h, const struct dr_identities *ids,
    struct dr_filekey *fk, struct dr_err *err)
{
	size_t n = 0;
	int rc;

	if (dr_header_has_passphrase(h)) {
		dr_err_set(err, DR_EDATA,
		    "the input is sealed with a passphrase, not to "
		    "recipients");
		return dr_err_hint(err, "age -d opens it");
	}
	for (size_t i = 0; i < h->n; i++) {
		if (!is(&h->v[i], "X25519"))
			continue;
		n++;
		for (size_t k = 0; k < ids->n; k++) {
			rc = x25519_open(&h->v[i], h->cipher, ids->v[k], fk,
			    err);
			if (rc == -1)
				return -1;
			if (rc == 1)
				return dr_header_check(h, fk, err);
		}
	}
	dr_err_set(err, DR_EDATA,
	    "no identity matches the recipients of the sealed data "
	    "(%zu tried against %zu)",
	    ids->n, n);
	return dr_err_hint(err,
	    "dr-key show prints an identity's fingerprint; the manifest lists "
	    "those of the recipients under seal");
}

static int
scrypt_key(const char *pass, const unsigned char salt[SCRYPT_SALT],
    unsigned factor, unsigned char key[32], struct dr_err *err)
{
	unsigned char full[sizeof(LABEL_SCRYPT) - 1 + SCRYPT_SALT];

	memcpy(full, LABEL_SCRYPT, sizeof(LABEL_SCRYPT) - 1);
	memcpy(full + sizeof(LABEL_SCRYPT) - 1, salt, SCRYPT_SALT);
	if (crypto_pwhash_scryptsalsa208sha256_ll((const unsigned char *)pass,
	        strlen(pass), full, sizeof(full), UINT64_C(1) << factor, 8, 1,
	        key, 32) != 0)
		return dr_err_sys(err,
		    "cannot derive a key from the passphrase");
	return 0;
}

/* The work factor: 1 to SCRYPT_MAX in decimal, without zeros before. */
static unsigned
work_factor(const struct dr_stanza *st)
{
	unsigned n = 0;

	if (st->arg_len[2] < 1 || st->arg_len[2] > 2 || st->arg[2][0] == '0')
		return 0;
	for (size_t i = 0; i < st->arg_len[2]; i++) {
		if (st->arg[2][i] < '0' || st->arg[2][i] > '9')
			return 0;
		n = 10 * n + (unsigned)(st->arg[2][i] - '0');
	}
	return n;
}

int
dr_header_open_passphrase(const struct dr_header *h, const char *pass,
    struct dr_filekey *fk, struct dr_err *err)
{
	const struct dr_stanza *st = &h->v[0];
	unsigned char salt[SCRYPT_SALT], key[32];
	unsigned factor;
	size_t got;
	int rc;

	/* Beside a passphrase there can be no other recipient. */
	if (h->cipher != DR_CIPHER_AGE || h->n != 1 || !is(st, "scrypt") ||
	    st->args != 3 ||
	    dr_unbase64(salt, sizeof(salt), st->arg[1], st->arg_len[1], B64,
	        &got) != 0 ||
	    got != sizeof(salt) || (factor = work_factor(st)) == 0 ||
	    st->body_len != 16 + DR_TAG)
		return dr_err_set(err, DR_EDATA,
		    "the scrypt stanza of the seal's header is malformed");
	if (factor > SCRYPT_MAX)
		return dr_err_set(err, DR_EDATA,
		    "the passphrase's work factor, %u, is above %u", factor,
		    SCRYPT_MAX);
	if (scrypt_key(pass, salt, factor, key, err) == -1)
		return -1;
	rc = dr_unwrap(DR_CIPHER_AGE, key, st->body, st->body_len, fk->b, err);
	fk->len = 16;
	sodium_memzero(key, sizeof(key));
	if (rc == 0)
		dr_err_set(err, DR_EDATA, "the passphrase is wrong");
	return rc == 1 ? dr_header_check(h, fk, err) : -1;
}

int
dr_header_wrap(enum dr_cipher cipher, const struct dr_recipients *r,
    struct dr_filekey *fk, struct dr_buf *out, struct dr_err *err)
{
	unsigned char once[32], share[32], key[32], body[32 + DR_TAG];
	char args[sizeof("X25519 ") + B64_32], *b64 = args + 7;
	int rc = -1;

	if (dr_header_begin(cipher, fk, out, err) == -1)
		return -1;
	for (size_t i = 0; i < r->n; i++) {
		randombytes_buf(once, sizeof(once));
		memcpy(args, "X25519 ", 7);
		if (crypto_scalarmult_curve25519_base(share, once) != 0) {
			dr_err_set(err, DR_EFAIL, "cannot make a key");
			goto out;
		}
		sodium_bin2base64(b64, B64_32, share, sizeof(share), B64);
		if (x25519_key(once, r->v[i], share, r->v[i], key, err) == -1 ||
		    dr_wrap(cipher, key, fk->b, fk->len, body, err) == -1 ||
		    dr_header_stanza(out, args, body, fk->len + DR_TAG, err) ==
		        -1)
			goto out;
	}
	rc = 0;

out:
	sodium_memzero(once, sizeof(once));
	sodium_memzero(key, sizeof(key));
	return rc;
}

int
dr_header_make_passphrase(const char *pass, unsigned factor,
    struct dr_filekey *fk, struct dr_buf *out, struct dr_err *err)
{
	unsigned char salt[SCRYPT_SALT], key[32], body[16 + DR_TAG];
	char b64[B64_32], args[64];
	size_t from = out->len;
	int rc = -1;

	randombytes_buf(salt, sizeof(salt));
	sodium_bin2base64(b64, sizeof(b64), salt, sizeof(salt), B64);
	snprintf(args, sizeof(args), "scrypt %s %u", b64, factor);
	if (dr_header_begin(DR_CIPHER_AGE, fk, out, err) == 0 &&
	    scrypt_key(pass, salt, factor, key, err) == 0 &&
	    dr_wrap(DR_CIPHER_AGE, key, fk->b, fk->len, body, err) == 0 &&
	    dr_header_stanza(out, args, body, sizeof(body), err) == 0)
		rc = dr_header_end(fk, from, out, err);
	sodium_memzero(key, sizeof(key));
	return rc;
}
