/* Sealing and opening, as streams and as blobs. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/aead.h"
#include "crypt/keys.h"
#include "crypt/seal.h"
#include "stream/pump.h"
#include "tests/tap.h"

#define MAX (8U << 20)

static unsigned char plain[5 * DR_CHUNK + 1];
static struct dr_identities *ids, *others;
static struct dr_recipients *to;

static uint32_t seed = 12345;

static uint32_t
rnd(uint32_t below)
{
	seed = seed * 1664525U + 1013904223U;
	return (uint32_t)((uint64_t)seed * below >> 32);
}

static void
setup(void)
{
	struct dr_err err = { 0 };
	char text[DR_BECH32_LEN];

	ids = dr_identities_new(&err);
	others = dr_identities_new(&err);
	to = dr_recipients_new(&err);
	if (ids == NULL || others == NULL || to == NULL ||
	    dr_identities_make(ids, &err) == -1 ||
	    dr_identities_make(others, &err) == -1)
		abort();
	dr_recipient_text(ids->v[0]->public, text);
	if (dr_recipients_add(to, text, &err) == -1)
		abort();
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (unsigned char)rnd(256);
}

/* LEN bytes of plain sealed into OUT, written STEP at a time. */
static void
seal(enum dr_cipher cipher, size_t len, size_t step, struct dr_buf *out)
{
	struct dr_err err = { 0 };
	struct dr_sink *s, *seal;

	out->max = MAX;
	out->len = 0;
	if ((s = dr_sink_buf(out, &err)) == NULL ||
	    (seal = dr_seal_new(s, cipher, to, &err)) == NULL)
		abort();
	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < step ? len - at : step;
		if (dr_sink_write(seal, plain + at, n, &err) == -1)
			abort();
	}
	if (dr_sink_finish(seal, &err) == -1)
		abort();
	dr_sink_free(seal);
}

/*
 * Open LEN bytes, given out at most IN a read, read OUT at a time.  Returns
 * the plain length if it was whole, else -1; *GOT says how much came out,
 * and all that did is compared with what it should be.
 */
static ssize_t
unseal(const void *data, size_t len, size_t in, size_t out, size_t *got,
    struct dr_err *err)
{
	struct dr_source *mem, *s;
	unsigned char *buf;
	ssize_t n = -1;

	*got = 0;
	memset(err, 0, sizeof(*err));
	if ((buf = malloc(out)) == NULL ||
	    (mem = dr_source_mem(data, len, in, err)) == NULL)
		abort();
	if ((s = dr_unseal_new(mem, ids, err)) == NULL) {
		dr_source_free(mem);
		goto out;
	}
	while ((n = dr_source_read(s, buf, out, err)) > 0) {
		if (*got + (size_t)n > sizeof(plain) ||
		    memcmp(buf, plain + *got, (size_t)n) != 0)
			abort();
		*got += (size_t)n;
	}
	if (n == 0 && dr_source_read(s, buf, out, err) != 0)
		abort();
	dr_source_free(s);

out:
	free(buf);
	return n == 0 ? (ssize_t)*got : -1;
}

static void
round_trips(enum dr_cipher cipher)
{
	static const size_t lens[] = { 0, 1, DR_CHUNK - 1, DR_CHUNK,
		DR_CHUNK + 1, 2 * DR_CHUNK, sizeof(plain) };
	static const size_t steps[] = { 7, DR_CHUNK - 1, DR_CHUNK, DR_CHUNK + 1,
		1U << 20 };
	struct dr_buf out = { 0 };
	struct dr_err err;
	bool good = true, sized = true;
	enum dr_cipher found;
	size_t got, chunks;

	for (size_t l = 0; l < sizeof(lens) / sizeof(*lens); l++)
		for (size_t s = 0; s < sizeof(steps) / sizeof(*steps); s++) {
			seal(cipher, lens[l], steps[s], &out);
			good = good &&
			       unseal(out.data, out.len, steps[4 - s], steps[s],
			           &got, &err) == (ssize_t)lens[l];
			chunks = lens[l] == 0
			             ? 1
			             : (lens[l] + DR_CHUNK - 1) / DR_CHUNK;
			sized =
			    sized && out.len - lens[l] - chunks * DR_TAG < 300;
		}
	OK(good, "lengths and step sizes around a chunk");
	OK(sized, "no chunk more than needed");
	seal(cipher, 100, 1, &out);
	OK(unseal(out.data, out.len, 1, 1, &got, &err) == 100,
	    "byte by byte, all through");
	OK(dr_seal_sniff(out.data, 32, &found) == 0 && found == cipher,
	    "its first bytes tell what it is");
	OK(dr_seal_sniff(out.data, 20, &found) == -1 &&
	        dr_seal_sniff(plain, 32, &found) == -1,
	    "others do not");
	dr_buf_free(&out);
}

/* Every cut and every flipped bit is noticed, and what came out was right. */
static void
damage(enum dr_cipher cipher)
{
	struct dr_buf out = { 0 };
	struct dr_err err;
	size_t got, cuts = 0, flips = 0, n = 0, header;
	bool data = true, told = true;

	seal(cipher, 2 * DR_CHUNK + 10, 1U << 20, &out);
	header = out.len - 2 * DR_CHUNK - 10 - 3 * DR_TAG;
	for (size_t at = 0; at < out.len;) {
		n++;
		cuts += unseal(out.data, at, 0, 1U << 20, &got, &err) == -1;
		data = data && err.cause == DR_EDATA && got % DR_CHUNK == 0;
		told = told && strstr(err.msg, "truncated") != NULL;
		if (at < header + 40 || at + 40 > out.len ||
		    (at - header + 20) % DR_SEALED < 40)
			at++;
		else
			at += 1 + rnd(3000);
	}
	OK(cuts == n, "a cut anywhere is refused");
	OK(data, "as damage, with whole chunks before it at most");
	OK(told, "and said to be truncation");
	n = 0;
	for (size_t at = 0; at < out.len;) {
		/* In the header every bit, behind it one by chance. */
		unsigned bits = at < header ? 255 : 1U << rnd(8);

		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			if ((bits & bit) == 0)
				continue;
			n++;
			out.data[at] = (char)(out.data[at] ^ (int)bit);
			flips += unseal(out.data, out.len, 0, 1U << 20, &got,
			             &err) == -1 &&
			         err.cause == DR_EDATA;
			out.data[at] = (char)(out.data[at] ^ (int)bit);
		}
		at += at < header + 40 ? 1 : 1 + rnd(4000);
	}
	OK(flips == n, "a flipped bit anywhere is refused");
	OK(unseal(out.data, out.len, 0, 1U << 20, &got, &err) > 0,
	    "without the damage it opens");
	if (dr_buf_add(&out, "x", 1, &err) == -1)
		abort();
	OK(unseal(out.data, out.len, 0, 1U << 20, &got, &err) == -1 &&
	        got == 2 * DR_CHUNK,
	    "a byte after the end is refused, the last chunk not given out");
	dr_buf_free(&out);
}

static void
others_keys(enum dr_cipher cipher)
{
	struct dr_identities *mine = ids;
	struct dr_buf out = { 0 };
	struct dr_err err;
	struct dr_blob *blob;
	size_t got;

	seal(cipher, 10, 10, &out);
	ids = others;
	OK(unseal(out.data, out.len, 0, 10, &got, &err) == -1 &&
	        err.cause == DR_EDATA &&
	        strstr(err.msg, "no identity matches") != NULL &&
	        err.hint[0] != '\0',
	    "another identity does not open it");
	ids = mine;
	memset(&err, 0, sizeof(err));
	if ((blob = dr_blob_mem(out.data, out.len, &err)) == NULL)
		abort();
	OK(dr_unseal_blob(blob, others, &err) == NULL &&
	        strstr(err.msg, "no identity matches") != NULL,
	    "nor as a blob");
	dr_blob_free(blob);
	dr_buf_free(&out);
}

/* --- blobs --------------------------------------------------------------- */

static struct dr_blob *
blob_of(const struct dr_buf *sealed, struct dr_err *err)
{
	struct dr_blob *mem, *b;

	memset(err, 0, sizeof(*err));
	if ((mem = dr_blob_mem(sealed->data, sealed->len, err)) == NULL)
		abort();
	if ((b = dr_unseal_blob(mem, ids, err)) == NULL)
		dr_blob_free(mem);
	return b;
}

static bool
ranges(struct dr_blob *b, uint32_t n, uint32_t start)
{
	struct dr_err err = { 0 };
	unsigned char *buf;
	uint32_t state = start;
	size_t off, len;
	bool good = true;

	if ((buf = malloc(sizeof(plain))) == NULL)
		abort();
	for (uint32_t i = 0; i < n && good; i++) {
		state = state * 1664525U + 1013904223U;
		off = (size_t)((uint64_t)state * b->size >> 32);
		state = state * 1664525U + 1013904223U;
		len = (size_t)((uint64_t)state * (b->size - off) >> 32);
		/* Half of them short, by which edges are met more often. */
		if (i % 2 == 0)
			len %= DR_CHUNK + 2;
		good = dr_blob_pread(b, buf, len, off, &err) == 0 &&
		       (len == 0 || memcmp(buf, plain + off, len) == 0);
	}
	free(buf);
	return good;
}

static void *
reader(void *arg)
{
	return ranges(arg, 100, (uint32_t)(uintptr_t)&arg) ? arg : NULL;
}

static void
blobs(enum dr_cipher cipher)
{
	static const size_t lens[] = { 0, 1, DR_CHUNK - 1, DR_CHUNK,
		DR_CHUNK + 1, 2 * DR_CHUNK, sizeof(plain) };
	struct dr_buf out = { 0 };
	pthread_t t[4];
	struct dr_err err;
	struct dr_blob *b;
	bool good = true, whole = true;
	size_t refused = 0, n = 0, header;
	unsigned char *buf;
	void *rc;

	if ((buf = malloc(sizeof(plain))) == NULL)
		abort();
	for (size_t l = 0; l < sizeof(lens) / sizeof(*lens); l++) {
		seal(cipher, lens[l], 1U << 20, &out);
		if ((b = blob_of(&out, &err)) == NULL) {
			good = false;
			continue;
		}
		good = good && b->size == lens[l];
		whole = whole && dr_blob_pread(b, buf, lens[l], 0, &err) == 0 &&
		        memcmp(buf, plain, lens[l]) == 0;
		OK(dr_blob_pread(b, buf, 1, lens[l], &err) == -1 &&
		        err.cause == DR_EDATA,
		    "not beyond the end");
		dr_blob_free(b);
	}
	OK(good, "a blob knows its size");
	OK(whole, "and gives out all of it");

	if ((b = blob_of(&out, &err)) == NULL)
		abort();
	OK(ranges(b, 200, 1), "any range");
	for (int i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, reader, b) != 0)
			abort();
	good = true;
	for (int i = 0; i < 4; i++)
		good = pthread_join(t[i], &rc) == 0 && rc != NULL && good;
	OK(good, "by several threads at once");
	dr_blob_free(b);

	header = out.len - sizeof(plain) - 6 * DR_TAG;
	out.data[header + 3 * DR_SEALED + 5] ^= 1;
	b = blob_of(&out, &err);
	OK(b != NULL && dr_blob_pread(b, buf, 3 * DR_CHUNK, 0, &err) == 0 &&
	        dr_blob_pread(b, buf, 1, 4 * DR_CHUNK, &err) == 0,
	    "a damaged chunk harms no other");
	OK(b != NULL && dr_blob_pread(b, buf, 10, 3 * DR_CHUNK, &err) == -1 &&
	        err.cause == DR_EDATA && strstr(err.msg, "chunk 3") != NULL,
	    "and is refused by its number");
	dr_blob_free(b);
	out.data[header + 3 * DR_SEALED + 5] ^= 1;

	for (size_t len = out.len; len-- > 0;) {
		struct dr_buf cut = out;

		cut.len = len;
		n++;
		b = blob_of(&cut, &err);
		refused += b == NULL && err.cause == DR_EDATA;
		dr_blob_free(b);
		if (len > header + 100 && (len - header) % DR_SEALED > 40)
			len -= 1 + rnd(5000) % 20 * 100;
		if (len > out.len)
			break;
	}
	OK(refused == n, "a cut anywhere is refused when it is opened");
	dr_buf_free(&out);
	free(buf);
}

/* What was not finished has no last chunk. */
static void
abandoned(void)
{
	struct dr_buf out = { .max = MAX };
	struct dr_err err = { 0 };
	struct dr_sink *s, *seal;
	size_t got;

	if ((s = dr_sink_buf(&out, &err)) == NULL ||
	    (seal = dr_seal_new(s, DR_CIPHER_AGE, to, &err)) == NULL ||
	    dr_sink_write(seal, plain, 2 * DR_CHUNK, &err) == -1)
		abort();
	dr_sink_free(seal);
	OK(unseal(out.data, out.len, 0, DR_CHUNK, &got, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "a sealer freed unfinished leaves no whole file");
	dr_buf_free(&out);
}

static void
not_sealed(void)
{
	static const char *const not [] = { "", "age-encryption.org/v1",
		"age-encryption.org/v1\n", "age-encryption.org/v2\n-> x\n",
		"drtools-seal/v1 aes-128-gcm\n", "\n",
		"age-encryption.org/v1\n---" };
	struct dr_err err;
	size_t got, n = sizeof(not ) / sizeof(*not );
	bool good = true;
	char *zeros;

	for (size_t i = 0; i < n; i++)
		good =
		    good &&
		    unseal(not [i], strlen(not [i]), 1, 10, &got, &err) == -1 &&
		    err.cause == DR_EDATA;
	OK(good, "what is not sealed is refused");
	if ((zeros = calloc(1, 3U << 20)) == NULL)
		abort();
	memset(zeros, 'A', 3U << 20);
	memcpy(zeros, "age-encryption.org/v1\n", 22);
	OK(unseal(zeros, 3U << 20, 0, 10, &got, &err) == -1 &&
	        strstr(err.msg, "too long") != NULL,
	    "a header without an end is given up");
	OK(unseal("-----BEGIN AGE ENCRYPTED FILE-----\n", 35, 0, 10, &got,
	       &err) == -1 &&
	        strstr(err.hint, "age -d") != NULL,
	    "armor gets a hint");
	free(zeros);
}

int
main(void)
{
	struct dr_recipients *none;
	struct dr_err err = { 0 };

	setup();
	for (int c = 0; c < 2; c++) {
		enum dr_cipher cipher = c == 0 ? DR_CIPHER_AGE : DR_CIPHER_AES;

		round_trips(cipher);
		damage(cipher);
		others_keys(cipher);
		blobs(cipher);
	}
	abandoned();
	not_sealed();
	if ((none = dr_recipients_new(&err)) == NULL)
		abort();
	OK(dr_seal_new(NULL, DR_CIPHER_AGE, none, &err) == NULL &&
	        err.cause == DR_EUSAGE,
	    "to nobody is refused");
	dr_recipients_free(none);
	dr_recipients_free(to);
	dr_identities_free(ids);
	dr_identities_free(others);
	return DONE();
}
