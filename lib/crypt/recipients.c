#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "crypt/header.h"
#include "crypt/keys.h"
#include "crypt/secret.h"

struct dr_recipients *
dr_recipients_new(struct dr_err *err)
{
	struct dr_recipients *r;

	if (dr_sodium(err) == -1)
		return NULL;
	if ((r = calloc(1, sizeof(*r))) == NULL)
		dr_err_sys(err, "cannot allocate recipients");
	return r;
}

void
dr_recipients_free(struct dr_recipients *r)
{
	if (r == NULL)
		return;
	free(r->v);
	free(r);
}

size_t
dr_recipients_count(const struct dr_recipients *r)
{
	return r->n;
}

void
dr_recipient_text(const unsigned char key[32], char out[DR_BECH32_LEN])
{
	dr_bech32_encode(DR_HRP_RECIPIENT, key, out);
}

int
dr_fingerprint(const unsigned char key[32], char out[17], struct dr_err *err)
{
	char hex[DR_SHA256_HEX];

	if (dr_sha256_hex(key, 32, hex, err) == -1)
		return -1;
	memcpy(out, hex, 16);
	out[16] = '\0';
	return 0;
}

int
dr_recipients_print(const struct dr_recipients *r, size_t n, char out[17],
    struct dr_err *err)
{
	return dr_fingerprint(r->v[n], out, err);
}

size_t
dr_line_trim(const char *s, size_t n)
{
	while (
	    n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
		n--;
	return n;
}

static bool
begins(const char *s, size_t len, const char *with)
{
	return len >= strlen(with) && strncasecmp(s, with, strlen(with)) == 0;
}

/*
 * One of LEN characters; WHERE for messages.  The text itself is never
 * quoted: it may be a secret.
 */
static int
add(struct dr_recipients *r, const char *s, size_t len, const char *where,
    struct dr_err *err)
{
	unsigned char key[32], scalar[32], shared[32];
	unsigned char(*more)[32];
	size_t cap;

	if (begins(s, len, "AGE-SECRET-KEY-") ||
	    begins(s, len, "AGE-PLUGIN-") || begins(s, len, "-----BEGIN") ||
	    begins(s, len, "age-encryption.org/") ||
	    begins(s, len, "RWRTY0Iy") || begins(s, len, "RWQAAEIy")) {
		dr_err_set(err, DR_EUSAGE,
		    "%s holds a private key, not a recipient", where);
		return dr_err_hint(err,
		    "keep it off this host; dr-key recipient prints the "
		    "recipient of an identity");
	}
	if (begins(s, len, "ssh-") || (begins(s, len, "age1") && len != 62)) {
		dr_err_set(err, DR_EUSAGE,
		    "%s: not a recipient of a kind that is known here", where);
		return dr_err_hint(err, "recipients are X25519 keys: age1 and "
		                        "58 more characters");
	}
	if (!dr_bech32_decode(DR_HRP_RECIPIENT, s, len, key))
		return dr_err_set(err, DR_EUSAGE, "%s: not a recipient%s",
		    where,
		    begins(s, len, "age1") ? " (mistyped or damaged)" : "");
	randombytes_buf(scalar, sizeof(scalar));
	if (crypto_scalarmult_curve25519(shared, scalar, key) != 0)
		return dr_err_set(err, DR_EUSAGE,
		    "%s: a weak recipient, which protects nothing", where);
	for (size_t i = 0; i < r->n; i++)
		if (memcmp(r->v[i], key, sizeof(key)) == 0)
			return 0;
	if (r->n == r->cap) {
		if (r->n >= DR_STANZAS_MAX)
			return dr_err_set(err, DR_EUSAGE,
			    "more than %u recipients", DR_STANZAS_MAX);
		cap = r->cap == 0 ? 8 : 2 * r->cap;
		if ((more = reallocarray(r->v, cap, sizeof(*more))) == NULL)
			return dr_err_sys(err, "cannot allocate recipients");
		r->v = more;
		r->cap = cap;
	}
	memcpy(r->v[r->n++], key, sizeof(key));
	return 0;
}

int
dr_recipients_add(struct dr_recipients *r, const char *s, struct dr_err *err)
{
	return add(r, s, strlen(s), "the recipient given", err);
}

int
dr_recipients_text(struct dr_recipients *r, const char *s, size_t len,
    const char *name, struct dr_err *err)
{
	const char *end = s + len, *nl;
	size_t n, count = 0, number = 0;
	char *where = NULL;
	int rc = -1;

	for (; s < end; s = nl + 1) {
		if ((nl = memchr(s, '\n', (size_t)(end - s))) == NULL)
			nl = end;
		number++;
		n = dr_line_trim(s, (size_t)(nl - s));
		if (n == 0 || s[0] == '#')
			continue;
		free(where);
		where = dr_fmt(err, "\"%s\", line %zu,", name, number);
		if (where == NULL || add(r, s, n, where, err) == -1)
			goto out;
		count++;
	}
	if (count > 0)
		rc = 0;
	else
		dr_err_set(err, DR_EUSAGE, "\"%s\" holds no recipient", name);

out:
	free(where);
	return rc;
}

int
dr_recipients_file(struct dr_recipients *r, const char *path,
    struct dr_err *err)
{
	struct dr_secret text = { 0 };
	int rc;

	/* It should hold no secret, but it may by mistake. */
	if (dr_secret_file(&text, path, DR_KEY_FILE_MAX, err) == -1)
		return -1;
	rc = dr_recipients_text(r, text.data, text.len, path, err);
	dr_secret_wipe(&text);
	return rc;
}
