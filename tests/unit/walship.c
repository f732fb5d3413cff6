/* walship.c - WAL into stores, and its ledgers. */
#include "flow/walship.h"

#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "crypt/keys.h"
#include "crypt/minisign.h"
#include "crypt/secret.h"
#include "flow/away.h"
#include "flow/walstate.h"
#include "manifest/ledger.h"
#include "tests/tap.h"
#include "tests/tmp.h"

#define SYSID 7300000000000000001
#define SEG   (1U << 20)
#define WAL   "main/wal/7300000000000000001/"
#define SEG1  "000000010000000000000001"
#define SEG2  "000000010000000000000002"
#define SEG3  "000000010000000000000003"
#define AGE   ".zst.age"

static struct dr_err err;
static struct dr_recipients *to;
static char *data, *other;

static void
setup(void)
{
	char text[DR_BECH32_LEN];
	struct dr_identities *ids = dr_identities_new(&err);

	to = dr_recipients_new(&err);
	data = malloc(SEG);
	other = calloc(1, SEG);
	if (ids == NULL || to == NULL || data == NULL || other == NULL ||
	    dr_identities_make(ids, &err) == -1)
		abort();
	dr_recipient_text(ids->v[0]->public, text);
	if (dr_recipients_add(to, text, &err) == -1)
		abort();
	dr_identities_free(ids);
	for (uint32_t i = 0, x = 1; i < SEG; i++)
		data[i] = (char)((x = x * 1664525 + 1013904223) >> 28);
}

static struct dr_ship_opts
options(const char *state, const char *const *stores, size_t n)
{
	struct dr_ship_opts o = { .set = "main",
		.state = state,
		.stores = stores,
		.nstores = n,
		.recipients = to,
		.system_id = SYSID,
		.segsize = SEG,
		.ledger_ms = 60000 };

	return o;
}

static struct dr_wal_id
place(const char *name)
{
	struct dr_wal_id id = { .set = "main", .system_id = SYSID };

	(void)snprintf(id.name, sizeof(id.name), "%s", name);
	if (dr_wal_name(id.name, &id.file, &err) == -1)
		abort();
	return id;
}

static int
put(struct dr_ship *s, const char *name, const char *bytes,
    struct dr_ship_result *r)
{
	struct dr_wal_id id = place(name);

	dr_err_clear(&err);
	return dr_ship_put(s, &id, bytes, SEG, r, &err);
}

static struct dr_ship *
open_ship(const struct dr_ship_opts *o)
{
	struct dr_ship *s;

	dr_err_clear(&err);
	if ((s = dr_ship_open(o, &err)) == NULL) {
		printf("# %s\n", err.msg);
		abort();
	}
	return s;
}

/* --- what lies in a store -------------------------------------------------------- */

struct seen {
	char **object, **ledger;
	size_t objects, ledgers;
	struct dr_store *store;
};

static int
note(void *arg, const struct dr_object *obj, struct dr_err *why)
{
	struct seen *s = arg;
	size_t len = strlen(obj->name);

	(void)why;
	if (len > 4 && strcmp(obj->name + len - 4, ".age") == 0) {
		s->object =
		    realloc(s->object, (s->objects + 1) * sizeof(char *));
		s->object[s->objects++] = strdup(obj->name);
	} else if (len > 5 && strcmp(obj->name + len - 5, ".json") == 0) {
		s->ledger =
		    realloc(s->ledger, (s->ledgers + 1) * sizeof(char *));
		s->ledger[s->ledgers++] = strdup(obj->name);
	}
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return strcmp(x + strlen(x) - 15, y + strlen(y) - 15);
}

static bool
look(struct seen *s, const char *url)
{
	memset(s, 0, sizeof(*s));
	dr_err_clear(&err);
	if ((s->store = dr_store_open(url, NULL, &err)) == NULL ||
	    dr_store_list(s->store, "", NULL, note, s, &err) == -1)
		return false;
	if (s->ledgers > 1)
		qsort(s->ledger, s->ledgers, sizeof(char *), by_number);
	return true;
}

static void
forget(struct seen *s)
{
	for (size_t i = 0; i < s->objects; i++)
		free(s->object[i]);
	for (size_t i = 0; i < s->ledgers; i++)
		free(s->ledger[i]);
	free(s->object);
	free(s->ledger);
	dr_store_free(s->store);
}

/* The Ith ledger, its signature checked when KEYS; false: what is wrong. */
static bool
ledger(const struct seen *s, size_t i, const struct dr_verify_keys *keys,
    struct dr_ledger *l, char sha[DR_SHA256_HEX])
{
	char *text = NULL, *sig = NULL, *name = NULL, by[DR_KEYID_HEX];
	size_t len, siglen;
	bool good;

	dr_err_clear(&err);
	good = dr_store_get_small(s->store, s->ledger[i], DR_LEDGER_MAX, &text,
	           &len, &err) == 1 &&
	       dr_sha256_hex(text, len, sha, &err) == 0 &&
	       dr_ledger_parse(text, len, s->ledger[i], l, &err) == 0;
	if (good && keys != NULL)
		good =
		    (name = dr_fmt(&err, "%s.minisig", s->ledger[i])) != NULL &&
		    dr_store_get_small(s->store, name, 4096, &sig, &siglen,
		        &err) == 1 &&
		    dr_verify(keys, text, len, sig, siglen, s->ledger[i], by,
		        &err) == 0 &&
		    strcmp(by, l->signer) == 0;
	free(name);
	free(text);
	free(sig);
	return good;
}

static bool
has_hash(const struct seen *s, const char *object, const char *sha)
{
	char hex[DR_SHA256_HEX], *text;
	size_t len;

	if (dr_store_get_small(s->store, object, 1U << 24, &text, &len, &err) !=
	        1 ||
	    dr_sha256_hex(text, len, hex, &err) == -1)
		return false;
	free(text);
	return strcmp(hex, sha) == 0;
}

/*
 * Every ledger in URL is signed, follows the one before, and names only what
 * is there; and, if ALL, every object is named.  What was made again for a
 * store that had missed it stands in several, once as it is in this store.
 */
static int
faults(const char *url, const struct dr_verify_keys *keys, bool all,
    size_t *objects, size_t *ledgers)
{
	char sha[DR_SHA256_HEX] = "", before[DR_SHA256_HEX];
	int *named; /* 1: not as it is there; 2: so */
	struct dr_ledger l;
	struct seen s;
	int bad = 0;

	if (!look(&s, url))
		return 1;
	named = calloc(s.objects + 1, sizeof(*named));
	for (size_t i = 0; i < s.ledgers; i++) {
		memcpy(before, sha, sizeof(before));
		if (!ledger(&s, i, keys, &l, sha)) {
			printf("# %s: %s\n", s.ledger[i], err.msg);
			bad++;
			continue;
		}
		if (l.n != i + 1 ||
		    (i > 0 && strcmp(l.prev_sha256, before) != 0)) {
			printf("# %s does not follow\n", s.ledger[i]);
			bad++;
		}
		for (size_t k = 0; k < l.objects; k++) {
			char *full = dr_fmt(&err, WAL "%08X/%s", l.tli,
			    l.object[k].name);
			size_t o = 0;

			while (o < s.objects && strcmp(s.object[o], full) != 0)
				o++;
			if (o == s.objects) {
				printf("# %s names %s\n", s.ledger[i], full);
				bad++;
			} else if (has_hash(&s, full, l.object[k].sha256))
				named[o] = 2;
			else if (named[o] == 0)
				named[o] = 1;
			free(full);
		}
		dr_ledger_wipe(&l);
	}
	for (size_t o = 0; o < s.objects; o++)
		if (named[o] == 1 || (all && named[o] == 0)) {
			printf("# %s is in no ledger\n", s.object[o]);
			bad++;
		}
	if (objects != NULL)
		*objects = s.objects;
	if (ledgers != NULL)
		*ledgers = s.ledgers;
	free(named);
	forget(&s);
	return bad;
}

static struct dr_verify_keys *
public_of(const char *state)
{
	char *path = dr_fmt(&err, "%s/sign.key.pub", state);
	struct dr_verify_keys *k = dr_verify_keys_load(path, &err);

	free(path);
	return k;
}

/* --- the tests --------------------------------------------------------------------- */

static void
test_one(const char *dir)
{
	char *state = dr_fmt(&err, "%s/st1", dir);
	char *store = dr_fmt(&err, "%s/one", dir);
	const char *stores[] = { store };
	struct dr_ship_opts o = options(state, stores, 1);
	struct dr_verify_keys *keys;
	struct dr_ship_result r;
	struct dr_ship *s;
	size_t objects, ledgers;

	mkdir(store, 0755);
	s = open_ship(&o);
	OK(dr_ship_due(s) == UINT64_MAX && dr_ship_ledger(s, true, &err) == 0 &&
	        faults(store, NULL, true, &objects, &ledgers) == 0 &&
	        ledgers == 0,
	    "nothing was put: no ledger, not even by force");
	OK(put(s, SEG1, data, &r) == 0 && r.done == 1 && !r.again &&
	        r.store[0].done,
	    "a segment is put");
	OK(dr_ship_due(s) > 50000 && dr_ship_due(s) <= 60000,
	    "a ledger is due in a minute");
	OK(put(s, SEG1, data, &r) == 0 && r.again, "the same again is success");
	OK(put(s, SEG1, other, &r) == -1 && err.cause == DR_EFAIL &&
	        strstr(err.msg, "other content") != NULL && r.done == 0,
	    "other content under its name is not");
	OK(dr_ship_ledger(s, false, &err) == 0 &&
	        faults(store, NULL, false, &objects, &ledgers) == 0 &&
	        objects == 1 && ledgers == 0,
	    "none is written before it is due");
	OK(dr_ship_ledger(s, true, &err) == 0, "by force it is");
	keys = public_of(state);
	OK(faults(store, keys, true, &objects, &ledgers) == 0 && ledgers == 1,
	    "signed, and it names what is there");
	OK(dr_ship_due(s) > 3500000 && dr_ship_due(s) <= 3600000,
	    "the next is due in an hour");
	OK(put(s, SEG2, data, &r) == 0 && dr_ship_ledger(s, true, &err) == 0 &&
	        faults(store, keys, true, &objects, &ledgers) == 0 &&
	        ledgers == 2 && objects == 2,
	    "the second follows the first");
	dr_ship_free(s);

	/* Another process, due at once. */
	o.ledger_ms = 0;
	s = open_ship(&o);
	OK(put(s, "000000020000000000000003", data, &r) == 0 &&
	        put(s, SEG3, data, &r) == 0 &&
	        dr_ship_ledger(s, false, &err) == 0 &&
	        faults(store, keys, true, &objects, &ledgers) == 0 &&
	        ledgers == 4,
	    "a ledger for each of two timelines, in one chain");
	OK(dr_ship_ledger(s, true, &err) == 0 &&
	        faults(store, keys, true, &objects, &ledgers) == 0 &&
	        ledgers == 5,
	    "by force also without news");
	dr_ship_free(s);
	dr_verify_keys_free(keys);
	free(state);
	free(store);
}

static void
test_two(const char *dir)
{
	char *state = dr_fmt(&err, "%s/st2", dir), *wal;
	char *a = dr_fmt(&err, "%s/a", dir), *b = dr_fmt(&err, "%s/b", dir);
	const char *stores[] = { a, b };
	struct dr_ship_opts o = options(state, stores, 2);
	struct dr_verify_keys *keys;
	struct dr_ship_result r;
	struct dr_ledger l;
	struct dr_ship *s;
	char sha[DR_SHA256_HEX];
	struct seen seen;
	size_t n;
	bool good;

	mkdir(a, 0755);
	s = open_ship(&o);
	OK(put(s, SEG1, data, &r) == -1 && r.done == 1 && r.store[0].done &&
	        strstr(err.msg, "1 of 2 stores where 2 are required") != NULL,
	    "one of two stores is away: not durable as required");
	dr_ship_free(s);
	o.require = 1;
	s = open_ship(&o);
	OK(put(s, SEG2, data, &r) == 0 && r.done == 1 && !r.store[1].done &&
	        r.store[1].err.cause == DR_EFAIL,
	    "with a quorum of one it is");
	OK(dr_ship_ledger(s, true, &err) == 0, "a ledger with one store away");
	keys = public_of(state);
	good = look(&seen, a) && seen.ledgers == 1 &&
	       ledger(&seen, 0, keys, &l, sha);
	OK(good && l.objects == 2 && l.gaps == 1 &&
	        strcmp(l.gap[0].store, b) == 0 && l.gap[0].from == SEG &&
	        l.gap[0].to == 3 * SEG,
	    "it names what the store lacks");
	if (good)
		dr_ledger_wipe(&l);
	forget(&seen);
	dr_ship_free(s);

	/* It comes back. */
	mkdir(b, 0755);
	s = open_ship(&o);
	OK(put(s, SEG1, data, &r) == 0 && r.done == 2 && r.again,
	    "the segment that failed is tried again");
	OK(dr_ship_gap(s, "", 1, 5 * SEG, 6 * SEG, &err) == 0 &&
	        dr_ship_gap(s, b, 1, 7 * SEG, 8 * SEG, &err) == 0,
	    "gaps of which a writer tells");
	OK(dr_ship_ledger(s, true, &err) == 0 &&
	        faults(a, keys, true, NULL, &n) == 0 && n == 2,
	    "the next ledger");
	good = look(&seen, b) && seen.ledgers == 2 &&
	       ledger(&seen, 1, keys, &l, sha);
	OK(good && l.gaps == 2 && l.gap[0].from + l.gap[1].from == 12 * SEG,
	    "the store that was away has both ledgers, the second with gaps");
	if (good)
		dr_ledger_wipe(&l);
	forget(&seen);
	dr_ship_free(s);

	/* The state is lost, the key is not. */
	wal = dr_fmt(&err, "%s/wal", state);
	tmp_rm(wal);
	free(wal);
	s = open_ship(&o);
	OK(put(s, SEG3, data, &r) == 0 && dr_ship_ledger(s, true, &err) == 0 &&
	        faults(a, keys, true, NULL, &n) == 0 && n == 3 &&
	        faults(b, keys, true, NULL, &n) == 1 && n == 3,
	    "the chain goes on from the stores");
	dr_ship_free(s);
	dr_verify_keys_free(keys);
	free(state);
	free(a);
	free(b);
}

/* A store that did not answer lately. */
static void
test_away(const char *dir)
{
	char *state = dr_fmt(&err, "%s/st3", dir);
	char *a = dr_fmt(&err, "%s/a3", dir), *b = dr_fmt(&err, "%s/b3", dir);
	const char *stores[] = { a, b };
	struct dr_ship_opts o = options(state, stores, 2);
	struct dr_away away = { 0 };
	struct dr_ship_result r;
	struct dr_ship *s;
	char path[256];

	mkdir(a, 0755);
	mkdir(b, 0755);
	o.require = 1;
	s = open_ship(&o);
	(void)snprintf(path, sizeof(path), "%s/wal/main/%llu/away.json", state,
	    (unsigned long long)SYSID);
	if (dr_away_note(&away, path, b, false, &err) == -1)
		abort();
	OK(put(s, SEG1, data, &r) == 0 && r.store[0].done && !r.store[1].done &&
	        r.store[1].err.cause == DR_ERETRY &&
	        strstr(r.store[1].err.msg, "left alone until") != NULL,
	    "a store that is not needed is left alone");
	OK(dr_ship_ledger(s, true, &err) == 0 && access(b, W_OK) == 0 &&
	        rmdir(b) == 0 && mkdir(b, 0755) == 0,
	    "by ledgers, too: nothing is in it");
	dr_ship_free(s);
	s = open_ship(&o);
	if (dr_away_note(&away, path, b, true, &err) == -1)
		abort();
	OK(put(s, SEG1, data, &r) == 0 && r.done == 2, "it is back");
	dr_ship_free(s);
	o.require = 2;
	s = open_ship(&o);
	if (dr_away_note(&away, path, b, false, &err) == -1)
		abort();
	OK(put(s, SEG2, data, &r) == 0 && r.done == 2,
	    "a store that is needed is asked all the same");
	dr_away_read(&away, path);
	OK(!dr_away_is(&away, b, NULL), "and answers, which is noted");
	dr_ship_free(s);
	dr_away_wipe(&away);
	free(state);
	free(a);
	free(b);
}

int
main(void)
{
	if (dr_crypt_init(&err) == -1)
		abort();
	setup();
	tmp_make();
	test_one(tmp_dir);
	test_away(tmp_dir);
	test_two(tmp_dir);
	tmp_leave();
	dr_recipients_free(to);
	free(data);
	free(other);
	return DONE();
}
