#include "crypt/content.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "crypt/header.h"
#include "crypt/minisign_format.h"

#define STANZA "drtools-content"
#define LABEL  "drtools content v1"
#define B64    sodium_base64_VARIANT_ORIGINAL_NO_PADDING
#define B64_32 44 /* 32 bytes in base64 and a NUL */

int
dr_sign_line(const struct dr_sign_key *k, const char *line, size_t len,
    unsigned char out[DR_LINE_SIG], struct dr_err *err)
{
	unsigned char public[32];

	dr_sign_key_raw(k, out, public);
	if (crypto_sign_detached(out + DR_MS_KEYID, NULL,
	        (const unsigned char *)line, len, dr_sign_key_secret(k)) != 0)
		return dr_err_set(err, DR_EFAIL, "cannot sign");
	return 0;
}

int
dr_verify_line(const struct dr_verify_keys *keys, const char *line, size_t len,
    const unsigned char sig[DR_LINE_SIG], char signer[DR_KEYID_HEX],
    struct dr_err *err)
{
	bool known = false;

	dr_keyid_text(sig, signer);
	/* Two keys may share an id, by chance or by design. */
	for (size_t i = 0; i < keys->n; i++) {
		if (memcmp(keys->v[i].id, sig, DR_MS_KEYID) != 0)
			continue;
		known = true;
		if (crypto_sign_verify_detached(sig + DR_MS_KEYID,
		        (const unsigned char *)line, len, keys->v[i].key) == 0)
			return 0;
	}
	if (!known)
		return dr_err_set(err, DR_EDATA,
		    "it is signed by %s, whose key is not among those to "
		    "verify with",
		    signer);
	return dr_err_set(err, DR_EDATA,
	    "its signature by %s does not fit: it was made for another "
	    "place or other content",
	    signer);
}

int
dr_content_mac(const struct dr_sign_key *k, const char *line, size_t len,
    unsigned char mac[DR_CONTENT_MAC], struct dr_err *err)
{
	unsigned char key[32];
	int rc = 0;

	/* The first half of the secret key is the seed. */
	if (crypto_generichash(key, sizeof(key), (const unsigned char *)LABEL,
	        sizeof(LABEL) - 1, dr_sign_key_secret(k), 32) != 0 ||
	    crypto_generichash(mac, DR_CONTENT_MAC, (const unsigned char *)line,
	        len, key, sizeof(key)) != 0)
		rc = dr_err_set(err, DR_EFAIL, "cannot compute BLAKE2b");
	sodium_memzero(key, sizeof(key));
	return rc;
}

struct dr_sink *
dr_seal_content(struct dr_sink *next, enum dr_cipher cipher,
    const struct dr_recipients *to, const char *signer,
    const unsigned char mac[DR_CONTENT_MAC], struct dr_seal_draft **draft,
    struct dr_err *err)
{
	char args[sizeof(STANZA) + DR_KEYID_HEX + B64_32], b64[B64_32];

	sodium_bin2base64(b64, sizeof(b64), mac, DR_CONTENT_MAC, B64);
	snprintf(args, sizeof(args), "%s %s %s", STANZA, signer, b64);
	return dr_seal_extra(next, cipher, to, args, draft, err);
}

/* 1: this is the stanza; 0: another; -1: it ought to be, and is malformed. */
static int
take(const struct dr_stanza *st, char signer[DR_KEYID_HEX],
    unsigned char mac[DR_CONTENT_MAC], struct dr_err *err)
{
	size_t got;

	if (st->arg_len[0] != sizeof(STANZA) - 1 ||
	    memcmp(st->arg[0], STANZA, st->arg_len[0]) != 0)
		return 0;
	if (st->args != 3 || st->arg_len[1] != DR_KEYID_HEX - 1 ||
	    st->body_len != 0 ||
	    sodium_base642bin(mac, DR_CONTENT_MAC, st->arg[2], st->arg_len[2],
	        NULL, &got, NULL, B64) != 0 ||
	    got != DR_CONTENT_MAC)
		return dr_err_set(err, DR_EDATA,
		    "the content stanza of the seal's header is malformed");
	memcpy(signer, st->arg[1], DR_KEYID_HEX - 1);
	signer[DR_KEYID_HEX - 1] = '\0';
	return 1;
}

int
dr_content_find(const void *head, size_t len, char signer[DR_KEYID_HEX],
    unsigned char mac[DR_CONTENT_MAC], struct dr_err *err)
{
	struct dr_header h = { 0 };
	ssize_t n;
	int rc = 0;

	if ((n = dr_header_find(head, len, 0, err)) == -1)
		return -1;
	if (n == 0)
		return dr_err_set(err, DR_EDATA,
		    "the sealed data is truncated in its header");
	if (dr_header_parse(&h, head, (size_t)n, err) == -1)
		return -1;
	for (size_t i = 0; i < h.n && rc == 0; i++)
		rc = take(&h.v[i], signer, mac, err);
	dr_header_wipe(&h);
	return rc;
}
