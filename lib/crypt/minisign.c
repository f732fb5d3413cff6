#include "crypt/minisign.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "crypt/base64.h"
#include "crypt/keys.h"
#include "crypt/minisign_format.h"
#include "crypt/secret.h"

#define B64      sodium_base64_VARIANT_ORIGINAL
#define KEYS_MAX 4096U

void
dr_keyid_text(const unsigned char id[DR_MS_KEYID], char out[DR_KEYID_HEX])
{
	snprintf(out, DR_KEYID_HEX, "%016llx",
	    (unsigned long long)dr_get64(id));
}

bool
dr_ms_line(const char *text, size_t len, size_t *at, const char **s, size_t *n)
{
	const char *nl;

	if (*at >= len)
		return false;
	*s = text + *at;
	nl = memchr(*s, '\n', len - *at);
	*n = nl != NULL ? (size_t)(nl - *s) : len - *at;
	*at += *n + (nl != NULL);
	if (*n > 0 && (*s)[*n - 1] == '\r')
		--*n;
	return true;
}

bool
dr_ms_base64(const char *s, size_t n, unsigned char *out, size_t size)
{
	size_t got;

	return dr_unbase64(out, size, s, n, B64, &got) == 0 && got == size;
}

bool
dr_ms_is_secret(const char *s, size_t n)
{
	return n >= 8 &&
	       (memcmp(s, "RWRTY0Iy", 8) == 0 || memcmp(s, "RWQAAEIy", 8) == 0);
}

static bool
begins(const char *s, size_t n, const char *with)
{
	return n >= strlen(with) && memcmp(s, with, strlen(with)) == 0;
}

/* --- public keys --------------------------------------------------------- */

static int
add_key(struct dr_verify_keys *keys, const char *s, size_t n, const char *name,
    struct dr_err *err)
{
	unsigned char raw[DR_MS_PUBLIC];
	struct dr_verify_key *more;
	size_t cap;

	if (dr_ms_is_secret(s, n)) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" holds a secret key, not a public one", name);
		return dr_err_hint(err,
		    "dr-key sign-public prints the public half");
	}
	if (!dr_ms_base64(s, n, raw, sizeof(raw)) || memcmp(raw, "Ed", 2) != 0)
		return dr_err_set(err, DR_EUSAGE,
		    "\"%s\" holds what is no minisign public key", name);
	for (size_t i = 0; i < keys->n; i++)
		if (memcmp(keys->v[i].id, raw + 2, DR_MS_KEYID) == 0 &&
		    memcmp(keys->v[i].key, raw + 10, 32) == 0)
			return 0;
	if (keys->n == keys->cap) {
		if (keys->n >= KEYS_MAX)
			return dr_err_set(err, DR_EUSAGE,
			    "\"%s\" holds more than %u keys", name, KEYS_MAX);
		cap = keys->cap == 0 ? 4 : 2 * keys->cap;
		if ((more = reallocarray(keys->v, cap, sizeof(*more))) == NULL)
			return dr_err_sys(err, "cannot allocate keys");
		keys->v = more;
		keys->cap = cap;
	}
	memcpy(keys->v[keys->n].id, raw + 2, DR_MS_KEYID);
	memcpy(keys->v[keys->n].key, raw + 2 + DR_MS_KEYID, 32);
	keys->n++;
	return 0;
}

struct dr_verify_keys *
dr_verify_keys_parse(const char *text, size_t len, const char *name,
    struct dr_err *err)
{
	struct dr_verify_keys *keys;
	const char *s;
	size_t at = 0, n;

	if (dr_sodium(err) == -1)
		return NULL;
	if ((keys = calloc(1, sizeof(*keys))) == NULL) {
		dr_err_sys(err, "cannot allocate keys");
		return NULL;
	}
	while (dr_ms_line(text, len, &at, &s, &n)) {
		n = dr_line_trim(s, n);
		if (n > 0 && s[0] != '#' &&
		    !begins(s, n, "untrusted comment:") &&
		    add_key(keys, s, n, name, err) == -1)
			goto fail;
	}
	if (keys->n == 0) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" holds no public key", name);
		goto fail;
	}
	return keys;

fail:
	dr_verify_keys_free(keys);
	return NULL;
}

struct dr_verify_keys *
dr_verify_keys_load(const char *file, struct dr_err *err)
{
	struct dr_verify_keys *keys;
	struct dr_secret text = { 0 };

	/* Locked memory, in case it is the secret key by mistake. */
	if (dr_secret_file(&text, file, DR_KEY_FILE_MAX, err) == -1)
		return NULL;
	keys = dr_verify_keys_parse(text.data, text.len, file, err);
	dr_secret_wipe(&text);
	return keys;
}

int
dr_verify_keys_sum(const struct dr_verify_keys *keys, char out[65],
    struct dr_err *err)
{
	return dr_sha256_hex(keys->v, keys->n * sizeof(*keys->v), out, err);
}

void
dr_verify_keys_free(struct dr_verify_keys *keys)
{
	if (keys == NULL)
		return;
	free(keys->v);
	free(keys);
}

/* --- signatures ---------------------------------------------------------- */

int
dr_minisig_parse(const char *text, size_t len, struct dr_minisig *m,
    struct dr_err *err)
{
	unsigned char raw[DR_MS_SIGNATURE];
	const char *s;
	size_t at = 0, n;

	if (!dr_ms_line(text, len, &at, &s, &n) ||
	    !begins(s, n, DR_MS_COMMENT) ||
	    !dr_ms_line(text, len, &at, &s, &n) ||
	    !dr_ms_base64(s, n, raw, sizeof(raw)))
		goto bad;
	if (memcmp(raw, "Ed", 2) == 0) {
		dr_err_set(err, DR_EDATA,
		    "a signature in minisign's legacy format");
		return dr_err_hint(err, "sign again, without minisign's -l");
	}
	if (memcmp(raw, "ED", 2) != 0)
		goto bad;
	memcpy(m->id, raw + 2, DR_MS_KEYID);
	memcpy(m->sig, raw + 2 + DR_MS_KEYID, sizeof(m->sig));
	if (!dr_ms_line(text, len, &at, &s, &n) ||
	    !begins(s, n, DR_MS_TRUSTED) ||
	    n > sizeof(DR_MS_TRUSTED) - 1 + DR_MS_COMMENT_MAX)
		goto bad;
	m->trusted = s + sizeof(DR_MS_TRUSTED) - 1;
	m->trusted_len = n - (sizeof(DR_MS_TRUSTED) - 1);
	if (!dr_ms_line(text, len, &at, &s, &n) ||
	    !dr_ms_base64(s, n, m->global, sizeof(m->global)) || at != len)
		goto bad;
	return 0;

bad:
	return dr_err_set(err, DR_EDATA, "not a minisign signature");
}

int
dr_sig_claims(const char *sig, size_t len, char signer[DR_KEYID_HEX],
    struct dr_err *err)
{
	struct dr_minisig m;

	if (dr_minisig_parse(sig, len, &m, err) == -1)
		return -1;
	dr_keyid_text(m.id, signer);
	return 0;
}

/* Ed25519 over the signature and the trusted comment, one after the other. */
static bool
global_good(const struct dr_minisig *m, const unsigned char key[32])
{
	unsigned char both[64 + DR_MS_COMMENT_MAX];

	memcpy(both, m->sig, 64);
	if (m->trusted_len > 0)
		memcpy(both + 64, m->trusted, m->trusted_len);
	return crypto_sign_verify_detached(m->global, both, 64 + m->trusted_len,
	           key) == 0;
}

int
dr_verify(const struct dr_verify_keys *keys, const void *data, size_t len,
    const char *sig, size_t sig_len, const char *trusted,
    char signer[DR_KEYID_HEX], struct dr_err *err)
{
	unsigned char hash[64];
	char id[DR_KEYID_HEX];
	struct dr_minisig m;
	bool known = false;

	if (dr_minisig_parse(sig, sig_len, &m, err) == -1)
		return -1;
	dr_keyid_text(m.id, id);
	crypto_generichash(hash, sizeof(hash), data, len, NULL, 0);
	for (size_t i = 0; i < keys->n; i++) {
		const struct dr_verify_key *k = &keys->v[i];

		if (memcmp(k->id, m.id, DR_MS_KEYID) != 0)
			continue;
		known = true;
		if (crypto_sign_verify_detached(m.sig, hash, sizeof(hash),
		        k->key) != 0 ||
		    !global_good(&m, k->key))
			continue;
		if (trusted != NULL &&
		    (strlen(trusted) != m.trusted_len ||
		        memcmp(trusted, m.trusted, m.trusted_len) != 0))
			return dr_err_set(err, DR_EDATA,
			    "the signature is for something else: its trusted "
			    "comment is not \"%s\"",
			    trusted);
		memcpy(signer, id, sizeof(id));
		return 0;
	}
	if (known)
		return dr_err_set(err, DR_EDATA,
		    "the signature by %s does not match", id);
	dr_err_set(err, DR_EDATA,
	    "signed by %s, which is not among the trusted keys", id);
	return dr_err_hint(err,
	    "if that signer is to be trusted, add its public key to the file "
	    "of -K");
}
