/* Signing and verifying in minisign's formats. */
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "crypt/minisign.h"
#include "crypt/minisign_format.h"
#include "tests/tap.h"

#define V "tests/vectors/keys/"

static char dir[] = "/tmp/dr-sign.XXXXXX";

static char *
name(const char *what)
{
	struct dr_err err = { 0 };
	char *s;

	if ((s = dr_fmt(&err, "%s/%s", dir, what)) == NULL)
		abort();
	return s;
}

static char *
get(const char *path, size_t *len)
{
	struct dr_err err = { 0 };
	char *s;

	if ((s = dr_file_get(path, 100000, len, &err)) == NULL)
		abort();
	return s;
}

static void
stock(void)
{
	struct dr_verify_keys *keys;
	struct dr_err err = { 0 };
	char signer[DR_KEYID_HEX], *data, *sig, *old;
	size_t len, sig_len, old_len, caught = 0;

	data = get(V "minisign.data", &len);
	sig = get(V "minisign.data.minisig", &sig_len);
	old = get(V "minisign-legacy.minisig", &old_len);
	keys = dr_verify_keys_load(V "minisign.pub", &err);
	if (!OK(keys != NULL, "a public key of minisign's"))
		return;
	OK(dr_verify(keys, data, len, sig, sig_len, NULL, signer, &err) == 0 &&
	        strcmp(signer, "8897a6b5c4d3e2f1") == 0,
	    "a signature of minisign's, and who made it");
	OK(dr_verify(keys, data, len, sig, sig_len, "file:minisign.data",
	       signer, &err) == 0,
	    "with its trusted comment");
	OK(dr_verify(keys, data, len, sig, sig_len, "file:minisign.dat", signer,
	       &err) == -1 &&
	        err.cause == DR_EDATA &&
	        strstr(err.msg, "something else") != NULL,
	    "not with another");
	memset(&err, 0, sizeof(err));
	OK(dr_verify(keys, data, len - 1, sig, sig_len, NULL, signer, &err) ==
	            -1 &&
	        err.cause == DR_EDATA &&
	        strstr(err.msg, "8897a6b5c4d3e2f1 does not match") != NULL,
	    "nor over other data");
	memset(&err, 0, sizeof(err));
	OK(dr_verify(keys, data, len, old, old_len, NULL, signer, &err) == -1 &&
	        strstr(err.msg, "legacy") != NULL && err.hint[0] != '\0',
	    "the legacy format is refused by name");
	/* All but the untrusted comment counts. */
	for (size_t i = 0; i < sig_len; i++) {
		memset(&err, 0, sizeof(err));
		sig[i] ^= 1;
		caught += dr_verify(keys, data, len, sig, sig_len, NULL, signer,
		              &err) == -1 &&
		          err.cause == DR_EDATA;
		sig[i] ^= 1;
	}
	OK(caught >= sig_len - strlen("signature") &&
	        caught < sig_len - strlen("signature") + 2,
	    "a change anywhere else is noticed");
	caught = 0;
	for (size_t i = 0; i < sig_len - 1; i++) {
		memset(&err, 0, sizeof(err));
		caught += dr_verify(keys, data, len, sig, i, NULL, signer,
		              &err) == -1;
	}
	OK(caught == sig_len - 1, "and a cut anywhere");
	dr_verify_keys_free(keys);
	dr_verify_keys_free(NULL);
	free(data);
	free(sig);
	free(old);
}

static void
public_keys(void)
{
	static const char two[] =
	    "untrusted comment: one\r\n"
	    "RWTx4tPEtaaXiDjHv8rA2ur6RxL21mkoQ8Rqj95tGkVUJihJTVTh6iAq\r\n"
	    "# another\n\n"
	    "RWTdt8dgHs1ki9ym4trPZnXByxmjbIzyuqpLAJsh6rjei0iDTIh5jxO9\n"
	    "RWTdt8dgHs1ki9ym4trPZnXByxmjbIzyuqpLAJsh6rjei0iDTIh5jxO9\n";
	static const char *const bad[] = { "", "untrusted comment: x\n",
		"RWTx4tPEtaaXiDjHv8rA2ur6RxL21mkoQ8Rqj95tGkVUJihJTVTh6iA\n",
		"RUTx4tPEtaaXiDjHv8rA2ur6RxL21mkoQ8Rqj95tGkVUJihJTVTh6iAq\n",
		"hello\n" };
	struct dr_verify_keys *keys;
	struct dr_err err = { 0 };
	bool good = true;

	keys = dr_verify_keys_parse(two, strlen(two), "two", &err);
	OK(keys != NULL && keys->n == 2, "several keys in a file");
	dr_verify_keys_free(keys);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		memset(&err, 0, sizeof(err));
		good = good &&
		       dr_verify_keys_parse(bad[i], strlen(bad[i]), "bad",
		           &err) == NULL &&
		       err.cause == DR_EUSAGE;
	}
	OK(good, "what is no public key is refused");
	memset(&err, 0, sizeof(err));
	OK(dr_verify_keys_load(V "minisign-plain.key", &err) == NULL &&
	        strstr(err.msg, "secret key") != NULL,
	    "a secret key is said to be one");
}

static void
secret_keys(void)
{
	char *plain = name("plain"), *made = name("made"), *text, *pub;
	struct dr_err err = { 0 };
	struct dr_sign_key *k;
	struct dr_buf out = { .max = 4096 };
	struct stat st;
	size_t len, pub_len, caught = 0;
	bool encrypted;

	text = get(V "minisign-plain.key", &len);
	if (dr_file_put(plain, 0600, DR_FILE_NEW, text, len, &err) == -1)
		abort();
	k = dr_sign_key_load(plain, NULL, &err);
	OK(k != NULL && strcmp(dr_sign_key_id(k), "8897a6b5c4d3e2f1") == 0,
	    "a secret key as minisign -W writes it");
	dr_sign_key_free(k);
	if (chmod(plain, 0640) == -1)
		abort();
	OK(dr_sign_key_load(plain, NULL, &err) == NULL &&
	        err.cause == DR_EUSAGE && strstr(err.hint, "chmod") != NULL,
	    "one that others may read is refused");
	for (size_t i = 0; i < len; i++) {
		memset(&err, 0, sizeof(err));
		text[i] ^= 2;
		k = dr_sign_key_parse(text, len, "x", false, NULL, &encrypted,
		    &err);
		text[i] ^= 2;
		caught += k == NULL;
		dr_sign_key_free(k);
	}
	/* The comment, salt, limits and key id count for nothing without a
	 * passphrase; the two halves of the key do. */
	OK(caught > 90, "damage to it is noticed");
	free(text);

	memset(&err, 0, sizeof(err));
	text = get(V "minisign-passphrase.key", &len);
	k = dr_sign_key_parse(text, len, "x", true, V "passphrase.txt",
	    &encrypted, &err);
	OK(k != NULL && encrypted && dr_sign_key_public(k, &out, &err) == 0 &&
	        strstr(out.data, "8897a6b5c4d3e2f1\nRWTx4tPEtaaXiDjH") != NULL,
	    "one under a passphrase");
	dr_sign_key_free(k);
	OK(dr_sign_key_parse(text, len, "x", true, V "minisign.data",
	       &encrypted, &err) == NULL &&
	        err.cause == DR_EDATA && strstr(err.msg, "wrong") != NULL,
	    "a wrong passphrase");
	free(text);

	memset(&err, 0, sizeof(err));
	k = dr_sign_key_make(made, &err);
	OK(k != NULL && stat(made, &st) == 0 && (st.st_mode & 0777) == 0600,
	    "a new key, for its owner alone");
	dr_sign_key_free(k);
	text = get(made, &len);
	caught = 0;
	for (size_t i = strlen(DR_MS_COMMENT); i < len; i++) {
		memset(&err, 0, sizeof(err));
		text[i] ^= 2;
		k = dr_sign_key_parse(text, len, "x", false, NULL, &encrypted,
		    &err);
		text[i] ^= 2;
		caught += k == NULL;
		dr_sign_key_free(k);
	}
	OK(caught > 140, "whose checksum covers its id too");
	free(text);
	memset(&err, 0, sizeof(err));
	errno = 0;
	OK(dr_sign_key_make(made, &err) == NULL && err.cause == DR_EFAIL,
	    "is not overwritten");
	if (unlink(made) == -1)
		abort();
	memset(&err, 0, sizeof(err));
	OK(dr_sign_key_make(made, &err) == NULL && access(made, F_OK) == -1,
	    "nor is a public key that lies there");
	pub = name("made.pub");
	text = get(pub, &pub_len);
	OK(strncmp(text, DR_MS_COMMENT "minisign public key ", 39) == 0,
	    "which is in its file");
	unlink(pub);
	unlink(plain);
	free(pub);
	free(text);
	free(plain);
	free(made);
	dr_buf_free(&out);
}

static void
round_trip(void)
{
	struct dr_buf pub = { .max = 4096 }, sig = { .max = 20000 };
	struct dr_verify_keys *keys, *others;
	struct dr_err err = { 0 };
	struct dr_sign_key *a, *b;
	char signer[DR_KEYID_HEX], claims[DR_KEYID_HEX], *longest;

	if ((a = dr_sign_key_new(&err)) == NULL ||
	    (b = dr_sign_key_new(&err)) == NULL ||
	    dr_sign_key_public(a, &pub, &err) == -1 ||
	    (keys = dr_verify_keys_parse(pub.data, pub.len, "a", &err)) == NULL)
		abort();
	pub.len = 0;
	if (dr_sign_key_public(b, &pub, &err) == -1 ||
	    (others = dr_verify_keys_parse(pub.data, pub.len, "b", &err)) ==
	        NULL)
		abort();
	OK(dr_sign(a, "data", 4, "set/x", &sig, &err) == 0 &&
	        dr_verify(keys, "data", 4, sig.data, sig.len, "set/x", signer,
	            &err) == 0 &&
	        strcmp(signer, dr_sign_key_id(a)) == 0,
	    "what is signed verifies");
	OK(dr_sig_claims(sig.data, sig.len, claims, &err) == 0 &&
	        strcmp(claims, signer) == 0,
	    "and says who signed");
	OK(dr_verify(others, "data", 4, sig.data, sig.len, NULL, signer,
	       &err) == -1 &&
	        err.cause == DR_EDATA && strstr(err.msg, claims) != NULL &&
	        err.hint[0] != '\0',
	    "an unknown signer is named");
	/* Somebody with another key but the same id. */
	memcpy(others->v[0].id, keys->v[0].id, DR_MS_KEYID);
	memset(&err, 0, sizeof(err));
	OK(dr_verify(others, "data", 4, sig.data, sig.len, NULL, signer,
	       &err) == -1,
	    "an id alone proves nothing");
	memset(&err, 0, sizeof(err));
	sig.len = 0;
	OK(dr_sign(a, "", 0, "", &sig, &err) == 0 &&
	        dr_verify(keys, "", 0, sig.data, sig.len, "", signer, &err) ==
	            0,
	    "nothing, with an empty comment");
	if ((longest = malloc(DR_MS_COMMENT_MAX + 2)) == NULL)
		abort();
	memset(longest, 'x', DR_MS_COMMENT_MAX + 1);
	longest[DR_MS_COMMENT_MAX + 1] = '\0';
	OK(dr_sign(a, "", 0, longest, &sig, &err) == -1, "too long a comment");
	memset(&err, 0, sizeof(err));
	longest[DR_MS_COMMENT_MAX] = '\0';
	sig.len = 0;
	OK(dr_sign(a, "", 0, longest, &sig, &err) == 0 &&
	        dr_verify(keys, "", 0, sig.data, sig.len, longest, signer,
	            &err) == 0,
	    "the longest");
	OK(dr_sign(a, "", 0, "two\nlines", &sig, &err) == -1 &&
	        err.cause == DR_EUSAGE,
	    "not two lines");
	free(longest);
	dr_sign_key_free(a);
	dr_sign_key_free(b);
	dr_sign_key_free(NULL);
	dr_verify_keys_free(keys);
	dr_verify_keys_free(others);
	dr_buf_free(&pub);
	dr_buf_free(&sig);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		abort();
	stock();
	public_keys();
	secret_keys();
	round_trip();
	rmdir(dir);
	return DONE();
}
