/* lag_judge.c - standbys matched and measured, and what is made of a report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/lag_int.h"
#include "flow/lag_store_int.h"
#include "tests/tap.h"

#define NOW INT64_C(1795230000000000)
#define MB  (UINT64_C(1) << 20)
#define SEC INT64_C(1000000)

static struct dr_err err;
static struct dr_pg_view v[4];
static struct dr_pg_standby rows[4][4];
static struct dr_pg_slot slots[4];
static struct dr_lag lag;
static struct dr_lag_opts o;
static struct dr_lag_goal goal;
static struct dr_lag_store stores[2];
static const char *expects[3];

static char *
copy(const char *s)
{
	char *p = strdup(s);

	if (p == NULL)
		abort();
	return p;
}

/* Where what is not changed is not const. */
static char *
lit(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* A healthy primary "a" and streaming standby "b", both asked. */
static void
server(size_t i, const char *name, bool in_recovery)
{
	struct dr_pg_view *s = &v[i];
	static char ports[4][16], clusters[4][32];

	memset(s, 0, sizeof(*s));
	(void)snprintf(ports[i], sizeof(ports[i]), "/tmp:55%02zu", i);
	s->name = copy(name);
	s->where = ports[i];
	(void)snprintf(clusters[i], sizeof(clusters[i]), "%s", name);
	s->cluster_name = clusters[i];
	s->probe.state = in_recovery ? DR_PROBE_STANDBY : DR_PROBE_PRIMARY;
	s->probe.connect_us = s->probe.answer_us = 1000;
	s->version = 150004;
	s->system_id = 77;
	s->tli = 1;
	s->segsize = 16 * MB;
	s->in_recovery = in_recovery;
	s->now = s->asked = NOW;
	s->started = NOW - 3600 * SEC - (int64_t)i;
	s->replayed_time = s->apply_delay = s->last_msg = s->conflicts =
	    DR_UNKNOWN;
	s->archiver.archived = s->archiver.failed = DR_UNKNOWN;
	s->archiver.last_time = s->archiver.failed_time = DR_UNKNOWN;
	s->archiver.ready = s->archiver.oldest_ready = DR_UNKNOWN;
	s->standby = rows[i];
	if (in_recovery) {
		s->received = s->replayed = s->latest_end = 100 * MB;
		s->replayed_time = NOW - 600 * SEC; /* idle since then */
		s->receiver = (char *)(uintptr_t) "streaming";
		s->sender = (char *)(uintptr_t) "/tmp:5500";
		s->received_tli = 1;
		s->last_msg = NOW - 2 * SEC;
	} else
		s->lsn = 100 * MB;
}

static void
row(size_t i, const char *name)
{
	struct dr_pg_standby *r = &rows[i][v[i].standbys++];

	memset(r, 0, sizeof(*r));
	r->name = (char *)(uintptr_t)name;
	r->addr = r->slot = (char *)(uintptr_t) "";
	r->state = (char *)(uintptr_t) "streaming";
	r->sync_state = (char *)(uintptr_t) "async";
	r->sent = r->write = r->flush = r->replay = 100 * MB;
	r->write_lag = r->flush_lag = r->replay_lag = DR_UNKNOWN;
	r->reply_time = NOW - SEC;
}

static void
pair(void)
{
	memset(&lag, 0, sizeof(lag));
	memset(&o, 0, sizeof(o));
	memset(&goal, 0, sizeof(goal));
	memset(stores, 0, sizeof(stores));
	server(0, "a", false);
	server(1, "b", true);
	row(0, "b");
	lag.time = NOW;
	lag.server = v;
	lag.servers = 2;
	goal.set = goal.tier = (char *)(uintptr_t) "";
	goal.rpo = goal.rto = goal.backup_max_age = goal.verify_max_age =
	    DR_UNKNOWN;
	goal.runs = goal.failures = DR_UNKNOWN;
	lag.goal = &goal;
	lag.goals = 1;
	o.expect = expects;
}

static bool
look(void)
{
	return dr_lag_match(&lag, &o, &err) == 0 &&
	       dr_lag_judge(&lag, &o, &err) == 0;
}

static const struct dr_lag_standby *
of(const char *name)
{
	for (size_t i = 0; i < lag.standbys; i++)
		if (strcmp(lag.standby[i].name, name) == 0)
			return &lag.standby[i];
	printf("# no standby \"%s\" of %zu\n", name, lag.standbys);
	abort();
}

static bool
says(enum dr_lag_level level, const char *what, const char *about)
{
	for (size_t i = 0; i < lag.notes; i++)
		if (strcmp(lag.note[i].what, what) == 0 &&
		    strcmp(lag.note[i].about, about) == 0)
			return lag.note[i].level == level;
	for (size_t i = 0; i < lag.notes; i++)
		printf("# %s %s: %s\n", lag.note[i].what, lag.note[i].about,
		    lag.note[i].text);
	return false;
}

static bool
silent(const char *what)
{
	for (size_t i = 0; i < lag.notes; i++)
		if (strcmp(lag.note[i].what, what) == 0)
			return false;
	return true;
}

static void
forget(void)
{
	for (size_t i = 0; i < lag.notes; i++) {
		free(lag.note[i].about);
		free(lag.note[i].text);
	}
	lag.notes = 0;
}

static void
done(void)
{
	for (size_t i = 0; i < lag.standbys; i++)
		free(lag.standby[i].name);
	free(lag.standby);
	forget();
	free(lag.note);
	for (size_t i = 0; i < lag.servers; i++)
		free(v[i].name);
	memset(&lag, 0, sizeof(lag));
	dr_err_clear(&err);
}

static void
healthy(void)
{
	const struct dr_lag_standby *b;

	pair();
	o.expects = 1;
	expects[0] = "b";
	OK(look() && lag.level == DR_LAG_OK && lag.notes == 0, "all is well");
	b = of("b");
	OK(lag.primary == &v[0] && lag.primaries == 1 && lag.standbys == 1,
	    "one primary, one standby");
	OK(b->self == &v[1] && b->sender == &v[0] && b->row == &rows[0][0] &&
	        b->expected && b->streaming,
	    "its two sides are one");
	OK(b->replay_bytes == 0 && b->replay_us == 0 && b->write_us == 0,
	    "an idle primary: NULL and caught up is 0, however old the last "
	    "transaction");
	OK(dr_lag_status(&lag) == 0, "status 0");
	done();

	pair();
	v[0].lsn += MB;
	OK(look() && of("b")->replay_bytes == (int64_t)MB &&
	        of("b")->replay_us == 600 * SEC && !dr_known(of("b")->flush_us),
	    "behind: NULL is unknown, its own age is not");
	done();

	pair();
	lag.servers = 1;
	v[0].lsn += MB;
	OK(look() && of("b")->replay_bytes == (int64_t)MB &&
	        !dr_known(of("b")->replay_us),
	    "seen from the primary alone: unknown");
	free(v[1].name);
	done();

	pair();
	lag.servers = 1;
	v[0].lsn += MB;
	rows[0][0].replay_lag = 3 * SEC;
	OK(look() && of("b")->replay_us == 3 * SEC, "or what it measured");
	free(v[1].name);
	done();
}

static void
receiver_dead(void)
{
	pair();
	v[0].standbys = 0;
	v[1].receiver = (char *)(uintptr_t) "";
	v[1].last_msg = DR_UNKNOWN;
	v[1].received = v[1].replayed = 90 * MB;
	OK(look() && !of("b")->streaming &&
	        of("b")->replay_bytes == (int64_t)(10 * MB) &&
	        of("b")->replay_us == 600 * SEC,
	    "no receiver: receive = replay is no 0");
	OK(says(DR_LAG_BAD, "standby-not-streaming", "b") &&
	        dr_lag_status(&lag) == 3,
	    "and it is told");
	done();

	pair();
	v[0].probe.state = DR_PROBE_REFUSED;
	v[1].receiver = (char *)(uintptr_t) "";
	v[1].last_msg = DR_UNKNOWN;
	OK(look() && !dr_known(of("b")->replay_bytes) &&
	        of("b")->replay_us == 600 * SEC,
	    "with the primary down nobody knows how many bytes");
	OK(says(DR_LAG_BAD, "server-down", "a") &&
	        says(DR_LAG_BAD, "no-primary", ""),
	    "the primary is told of");
	done();

	pair();
	v[0].probe.state = DR_PROBE_HUNG;
	OK(look() && !dr_known(of("b")->replay_bytes),
	    "nor does a standby that still streams from a frozen one");
	done();

	pair();
	lag.servers = 1;
	free(v[0].name);
	server(0, "b", true);
	OK(look() && of("b")->replay_bytes == 0 && of("b")->replay_us == 0 &&
	        lag.level == DR_LAG_OK,
	    "one standby alone, streaming: what its sender last said");
	free(v[1].name);
	done();

	pair();
	lag.servers = 1;
	free(v[0].name);
	server(0, "b", true);
	v[0].last_msg = NOW - 300 * SEC;
	OK(look() && !dr_known(of("b")->replay_bytes) &&
	        says(DR_LAG_BAD, "standby-not-streaming", "b"),
	    "but not where that was long ago");
	free(v[1].name);
	done();

	pair();
	rows[0][0].reply_time = NOW - 50 * SEC;
	v[1].probe.state = DR_PROBE_HUNG;
	OK(look() && !of("b")->streaming &&
	        says(DR_LAG_BAD, "standby-not-streaming", "b") &&
	        of("b")->last_msg_us == 50 * SEC,
	    "a frozen standby, whose sender has not noticed");
	done();
}

static void
paused(void)
{
	pair();
	v[1].paused = true;
	v[1].replayed = rows[0][0].replay = 40 * MB;
	rows[0][0].replay_lag = 2000; /* as it was before */
	OK(look() && of("b")->streaming && of("b")->paused &&
	        of("b")->replay_bytes == (int64_t)(60 * MB) &&
	        of("b")->flush_bytes == 0 && of("b")->replay_us == 600 * SEC &&
	        says(DR_LAG_BAD, "replay-paused", "b"),
	    "paused replay: not what the sender last measured");
	done();
}

static void
timelines(void)
{
	pair();
	v[0].tli = 2;
	v[0].standbys = 0;
	v[1].receiver = (char *)(uintptr_t) "";
	OK(look() && of("b")->diverged && !dr_known(of("b")->replay_bytes) &&
	        !dr_known(of("b")->replay_us) &&
	        says(DR_LAG_BAD, "diverged", "b"),
	    "another timeline, not following: bytes mean nothing");
	done();

	pair();
	v[0].tli = 2;
	v[1].received_tli = 2;
	OK(look() && !of("b")->diverged && of("b")->tli == 2 &&
	        of("b")->replay_bytes == 0,
	    "one that follows has not come to the switch yet");
	done();
}

static void
primaries(void)
{
	pair();
	free(v[1].name);
	server(1, "b", false);
	v[1].tli = 2;
	OK(look() && lag.primary == NULL && lag.primaries == 2 &&
	        says(DR_LAG_BAD, "two-primaries", "") &&
	        dr_lag_status(&lag) == 3,
	    "two primaries");
	OK(!dr_known(of("b")->replay_bytes),
	    "and nothing is measured against either");
	done();

	pair();
	free(v[1].name);
	server(1, "a", false);
	v[1].started = v[0].started;
	OK(look() && lag.primaries == 1 && lag.primary == &v[0] &&
	        lag.notes == 0 && strcmp(v[0].name, "/tmp:5500") == 0 &&
	        strcmp(v[1].name, "/tmp:5501") == 0,
	    "one server, named twice, is one; its names are apart");
	done();

	pair();
	v[1].system_id = 78;
	OK(look() && says(DR_LAG_BAD, "other-cluster", "b"),
	    "a server of another cluster");
	done();

	pair();
	v[0].probe.state = v[1].probe.state = DR_PROBE_REFUSED;
	o.expects = 1;
	expects[0] = "b";
	OK(look() && dr_lag_status(&lag) == 5 && lag.standbys == 1 &&
	        says(DR_LAG_BAD, "standby-missing", "b"),
	    "no server answers: 5");
	done();
}

static void
expected(void)
{
	pair();
	o.expects = 3;
	expects[0] = "b";
	expects[1] = "c";
	expects[2] = "a";
	OK(look() && lag.standbys == 2 && of("c")->expected &&
	        !of("c")->streaming && !dr_known(of("c")->replay_bytes) &&
	        says(DR_LAG_BAD, "standby-missing", "c") &&
	        silent("standby-not-streaming"),
	    "a missing one is an error, and no 0; the primary is not missed");
	done();

	pair();
	v[0].hidden = true;
	v[0].standbys = 0;
	lag.servers = 1;
	o.expects = 1;
	expects[0] = "b";
	OK(look() && says(DR_LAG_UNKNOWN, "no-permission", "a") &&
	        says(DR_LAG_UNKNOWN, "standby-unknown", "b") &&
	        lag.level == DR_LAG_UNKNOWN && dr_lag_status(&lag) == 3,
	    "hidden is unknown, not missing");
	free(v[1].name);
	done();
}

static void
matches(void)
{
	/* Debian's name for all of them, and the default of a standby. */
	pair();
	free(v[0].name);
	free(v[1].name);
	v[0].name = copy("15/main");
	v[0].cluster_name = v[1].cluster_name = lit("15/main");
	v[1].name = copy("15/main");
	v[1].where = lit("10.0.0.2:5432");
	rows[0][0].name = v[0].cluster_name;
	row(0, "15/main");
	rows[0][0].addr = lit("10.0.0.2");
	rows[0][1].addr = lit("10.0.0.3");
	OK(look() && lag.standbys == 2 && lag.standby[0].self == &v[1] &&
	        strcmp(lag.standby[0].name, "10.0.0.2:5432") == 0 &&
	        strcmp(lag.standby[1].name, "15/main") == 0,
	    "one name for all: by address");
	done();

	pair();
	rows[0][0].name = lit("walreceiver");
	rows[0][0].slot = lit("b_1");
	free(v[1].name);
	v[1].name = copy("B-1");
	v[1].cluster_name = lit("B-1");
	OK(look() && lag.standbys == 1 && of("B-1")->row == &rows[0][0],
	    "by its slot");
	done();

	pair();
	rows[0][0].name = lit("walreceiver");
	OK(look() && lag.standbys == 1 && of("b")->row == &rows[0][0],
	    "the only one left, by the sender's port");
	done();

	pair();
	rows[0][0].name = lit("walreceiver");
	row(0, "walreceiver");
	OK(look() && lag.standbys == 3 && of("b")->row == NULL &&
	        of("walreceiver")->self == NULL &&
	        of("walreceiver#2")->self == NULL,
	    "two that are alike: no guess");
	done();

	pair();
	v[1].receiver = (char *)(uintptr_t) "";
	OK(look() && lag.standbys == 1 && !of("b")->streaming &&
	        says(DR_LAG_BAD, "standby-not-streaming", "b"),
	    "its sender says streaming, it has no receiver: it is right");
	done();

	pair();
	lag.servers = 3;
	server(2, "c", true);
	v[1].standby = rows[1];
	row(1, "c");
	v[2].sender = (char *)(uintptr_t) "/tmp:5501";
	v[2].replayed = v[2].received = rows[1][0].replay = 70 * MB;
	rows[1][0].flush = rows[1][0].write = 70 * MB;
	OK(look() && lag.standbys == 2 && of("c")->sender == &v[1] &&
	        of("c")->replay_bytes == (int64_t)(30 * MB),
	    "a cascade is measured against the primary");
	done();

	pair();
	row(0, "dr_wal");
	rows[0][1].replay = 0;
	rows[0][1].sync_state = lit("sync");
	rows[0][1].flush = 99 * MB;
	OK(look() && of("dr_wal")->receiver && lag.notes == 0 &&
	        of("dr_wal")->flush_bytes == (int64_t)MB,
	    "a receiver replays nothing, and need not");
	done();
}

static void
slot_notes(void)
{
	struct dr_pg_slot *s = &slots[0];

	for (int i = 0; i < 6; i++) {
		pair();
		memset(s, 0, sizeof(*s));
		s->name = (char *)(uintptr_t) "s";
		s->type = (char *)(uintptr_t) "physical";
		s->database = s->invalid = (char *)(uintptr_t) "";
		s->wal_status = (char *)(uintptr_t)(i == 1   ? "lost"
		                                    : i == 2 ? "unreserved"
		                                             : "reserved");
		s->active = i != 5;
		s->restart = 90 * MB;
		s->safe_wal_size = i == 3   ? (int64_t)(1 * MB) / 2
		                   : i == 4 ? (int64_t)(2 * MB)
		                            : DR_UNKNOWN;
		s->inactive_since = i == 5 ? NOW - 60 * SEC : DR_UNKNOWN;
		v[0].slot = s;
		v[0].slots = 1;
		OK(look() &&
		        (i == 0      ? lag.notes == 0
		            : i == 1 ? says(DR_LAG_BAD, "slot-lost", "a/s")
		            : i == 2
		                ? says(DR_LAG_BAD, "slot-unreserved", "a/s")
		            : i == 3 ? says(DR_LAG_BAD, "slot-near-loss", "a/s")
		            : i == 4
		                ? says(DR_LAG_WARN, "slot-near-loss", "a/s")
		                : says(DR_LAG_WARN, "slot-inactive", "a/s")),
		    "slots: healthy, lost, unreserved, near loss, inactive");
		OK(dr_lag_status(&lag) == (i >= 1 && i <= 3 ? 3 : 0),
		    "and its status");
		done();
	}
	pair();
	s->safe_wal_size = -5;
	s->active = true;
	v[0].slot = s;
	v[0].slots = 1;
	OK(look() && says(DR_LAG_BAD, "slot-near-loss", "a/s"),
	    "below zero there is nothing left");
	done();
}

static void
server_notes(void)
{
	pair();
	v[1].now = NOW + 90 * SEC;
	v[1].last_msg += 90 * SEC;
	OK(look() && says(DR_LAG_WARN, "clock", "b"), "a clock ahead");
	done();

	pair();
	v[1].now = NOW + 90 * SEC;
	v[1].last_msg += 90 * SEC;
	v[0].lsn += MB;
	OK(look() && of("b")->replay_us == 600 * SEC &&
	        of("b")->last_msg_us == 2 * SEC,
	    "which does not count as delay");
	done();

	pair();
	v[0].archiving = true;
	v[0].archiver.failed_time = NOW - SEC;
	v[0].archiver.failed_wal = lit("000000010000000000000007");
	OK(look() && says(DR_LAG_BAD, "archiver-failing", "a"),
	    "an archiver that never succeeded");
	v[0].archiver.last_time = NOW;
	forget();
	OK(dr_lag_judge(&lag, &o, &err) == 0 && lag.notes == 0,
	    "one that has since");
	v[0].archiver.ready = 3;
	v[0].archiver.oldest_ready = NOW - 700 * SEC;
	OK(dr_lag_judge(&lag, &o, &err) == 0 &&
	        says(DR_LAG_WARN, "archiver-behind", "a"),
	    "files that wait");
	done();

	pair();
	v[0].sync_names = lit("c");
	OK(look() && says(DR_LAG_BAD, "sync-missing", "a"),
	    "commits wait for one that is not there");
	done();

	for (int i = DR_PROBE_READONLY; i <= DR_PROBE_FAILED; i++) {
		pair();
		v[0].probe.state = (enum dr_probe_state)i;
		OK(look() && lag.level != DR_LAG_OK && lag.level != DR_LAG_WARN,
		    dr_probe_word(v[0].probe.state));
		done();
	}
}

static void
store(size_t i)
{
	struct dr_lag_store *s = &stores[i];

	s->url = i == 0 ? "/s" : "/t";
	s->set = (char *)(uintptr_t) "m";
	s->system_id = 77;
	s->tli = 1;
	s->reach = 99 * MB;
	s->reach_time = NOW - SEC;
	s->rpo_bytes = (int64_t)MB;
	s->rpo_us = 2 * SEC;
	s->backups = 1;
	s->id = (char *)(uintptr_t) "20261121T000000Z-aaaaaa";
	s->started = NOW - 3700 * SEC;
	s->stopped = s->committed = NOW - 3600 * SEC;
	s->stored = s->raw = (int64_t)MB;
	s->duration = 100 * SEC;
	s->verified = s->deep_verified = s->restored = DR_UNKNOWN;
	s->size_change = s->duration_change = s->wal_change = DR_UNKNOWN;
	s->rto_us = s->fetch_us = s->replay_us = DR_UNKNOWN;
	lag.store = stores;
	lag.stores = i + 1;
}

static void
store_notes(void)
{
	pair();
	store(0);
	OK(look() && lag.notes == 0, "a store, and nothing laid down");
	done();

	pair();
	store(0);
	goal.rpo = 5 * SEC;
	goal.rto = 60 * SEC;
	stores[0].rto_us = 50 * SEC;
	OK(look() && lag.notes == 0, "within objectives");
	done();

	pair();
	store(0);
	goal.rpo = SEC;
	goal.rto = 60 * SEC;
	OK(look() && says(DR_LAG_BAD, "rpo", "m in /s") &&
	        says(DR_LAG_UNKNOWN, "rto-unknown", "m in /s") &&
	        lag.level == DR_LAG_BAD && lag.note[0].level == DR_LAG_BAD,
	    "beyond one, and the other unknown: beyond comes first");
	done();

	pair();
	store(0);
	goal.rto = 60 * SEC;
	stores[0].rto_us = 61 * SEC;
	stores[0].rpo_us = DR_UNKNOWN;
	OK(look() && says(DR_LAG_BAD, "rto", "m in /s") &&
	        says(DR_LAG_UNKNOWN, "rpo-unknown", "m in /s"),
	    "RTO beyond, RPO unknown");
	done();

	pair();
	store(0);
	store(1);
	stores[0].gaps = 1;
	stores[0].gap_from = 16 * MB;
	stores[0].gap_to = 32 * MB;
	dr_err_set(&stores[1].err, DR_EFAIL, "cannot read \"/t\"");
	OK(look() && says(DR_LAG_BAD, "archive-gap", "m in /s") &&
	        says(DR_LAG_UNKNOWN, "store-unreadable", "m in /t") &&
	        strstr(lag.note[0].text, "0/1000000 to 0/2000000") != NULL,
	    "a gap, and a store that cannot be read");
	done();

	pair();
	store(0);
	stores[0].id = NULL;
	OK(look() && says(DR_LAG_BAD, "no-backup", "m in /s"), "no backup");
	done();

	pair();
	store(0);
	goal.backup_max_age = 1800 * SEC;
	goal.verify_max_age = 1800 * SEC;
	stores[0].size_change = 2500;
	stores[0].duration_change = 900;
	OK(look() && says(DR_LAG_BAD, "backup-late", "m in /s") &&
	        says(DR_LAG_BAD, "verify-late", "m in /s") &&
	        says(DR_LAG_WARN, "backup-odd", "m in /s") && lag.notes == 3,
	    "late, unverified, and too big");
	done();

	pair();
	store(0);
	stores[0].size_change = 400;
	o.set = "m";
	stores[0].system_id = 78;
	OK(look() && says(DR_LAG_WARN, "backup-odd", "m in /s") &&
	        says(DR_LAG_BAD, "other-cluster", "m in /s"),
	    "too small; and of another cluster");
	done();
}

static void
bounds(void)
{
	static struct dr_lag_samples all;
	struct dr_lag_now now = { NOW, DR_UNKNOWN, "" };
	struct dr_lag_sample s = { 1, 0, 0, DR_UNKNOWN };
	int64_t low, high;

	dr_lag_bounds(&all, &now, 1, 100, &low, &high);
	OK(!dr_known(low) && !dr_known(high), "no samples, no bounds");
	for (int i = 10; i > 0; i--) {
		s.lsn = (uint64_t)(11 - i) * 10;
		s.wall = NOW - i * SEC;
		all.v[all.n++] = s;
	}
	dr_lag_bounds(&all, &now, 1, 55, &low, &high);
	OK(low == 5 * SEC && high == 6 * SEC, "between two samples");
	dr_lag_bounds(&all, &now, 1, 50, &low, &high);
	OK(low == 5 * SEC && high == 6 * SEC, "at one");
	dr_lag_bounds(&all, &now, 1, 5, &low, &high);
	OK(low == 10 * SEC && !dr_known(high), "before the first");
	dr_lag_bounds(&all, &now, 1, 500, &low, &high);
	OK(!dr_known(low) && high == SEC, "behind the last");
	dr_lag_bounds(&all, &now, 2, 55, &low, &high);
	OK(!dr_known(low) && !dr_known(high), "on another timeline");
}

/* --- how it is written ------------------------------------------------------------ */

static void
forms(void)
{
	struct dr_buf out = { .max = 1U << 20 };

	pair();
	store(0);
	goal.rpo = SEC;
	o.expects = 1;
	expects[0] = "it's|c\n";
	v[1].probe.state = DR_PROBE_REFUSED;
	dr_err_set(&v[1].probe.err, DR_ERETRY, "a|b\nc");
	OK(look() && dr_lag_nagios(&lag, &out, &err) == 2, "Nagios: critical");
	OK(strchr(out.data, '\n') == out.data + out.len - 1,
	    "one line, whatever names hold");
	OK(strchr(out.data, '|') == strrchr(out.data, '|') &&
	        strchr(out.data, '|') != NULL,
	    "one bar");
	OK(strstr(out.data, "'it_s_c__replay_bytes'=U") != NULL &&
	        strstr(out.data, "'m_/s_rpo_seconds'=2.000000s;;1;0") != NULL &&
	        strstr(out.data, "'m_/s_rto_seconds'=U") != NULL,
	    "perfdata, U for unknown");
	out.len = 0;
	OK(dr_lag_prom(&lag, &out, &err) == 0 &&
	        strstr(out.data, "drtools_rpo_seconds{set=\"m\",store=\"/s\"} "
	                         "2\n") != NULL &&
	        strstr(out.data, "drtools_rto_seconds{") == NULL,
	    "samples; none for what is unknown");
	OK(strstr(out.data, "drtools_replication_standby_up{standby=\"it's|c\\n"
	                    "\"} 0\n") != NULL &&
	        strstr(out.data, "drtools_server_up{server=\"b\"} 0\n") != NULL,
	    "and one that says so");
	out.len = 0;
	lag.goal[0].set = (char *)(uintptr_t) "m";
	lag.goal[0].tier = (char *)(uintptr_t) "2";
	OK(dr_lag_prom(&lag, &out, &err) == 0 &&
	        strstr(out.data, "drtools_set_info{set=\"m\",tier=\"2\"} "
	                         "1\n") != NULL &&
	        strstr(out.data, "drtools_server_up{set=\"m\",server=\"b\"} "
	                         "0\n") != NULL,
	    "the set that was asked for, and its tier");
	lag.goal[0].set = lag.goal[0].tier = (char *)(uintptr_t) "";
	out.len = 0;
	OK(dr_lag_json(&lag, &out, &err) == 0 &&
	        strstr(out.data, "\"replay_lag_bytes\":null") != NULL &&
	        strstr(out.data, "\"rto_seconds\":null") != NULL &&
	        strstr(out.data, "\"level\":\"critical\",\"status\":3") != NULL,
	    "JSON; null for unknown");
	out.len = 0;
	OK(dr_lag_table(&lag, false, 40, &out, &err) == 0 &&
	        strstr(out.data, "\033") == NULL &&
	        strstr(out.data, "it's|c?") != NULL,
	    "a table without colours, nor anything else to a terminal");
	for (const char *s = out.data, *nl; (nl = strchr(s, '\n')) != NULL;
	     s = nl + 1)
		if (nl - s > 40 && strchr(s, ':') > nl)
			OK(false, "as narrow as the terminal");
	dr_buf_free(&out);
	done();
}

int
main(void)
{
	healthy();
	receiver_dead();
	paused();
	timelines();
	primaries();
	expected();
	matches();
	slot_notes();
	server_notes();
	store_notes();
	bounds();
	forms();
	return DONE();
}
