/* Ciphers, HKDF and HMAC against published vectors and against misuse. */
#include <string.h>

#include "base/num.h"
#include "crypt/aead.h"
#include "tests/tap.h"

static unsigned char plain[DR_CHUNK], sealed[DR_SEALED], back[DR_SEALED];

static bool
is_hex(const unsigned char *p, size_t n, const char *want)
{
	char hex[129];

	return n <= 64 && strcmp(dr_hex(p, n, hex), want) == 0;
}

static void
published(void)
{
	struct dr_err err = { 0 };
	unsigned char ikm[22], salt[13], out[32], key[32] = { 0 };

	/* RFC 4231, 4.3. */
	OK(dr_hmac("Jefe", 4, "what do ya want for nothing?", 28, out, &err) ==
	            0 &&
	        is_hex(out, 32,
	            "5bdcc146bf60754e6a042426089575c7"
	            "5a003f089d2739839dec58b964ec3843"),
	    "HMAC-SHA-256");
	/* RFC 5869, A.1: the first 32 bytes of its 42. */
	memset(ikm, 0x0b, sizeof(ikm));
	for (unsigned i = 0; i < sizeof(salt); i++)
		salt[i] = (unsigned char)i;
	OK(dr_hkdf(ikm, sizeof(ikm), salt, sizeof(salt),
	       "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9", out, &err) == 0 &&
	        is_hex(out, 32,
	            "3cb25f25faacd57a90434f64d0362f2a"
	            "2d2d0a90cf1a5a4c5db02d56ecc4c5bf"),
	    "HKDF-SHA-256");
	/* RFC 5869, A.3: no salt, no info. */
	OK(dr_hkdf(ikm, sizeof(ikm), NULL, 0, "", out, &err) == 0 &&
	        is_hex(out, 32,
	            "8da4e775a563c18f715f802a063c5a31"
	            "b8a11f5c5ee1879ec3454e5f3c738d2d"),
	    "HKDF-SHA-256 without salt");
	/* The GCM specification's test case 14: zeros under zeros. */
	OK(dr_wrap(DR_CIPHER_AES, key, plain, 16, sealed, &err) == 0 &&
	        is_hex(sealed, 32,
	            "cea7403d4d606b6e074ec5d3baf39d18"
	            "d0d1c8a799996bf0265b98b5d48ab919"),
	    "AES-256-GCM");
	/* RFC 8439 A.1 #2's keystream, from block 1 on. */
	OK(dr_wrap(DR_CIPHER_AGE, key, plain, 32, sealed, &err) == 0 &&
	        is_hex(sealed, 32,
	            "9f07e7be5551387a98ba977c732d080d"
	            "cb0f29a048e3656912c6533e32ee7aed"),
	    "ChaCha20");
}

static void
chunks(enum dr_cipher cipher)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 4095, DR_CHUNK - 1,
		DR_CHUNK };
	unsigned char key[32] = { 7 };
	struct dr_err err = { 0 };
	struct dr_aead *s, *o;
	bool good = true;

	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (unsigned char)(i * 31);
	s = dr_aead_new(cipher, key, true, &err);
	o = dr_aead_new(cipher, key, false, &err);
	if (!OK(s != NULL && o != NULL, "a pair of ciphers"))
		return;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		size_t n = sizes[i];
		uint64_t c = i % 2 == 0 ? i : UINT64_MAX - i;

		good =
		    good &&
		    dr_aead_seal(s, c, i % 3 == 0, plain, n, sealed, &err) ==
		        0 &&
		    dr_aead_open(o, c, i % 3 == 0, sealed, n + DR_TAG, back) &&
		    memcmp(back, plain, n) == 0;
	}
	OK(good, "chunks of every size come back, numbers in any order");
	dr_aead_seal(s, 5, false, plain, 100, sealed, &err);
	OK(!dr_aead_open(o, 4, false, sealed, 116, back),
	    "a chunk in another's place is refused");
	memset(back, 1, 100);
	OK(!dr_aead_open(o, 5, true, sealed, 116, back),
	    "one that is not the last, as the last");
	OK(memcmp(back, (char[100]){ 0 }, 100) == 0,
	    "and nothing of it is left in the buffer");
	sealed[50] ^= 1;
	OK(!dr_aead_open(o, 5, false, sealed, 116, back), "a flipped bit");
	sealed[50] ^= 1;
	sealed[115] ^= 128;
	OK(!dr_aead_open(o, 5, false, sealed, 116, back), "in the tag");
	sealed[115] ^= 128;
	OK(dr_aead_open(o, 5, false, sealed, 116, sealed) &&
	        memcmp(sealed, plain, 100) == 0,
	    "in place; and a refusal leaves the cipher in order");
	dr_aead_free(s);
	dr_aead_free(o);

	OK(dr_wrap(cipher, key, plain, 32, sealed, &err) == 0 &&
	        dr_unwrap(cipher, key, sealed, 48, back, &err) == 1 &&
	        memcmp(back, plain, 32) == 0,
	    "a wrapped key");
	key[0] ^= 1;
	OK(dr_unwrap(cipher, key, sealed, 48, back, &err) == 0,
	    "not under another key");
}

int
main(void)
{
	published();
	memset(plain, 0, sizeof(plain));
	chunks(DR_CIPHER_AGE);
	chunks(DR_CIPHER_AES);
	dr_aead_free(NULL);
	return DONE();
}
