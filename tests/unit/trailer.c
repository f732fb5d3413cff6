/* The end mark: what it encodes, and that nothing short of it is an end. */
#include "stream/trailer.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "tests/tap.h"

static const char manifest[] = "{\"drtools\":1,\"id\":\"x\"}";

/* BODY of LEN bytes and its trailer, on the heap. */
static unsigned char *
stream(const void *body, size_t len, const char *line, size_t j, size_t *total)
{
	struct dr_buf out = { .max = SIZE_MAX / 2 };
	struct dr_err err = { 0 };
	struct dr_trailer t = { line, (uint32_t)j, len,
		dr_crc32c(0, body, len) };

	if (dr_buf_add(&out, body, len, &err) == -1 ||
	    dr_trailer_encode(&t, &out, &err) == -1)
		abort();
	*total = out.len;
	return (unsigned char *)out.data;
}

static unsigned char *
noise(size_t len)
{
	unsigned char *p = malloc(len + 1);
	uint32_t x = 2463534242U;

	if (p == NULL)
		abort();
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		p[i] = (unsigned char)x;
	}
	return p;
}

/*
 * Read LEN bytes of DATA through the end mark, STEP at a time from below and
 * CHUNK at a time from above.  Returns the cause, and what came out in OUT.
 */
static enum dr_cause
run(const void *data, size_t len, size_t step, size_t chunk, struct dr_buf *out)
{
	struct dr_err err = { 0 };
	struct dr_source *mem = dr_source_mem(data, len, step, &err);
	struct dr_source *s = dr_endmark_source(mem, "test", &err);
	char *buf = malloc(chunk);
	ssize_t n;
	size_t j;

	out->len = 0;
	while ((n = dr_source_read(s, buf, chunk, &err)) > 0)
		if (dr_buf_add(out, buf, (size_t)n, &err) == -1)
			abort();
	if (n == 0 && (dr_endmark_manifest(s, &j) == NULL ||
	                  dr_source_read(s, buf, chunk, &err) != 0))
		err.cause = DR_EFAIL;
	free(buf);
	dr_source_free(s);
	return err.cause;
}

static void
sizes(void)
{
	static const size_t lens[] = { 0, 1, 2, 511, 512, 65535, 65536, 65571,
		65572, 65573, 131143, 131144, 131145, 262144, 400001 };
	static const size_t steps[] = { 1000, 4096, 65536, 65573, 0 };
	static const size_t chunks[] = { 999, 65536, 131144, 131145, 1 << 20 };
	unsigned char *body = noise(400001), *p;
	struct dr_buf out = { .max = 1 << 20 };
	size_t total;
	bool good = true;

	for (size_t i = 0; i < 15 * 5 * 5; i++) {
		size_t l = lens[i % 15], s = steps[i / 15 % 5],
		       c = chunks[i / 75];

		p = stream(body, l, manifest, strlen(manifest), &total);
		if (run(p, total, s, c, &out) != DR_OK || out.len != l ||
		    (l > 0 && memcmp(out.data, body, l) != 0)) {
			printf("# body %zu step %zu chunk %zu\n", l, s, c);
			good = false;
		}
		free(p);
	}
	OK(good, "bodies of many sizes, cut in many ways, come out whole");

	for (size_t j = 0; j <= DR_MANIFEST_MAX; j += 8192) {
		char *line = malloc(j + 1);

		if (line == NULL)
			abort();
		memset(line, 'm', j);
		p = stream(body, 70000, line, j, &total);
		if (run(p, total, 0, 300000, &out) != DR_OK || out.len != 70000)
			good = false;
		free(p);
		free(line);
	}
	OK(good, "manifests up to 64 KiB");
	free(body);
	dr_buf_free(&out);
}

static void
prefixes(void)
{
	struct dr_buf out = { .max = 1 << 20 };
	unsigned char *body = noise(3000), *p;
	size_t total, passed = 0;
	bool silent = true;

	p = stream(body, 3000, manifest, strlen(manifest), &total);
	for (size_t n = 0; n < total; n++) {
		if (run(p, n, 0, 512, &out) != DR_EDATA ||
		    run(p, n, 0, 200000, &out) != DR_EDATA)
			passed++;
		if (out.len > 0)
			silent = false;
	}
	OK(passed == 0, "no prefix of a stream is whole");
	OK(silent, "and a prefix this short gives out nothing");

	for (size_t n = 0; n < total; n++)
		for (int bit = 0; bit < 8; bit += 3) {
			p[n] ^= (unsigned char)(1 << bit);
			if (run(p, total, 0, 512, &out) != DR_EDATA)
				passed++;
			p[n] ^= (unsigned char)(1 << bit);
		}
	OK(passed == 0, "a flipped bit anywhere is found");
	free(p);
	free(body);
	dr_buf_free(&out);
}

/* A body that is itself full of valid streams. */
static void
nested(void)
{
	struct dr_buf body = { .max = 1 << 20 }, out = { .max = 1 << 20 };
	struct dr_err err = { 0 };
	unsigned char *inner, *p;
	size_t n = 0, total, ends = 0;

	for (int i = 0; i < 40; i++) {
		inner = stream("abc", 3, manifest, strlen(manifest), &n);
		if (dr_buf_add(&body, inner, n, &err) == -1)
			abort();
		free(inner);
	}
	p = stream(body.data, body.len, manifest, strlen(manifest), &total);
	OK(run(p, total, 0, 512, &out) == DR_OK && out.len == body.len,
	    "a body full of end marks comes out whole");
	/* The very first inner stream is a whole stream: that cut is one. */
	for (size_t i = 0; i < total; i++)
		if (i != n && run(p, i, 0, 512, &out) != DR_EDATA)
			ends++;
	OK(ends == 0, "and a cut behind an inner end mark is no end");
	free(p);
	dr_buf_free(&body);
	dr_buf_free(&out);
}

static void
uncounted(void)
{
	struct dr_buf s = { .max = 1 << 20 }, out = { .max = 1 << 20 };
	struct dr_err err = { 0 };
	struct dr_trailer t = { manifest, (uint32_t)strlen(manifest), 4, 0 };

	if (dr_buf_add(&s, "body", 4, &err) == -1 ||
	    dr_trailer_encode(&t, &s, &err) == -1)
		abort();
	OK(run(s.data, s.len, 0, 64, &out) == DR_OK,
	    "a CRC of 0 is not checked");
	s.len = 4;
	t.body_len = 5;
	if (dr_trailer_encode(&t, &s, &err) == -1)
		abort();
	OK(run(s.data, s.len, 0, 64, &out) == DR_EDATA,
	    "a length that is not the body's is damage");
	t.manifest_len = DR_MANIFEST_MAX + 1;
	OK(dr_trailer_encode(&t, &s, &err) == -1,
	    "a manifest above 64 KiB is refused");
	dr_buf_free(&s);
	dr_buf_free(&out);
}

static void
layout(void)
{
	struct dr_buf s = { .max = 1 << 20 };
	struct dr_err err = { 0 };
	struct dr_trailer t = { "{}", 2, 0x1122334455667788U, 0xa1b2c3d4U };
	const unsigned char *p;

	if (dr_trailer_encode(&t, &s, &err) == -1)
		abort();
	p = (const unsigned char *)s.data;
	OK(s.len == 38 && dr_get32(p) == 0x184D2A5DU && dr_get32(p + 4) == 30,
	    "magic, then the length of what follows");
	OK(memcmp(p + 8, "{}", 2) == 0 &&
	        dr_get64(p + 10) == 0x1122334455667788U &&
	        dr_get32(p + 18) == 0xa1b2c3d4U && dr_get32(p + 22) == 2 &&
	        memcmp(p + 30, "DRSTREAM", 8) == 0,
	    "manifest, length, CRC, manifest's length and mark in place");
	dr_buf_free(&s);
}

int
main(void)
{
	layout();
	sizes();
	prefixes();
	nested();
	uncounted();
	return DONE();
}
