#include "crypt/header.h"
#include "crypt/base64.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/aead.h"

#define VERSION_AGE "age-encryption.org/v1\n"
#define VERSION_AES "drtools-seal/v1 aes-256-gcm\n"
#define ARMOR       "-----BEGIN AGE ENCRYPTED FILE-----"
#define COLUMNS     64U
#define PIECE       48U /* bytes in them */
#define B64         sodium_base64_VARIANT_ORIGINAL_NO_PADDING

int
dr_seal_sniff(const void *buf, size_t len, enum dr_cipher *cipher)
{
	if (len >= sizeof(VERSION_AGE) - 1 &&
	    memcmp(buf, VERSION_AGE, sizeof(VERSION_AGE) - 1) == 0)
		*cipher = DR_CIPHER_AGE;
	else if (len >= sizeof(VERSION_AES) - 1 &&
	         memcmp(buf, VERSION_AES, sizeof(VERSION_AES) - 1) == 0)
		*cipher = DR_CIPHER_AES;
	else
		return -1;
	return 0;
}

static int
malformed(struct dr_err *err, const char *how)
{
	return dr_err_set(err, DR_EDATA, "the seal's header is malformed: %s",
	    how);
}

ssize_t
dr_header_find(const char *text, size_t len, size_t seen, struct dr_err *err)
{
	static const size_t longest = sizeof(VERSION_AES) - 1;
	enum dr_cipher cipher;
	const char *at, *end;

	if (dr_seal_sniff(text, len, &cipher) == -1) {
		/* It may still become a version line. */
		if (len < longest &&
		    (memcmp(text, VERSION_AES, len) == 0 ||
		        (len < sizeof(VERSION_AGE) - 1 &&
		            memcmp(text, VERSION_AGE, len) == 0)))
			return 0;
		dr_err_set(err, DR_EDATA, "the input is not sealed");
		if (len >= sizeof(ARMOR) - 1 &&
		    memcmp(text, ARMOR, sizeof(ARMOR) - 1) == 0)
			dr_err_hint(err,
			    "it is an armored age file, which "
			    "only age itself opens: age -d -i IDENTITY");
		return -1;
	}
	/* The last line has 48 bytes, so look back over one cut short. */
	at = text + (seen > 2 * COLUMNS ? seen - 2 * COLUMNS : 0);
	at = memmem(at, len - (size_t)(at - text), "\n---", 4);
	if (at != NULL) {
		at += 4;
		end = memchr(at, '\n', len - (size_t)(at - text));
		if (end != NULL && end < text + DR_HEADER_MAX)
			return end + 1 - text;
		if (len - (size_t)(at - text) > COLUMNS)
			return malformed(err, "its MAC is no MAC");
	}
	if (len >= DR_HEADER_MAX)
		return malformed(err, "it is too long");
	return 0;
}

/* The next line of TEXT from *AT, without its newline; false at the end. */
static bool
line(const char *text, size_t len, size_t *at, const char **s, size_t *n)
{
	const char *nl;

	if (*at >= len || (nl = memchr(text + *at, '\n', len - *at)) == NULL)
		return false;
	*s = text + *at;
	*n = (size_t)(nl - *s);
	*at += *n + 1;
	return true;
}

/* "-> type arg arg": single spaces, visible characters. */
static int
stanza_args(struct dr_stanza *st, const char *s, size_t n, struct dr_err *err)
{
	size_t from = 3;

	if (n < 4 || memcmp(s, "-> ", 3) != 0)
		return malformed(err, "a stanza is expected");
	for (size_t i = 3; i <= n; i++) {
		if (i < n && s[i] != ' ') {
			if (s[i] < 33 || s[i] > 126)
				return malformed(err, "an odd character");
			continue;
		}
		if (i == from)
			return malformed(err, "an empty argument");
		if (st->args < DR_STANZA_ARGS) {
			st->arg[st->args] = s + from;
			st->arg_len[st->args] = i - from;
		}
		st->args++;
		from = i + 1;
	}
	return 0;
}

/* Lines of 64 columns, and one that is shorter, maybe empty. */
static int
stanza_body(struct dr_stanza *st, const char *text, size_t len, size_t *at,
    struct dr_err *err)
{
	unsigned char piece[PIECE];
	const char *s;
	size_t n, got, keep;

	do {
		if (!line(text, len, at, &s, &n))
			return malformed(err, "a stanza's body has no end");
		if (n > COLUMNS ||
		    dr_unbase64(piece, sizeof(piece), s, n, B64, &got) != 0)
			return malformed(err, "a stanza's body is no base64");
		if (st->body_len < DR_STANZA_BODY) {
			keep = DR_STANZA_BODY - st->body_len;
			memcpy(st->body + st->body_len, piece,
			    got < keep ? got : keep);
		}
		st->body_len += got;
	} while (n == COLUMNS);
	return 0;
}

int
dr_header_parse(struct dr_header *h, const char *text, size_t len,
    struct dr_err *err)
{
	struct dr_stanza *more;
	size_t at = 0, cap = 0, n, got;
	const char *s;

	memset(h, 0, sizeof(*h));
	h->text = text;
	if (dr_seal_sniff(text, len, &h->cipher) == -1 ||
	    !line(text, len, &at, &s, &n)) {
		dr_err_set(err, DR_EDATA, "the input is not sealed");
		goto fail;
	}
	for (;;) {
		if (!line(text, len, &at, &s, &n)) {
			malformed(err, "it has no end");
			goto fail;
		}
		if (n >= 3 && memcmp(s, "---", 3) == 0)
			break;
		if (h->n == DR_STANZAS_MAX) {
			malformed(err, "it has too many stanzas");
			goto fail;
		}
		if (h->n == cap) {
			cap = cap == 0 ? 8 : 2 * cap;
			more = reallocarray(h->v, cap, sizeof(*h->v));
			if (more == NULL) {
				dr_err_sys(err, "cannot allocate stanzas");
				goto fail;
			}
			h->v = more;
		}
		memset(&h->v[h->n], 0, sizeof(h->v[h->n]));
		if (stanza_args(&h->v[h->n], s, n, err) == -1 ||
		    stanza_body(&h->v[h->n], text, len, &at, err) == -1)
			goto fail;
		h->n++;
	}
	h->mac_len = (size_t)(s + 3 - text);
	if (at != len || n != 3 + 1 + 43 || s[3] != ' ' ||
	    dr_unbase64(h->mac, sizeof(h->mac), s + 4, n - 4, B64, &got) != 0 ||
	    got != sizeof(h->mac)) {
		malformed(err, "its MAC is no MAC");
		goto fail;
	}
	if (h->n == 0) {
		malformed(err, "it has no recipient");
		goto fail;
	}
	return 0;

fail:
	dr_header_wipe(h);
	return -1;
}

void
dr_header_wipe(struct dr_header *h)
{
	free(h->v);
	h->v = NULL;
	h->n = 0;
}

static int
mac(const struct dr_filekey *fk, const char *text, size_t len,
    unsigned char out[32], struct dr_err *err)
{
	unsigned char key[32];
	int rc;

	if ((rc = dr_hkdf(fk->b, fk->len, NULL, 0, "header", key, err)) == 0)
		rc = dr_hmac(key, sizeof(key), text, len, out, err);
	sodium_memzero(key, sizeof(key));
	return rc;
}

int
dr_header_check(const struct dr_header *h, const struct dr_filekey *fk,
    struct dr_err *err)
{
	unsigned char want[32];

	if (mac(fk, h->text, h->mac_len, want, err) == -1)
		return -1;
	if (sodium_memcmp(want, h->mac, sizeof(want)) != 0)
		return dr_err_set(err, DR_EDATA,
		    "the seal's header was changed: its MAC does not match");
	return 0;
}

int
dr_header_begin(enum dr_cipher cipher, struct dr_filekey *fk,
    struct dr_buf *out, struct dr_err *err)
{
	fk->len = cipher == DR_CIPHER_AES ? 32 : 16;
	randombytes_buf(fk->b, fk->len);
	return dr_buf_str(out,
	    cipher == DR_CIPHER_AES ? VERSION_AES : VERSION_AGE, err);
}

int
dr_header_stanza(struct dr_buf *out, const char *args,
    const unsigned char *body, size_t len, struct dr_err *err)
{
	char text[COLUMNS + 1];
	size_t n;

	if (dr_buf_fmt(out, err, "-> %s\n", args) == -1)
		return -1;
	do {
		n = len < PIECE ? len : PIECE;
		sodium_bin2base64(text, sizeof(text), body, n, B64);
		if (dr_buf_fmt(out, err, "%s\n", text) == -1)
			return -1;
		body += n;
		len -= n;
	} while (n == PIECE);
	return 0;
}

int
dr_header_end(const struct dr_filekey *fk, size_t from, struct dr_buf *out,
    struct dr_err *err)
{
	unsigned char sum[32];
	char text[COLUMNS];

	if (dr_buf_str(out, "---", err) == -1 ||
	    mac(fk, out->data + from, out->len - from, sum, err) == -1)
		return -1;
	sodium_bin2base64(text, sizeof(text), sum, sizeof(sum), B64);
	return dr_buf_fmt(out, err, " %s\n", text);
}

int
dr_payload_key(const struct dr_filekey *fk,
    const unsigned char nonce[DR_SEAL_NONCE], unsigned char key[32],
    struct dr_err *err)
{
	return dr_hkdf(fk->b, fk->len, nonce, DR_SEAL_NONCE, "payload", key,
	    err);
}
