/*
 * keys.h - what recipients and identities are made of, for the files here
 * and for those that make and show keys.
 */
#ifndef DR_CRYPT_KEYS_H
#define DR_CRYPT_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/bech32.h"
#include "crypt/seal.h"

#define DR_KEY_FILE_MAX (1U << 20)

struct dr_recipients {
	unsigned char (*v)[32];
	size_t n, cap;
};

struct dr_identity {
	unsigned char secret[32];
	unsigned char public[32];
};

struct dr_identities {
	struct dr_identity **v; /* each in locked memory */
	size_t n, cap;
};

/* A new random one, added. */
int dr_identities_make(struct dr_identities *, struct dr_err *);

/*
 * The text of an identity file, with NAME for messages: lines, or the bytes
 * of an age file under a passphrase.
 */
int dr_identities_text(struct dr_identities *, const char *, size_t,
    const char *name, const char *passphrase_file, struct dr_err *);

/* The text of a file of recipients, with NAME for messages. */
int dr_recipients_text(struct dr_recipients *, const char *, size_t,
    const char *name, struct dr_err *);

/*
 * Write the Nth as an identity file that age reads too, in locked memory:
 * free it with sodium_free.
 */
char *
dr_identities_print(const struct dr_identities *, size_t n, struct dr_err *);

/* The length of a line of N bytes without the white space at its end. */
size_t dr_line_trim(const char *, size_t n);

/* "age1..." of 32 bytes, and their fingerprint. */
void dr_recipient_text(const unsigned char[32], char out[DR_BECH32_LEN]);
int dr_fingerprint(const unsigned char[32], char out[17], struct dr_err *);

#endif /* !DR_CRYPT_KEYS_H */
