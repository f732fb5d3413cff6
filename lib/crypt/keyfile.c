#include "crypt/keyfile.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/audit.h"
#include "base/json.h"
#include "base/opt.h"
#include "crypt/keys.h"
#include "crypt/minisign_format.h"
#include "crypt/protect.h"
#include "crypt/secret.h"

#define FACTS_MAX 4096U

const char *
dr_key_kind_name(enum dr_key_kind kind)
{
	static const char *const names[] = {
		[DR_KEY_IDENTITY] = "identity",
		[DR_KEY_RECIPIENT] = "recipient",
		[DR_KEY_SIGN_SECRET] = "signing key",
		[DR_KEY_SIGN_PUBLIC] = "verify key",
		[DR_KEY_SIGNATURE] = "signature",
	};

	return names[kind];
}

void
dr_key_facts_free(struct dr_key_facts *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->v[i].trusted);
	free(f->v);
	f->v = NULL;
	f->n = f->cap = 0;
}

static struct dr_key_fact *
grow(struct dr_key_facts *f, enum dr_key_kind kind, struct dr_err *err)
{
	struct dr_key_fact *more;
	size_t cap;

	if (f->n == f->cap) {
		if (f->n >= FACTS_MAX) {
			dr_err_set(err, DR_EUSAGE, "more than %u keys",
			    FACTS_MAX);
			return NULL;
		}
		cap = f->cap == 0 ? 8 : 2 * f->cap;
		if ((more = reallocarray(f->v, cap, sizeof(*more))) == NULL) {
			dr_err_sys(err, "cannot allocate keys");
			return NULL;
		}
		f->v = more;
		f->cap = cap;
	}
	more = &f->v[f->n++];
	memset(more, 0, sizeof(*more));
	more->kind = kind;
	return more;
}

/* An X25519 public key, of an identity or of a recipient. */
static int
add_x25519(struct dr_key_facts *f, enum dr_key_kind kind,
    const unsigned char key[32], bool passphrase, struct dr_err *err)
{
	struct dr_key_fact *k;

	if ((k = grow(f, kind, err)) == NULL)
		return -1;
	k->passphrase = passphrase;
	dr_recipient_text(key, k->public);
	return dr_fingerprint(key, k->id, err);
}

static int
identities(struct dr_key_facts *f, const struct dr_secret *text,
    const char *name, const char *passphrase_file, struct dr_err *err)
{
	bool protected = dr_protected(text->data, text->len);
	struct dr_identities *ids;
	struct dr_key_fact *k;
	int rc = -1;

	if (protected && passphrase_file == NULL) {
		if ((k = grow(f, DR_KEY_IDENTITY, err)) == NULL)
			return -1;
		k->passphrase = true;
		return 0;
	}
	if ((ids = dr_identities_new(err)) == NULL)
		return -1;
	if (dr_identities_text(ids, text->data, text->len, name,
	        passphrase_file, err) == -1)
		goto out;
	for (size_t i = 0; i < ids->n; i++)
		if (add_x25519(f, DR_KEY_IDENTITY, ids->v[i]->public, protected,
		        err) == -1)
			goto out;
	rc = 0;

out:
	dr_identities_free(ids);
	return rc;
}

static int
recipients(struct dr_key_facts *f, const struct dr_secret *text,
    const char *name, struct dr_err *err)
{
	struct dr_recipients *r;
	int rc = -1;

	if ((r = dr_recipients_new(err)) == NULL)
		return -1;
	if (dr_recipients_text(r, text->data, text->len, name, err) == -1)
		goto out;
	for (size_t i = 0; i < r->n; i++)
		if (add_x25519(f, DR_KEY_RECIPIENT, r->v[i], false, err) == -1)
			goto out;
	rc = 0;

out:
	dr_recipients_free(r);
	return rc;
}

static void
public_text(const unsigned char id[DR_MS_KEYID], const unsigned char key[32],
    struct dr_key_fact *k)
{
	unsigned char raw[DR_MS_PUBLIC];

	memcpy(raw, "Ed", 2);
	memcpy(raw + 2, id, DR_MS_KEYID);
	memcpy(raw + 2 + DR_MS_KEYID, key, 32);
	sodium_bin2base64(k->public, sizeof(k->public), raw, sizeof(raw),
	    sodium_base64_VARIANT_ORIGINAL);
	dr_keyid_text(id, k->id);
}

static int
verify_keys(struct dr_key_facts *f, const struct dr_secret *text,
    const char *name, struct dr_err *err)
{
	struct dr_verify_keys *keys;
	struct dr_key_fact *k;
	int rc = -1;

	if ((keys = dr_verify_keys_parse(text->data, text->len, name, err)) ==
	    NULL)
		return -1;
	for (size_t i = 0; i < keys->n; i++) {
		if ((k = grow(f, DR_KEY_SIGN_PUBLIC, err)) == NULL)
			goto out;
		public_text(keys->v[i].id, keys->v[i].key, k);
	}
	rc = 0;

out:
	dr_verify_keys_free(keys);
	return rc;
}

static int
sign_key(struct dr_key_facts *f, const struct dr_secret *text, const char *name,
    const char *passphrase_file, struct dr_err *err)
{
	unsigned char id[DR_MS_KEYID], public[32];
	struct dr_key_fact *k;
	struct dr_sign_key *s;
	bool encrypted = false;

	s = dr_sign_key_parse(text->data, text->len, name,
	    passphrase_file != NULL, passphrase_file, &encrypted, err);
	if (s == NULL && (!encrypted || passphrase_file != NULL))
		return -1;
	if ((k = grow(f, DR_KEY_SIGN_SECRET, err)) != NULL) {
		k->passphrase = encrypted;
		if (s != NULL) {
			dr_sign_key_raw(s, id, public);
			public_text(id, public, k);
		}
	}
	dr_sign_key_free(s);
	return k != NULL ? 0 : -1;
}

static int
signature(struct dr_key_facts *f, const struct dr_secret *text,
    struct dr_err *err)
{
	struct dr_minisig m;
	struct dr_key_fact *k;

	if (dr_minisig_parse(text->data, text->len, &m, err) == -1 ||
	    (k = grow(f, DR_KEY_SIGNATURE, err)) == NULL)
		return -1;
	dr_keyid_text(m.id, k->id);
	if ((k->trusted = strndup(m.trusted, m.trusted_len)) == NULL)
		return dr_err_sys(err, "cannot allocate a comment");
	return 0;
}

/* The first line that is neither empty nor a comment. */
static void
first_line(const struct dr_secret *text, const char **s, size_t *n)
{
	size_t at = 0;

	*s = text->data;
	*n = 0;
	while (dr_ms_line(text->data, text->len, &at, s, n))
		if (*n > 0 && **s != '#' &&
		    (*n < 18 || memcmp(*s, "untrusted comment:", 18) != 0))
			return;
	*n = 0;
}

static bool
begins(const char *s, size_t n, const char *with)
{
	return n >= strlen(with) && memcmp(s, with, strlen(with)) == 0;
}

int
dr_key_facts(struct dr_key_facts *f, const char *path,
    const char *passphrase_file, struct dr_err *err)
{
	struct dr_secret text = { 0 };
	const char *s;
	size_t n;
	int rc;

	if (dr_secret_file(&text, path, DR_KEY_FILE_MAX, err) == -1)
		return -1;
	first_line(&text, &s, &n);
	if (dr_protected(text.data, text.len) || begins(s, n, DR_HRP_IDENTITY))
		rc = identities(f, &text, path, passphrase_file, err);
	else if (begins(s, n, "age1"))
		rc = recipients(f, &text, path, err);
	else if (dr_ms_is_secret(s, n))
		rc = sign_key(f, &text, path, passphrase_file, err);
	else if (begins(s, n, "RW"))
		rc = verify_keys(f, &text, path, err);
	else if (begins(s, n, "RU")) {
		rc = signature(f, &text, err);
		if (rc == -1)
			dr_err_wrap(err, "\"%s\"", path);
	} else
		rc = dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is no key file of a known kind", path);
	dr_secret_wipe(&text);
	return rc;
}

static bool
of_age(const struct dr_key_fact *k)
{
	return k->kind == DR_KEY_IDENTITY || k->kind == DR_KEY_RECIPIENT;
}

int
dr_key_fact_text(const struct dr_key_fact *k, const char *file,
    struct dr_buf *out, struct dr_err *err)
{
	if (dr_buf_fmt(out, err, "%s: %s%s\n", file, dr_key_kind_name(k->kind),
	        k->passphrase ? ", protected by a passphrase" : "") == -1)
		return -1;
	if (k->public[0] != '\0' &&
	    dr_buf_fmt(out, err, "  %-11s %s\n",
	        of_age(k) ? "recipient" : "public key", k->public) == -1)
		return -1;
	if (k->id[0] != '\0' &&
	    dr_buf_fmt(out, err, "  %-11s %s\n",
	        of_age(k) ? "fingerprint" : "key id", k->id) == -1)
		return -1;
	if (k->trusted == NULL)
		return 0;
	if (dr_buf_str(out, "  comment     ", err) == -1)
		return -1;
	/* Nobody has verified it, so nothing in it reaches a terminal raw. */
	for (const char *s = k->trusted; *s != '\0'; s++)
		if (dr_buf_add(out,
		        (unsigned char)*s < 32 || *s == 127 ? "?" : s, 1,
		        err) == -1)
			return -1;
	return dr_buf_str(out, "\n", err);
}

int
dr_key_fact_json(const struct dr_key_fact *k, const char *file,
    struct dr_buf *out, struct dr_err *err)
{
	struct dr_json j;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "file", file);
	dr_json_str(&j, "kind", dr_key_kind_name(k->kind));
	if (k->kind == DR_KEY_IDENTITY || k->kind == DR_KEY_SIGN_SECRET)
		dr_json_bool(&j, "passphrase", k->passphrase);
	if (k->public[0] != '\0')
		dr_json_str(&j, of_age(k) ? "recipient" : "public_key",
		    k->public);
	if (k->id[0] != '\0')
		dr_json_str(&j, of_age(k) ? "fingerprint" : "key_id", k->id);
	if (k->trusted != NULL)
		dr_json_str(&j, "trusted_comment", k->trusted);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}

int
dr_key_audit(const char *kind, const char *public, const char *file,
    struct dr_err *err)
{
	struct dr_buf what = { .max = 8192 };
	struct dr_json j;
	int rc = -1;

	if (dr_common.audit == NULL)
		return 0;
	dr_json_init(&j, &what);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "kind", kind);
	dr_json_str(&j, "public", public);
	dr_json_str(&j, "file", file != NULL ? file : "-");
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == 0)
		rc = dr_audit("make key", what.data, "ok", err);
	dr_buf_free(&what);
	return rc;
}
