#include "base/hash.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/num.h"

#if defined(__x86_64__)
#	include <nmmintrin.h>
#	define HAVE_FAST 1
#endif

/* --- SHA-256 ------------------------------------------------------------- */

struct dr_sha256 {
	EVP_MD_CTX *ctx;
};

struct dr_sha256 *
dr_sha256_new(struct dr_err *err)
{
	struct dr_sha256 *h;

	if ((h = calloc(1, sizeof(*h))) == NULL ||
	    (h->ctx = EVP_MD_CTX_new()) == NULL) {
		dr_err_set(err, DR_EFAIL, "cannot allocate a SHA-256");
		goto fail;
	}
	if (EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1) {
		dr_err_set(err, DR_EFAIL, "cannot start a SHA-256");
		goto fail;
	}
	return h;

fail:
	dr_sha256_free(h);
	return NULL;
}

int
dr_sha256_add(struct dr_sha256 *h, const void *p, size_t n, struct dr_err *err)
{
	if (EVP_DigestUpdate(h->ctx, p, n) != 1)
		return dr_err_set(err, DR_EFAIL, "cannot compute a SHA-256");
	return 0;
}

int
dr_sha256_end(struct dr_sha256 *h, unsigned char out[DR_SHA256_LEN],
    struct dr_err *err)
{
	if (EVP_DigestFinal_ex(h->ctx, out, NULL) != 1)
		return dr_err_set(err, DR_EFAIL, "cannot compute a SHA-256");
	return 0;
}

void
dr_sha256_free(struct dr_sha256 *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

int
dr_sha256_hex(const void *p, size_t n, char out[DR_SHA256_HEX],
    struct dr_err *err)
{
	unsigned char digest[DR_SHA256_LEN];

	if (EVP_Digest(p, n, digest, NULL, EVP_sha256(), NULL) != 1)
		return dr_err_set(err, DR_EFAIL, "cannot compute a SHA-256");
	dr_hex(digest, sizeof(digest), out);
	return 0;
}

/* --- CRC-32C ------------------------------------------------------------- */

/* The polynomial of RFC 3720, bits reversed. */
#define POLY 0x82f63b78U

/* Bytes that each of three streams takes in one go. */
#define BIG   4096U
#define SMALL 256U

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t bytes[8][256];      /* slice by 8 */
static uint32_t powers[67];         /* x^(2^i) modulo POLY */
static uint32_t over_big[4][256];   /* a register moved over BIG zeros */
static uint32_t over_small[4][256]; /* over SMALL zeros */
static bool fast;

/* A times B modulo POLY (the method of zlib's crc32_combine). */
static uint32_t
multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (uint32_t m = 1U << 31; m != 0; m >>= 1) {
		if ((a & m) != 0)
			product ^= b;
		b = (b & 1) != 0 ? b >> 1 ^ POLY : b >> 1;
	}
	return product;
}

/* x^(8 * LEN) modulo POLY: what moves a register over LEN zero bytes. */
static uint32_t
zeros(uint64_t len)
{
	uint32_t p = 1U << 31; /* x^0 */

	for (int i = 3; len != 0; len >>= 1, i++)
		if ((len & 1) != 0)
			p = multiply(powers[i], p);
	return p;
}

static void
make_over(uint32_t table[4][256], uint64_t len)
{
	uint32_t op = zeros(len);

	for (uint32_t i = 0; i < 4; i++)
		for (uint32_t n = 0; n < 256; n++)
			table[i][n] = multiply(op, n << (8 * i));
}

static void
make_tables(void)
{
	for (uint32_t n = 0; n < 256; n++) {
		uint32_t c = n;

		for (int i = 0; i < 8; i++)
			c = (c & 1) != 0 ? c >> 1 ^ POLY : c >> 1;
		bytes[0][n] = c;
	}
	for (uint32_t n = 0; n < 256; n++)
		for (int i = 1; i < 8; i++)
			bytes[i][n] = bytes[i - 1][n] >> 8 ^
			              bytes[0][bytes[i - 1][n] & 0xff];
	powers[0] = 1U << 30; /* x^1 */
	for (size_t i = 1; i < sizeof(powers) / sizeof(*powers); i++)
		powers[i] = multiply(powers[i - 1], powers[i - 1]);
	make_over(over_big, BIG);
	make_over(over_small, SMALL);
#ifdef HAVE_FAST
	__builtin_cpu_init();
	fast = __builtin_cpu_supports("sse4.2") != 0;
#endif
}

uint32_t
dr_crc32c_soft(uint32_t crc, const void *data, size_t n)
{
	const unsigned char *p = data;

	pthread_once(&once, make_tables);
	crc = ~crc;
	for (; n >= 8; n -= 8, p += 8) {
		uint32_t lo = crc ^ dr_get32(p), hi = dr_get32(p + 4);

		crc = bytes[7][lo & 0xff] ^ bytes[6][lo >> 8 & 0xff] ^
		      bytes[5][lo >> 16 & 0xff] ^ bytes[4][lo >> 24] ^
		      bytes[3][hi & 0xff] ^ bytes[2][hi >> 8 & 0xff] ^
		      bytes[1][hi >> 16 & 0xff] ^ bytes[0][hi >> 24];
	}
	for (; n > 0; n--)
		crc = crc >> 8 ^ bytes[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

#ifdef HAVE_FAST
static inline uint64_t
move(uint32_t over[4][256], uint64_t c)
{
	return over[0][c & 0xff] ^ over[1][c >> 8 & 0xff] ^
	       over[2][c >> 16 & 0xff] ^ over[3][c >> 24 & 0xff];
}

static inline uint64_t
load(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/*
 * The instruction takes three cycles but one can start each cycle, so three
 * streams run beside each other and are joined (the method of Mark Adler's
 * crc32c.c).
 */
__attribute__((target("sse4.2"))) static const unsigned char *
three(uint64_t *crc, const unsigned char *p, size_t *n, size_t block,
    uint32_t over[4][256])
{
	uint64_t a = *crc, b, c;

	for (; *n >= 3 * block; *n -= 3 * block, p += 2 * block) {
		const unsigned char *end = p + block;

		b = c = 0;
		for (; p < end; p += 8) {
			a = _mm_crc32_u64(a, load(p));
			b = _mm_crc32_u64(b, load(p + block));
			c = _mm_crc32_u64(c, load(p + 2 * block));
		}
		a = move(over, a) ^ b;
		a = move(over, a) ^ c;
	}
	*crc = a;
	return p;
}

__attribute__((target("sse4.2"))) static uint32_t
crc_fast(uint32_t crc, const void *data, size_t n)
{
	const unsigned char *p = data;
	uint64_t c = ~crc;

	c &= 0xffffffffU;
	p = three(&c, p, &n, BIG, over_big);
	p = three(&c, p, &n, SMALL, over_small);
	for (; n >= 8; n -= 8, p += 8)
		c = _mm_crc32_u64(c, load(p));
	for (; n > 0; n--)
		c = _mm_crc32_u8((uint32_t)c, *p++);
	return ~(uint32_t)c;
}
#endif

uint32_t
dr_crc32c(uint32_t crc, const void *data, size_t n)
{
	pthread_once(&once, make_tables);
#ifdef HAVE_FAST
	if (fast)
		return crc_fast(crc, data, n);
#endif
	return dr_crc32c_soft(crc, data, n);
}

uint32_t
dr_crc32c_join(uint32_t a, uint32_t b, uint64_t len_b)
{
	pthread_once(&once, make_tables);
	return multiply(zeros(len_b), a) ^ b;
}
