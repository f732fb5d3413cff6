/*
 * minisign.h - signatures in minisign's file formats (Ed25519 over
 * BLAKE2b-512, "ED"), so that stock minisign checks what we sign.
 */
#ifndef DR_CRYPT_MINISIGN_H
#define DR_CRYPT_MINISIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DR_KEYID_HEX 17 /* 16 lower-case hex digits and a NUL */

struct dr_sign_key; /* secret; in locked memory, wiped by free */

/* Read FILE (minisign's, unencrypted, or encrypted: passphrase from
 * PASSPHRASE_FILE or the terminal).  Refuses a file others may read. */
struct dr_sign_key *dr_sign_key_load(const char *file,
    const char *passphrase_file, struct dr_err *);
/* A new one, written to FILE (0600, create-only) and FILE.pub. */
struct dr_sign_key *dr_sign_key_make(const char *file, struct dr_err *);
/* The key id as minisign prints it, but in lower case. */
const char *dr_sign_key_id(const struct dr_sign_key *);
/* The text of the public key file (two lines). */
int dr_sign_key_public(const struct dr_sign_key *, struct dr_buf *,
    struct dr_err *);
void dr_sign_key_free(struct dr_sign_key *);

/* The .minisig file's text over DATA with TRUSTED as trusted comment. */
int dr_sign(const struct dr_sign_key *, const void *data, size_t,
    const char *trusted, struct dr_buf *out, struct dr_err *);

struct dr_verify_keys; /* one or more public keys */

/* FILE holds one or several public keys (comment line, key line). */
struct dr_verify_keys *dr_verify_keys_load(const char *file, struct dr_err *);
/* Parsed from text; NAME for messages. */
struct dr_verify_keys *
dr_verify_keys_parse(const char *, size_t, const char *name, struct dr_err *);
void dr_verify_keys_free(struct dr_verify_keys *);
/* SHA-256 of them, in hex: other keys have another. */
int dr_verify_keys_sum(const struct dr_verify_keys *, char out[65],
    struct dr_err *);

/*
 * Is SIG (a .minisig file's text) a signature by one of KEYS over DATA, with
 * exactly TRUSTED as its trusted comment (NULL: any)?  0 and the signer's id
 * in SIGNER; else DR_EDATA, where an unknown signer is named.
 */
int dr_verify(const struct dr_verify_keys *, const void *data, size_t,
    const char *sig, size_t sig_len, const char *trusted,
    char signer[DR_KEYID_HEX], struct dr_err *);

/* The key id a .minisig file claims, unverified.  -1: malformed. */
int dr_sig_claims(const char *sig, size_t, char signer[DR_KEYID_HEX],
    struct dr_err *);

#endif /* !DR_CRYPT_MINISIGN_H */
