/*
 * Every kind of stream, cut anywhere, through the decoders that read it: no
 * prefix may come to a proved end.  The whole pipeline in one process, so
 * that a hundred thousand cuts take seconds.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "archive/tarwalk.h"
#include "base/hash.h"
#include "base/num.h"
#include "codec/pack.h"
#include "crypt/seal.h"
#include "stream/pump.h"
#include "stream/trailer.h"
#include "tests/tap.h"

static const char identity[] = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZ"
                               "GFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n";
static const char recipient[] = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzr"
                                "ye869xeexvn73equnujwj";
static const char manifest[] = "{\"drtools\":1}";

enum kind { SNAPSHOT, PACKED, AGE, AES, KINDS };
static const char *const names[KINDS] = { "snapshot", "packed", "age", "aes" };

static struct dr_buf streams[KINDS];
static struct dr_identities *ids;
static uint64_t seed;

static void
must(bool good, const struct dr_err *err)
{
	if (good)
		return;
	printf("Bail out! %s\n", err->msg);
	exit(1);
}

static uint32_t
chance(uint32_t n)
{
	seed = seed * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)((seed >> 33) % n);
}

static void
mark(struct dr_buf *s, struct dr_err *err)
{
	struct dr_trailer t = { manifest, sizeof(manifest) - 1, s->len,
		dr_crc32c(0, s->data, s->len) };

	must(dr_trailer_encode(&t, s, err) == 0, err);
}

/* A tar of two files, one of them full of whole streams. */
static void
snapshot(struct dr_buf *out, struct dr_err *err)
{
	static const char zeros[1024];
	struct dr_buf marks = { .max = 1 << 20 }, inner = { .max = 1 << 16 };
	struct dr_member m = { .type = '0',
		.path = "marks",
		.link = "",
		.mode = 0600 };
	static char noise[400001];

	for (int i = 0; i < 30; i++) {
		inner.len = 0;
		must(dr_buf_str(&inner, "inner body", err) == 0, err);
		mark(&inner, err);
		must(dr_buf_add(&marks, inner.data, inner.len, err) == 0, err);
	}
	m.size = marks.len;
	must(dr_tar_header(out, &m, err) == 0 &&
	         dr_buf_add(out, marks.data, marks.len, err) == 0 &&
	         dr_buf_add(out, zeros, dr_tar_pad(m.size), err) == 0,
	    err);
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)chance(256);
	m.path = "noise";
	m.size = sizeof(noise);
	must(dr_tar_header(out, &m, err) == 0 &&
	         dr_buf_add(out, noise, sizeof(noise), err) == 0 &&
	         dr_buf_add(out, zeros, dr_tar_pad(m.size), err) == 0 &&
	         dr_buf_add(out, zeros, sizeof(zeros), err) == 0,
	    err);
	dr_buf_free(&marks);
	dr_buf_free(&inner);
}

static void
seal(const struct dr_buf *in, struct dr_buf *out, enum dr_cipher cipher,
    const struct dr_recipients *to, struct dr_err *err)
{
	struct dr_sink *sink = dr_sink_buf(out, err), *sealer;

	must(sink != NULL, err);
	sealer = dr_seal_new(sink, cipher, to, err);
	must(sealer != NULL &&
	         dr_sink_write(sealer, in->data, in->len, err) == 0 &&
	         dr_sink_finish(sealer, err) == 0,
	    err);
	dr_sink_free(sealer);
}

static void
make(struct dr_err *err)
{
	const struct dr_pack_opts opts = { .level = 1,
		.workers = 1,
		.frame_size = 65536 };
	struct dr_recipients *to = dr_recipients_new(err);
	char path[] = "/tmp/dr-endmark.XXXXXX";
	struct dr_pack_facts facts;
	struct dr_source *in;
	struct dr_sink *sink;
	int fd = mkstemp(path);

	must(fd != -1 &&
	         write(fd, identity, sizeof(identity) - 1) ==
	             sizeof(identity) - 1 &&
	         close(fd) == 0,
	    err);
	ids = dr_identities_new(err);
	must(to != NULL && ids != NULL &&
	         dr_recipients_add(to, recipient, err) == 0 &&
	         dr_identities_file(ids, path, NULL, err) == 0,
	    err);
	unlink(path);
	for (int k = 0; k < KINDS; k++)
		streams[k].max = 4 << 20;
	snapshot(&streams[SNAPSHOT], err);
	in = dr_source_mem(streams[SNAPSHOT].data, streams[SNAPSHOT].len, 0,
	    err);
	sink = dr_sink_buf(&streams[PACKED], err);
	must(in != NULL && sink != NULL &&
	         dr_pack(in, sink, &opts, &facts, err) == 0,
	    err);
	dr_source_free(in);
	dr_sink_free(sink);
	seal(&streams[PACKED], &streams[AGE], DR_CIPHER_AGE, to, err);
	seal(&streams[PACKED], &streams[AES], DR_CIPHER_AES, to, err);
	for (int k = 0; k < KINDS; k++)
		mark(&streams[k], err);
	dr_recipients_free(to);
}

static int
nothing(void *arg, const struct dr_member *m, struct dr_err *err)
{
	(void)arg;
	(void)m;
	(void)err;
	return 0;
}

static const struct dr_tarwalk_ops walk_ops = { .member = nothing };

/* Read LEN bytes of a stream as a restore would.  The cause. */
static enum dr_cause
decode(enum kind kind, size_t len, size_t step)
{
	static char buf[1 << 18];
	struct dr_err err = { 0 };
	struct dr_source *s, *over;
	struct dr_tarwalk *walk = dr_tarwalk_new(&walk_ops, NULL, &err);
	ssize_t n;

	s = dr_source_mem(streams[kind].data, len, step, &err);
	must(walk != NULL && s != NULL, &err);
	over = dr_endmark_source(s, "cut", &err);
	must(over != NULL, &err);
	s = over;
	if (kind == AGE || kind == AES) {
		if ((over = dr_unseal_new(s, ids, &err)) == NULL)
			goto out;
		s = over;
	}
	if (kind != SNAPSHOT) {
		if ((over = dr_unpack_new(s, 1, false, &err)) == NULL)
			goto out;
		s = over;
	}
	while ((n = dr_source_read(s, buf, sizeof(buf), &err)) > 0)
		if (dr_tarwalk_add(walk, buf, (size_t)n, &err) == -1)
			break;
	if (n == 0)
		(void)dr_tarwalk_end(walk, &err);
out:
	dr_tarwalk_free(walk);
	dr_source_free(s);
	return err.cause;
}

static void
cuts(enum kind kind, size_t borders, size_t many)
{
	const size_t total = streams[kind].len;
	size_t bad = 0;
	char what[80];

	snprintf(what, sizeof(what), "%s: the whole of it has an end",
	    names[kind]);
	OK(decode(kind, total, 0) == DR_OK &&
	        decode(kind, total, 4099) == DR_OK,
	    what);
	for (size_t i = 0; i < borders; i++)
		if (decode(kind, i, 0) != DR_EDATA ||
		    decode(kind, total - 1 - i, 0) != DR_EDATA)
			bad++;
	for (size_t i = 0; i < many; i++) {
		size_t at = chance((uint32_t)total);

		if (decode(kind, at, 0) != DR_EDATA) {
			printf("# %s cut at %zu\n", names[kind], at);
			bad++;
		}
	}
	snprintf(what, sizeof(what), "%s: no prefix of %zu has one",
	    names[kind], 2 * borders + many);
	OK(bad == 0, what);
}

int
main(void)
{
	const char *soak = getenv("DR_SOAK"), *given = getenv("DR_SEED");
	bool full = soak != NULL && strcmp(soak, "0") != 0;
	struct dr_err err = { 0 };

	seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
	printf("# DR_SEED=%llu\n", (unsigned long long)seed);
	make(&err);
	for (int k = 0; k < KINDS; k++)
		cuts((enum kind)k, full ? 2000 : 200, full ? 25000 : 500);
	for (int k = 0; k < KINDS; k++)
		dr_buf_free(&streams[k]);
	dr_identities_free(ids);
	return DONE();
}
