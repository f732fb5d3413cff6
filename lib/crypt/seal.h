/*
 * seal.h - sealing to recipients: the age v1 format (c2sp.org/age), and the
 * same layout with AES-256-GCM (dr-formats(5)).
 */
#ifndef DR_CRYPT_SEAL_H
#define DR_CRYPT_SEAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "stream/blob.h"
#include "stream/sink.h"
#include "stream/source.h"

enum dr_cipher { DR_CIPHER_AGE, DR_CIPHER_AES };

struct dr_recipients; /* public keys to seal to */
struct dr_identities; /* private keys to open with; locked memory */

struct dr_recipients *dr_recipients_new(struct dr_err *);
/* "age1..."; a private key there is refused with a plain warning. */
int dr_recipients_add(struct dr_recipients *, const char *, struct dr_err *);
/* One a line, # comments and blank lines skipped; line numbers in errors. */
int
dr_recipients_file(struct dr_recipients *, const char *path, struct dr_err *);
size_t dr_recipients_count(const struct dr_recipients *);
/* Fingerprint of the Nth: first 16 hex digits of SHA-256 of its 32 bytes. */
int dr_recipients_print(const struct dr_recipients *, size_t n, char out[17],
    struct dr_err *);
void dr_recipients_free(struct dr_recipients *);

struct dr_identities *dr_identities_new(struct dr_err *);
/*
 * Lines AGE-SECRET-KEY-1...; or an age file (binary or armored) protected by
 * a passphrase, asked once (PASSPHRASE_FILE or /dev/tty).
 */
int dr_identities_file(struct dr_identities *, const char *path,
    const char *passphrase_file, struct dr_err *);
/* Run CMD with /bin/sh -c and read identities from its standard output. */
int
dr_identities_command(struct dr_identities *, const char *cmd, struct dr_err *);
size_t dr_identities_count(const struct dr_identities *);
void dr_identities_free(struct dr_identities *);

/* Encoder: writes the header at the first write, chunks, the final chunk. */
struct dr_sink *dr_seal_new(struct dr_sink *next, enum dr_cipher,
    const struct dr_recipients *, struct dr_err *);

/*
 * The slow part of sealing, before there is anything to seal: a file key,
 * wrapped for each recipient.  It serves for one seal.
 */
struct dr_seal_draft;
struct dr_seal_draft *dr_seal_draft_new(enum dr_cipher,
    const struct dr_recipients *, struct dr_err *);
void dr_seal_draft_free(struct dr_seal_draft *);

/*
 * Decoder: each chunk authenticated before a byte of it leaves; the final
 * chunk demanded and then the end of NEXT.  Borrows the identities until the
 * header has been read.  Wrong key: DR_EDATA, "no identity matches ...".
 */
struct dr_source *dr_unseal_new(struct dr_source *next,
    const struct dr_identities *, struct dr_err *);
/* Which cipher an open source or blob found in its header. */
enum dr_cipher dr_unseal_cipher(const struct dr_source *);

/*
 * The plain text of a sealed blob, readable anywhere and by several threads.
 * Takes NEXT on success.  Opening checks the header and the final chunk, so
 * that the size is known to be true.
 */
struct dr_blob *dr_unseal_blob(struct dr_blob *next,
    const struct dr_identities *, struct dr_err *);

/* Do these first bytes (at least 32) begin a sealed file?  -1: no. */
int dr_seal_sniff(const void *, size_t, enum dr_cipher *);

#endif /* !DR_CRYPT_SEAL_H */
