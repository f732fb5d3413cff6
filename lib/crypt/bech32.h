/*
 * bech32.h - keys of 32 bytes as text, with a checksum (BIP 173, without its
 * limit of 90 characters): age's "age1..." and "AGE-SECRET-KEY-1...".
 */
#ifndef DR_CRYPT_BECH32_H
#define DR_CRYPT_BECH32_H

#include <stdbool.h>
#include <stddef.h>

#define DR_HRP_RECIPIENT "age"
#define DR_HRP_IDENTITY  "AGE-SECRET-KEY-"

/* Room for the longest of them and a NUL. */
#define DR_BECH32_LEN 80

/*
 * KEY under HRP, which is all lower or all upper case and gives the case of
 * the result.
 */
void dr_bech32_encode(const char *hrp, const unsigned char key[32],
    char out[DR_BECH32_LEN]);

/* The reverse; false unless the LEN characters are all as they must be. */
bool dr_bech32_decode(const char *hrp, const char *, size_t len,
    unsigned char key[32]);

#endif /* !DR_CRYPT_BECH32_H */
