/*
 * protect.h - a small file under a passphrase: an age file with one scrypt
 * stanza, as `age -p` writes it.
 */
#ifndef DR_CRYPT_PROTECT_H
#define DR_CRYPT_PROTECT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/secret.h"

/* 2^18 rounds of scrypt: 256 MiB and about a second. */
#define DR_WORK_FACTOR 18U

/* Is it an age file, armored or not? */
bool dr_protected(const char *, size_t);

/*
 * Open it with the passphrase of PASSPHRASE_FILE or the terminal, asked
 * for with NAME.  DR_EDATA for a wrong one.
 */
int dr_unprotect(const char *, size_t, const char *name,
    const char *passphrase_file, struct dr_secret *plain, struct dr_err *);

/* Protect LEN bytes, at most 64 KiB; the armored text is added to OUT. */
int dr_protect(const void *, size_t len, const char *passphrase,
    unsigned work_factor, struct dr_buf *out, struct dr_err *);

#endif /* !DR_CRYPT_PROTECT_H */
