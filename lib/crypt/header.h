/*
 * header.h - the header of a sealed file (c2sp.org/age): a version line,
 * stanzas that each wrap the file key for one recipient, and a MAC.
 */
#ifndef DR_CRYPT_HEADER_H
#define DR_CRYPT_HEADER_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/seal.h"

/* No header is longer, and none has more stanzas. */
#define DR_HEADER_MAX  (1U << 20)
#define DR_STANZAS_MAX 4096U

#define DR_SEAL_NONCE 16U

/* The key that wraps are around: 16 bytes for age, 32 for AES. */
struct dr_filekey {
	unsigned char b[32];
	size_t len;
};

#define DR_STANZA_ARGS 3U  /* kept; more are only counted */
#define DR_STANZA_BODY 48U /* the same */

struct dr_stanza {
	const char *arg[DR_STANZA_ARGS]; /* into the header; [0] is the type */
	size_t arg_len[DR_STANZA_ARGS];
	size_t args;
	unsigned char body[DR_STANZA_BODY];
	size_t body_len;
};

struct dr_header {
	enum dr_cipher cipher;
	struct dr_stanza *v;
	size_t n;
	const char *text; /* borrowed */
	size_t mac_len;   /* how much of it the MAC covers */
	unsigned char mac[32];
};

/*
 * How long is the header that these LEN bytes begin with?  0: it goes on
 * after them.  -1: they begin no header.  What was looked at before, SEEN
 * bytes, is not searched again.
 */
ssize_t dr_header_find(const char *, size_t len, size_t seen, struct dr_err *);

/* Parse exactly the header; TEXT must outlive it.  DR_EDATA. */
int dr_header_parse(struct dr_header *, const char *text, size_t len,
    struct dr_err *);
void dr_header_wipe(struct dr_header *);

/* The file key, by one of these identities; the MAC is checked. */
int dr_header_open(const struct dr_header *, const struct dr_identities *,
    struct dr_filekey *, struct dr_err *);

/* Is there a stanza for a passphrase? */
bool dr_header_has_passphrase(const struct dr_header *);

/* The file key, by a passphrase; the MAC is checked. */
int dr_header_open_passphrase(const struct dr_header *, const char *,
    struct dr_filekey *, struct dr_err *);

/*
 * A random file key, and the header that wraps it up to its last stanza,
 * appended to OUT.
 */
int dr_header_wrap(enum dr_cipher, const struct dr_recipients *,
    struct dr_filekey *, struct dr_buf *out, struct dr_err *);
/* A whole header for a passphrase (age only), 2^WORK_FACTOR rounds of scrypt. */
int dr_header_make_passphrase(const char *, unsigned work_factor,
    struct dr_filekey *, struct dr_buf *out, struct dr_err *);

/*
 * The pieces of making and opening one: the version line with a random file
 * key; a stanza with ARGS (type first); the MAC over what stands in OUT
 * from FROM on; and is a header's MAC by this file key?
 */
int dr_header_begin(enum dr_cipher, struct dr_filekey *, struct dr_buf *out,
    struct dr_err *);
int dr_header_stanza(struct dr_buf *out, const char *args,
    const unsigned char *body, size_t, struct dr_err *);
int dr_header_end(const struct dr_filekey *, size_t from, struct dr_buf *out,
    struct dr_err *);
int dr_header_check(const struct dr_header *, const struct dr_filekey *,
    struct dr_err *);

/*
 * As dr_seal_new, with one stanza more: its arguments, or NULL; its body is
 * empty.  *DRAFT, or DRAFT, may be NULL; what is there is used up.
 */
struct dr_sink *dr_seal_extra(struct dr_sink *next, enum dr_cipher,
    const struct dr_recipients *, const char *extra, struct dr_seal_draft **,
    struct dr_err *);

/* What the chunks are encrypted with. */
int dr_payload_key(const struct dr_filekey *,
    const unsigned char nonce[DR_SEAL_NONCE], unsigned char key[32],
    struct dr_err *);

#endif /* !DR_CRYPT_HEADER_H */
