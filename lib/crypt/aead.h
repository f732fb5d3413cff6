/*
 * aead.h - the ciphers of a seal and the derivations around them: age's
 * STREAM (64 KiB chunks, each with its tag, numbered in the nonce, the last
 * one marked there), HKDF and HMAC with SHA-256.  All by libcrypto.
 */
#ifndef DR_CRYPT_AEAD_H
#define DR_CRYPT_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/seal.h"

#define DR_CHUNK    65536U /* plain bytes of a chunk; the last may have fewer */
#define DR_TAG      16U
#define DR_SEALED   (DR_CHUNK + DR_TAG)
#define DR_AEAD_KEY 32U

/* One cipher, keyed once for sealing or once for opening. */
struct dr_aead;

struct dr_aead *dr_aead_new(enum dr_cipher, const unsigned char[DR_AEAD_KEY],
    bool seal, struct dr_err *);
void dr_aead_free(struct dr_aead *);

/*
 * Chunk number N: LEN bytes of IN to LEN + DR_TAG bytes of OUT.  IN and OUT
 * are the same or do not overlap.
 */
int dr_aead_seal(struct dr_aead *, uint64_t n, bool last, const void *in,
    size_t len, void *out, struct dr_err *);

/*
 * The reverse: LEN, tag included, at least DR_TAG, to LEN - DR_TAG bytes of
 * OUT.  False: not authentic, and OUT holds nothing of it.
 */
bool dr_aead_open(struct dr_aead *, uint64_t n, bool last, const void *in,
    size_t len, void *out);

/*
 * A key wrapped under a key that is used this once, so with a nonce of
 * zeros (which is that of chunk 0, not the last).
 */
int dr_wrap(enum dr_cipher, const unsigned char[DR_AEAD_KEY], const void *in,
    size_t len, void *out, struct dr_err *);
/* 1: opened; 0: not authentic; -1. */
int dr_unwrap(enum dr_cipher, const unsigned char[DR_AEAD_KEY], const void *in,
    size_t len, void *out, struct dr_err *);

/* HMAC-SHA-256. */
int dr_hmac(const void *key, size_t key_len, const void *, size_t,
    unsigned char out[32], struct dr_err *);

/* HKDF-SHA-256 (RFC 5869), 32 bytes of it. */
int dr_hkdf(const void *ikm, size_t ikm_len, const void *salt, size_t salt_len,
    const char *info, unsigned char out[32], struct dr_err *);

#endif /* !DR_CRYPT_AEAD_H */
