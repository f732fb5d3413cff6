/* promote_judge.c - who could take over, what speaks against it, the loss. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/promote.h"
#include "tests/tap.h"

#define NOW     INT64_C(1795230000000000)
#define SEC     INT64_C(1000000)
#define MB      (UINT64_C(1) << 20)
#define HERE    (100 * MB) /* where all WAL ends to begin with */
#define SEGMENT (16 * (int64_t)MB)
#define N       4

static struct dr_err err;
static struct dr_promote_opts o;
static struct dr_promote_look l;
static struct dr_pg_view v[N];
static struct dr_node node[N];
static struct dr_promote_seen seen[N];
static struct dr_node_end end[N];
static struct dr_rec_node report[3];
static struct dr_rec_vote vote[3];
static struct dr_pg_standby row[3];
static struct dr_pg_slot slot[2][2];
static struct dr_fork fork_[2];
static bool cut; /* the ends are known */

/* Where what is not changed is not const. */
static char *
lit(const char *s)
{
	return (char *)(uintptr_t)s;
}

enum { A, B, C, D };

static void
server(int i, const char *name, const char *where, bool standby)
{
	struct dr_node_facts *f = &node[i].facts;

	v[i].name = lit(name);
	v[i].where = lit(where);
	v[i].cluster_name = lit(name);
	v[i].sync_names = v[i].sync_commit = v[i].sender = v[i].receiver =
	    lit("");
	v[i].probe.state = standby ? DR_PROBE_STANDBY : DR_PROBE_PRIMARY;
	v[i].version = 150004;
	v[i].system_id = 77;
	v[i].tli = 1;
	v[i].in_recovery = standby;
	v[i].now = v[i].asked = NOW;
	v[i].started = NOW - 3600 * SEC - i;
	v[i].replayed_time = v[i].apply_delay = v[i].last_msg = DR_UNKNOWN;
	v[i].archiver.last_time = v[i].archiver.failed_time =
	    v[i].archiver.ready = DR_UNKNOWN;
	v[i].archiver.failed_wal = v[i].archiver.last_wal = lit("");
	if (standby) {
		v[i].received = v[i].replayed = HERE;
		v[i].received_tli = 1;
		v[i].replayed_time = NOW - 3 * SEC;
	} else
		v[i].lsn = HERE;
	f->known = f->superuser = f->checksums = f->full_page_writes = true;
	f->has_history = true;
	f->data_directory = f->conninfo = f->slot_name = f->restore_command =
	    f->saved = f->tags = f->region = f->address = f->standby_slots =
	        lit("");
	f->tli = 1;
	f->priority = 100;
	f->retry_us = SEC;
	f->senders = 10;
	f->prepared = f->oldest_us = f->backups = 0;
	(void)snprintf(seen[i].member, sizeof(seen[i].member), "%s", name);
	end[i] = (struct dr_node_end){ true, 1, HERE, HERE };
}

/* A primary that is gone, a, and its standbys b and c; ANY 1 (b, c, d). */
static void
dead(void)
{
	v[A].probe.state = DR_PROBE_REFUSED;
	(void)dr_err_set(&v[A].probe.err, DR_ERETRY, "nobody listens");
	node[A].facts.known = false;
}

static void
sync_is(const char *names)
{
	struct dr_syncnames sn;

	(void)snprintf(l.sync.names, sizeof(l.sync.names), "%s", names);
	(void)dr_syncnames_parse(names, &sn, &err);
	l.sync.wait = sn.wait;
	dr_syncnames_free(&sn);
	v[A].sync_names = l.sync.names;
}

static void
begin(void)
{
	memset(&o, 0, sizeof(o));
	memset(&l, 0, sizeof(l));
	memset(v, 0, sizeof(v));
	memset(node, 0, sizeof(node));
	memset(seen, 0, sizeof(seen));
	memset(end, 0, sizeof(end));
	memset(report, 0, sizeof(report));
	memset(vote, 0, sizeof(vote));
	memset(row, 0, sizeof(row));
	memset(slot, 0, sizeof(slot));
	memset(&err, 0, sizeof(err));
	cut = false;
	o.set = "main";
	o.max_loss = DR_UNKNOWN;
	o.stop = o.start = o.route = "true";
	l.now = NOW;
	l.n = 3;
	l.view = v;
	l.node = node;
	l.seen = seen;
	l.report = report;
	l.vote = vote;
	l.coord = l.has_epoch = l.has_sync = true;
	l.epoch = (struct dr_rec_epoch){ .epoch = 1, .leader = "a", .tli = 1 };
	l.sync.tli = 1;
	(void)snprintf(l.sync.leader, sizeof(l.sync.leader), "a");
	server(A, "a", "ha:5432", false);
	server(B, "b", "hb:5432", true);
	server(C, "c", "hc:5432", true);
	server(D, "d", "hd:5432", true);
	sync_is("ANY 1 (b, c)");
	v[A].standby = row;
	v[A].standbys = 2;
	for (int i = 0; i < 3; i++) {
		row[i].name = lit(i == 0 ? "b" : i == 1 ? "c" : "d");
		row[i].state = lit("streaming");
		row[i].addr = row[i].sync_state = row[i].slot = lit("");
		row[i].flush = HERE;
	}
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 2; k++) {
			slot[i][k].name = lit(k == 0 ? "sub" : "cdc");
			slot[i][k].type = lit("logical");
			slot[i][k].database = slot[i][k].wal_status =
			    slot[i][k].invalid = lit("");
		}
	v[A].slot = slot[0];
	v[B].slot = slot[1];
}

/* Timeline 2 left 1 at FORK; node I knows so. */
static void
on_two(int i, uint64_t fork)
{
	v[i].tli = v[i].received_tli = node[i].facts.tli = end[i].tli = 2;
	fork_[0] = (struct dr_fork){ 1, fork };
	node[i].facts.history = (struct dr_history){ 2, 1, fork_ };
}

static void
at(int i, uint64_t lsn)
{
	v[i].received = v[i].replayed = lsn;
	end[i].received = end[i].replayed = lsn;
}

static void
guard_said(const char *role, uint64_t lsn, int64_t rate, int64_t age)
{
	struct dr_rec_node *r = &report[l.reports++];

	(void)snprintf(r->name, sizeof(r->name), "a");
	(void)snprintf(r->kind, sizeof(r->kind), "guard");
	(void)snprintf(r->role, sizeof(r->role), "%s", role);
	(void)snprintf(r->where, sizeof(r->where), "ha:5432");
	r->tli = 1;
	r->lsn = lsn;
	r->rate = rate;
	r->lsn_time = NOW - age;
	r->time = NOW;
}

static void
receiver(const char *name, const char *role, uint64_t lsn, int64_t token)
{
	struct dr_rec_node *r = &report[l.reports++];

	(void)snprintf(r->name, sizeof(r->name), "%s", name);
	(void)snprintf(r->kind, sizeof(r->kind), "receiver");
	(void)snprintf(r->role, sizeof(r->role), "%s", role);
	r->tli = 1;
	r->lsn = lsn;
	r->token = token;
	r->rate = DR_UNKNOWN;
	r->time = NOW;
}

static void
observer(const char *name, const char *where, bool down)
{
	struct dr_rec_vote *w = &vote[l.votes++];

	(void)snprintf(w->name, sizeof(w->name), "%s", name);
	(void)snprintf(w->where, sizeof(w->where), "%s", where);
	w->down = down;
}

static void
intended(const char *verb, enum dr_step step, const char *candidate)
{
	l.has_intent = true;
	l.intent = (struct dr_rec_intent){ .epoch = 2,
		.token = 9,
		.step = step,
		.tli = 1 };
	(void)snprintf(l.intent.verb, sizeof(l.intent.verb), "%s", verb);
	(void)snprintf(l.intent.candidate, sizeof(l.intent.candidate), "%s",
	    candidate);
	(void)snprintf(l.intent.former, sizeof(l.intent.former), "a");
}

/* --- failovers --------------------------------------------------------------------- */

static void
f_plain(void)
{
}
static void
f_ends(void)
{
	cut = true;
}
static void
f_ahead(void)
{
	at(C, HERE + 8);
}
static void
f_priority(void)
{
	node[C].facts.priority = 200;
}
static void
f_priority_behind(void)
{
	cut = true;
	node[C].facts.priority = 200;
	at(C, HERE - 8);
}
static void
f_candidate(void)
{
	o.candidate = "c";
}
static void
f_candidate_behind(void)
{
	cut = true;
	o.candidate = "c";
	at(C, HERE - 100);
}
static void
f_candidate_allowed(void)
{
	f_candidate_behind();
	o.max_loss = 100;
}
static void
f_candidate_none(void)
{
	o.candidate = "x";
}
static void
f_candidate_where(void)
{
	o.candidate = "hc:5432";
}
static void
f_sync_first(void)
{
	/* d is no member and as far; a member goes before it. */
	l.n = 4;
	v[B].name = v[B].cluster_name = lit("z");
	(void)snprintf(seen[B].member, sizeof(seen[B].member), "b");
	node[C].facts.tags = lit("nofailover");
}
static void
f_not_member(void)
{
	/* One that is none, and has as much, may. */
	l.n = 4;
	cut = true;
	node[B].facts.tags = node[C].facts.tags = lit("nofailover, x");
}
static void
f_not_member_behind(void)
{
	f_not_member();
	at(D, HERE - 1);
}
static void
f_fork_good(void)
{
	/* c stopped on timeline 1 before 2 left it. */
	l.epoch.tli = l.sync.tli = 2;
	on_two(B, 50 * MB);
	at(C, 40 * MB);
	cut = true;
}
static void
f_fork_bad(void)
{
	/* c went on along timeline 1, further than b: a stale line. */
	l.epoch.tli = l.sync.tli = 2;
	on_two(B, 50 * MB);
	at(C, 200 * MB);
	cut = true;
}
static void
f_fork_unread(void)
{
	f_fork_bad();
	node[B].facts.has_history = false;
}
static void
f_fork_foreign(void)
{
	/* Timeline 2 of c is not out of the recorded 1: no history says so. */
	on_two(C, 50 * MB);
	node[C].facts.has_history = false;
	cut = true;
}
static void
f_fork_by_hand(void)
{
	/* Timeline 2 is out of the recorded 1: somebody promoted by hand. */
	on_two(B, 50 * MB);
	on_two(C, 50 * MB);
}
static void
f_fork_decided(void)
{
	on_two(B, 50 * MB);
	o.candidate = "c";
	o.allow_data_loss = true;
	cut = true;
}
static void
f_fork_lacking(void)
{
	f_fork_decided();
	fork_[0].end = HERE + 7 * MB;
}
static void
f_fork_followed(void)
{
	on_two(B, 50 * MB);
	o.candidate = "b";
	o.allow_data_loss = true;
	cut = true;
}
static void
f_unfollowed(void)
{
	l.epoch.tli = 2;
	l.epoch.fork = HERE;
	sync_is("");
}
static void
f_other_system(void)
{
	l.n = 4;
	v[D].system_id = 78;
	at(D, 900 * MB);
}
static void
f_version(void)
{
	/* Known of the old one because it answers as a standby by now. */
	v[A] = v[C];
	v[A].name = lit("a");
	v[A].where = lit("ha:5432");
	v[A].started++;
	node[A].facts = node[C].facts;
	v[B].version = 140009;
	node[A].facts.tags = node[C].facts.tags = lit("nofailover");
	at(A, HERE);
}
static void
f_paused(void)
{
	v[B].paused = true;
}
static void
f_delayed(void)
{
	v[B].apply_delay = 60 * SEC;
}
static void
f_delayed_tag(void)
{
	node[B].facts.tags = lit("nosync Delayed");
}
static void
f_tags(void)
{
	node[B].facts.tags = lit("nosync nofailover");
}
static void
f_tags_other(void)
{
	node[B].facts.tags = lit("nofailovers");
}
static void
f_never(void)
{
	node[B].facts.priority = 0;
}
static void
f_superuser(void)
{
	node[B].facts.superuser = false;
}
static void
f_no_facts(void)
{
	node[B].facts.known = false;
}
static void
f_no_position(void)
{
	at(B, 0);
}
static void
f_not_cut(void)
{
	cut = true;
	end[B].known = false;
	sync_is("ANY 2 (b, c)");
	o.allow_async = true;
}
static void
f_gone(void)
{
	v[B].probe.state = DR_PROBE_UNREACHABLE;
	o.allow_async = true;
}
static void
f_all_gone(void)
{
	v[B].probe.state = v[C].probe.state = DR_PROBE_UNREACHABLE;
}
static void
f_region(void)
{
	guard_said("primary", HERE, 0, 0);
	(void)snprintf(report[0].region, sizeof(report[0].region), "east");
	node[B].facts.region = lit("west");
	node[C].facts.region = lit("East");
}
static void
f_region_unknown(void)
{
	node[B].facts.region = lit("west");
}
static void
f_region_crossed(void)
{
	f_region();
	o.cross_region = true;
}
static void
f_twice(void)
{
	l.n = 4;
	v[D] = v[B];
	v[D].where = lit("other:5432");
	node[D] = node[B];
	seen[D] = seen[B];
}

/* --- quorums: W of N, R cut off ----------------------------------------------------- */

static void
q_first(void)
{
	sync_is("FIRST 1 (b, c)");
}
static void
q_first_missing(void)
{
	/* c may have stood in for b. */
	sync_is("FIRST 1 (b, c)");
	v[C].probe.state = DR_PROBE_UNREACHABLE;
	o.allow_async = true;
}
static void
q_any_two(void)
{
	sync_is("ANY 2 (b, c, x)");
	o.allow_async = true;
}
static void
q_any_two_missing(void)
{
	sync_is("ANY 2 (b, c, x, y)");
	o.allow_async = true;
}
static void
q_star(void)
{
	sync_is("*");
}
static void
q_same_name(void)
{
	l.n = 4;
	sync_is("ANY 1 (b, c)");
	(void)snprintf(seen[D].member, sizeof(seen[D].member), "C");
}
static void
q_case(void)
{
	sync_is("ANY 1 (B, C)");
}
static void
q_none(void)
{
	sync_is("");
}
static void
q_unknown(void)
{
	l.has_sync = false;
	o.fence = "true";
}
static void
q_stale(void)
{
	(void)snprintf(l.sync.leader, sizeof(l.sync.leader), "z");
	o.fence = "true";
}
static void
q_given(void)
{
	q_unknown();
	o.sync_names = "ANY 1 (b, c)";
}
static void
q_allowed(void)
{
	q_unknown();
	o.allow_data_loss = true;
}
static void
q_receiver(void)
{
	/* A receiver of WAL is in the set, and heeds this intent. */
	sync_is("ANY 1 (b, wal)");
	cut = true;
	intended("failover", DR_STEP_CHOSEN, "b");
	receiver("wal", "cut", HERE, 9);
}
static void
q_receiver_other(void)
{
	q_receiver();
	report[0].token = 8;
}
static void
q_receiver_ahead(void)
{
	q_receiver();
	report[0].lsn = HERE + 64;
}
static void
q_receiver_ahead_store(void)
{
	/* Before it is cut off it may yet get it from the store. */
	q_receiver_ahead();
	cut = false;
	at(C, HERE + 64);
	node[C].facts.tags = lit("nofailover");
	node[B].facts.restore_command = lit("dr-wal get");
}

/* --- bounds of the loss --------------------------------------------------------------- */

static void
b_report(void)
{
	q_none();
	guard_said("primary", HERE + 1000, 500, 2 * SEC);
}
static void
b_report_within(void)
{
	b_report();
	o.max_loss = SEGMENT + 3000;
}
static void
b_report_beyond(void)
{
	b_report();
	o.max_loss = SEGMENT + 2999;
}
static void
b_report_rate(void)
{
	q_none();
	guard_said("primary", HERE + 1000, DR_UNKNOWN, SEC);
}
static void
b_report_down(void)
{
	q_none();
	guard_said("down", HERE, 500, 2 * SEC);
}
static void
b_report_when(void)
{
	b_report();
	report[0].lsn_time = 0;
}
static void
b_report_tli(void)
{
	b_report();
	report[0].tli = 3;
	report[0].lsn = 5;
	l.epoch.tli = 1;
	v[B].probe.state = v[C].probe.state = DR_PROBE_STANDBY;
}
static void
b_report_huge(void)
{
	q_none();
	guard_said("primary", HERE, INT64_MAX / 4, 1000 * SEC);
}

/* --- of the whole ------------------------------------------------------------------------ */

static void
w_alive(void)
{
	v[A].probe.state = DR_PROBE_PRIMARY;
	node[A].facts.known = true;
}
static void
w_two(void)
{
	w_alive();
	v[C].probe.state = DR_PROBE_PRIMARY;
	v[C].in_recovery = false;
	v[C].lsn = HERE;
	o.allow_async = o.allow_data_loss = true;
	o.fence = "true";
}
static void
w_advances(void)
{
	seen[C].advances = true;
}
static void
w_denied(void)
{
	v[A].probe.state = DR_PROBE_DENIED;
}
static void
w_denied_fenced(void)
{
	w_denied();
	o.fence = "stop it";
}
static void
w_hold(void)
{
	l.has_hold = true;
	(void)snprintf(l.hold.who, sizeof(l.hold.who), "eve");
	l.hold.since = NOW;
}
static void
w_hold_over(void)
{
	w_hold();
	l.hold.until = NOW - 1;
}
static void
w_etcd(void)
{
	l.coord = l.has_epoch = l.has_sync = false;
	(void)dr_err_set(&l.away, DR_ERETRY, "no member answers");
	o.sync_names = "ANY 1 (b, c)";
	o.fence = "true";
}
static void
w_intent(void)
{
	intended("switchover", DR_STEP_PROMOTING, "b");
}
static void
w_intent_early(void)
{
	intended("switchover", DR_STEP_STOPPING, "b");
}
static void
w_intent_own(void)
{
	intended("failover", DR_STEP_PROMOTED, "c");
	v[C].probe.state = DR_PROBE_PRIMARY;
	v[C].in_recovery = false;
	v[C].lsn = HERE;
	l.epoch = (struct dr_rec_epoch){ .epoch = 2,
		.leader = "c",
		.former = "a",
		.tli = 2 };
}
static void
w_intent_lost(void)
{
	intended("failover", DR_STEP_PROMOTING, "c");
	v[C].probe.state = DR_PROBE_UNREACHABLE;
}
static void
w_intent_done(void)
{
	intended("failover", DR_STEP_DONE, "c");
}
static void
w_observers(void)
{
	o.observers = 2;
	observer("x", "ha:5432", true);
	observer("y", "ha:5432", false);
	observer("z", "hb:5432", true);
}
static void
w_observers_agree(void)
{
	w_observers();
	vote[1].down = true;
}
static void
w_no_fence(void)
{
	l.coord = l.has_sync = l.has_epoch = false;
	o.sync_names = "ANY 1 (b, c)";
}
static void
w_unprotected(void)
{
	sync_is("ANY 1 (b)");
}
static void
w_unprotected_allowed(void)
{
	w_unprotected();
	o.allow_async = true;
}

/* --- switchovers ---------------------------------------------------------------------- */

static void
s_plain(void)
{
}
static void
s_no_primary(void)
{
	dead();
}
static void
s_hooks(void)
{
	o.stop = o.start = NULL;
}
static void
s_lagging(void)
{
	row[1].flush = HERE - 17 * MB;
}
static void
s_catchup(void)
{
	row[1].state = lit("catchup");
}
static void
s_not_connected(void)
{
	v[A].standbys = 1;
	o.candidate = "c";
}
static void
s_archive(void)
{
	v[A].archiving = true;
	v[A].archiver.ready = 11;
}
static void
s_archive_fails(void)
{
	v[A].archiving = true;
	v[A].archiver.ready = 1;
	v[A].archiver.failed_time = NOW;
	v[A].archiver.last_time = NOW - SEC;
}
static void
s_prepared(void)
{
	node[A].facts.prepared = 1;
}
static void
s_long(void)
{
	node[A].facts.oldest_us = 61 * SEC;
}
static void
s_backup(void)
{
	node[A].facts.backups = 1;
	node[B].facts.backups = 1;
}
static void
s_slot(void)
{
	v[A].slots = 1;
	slot[0][0].failover = true;
}
static void
s_slot_synced(void)
{
	s_slot();
	v[B].slots = 1;
	slot[1][0].failover = slot[1][0].synced = true;
	o.candidate = "b";
}
static void
s_slot_temporary(void)
{
	s_slot_synced();
	slot[1][0].temporary = true;
}
static void
s_region(void)
{
	node[A].facts.region = lit("east");
	node[B].facts.region = lit("east");
	node[C].facts.region = lit("west");
}
static void
s_behind(void)
{
	at(B, HERE - 17 * MB);
}
static void
s_protected(void)
{
	/* The old one takes the new one's place. */
	sync_is("ANY 1 (b)");
	o.candidate = "b";
}
static void
s_superuser(void)
{
	node[A].facts.superuser = false;
}

#define F DR_VERB_FAILOVER
#define S DR_VERB_SWITCHOVER
#define Q DR_UNKNOWN

static const struct situation {
	const char *what;
	enum dr_promote_verb verb;
	void (*make)(void);
	const char *refused; /* words, in this order */
	const char *chosen;  /* "" nobody */
	const char *says;    /* "b:paused", of all but a */
	bool held;
	int64_t loss;
} situations[] = {
	{ "two equal ones", F, f_plain, "", "b", "", true, 0 },
	{ "with ends", F, f_ends, "", "b", "", true, 0 },
	{ "one ahead", F, f_ahead, "", "c", "b:behind", true, 0 },
	{ "priority", F, f_priority, "", "c", "", true, 0 },
	{ "priority and behind", F, f_priority_behind, "", "b", "c:behind",
	    true, 0 },
	{ "candidate", F, f_candidate, "", "c", "", true, 0 },
	{ "candidate behind", F, f_candidate_behind, "candidate", "",
	    "c:behind", false, Q },
	{ "candidate behind within --max-loss", F, f_candidate_allowed, "", "c",
	    "", false, 100 },
	{ "no such candidate", F, f_candidate_none, "candidate", "", "", false,
	    Q },
	{ "candidate by address", F, f_candidate_where, "", "c", "", true, 0 },
	{ "synchronous goes first", F, f_sync_first, "", "z", "c:nofailover",
	    true, 0 },
	{ "no member, as far", F, f_not_member, "", "d",
	    "b:nofailover c:nofailover", true, 0 },
	{ "no member, a byte behind", F, f_not_member_behind, "no_candidate",
	    "", "b:nofailover c:nofailover d:behind", false, Q },
	{ "an earlier timeline, before the fork", F, f_fork_good, "", "b",
	    "c:behind", true, 0 },
	{ "an earlier timeline, beyond the fork", F, f_fork_bad, "", "b",
	    "c:diverged", true, 0 },
	{ "no history to compare by", F, f_fork_unread, "", "b", "c:diverged",
	    true, 0 },
	{ "a timeline out of nowhere", F, f_fork_foreign, "", "b", "c:diverged",
	    true, 0 },
	{ "promoted by hand before", F, f_fork_by_hand, "unrecorded", "b", "",
	    true, 0 },
	{ "decided for the recorded line", F, f_fork_decided, "", "c",
	    "b:diverged", true, 0 },
	{ "decided for it, and it lacks some", F, f_fork_lacking, "", "c",
	    "b:diverged", false, 7 * (int64_t)MB },
	{ "decided for the other line", F, f_fork_followed, "", "b",
	    "c:diverged", true, 0 },
	{ "nobody followed the epoch", F, f_unfollowed, "unfollowed", "b", "",
	    false, Q },
	{ "another cluster", F, f_other_system, "", "b", "d:other_system", true,
	    0 },
	{ "another version", F, f_version, "no_candidate", "",
	    "b:other_version c:nofailover", false, Q },
	{ "paused", F, f_paused, "", "c", "b:paused", true, 0 },
	{ "delayed", F, f_delayed, "", "c", "b:delayed", true, 0 },
	{ "delayed by tag", F, f_delayed_tag, "", "c", "b:delayed", true, 0 },
	{ "nofailover", F, f_tags, "", "c", "b:nofailover", true, 0 },
	{ "a tag like nofailover", F, f_tags_other, "", "b", "", true, 0 },
	{ "priority 0", F, f_never, "", "c", "b:priority_zero", true, 0 },
	{ "no superuser", F, f_superuser, "", "c", "b:not_superuser", true, 0 },
	{ "facts not known", F, f_no_facts, "", "c", "b:facts_unknown", true,
	    0 },
	{ "position not known", F, f_no_position, "", "c", "b:position_unknown",
	    true, 0 },
	{ "not cut off", F, f_not_cut, "", "c", "b:not_cut", true, 0 },
	{ "a standby missing", F, f_gone, "no_quorum", "c", "b:not_answering",
	    false, Q },
	{ "all missing", F, f_all_gone, "no_candidate", "",
	    "b:not_answering c:not_answering", false, Q },
	{ "another region", F, f_region, "", "c", "b:region", true, 0 },
	{ "a region, the old one's not known", F, f_region_unknown, "", "c",
	    "b:region", true, 0 },
	{ "--cross-region", F, f_region_crossed, "", "b", "", true, 0 },
	{ "named twice", F, f_twice, "", "b", "b:twice", true, 0 },

	{ "FIRST 1 of 2, both", F, q_first, "", "b", "", true, 0 },
	{ "FIRST 1 of 2, one missing", F, q_first_missing, "no_quorum", "b",
	    "c:not_answering", false, Q },
	{ "ANY 2 of 3, two here", F, q_any_two, "", "b", "", true, 0 },
	{ "ANY 2 of 4, two here", F, q_any_two_missing, "no_quorum", "b", "",
	    false, Q },
	{ "*", F, q_star, "no_quorum", "b", "", false, Q },
	{ "one name twice", F, q_same_name, "no_quorum", "b", "", false, Q },
	{ "names in other letters", F, q_case, "", "b", "", true, 0 },
	{ "asynchronous", F, q_none, "asynchronous", "b", "", false, Q },
	{ "no record", F, q_unknown, "sync_unknown", "b", "", false, Q },
	{ "a record of another's", F, q_stale, "sync_unknown", "b", "", false,
	    Q },
	{ "--sync-names", F, q_given, "", "b", "", true, 0 },
	{ "--allow-data-loss", F, q_allowed, "", "b", "", false, Q },
	{ "a receiver that is cut off", F, q_receiver, "", "b", "", true, 0 },
	{ "a receiver that heeds another", F, q_receiver_other, "no_quorum",
	    "b", "", false, Q },
	{ "a receiver with more", F, q_receiver_ahead, "no_candidate", "",
	    "b:behind c:behind", false, Q },
	{ "a receiver with more, and its store", F, q_receiver_ahead_store,
	    "loss", "b", "c:nofailover", false, 64 },

	{ "bound by report and rate", F, b_report, "asynchronous", "b", "",
	    false, SEGMENT + 3000 },
	{ "bound within --max-loss", F, b_report_within, "", "b", "", false,
	    SEGMENT + 3000 },
	{ "bound beyond --max-loss", F, b_report_beyond, "asynchronous", "b",
	    "", false, SEGMENT + 3000 },
	{ "no rate, no bound", F, b_report_rate, "asynchronous", "b", "", false,
	    Q },
	{ "it is down, after the last look", F, b_report_down, "asynchronous",
	    "b", "", false, SEGMENT + 2000 },
	{ "nobody knows when", F, b_report_when, "asynchronous", "b", "", false,
	    Q },
	{ "a report of another timeline", F, b_report_tli, "asynchronous", "b",
	    "", false, Q },
	{ "a bound that does not fit", F, b_report_huge, "asynchronous", "b",
	    "", false, Q },

	{ "a primary answers", F, w_alive, "primary_answers", "b", "", true,
	    0 },
	{ "two primaries", F, w_two, "two_primaries", "b", "c:not_standby",
	    false, Q },
	{ "it advances", F, w_advances, "advances", "b", "", true, 0 },
	{ "it denies us", F, w_denied, "old_lives", "b", "", true, 0 },
	{ "it denies us, fenced", F, w_denied_fenced, "", "b", "", true, 0 },
	{ "held", F, w_hold, "held", "b", "", true, 0 },
	{ "no longer held", F, w_hold_over, "", "b", "", true, 0 },
	{ "etcd away", F, w_etcd, "etcd_away", "b", "", true, 0 },
	{ "another verb's intent", F, w_intent, "unfinished", "b", "", true,
	    0 },
	{ "an early intent", F, w_intent_early, "", "b", "", true, 0 },
	{ "our own intent", F, w_intent_own, "", "c", "c:not_standby", false,
	    Q },
	{ "an intent whose candidate is gone", F, w_intent_lost, "unfinished",
	    "c", "c:not_answering", false, Q },
	{ "an intent that is done", F, w_intent_done, "", "b", "", true, 0 },
	{ "observers", F, w_observers, "observers", "b", "", true, 0 },
	{ "observers agree", F, w_observers_agree, "", "b", "", true, 0 },
	{ "no fence", F, w_no_fence, "no_fence", "b", "", true, 0 },
	{ "unprotected", F, w_unprotected, "unprotected", "b", "", true, 0 },
	{ "--allow-async", F, w_unprotected_allowed, "", "b", "", true, 0 },

	{ "switchover", S, s_plain, "", "b", "", true, 0 },
	{ "no primary", S, s_no_primary, "no_primary", "b", "", true, 0 },
	{ "no hooks", S, s_hooks, "no_stop no_start", "b", "", true, 0 },
	{ "one lags", S, s_lagging, "lag", "b", "", true, 0 },
	{ "one catches up", S, s_catchup, "not_streaming", "b", "", true, 0 },
	{ "not connected", S, s_not_connected, "not_streaming", "c", "", true,
	    0 },
	{ "archive backlog", S, s_archive, "archive_backlog", "b", "", true,
	    0 },
	{ "archive fails", S, s_archive_fails, "archive_failing", "b", "", true,
	    0 },
	{ "prepared", S, s_prepared, "prepared", "b", "", true, 0 },
	{ "long transaction", S, s_long, "long_transaction", "b", "", true, 0 },
	{ "backups", S, s_backup, "backup_running", "c", "b:backup_running",
	    true, 0 },
	{ "a slot not there", S, s_slot, "slot_not_synced", "b", "", true, 0 },
	{ "a slot synced", S, s_slot_synced, "", "b", "", true, 0 },
	{ "a slot not yet", S, s_slot_temporary, "slot_not_synced", "b", "",
	    true, 0 },
	{ "regions", S, s_region, "", "b", "c:region", true, 0 },
	{ "behind", S, s_behind, "", "c", "b:behind", true, 0 },
	{ "the old one takes its place", S, s_protected, "", "b", "", true, 0 },
	{ "no superuser there", S, s_superuser, "not_superuser", "b", "", true,
	    0 },
};

static void
words(char *out, size_t size, const struct dr_plan_says *s, size_t n,
    const char *of)
{
	size_t i, used = strlen(out);

	for (i = 0; i < n; i++) {
		int w = snprintf(out + used, size - used, "%s%s%s%s",
		    used > 0 ? " " : "", of != NULL ? of : "",
		    of != NULL ? ":" : "", s[i].word);

		if (w > 0)
			used += (size_t)w;
		/* Each says why. */
		if (s[i].text[0] == '\0')
			used = size;
	}
}

static void
judge(const struct situation *s)
{
	char refused[256] = "", says[256] = "", who[32] = "";
	struct dr_plan p;
	bool good;
	size_t i;

	begin();
	if (s->verb == DR_VERB_FAILOVER)
		dead();
	s->make();
	if (dr_promote_judge(&o, s->verb, &l, cut ? end : NULL, &p, &err) ==
	    -1) {
		OK(false, s->what);
		printf("# %s\n", err.msg);
		return;
	}
	words(refused, sizeof(refused), p.refusal, p.refusals, NULL);
	for (i = 1; i < p.n; i++)
		words(says, sizeof(says), p.node[i].say, p.node[i].says,
		    v[p.node[i].at].name);
	if (p.chosen != -1)
		(void)snprintf(who, sizeof(who), "%s",
		    v[p.node[p.chosen].at].name);
	good = strcmp(refused, s->refused) == 0 && strcmp(says, s->says) == 0 &&
	       strcmp(who, s->chosen) == 0 && p.held == s->held &&
	       p.loss_bytes == s->loss;
	OK(good, s->what);
	if (!good)
		printf("# refused \"%s\", chosen \"%s\", says \"%s\", held %d, "
		       "loss %lld\n",
		    refused, who, says, p.held, (long long)p.loss_bytes);
	dr_promote_plan_wipe(&p);
}

/* Every refusal has a hint: what to do, or what overrides it. */
static void
hints(void)
{
	const struct situation *s;
	struct dr_plan p;
	bool good = true;
	size_t i, k;

	for (k = 0; k < sizeof(situations) / sizeof(situations[0]); k++) {
		s = &situations[k];
		begin();
		if (s->verb == DR_VERB_FAILOVER)
			dead();
		s->make();
		if (dr_promote_judge(&o, s->verb, &l, cut ? end : NULL, &p,
		        &err) == -1)
			continue;
		for (i = 0; i < p.refusals; i++)
			if (p.refusal[i].hint[0] == '\0' &&
			    strcmp(p.refusal[i].word, "candidate") != 0 &&
			    strcmp(p.refusal[i].word, "facts_unknown") != 0) {
				printf("# %s has no hint\n", p.refusal[i].word);
				good = false;
			}
		dr_promote_plan_wipe(&p);
	}
	OK(good, "every refusal says what to do");
}

/* What is printed is JSON, and says null where nothing is known. */
static void
printed(void)
{
	struct dr_buf text = { .max = 1 << 20 }, json = { .max = 1 << 20 };
	struct dr_plan p;

	begin();
	dead();
	q_none();
	OK(dr_promote_judge(&o, DR_VERB_FAILOVER, &l, NULL, &p, &err) == 0 &&
	        dr_plan_text(&o, &l, &p, &text, &err) == 0 &&
	        dr_plan_json(&o, &l, &p, &json, &err) == 0,
	    "a plan is printed");
	OK(strstr(json.data, "\"loss_bytes\":null") != NULL &&
	        strstr(json.data, "\"rto_seconds\":null") != NULL,
	    "unknown is null");
	OK(strstr(text.data, "how much cannot be told") != NULL &&
	        strstr(text.data, "--allow-data-loss") != NULL,
	    "and told to people, with what overrides it");
	dr_promote_plan_wipe(&p);
	dr_buf_free(&text);
	dr_buf_free(&json);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(situations) / sizeof(situations[0]); i++)
		judge(&situations[i]);
	hints();
	printed();
	return DONE();
}
