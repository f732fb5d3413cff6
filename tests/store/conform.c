/*
 * conform - hold a store to store.h, whatever its kind.  Says TAP.
 *
 *	conform [-gmx] [-a ABSENT] [-d DEAD] [-l LOCKED] [-n OBJECTS] [-r ROUNDS]
 *	    [-s SIZE] URL
 *
 *	-a	a store of this kind that does not exist
 *	-d	one whose server does not answer
 *	-b	what was sent late may arrive after an upload was given up
 *	-g	as at Google, unfinished uploads cannot be listed here, legal
 *		holds are refused when the store is opened, and what is deleted
 *		leaves no marker
 *	-l	one that keeps versions, and locks
 *	-m	here uploads in parts overwrite (their names never collide)
 *	-n	how many objects to list (300)
 *	-r	rounds of each race (20)
 *	-s	a size in MiB to stream once, besides the usual ones
 *	-x	locks are refused here when the store is opened
 *
 * URL is empty and ours alone.
 */
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "store/store.h"
#include "tests/tap.h"

#define PART    (8U << 20) /* what goes up in one request at most, at first */
#define WRITERS 8U

static struct dr_err err;
static const char *url, *absent_url, *dead_url, *locked_url;
static bool parts_overwrite, locks_refused, googles;
static unsigned objects = 300, rounds = 20;
static uint64_t large;

/* A test, and what the library said, if anything. */
#define OKE(cond, what)                                                       \
	do {                                                                  \
		(void)OK(cond, what);                                         \
		if (err.msg[0] != '\0')                                       \
			printf("# %s (cause %d)\n", err.msg, (int)err.cause); \
		dr_err_clear(&err);                                           \
	} while (0)

static struct dr_store *
must_open(const char *which, const struct dr_store_opts *o)
{
	struct dr_store *s = dr_store_open(which, o, &err);

	if (s == NULL) {
		printf("Bail out! cannot open %s: %s\n", which, err.msg);
		exit(1);
	}
	return s;
}

/* --- bytes that tell where they belong ---------------------------------------- */

static unsigned char
byte_at(unsigned seed, uint64_t off)
{
	uint64_t x = (off >> 3) * UINT64_C(0x9e3779b97f4a7c15) + seed;

	x ^= x >> 29;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 32;
	return (unsigned char)(x >> (8 * (off & 7)));
}

static void
fill(unsigned char *p, size_t n, unsigned seed, uint64_t off)
{
	for (size_t i = 0; i < n; i++)
		p[i] = byte_at(seed, off + i);
}

static bool
right(const unsigned char *p, size_t n, unsigned seed, uint64_t off)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != byte_at(seed, off + i))
			return false;
	return true;
}

/* LEN bytes of SEED into SINK, in pieces that divide nothing. */
static int
pour(struct dr_sink *sink, unsigned seed, uint64_t len)
{
	static unsigned char piece[1000003];
	uint64_t off;
	size_t n;

	for (off = 0; off < len; off += n) {
		n = len - off < sizeof(piece) ? (size_t)(len - off)
		                              : sizeof(piece);
		fill(piece, n, seed, off);
		if (dr_sink_write(sink, piece, n, &err) == -1)
			return -1;
	}
	return 0;
}

static int
put(struct dr_store *s, const char *name, unsigned seed, uint64_t len)
{
	struct dr_sink *sink;
	int rc = -1, e;

	if ((sink = dr_store_put(s, name, &err)) == NULL)
		return -1;
	if (pour(sink, seed, len) == 0)
		rc = dr_sink_finish(sink, &err);
	e = errno;
	dr_sink_free(sink);
	errno = e;
	return rc;
}

/* Is NAME these LEN bytes, read from its end to its beginning? */
static bool
holds_blob(struct dr_blob *blob, unsigned seed, uint64_t len)
{
	static unsigned char piece[3000017];
	uint64_t off = len;
	size_t n;

	if (blob == NULL || blob->size != len)
		return false;
	while (off > 0) {
		n = off < sizeof(piece) ? (size_t)off : sizeof(piece);
		off -= n;
		if (dr_blob_pread(blob, piece, n, off, &err) == -1 ||
		    !right(piece, n, seed, off))
			return false;
	}
	return true;
}

static bool
holds(struct dr_store *s, const char *name, unsigned seed, uint64_t len)
{
	struct dr_blob *blob = dr_store_get(s, name, &err);
	bool good = holds_blob(blob, seed, len);

	dr_blob_free(blob);
	return good;
}

/* --- listings -------------------------------------------------------------------- */

struct names {
	char **v;
	size_t n, cap, stop; /* stop: fail at this many */
};

static void
names_add(struct names *l, const char *name)
{
	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 64 : l->cap * 2;
		if ((l->v = realloc(l->v, l->cap * sizeof(*l->v))) == NULL)
			abort();
	}
	if ((l->v[l->n++] = strdup(name)) == NULL)
		abort();
}

static void
names_wipe(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	memset(l, 0, sizeof(*l));
}

static bool
names_has(const struct names *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], name) == 0)
			return true;
	return false;
}

static int
on_object(void *arg, const struct dr_object *o, struct dr_err *e)
{
	struct names *l = arg;

	names_add(l, o->name);
	if (l->stop != 0 && l->n == l->stop)
		return dr_err_set(e, DR_EFAIL, "enough");
	return 0;
}

static int
on_dir(void *arg, const char *name, struct dr_err *e)
{
	(void)e;
	names_add(arg, name);
	return 0;
}

static int
on_upload(void *arg, const struct dr_upload *u, struct dr_err *e)
{
	(void)e;
	names_add(arg, u->name);
	return 0;
}

static bool
once(const struct names *l, const char *name)
{
	unsigned n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += strcmp(l->v[i], name) == 0;
	return n == 1;
}

/* How many objects lie below PREFIX; -1. */
static int
listed(struct dr_store *s, const char *prefix)
{
	struct names l = { 0 };
	int n = dr_store_list(s, prefix, NULL, on_object, &l, &err) == -1
	            ? -1
	            : (int)l.n;

	names_wipe(&l);
	return n;
}

static int
uploads(struct dr_store *s, const char *prefix)
{
	struct names l = { 0 };
	int n = dr_store_uploads(s, prefix, on_upload, &l, &err) == -1
	            ? -1
	            : (int)l.n;

	names_wipe(&l);
	return n;
}

/* On a busy server what was sent late may arrive after it was given up. */
static bool late_parts;

static int
on_late(void *arg, const struct dr_upload *up, struct dr_err *e)
{
	printf("# an upload of \"%s\" arrived late\n", up->name);
	return dr_store_upload_abort(arg, up->name, up->id, e) == -1 ? -1 : 0;
}

/* None is left; or those that are can be cleared away, as dr-prune does. */
static bool
no_uploads(struct dr_store *s)
{
	if (late_parts && uploads(s, "") > 0 &&
	    dr_store_uploads(s, "", on_late, s, &err) == -1)
		return false;
	return uploads(s, "") == 0;
}

/* --- one object ------------------------------------------------------------------- */

static void
test_absent(struct dr_store *s)
{
	struct dr_object o;
	char *p = NULL;
	size_t n;

	OKE(dr_store_stat(s, "none/such", &o, &err) == 0, "stat: absent");
	OKE(dr_store_get(s, "none/such", &err) == NULL && err.cause == DR_EDATA,
	    "get: absent");
	OKE(dr_store_get_small(s, "none/such", 10, &p, &n, &err) == 0,
	    "get_small: absent");
	OKE(dr_store_delete(s, "none/such", &err) == 0, "delete: absent");
	OKE(listed(s, "") == 0, "list: nothing in an empty store");
	OKE(listed(s, "none/such/") == 0, "list: nothing below no prefix");
	OKE(uploads(s, "") == 0, "uploads: none");
}

static void
test_small(struct dr_store *s)
{
	static const size_t sizes[] = { 0, 1, 4096, 1U << 20 };
	static unsigned char data[1U << 20];
	struct dr_object o;
	char name[32], *p;
	size_t len;
	bool lost = true;
	int64_t now;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		(void)snprintf(name, sizeof(name), "small/%zu", sizes[i]);
		fill(data, sizes[i], 1, 0);
		OKE(dr_store_put_small(s, name, data, sizes[i], &lost, &err) ==
		            DR_PUT_OK &&
		        !lost,
		    "put_small");
		now = (int64_t)time(NULL) * 1000000;
		OKE(dr_store_stat(s, name, &o, &err) == 1 &&
		        o.size == sizes[i] && strcmp(o.name, name) == 0,
		    "stat: name and size");
		OKE(o.mtime > now - 300000000 && o.mtime < now + 300000000,
		    "stat: made just now");
		p = NULL;
		OKE(dr_store_get_small(s, name, sizes[i], &p, &len, &err) ==
		            1 &&
		        len == sizes[i] && p[len] == '\0' &&
		        right((unsigned char *)p, len, 1, 0),
		    "get_small: the same bytes");
		free(p);
		OKE(holds(s, name, 1, sizes[i]), "get: the same bytes");
		OKE(dr_store_put_small(s, name, "other", 5, &lost, &err) ==
		            DR_PUT_EXISTS &&
		        err.msg[0] != '\0' && errno == EEXIST,
		    "put_small again: it exists");
		OKE(holds(s, name, 1, sizes[i]), "and is as it was");
		OKE(sizes[i] == 0 || (dr_store_get_small(s, name, sizes[i] - 1,
		                          &p, &len, &err) == -1 &&
		                         err.cause == DR_EDATA),
		    "get_small: more than was allowed for");
		dr_err_clear(&err);
		OKE(dr_store_delete(s, name, &err) == 1, "delete");
	}
}

static void
test_ranges(struct dr_store *s, const char *name, unsigned seed, uint64_t len)
{
	struct dr_blob *blob = dr_store_get(s, name, &err);
	unsigned char buf[5000];

	if (!OK(blob != NULL, "get"))
		return;
	OKE(dr_blob_pread(blob, buf, sizeof(buf), len / 2, &err) == 0 &&
	        right(buf, sizeof(buf), seed, len / 2),
	    "a range from the middle");
	OKE(dr_blob_pread(blob, buf, 10, len - 10, &err) == 0 &&
	        right(buf, 10, seed, len - 10),
	    "the last bytes");
	OKE(dr_blob_pread(blob, buf, 1, 0, &err) == 0 && right(buf, 1, seed, 0),
	    "the first byte");
	OKE(dr_blob_pread(blob, buf, 11, len - 10, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "a range over the end");
	OKE(dr_blob_pread(blob, buf, 1, len, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "a range behind the end");
	OKE(dr_blob_pread(blob, buf, 1, UINT64_MAX - 1, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "a range far behind it");
	dr_blob_free(blob);
}

/* One streamed object, from before it is there until it is deleted. */
static void
test_stream(struct dr_store *s, uint64_t len)
{
	struct dr_object o;
	struct dr_sink *sink;
	char name[40], what[80];
	bool whole = len <= PART;

	(void)snprintf(name, sizeof(name), "stream/s%llu.age",
	    (unsigned long long)len);
	(void)snprintf(what, sizeof(what), "put of %llu bytes",
	    (unsigned long long)len);
	sink = dr_store_put(s, name, &err);
	if (!OK(sink != NULL, what))
		return;
	OKE(pour(sink, 2, len) == 0, "written");
	OKE(dr_store_stat(s, name, &o, &err) == 0, "not there before finish");
	OKE(listed(s, "stream/") == 0, "nor in the list");
	OKE(dr_sink_finish(sink, &err) == 0, "finish");
	dr_sink_free(sink);
	OKE(dr_store_stat(s, name, &o, &err) == 1 && o.size == len,
	    "then it is there");
	OKE(listed(s, "stream/") == 1, "and in the list");
	OKE(holds(s, name, 2, len), "the same bytes");
	if (len > 10000)
		test_ranges(s, name, 2, len);
	if (whole || !parts_overwrite) {
		errno = 0;
		OKE(put(s, name, 3, len + 1) == -1 && errno == EEXIST &&
		        err.cause != DR_OK,
		    "put of other bytes under the name: it exists");
		OKE(holds(s, name, 2, len), "and is as it was");
		OKE(dr_store_put_small(s, name, "x", 1, NULL, &err) ==
		        DR_PUT_EXISTS,
		    "put_small under the name: it exists");
	}
	OKE(uploads(s, "") == 0, "no upload is left");
	OKE(dr_store_delete(s, name, &err) == 1, "delete");
	OKE(dr_store_stat(s, name, &o, &err) == 0, "then it is gone");
	OKE(dr_store_delete(s, name, &err) == 0, "delete again: absent");
}

static void
test_abandon(struct dr_store *s, uint64_t len)
{
	struct dr_object o;
	struct dr_sink *sink = dr_store_put(s, "given/up", &err);
	char what[80];

	(void)snprintf(what, sizeof(what), "put given up after %llu bytes",
	    (unsigned long long)len);
	if (!OK(sink != NULL, what))
		return;
	OKE(pour(sink, 4, len) == 0, "written");
	dr_sink_free(sink);
	OKE(dr_store_stat(s, "given/up", &o, &err) == 0, "nothing is there");
	OKE(listed(s, "") == 0, "nor listed");
	OKE(uploads(s, "") == 0, "nor left of the upload");
}

static void
test_names(struct dr_store *s)
{
	static const char *const bad[] = { "", "/a", "a//b", "../a", ".a",
		"a b" };
	static const char *const good[] = {
		("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz/"
		 "0123456789._-"),
		"a-b/x", "a.b/x", "a/x", "a0", "a..b", "a/x.json",
		"a/x.json.minisig", "a/-x", "a/_"
	};
	char longest[513];
	struct names l = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		OKE(dr_store_put_small(s, bad[i], "x", 1, NULL, &err) ==
		        DR_PUT_FAILED,
		    "a name that cannot be");
	}
	memset(longest, 'n', 512);
	longest[512] = '\0';
	longest[200] = longest[401] = '/';
	OKE(dr_store_put_small(s, longest, "x", 1, NULL, &err) == DR_PUT_OK,
	    "a name of 512 bytes");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		OKE(dr_store_put_small(s, good[i], good[i], strlen(good[i]),
		        NULL, &err) == DR_PUT_OK,
		    good[i]);
	OKE(dr_store_list(s, "", NULL, on_object, &l, &err) == 0 &&
	        l.n == 1 + sizeof(good) / sizeof(good[0]),
	    "all are listed");
	OKE(names_has(&l, longest), "the long one too");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!names_has(&l, good[i]))
			OK(false, good[i]);
	for (size_t i = 0; i < l.n; i++)
		if (dr_store_delete(s, l.v[i], &err) != 1)
			OKE(false, l.v[i]);
	names_wipe(&l);
	OKE(listed(s, "") == 0, "and all are deleted");
}

/* --- many ---------------------------------------------------------------------------- */

#define BATCH 50

static void
make_objects(struct dr_store *s, unsigned n)
{
	struct dr_small v[BATCH];
	char name[BATCH][32];
	unsigned i, k, failed = 0;

	for (i = 0; i < n; i += k) {
		for (k = 0; k < BATCH && i + k < n; k++) {
			(void)snprintf(name[k], sizeof(name[k]), "l/%02x/%06u",
			    (i + k) % 3, i + k);
			v[k] = (struct dr_small){ .store = s,
				.name = name[k],
				.data = name[k],
				.len = (i + k) % 20 };
		}
		if (dr_store_puts(v, k, 0, 0, &err) == -1)
			failed++;
		for (unsigned j = 0; j < k; j++) {
			if (v[j].result == DR_PUT_OK)
				continue;
			failed++;
			err = v[j].err;
		}
	}
	OKE(failed == 0, "many objects are put, several at once");
}

/* Objects of one directory ascend. */
static bool
ascends(const struct names *l)
{
	const char *a, *b;
	size_t la, lb;

	for (size_t i = 1; i < l->n; i++) {
		a = l->v[i - 1];
		b = l->v[i];
		la = (size_t)(strrchr(a, '/') - a);
		lb = (size_t)(strrchr(b, '/') - b);
		if (la == lb && memcmp(a, b, la) == 0 && strcmp(a, b) >= 0)
			return false;
	}
	return true;
}

static void
test_list(struct dr_store *s)
{
	struct names l = { 0 }, m = { 0 };
	char name[32], *last = NULL;
	bool same = true;

	make_objects(s, objects);
	OKE(dr_store_put_small(s, "lx/1", "1", 1, NULL, &err) == DR_PUT_OK,
	    "a neighbour");
	OKE(dr_store_list(s, "l/", NULL, on_object, &l, &err) == 0 &&
	        l.n == objects,
	    "list: each once");
	OKE(ascends(&l), "list: in order");
	for (unsigned i = 0; same && i < l.n; i++)
		for (unsigned j = i + 1; j < l.n && j < i + 3; j++)
			same = strcmp(l.v[i], l.v[j]) != 0;
	OKE(same, "list: none twice");
	OKE(listed(s, "l/01/") == (int)((objects + 1) / 3), "list: a prefix");
	OKE(listed(s, "l/01/0/") == 0, "list: a prefix that nothing has");

	/* On from the last of a list that was cut short. */
	for (;;) {
		m.stop = m.n + 70;
		if (dr_store_list(s, "l/00/", last, on_object, &m, &err) == 0)
			break;
		if (!OK(strcmp(err.msg, "enough") == 0 && m.n == m.stop,
		        "list: ends where it is told to")) {
			printf("# %s\n", err.msg);
			break;
		}
		dr_err_clear(&err);
		last = m.v[m.n - 1];
		if (m.n > objects)
			break;
	}
	dr_err_clear(&err);
	OKE(m.n == (objects + 2) / 3, "list after the last one: all of them");
	same = m.n == (objects + 2) / 3;
	for (unsigned i = 0; same && i < m.n; i++) {
		(void)snprintf(name, sizeof(name), "l/00/%06u", 3 * i);
		same = strcmp(m.v[i], name) == 0;
	}
	OKE(same, "list after the last one: each once, in order");
	names_wipe(&m);
	OKE(dr_store_list(s, "l/00/", "l/00/000003x", on_object, &m, &err) ==
	            0 &&
	        m.n == (objects + 2) / 3 - 2 &&
	        strcmp(m.v[0], "l/00/000006") == 0,
	    "list after a name that is not there");
	names_wipe(&m);
	OKE(dr_store_list(s, "l/00/", "l/00/999999", on_object, &m, &err) ==
	            0 &&
	        m.n == 0,
	    "list after the end");
	/* A directory may keep what has become empty. */
	OKE(dr_store_dirs(s, "", on_dir, &m, &err) == 0 && once(&m, "l") &&
	        once(&m, "lx"),
	    "dirs: of the root");
	names_wipe(&m);
	OKE(dr_store_dirs(s, "l/", on_dir, &m, &err) == 0 && m.n == 3 &&
	        names_has(&m, "00") && names_has(&m, "02"),
	    "dirs: one level, each once");
	names_wipe(&m);
	OKE(dr_store_dirs(s, "l/00/", on_dir, &m, &err) == 0 && m.n == 0,
	    "dirs: none where there are objects only");
	names_wipe(&l);
	names_wipe(&m);
}

/* --- several threads read one object ---------------------------------------------------- */

struct reader {
	struct dr_blob *blob;
	unsigned n;
	pthread_t thread;
	bool started, good;
};

static void *
reader(void *arg)
{
	struct reader *r = arg;
	static _Thread_local unsigned char buf[300007];
	struct dr_err e = { 0 };
	uint64_t off, room = r->blob->size - sizeof(buf);

	r->good = true;
	for (unsigned i = 0; r->good && i < 12; i++) {
		off = (uint64_t)(i * 4 + r->n) * UINT64_C(7919777) % room;
		r->good =
		    dr_blob_pread(r->blob, buf, sizeof(buf), off, &e) == 0 &&
		    right(buf, sizeof(buf), 5, off);
	}
	if (e.msg[0] != '\0')
		printf("# %s\n", e.msg);
	return NULL;
}

static void
test_threads(struct dr_store *s)
{
	struct reader r[4];
	struct dr_store *other;
	struct dr_blob *blob;
	bool good = true;

	OKE(put(s, "threads", 5, 2 * PART + 77) == 0, "an object to read");
	if ((blob = dr_store_get(s, "threads", &err)) == NULL) {
		OKE(false, "get");
		return;
	}
	for (unsigned i = 0; i < 4; i++) {
		r[i].blob = blob;
		r[i].n = i;
		r[i].started =
		    pthread_create(&r[i].thread, NULL, reader, &r[i]) == 0;
	}
	for (unsigned i = 0; i < 4; i++) {
		if (r[i].started)
			(void)pthread_join(r[i].thread, NULL);
		good = good && r[i].started && r[i].good;
	}
	OKE(good, "four threads read one object");
	dr_blob_free(blob);

	/* The store may go before what is read from it. */
	other = must_open(url, NULL);
	blob = dr_store_get(other, "threads", &err);
	dr_store_free(other);
	OKE(holds_blob(blob, 5, 2 * PART + 77), "an object is read on");
	dr_blob_free(blob);
	OKE(dr_store_delete(s, "threads", &err) == 1, "delete");
}

/* --- other processes ------------------------------------------------------------------- */

/* Ourselves, as writer N of NAME; begins when it reads from GATE. */
static pid_t
writer_start(const char *how, const char *name, unsigned n, int gate)
{
	char num[12];
	pid_t pid;

	(void)snprintf(num, sizeof(num), "%u", n);
	fflush(stdout);
	if ((pid = fork()) != 0)
		return pid;
	if (dup2(gate, STDIN_FILENO) == -1)
		_exit(9);
	execl("/proc/self/exe", "conform", "-W", how, name, num, url,
	    (char *)NULL);
	_exit(9);
}

/* What such a process does. */
static int
writer(const char *how, const char *name, const char *num)
{
	struct dr_store *s = must_open(url, NULL);
	struct dr_sink *sink;
	int64_t n = 0;
	uint64_t len = strcmp(how, "stream") == 0 ? PART + 4321 : 1000;
	unsigned char buf[1000];
	char c;
	int rc = 0;

	(void)dr_parse_int(num, 0, 1000, &n, &err);
	if (strcmp(how, "hang") == 0) {
		/* Enough of it that parts have gone up; then wait for the end. */
		if ((sink = dr_store_put(s, name, &err)) == NULL ||
		    pour(sink, 7, 5 * (uint64_t)PART) == -1)
			return 2;
		printf("ready\n");
		fflush(stdout);
		for (;;)
			pause();
	}
	if (read(STDIN_FILENO, &c, 1) == -1)
		return 2;
	if (strcmp(how, "small") == 0) {
		fill(buf, sizeof(buf), (unsigned)n, 0);
		rc = dr_store_put_small(s, name, buf, sizeof(buf), NULL,
		         &err) == DR_PUT_OK
		         ? 0
		         : -1;
	} else
		rc = put(s, name, (unsigned)n, len);
	rc = rc == 0 ? 0 : errno == EEXIST ? 1 : 2;
	if (rc == 2)
		fprintf(stderr, "# writer %s: %s\n", num, err.msg);
	dr_store_free(s);
	return rc;
}

static void
test_race(struct dr_store *s, const char *how, uint64_t len, unsigned times)
{
	unsigned won, lost, first, bad = 0;
	pid_t pid[WRITERS];
	char name[40];
	int gate[2], st;

	for (unsigned r = 0; r < times; r++) {
		(void)snprintf(name, sizeof(name), "race/%s-%u", how, r);
		if (pipe2(gate, O_CLOEXEC) == -1)
			abort();
		for (unsigned i = 0; i < WRITERS; i++)
			pid[i] = writer_start(how, name, i + 100, gate[0]);
		(void)close(gate[0]);
		usleep(20000);
		(void)close(gate[1]);
		won = lost = first = 0;
		for (unsigned i = 0; i < WRITERS; i++) {
			if (waitpid(pid[i], &st, 0) != pid[i])
				continue;
			if (WIFEXITED(st) && WEXITSTATUS(st) == 0) {
				won++;
				first = i + 100;
			} else if (WIFEXITED(st) && WEXITSTATUS(st) == 1)
				lost++;
		}
		if (won != 1 || lost != WRITERS - 1 ||
		    !holds(s, name, first, len)) {
			printf("# round %u: %u won, %u lost %s\n", r, won, lost,
			    err.msg);
			dr_err_clear(&err);
			bad++;
		}
	}
	printf("# %u rounds of %u writers\n", times, WRITERS);
	OKE(bad == 0, how);
	OKE(no_uploads(s), "the losers left no upload");
}

struct found {
	char name[64], id[4096];
	int64_t started;
	unsigned n;
};

static int
on_found(void *arg, const struct dr_upload *u, struct dr_err *e)
{
	struct found *f = arg;

	(void)e;
	f->n++;
	f->started = u->started;
	(void)snprintf(f->name, sizeof(f->name), "%s", u->name);
	(void)snprintf(f->id, sizeof(f->id), "%s", u->id);
	return 0;
}

/* What a killed writer leaves is found and cleared up. */
static void
test_killed(struct dr_store *s)
{
	struct found f = { 0 };
	struct dr_object o;
	int64_t now = (int64_t)time(NULL) * 1000000;
	int out[2];
	char buf[16] = "";
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) == -1)
		abort();
	fflush(stdout);
	if ((pid = fork()) == 0) {
		if (dup2(out[1], STDOUT_FILENO) == -1)
			_exit(9);
		execl("/proc/self/exe", "conform", "-W", "hang", "killed/body",
		    "0", url, (char *)NULL);
		_exit(9);
	}
	(void)close(out[1]);
	OKE(read(out[0], buf, sizeof(buf)) == 6, "a writer is in the middle");
	(void)close(out[0]);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	OKE(dr_store_stat(s, "killed/body", &o, &err) == 0 &&
	        listed(s, "") == 0,
	    "killed: no object is there");
	if (googles)
		return;
	OKE(dr_store_uploads(s, "other/", on_found, &f, &err) == 0 && f.n == 0,
	    "uploads: none below another prefix");
	OKE(dr_store_uploads(s, "killed/", on_found, &f, &err) == 0 &&
	        f.n == 1 && strcmp(f.name, "killed/body") == 0,
	    "uploads: what it left");
	OKE(f.started > now - 300000000 && f.started < now + 300000000,
	    "uploads: begun just now");
	OKE(dr_store_upload_abort(s, f.name, f.id, &err) == 1, "aborted");
	OKE(uploads(s, "") == 0, "then it is gone");
	OKE(dr_store_upload_abort(s, f.name, f.id, &err) == 0,
	    "aborted again: gone");
}

/* --- several stores ---------------------------------------------------------------------- */

static void
test_several(struct dr_store *s)
{
	struct dr_store_opts o = { .patience_ms = 2000 };
	struct dr_store *other = must_open(url, NULL);
	struct dr_store *dead = must_open(dead_url, &o);
	struct dr_small v[3] = {
		{ .store = s, .name = "several/1", .data = "1", .len = 1 },
		{ .store = other, .name = "several/2", .data = "2", .len = 1 },
		{ .store = dead, .name = "several/3", .data = "3", .len = 1 },
	};
	int64_t from;
	int i;

	OKE(dr_store_puts(v, 2, 0, 0, &err) == 0 && v[0].result == DR_PUT_OK &&
	        v[1].result == DR_PUT_OK,
	    "puts: two stores");
	for (i = 0; i < 3; i++)
		v[i].name = i == 0   ? "several/4"
		            : i == 1 ? "several/1"
		                     : "several/6";
	OKE(dr_store_puts(v, 2, 0, 0, &err) == 0 && v[0].result == DR_PUT_OK &&
	        v[1].result == DR_PUT_EXISTS && v[1].err.msg[0] != '\0',
	    "puts: in the one it exists");
	v[0].name = "several/7";
	v[1].name = "several/8";
	from = dr_monotonic();
	OKE(dr_store_puts(v, 3, 2, 300, &err) == 0 &&
	        v[0].result == DR_PUT_OK && v[1].result == DR_PUT_OK &&
	        v[2].result == DR_PUT_FAILED && v[2].err.cause == DR_ERETRY,
	    "puts: two of three are enough");
	OKE(dr_monotonic() - from < 4000000, "puts: the dead one is given up");
	v[0].name = "several/9";
	v[1].name = "several/10";
	OKE(dr_store_puts(v, 3, 0, 0, &err) == 0 && v[0].result == DR_PUT_OK &&
	        v[1].result == DR_PUT_OK && v[2].result == DR_PUT_FAILED &&
	        v[2].err.cause == DR_ERETRY && v[2].err.msg[0] != '\0',
	    "puts: all are asked for, the dead one fails after its patience");
	printf("# %s\n", v[2].err.msg);
	OKE(listed(s, "several/") == 7, "puts: the others are there");
	OKE(dr_store_list(dead, "", NULL, on_object, NULL, &err) == -1 &&
	        err.cause == DR_ERETRY,
	    "a dead store: list fails, for a while");
	dr_store_free(dead);
	dr_store_free(other);
}

static void
test_no_store(void)
{
	struct dr_store_opts o = { .patience_ms = 3000 };
	struct dr_store *s = must_open(absent_url, &o);
	struct dr_object obj;
	struct names l = { 0 };

	OKE(dr_store_list(s, "", NULL, on_object, &l, &err) == -1 &&
	        err.msg[0] != '\0',
	    "no such store: list");
	OKE(dr_store_put_small(s, "x", "x", 1, NULL, &err) == DR_PUT_FAILED,
	    "no such store: put_small");
	OKE(put(s, "y", 1, 10) == -1, "no such store: put");
	OKE(dr_store_stat(s, "x", &obj, &err) == -1, "no such store: stat");
	OKE(dr_store_get(s, "x", &err) == NULL, "no such store: get");
	dr_store_free(s);
}

/* --- replacing, versions, locks ------------------------------------------------------------ */

static void
test_replace(struct dr_store *s)
{
	int rc;

	OKE(dr_store_put_small(s, "probe", "1", 1, NULL, &err) == DR_PUT_OK,
	    "a probe");
	for (int parts = 0; parts < 2; parts++) {
		rc = dr_store_try_replace(s, "probe", parts == 1, "new", 3,
		    &err);
		OKE(rc == 0 || rc == 1,
		    parts ? "try_replace, in parts" : "try_replace");
		printf("# it was %sreplaced\n", rc == 1 ? "" : "not ");
	}
	OKE(no_uploads(s), "no upload is left");
	OKE(dr_store_delete(s, "probe", &err) == 1, "deleted");
}

/* Where a directory stays when it is empty, one that is not does in any case. */
static void
test_rmdir(struct dr_store *s)
{
	int gone = dr_store_has_dirs(s) ? 1 : 0;

	OKE(dr_store_put_small(s, "rm/dir/one", "1", 1, NULL, &err) ==
	        DR_PUT_OK,
	    "an object in a directory");
	OKE(dr_store_rmdir(s, "rm/dir", &err) == 0, "which is kept");
	OKE(dr_store_delete(s, "rm/dir/one", &err) == 1, "when it is gone");
	OKE(dr_store_rmdir(s, "rm", &err) == 0, "not the one above");
	OKE(dr_store_rmdir(s, "rm/dir", &err) == gone, "its own goes");
	OKE(dr_store_rmdir(s, "rm/dir", &err) == 0, "once");
	OKE(dr_store_rmdir(s, "rm", &err) == gone, "then that above");
}

struct kept {
	char id[8][256];
	bool marker[8], latest[8];
	unsigned n;
};

static int
on_version(void *arg, const struct dr_version *v, struct dr_err *e)
{
	struct kept *k = arg;

	if (k->n == 8)
		return dr_err_set(e, DR_EFAIL, "too many versions");
	(void)snprintf(k->id[k->n], sizeof(k->id[0]), "%s", v->id);
	k->latest[k->n] = v->latest;
	k->marker[k->n++] = v->marker;
	return 0;
}

static bool
version_holds(struct dr_store *s, const char *name, const char *id,
    unsigned seed, uint64_t len)
{
	struct dr_blob *blob = dr_store_get_version(s, name, id, &err);
	bool good = holds_blob(blob, seed, len);

	dr_blob_free(blob);
	return good;
}

static void
test_locked(void)
{
	struct dr_store_opts o = { .lock = { .mode = DR_LOCK_COMPLIANCE } };
	struct dr_store *s, *plain = must_open(locked_url, NULL);
	struct kept k = { 0 };
	struct dr_lock lock;
	struct dr_object obj;
	unsigned char data[100];
	int rc;

	fill(data, sizeof(data), 8, 0);
	o.lock.until = ((int64_t)time(NULL) + 3600) * 1000000;
	s = must_open(locked_url, &o);
	OKE(dr_store_put_small(s, "k/small", data, sizeof(data), NULL, &err) ==
	        DR_PUT_OK,
	    "locked: put_small");
	OKE(put(s, "k/one", 8, 100000) == 0, "locked: put in one");
	OKE(put(s, "k/parts", 8, PART + 9) == 0, "locked: put in parts");
	for (int i = 0; i < 3; i++) {
		const char *name = i == 0   ? "k/small"
		                   : i == 1 ? "k/one"
		                            : "k/parts";

		OKE(dr_store_locked(plain, name, &lock, &err) == 1 &&
		        lock.mode == DR_LOCK_COMPLIANCE &&
		        lock.until / 1000000 == o.lock.until / 1000000 &&
		        !lock.hold,
		    "locked: says so");
	}
	OKE(dr_store_put_small(s, "k/small", "x", 1, NULL, &err) ==
	        DR_PUT_EXISTS,
	    "locked: it exists");
	rc = dr_store_try_replace(plain, "k/small", false, "new", 3, &err);
	OKE(rc == 1, "locked: a new version may go over it");
	OKE(dr_store_versions(plain, "k/small", on_version, &k, &err) == 0 &&
	        k.n == 2 && k.latest[0] && !k.latest[1] && !k.marker[0],
	    "versions: two, newest first");
	OKE(k.n == 2 && version_holds(plain, "k/small", k.id[1], 8, 100),
	    "versions: the older one is as it was");
	/* A delete marker may be laid over it; the bytes cannot go. */
	(void)dr_store_delete(plain, "k/one", &err);
	dr_err_clear(&err);
	k.n = 0;
	OKE(dr_store_versions(plain, "k/one", on_version, &k, &err) == 0 &&
	        k.n >= 1 && !k.marker[k.n - 1] &&
	        version_holds(plain, "k/one", k.id[k.n - 1], 8, 100000),
	    "locked: delete leaves the bytes");
	if (k.n > 1) {
		OKE(k.marker[0] && k.latest[0], "versions: a delete marker");
		OKE(dr_store_stat(plain, "k/one", &obj, &err) == 0,
		    "stat: absent behind a delete marker");
	}
	k.n = 0;
	OKE(dr_store_versions(plain, "k/on", on_version, &k, &err) == 0 &&
	        k.n == 0,
	    "versions: only those of the very name");
	dr_store_free(s);

	o.lock.mode = DR_LOCK_NONE;
	o.lock.hold = true;
	if (googles) {
		s = dr_store_open(locked_url, &o, &err);
		OKE(s == NULL && err.cause == DR_EUSAGE,
		    "a legal hold is refused");
		dr_store_free(plain);
		return;
	}
	s = must_open(locked_url, &o);
	OKE(dr_store_put_small(s, "k/hold", data, sizeof(data), NULL, &err) ==
	            DR_PUT_OK &&
	        dr_store_locked(plain, "k/hold", &lock, &err) == 1 &&
	        lock.hold && lock.mode == DR_LOCK_NONE,
	    "legal hold");
	OKE(put(s, "k/hold-parts", 8, PART + 1) == 0 &&
	        dr_store_locked(plain, "k/hold-parts", &lock, &err) == 1 &&
	        lock.hold,
	    "legal hold on what goes up in parts");
	dr_store_free(s);
	dr_store_free(plain);
}

static void
test_no_locks(struct dr_store *plain)
{
	struct dr_store_opts o = { .lock = { .mode = DR_LOCK_COMPLIANCE } };
	struct dr_lock lock;
	struct dr_store *s;
	struct kept k = { 0 };

	OKE(dr_store_put_small(plain, "nolock", "1", 1, NULL, &err) ==
	        DR_PUT_OK,
	    "an object");
	OKE(dr_store_locked(plain, "nolock", &lock, &err) >= 0 &&
	        lock.mode == DR_LOCK_NONE && !lock.hold,
	    "that is not locked");
	OKE(dr_store_versions(plain, "nolock", on_version, &k, &err) == 0 &&
	        k.n <= 1,
	    "and has no other versions");
	OKE(dr_store_delete(plain, "nolock", &err) == 1, "deleted");
	if (!locks_refused)
		return;
	o.lock.until = ((int64_t)time(NULL) + 3600) * 1000000;
	s = dr_store_open(url, &o, &err);
	OKE(s == NULL && err.cause == DR_EUSAGE, "a lock is refused");
	dr_store_free(s);
	o.lock = (struct dr_lock){ .hold = true };
	s = dr_store_open(url, &o, &err);
	OKE(s == NULL && err.cause == DR_EUSAGE, "a legal hold is refused");
	dr_store_free(s);
}

/* --- */

static void
test_all(void)
{
	static const uint64_t sizes[] = { 0, 1, 100000, PART - 1, PART,
		PART + 1, 3 * (uint64_t)PART + 5 };
	struct dr_store *s = must_open(url, NULL);

	test_absent(s);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		test_stream(s, sizes[i]);
	if (large != 0)
		test_stream(s, large << 20);
	test_abandon(s, 0);
	test_abandon(s, 1000);
	test_abandon(s, PART + 1);
	test_abandon(s, 4 * (uint64_t)PART);
	test_killed(s);
	test_names(s);
	test_threads(s);
	test_replace(s);
	test_rmdir(s);
	test_no_locks(s);
	test_small(s);
	test_list(s);
	test_race(s, "small", 1000, rounds);
	if (!parts_overwrite)
		test_race(s, "stream", PART + 4321, (rounds + 3) / 4);
	if (dead_url != NULL)
		test_several(s);
	if (absent_url != NULL)
		test_no_store();
	if (locked_url != NULL)
		test_locked();
	dr_store_free(s);
}

int
main(int argc, char **argv)
{
	int64_t n = 0;
	int ch;

	if (argc == 6 && strcmp(argv[1], "-W") == 0) {
		url = argv[5];
		return writer(argv[2], argv[3], argv[4]);
	}
	while ((ch = getopt(argc, argv, "a:bd:gl:mn:r:s:x")) != -1) {
		if (strchr("nrs", ch) != NULL &&
		    dr_parse_int(optarg, 0, 1000000, &n, &err) == -1)
			return 2;
		switch (ch) {
		case 'a':
			absent_url = optarg;
			break;
		case 'b':
			late_parts = true;
			break;
		case 'd':
			dead_url = optarg;
			break;
		case 'g':
			googles = true;
			break;
		case 'l':
			locked_url = optarg;
			break;
		case 'm':
			parts_overwrite = true;
			break;
		case 'n':
			objects = (unsigned)n;
			break;
		case 'r':
			rounds = (unsigned)n;
			break;
		case 's':
			large = (uint64_t)n;
			break;
		case 'x':
			locks_refused = true;
			break;
		default:
			return 2;
		}
	}
	if (optind != argc - 1)
		return 2;
	url = argv[optind];
	test_all();
	return DONE();
}
