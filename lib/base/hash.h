/*
 * hash.h - SHA-256 (libcrypto) and CRC-32C.
 */
#ifndef DR_BASE_HASH_H
#define DR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DR_SHA256_LEN 32
#define DR_SHA256_HEX 65

struct dr_sha256; /* heap object */

struct dr_sha256 *dr_sha256_new(struct dr_err *);
int dr_sha256_add(struct dr_sha256 *, const void *, size_t, struct dr_err *);
/* The digest; the object can only be freed after it. */
int dr_sha256_end(struct dr_sha256 *, unsigned char[DR_SHA256_LEN],
    struct dr_err *);
void dr_sha256_free(struct dr_sha256 *);

/* Of a whole buffer, as lower-case hex. */
int dr_sha256_hex(const void *, size_t, char[DR_SHA256_HEX], struct dr_err *);

/*
 * CRC-32C (Castagnoli), as in RFC 3720, PostgreSQL and iSCSI: start with
 * crc = 0, feed pieces in order.  Thread-safe.
 */
uint32_t dr_crc32c(uint32_t crc, const void *, size_t);

/* The same without the processor's instruction for it. */
uint32_t dr_crc32c_soft(uint32_t crc, const void *, size_t);

/* CRC of A followed by B, from their CRCs and the length of B. */
uint32_t dr_crc32c_join(uint32_t a, uint32_t b, uint64_t len_b);

#endif /* !DR_BASE_HASH_H */
