#include "crypt/bech32.h"

#include <sodium.h>
#include <stdint.h>
#include <string.h>

#define GROUPS 52 /* 5-bit groups of 32 bytes */
#define CHECK  6  /* and of the checksum */

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char
upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static uint32_t
step(uint32_t chk, unsigned char v)
{
	static const uint32_t gen[] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa,
		0x3d4233dd, 0x2a1462b3 };
	uint32_t top = chk >> 25;

	chk = (chk & 0x1ffffff) << 5 ^ v;
	for (unsigned i = 0; i < 5; i++)
		if ((top >> i & 1) != 0)
			chk ^= gen[i];
	return chk;
}

/* The checksum over HRP and N groups. */
static uint32_t
polymod(const char *hrp, const unsigned char *v, size_t n)
{
	uint32_t chk = 1;

	for (const char *p = hrp; *p != '\0'; p++)
		chk = step(chk, (unsigned char)((unsigned)lower(*p) >> 5));
	chk = step(chk, 0);
	for (const char *p = hrp; *p != '\0'; p++)
		chk = step(chk, (unsigned char)(lower(*p) & 31));
	for (size_t i = 0; i < n; i++)
		chk = step(chk, v[i]);
	return chk;
}

void
dr_bech32_encode(const char *hrp, const unsigned char key[32],
    char out[DR_BECH32_LEN])
{
	unsigned char v[GROUPS + CHECK] = { 0 };
	size_t n = strlen(hrp);
	uint32_t chk;

	for (size_t bit = 0; bit < 256; bit++)
		if ((key[bit / 8] >> (7 - bit % 8) & 1) != 0)
			v[bit / 5] |= (unsigned char)(16U >> bit % 5);
	chk = polymod(hrp, v, sizeof(v)) ^ 1;
	for (size_t i = 0; i < CHECK; i++)
		v[GROUPS + i] = (unsigned char)(chk >> (5 * (5 - i)) & 31);

	memcpy(out, hrp, n);
	out[n] = '1';
	for (size_t i = 0; i < sizeof(v); i++) {
		char c = alphabet[v[i]];

		out[n + 1 + i] = hrp[0] < 'a' ? upper(c) : c;
	}
	out[n + 1 + sizeof(v)] = '\0';
	sodium_memzero(v, sizeof(v));
}

bool
dr_bech32_decode(const char *hrp, const char *s, size_t len,
    unsigned char key[32])
{
	unsigned char v[GROUPS + CHECK];
	size_t n = strlen(hrp);
	bool good = false;

	if (len != n + 1 + sizeof(v) || memcmp(s, hrp, n) != 0 || s[n] != '1')
		return false;
	for (size_t i = 0; i < sizeof(v); i++) {
		char c = s[n + 1 + i];
		const char *at;

		if (c == '\0' || (hrp[0] < 'a' ? upper(c) : lower(c)) != c ||
		    (at = strchr(alphabet, lower(c))) == NULL)
			goto out;
		v[i] = (unsigned char)(at - alphabet);
	}
	/* The last group holds one bit of the key; the rest must be 0. */
	if (polymod(hrp, v, sizeof(v)) != 1 || (v[GROUPS - 1] & 15) != 0)
		goto out;
	memset(key, 0, 32);
	for (size_t bit = 0; bit < 256; bit++)
		if ((v[bit / 5] & 16U >> bit % 5) != 0)
			key[bit / 8] |= (unsigned char)(128U >> bit % 8);
	good = true;

out:
	sodium_memzero(v, sizeof(v));
	return good;
}
