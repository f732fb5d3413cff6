/* lag_store.c - what a report says of a store, and what it remembers. */
#include "flow/lag_store_int.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "tests/tap.h"
#include "tests/tmp.h"

#define SEG (1U << 20)
#define SYS 7
#define SEC 1000000LL
#define DAY DR_LAG_DAY
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct dr_err err;
static struct dr_store *store;
static const struct dr_lag_opts opts = { .set = "main", .state = "state" };
static struct dr_lag_store out;

/* --- making ------------------------------------------------------------------- */

static void
put(const char *name, const char *data)
{
	char path[300];
	struct dr_err none = { 0 };
	char *slash;

	(void)snprintf(path, sizeof(path), "store/%s", name);
	slash = strrchr(path, '/');
	*slash = '\0';
	(void)dr_mkdirs(path, 0755, &none);
	*slash = '/';
	(void)unlink(path);
	if (dr_file_put(path, 0644, DR_FILE_NEW, data, strlen(data), &none) ==
	    -1)
		abort();
}

static void
gone(const char *name)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "store/%s", name);
	if (unlink(path) == -1)
		abort();
}

static const char *
seg(unsigned tli, unsigned n, const char *rest)
{
	static char name[2][200];
	static unsigned i;

	i ^= 1;
	(void)snprintf(name[i], sizeof(name[i]),
	    "main/wal/%d/%08X/%08X%08X%08X%s.zst.age", SYS, tli, tli, n / 4096,
	    n % 4096, rest);
	return name[i];
}

/* Segments N to M of timeline TLI. */
static void
wal(unsigned tli, unsigned n, unsigned m)
{
	for (; n <= m; n++)
		put(seg(tli, n, ""), "x");
}

static void
history(unsigned tli)
{
	char name[100];

	(void)snprintf(name, sizeof(name), "main/wal/%d/%08X/%08X.history%s",
	    SYS, tli, tli, ".zst.age");
	put(name, "x");
}

/* A backup that began AGE ago, from START to STOP. */
static void
backup(unsigned i, int64_t age, uint64_t start, uint64_t stop, unsigned tli,
    bool with_wal, unsigned size, const char *parent)
{
	char text[2000], id[64], body[100], a[DR_LSN_LEN], b[DR_LSN_LEN];
	char at[DR_TIME_LEN], to[DR_TIME_LEN], stamp[DR_TIME_LEN], data[4096];
	int64_t began = dr_now() - age;

	began -= began % SEC;
	dr_format_stamp(began, stamp);
	(void)snprintf(id, sizeof(id), "%s-%06u", stamp, i);
	(void)snprintf(body, sizeof(body), "main/snap/%s-%016u.tar.zst", stamp,
	    i);
	memset(data, 'x', size);
	data[size] = '\0';
	put(body, data);
	(void)snprintf(text, sizeof(text),
	    "{\"drtools\":1,\"id\":\"%s\",\"seq\":%u,\"signer\":"
	    "\"0123456789abcdef\",\"set\":\"main\",\"kind\":\"pg\",\"mode\":"
	    "\"%s\",\"complete\":true,\"started\":\"%s\",\"stopped\":\"%s\","
	    "\"committed\":\"%s\",\"host\":\"h\",\"labels\":{},\"raw_size\":"
	    "%u,\"pg\":{\"version\":\"15.14\",\"system_id\":\"%d\","
	    "\"timeline\":%u,\"start_lsn\":\"%s\",\"stop_lsn\":\"%s\","
	    "\"wal\":%s,\"wal_segment_size\":%u},\"object\":{\"name\":\"%s\","
	    "\"size\":%u,\"sha256\":\"" SHA
	    "\"},\"previous\":null,\"start\":\"first\"%s%s%s}\n",
	    id, i, parent == NULL ? "full" : "incremental",
	    dr_format_time(began, at), dr_format_time(began + 10 * SEC, to), to,
	    2 * size, SYS, tli, dr_format_lsn(start, a), dr_format_lsn(stop, b),
	    with_wal ? "true" : "false", SEG, body, size,
	    parent == NULL ? "" : ",\"parent\":{\"id\":\"",
	    parent == NULL ? "" : parent,
	    parent == NULL ? "" : "\",\"sha256\":\"" SHA "\"}");
	(void)snprintf(body, sizeof(body), "main/snap/%s.json", id);
	put(body, text);
}

static void
begin(void)
{
	tmp_rm("store");
	tmp_rm("state");
	(void)mkdir("store", 0755);
	dr_store_free(store);
	store = dr_store_open("store", NULL, &err);
	if (store == NULL)
		abort();
}

static struct dr_pg_view
primary(uint32_t tli, uint64_t lsn)
{
	struct dr_pg_view v;

	memset(&v, 0, sizeof(v));
	v.probe.state = DR_PROBE_PRIMARY;
	v.probe.answer_us = 1000;
	v.tli = tli;
	v.lsn = lsn;
	v.system_id = SYS;
	v.asked = dr_now();
	return v;
}

static bool
report(const struct dr_pg_view *p, const struct dr_rates *rates)
{
	int rc;

	dr_lag_store_wipe(&out);
	dr_err_clear(&err);
	if (p != NULL && dr_lag_sample("state", p, &err) == -1)
		return false;
	rc = dr_lag_store_read(&opts, store, "main", p, rates, &out, &err);
	if (out.err.cause != DR_OK)
		printf("# %s\n", out.err.msg);
	if (out.told != NULL)
		printf("# %s\n", out.told);
	return rc == 0 && out.err.cause == DR_OK;
}

static bool
told(const char *what)
{
	return out.told != NULL && strstr(out.told, what) != NULL;
}

/* --- runs --------------------------------------------------------------------- */

static unsigned
draw(void)
{
	static uint64_t seed = 1;

	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33);
}

static void
runs(void)
{
	struct dr_lag_runs r = { .n = 0 };
	const struct dr_lag_run *at;

	(void)dr_lag_runs_add(&r, &(struct dr_lag_run){ 10, 20, 1 }, &err);
	(void)dr_lag_runs_add(&r, &(struct dr_lag_run){ 30, 40, 3 }, &err);
	(void)dr_lag_runs_add(&r, &(struct dr_lag_run){ 50, 60, 5 }, &err);
	OK(r.n == 3 && dr_lag_runs_at(&r, 25) == NULL, "runs: three");
	(void)dr_lag_runs_add(&r, &(struct dr_lag_run){ 20, 30, 9 }, &err);
	at = dr_lag_runs_at(&r, 15);
	OK(r.n == 2 && at != NULL && at->from == 10 && at->to == 40 &&
	        at->time == 3,
	    "runs: what fills a hole says nothing of the end");
	(void)dr_lag_runs_add(&r, &(struct dr_lag_run){ 35, 40, 2 }, &err);
	at = dr_lag_runs_at(&r, 40);
	OK(at != NULL && at->time == 2, "runs: the earlier of two ends");
	(void)dr_lag_runs_add(&r, &(struct dr_lag_run){ 5, 70, 8 }, &err);
	OK(r.n == 1 && r.v[0].from == 5 && r.v[0].to == 70 && r.v[0].time == 8,
	    "runs: one over all");
	(void)dr_lag_runs_add(&r, &(struct dr_lag_run){ 1, 2, 8 }, &err);
	OK(r.n == 2 && r.v[0].to == 2 && r.v[1].from == 5, "runs: before all");
	dr_lag_runs_free(&r);

	/* Against the simplest thing that could be right. */
	for (unsigned round = 0, bad = 0; round < 200; round++) {
		bool bit[101] = { false };

		for (int i = 0; i < 20; i++) {
			unsigned from = draw() % 95, len = draw() % 6;

			(void)dr_lag_runs_add(&r,
			    &(struct dr_lag_run){ from, from + len, 1 }, &err);
			for (unsigned k = from; k < from + len; k++)
				bit[k] = true;
		}
		for (unsigned k = 0; k < 100; k++) {
			at = dr_lag_runs_at(&r, k);
			bad += (at != NULL && k < at->to) != bit[k];
		}
		for (size_t i = 1; i < r.n; i++)
			bad += r.v[i].from <= r.v[i - 1].to;
		dr_lag_runs_free(&r);
		if (round == 199)
			OK(bad == 0, "runs: as a row of bits");
	}
}

/* --- samples ------------------------------------------------------------------ */

static void
samples(void)
{
	struct dr_lag_samples *all = calloc(1, sizeof(*all));
	struct dr_lag_now now = { .wall = 1000 * DAY, .boot = 100 * DAY };
	struct dr_lag_sample s = { .tli = 1 };
	bool fine = true;

	/* A month of one a second, seen at its end. */
	for (int64_t t = 0; t < 30 * DAY; t += 5 * SEC) {
		s.lsn = (uint64_t)t;
		s.wall = now.wall = 1000 * DAY + t;
		s.boot = now.boot = 100 * DAY + t;
		dr_lag_samples_add(all, &s, &now);
	}
	OK(all->n > 50 && all->n < DR_LAG_SAMPLES, "samples: they are bounded");
	printf("# %zu\n", all->n);
	for (size_t i = 1; i < all->n; i++) {
		int64_t a = dr_lag_sample_age(&all->v[i - 1], &now),
		        b = dr_lag_sample_age(&all->v[i], &now);

		fine &= a - b <= a / 8 + 10 * SEC && a > b &&
		        all->v[i].lsn > all->v[i - 1].lsn;
	}
	OK(fine, "samples: dense where they are new");
	s.lsn = all->v[all->n / 2].lsn + 1;
	dr_lag_samples_add(all, &s, &now);
	OK(all->v[all->n - 1].lsn == s.lsn && all->n > 2 &&
	        all->v[all->n - 2].lsn < s.lsn,
	    "samples: a server that went back has them no more");
	s.wall += SEC;
	s.boot += SEC;
	now.wall += SEC;
	now.boot += SEC;
	fine = all->n > 1;
	dr_lag_samples_add(all, &s, &now);
	OK(fine && all->v[all->n - 1].boot == s.boot &&
	        all->v[all->n - 2].lsn < s.lsn,
	    "samples: of an idle primary the newest");
	now.wall -= 3600 * SEC;
	OK(dr_lag_sample_age(&s, &now) == 0,
	    "samples: a clock that is set back");
	s.boot = DR_UNKNOWN;
	OK(!dr_known(dr_lag_sample_age(&s, &now)),
	    "samples: unknown where it lies in the future");
	free(all);
}

static void
kept(void)
{
	struct dr_lag_samples *all = calloc(1, sizeof(*all));
	struct dr_pg_view p = primary(1, 500);
	struct dr_lag_now now;
	int fd;

	tmp_rm("state");
	OK(dr_lag_sample("state", &p, &err) == 0, "samples: kept");
	p.lsn = 600;
	p.asked = dr_now();
	(void)dr_lag_sample("state", &p, &err);
	dr_lag_now(&now);
	dr_lag_samples_read("state", SYS, &now, all);
	OK(all->n == 2 && all->v[0].lsn == 500 && all->v[1].lsn == 600 &&
	        dr_lag_sample_age(&all->v[1], &now) >= 1000,
	    "samples: and read, from before it was asked");
	p.in_recovery = true;
	p.lsn = 700;
	(void)dr_lag_sample("state", &p, &err);
	dr_lag_samples_read("state", SYS, &now, all);
	OK(all->n == 2, "samples: not of a standby");
	fd = open("state/lag/samples-7", O_WRONLY | O_APPEND);
	OK(fd != -1 && write(fd, "1 2", 3) == 3, "samples: damaged");
	close(fd);
	dr_lag_samples_read("state", SYS, &now, all);
	OK(all->n == 0, "samples: then there are none");
	free(all);
}

/* --- stores ------------------------------------------------------------------- */

static void
plain(void)
{
	char sync[] = "sync", async[] = "async", names[] = "dr_wal",
	     commit[] = "on";
	struct dr_pg_standby row = { .sync_state = sync };
	struct dr_pg_view p;

	begin();
	OK(report(NULL, NULL) && out.backups == 0 && out.id == NULL &&
	        !dr_known(out.rpo_us) && !dr_known(out.rpo_bytes) &&
	        !dr_known(out.stored) && out.reach == 0,
	    "empty: all is unknown");
	backup(1, 3600 * SEC, 2 * SEG + 40, 2 * SEG + 300, 1, true, 100, NULL);
	OK(report(NULL, NULL) && out.backups == 1 && out.id != NULL &&
	        out.stored == 100 && out.raw == 200 &&
	        out.duration == 10 * SEC && out.stop_lsn == 2 * SEG + 300 &&
	        out.stop_tli == 1,
	    "a backup");
	OK(out.reach == 2 * SEG + 300 && out.gaps == 0 && !out.rpo_bound &&
	        out.rpo_us >= 3500 * SEC && !dr_known(out.rpo_bytes),
	    "  without WAL: to its end, an estimate");
	wal(1, 2, 9);
	p = primary(1, 10 * SEG + 5);
	OK(report(&p, NULL) && out.reach == 10 * SEG && out.tli == 1 &&
	        out.rpo_bytes == 5 && out.gaps == 0 && out.newest == 10 * SEG &&
	        !out.rpo_bound && out.rpo_us >= 0 && out.rpo_us < 5 * SEC,
	    "WAL: as far as it goes, and no sample that it covers");
	wal(1, 10, 10);
	p = primary(1, 10 * SEG + 9);
	OK(report(&p, NULL) && out.reach == 11 * SEG && out.rpo_bytes == 0 &&
	        out.rpo_bound && out.rpo_us >= 1000 && out.rpo_us < SEC,
	    "all of it: a bound, of what nobody has seen");
	usleep(300000);
	p = primary(1, 12 * SEG);
	OK(report(&p, NULL) && out.rpo_bytes == SEG && out.rpo_bound &&
	        out.rpo_us >= 300000 && out.rpo_us < 5 * SEC,
	    "the primary went on: as old as the last sample that it covers");
	OK(report(NULL, NULL) && out.rpo_bytes == SEG && out.rpo_bound &&
	        out.rpo_us >= 300000,
	    "the primary is away: against the newest sample");
	put(seg(1, 11, ".00000000-00080000"), "x");
	put(seg(1, 11, ".00080000-00090000"), "x");
	(void)report(NULL, NULL);
	OK(report(&p, NULL) && out.reach == 11 * SEG + 0x90000 && out.gaps == 0,
	    "increments");
	gone(seg(1, 11, ".00000000-00080000"));
	gone(seg(1, 11, ".00080000-00090000"));
	wal(1, 11, 11);
	OK(report(&p, NULL) && out.reach == 12 * SEG && out.told == NULL &&
	        out.rpo_bytes == 0,
	    "  which went when the segment was whole");
	row.write = 12 * SEG;
	p.lsn = 13 * SEG;
	p.asked = dr_now();
	p.standby = &row;
	p.standbys = 1;
	p.sync_names = names;
	p.sync_commit = commit;
	OK(report(&p, NULL) && out.rpo_bound && out.rpo_us < 100000 &&
	        out.rpo_bytes == SEG,
	    "commits wait for what the store holds: those acknowledged are in");
	row.write++;
	usleep(100000);
	p.asked = dr_now();
	OK(report(&p, NULL) && out.rpo_bound && out.rpo_us > 100000,
	    "  for more than it holds: not all are");
	row.write--;
	row.sync_state = async;
	OK(report(&p, NULL) && out.rpo_bound && out.rpo_us > 100000,
	    "  for nothing");
	p.system_id = 8;
	OK(report(&p, NULL) && told("system 7, the primary is 8"),
	    "the primary of another cluster");
}

/* A day later all is walked through; what was lost is told no more. */
static void
daily(void)
{
	struct dr_pg_view p = primary(1, 21 * SEG);
	struct dr_lag_known k;
	char body[100];

	begin();
	backup(1, 3600 * SEC, 2 * SEG + 40, 2 * SEG + 300, 1, true, 100, NULL);
	wal(1, 2, 20);
	(void)report(&p, NULL);
	gone(seg(1, 9, ""));
	OK(report(&p, NULL) && out.reach == 21 * SEG, "daily: not yet seen");
	for (int i = 0; i < 2; i++) {
		OK(dr_lag_known_read(&opts, dr_store_url(store), "main", &k,
		       &err) == 0 &&
		        k.walked > 0,
		    "daily: a day goes by");
		k.walked -= DAY + SEC;
		k.lost_at -= DAY + SEC;
		k.listed -= DAY + SEC;
		(void)dr_lag_known_write(&k, &err);
		dr_lag_known_free(&k);
		if (i == 0)
			OK(report(&p, NULL) && out.reach == 9 * SEG &&
			        out.gaps == 1 && told("now ends at 0/900000"),
			    "daily: seen by the walk");
		else
			OK(report(&p, NULL) && out.told == NULL &&
			        out.gaps == 1,
			    "daily: the gap stays, the loss is old");
	}
	(void)snprintf(body, sizeof(body), "main/snap/%.16s-%016u.tar.zst",
	    out.id, 1U);
	gone(body);
	OK(report(&p, NULL) && told("body is missing") && out.backups == 0 &&
	        out.id == NULL && !dr_known(out.rpo_us),
	    "without its body a backup is none");
}

/* By their names, while the primary says that there can be no others. */
static void
asked(void)
{
	struct dr_pg_view p = primary(1, 5 * SEG);

	begin();
	backup(1, 3600 * SEC, 2 * SEG + 40, 2 * SEG + 300, 1, true, 100, NULL);
	wal(1, 2, 4);
	OK(report(&p, NULL) && out.reach == 5 * SEG, "asked by name: listed");
	wal(1, 5, 7);
	put(seg(1, 20, ""), "x");
	p = primary(1, 8 * SEG + 5);
	OK(report(&p, NULL) && out.reach == 8 * SEG && out.gaps == 0 &&
	        out.newest == 8 * SEG,
	    "  what can be there was asked for");
	p = primary(1, 21 * SEG + 5);
	OK(report(&p, NULL) && out.reach == 8 * SEG && out.gaps == 1 &&
	        out.gap_to == 20 * SEG,
	    "  listed when the primary wrote more");
	gone(seg(1, 20, ""));
	tmp_rm("state");
	p = primary(1, 8 * SEG + 5);
	(void)report(&p, NULL);
	gone(seg(1, 7, ""));
	OK(report(&p, NULL) && out.reach == 7 * SEG && told("now ends"),
	    "  what was the last is gone");
	put(seg(1, 7, ".00000000-00001000"), "x");
	OK(report(&p, NULL) && out.reach == 7 * SEG,
	    "  increments are not asked for at once");
	p = primary(1, 9 * SEG + 5);
	OK(report(&p, NULL) && out.reach == 7 * SEG + 0x1000,
	    "  but when the primary went on");
	put(seg(1, 7, ".00001000-00002000"), "x");
	p = primary(1, 7 * SEG + 0x2000);
	OK(report(&p, NULL) && out.reach == 7 * SEG + 0x2000,
	    "  and from then on always");
}

static void
holes(void)
{
	struct dr_pg_view p = primary(1, 21 * SEG);

	wal(1, 13, 20);
	OK(report(&p, NULL) && out.reach == 12 * SEG && out.gaps == 1 &&
	        out.gap_from == 12 * SEG && out.gap_to == 13 * SEG &&
	        out.newest == 21 * SEG && out.rpo_bytes == 9 * SEG,
	    "a gap");
	wal(1, 22, 22);
	OK(report(&p, NULL) && out.gaps == 2 && out.gap_from == 12 * SEG,
	    "two");
	wal(1, 12, 12);
	OK(report(&p, NULL) && out.gaps == 1 && out.gap_from == 21 * SEG &&
	        out.reach == 21 * SEG,
	    "what comes late is seen");
	wal(1, 21, 21);
	OK(report(&p, NULL) && out.gaps == 0 && out.reach == 23 * SEG &&
	        out.told == NULL,
	    "all is there");
	gone(seg(1, 22, ""));
	OK(report(&p, NULL) && out.reach == 22 * SEG &&
	        told("now ends at 0/1600000"),
	    "the end is gone: noticed");
	OK(report(&p, NULL) && told("now ends"), "  and told again");
	tmp_rm("store/main/wal");
	OK(report(&p, NULL) && out.reach == 2 * SEG + 300 && told("now ends"),
	    "all WAL is gone");
	wal(1, 2, 20);
	OK(report(&p, NULL) && out.reach == 21 * SEG, "it is back");
	gone(seg(1, 7, ""));
	OK(report(&p, NULL) && out.reach == 21 * SEG,
	    "deleted in what was walked: not seen at once");
	tmp_rm("state");
	OK(report(&p, NULL) && out.reach == 7 * SEG && out.gaps == 1,
	    "  but by a walk");
}

static void
timelines(void)
{
	struct dr_pg_view p = primary(1, 9 * SEG);

	begin();
	backup(1, 3600 * SEC, 2 * SEG + 40, 2 * SEG + 300, 1, true, 100, NULL);
	wal(1, 2, 8);
	OK(report(&p, NULL) && out.reach == 9 * SEG && out.rpo_bytes == 0,
	    "timelines: one");
	usleep(50000);
	p = primary(2, 9 * SEG + 50);
	OK(report(&p, NULL) && out.tli == 1 && out.reach == 9 * SEG &&
	        !out.rpo_bound && out.rpo_us >= 50000 && out.rpo_bytes == 50,
	    "promoted, and nothing of it in the store: an estimate");
	wal(2, 8, 9);
	OK(report(&p, NULL) && out.tli == 1 && out.gaps == 1,
	    "no history: nothing leads there");
	history(2);
	OK(report(&p, NULL) && out.tli == 2 && out.reach == 10 * SEG &&
	        out.gaps == 0 && out.rpo_bytes == 0,
	    "joined");
	wal(2, 10, 12);
	p = primary(2, 13 * SEG);
	OK(report(&p, NULL) && out.tli == 2 && out.reach == 13 * SEG &&
	        out.rpo_bound && out.rpo_bytes == 0,
	    "and on");
	wal(1, 9, 30);
	OK(report(&p, NULL) && out.tli == 2 && out.reach == 13 * SEG &&
	        out.gaps == 0,
	    "the old one goes on: nobody asks");
	history(3);
	wal(3, 20, 22);
	OK(report(&p, NULL) && out.tli == 2 && out.gaps == 0 &&
	        out.newest == 13 * SEG,
	    "one newer than the primary's is another's");
	OK(report(NULL, NULL) && out.gaps == 1 && out.gap_from == 13 * SEG &&
	        out.gap_to == 20 * SEG,
	    "  or, where no primary answers, one that is not joined");
	history(4);
	wal(4, 1, 12);
	p = primary(4, 13 * SEG);
	OK(report(&p, NULL) && out.tli != 4,
	    "one that left before the backup's end leads nowhere");
}

static void
backups(void)
{
	struct dr_pg_view p = primary(1, 40 * SEG);
	struct dr_rates *rates = calloc(1, sizeof(*rates));
	struct dr_rate *r;
	char first[DR_ID_LEN], name[100];

	begin();
	for (unsigned i = 1; i <= 5; i++)
		backup(i, (6 - i) * DAY / 2, i * 2 * SEG, i * 2 * SEG + 9, 1,
		    true, i == 5 ? 300 : 100, NULL);
	wal(1, 2, 39);
	OK(report(&p, rates) && out.backups == 5 && out.size_change == 3000 &&
	        out.duration_change == 1000 && dr_known(out.wal_change) &&
	        out.wal_change > 1000,
	    "trends: the newest is three times the median");
	printf("# wal_change %" PRId64 "\n", out.wal_change);
	OK(!dr_known(out.rto_us) && !dr_known(out.verified) &&
	        !dr_known(out.restored),
	    "nothing measured: unknown");
	r = &rates->kind[DR_RATE_RESTORE].v[0];
	r->bytes = 100;
	r->us = SEC;
	r->time = 5;
	(void)snprintf(r->store, sizeof(r->store), "%s", dr_store_url(store));
	rates->kind[DR_RATE_RESTORE].n = 1;
	OK(report(&p, rates) && out.fetch_us == 3 * SEC &&
	        !dr_known(out.replay_us) && !dr_known(out.rto_us) &&
	        out.restored == 5,
	    "a restore was");
	for (unsigned k = DR_RATE_FETCH; k <= DR_RATE_REPLAY; k++) {
		rates->kind[k].v[0].bytes = SEG;
		rates->kind[k].v[0].us = SEC;
		rates->kind[k].n = 1;
	}
	OK(report(&p, rates) && out.replay_us > 58 * SEC &&
	        out.replay_us < 62 * SEC &&
	        out.rto_us == out.fetch_us + out.replay_us,
	    "so was WAL: fetched and replayed");
	(void)snprintf(first, sizeof(first), "%s", out.id);
	backup(6, 600 * SEC, 30 * SEG, 30 * SEG + 9, 1, true, 50, first);
	OK(report(&p, rates) && out.backups == 6 &&
	        strcmp(out.id, first) != 0 && out.fetch_us == 35 * SEC / 10 &&
	        !dr_known(out.size_change),
	    "incremental: with what it rests on, against none");
	(void)snprintf(name, sizeof(name), "main/snap/%s.pruned.json", first);
	put(name, "{}");
	OK(report(&p, rates) && out.backups == 6,
	    "a pruning that names nothing counts for nothing");
	(void)snprintf(name, sizeof(name), "main/snap/%s.json", first);
	gone(name);
	OK(report(&p, rates) && out.backups == 5 && told("is gone") &&
	        out.stored == 100,
	    "its parent vanished: the one before is the newest");
	put("main/snap/20990101T000000Z-aaaaaa.json", "{");
	OK(report(&p, rates) && told("damaged") && out.stored == 100,
	    "one that is damaged");
	free(rates);
}

static void
lacking(void)
{
	struct dr_pg_view p = primary(1, 10 * SEG);

	begin();
	backup(1, 7200 * SEC, 2 * SEG, 2 * SEG + 9, 1, false, 100, NULL);
	backup(2, 3600 * SEC, 6 * SEG, 6 * SEG + 9, 1, false, 100, NULL);
	wal(1, 2, 4);
	OK(report(&p, NULL) && out.reach == 5 * SEG && told("lacks WAL") &&
	        out.stop_lsn == 6 * SEG + 9,
	    "the newest cannot be restored: from the one before");
	wal(1, 5, 9);
	OK(report(&p, NULL) && out.reach == 10 * SEG && out.told == NULL,
	    "now it can");
	tmp_rm("store/main/wal");
	OK(report(&p, NULL) && out.reach == 0 && !dr_known(out.rpo_us) &&
	        told("cannot be restored"),
	    "none can");
	tmp_rm("store");
	OK(report(&p, NULL) == false && out.err.cause != DR_OK &&
	        !dr_known(out.rpo_us) && out.id == NULL && out.backups == 0,
	    "the store is away: all is unknown");
}

static void
rates(void)
{
	struct dr_rate r = { .time = 1, .us = SEC, .bytes = 100 };
	struct dr_rates *all = malloc(sizeof(*all));
	bool fine = true;

	tmp_rm("state");
	OK(dr_rates_read("state", "s", all, &err) == 0 &&
	        all->kind[DR_RATE_BACKUP].n == 0 &&
	        dr_rates_speed(all, DR_RATE_BACKUP, NULL) <= 0,
	    "rates: none");
	for (unsigned i = 0; i < DR_RATES + 8; i++) {
		r.bytes = 100 + i;
		r.time = 1 + i;
		r.status = i % 4 == 3 ? 5 : 0;
		r.same_run = i % 2 == 1;
		(void)snprintf(r.store, sizeof(r.store),
		    i % 3 == 0 ? "a" : "b");
		fine &=
		    dr_rate_note("state", "s", DR_RATE_BACKUP, &r, &err) == 0;
	}
	OK(fine && dr_rates_read("state", "s", all, &err) == 0 &&
	        all->kind[DR_RATE_BACKUP].n == DR_RATES &&
	        all->kind[DR_RATE_BACKUP].v[DR_RATES - 1].bytes ==
	            100 + DR_RATES + 7 &&
	        all->kind[DR_RATE_BACKUP].done == (DR_RATES + 8) / 2 &&
	        all->kind[DR_RATE_BACKUP].failed == 0,
	    "rates: the newest are kept, runs are counted");
	OK(dr_rates_speed(all, DR_RATE_BACKUP, NULL) > 115 &&
	        dr_rates_speed(all, DR_RATE_BACKUP, NULL) < 130 &&
	        dr_rates_speed(all, DR_RATE_BACKUP, "c") > 115 &&
	        dr_rates_last(all, DR_RATE_BACKUP, "a") == DR_RATES + 5 &&
	        !dr_known(dr_rates_last(all, DR_RATE_BACKUP, "c")),
	    "rates: the median, and the last of a store");
	OK(dr_file_put("state/rates/s.json", 0600, DR_FILE_REPLACE, "{", 1,
	       &err) == 0 &&
	        dr_rates_read("state", "s", all, &err) == -1,
	    "rates: damaged");
	dr_err_clear(&err);
	OK(dr_rate_note("state", "s", DR_RATE_BACKUP, &r, &err) == 0 &&
	        dr_rates_read("state", "s", all, &err) == 0 &&
	        all->kind[DR_RATE_BACKUP].n == 1,
	    "  begins anew");
	free(all);
}

int
main(void)
{
	tmp_enter();
	runs();
	samples();
	kept();
	rates();
	plain();
	holes();
	asked();
	daily();
	timelines();
	backups();
	lacking();
	dr_lag_store_wipe(&out);
	dr_store_free(store);
	tmp_leave();
	return DONE();
}
