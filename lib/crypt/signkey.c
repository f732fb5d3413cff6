/*
 * Secret keys in minisign's file format, and signing with them.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "crypt/keys.h"
#include "crypt/minisign.h"
#include "crypt/minisign_format.h"
#include "crypt/secret.h"

#define B64 sodium_base64_VARIANT_ORIGINAL

/* What minisign itself writes at most; a file that asks for more is odd. */
#define OPS_MAX crypto_pwhash_scryptsalsa208sha256_OPSLIMIT_SENSITIVE
#define MEM_MAX crypto_pwhash_scryptsalsa208sha256_MEMLIMIT_SENSITIVE

/* The file's bytes; those from ID on are xored with a stream if encrypted. */
struct secret_file {
	unsigned char alg[2];   /* "Ed" */
	unsigned char kdf[2];   /* "Sc", or zeros: not encrypted */
	unsigned char check[2]; /* "B2" */
	unsigned char salt[32];
	unsigned char ops[8], mem[8];
	unsigned char id[DR_MS_KEYID];
	unsigned char key[64]; /* seed and public key */
	unsigned char sum[32]; /* BLAKE2b-256 of alg, id and key */
};

_Static_assert(sizeof(struct secret_file) == DR_MS_SECRET, "no padding");

#define CRYPTED (DR_MS_KEYID + 64U + 32U)

struct dr_sign_key {
	unsigned char id[DR_MS_KEYID];
	unsigned char key[64];
	char id_text[DR_KEYID_HEX];
};

static void
checksum(const struct secret_file *f, unsigned char out[32])
{
	crypto_generichash_state st;

	crypto_generichash_init(&st, NULL, 0, 32);
	crypto_generichash_update(&st, f->alg, sizeof(f->alg));
	crypto_generichash_update(&st, f->id, sizeof(f->id));
	crypto_generichash_update(&st, f->key, sizeof(f->key));
	crypto_generichash_final(&st, out, 32);
	sodium_memzero(&st, sizeof(st));
}

/* Undo the encryption in place. */
static int
decrypt(struct secret_file *f, const char *name, const char *passphrase_file,
    struct dr_err *err)
{
	uint64_t ops = dr_get64(f->ops), mem = dr_get64(f->mem);
	unsigned char sum[32], *stream = NULL;
	char *pass = NULL, *prompt = NULL;
	int rc = -1;

	if (ops > OPS_MAX || mem > MEM_MAX)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" asks for more work or memory than any real key",
		    name);
	prompt = dr_fmt(err, "Passphrase for \"%s\": ", name);
	if (prompt == NULL ||
	    (pass = dr_passphrase_new(passphrase_file, prompt, false, err)) ==
	        NULL ||
	    (stream = dr_secret_new(CRYPTED, err)) == NULL)
		goto out;
	if (crypto_pwhash_scryptsalsa208sha256(stream, CRYPTED, pass,
	        strlen(pass), f->salt, ops, (size_t)mem) != 0) {
		dr_err_sys(err, "cannot derive a key from the passphrase");
		goto out;
	}
	for (size_t i = 0; i < DR_MS_KEYID; i++)
		f->id[i] ^= stream[i];
	for (size_t i = 0; i < sizeof(f->key); i++)
		f->key[i] ^= stream[DR_MS_KEYID + i];
	for (size_t i = 0; i < sizeof(f->sum); i++)
		f->sum[i] ^= stream[DR_MS_KEYID + sizeof(f->key) + i];
	checksum(f, sum);
	if (sodium_memcmp(sum, f->sum, sizeof(sum)) != 0)
		dr_err_set(err, DR_EDATA, "the passphrase for \"%s\" is wrong",
		    name);
	else
		rc = 0;

out:
	free(prompt);
	sodium_free(pass);
	sodium_free(stream);
	return rc;
}

/* A key out of the decrypted file, if its halves belong together. */
static struct dr_sign_key *
take(const struct secret_file *f, const char *name, struct dr_err *err)
{
	unsigned char pub[32], sum[32];
	struct dr_sign_key *k;

	/* minisign writes no checksum where it does not encrypt. */
	checksum(f, sum);
	if (!sodium_is_zero(f->sum, sizeof(f->sum)) &&
	    sodium_memcmp(sum, f->sum, sizeof(sum)) != 0)
		goto damaged;
	if ((k = dr_secret_new(sizeof(*k), err)) == NULL)
		return NULL;
	crypto_sign_seed_keypair(pub, k->key, f->key);
	if (sodium_memcmp(k->key, f->key, sizeof(k->key)) != 0) {
		sodium_free(k);
		goto damaged;
	}
	memcpy(k->id, f->id, sizeof(k->id));
	dr_keyid_text(k->id, k->id_text);
	return k;

damaged:
	dr_err_set(err, DR_EDATA, "the key in \"%s\" is damaged", name);
	return NULL;
}

struct dr_sign_key *
dr_sign_key_parse(const char *text, size_t len, const char *name, bool ask,
    const char *passphrase_file, bool *encrypted, struct dr_err *err)
{
	struct dr_sign_key *k = NULL;
	struct secret_file *f;
	size_t at = 0, n = 0;
	const char *s = text;

	if ((f = dr_secret_new(sizeof(*f), err)) == NULL)
		return NULL;
	if (!dr_ms_line(text, len, &at, &s, &n) ||
	    n < sizeof(DR_MS_COMMENT) - 1 ||
	    memcmp(s, DR_MS_COMMENT, sizeof(DR_MS_COMMENT) - 1) != 0 ||
	    !dr_ms_line(text, len, &at, &s, &n) ||
	    !dr_ms_base64(s, n, (unsigned char *)f, sizeof(*f)) || at != len ||
	    memcmp(f->alg, "Ed", 2) != 0 || memcmp(f->check, "B2", 2) != 0 ||
	    (memcmp(f->kdf, "Sc", 2) != 0 && memcmp(f->kdf, "\0", 2) != 0)) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is no minisign secret key, or damaged", name);
		goto out;
	}
	*encrypted = f->kdf[0] != 0;
	if (*encrypted && !ask)
		goto out;
	if (!*encrypted || decrypt(f, name, passphrase_file, err) == 0)
		k = take(f, name, err);

out:
	sodium_free(f);
	return k;
}

struct dr_sign_key *
dr_sign_key_load(const char *file, const char *passphrase_file,
    struct dr_err *err)
{
	struct dr_sign_key *k = NULL;
	struct dr_secret text = { 0 };
	bool encrypted;

	if (dr_secret_file(&text, file, DR_KEY_FILE_MAX, err) == -1)
		return NULL;
	if (text.exposed) {
		dr_err_set(err, DR_EUSAGE,
		    "the secret key in \"%s\" is open to other users", file);
		dr_err_hint(err, "chmod 600 \"%s\"", file);
	} else
		k = dr_sign_key_parse(text.data, text.len, file, true,
		    passphrase_file, &encrypted, err);
	dr_secret_wipe(&text);
	return k;
}

struct dr_sign_key *
dr_sign_key_new(struct dr_err *err)
{
	unsigned char pub[32];
	struct dr_sign_key *k;

	if ((k = dr_secret_new(sizeof(*k), err)) == NULL)
		return NULL;
	randombytes_buf(k->id, sizeof(k->id));
	crypto_sign_keypair(pub, k->key);
	dr_keyid_text(k->id, k->id_text);
	return k;
}

int
dr_sign_key_write(const struct dr_sign_key *k, const char *file,
    enum dr_file_how how, struct dr_err *err)
{
	static const char comment[] =
	    DR_MS_COMMENT "minisign secret key, not encrypted\n";
	struct dr_buf pub_text = { .max = 4096 };
	struct secret_file *f = NULL;
	char *text = NULL, *pub = NULL;
	size_t n = sizeof(comment) - 1, max = n + DR_MS_B64_MAX + 1;
	int rc = -1;

	if ((pub = dr_fmt(err, "%s.pub", file)) == NULL ||
	    (f = dr_secret_new(sizeof(*f), err)) == NULL ||
	    (text = dr_secret_new(max, err)) == NULL ||
	    dr_sign_key_public(k, &pub_text, err) == -1)
		goto out;
	if (how == DR_FILE_NEW && access(pub, F_OK) == 0) {
		errno = EEXIST;
		dr_err_sys(err, "cannot create \"%s\"", pub);
		goto out;
	}
	memcpy(f->alg, "Ed", 2);
	memcpy(f->check, "B2", 2);
	memcpy(f->id, k->id, sizeof(f->id));
	memcpy(f->key, k->key, sizeof(f->key));
	checksum(f, f->sum);
	memcpy(text, comment, n);
	sodium_bin2base64(text + n, DR_MS_B64_MAX, (unsigned char *)f,
	    sizeof(*f), B64);
	n += strlen(text + n);
	text[n++] = '\n';
	if (dr_file_put(file, 0600, how, text, n, err) == 0)
		rc = dr_file_put(pub, 0644, how, pub_text.data, pub_text.len,
		    err);

out:
	free(pub);
	sodium_free(f);
	sodium_free(text);
	dr_buf_free(&pub_text);
	return rc;
}

struct dr_sign_key *
dr_sign_key_make(const char *file, struct dr_err *err)
{
	struct dr_sign_key *k;

	if ((k = dr_sign_key_new(err)) != NULL &&
	    dr_sign_key_write(k, file, DR_FILE_NEW, err) == -1) {
		dr_sign_key_free(k);
		return NULL;
	}
	return k;
}

const char *
dr_sign_key_id(const struct dr_sign_key *k)
{
	return k->id_text;
}

void
dr_sign_key_raw(const struct dr_sign_key *k, unsigned char id[DR_MS_KEYID],
    unsigned char public[32])
{
	memcpy(id, k->id, DR_MS_KEYID);
	memcpy(public, k->key + 32, 32);
}

const unsigned char *
dr_sign_key_secret(const struct dr_sign_key *k)
{
	return k->key;
}

int
dr_sign_key_public(const struct dr_sign_key *k, struct dr_buf *out,
    struct dr_err *err)
{
	unsigned char raw[DR_MS_PUBLIC];
	char b64[DR_MS_B64_MAX];

	memcpy(raw, "Ed", 2);
	memcpy(raw + 2, k->id, DR_MS_KEYID);
	memcpy(raw + 2 + DR_MS_KEYID, k->key + 32, 32);
	sodium_bin2base64(b64, sizeof(b64), raw, sizeof(raw), B64);
	return dr_buf_fmt(out, err,
	    DR_MS_COMMENT "minisign public key %s\n%s\n", k->id_text, b64);
}

void
dr_sign_key_free(struct dr_sign_key *k)
{
	sodium_free(k);
}

int
dr_sign(const struct dr_sign_key *k, const void *data, size_t len,
    const char *trusted, struct dr_buf *out, struct dr_err *err)
{
	unsigned char raw[DR_MS_SIGNATURE], hash[64], global[64];
	unsigned char both[64 + DR_MS_COMMENT_MAX];
	char sig_text[DR_MS_B64_MAX], global_text[DR_MS_B64_MAX];
	size_t n = strlen(trusted);

	if (n > DR_MS_COMMENT_MAX || strpbrk(trusted, "\r\n") != NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "a trusted comment must be one line of at most %u bytes",
		    DR_MS_COMMENT_MAX);
	memcpy(raw, "ED", 2);
	memcpy(raw + 2, k->id, DR_MS_KEYID);
	crypto_generichash(hash, sizeof(hash), data, len, NULL, 0);
	crypto_sign_detached(raw + 2 + DR_MS_KEYID, NULL, hash, sizeof(hash),
	    k->key);
	memcpy(both, raw + 2 + DR_MS_KEYID, 64);
	memcpy(both + 64, trusted, n);
	crypto_sign_detached(global, NULL, both, 64 + n, k->key);
	sodium_bin2base64(sig_text, sizeof(sig_text), raw, sizeof(raw), B64);
	sodium_bin2base64(global_text, sizeof(global_text), global,
	    sizeof(global), B64);
	return dr_buf_fmt(out, err,
	    DR_MS_COMMENT "signature by %s\n%s\n" DR_MS_TRUSTED "%s\n%s\n",
	    k->id_text, sig_text, trusted, global_text);
}
