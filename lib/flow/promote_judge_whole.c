/* What speaks against a failover, whoever takes over. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "flow/promote_judge_int.h"

/* --- of both verbs -------------------------------------------------------------- */

static void
etcd(struct dr_judging *j)
{
	const struct dr_promote_look *l = j->l;
	char since[DR_TIME_LEN], until[DR_TIME_LEN + 8] = "";

	if (l->away.cause != DR_OK)
		dr_judge_refuse(j, "etcd_away",
		    "try again; --lock none does without it, and demands a "
		    "proof that the old primary is stopped (--fence)",
		    "etcd cannot be asked: %s", l->away.msg);
	if (l->has_hold && (l->hold.until == 0 || l->hold.until > l->now)) {
		if (l->hold.until != 0) {
			memcpy(until, ", until ", 8);
			dr_format_time(l->hold.until, until + 8);
		}
		dr_judge_refuse(j, "held", "dr-promote resume",
		    "%s holds it since %s%s: %s", l->hold.who,
		    dr_format_time(l->hold.since, since), until,
		    l->hold.why[0] != '\0' ? l->hold.why : "no reason given");
	}
	if (l->has_run && !l->run_ours)
		dr_judge_warn(j, "locked", "", "%s has the lock since %s (%s)",
		    l->run.who, dr_format_time(l->run.since, since),
		    l->run.verb);
}

static void
intent(struct dr_judging *j)
{
	const struct dr_rec_intent *i = dr_judge_intent(j);
	char began[DR_TIME_LEN];

	if (i == NULL || j->resumes || j->l->run_ours)
		return;
	(void)dr_format_time(i->began, began);
	/* Nothing irreversible was done: a failover takes its place. */
	if (i->step < DR_STEP_PROMOTING && j->verb == DR_VERB_FAILOVER)
		dr_judge_warn(j, "unfinished", "",
		    "a %s to %s, begun at %s, was not finished: this takes "
		    "its place",
		    i->verb, i->candidate, began);
	else
		dr_judge_refuse(j, "unfinished",
		    "run the same again: it goes on; or dr-promote undo",
		    "a %s to %s, begun at %s, was not finished (at \"%s\")",
		    i->verb, i->candidate, began, dr_step_word(i->step));
}

/* Who would acknowledge for the new primary. */
static void
protection(struct dr_judging *j)
{
	struct dr_plan *p = j->p;
	const struct dr_plan_node *c = &p->node[p->chosen];
	const char *own = j->l->seen[c->at].member, *member;
	bool in = c->synchronous, leaves;
	size_t i, there = 0;
	int wait = p->names.wait;

	if (!p->names_known || wait == 0 || j->o->allow_async)
		return;
	for (i = 0; i < j->l->n; i++) {
		member = j->l->seen[i].member;
		leaves = j->verb == DR_VERB_SWITCHOVER && (int)i == p->old;
		if ((int)i == c->at || member[0] == '\0' ||
		    (!leaves && !dr_judge_standby(j, (int)i)))
			continue;
		/* The old one takes the new one's place in the set. */
		if (dr_syncnames_match(&p->names, member) || (leaves && in))
			there += strcasecmp(member, own) != 0;
	}
	for (i = 0; i < j->l->reports; i++)
		there += strcmp(j->l->report[i].kind, "receiver") == 0 &&
		         dr_syncnames_match(&p->names, j->l->report[i].name);
	if (there < (size_t)wait)
		dr_judge_refuse(j, "unprotected",
		    "start more standbys; or --allow-async: commits are then "
		    "on the new primary alone",
		    "%d standby%s to acknowledge each commit, and only %zu "
		    "would be left",
		    wait, wait == 1 ? " has" : "s have", there);
}

void
dr_judge_both(struct dr_judging *j)
{
	etcd(j);
	intent(j);
	if (j->primaries > 1 && !j->resumes)
		dr_judge_refuse(j, "two_primaries",
		    "stop the one that should not be, by hand",
		    "%zu servers answer as primaries", j->primaries);
	if (j->p->chosen != -1 && !j->resumes)
		protection(j);
}

/* --- is it dead? -------------------------------------------------------------------- */

static void
alive(struct dr_judging *j)
{
	const struct dr_promote_look *l = j->l;
	const struct dr_pg_view *v;
	size_t i;

	if (j->p->primary != -1)
		dr_judge_refuse(j, "primary_answers",
		    "dr-promote switchover; or stop it first",
		    "%s answers as the primary", l->view[j->p->primary].name);
	for (i = 0; i < l->n; i++) {
		v = &l->view[i];
		if (l->seen[i].advances)
			dr_judge_refuse(j, "advances",
			    "stop the primary, or cut its network: then this "
			    "ends by itself",
			    "%s is still being sent WAL: the primary lives, "
			    "although it cannot be reached from here",
			    v->name);
		if ((v->probe.state == DR_PROBE_DENIED ||
		        v->probe.state == DR_PROBE_CROWDED) &&
		    (j->p->old == -1 || j->p->old == (int)i) &&
		    j->o->fence == NULL)
			dr_judge_refuse(j, "old_lives",
			    "--fence CMD that stops it; or let this role in",
			    "%s lives, and does not let us in: %s", v->name,
			    v->probe.err.msg);
		if (v->probe.state == DR_PROBE_STARTING)
			dr_judge_warn(j, "starting", "",
			    "%s is starting: it may come back by itself",
			    v->name);
	}
}

static void
observers(struct dr_judging *j)
{
	const struct dr_promote_look *l = j->l;
	const char *where = "";
	char hint[sizeof(j->p->refusal[0].hint)];
	int agree = 0, all = 0;
	size_t i;

	if (j->o->observers <= 0)
		return;
	if (j->p->old != -1)
		where = l->view[j->p->old].where;
	for (i = 0; i < l->votes; i++) {
		if (where[0] != '\0' && strcmp(l->vote[i].where, where) != 0 &&
		    (j->report == NULL ||
		        strcmp(l->vote[i].where, j->report->where) != 0) &&
		    strcmp(l->vote[i].where, j->p->old_name) != 0)
			continue;
		all++;
		agree += l->vote[i].down;
	}
	if (agree >= j->o->observers)
		return;
	(void)snprintf(hint, sizeof(hint),
	    "--observers %d: a primary that only some cannot reach may be "
	    "well",
	    agree);
	dr_judge_refuse(j, "observers", hint,
	    "%d observer%s must find %s down: of %d that look at it, %d do",
	    j->o->observers, dr_plural((uint64_t)j->o->observers),
	    dr_judge_old(j), all, agree);
}

/* --- is it safe? ---------------------------------------------------------------------- */

static void
loss(struct dr_judging *j)
{
	const struct dr_plan *p = j->p;
	const int64_t allowed = dr_judge_allowed(j);
	char text[DR_SIZE_LEN], most[96] = "how much cannot be told";
	char hint[sizeof(p->refusal[0].hint)];

	if (j->o->allow_data_loss || p->held)
		return;
	if (dr_known(p->loss_bytes)) {
		if (p->loss_bytes <= allowed)
			return;
		(void)snprintf(most, sizeof(most),
		    "at most %s (%" PRId64 " bytes of WAL)",
		    dr_format_size((uint64_t)p->loss_bytes, text),
		    p->loss_bytes);
		(void)snprintf(hint, sizeof(hint),
		    "--max-loss %" PRId64 ", or --allow-data-loss: "
		    "acknowledged commits may be lost, %s",
		    p->loss_bytes, most);
	} else
		(void)snprintf(hint, sizeof(hint),
		    "--allow-data-loss: acknowledged commits may be lost, %s",
		    most);
	if (j->unfollowed)
		dr_judge_refuse(j, "unfollowed", hint,
		    "nobody has any WAL of timeline %" PRIu32
		    ", on which %s was primary since epoch %" PRId64,
		    j->l->epoch.tli, dr_judge_old(j), j->l->epoch.epoch);
	else if (!p->names_known)
		dr_judge_refuse(j, "sync_unknown", hint,
		    "who had to acknowledge commits is not known: no guard "
		    "has recorded it, and --sync-names does not say");
	else if (p->names.wait == 0)
		dr_judge_refuse(j, "asynchronous", hint,
		    "nobody had to acknowledge commits "
		    "(synchronous_standby_names is empty)");
	else if (p->names.everyone)
		dr_judge_refuse(j, "no_quorum", hint,
		    "any standby may have acknowledged commits (\"*\"), also "
		    "one that is not here");
	else if (j->twice != NULL)
		dr_judge_refuse(j, "no_quorum", hint,
		    "two servers go by the name \"%s\" in the synchronous set",
		    j->twice);
	else if (!j->quorum)
		dr_judge_refuse(j, "no_quorum", hint,
		    "commits were acknowledged by %d of %zu, and only %zu of "
		    "them %s here: not %.80s",
		    p->names.wait, p->names.n, p->cut,
		    p->cut == 1 ? "is" : "are", j->missing);
	else
		dr_judge_refuse(j, "loss", hint,
		    "%s lacks WAL that another has",
		    p->chosen == -1
		        ? "whoever takes over"
		        : dr_judge_view(j, &p->node[p->chosen])->name);
}

static void
fence(struct dr_judging *j)
{
	if (j->p->fence[0] != '\0' || j->resumes)
		return;
	dr_judge_refuse(j, "no_fence",
	    "--fence CMD proves it; --fence true is your word for it: should "
	    "it live, there are two primaries",
	    "nothing proves that %s writes no more: no --fence, no lease that "
	    "its guard lost, and not all of the synchronous set is cut off",
	    dr_judge_old(j));
}

static void
chosen(struct dr_judging *j)
{
	const struct dr_plan_node *c = &j->p->node[j->p->chosen];
	const struct dr_node_facts *f = dr_judge_facts(j, c);
	char text[DR_SIZE_LEN];

	if (dr_known(f->backups) && f->backups > 0)
		dr_judge_warn(j, "backup_running", "",
		    "base backups from %s run: they will fail",
		    dr_judge_view(j, c)->name);
	if (dr_known(c->to_replay) && c->to_replay > DR_JUDGE_UNDERWAY)
		dr_judge_warn(j, "to_replay", "",
		    "%s has %s to replay before it opens",
		    dr_judge_view(j, c)->name,
		    dr_format_size((uint64_t)c->to_replay, text));
	if (f->known && !f->checksums && !f->log_hints)
		dr_judge_warn(j, "no_rewind", "",
		    "without checksums and wal_log_hints %s cannot be rewound "
		    "to rejoin",
		    dr_judge_old(j));
	if (f->known && !f->full_page_writes)
		dr_judge_warn(j, "no_full_page_writes", "",
		    "full_page_writes is off on %s", dr_judge_view(j, c)->name);
}

void
dr_judge_failover(struct dr_judging *j)
{
	dr_judge_both(j);
	if (j->resumes)
		return;
	alive(j);
	observers(j);
	if (j->p->chosen == -1)
		return;
	loss(j);
	fence(j);
	chosen(j);
}
