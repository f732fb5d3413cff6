#include "crypt/base64.h"

#include <sodium.h>

int
dr_unbase64(unsigned char *out, size_t size, const char *s, size_t n,
    int variant, size_t *got)
{
	/* libsodium 1.0.18 takes some bytes above 127 for letters. */
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] > 127)
			return -1;
	return sodium_base642bin(out, size, s, n, NULL, got, NULL, variant);
}
