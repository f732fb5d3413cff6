#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "tests/tap.h"

#define N 5000

/* One bit at a time, from the definition. */
static uint32_t
bitwise(uint32_t crc, const unsigned char *p, size_t n)
{
	crc = ~crc;
	while (n-- > 0) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc =
			    (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78U : crc >> 1;
	}
	return ~crc;
}

static void
crc_vectors(void)
{
	/* RFC 3720, B.4. */
	unsigned char b[48] = { 0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14, 0, 0, 0,
		0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0 };

	OK(dr_crc32c(0, b, 48) == 0xd9963a56, "iSCSI read command");
	memset(b, 0, 32);
	OK(dr_crc32c(0, b, 32) == 0x8a9136aa, "32 zeros");
	memset(b, 0xff, 32);
	OK(dr_crc32c(0, b, 32) == 0x62a8ab43, "32 bytes of ones");
	for (unsigned i = 0; i < 32; i++)
		b[i] = (unsigned char)i;
	OK(dr_crc32c(0, b, 32) == 0x46dd794e, "counting up");
	for (unsigned i = 0; i < 32; i++)
		b[i] = (unsigned char)(31 - i);
	OK(dr_crc32c(0, b, 32) == 0x113fdb5c, "counting down");
	OK(dr_crc32c(0, "123456789", 9) == 0xe3069283 &&
	        dr_crc32c_soft(0, "123456789", 9) == 0xe3069283,
	    "the check value");
	OK(dr_crc32c(0, NULL, 0) == 0 && dr_crc32c(7, NULL, 0) == 7,
	    "nothing changes nothing");
}

static void
crc_random(void)
{
	size_t big = 3 * 4096 * 3 + 3 * 256 * 2 + 77;
	unsigned char *b;
	struct dr_err e = { 0 };
	uint32_t whole, a, c;
	bool fast = true, soft = true, pieces = true, join = true;

	if ((b = malloc(big + 16)) == NULL || dr_random(b, big + 16, &e) == -1)
		return;
	for (size_t n = 0; n <= N; n++) {
		size_t off = n % 13;
		uint32_t want = bitwise((uint32_t)n, b + off, n);

		fast &= dr_crc32c((uint32_t)n, b + off, n) == want;
		soft &= dr_crc32c_soft((uint32_t)n, b + off, n) == want;
	}
	OK(fast, "every length to 5000, at odd places");
	OK(soft, "and without the instruction");
	for (size_t off = 0; off < 16; off++)
		fast &= dr_crc32c(0, b + off, big) == bitwise(0, b + off, big);
	OK(fast, "long ones, at every alignment");
	whole = bitwise(0, b, big);
	for (size_t cut = 0; cut <= big; cut += cut < 100 ? 1 : 997) {
		a = dr_crc32c(0, b, cut);
		c = dr_crc32c(0, b + cut, big - cut);
		pieces &= dr_crc32c(a, b + cut, big - cut) == whole;
		join &= dr_crc32c_join(a, c, big - cut) == whole;
	}
	OK(pieces, "in two pieces, cut anywhere");
	OK(join, "joined from two, cut anywhere");
	free(b);
}

/* CRC of N zero bytes, put together from powers of two. */
static uint32_t
of_zeros(uint64_t n)
{
	uint32_t all = 0, power = dr_crc32c(0, "", 1);

	for (uint64_t len = 1; n != 0; len *= 2, n >>= 1) {
		if ((n & 1) != 0)
			all = dr_crc32c_join(all, power, len);
		power = dr_crc32c_join(power, power, len);
	}
	return all;
}

static void
crc_join(void)
{
	static const unsigned char zeros[65536];
	uint32_t a = dr_crc32c(0, "abc", 3), real = 0;
	uint64_t n = 1;
	bool good = true;

	OK(dr_crc32c_join(a, 0, 0) == a, "joined with nothing");
	OK(dr_crc32c_join(0, a, 3) == a, "nothing joined with it");
	for (int i = 0; i < 100; i++)
		real = dr_crc32c(real, zeros, sizeof(zeros));
	OK(of_zeros(100 * sizeof(zeros)) == real, "6.5 MB from single bytes");
	/* The register starts as all ones and is inverted at the end. */
	for (int i = 0; i < 60; i++, n = n * 2 + (i % 3 == 0 ? 1 : 0))
		good &= of_zeros(n) ==
		        (dr_crc32c_join(0xffffffffU, 0, n) ^ 0xffffffffU);
	OK(good, "lengths up to 2^60");
}

static void
sha(void)
{
	static const char abc[] = "ba7816bf8f01cfea414140de5dae2223"
	                          "b00361a396177a9cb410ff61f20015ad";
	static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb924"
	                            "27ae41e4649b934ca495991b7852b855";
	unsigned char digest[DR_SHA256_LEN];
	char hex[DR_SHA256_HEX];
	struct dr_err e = { 0 };
	struct dr_sha256 *h;

	OK(dr_sha256_hex("abc", 3, hex, &e) == 0 && strcmp(hex, abc) == 0,
	    "SHA-256 of abc (FIPS 180-2)");
	OK(dr_sha256_hex("", 0, hex, &e) == 0 && strcmp(hex, empty) == 0,
	    "of nothing");
	h = dr_sha256_new(&e);
	OK(h != NULL && dr_sha256_add(h, "a", 1, &e) == 0 &&
	        dr_sha256_add(h, "", 0, &e) == 0 &&
	        dr_sha256_add(h, "bc", 2, &e) == 0 &&
	        dr_sha256_end(h, digest, &e) == 0 &&
	        strcmp(dr_hex(digest, sizeof(digest), hex), abc) == 0,
	    "in pieces");
	dr_sha256_free(h);
	dr_sha256_free(NULL);
}

int
main(void)
{
	crc_vectors();
	crc_random();
	crc_join();
	sha();
	return DONE();
}
