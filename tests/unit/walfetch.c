/* Files of WAL out of stores: whole, from increments, and what is refused. */
#include "flow/walfetch.h"

#include <inttypes.h>
#include <string.h>

#include "base/num.h"
#include "crypt/keys.h"
#include "crypt/minisign_format.h"
#include "crypt/secret.h"
#include "flow/walget.h"
#include "manifest/ledger.h"
#include "tests/tap.h"
#include "tests/tmp.h"

#define SYSID 7300000000000000001U
#define SEG   (1U << 20)

static struct dr_err err;
static struct dr_sign_key *key, *other;
static struct dr_verify_keys *keys;
static struct dr_recipients *to;
static struct dr_identities *ids;
static unsigned tests; /* each has stores of its own */
static char store_a[64], store_b[64];
static unsigned char seg[SEG];

static void
make_keys(void)
{
	struct dr_buf b = { .max = 4096 };
	char text[DR_BECH32_LEN];

	key = dr_sign_key_new(&err);
	other = dr_sign_key_new(&err);
	ids = dr_identities_new(&err);
	to = dr_recipients_new(&err);
	if (key == NULL || other == NULL || ids == NULL || to == NULL ||
	    dr_identities_make(ids, &err) == -1 ||
	    dr_sign_key_public(key, &b, &err) == -1 ||
	    (keys = dr_verify_keys_parse(b.data, b.len, "test", &err)) == NULL)
		abort();
	dr_recipient_text(ids->v[0]->public, text);
	if (dr_recipients_add(to, text, &err) == -1)
		abort();
	dr_buf_free(&b);
}

/* Segment N, in seg: pages with their headers, SEED in what they hold. */
static void
fill(unsigned n, unsigned seed)
{
	for (uint32_t at = 0; at < SEG; at += 8192) {
		unsigned char *p = seg + at;
		uint64_t addr = (uint64_t)n * SEG + at;

		memset(p, (int)(seed + at / 8192) & 0xff, 8192);
		memset(p, 0, 40);
		p[0] = 0x10;
		p[1] = 0xd1;
		p[2] = at == 0 ? 2 : 0;
		p[4] = 1;
		dr_put64(p + 8, addr);
		if (at == 0) {
			dr_put64(p + 24, SYSID);
			dr_put32(p + 32, SEG);
			dr_put32(p + 36, 8192);
		}
	}
}

static void
fresh(void)
{
	tests++;
	(void)snprintf(store_a, sizeof(store_a), "%s/a%u", tmp_dir, tests);
	(void)snprintf(store_b, sizeof(store_b), "%s/b%u", tmp_dir, tests);
	if (mkdir(store_a, 0700) == -1 || mkdir(store_b, 0700) == -1)
		abort();
}

/* Bytes FROM to TO of DATA (a whole file: TO 0) under NAME. */
static void
put(const char *url, const struct dr_sign_key *k, const char *name,
    uint32_t from, uint32_t until, const void *data, size_t len)
{
	struct dr_wal_opts o = { .key = k, .recipients = to };
	struct dr_wal_id id = { .set = "main", .system_id = SYSID };
	struct dr_wal_made m;
	struct dr_store *s = dr_store_open(url, NULL, &err);
	char *object;

	(void)snprintf(id.name, sizeof(id.name), "%s", name);
	id.increment = until != 0;
	id.from = from;
	id.to = until;
	if (s == NULL || dr_wal_name(name, &id.file, &err) == -1 ||
	    dr_wal_make(&o, &id, data, len, &m, &err) == -1 ||
	    (object = dr_wal_object_name(&id, DR_CIPHER_AGE, &err)) == NULL ||
	    dr_store_put_small(s, object, m.sealed.data, m.sealed.len, NULL,
	        &err) != DR_PUT_OK) {
		fprintf(stderr, "%s\n", err.msg);
		abort();
	}
	free(object);
	dr_wal_made_free(&m);
	dr_store_free(s);
}

static void
inc(const char *url, const char *name, uint32_t from, uint32_t until)
{
	put(url, key, name, from, until, seg + from, until - from);
}

static const char S3[] = "000000010000000000000003";
static const char S4[] = "000000010000000000000004";

/* dr_walfetch of both stores, or of the first only. */
static int
fetch2(const char *name, struct dr_buf *out, bool *unfinished, size_t n)
{
	const char *const urls[] = { store_a, store_b };
	struct dr_walfetch f = { .set = "main",
		.system_id = SYSID,
		.ids = ids,
		.keys = keys };
	int rc;

	dr_err_clear(&err);
	*out = (struct dr_buf){ .max = 1U << 30 };
	if (dr_walfetch_open(&f, urls, n, &err) == -1)
		abort();
	rc = dr_walfetch(&f, name, out, unfinished, &err);
	dr_walfetch_close(&f);
	return rc;
}

/* Does it give seg's first LEN bytes, and zeros? */
static bool
gives(const char *name, size_t len, size_t n)
{
	struct dr_buf out;
	bool unfinished, ok;

	ok = fetch2(name, &out, &unfinished, n) == 1 && out.len == SEG &&
	     memcmp(out.data, seg, len) == 0 && unfinished == (len < SEG);
	for (size_t i = len; ok && i < SEG; i++)
		ok = out.data[i] == 0;
	if (!ok)
		printf("# %s\n", err.msg);
	dr_buf_free(&out);
	return ok;
}

/* Does it fail, with that in the message? */
static bool
fails(const char *name, const char *with, size_t n)
{
	struct dr_buf out;
	bool unfinished;
	int rc = fetch2(name, &out, &unfinished, n);

	if (rc != -1 || strstr(err.msg, with) == NULL)
		printf("# %d %s\n", rc, err.msg);
	return rc == -1 && out.len == 0 && err.cause == DR_EDATA &&
	       strstr(err.msg, with) != NULL;
}

static bool
absent(const char *name, size_t n)
{
	struct dr_buf out;
	bool unfinished;
	int rc = fetch2(name, &out, &unfinished, n);

	if (rc != 0)
		printf("# %d %s\n", rc, err.msg);
	return rc == 0;
}

static void
increments(void)
{
	fill(3, 1);
	fresh();
	OK(absent(S3, 2), "nothing is there");
	inc(store_a, S3, 0, 5000);
	OK(gives(S3, 5000, 1), "one increment, and zeros");
	inc(store_a, S3, 5000, 100000);
	inc(store_a, S3, 100000, 100001);
	OK(gives(S3, 100001, 1), "three that join");
	inc(store_a, S3, 4000, 90000);
	inc(store_a, S3, 50000, 100500);
	inc(store_a, S3, 7, 9);
	OK(gives(S3, 100500, 1), "overlaps that agree");
	inc(store_b, S3, 100001, 200000);
	OK(gives(S3, 200000, 2), "pieces in two stores");
	OK(absent(S4, 2), "the one after it is absent");
	inc(store_a, S3, 300000, 300100);
	OK(fails(S3, "missing from byte 200000", 2), "a piece is missing");
	inc(store_b, S3, 200000, 300000);
	OK(gives(S3, 300100, 2), "there it is");

	fill(4, 1);
	put(store_b, key, S4, 0, 0, seg, SEG);
	fill(3, 1);
	OK(fails(S3, "and \"000000010000000000000004\" of", 2),
	    "not whole, and not at the end");
	OK(fails(S3, "missing from byte 100500", 1),
	    "nor with what the one store asked has");
	inc(store_a, S3, 300100, SEG);
	OK(gives(S3, SEG, 2), "complete in pieces, and not at the end");

	fresh();
	inc(store_a, S3, 0, 5000);
	seg[4500] ^= 1;
	inc(store_a, S3, 4400, 6000);
	OK(fails(S3, "differ between byte 4400 and 5000", 1),
	    "overlaps that disagree");

	fresh();
	fill(3, 1);
	inc(store_a, S3, 0, 5000);
	put(store_a, other, S3, 5000, 6000, seg + 5000, 1000);
	OK(fails(S3, "", 1), "an increment that another signed");
	inc(store_b, S3, 5000, 6000);
	OK(gives(S3, 6000, 2), "a good one in the other store");

	fresh();
	inc(store_a, S3, 5000, 6000);
	OK(fails(S3, "missing from byte 0", 1), "its beginning is missing");

	fresh();
	fill(9, 1);
	inc(store_a, S3, 0, 6000);
	OK(fails(S3, "first page is that of", 1), "pages of another segment");
}

static void
partials(void)
{
	static const char P3[] = "000000010000000000000003.partial";

	fresh();
	fill(3, 1);
	put(store_a, key, P3, 0, 0, seg, 20000);
	OK(gives(S3, 20000, 1), "a short .partial, and zeros");
	inc(store_a, S3, 0, 18000);
	OK(gives(S3, 20000, 1), "increments that end before it");
	put(store_b, key, S4, 0, 0, "x", 1);
	OK(fails(S3, "of its timeline exists", 2),
	    "a .partial that is not at the end");

	/* Whole, with what was there before behind page 2. */
	fresh();
	fill(7, 9);
	fill(3, 1);
	dr_put64(seg + 3 * 8192 + 8, 42);
	memset(seg + 2 * 8192 + 500, 0, 8192 - 500);
	put(store_a, key, P3, 0, 0, seg, SEG);
	OK(gives(S3, SEG, 1) || err.cause == DR_OK, "a whole .partial");
	fill(3, 1);
	inc(store_a, S3, 0, 400000);
	OK(gives(S3, 400000, 1), "increments that go further");
	fresh();
	put(store_a, key, P3, 0, 0, seg, SEG);
	seg[9000] ^= 1;
	inc(store_a, S3, 0, 400000);
	OK(fails(S3, "between its increments and its .partial", 1),
	    "and disagree");
}

static void
put_text(const char *url, const char *name, const void *data, size_t len)
{
	struct dr_store *s = dr_store_open(url, NULL, &err);

	if (s == NULL ||
	    dr_store_put_small(s, name, data, len, NULL, &err) != DR_PUT_OK)
		abort();
	dr_store_free(s);
}

/* A ledger of store_a that names OBJECT, signed by K. */
static void
ledger(uint64_t n, const char *object, const struct dr_sign_key *k)
{
	static const char sha[] = "0123456789abcdef0123456789abcdef"
	                          "0123456789abcdef0123456789abcdef";
	static char previous[128];
	struct dr_ledger l = { .system_id = SYSID,
		.tli = 1,
		.n = n,
		.time = 1763640000000000 + (int64_t)n * 1000000 };
	struct dr_buf text = { .max = DR_LEDGER_MAX }, sig = { .max = 4096 };
	char *name, full[256], minisig[300];

	memcpy(l.set, "main", 5);
	memcpy(l.signer, dr_sign_key_id(key), sizeof(l.signer));
	l.prev_name = NULL;
	if (n > 1) {
		l.prev_name = dr_fmt(&err, "%s", previous);
		memcpy(l.prev_sha256, sha, sizeof(sha));
	}
	if ((object != NULL &&
	        dr_ledger_add(&l, object, 100, sha, &err) == -1) ||
	    (name = dr_ledger_name(&l, &err)) == NULL)
		abort();
	(void)snprintf(full, sizeof(full), "main/wal/%" PRIu64 "/00000001/%s",
	    (uint64_t)SYSID, name);
	(void)snprintf(minisig, sizeof(minisig), "%s.minisig", full);
	if (dr_ledger_write(&l, &text, &err) == -1 ||
	    dr_sign(k, text.data, text.len, full, &sig, &err) == -1) {
		fprintf(stderr, "%s\n", err.msg);
		abort();
	}
	put_text(store_a, minisig, sig.data, sig.len);
	put_text(store_a, full, text.data, text.len);
	dr_buf_free(&text);
	dr_buf_free(&sig);
	dr_ledger_wipe(&l);
	(void)snprintf(previous, sizeof(previous), "%s", name);
	free(name);
}

static void
ledgers(void)
{
	fresh();
	fill(3, 1);
	inc(store_a, S3, 0, 5000);
	ledger(1, "000000010000000000000003.00000000-00001388.zst.age", key);
	OK(gives(S3, 5000, 2), "all that a ledger names is there");
	ledger(2, NULL, key);
	OK(gives(S3, 5000, 2), "nor does an empty one say otherwise");
	ledger(3, "000000010000000000000003.00001388-00001389.zst.age", key);
	OK(fails(S3, "a ledger names more", 2), "a byte that it names is not");
	ledger(4, NULL, key);
	OK(fails(S3, "a ledger names more", 2), "also with empty ones since");
	inc(store_a, S3, 5000, 5001);
	OK(gives(S3, 5001, 2), "now it is");
	OK(absent(S4, 2), "and what comes after it is absent");
	ledger(5, "000000010000000000000007.zst.age", key);
	OK(fails(S3, "\"000000010000000000000007\" of its timeline", 2),
	    "a later segment that was taken away");
	OK(fails(S4, "\"000000010000000000000007\" of its timeline", 2),
	    "for those between, too");

	fresh();
	ledger(1, "000000010000000000000003.zst.age", other);
	OK(fails(S4, "ledger-", 1), "a forged ledger is no answer");
}

static void
beginnings(void)
{
	static const char history[] = "1\t0/400060\tx\n";

	fresh();
	fill(4, 1);
	put(store_a, key, "000000020000000000000004", 0, 0, seg, SEG);
	OK(fails("000000020000000000000003", "is missing", 1),
	    "before the first there is: it may be a hole");
	put(store_a, key, "00000002.history", 0, 0, history,
	    sizeof(history) - 1);
	OK(absent("000000020000000000000003", 1),
	    "the timeline began after it");
	fresh();
	fill(6, 1);
	put(store_a, key, "000000020000000000000006", 0, 0, seg, SEG);
	put(store_a, key, "00000002.history", 0, 0, history,
	    sizeof(history) - 1);
	OK(fails("000000020000000000000005", "is missing", 1),
	    "the timeline began before it");
}

static void
control(void)
{
	unsigned char text[8192] = { 0 };
	uint64_t id = 0;
	char path[128], dest[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/pg", tmp_dir);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "%s/pg/global", tmp_dir);
	(void)mkdir(path, 0700);
	(void)snprintf(dest, sizeof(dest), "%s/pg/pg_wal/RECOVERYXLOG",
	    tmp_dir);
	dr_err_clear(&err);
	OK(dr_walget_system(dest, &id, &err) == 0, "no control file");
	(void)snprintf(path, sizeof(path), "%s/pg/global/pg_control", tmp_dir);
	id = SYSID;
	memcpy(text, &id, 8);
	memcpy(text + 8, &(uint32_t){ 1300 }, 4);
	if ((f = fopen(path, "w")) == NULL ||
	    fwrite(text, sizeof(text), 1, f) != 1 || fclose(f) != 0)
		abort();
	id = 0;
	OK(dr_walget_system(dest, &id, &err) == 1 && id == SYSID,
	    "the system id of an absolute destination");
	(void)snprintf(path, sizeof(path), "%s/pg", tmp_dir);
	id = 0;
	OK(chdir(path) == 0 &&
	        dr_walget_system("pg_wal/RECOVERYXLOG", &id, &err) == 1 &&
	        id == SYSID,
	    "of a relative one");
	id = 0;
	OK(dr_walget_system("x", &id, &err) == 1 && id == SYSID,
	    "of one in the working directory");
	OK(truncate("global/pg_control", 100) == 0 &&
	        dr_walget_system("pg_wal/x", &id, &err) == -1,
	    "a truncated control file");
	dr_err_clear(&err);
	OK(chdir("/") == 0 && dr_walget_system("/x", &id, &err) == 0,
	    "none at the root");
	OK(dr_walget_number("18446744073709551615", &id, &err) == 0 &&
	        id == UINT64_MAX,
	    "the highest number");
	OK(dr_walget_number("18446744073709551616", &id, &err) == -1 &&
	        dr_walget_number("0", &id, &err) == -1 &&
	        dr_walget_number("", &id, &err) == -1 &&
	        dr_walget_number("1x", &id, &err) == -1,
	    "what is none");
}

int
main(void)
{
	if (dr_crypt_init(&err) == -1)
		return 1;
	tmp_enter();
	make_keys();
	increments();
	partials();
	ledgers();
	beginnings();
	control();
	dr_sign_key_free(key);
	dr_sign_key_free(other);
	dr_verify_keys_free(keys);
	dr_recipients_free(to);
	dr_identities_free(ids);
	tmp_leave();
	return DONE();
}
