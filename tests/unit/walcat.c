/* walcat.c - what WAL a store holds, and what is wrong with its ledgers. */
#include "flow/walcat.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "crypt/minisign_format.h"
#include "crypt/secret.h"
#include "store/driver.h"
#include "tests/tap.h"
#include "tests/tmp.h"

#define SYSID 7300000000000000001
#define DIR1  "main/wal/7300000000000000001/00000001/"
#define SEG   (1U << 20)

static struct dr_err err;
static struct dr_sign_key *key, *stranger;
static struct dr_verify_keys *keys, *both;
static struct dr_store *store;
static char told[4096];
static int number;

static struct dr_verify_keys *
public_of(const struct dr_sign_key *a, const struct dr_sign_key *b)
{
	struct dr_buf t = { .max = 8192 };
	struct dr_verify_keys *v;

	if (dr_sign_key_public(a, &t, &err) == -1 ||
	    (b != NULL && dr_sign_key_public(b, &t, &err) == -1) ||
	    (v = dr_verify_keys_parse(t.data, t.len, "test", &err)) == NULL)
		abort();
	dr_buf_free(&t);
	return v;
}

static void
fresh(void)
{
	char path[64];

	dr_store_free(store);
	(void)snprintf(path, sizeof(path), "%s/store%d", tmp_dir, number++);
	if (mkdir(path, 0755) == -1 ||
	    (store = dr_store_open(path, NULL, &err)) == NULL)
		abort();
}

static void
put(const char *name, const char *text, size_t len)
{
	dr_err_clear(&err);
	if (dr_store_put_small(store, name, text, len, NULL, &err) !=
	    DR_PUT_OK) {
		printf("# %s\n", err.msg);
		abort();
	}
}

static void
drop(const char *name)
{
	char *path = dr_fmt(&err, "%s/%s", dr_store_url(store), name);

	if (unlink(path) == -1)
		abort();
	free(path);
}

/* An object of its name as its content, and into the ledger L (or NULL). */
static void
object(struct dr_ledger *l, const char *name)
{
	char sha[DR_SHA256_HEX], *full = dr_fmt(&err, DIR1 "%s", name);

	put(full, name, strlen(name));
	if (dr_sha256_hex(name, strlen(name), sha, &err) == -1 ||
	    (l != NULL &&
	        dr_ledger_add(l, name, strlen(name), sha, &err) == -1))
		abort();
	free(full);
}

static struct dr_ledger
ledger(const struct dr_sign_key *by, uint64_t n)
{
	struct dr_ledger l = { .system_id = SYSID,
		.tli = 1,
		.n = n,
		.time = 1800000000000000 + (int64_t)n * 60000000 };

	(void)snprintf(l.set, sizeof(l.set), "main");
	(void)snprintf(l.signer, sizeof(l.signer), "%s", dr_sign_key_id(by));
	return l;
}

/* Signed by BY and put as FULL (NULL: where it belongs); it follows BEFORE. */
static struct dr_ledger
issue(struct dr_ledger *l, const struct dr_ledger *before,
    const struct dr_sign_key *by, const char *full)
{
	struct dr_buf t = { .max = DR_LEDGER_MAX }, sig = { .max = 4096 };
	char *name = dr_ledger_name(l, &err), *path, *signame;

	if (before != NULL) {
		l->prev_name = dr_ledger_name(before, &err);
		memcpy(l->prev_sha256, before->prev_sha256, DR_SHA256_HEX);
	}
	path = full != NULL ? dr_fmt(&err, "%s", full)
	                    : dr_fmt(&err, DIR1 "%s", name);
	signame = dr_fmt(&err, "%s.minisig", path);
	if (dr_ledger_write(l, &t, &err) == -1 ||
	    dr_sign(by, t.data, t.len, path, &sig, &err) == -1)
		abort();
	put(signame, sig.data, sig.len);
	put(path, t.data, t.len);
	/* The hash of it, for the next to follow. */
	if (dr_sha256_hex(t.data, t.len, l->prev_sha256, &err) == -1)
		abort();
	dr_buf_free(&t);
	dr_buf_free(&sig);
	free(name);
	free(path);
	free(signame);
	return *l;
}

static int
tell(void *arg, const char *text, struct dr_err *e)
{
	(void)arg;
	(void)e;
	(void)snprintf(told, sizeof(told), "%s", text);
	return 0;
}

static size_t
faults(const struct dr_verify_keys *k)
{
	struct dr_walcat c;
	size_t n;

	told[0] = '\0';
	dr_err_clear(&err);
	if (dr_walcat_read(store, "main", SYSID, SEG, k, tell, NULL, &c,
	        &err) == -1) {
		printf("# %s\n", err.msg);
		return 99;
	}
	n = c.faults;
	if ((n > 0) != (c.bad.cause == DR_EDATA))
		n = 98;
	if (n > 0)
		printf("# %zu: %s\n", n, told);
	dr_walcat_free(&c);
	return n;
}

/* Two ledgers in a chain over five segments, and one object of no ledger. */
static void
good_store(struct dr_ledger l[2])
{
	fresh();
	dr_ledger_wipe(&l[0]);
	dr_ledger_wipe(&l[1]);
	l[0] = ledger(key, 1);
	object(&l[0], "000000010000000000000001.zst.age");
	object(&l[0], "000000010000000000000002.zst.age");
	object(&l[0], "000000010000000000000002.00000028.backup.zst.age");
	(void)issue(&l[0], NULL, key, NULL);
	l[1] = ledger(key, 2);
	object(&l[1], "000000010000000000000003.00000000-00004000.zst.age");
	object(&l[1], "000000010000000000000003.00004000-00100000.zst.age");
	object(&l[1], "000000010000000000000005.zst.age");
	(void)dr_ledger_add_gap(&l[1], "", 4 * SEG, 5 * SEG, &err);
	(void)issue(&l[1], &l[0], key, NULL);
	object(NULL, "000000010000000000000006.zst.age");
}

static void
forget(struct dr_ledger l[2])
{
	dr_ledger_wipe(&l[0]);
	dr_ledger_wipe(&l[1]);
}

static const char *
hex_of(const struct dr_wal_entry *e)
{
	static char hex[DR_SHA256_HEX];

	return dr_hex(e->sha256, sizeof(e->sha256), hex);
}

static bool
range_is(const struct dr_walcat *c, size_t i, uint64_t from, uint64_t to)
{
	uint64_t a, b;

	dr_wal_entry_range(c, &c->entry[i], &a, &b);
	return a == from && b == to;
}

static void
test_good(void)
{
	struct dr_ledger l[2] = { 0 };
	const struct dr_wal_timeline *t;
	struct dr_walcat c;

	good_store(l);
	OK(dr_walcat_read(store, "main", SYSID, SEG, keys, NULL, NULL, &c,
	       &err) == 0 &&
	        c.faults == 0 && c.entries == 7 && c.links == 2,
	    "a good store");
	t = dr_walcat_timeline(&c, 1);
	OK(t != NULL && t->history && t->first == SEG && t->map.n == 2 &&
	        t->vouched.n == 2 && dr_walcat_reach(&c, 1, SEG) == 4 * SEG &&
	        dr_walcat_reach(&c, 1, 5 * SEG) == 7 * SEG &&
	        dr_walcat_reach(&c, 2, 5) == 5 &&
	        dr_walmap_reach(&t->vouched, 5 * SEG) == 6 * SEG,
	    "how far it reaches");
	OK(c.gaps == 1 && c.gap[0].from == 4 * SEG && c.newest == l[1].time,
	    "the gap it admits, and its age");
	OK(range_is(&c, 0, SEG, 2 * SEG) && c.entry[0].time == l[0].time &&
	        c.entry[0].vouched &&
	        dr_wal_entry_is(&c, &c.entry[0], c.entry[0].size,
	            hex_of(&c.entry[0])) &&
	        !dr_wal_entry_is(&c, &c.entry[0], 1, hex_of(&c.entry[0])) &&
	        !c.entry[6].vouched && c.entry[6].listed,
	    "its objects");
	dr_walcat_free(&c);
	OK(dr_walcat_read(store, "main", SYSID + 1, SEG, keys, NULL, NULL, &c,
	       &err) == 0 &&
	        c.entries == 0 && c.timelines == 0,
	    "another system id holds nothing");
	dr_walcat_free(&c);
	drop(DIR1 "000000010000000000000002.zst.age");
	OK(dr_walcat_read(store, "main", SYSID, SEG, keys, NULL, NULL, &c,
	       &err) == 0 &&
	        c.faults == 0 && c.entries == 7 && !c.entry[2].listed &&
	        dr_walcat_reach(&c, 1, SEG) == 2 * SEG,
	    "what a ledger names and is missing");
	dr_walcat_free(&c);
	forget(l);
}

static void
test_chain(void)
{
	struct dr_ledger l[2] = { 0 }, m, x;
	char *name;

	good_store(l);
	m = ledger(key, 4);
	(void)issue(&m, &l[1], key, NULL);
	OK(faults(keys) == 1, "its previous one has another number");
	dr_ledger_wipe(&m);

	good_store(l);
	m = ledger(key, 3);
	m.time++;
	(void)issue(&m, &l[1], key, NULL);
	x = ledger(key, 4);
	(void)issue(&x, &m, key, NULL);
	OK(faults(keys) == 0, "four in a chain");
	name = dr_ledger_name(&m, &err);
	told[0] = '\0';
	{
		char *full = dr_fmt(&err, DIR1 "%s", name);

		drop(full);
		free(full);
	}
	OK(faults(keys) == 1 && strstr(told, "ledger 3 of ") != NULL,
	    "one in the middle was deleted");
	free(name);
	dr_ledger_wipe(&m);
	m = ledger(key, 3);
	m.time += 1000000;
	(void)issue(&m, &l[1], key, NULL);
	OK(faults(keys) == 1 && strstr(told, "follows another") != NULL,
	    "another in its place");
	dr_ledger_wipe(&m);
	m = ledger(key, 4);
	m.time += 2000000;
	(void)issue(&m, NULL, key, NULL);
	OK(faults(keys) >= 2, "a fork");
	dr_ledger_wipe(&m);
	dr_ledger_wipe(&x);

	good_store(l);
	name = dr_ledger_name(&l[0], &err);
	{
		char *full = dr_fmt(&err, DIR1 "%s", name);

		drop(full);
		free(full);
	}
	free(name);
	OK(faults(keys) == 0, "the oldest may have been pruned");
	forget(l);
}

static void
test_forged(void)
{
	struct dr_ledger l[2] = { 0 }, m;
	char *name, *full;

	good_store(l);
	m = ledger(stranger, 1);
	(void)issue(&m, NULL, stranger, NULL);
	OK(faults(keys) == 1, "a stranger's");
	OK(faults(both) == 0, "a second writer's, who is trusted");
	OK(faults(NULL) == 0, "without keys it is not asked");
	dr_ledger_wipe(&m);

	good_store(l);
	m = ledger(key, 3);
	(void)issue(&m, &l[1], stranger, NULL);
	OK(faults(both) == 1, "signed by another than it says");
	dr_ledger_wipe(&m);

	good_store(l);
	m = ledger(key, 3);
	name = dr_ledger_name(&m, &err);
	full = dr_fmt(&err, "main/wal/%llu/00000002/%s",
	    (unsigned long long)SYSID, name);
	(void)issue(&m, &l[1], key, full);
	OK(faults(keys) == 1, "in another timeline's folder");
	free(full);
	free(name);
	dr_ledger_wipe(&m);

	good_store(l);
	m = ledger(key, 3);
	name = dr_ledger_name(&m, &err);
	full = dr_fmt(&err, DIR1 "%s", name);
	m.system_id++;
	(void)issue(&m, &l[1], key, full);
	OK(faults(keys) == 1, "of another system id");
	free(full);
	free(name);
	dr_ledger_wipe(&m);

	good_store(l);
	m = ledger(key, 3);
	name = dr_ledger_name(&m, &err);
	full = dr_fmt(&err, DIR1 "%s", name);
	(void)snprintf(m.set, sizeof(m.set), "test");
	(void)issue(&m, &l[1], key, full);
	OK(faults(keys) == 1, "of another set");
	free(full);
	free(name);
	dr_ledger_wipe(&m);

	good_store(l);
	m = ledger(key, 3);
	name = dr_ledger_name(&m, &err);
	full = dr_fmt(&err, DIR1 "%s", name);
	m.time += 1000000;
	(void)issue(&m, &l[1], key, full);
	OK(faults(keys) == 1, "of another time than its name");
	free(full);
	free(name);
	dr_ledger_wipe(&m);

	good_store(l);
	m = ledger(key, 3);
	name = dr_ledger_name(&m, &err);
	full = dr_fmt(&err, DIR1 "%s.minisig", name);
	(void)issue(&m, &l[1], key, NULL);
	drop(full);
	OK(faults(keys) == 1, "without its signature");
	free(full);
	free(name);
	dr_ledger_wipe(&m);
	forget(l);
}

static void
test_again(void)
{
	struct dr_ledger l[2] = { 0 }, m;
	struct dr_walcat c;
	char sha[DR_SHA256_HEX];

	good_store(l);
	m = ledger(key, 3);
	if (dr_sha256_hex("x", 1, sha, &err) == -1)
		abort();
	(void)dr_ledger_add(&m, "000000010000000000000001.zst.age", 1, sha,
	    &err);
	(void)dr_ledger_add(&m, "000000010000000000000009.zst.age", 1, sha,
	    &err);
	(void)dr_ledger_add(&m, "000000010000000000000009.zst.age", 2, sha,
	    &err);
	(void)issue(&m, &l[1], key, NULL);
	OK(dr_walcat_read(store, "main", SYSID, SEG, keys, NULL, NULL, &c,
	       &err) == 0 &&
	        c.entries == 8 && dr_wal_entry_is(&c, &c.entry[0], 1, sha) &&
	        dr_wal_entry_is(&c, &c.entry[0], c.entry[0].size,
	            hex_of(&c.entry[0])) &&
	        c.entry[0].time == l[0].time,
	    "one that was made again may be either");
	OK(!c.entry[7].listed && dr_wal_entry_is(&c, &c.entry[7], 1, sha) &&
	        dr_wal_entry_is(&c, &c.entry[7], 2, sha),
	    "also where it is missing");
	dr_walcat_free(&c);
	dr_ledger_wipe(&m);
	forget(l);
}

/* --- a week of increments, one a second ------------------------------------ */

#define WEEK_SEG  (16U << 20)
#define WEEK_EACH 64U /* increments of a segment */
#define WEEK_N    604800U
#define WEEK_MIN  60U /* of a ledger */
#define WEEK_RAM  (64L << 10)

/* No store, but what one with these objects would say. */
struct week {
	struct dr_store store;
	char before[DR_SHA256_HEX]; /* of the ledger that was read last */
};

static char *
week_name(uint32_t i, char out[80])
{
	uint32_t size = WEEK_SEG / WEEK_EACH, at = i % WEEK_EACH * size;
	uint32_t seg = i / WEEK_EACH;

	(void)snprintf(out, 80, "00000001%08X%08X.%08X-%08X.zst.age", seg / 256,
	    seg % 256, at, at + size);
	return out;
}

static int
week_list(struct dr_store *s, const char *prefix, const char *after,
    int (*fn)(void *, const struct dr_object *, struct dr_err *), void *arg,
    struct dr_err *e)
{
	char name[80], full[256];
	struct dr_object o = { .name = full, .size = 1000, .mtime = 1 };

	(void)s;
	(void)prefix;
	(void)after;
	for (uint32_t i = 0; i < WEEK_N; i++) {
		(void)snprintf(full, sizeof(full), DIR1 "%s",
		    week_name(i, name));
		if (fn(arg, &o, e) == -1)
			return -1;
	}
	for (uint32_t n = 1; n <= WEEK_N / WEEK_MIN; n++) {
		struct dr_ledger l = ledger(key, n);
		char *last = dr_ledger_name(&l, e);

		(void)snprintf(full, sizeof(full), DIR1 "%s", last);
		free(last);
		if (fn(arg, &o, e) == -1)
			return -1;
	}
	return 0;
}

static int
week_get(struct dr_store *s, const char *name, size_t max, char **out,
    size_t *len, struct dr_err *e)
{
	struct week *w = (struct week *)s;
	struct dr_buf text = { .max = max };
	struct dr_ledger l = { .n = 0 }, before;
	char sha[DR_SHA256_HEX], one[80];
	uint64_t n;

	if (dr_ledger_name_parse(strrchr(name, '/') + 1, &l) != 1)
		return 0; /* a signature */
	n = l.n;
	l = ledger(key, n);
	if (n > 1) {
		before = ledger(key, n - 1);
		l.prev_name = dr_ledger_name(&before, e);
		memcpy(l.prev_sha256, w->before, sizeof(l.prev_sha256));
	}
	for (uint32_t i = 0; i < WEEK_MIN; i++) {
		(void)week_name((uint32_t)(n - 1) * WEEK_MIN + i, one);
		if (dr_sha256_hex(one, strlen(one), sha, e) == -1 ||
		    dr_ledger_add(&l, one, 1000, sha, e) == -1)
			abort();
	}
	if (dr_ledger_write(&l, &text, e) == -1 ||
	    dr_sha256_hex(text.data, text.len, w->before, e) == -1)
		abort();
	dr_ledger_wipe(&l);
	*out = text.data;
	*len = text.len;
	return 1;
}

/* In a process of its own, so that only its memory counts: KB, or 0. */
static int
week_read(void)
{
	static const struct dr_store_ops ops = { .list = week_list,
		.get_small = week_get };
	struct week w = { .store = { .ops = &ops } };
	struct rusage r;
	struct dr_walcat c;
	char one[80], *name;
	bool good;

	dr_err_clear(&err);
	if (dr_walcat_read(&w.store, "main", SYSID, WEEK_SEG, NULL, NULL, NULL,
	        &c, &err) == -1) {
		printf("# %s\n", err.msg);
		return 1;
	}
	name = dr_wal_entry_name(&c, &c.entry[WEEK_N / 2], &err);
	good = c.faults == 0 && c.entries == WEEK_N && c.timelines == 1 &&
	       c.timeline[0].map.n == 1 && c.timeline[0].vouched.n == 1 &&
	       dr_walcat_reach(&c, 1, 0) ==
	           (uint64_t)WEEK_N / WEEK_EACH * WEEK_SEG &&
	       strcmp(strrchr(name, '/') + 1, week_name(WEEK_N / 2, one)) == 0;
	free(name);
	dr_walcat_free(&c);
	if (getrusage(RUSAGE_SELF, &r) == -1)
		return 1;
	printf("# a week of increments: %ld KB\n", r.ru_maxrss);
	(void)fflush(stdout);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return good ? 0 : 2;
#else
	return !good ? 2 : r.ru_maxrss > WEEK_RAM ? 3 : 0;
#endif
}

static void
test_week(void)
{
	int st = -1;
	pid_t pid;

	(void)fflush(stdout);
	if ((pid = fork()) == 0)
		_exit(week_read());
	OK(pid != -1 && waitpid(pid, &st, 0) == pid && WIFEXITED(st) &&
	        WEXITSTATUS(st) == 0,
	    "a week of increments in 64 MB");
}

static int
count(void *arg, uint64_t id, struct dr_err *e)
{
	(void)e;
	*(int *)arg += id == SYSID ? 1 : 100;
	return 0;
}

int
main(void)
{
	struct dr_ledger l[2] = { 0 };
	int n = 0;

	if (dr_crypt_init(&err) == -1)
		abort();
	tmp_make();
	key = dr_sign_key_new(&err);
	stranger = dr_sign_key_new(&err);
	keys = public_of(key, NULL);
	both = public_of(key, stranger);
	test_good();
	test_chain();
	test_forged();
	test_again();
	test_week();
	good_store(l);
	OK(dr_walcat_systems(store, "main", count, &n, &err) == 0 && n == 1,
	    "its system ids");
	forget(l);
	dr_store_free(store);
	dr_verify_keys_free(keys);
	dr_verify_keys_free(both);
	dr_sign_key_free(key);
	dr_sign_key_free(stranger);
	tmp_leave();
	return DONE();
}
