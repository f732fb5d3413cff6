#include "codec/pack.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/pump.h"
#include "tests/tap.h"

#define INDEX                     \
	"0 5 0 00000000 a file\0" \
	"5 0 1024 00000000 a directory"

/* Half of it random, half of it text, the same every time. */
static unsigned char *
make(size_t len)
{
	unsigned char *p = malloc(len + 1);
	uint64_t x = 88172645463325252ULL;

	for (size_t i = 0; p != NULL && i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (unsigned char)(i / 5000 % 2 == 0 ? x : 'a' + i % 7);
	}
	return p;
}

struct tapped {
	struct dr_buf seen;
	bool index;
	int fail_at;
};

static int
tap(void *arg, const void *p, size_t len, struct dr_err *err)
{
	struct tapped *t = arg;

	if (t->fail_at > 0 && --t->fail_at == 0)
		return dr_err_set(err, DR_EFAIL, "tapped out");
	return dr_buf_add(&t->seen, p, len, err);
}

static int
member_index(void *arg, struct dr_buf *out, struct dr_err *err)
{
	struct tapped *t = arg;
	struct dr_zbuf *z;
	int rc = -1;

	if (!t->index)
		return 0;
	if ((z = dr_zbuf_new(3, 1 << 20, err)) == NULL)
		return -1;
	if (dr_zbuf_add(z, INDEX, sizeof(INDEX), err) == 0 &&
	    dr_zbuf_end(z, out, err) == 0)
		rc = 0;
	dr_zbuf_free(z);
	return rc;
}

/* Pack LEN bytes into OUT. */
static int
pack(const void *p, size_t len, int workers, uint64_t frame, bool index,
    struct dr_buf *out, struct dr_pack_facts *facts, struct dr_err *err)
{
	struct tapped t = { .seen = { .max = SIZE_MAX / 2 }, .index = index };
	struct dr_pack_opts o = { .level = 3,
		.workers = workers,
		.frame_size = frame,
		.tap = tap,
		.index = member_index,
		.arg = &t };
	struct dr_source *in = dr_source_mem(p, len, 70001, err);
	struct dr_sink *sink = dr_sink_buf(out, err);
	int rc = -1;

	if (in != NULL && sink != NULL)
		rc = dr_pack(in, sink, &o, facts, err);
	if (rc == 0 && (t.seen.len != len ||
	                   (len > 0 && memcmp(t.seen.data, p, len) != 0)))
		rc = dr_err_set(err, DR_EFAIL, "the tap saw other bytes");
	dr_source_free(in);
	dr_sink_free(sink);
	dr_buf_free(&t.seen);
	return rc;
}

/* Unpack, reading STEP bytes at a time from a source that gives IN_STEP. */
static int
unpack(const void *p, size_t len, int workers, size_t step, size_t in_step,
    bool foreign, struct dr_buf *out, struct dr_err *err)
{
	struct dr_source *in, *un = NULL;
	ssize_t n = -1;
	char *buf = malloc(step);

	out->len = 0;
	if ((in = dr_source_mem(p, len, in_step, err)) != NULL &&
	    (un = dr_unpack_new(in, workers, foreign, err)) != NULL) {
		in = un;
		while ((n = dr_source_read(in, buf, step, err)) > 0)
			if (dr_buf_add(out, buf, (size_t)n, err) == -1)
				break;
	}
	dr_source_free(in);
	free(buf);
	return n == 0 ? 0 : -1;
}

static bool
same(const struct dr_buf *b, const void *p, size_t len)
{
	return b->len == len && (len == 0 || memcmp(b->data, p, len) == 0);
}

static void
round_trip(size_t len, uint64_t frame, int workers, bool index)
{
	struct dr_buf packed = { .max = SIZE_MAX / 2 }, out = packed,
	              first = packed;
	struct dr_pack_facts facts;
	struct dr_err err = { 0 };
	unsigned char *p = make(len);
	static const size_t steps[] = { 1, 7, 4096, 65535, 65536, 300000,
		5 << 20 };
	bool good = true;
	char what[128];

	snprintf(what, sizeof(what), "%zu bytes, frames of %llu, -j %d%s", len,
	    (unsigned long long)frame, workers, index ? ", indexed" : "");
	OK(pack(p, len, workers, frame, index, &packed, &facts, &err) == 0,
	    what);
	OK(facts.raw_size == len && facts.packed_size == packed.len &&
	        facts.frames == (len + frame - 1) / frame,
	    "facts are right");
	OK(pack(p, len, 1, frame, index, &first, &facts, &err) == 0 &&
	        same(&packed, first.data, first.len),
	    "bytes do not depend on the number of threads");
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (steps[i] < 4096 && len > 1000000)
			continue;
		good = good &&
		       unpack(packed.data, packed.len, workers, steps[i],
		           steps[i], false, &out, &err) == 0 &&
		       same(&out, p, len);
	}
	OK(good, "unpacked again at any size of buffer");
	OK(unpack(packed.data, packed.len, 1, 9999, 777, true, &out, &err) ==
	            0 &&
	        same(&out, p, len),
	    "and as foreign zstd frames");
	if (err.cause != 0)
		printf("# %s\n", err.msg);
	free(p);
	dr_buf_free(&packed);
	dr_buf_free(&first);
	dr_buf_free(&out);
}

/* Every damage gives DR_EDATA, and no byte that is not the original's. */
static void
damage(void)
{
	const size_t len = 200000;
	struct dr_buf packed = { .max = SIZE_MAX / 2 }, out = packed;
	struct dr_pack_facts facts;
	struct dr_err err = { 0 };
	unsigned char *p = make(len);
	bool cut = true, flipped = true, prefix = true, cause = true;
	bool pooled = true;
	unsigned missed = 0;
	size_t before;
	int rc;

	OK(pack(p, len, 2, 65536, true, &packed, &facts, &err) == 0,
	    "packed for damage");
	for (size_t n = 0; n<packed.len; n += n> packed.len - 300 ? 1 : 91) {
		dr_err_clear(&err);
		cut = cut && unpack(packed.data, n, 1, 65536, 0, false, &out,
		                 &err) == -1;
		cause = cause && err.cause == DR_EDATA;
		prefix = prefix && out.len <= len &&
		         (out.len == 0 || memcmp(out.data, p, out.len) == 0);
	}
	OK(cut, "every prefix is refused");
	for (size_t n = 0; n<packed.len; n += n> packed.len - 300 ? 1 : 191) {
		dr_err_clear(&err);
		packed.data[n] ^= (char)(1 << n % 7);
		rc = unpack(packed.data, packed.len, 1, 65536, 0, false, &out,
		    &err);
		/* zstd does not look at a few bits that mean nothing. */
		if (rc == 0)
			missed++;
		flipped = flipped && (rc == -1 || same(&out, p, len));
		cause = cause && (rc == 0 || err.cause == DR_EDATA);
		prefix = prefix && out.len <= len &&
		         (out.len == 0 || memcmp(out.data, p, out.len) == 0);
		before = out.len;
		dr_err_clear(&err);
		pooled =
		    pooled &&
		    (n % 4 != 0 || (unpack(packed.data, packed.len, 3, 65536, 0,
		                        false, &out, &err) == rc &&
		                       out.len == before));
		packed.data[n] ^= (char)(1 << n % 7);
	}
	OK(missed < 4, "next to every flipped bit is refused");
	OK(flipped, "and the others change nothing");
	OK(cause, "with DR_EDATA");
	OK(prefix, "and what came out before is right");
	OK(pooled, "the same with threads");
	dr_err_clear(&err);
	OK(dr_buf_add(&packed, "x", 1, &err) == 0 &&
	        unpack(packed.data, packed.len, 1, 4096, 0, false, &out,
	            &err) == -1 &&
	        err.cause == DR_EDATA && strstr(err.msg, "after") != NULL,
	    "a byte after it is refused");
	free(p);
	dr_buf_free(&packed);
	dr_buf_free(&out);
}

static void
bad_tables(struct dr_buf *packed)
{
	struct dr_frames f;
	struct dr_err err = { 0 };
	struct dr_blob *b;
	bool good = true;

	for (size_t n = 1; n <= 9 + 17 * 12 + 8; n++) {
		dr_err_clear(&err);
		packed->data[packed->len - n] ^= 4;
		if ((b = dr_blob_mem(packed->data, packed->len, &err)) == NULL)
			break;
		/* Frames know their sums and sizes themselves. */
		if (dr_frames_read(b, &f, &err) == -1)
			good = good && err.cause == DR_EDATA && f.v == NULL;
		else if (n < 10 || (n - 10) % 12 >= 8)
			good = false;
		dr_frames_free(&f);
		dr_blob_free(b);
		packed->data[packed->len - n] ^= 4;
	}
	OK(good, "a damaged seek table is refused");
	good = true;
	for (size_t n = 0; n < packed->len; n += 37) {
		dr_err_clear(&err);
		if ((b = dr_blob_mem(packed->data, n, &err)) == NULL)
			break;
		good = good && dr_frames_read(b, &f, &err) == -1 &&
		       err.cause == DR_EDATA;
		dr_blob_free(b);
	}
	OK(good, "a blob cut short has none");
}

static void
frames(void)
{
	const size_t len = 1000000;
	struct dr_buf packed = { .max = SIZE_MAX / 2 };
	struct dr_pack_facts facts;
	struct dr_frames f = { 0 };
	struct dr_unframe *u = NULL;
	struct dr_source *s = NULL;
	struct dr_blob *b = NULL;
	struct dr_err err = { 0 };
	unsigned char *p = make(len), *out = malloc(len);
	char text[sizeof(INDEX) + 10];
	bool good = true;

	OK(pack(p, len, 2, 65536, true, &packed, &facts, &err) == 0 &&
	        (b = dr_blob_mem(packed.data, packed.len, &err)) != NULL &&
	        (u = dr_unframe_new(&err)) != NULL,
	    "packed for frames");
	OK(dr_frames_read(b, &f, &err) == 0 && f.n == facts.frames &&
	        f.raw_size == len && f.index_at != 0,
	    "the seek table is read");
	for (size_t i = f.n; i-- > 0;)
		good = good &&
		       dr_unframe(u, packed.data + f.v[i].at, f.v[i].size,
		           out + f.v[i].raw_at, f.v[i].raw_size, &err) == 0;
	OK(good && memcmp(out, p, len) == 0, "frames unpack in any order");
	OK((s = dr_frames_index(b, &f, &err)) != NULL &&
	        dr_source_fill(s, text, sizeof(text), &err) ==
	            (ssize_t)sizeof(INDEX) &&
	        memcmp(text, INDEX, sizeof(INDEX)) == 0,
	    "the member index is read");
	OK(dr_unframe(u, packed.data, f.v[0].size, out, f.v[0].raw_size - 1,
	       &err) == -1 &&
	        err.cause == DR_EDATA,
	    "a frame of another size is refused");
	dr_err_clear(&err);
	OK(dr_unframe(u, packed.data, (size_t)f.v[0].size + f.v[1].size, out,
	       len, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "two frames for one are refused");
	dr_frames_free(&f);
	dr_source_free(s);
	dr_blob_free(b);
	bad_tables(&packed);
	dr_unframe_free(u);
	free(p);
	free(out);
	dr_buf_free(&packed);
}

static int
no_write(struct dr_sink *s, const void *p, size_t len, struct dr_err *err)
{
	(void)s;
	(void)p;
	(void)len;
	return dr_err_set(err, DR_EPIPE, "gone");
}

static int
no_finish(struct dr_sink *s, struct dr_err *err)
{
	(void)s;
	return dr_err_set(err, DR_EFAIL, "not reached");
}

static void
no_free(struct dr_sink *s)
{
	(void)s;
}

static void
failures(void)
{
	static const struct dr_sink_ops ops = { .write = no_write,
		.finish = no_finish,
		.free = no_free };
	struct dr_sink sink = { .ops = &ops };
	struct tapped t = { .seen = { .max = SIZE_MAX / 2 }, .fail_at = 5 };
	struct dr_pack_opts o = { .level = 1,
		.workers = 2,
		.frame_size = 65536 };
	struct dr_pack_facts facts;
	struct dr_err err = { 0 };
	unsigned char *p = make(1000000);
	struct dr_source *in = dr_source_mem(p, 1000000, 0, &err);
	struct dr_buf out = { .max = 1000 };

	OK(dr_pack(in, &sink, &o, &facts, &err) == -1 && err.cause == DR_EPIPE,
	    "a sink that fails ends it");
	dr_source_free(in);
	dr_err_clear(&err);
	in = dr_source_mem(p, 1000000, 60000, &err);
	sink.state = DR_SINK_OPEN;
	o.tap = tap;
	o.arg = &t;
	OK(dr_pack(in, &sink, &o, &facts, &err) == -1 && err.cause != DR_OK,
	    "so does a tap");
	dr_source_free(in);
	dr_err_clear(&err);
	OK(unpack("", 0, 1, 10, 0, false, &out, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "nothing is no packed stream");
	dr_err_clear(&err);
	OK(unpack("", 0, 1, 10, 0, true, &out, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "nor a foreign one");
	dr_err_clear(&err);
	OK(unpack("ustar, say", 10, 1, 10, 0, false, &out, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "text is none");
	dr_buf_free(&t.seen);
	dr_buf_free(&out);
	free(p);
}

int
main(void)
{
	round_trip(0, 65536, 2, false);
	round_trip(0, 65536, 1, true);
	round_trip(1, 65536, 1, true);
	round_trip(65535, 65536, 2, false);
	round_trip(65536, 65536, 2, true);
	round_trip(65537, 65536, 3, true);
	round_trip(5000000, 65536, 4, true);
	round_trip(9000001, 2 << 20, 2, true);
	round_trip(9000001, 16 << 20, 2, false);
	damage();
	frames();
	failures();
	return DONE();
}
