/*
 * base64.h - base64 as age and minisign have it: canonical, and ASCII.
 */
#ifndef DR_CRYPT_BASE64_H
#define DR_CRYPT_BASE64_H

#include <stddef.h>

/*
 * The N characters at S, in a libsodium VARIANT, into at most SIZE bytes at
 * OUT; *GOT of them.  0, or -1 when it is anything else.
 */
int dr_unbase64(unsigned char *out, size_t size, const char *s, size_t n,
    int variant, size_t *got);

#endif /* !DR_CRYPT_BASE64_H */
