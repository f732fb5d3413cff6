/* ahead.c - reading ahead: the same bytes, fewer waits, failures told. */
#include "store/ahead.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tap.h"

#define MIB  (1U << 20)
#define SIZE (30U * MIB + 12345)

static struct dr_err err;

/* --- what is far away ------------------------------------------------------------ */

struct far {
	struct dr_blob blob;
	atomic_uint reads, now, most, fail_at;
	_Atomic uint64_t bytes;
	atomic_bool freed;
};

static unsigned char
byte_at(uint64_t off)
{
	uint64_t x = (off >> 3) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned char)(x >> (8 * (off & 7)));
}

static int
far_pread(struct dr_blob *b, void *buf, size_t len, uint64_t off,
    struct dr_err *e)
{
	struct far *f = (struct far *)b;
	unsigned n = ++f->now, most = f->most;

	while (n > most && !atomic_compare_exchange_weak(&f->most, &most, n))
		;
	f->bytes += len;
	usleep(2000);
	if (++f->reads == f->fail_at) {
		f->now--;
		return dr_err_set(e, DR_ERETRY, "the line is down");
	}
	for (size_t i = 0; i < len; i++)
		((unsigned char *)buf)[i] = byte_at(off + i);
	f->now--;
	return 0;
}

static void
far_free(struct dr_blob *b)
{
	((struct far *)b)->freed = true;
}

static const struct dr_blob_ops far_ops = { far_pread, far_free };

static struct dr_blob *
begin(struct far *f)
{
	memset(f, 0, sizeof(*f));
	f->blob.ops = &far_ops;
	f->blob.size = SIZE;
	dr_err_clear(&err);
	return dr_blob_ahead(&f->blob, &err);
}

static bool
good(const unsigned char *p, size_t len, uint64_t off)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != byte_at(off + i))
			return false;
	return true;
}

/* From FROM to the end in steps; false: failed or wrong. */
static bool
run(struct dr_blob *b, uint64_t from, size_t step)
{
	unsigned char *buf = malloc(step);
	bool is = buf != NULL;

	for (uint64_t at = from, n; is && at < b->size; at += n) {
		n = b->size - at < step ? b->size - at : step;
		is = dr_blob_pread(b, buf, (size_t)n, at, &err) == 0 &&
		     good(buf, (size_t)n, at);
	}
	free(buf);
	return is;
}

/* --- tests --------------------------------------------------------------------------- */

static void
test_order(void)
{
	static const size_t steps[] = { 65536, 100001, 1048576 + 256, 9 * MIB };
	struct far f;
	struct dr_blob *b;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		b = begin(&f);
		OK(run(b, 0, steps[i]), "read in order, the same bytes");
		OK(f.bytes < 2 * (uint64_t)SIZE, "none of them fetched twice");
		dr_blob_free(b);
		OK(f.freed, "what is far is freed with it");
	}
	b = begin(&f);
	OK(run(b, 0, 262144) && f.most > 1 && f.reads < 20,
	    "several ranges in flight, and few of them");
	OK(run(b, 5 * MIB + 77, 262144), "once more from the middle");
	dr_blob_free(b);
}

static void
test_elsewhere(void)
{
	unsigned char buf[5000];
	struct far f;
	struct dr_blob *b = begin(&f);
	bool is = true;

	for (uint64_t at = 0; at < 20; at++) {
		uint64_t off = at * 7919 * 211 % (SIZE - sizeof(buf));

		is = is && dr_blob_pread(b, buf, sizeof(buf), off, &err) == 0 &&
		     good(buf, sizeof(buf), off);
	}
	OK(is && f.bytes == 20 * sizeof(buf),
	    "reads here and there fetch what they ask for");
	is = true;
	for (uint64_t at = 0; at + 65536 <= SIZE; at += 65536) {
		unsigned char some[64];

		is = is && run(b, SIZE - 10, 10) &&
		     dr_blob_pread(b, some, 64, at, &err) == 0 &&
		     good(some, 64, at);
	}
	OK(is, "and so do they in turn with others");
	dr_blob_free(b);
}

struct reader {
	pthread_t thread;
	struct dr_blob *b;
	atomic_uint *next;
	bool good;
};

/* Pieces in order, each to whoever comes first, as dr-restore's writers. */
static void *
reader(void *arg)
{
	struct reader *r = arg;
	size_t piece = 700001;
	unsigned char *buf = malloc(piece);
	struct dr_err e = { 0 };

	r->good = buf != NULL;
	while (r->good) {
		uint64_t off = (uint64_t)(*r->next)++ * piece, n;

		if (off >= SIZE)
			break;
		n = SIZE - off < piece ? SIZE - off : piece;
		r->good = dr_blob_pread(r->b, buf, (size_t)n, off, &e) == 0 &&
		          good(buf, (size_t)n, off);
	}
	free(buf);
	return NULL;
}

static void
test_threads(void)
{
	struct far f;
	struct dr_blob *b = begin(&f);
	struct reader r[6];
	atomic_uint next = 0;
	bool is = true;

	for (size_t i = 0; i < 6; i++) {
		r[i] = (struct reader){ .b = b, .next = &next };
		pthread_create(&r[i].thread, NULL, reader, &r[i]);
	}
	for (size_t i = 0; i < 6; i++) {
		pthread_join(r[i].thread, NULL);
		is = is && r[i].good;
	}
	OK(is, "six threads side by side");
	dr_blob_free(b);
}

static void
test_failure(void)
{
	struct far f;
	struct dr_blob *b = begin(&f);

	f.fail_at = 5;
	OK(!run(b, 0, 262144) && err.cause == DR_ERETRY &&
	        strcmp(err.msg, "the line is down") == 0,
	    "a block that cannot be fetched fails the read");
	dr_err_clear(&err);
	OK(run(b, 0, 262144), "and is fetched again by the next");
	dr_blob_free(b);
	b = begin(&f);
	(void)run(b, SIZE - 20 * MIB, 10 * MIB);
	dr_blob_free(b);
	OK(f.now == 0 && f.freed, "freed while blocks are on their way");
}

int
main(void)
{
	test_order();
	test_elsewhere();
	test_threads();
	test_failure();
	return DONE();
}
