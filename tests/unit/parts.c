/* parts.c - bodies in parts: sizes, order, memory, failure; HTTP is played. */
#include "store/parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "tests/tap.h"

#define MIB (1U << 20)

static struct dr_err err;

/* --- the part of HTTP that parts.c uses, played --------------------------------- */

static struct dr_http_req *flight[16];
static size_t flying, most;
static int turns, fail_at, stop_at; /* fail_at: the Nth that ends fails */
static int ends;

int
dr_http_start(struct dr_http *h, struct dr_http_req *r, struct dr_err *e)
{
	(void)h;
	(void)e;
	flight[flying++] = r;
	if (flying > most)
		most = flying;
	return 0;
}

static void
end(size_t i, bool cancelled)
{
	struct dr_http_req *r = flight[i];

	flight[i] = flight[--flying];
	r->ended = true;
	if (cancelled)
		return;
	if (++ends == fail_at)
		dr_err_set(&r->err, DR_ERETRY, "the other side is away");
	else
		r->status = 200;
}

void
dr_http_cancel(struct dr_http_req *r)
{
	for (size_t i = 0; i < flying; i++)
		if (flight[i] == r)
			end(i, true);
}

void
dr_http_wipe(struct dr_http_req *r)
{
	memset(r, 0, sizeof(*r));
}

/* The newest ends first, and only when somebody waits. */
int
dr_http_turn(uint64_t ms, struct dr_err *e)
{
	if (++turns == stop_at)
		return dr_err_set(e, DR_ESTOP, "stopped by signal 15");
	if (ms > 0 && flying > 0)
		end(flying - 1, false);
	return 0;
}

/* As if each had sent half of it. */
uint64_t
dr_http_sent(const struct dr_http_req *r)
{
	return r->len / 2;
}

const char *
dr_http_trouble(const struct dr_http_req *r)
{
	(void)r;
	return "it answers 503";
}

/* --- a server ----------------------------------------------------------------- */

struct server {
	unsigned whole, begun, parts, landed, cancelled, completed, abandoned;
	unsigned freed;
	bool hashes, exists;
	uint64_t bytes;
	unsigned char seen[64]; /* the first byte of each part */
};

static int
whole(void *arg, const void *data, size_t len, struct dr_err *e)
{
	struct server *s = arg;

	(void)data;
	s->whole++;
	s->bytes = len;
	if (!s->exists)
		return 0;
	dr_err_set(e, DR_EFAIL, "it exists");
	errno = EEXIST;
	return -1;
}

static int
begin(void *arg, struct dr_err *e)
{
	(void)e;
	((struct server *)arg)->begun++;
	return 0;
}

static int
part(void *arg, unsigned n, const unsigned char sha256[32],
    const unsigned char md5[16], struct dr_http_req *r, struct dr_err *e)
{
	struct server *s = arg;
	char hex[DR_SHA256_HEX], mine[DR_SHA256_HEX];

	if (dr_sha256_hex(r->body, r->len, mine, e) == -1 ||
	    strcmp(dr_hex(sha256, 32, hex), mine) != 0 || md5 == NULL)
		s->hashes = false;
	s->parts++;
	s->bytes += r->len;
	s->seen[n % 64] = *(const unsigned char *)r->body;
	return 0;
}

static int
landed(void *arg, unsigned n, struct dr_http_req *r, bool cancelled,
    struct dr_err *e)
{
	struct server *s = arg;

	(void)n;
	(void)e;
	if (cancelled)
		s->cancelled++;
	else if (r->status == 200)
		s->landed++;
	return 0;
}

static int
complete(void *arg, unsigned n, struct dr_err *e)
{
	struct server *s = arg;

	(void)e;
	s->completed += n == s->parts && s->landed == n;
	if (!s->exists)
		return 0;
	errno = EEXIST;
	return -1;
}

static void
abandon(void *arg)
{
	((struct server *)arg)->abandoned++;
}

static void
let_go(void *arg)
{
	((struct server *)arg)->freed++;
}

static const struct dr_parts_ops ops = { .whole = whole,
	.begin = begin,
	.part = part,
	.landed = landed,
	.complete = complete,
	.abandon = abandon,
	.free = let_go };

static char *bytes; /* 64 MiB, the Nth MiB full of N */

/* Send LEN bytes in pieces of STEP. */
static int
send_bytes(struct server *s, size_t len, size_t step)
{
	struct dr_sink *sink;
	int rc = 0;

	memset(s, 0, sizeof(*s));
	s->hashes = true;
	dr_err_clear(&err);
	flying = most = 0;
	turns = ends = 0;
	sink = dr_parts_sink(NULL, &ops, s, &err);
	for (size_t at = 0; rc == 0 && at < len; at += step)
		rc = dr_sink_write(sink, bytes + at,
		    len - at < step ? len - at : step, &err);
	if (rc == 0)
		rc = dr_sink_finish(sink, &err);
	dr_sink_free(sink);
	return rc;
}

static void
test_sizes(bool several)
{
	uint64_t sum = 0, last = 0;
	bool grows = true, small = true;

	printf("# %s\n", several ? "several bodies at once" : "one body");
	for (unsigned n = 1; n <= DR_PARTS_MAX; n++) {
		uint64_t size = dr_part_size(n, several);

		grows = grows && size >= last;
		/* What Azure takes is less than S3's 5 GiB. */
		small = small && size <= (uint64_t)4000 << 20;
		last = size;
		sum += size;
	}
	OK(sum >= (uint64_t)5 << 40, "10,000 parts hold 5 TiB");
	OK(grows, "no part is smaller than the one before");
	OK(small, "no part is larger than 4000 MiB");
	OK(dr_part_size(1, several) >= 5 * MIB,
	    "the first has the least that S3 takes");
}

static void
test_whole(void)
{
	struct server s;

	OK(send_bytes(&s, 0, 1) == 0 && s.whole == 1 && s.bytes == 0 &&
	        s.begun == 0 && s.freed == 1,
	    "nothing goes up in one request");
	OK(send_bytes(&s, 8 * MIB, 100000) == 0 && s.whole == 1 &&
	        s.bytes == 8 * MIB && s.begun == 0 && s.abandoned == 0,
	    "so does what fills one part");
}

static void
test_parts(void)
{
	struct server s;
	bool order = true;

	OK(send_bytes(&s, 8 * MIB + 1, 65536) == 0 && s.whole == 0 &&
	        s.begun == 1 && s.parts == 2 && s.completed == 1 &&
	        s.bytes == 8 * MIB + 1,
	    "one byte more makes two parts");
	OK(send_bytes(&s, 64 * MIB, 300007) == 0 && s.parts == 8 &&
	        s.completed == 1 && s.abandoned == 0 && s.freed == 1,
	    "64 MiB in 8 parts, landing in another order");
	for (unsigned n = 1; n <= 8; n++)
		order = order && s.seen[n] == (n - 1) * 8;
	OK(order, "each part has its own bytes");
	OK(s.hashes, "and their hashes");
	OK(most >= 2 && most <= DR_PARTS_MEMORY / (8 * MIB),
	    "several in flight, within the memory");
	OK(send_bytes(&s, 40 * MIB, 40 * MIB) == 0 && s.parts == 5 &&
	        s.completed == 1,
	    "one large write does as well");
}

static void
test_several(void)
{
	struct server s[3];
	struct dr_sink *sink[3];
	bool good = true;

	memset(s, 0, sizeof(s));
	dr_err_clear(&err);
	flying = most = 0;
	for (size_t i = 0; i < 3; i++)
		sink[i] = dr_parts_sink(NULL, &ops, &s[i], &err);
	for (size_t at = 0; at < 40 * MIB; at += MIB)
		for (size_t i = 0; i < 3; i++)
			good = good && dr_sink_write(sink[i], bytes + at, MIB,
			                   &err) == 0;
	for (size_t i = 0; i < 3; i++) {
		good = good && dr_sink_finish(sink[i], &err) == 0 &&
		       s[i].completed == 1 && s[i].parts == 8;
		dr_sink_free(sink[i]);
	}
	OK(good, "three bodies at once");
	OK(most <= 6, "each with two parts at most");
}

static void
test_room(void)
{
	struct server s[2];
	struct dr_sink *sink[2];
	const char *why;
	uint64_t moved;

	memset(s, 0, sizeof(s));
	dr_err_clear(&err);
	flying = most = 0;
	turns = ends = 0;
	for (size_t i = 0; i < 2; i++)
		sink[i] = dr_parts_sink(NULL, &ops, &s[i], &err);
	OK(dr_sink_room(sink[0], &moved, &why) > 0 && moved == 0 && why == NULL,
	    "there is room for a part");
	dr_sink_write(sink[0], bytes, 3 * MIB, &err);
	OK(dr_sink_room(sink[0], &moved, &why) == 2 * MIB && s[0].parts == 0,
	    "then for the rest of it");
	dr_sink_write(sink[0], bytes, 2 * MIB, &err);
	OK(dr_sink_room(sink[0], &moved, &why) == 5 * MIB && s[0].parts == 1 &&
	        moved == 5 * MIB / 2,
	    "a part that is full goes on its way");
	dr_sink_write(sink[0], bytes, 5 * MIB, &err);
	OK(dr_sink_room(sink[0], &moved, &why) == 0 && s[0].parts == 2 &&
	        moved == 5 * MIB && strcmp(why, "it answers 503") == 0,
	    "with two in flight there is none, and it is told why");
	end(1, false);
	OK(dr_sink_room(sink[0], &moved, &why) == 5 * MIB &&
	        moved == 15 * MIB / 2,
	    "until one has landed");
	dr_sink_write(sink[0], bytes, MIB, &err);
	dr_sink_ending(sink[0]);
	OK(dr_sink_room(sink[0], &moved, &why) == 0 && s[0].parts == 3,
	    "finish would wait for what is in flight");
	end(0, false);
	end(0, false);
	OK(dr_sink_room(sink[0], &moved, &why) > 0 && moved == 11 * MIB &&
	        dr_sink_finish(sink[0], &err) == 0,
	    "and not when it has landed");
	dr_sink_write(sink[1], bytes, 5 * MIB, &err);
	fail_at = ends + 1;
	OK(dr_sink_room(sink[1], &moved, &why) > 0, "one more");
	end(0, false);
	OK(dr_sink_room(sink[1], &moved, &why) > 0 &&
	        dr_sink_write(sink[1], bytes, 1, &err) == -1 &&
	        err.cause == DR_ERETRY,
	    "what failed is told by the next write");
	fail_at = 0;
	dr_sink_free(sink[0]);
	dr_sink_free(sink[1]);
}

static void
test_failure(void)
{
	struct server s;
	struct dr_sink *sink;

	fail_at = 2;
	OK(send_bytes(&s, 64 * MIB, 65536) == -1 && err.cause == DR_ERETRY,
	    "a part that fails fails the body, with its reason");
	OK(s.completed == 0 && s.abandoned == 1 && s.freed == 1 &&
	        s.landed + s.cancelled == s.parts && flying == 0,
	    "it is abandoned, every part accounted for");
	fail_at = 0;

	stop_at = 100;
	OK(send_bytes(&s, 64 * MIB, 65536) == -1 && err.cause == DR_ESTOP &&
	        s.abandoned == 1,
	    "so it is by a stop signal");
	stop_at = 0;

	memset(&s, 0, sizeof(s));
	sink = dr_parts_sink(NULL, &ops, &s, &err);
	dr_err_clear(&err);
	OK(dr_sink_write(sink, bytes, 20 * MIB, &err) == 0 && flying == 2,
	    "two parts in flight");
	dr_sink_free(sink);
	OK(flying == 0 && s.cancelled == 2 && s.abandoned == 1 && s.freed == 1,
	    "free without finish gives up on them and abandons");

	memset(&s, 0, sizeof(s));
	sink = dr_parts_sink(NULL, &ops, &s, &err);
	dr_sink_write(sink, bytes, MIB, &err);
	dr_sink_free(sink);
	OK(s.whole == 0 && s.begun == 0 && s.abandoned == 0 && s.freed == 1,
	    "of a small body nothing was ever sent");

	memset(&s, 0, sizeof(s));
	s.exists = true;
	sink = dr_parts_sink(NULL, &ops, &s, &err);
	dr_sink_write(sink, bytes, MIB, &err);
	errno = 0;
	OK(dr_sink_finish(sink, &err) == -1 && errno == EEXIST,
	    "that the name is taken shows in errno");
	dr_sink_free(sink);
}

int
main(void)
{
	if ((bytes = malloc(64 * MIB)) == NULL)
		return 1;
	for (unsigned i = 0; i < 64; i++)
		memset(bytes + (size_t)i * MIB, (int)i, MIB);
	test_sizes(false);
	test_sizes(true);
	test_whole();
	test_parts();
	test_several();
	test_room();
	test_failure();
	free(bytes);
	return DONE();
}
