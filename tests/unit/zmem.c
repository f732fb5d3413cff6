/* zmem.c - frames in memory, compressed in threads as they are fed. */
#include "codec/zmem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "tests/tap.h"

#define LEN (3U * DR_ZMEM_FRAME + 12345U)

static struct dr_err err;

struct memsink {
	struct dr_sink sink;
	struct dr_buf *out;
};

static int
mem_write(struct dr_sink *s, const void *data, size_t len, struct dr_err *e)
{
	return dr_buf_add(((struct memsink *)s)->out, data, len, e);
}

static const struct dr_sink_ops mem_ops = { .write = mem_write };

static int
count(void *arg, const void *data, size_t len, struct dr_err *e)
{
	(void)data;
	(void)e;
	*(size_t *)arg += len;
	return 0;
}

static bool
reads(const void *in, size_t len, size_t max, const void *want, size_t n)
{
	struct dr_buf out = { .max = max + 1 };
	size_t seen = 0;
	bool good;

	dr_err_clear(&err);
	good = dr_zmem_read(in, len, max, &out, count, &seen, &err) == 0 &&
	       out.len == n && seen == n &&
	       (n == 0 || memcmp(out.data, want, n) == 0);
	dr_buf_free(&out);
	return good;
}

/* It says so, and nothing else. */
static bool
refuses(const void *in, size_t len, size_t max)
{
	return !reads(in, len, max, "", SIZE_MAX) && err.cause == DR_EDATA;
}

int
main(void)
{
	char *data = malloc(LEN);
	struct dr_buf z = { .max = 2 * LEN }, s = { .max = 2 * LEN };
	struct memsink to = { .sink = { .ops = &mem_ops }, .out = &z };
	struct dr_zmem *m;
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_inBuffer in = { data, LEN, 0 };
	ZSTD_outBuffer out;
	bool good = true;

	if (data == NULL || c == NULL || dr_buf_room(&s, LEN, &err) == -1)
		abort();
	for (size_t i = 0; i < LEN; i++)
		data[i] = (char)(i / 97 * 31 + i % 7);
	m = dr_zmem_start(data, LEN, 1, 2, &err);
	for (size_t at = 0; m != NULL && at < LEN; at += 777777)
		dr_zmem_fed(m, at);
	dr_zmem_fed(m, LEN);
	OK(dr_zmem_write(m, &to.sink, &err) == 0 && z.len < LEN,
	    "compressed while it is fed");
	dr_zmem_free(m);
	OK(reads(z.data, z.len, LEN, data, LEN), "and read");
	OK(reads(z.data, z.len, 2 * LEN, data, LEN), "with more room, too");
	OK(refuses(z.data, z.len, LEN - 1), "not into too little");
	OK(refuses(z.data, z.len, DR_ZMEM_FRAME), "nor into one frame's");
	for (size_t n = 0; n < z.len; n += n < 64 ? 1 : 4099)
		good &= refuses(z.data, n, LEN) ||
		        ZSTD_findFrameCompressedSize(z.data, n) == n;
	OK(good, "not what is truncated");
	OK(refuses(z.data, z.len - 1, LEN), "by one byte either");
	z.data[z.len / 2] ^= 1;
	OK(refuses(z.data, z.len, LEN), "nor what is damaged");

	/* A frame that does not say its size, from somebody else. */
	out = (ZSTD_outBuffer){ s.data, s.cap, 0 };
	while (ZSTD_compressStream2(c, &out, &in, ZSTD_e_end) != 0)
		;
	s.len = out.pos;
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	in.pos = out.pos = 0;
	while (ZSTD_compressStream2(c, &out, &in, ZSTD_e_end) != 0)
		;
	s.len = out.pos;
	OK(ZSTD_getFrameContentSize(s.data, s.len) == ZSTD_CONTENTSIZE_UNKNOWN,
	    "a frame of no stated size");
	OK(reads(s.data, s.len, LEN, data, LEN), "is read");
	OK(refuses(s.data, s.len, LEN - 1), "and not into too little");

	m = dr_zmem_start(data, LEN, 1, 2, &err);
	dr_zmem_fed(m, 1000);
	dr_zmem_free(m);
	OK(true, "dropped while it waits for more");
	ZSTD_freeCCtx(c);
	dr_buf_free(&z);
	dr_buf_free(&s);
	free(data);
	return DONE();
}
