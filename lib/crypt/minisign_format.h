/*
 * minisign_format.h - the pieces of minisign's files, for the two files that
 * read and write them and for those that show them.
 */
#ifndef DR_CRYPT_MINISIGN_FORMAT_H
#define DR_CRYPT_MINISIGN_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "crypt/minisign.h"

#define DR_MS_COMMENT     "untrusted comment: "
#define DR_MS_TRUSTED     "trusted comment: "
#define DR_MS_COMMENT_MAX 8192U

#define DR_MS_KEYID     8U
#define DR_MS_PUBLIC    (2U + DR_MS_KEYID + 32U) /* "Ed", id, key */
#define DR_MS_SIGNATURE (2U + DR_MS_KEYID + 64U) /* "ED", id, signature */
#define DR_MS_SECRET    (2U + 2U + 2U + 32U + 8U + 8U + DR_MS_KEYID + 64U + 32U)
#define DR_MS_B64_MAX   216U /* the longest of these in base64, and a NUL */

/* The id as text: its 8 bytes as a little-endian number in hex. */
void dr_keyid_text(const unsigned char id[DR_MS_KEYID], char out[DR_KEYID_HEX]);

/*
 * The next line from *AT without its end ("\n" or "\r\n"); false at the end
 * of the text.
 */
bool
dr_ms_line(const char *text, size_t len, size_t *at, const char **s, size_t *n);

/* Exactly SIZE bytes in padded, canonical base64? */
bool dr_ms_base64(const char *s, size_t n, unsigned char *out, size_t size);

/* The parts of a .minisig file, none of them verified. */
struct dr_minisig {
	unsigned char id[DR_MS_KEYID];
	unsigned char sig[64];
	unsigned char global[64];
	const char *trusted; /* into the text; no NUL */
	size_t trusted_len;
};

int
dr_minisig_parse(const char *, size_t, struct dr_minisig *, struct dr_err *);

struct dr_verify_key {
	unsigned char id[DR_MS_KEYID];
	unsigned char key[32];
};

struct dr_verify_keys {
	struct dr_verify_key *v;
	size_t n, cap;
};

/* Begin like a secret key in base64, encrypted or not? */
bool dr_ms_is_secret(const char *s, size_t n);

/* The key's id and its public half. */
void dr_sign_key_raw(const struct dr_sign_key *, unsigned char id[DR_MS_KEYID],
    unsigned char public[32]);

/* All 64 bytes of it: the seed, the public half. */
const unsigned char *dr_sign_key_secret(const struct dr_sign_key *);

/* A new one in memory; to write it to FILE and FILE.pub. */
struct dr_sign_key *dr_sign_key_new(struct dr_err *);
int dr_sign_key_write(const struct dr_sign_key *, const char *file,
    enum dr_file_how, struct dr_err *);

/*
 * Parse a secret key file's text.  *ENCRYPTED says whether a passphrase
 * protects it; with ASK false such a one is not opened, and NULL is returned
 * with ERR untouched.
 */
struct dr_sign_key *dr_sign_key_parse(const char *, size_t, const char *name,
    bool ask, const char *passphrase_file, bool *encrypted, struct dr_err *);

#endif /* !DR_CRYPT_MINISIGN_FORMAT_H */
