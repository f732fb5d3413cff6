/* What speaks against one server as the next primary. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "flow/promote_judge_int.h"

#define say(n, ...) dr_judge_say((n)->say, &(n)->says, __VA_ARGS__)

static void
positions(struct dr_judging *j, struct dr_plan_node *n)
{
	const struct dr_pg_view *v = dr_judge_view(j, n);
	const struct dr_node_facts *f = dr_judge_facts(j, n);
	const struct dr_promote_look *l = j->l;
	int64_t limit = dr_judge_allowed(j);
	char text[DR_SIZE_LEN], lsn[DR_LSN_LEN];

	if (j->ends != NULL && !j->ends[n->at].known) {
		say(n, "not_cut", "",
		    "it could not be cut off from the primary, so that its "
		    "end is not known%s%s",
		    l->node[n->at].err.msg[0] != '\0' ? ": " : "",
		    l->node[n->at].err.msg);
		return;
	}
	if (n->tli == 0 || n->lsn == 0) {
		say(n, "position_unknown", "",
		    "where its WAL ends is not known");
		return;
	}
	if (!n->ancestor_ok) {
		uint64_t end = j->history != NULL && n->tli < j->tli
		                   ? dr_history_end(j->history, n->tli)
		                   : 0;

		if (j->history == NULL && n->tli < j->tli)
			say(n, "diverged",
			    "give a role that may read pg_wal (a superuser)",
			    "it is on timeline %" PRIu32 ", and the history of "
			    "timeline %" PRIu32 " could not be read",
			    n->tli, j->tli);
		else if (end != 0)
			say(n, "diverged",
			    "rejoin it: its own WAL after there is to go",
			    "timeline %" PRIu32 " left its timeline, %" PRIu32
			    ", at %s, and it went on beyond that",
			    j->tli, n->tli, dr_format_lsn(end, lsn));
		else
			say(n, "diverged", "rejoin it, or make it anew",
			    "its timeline, %" PRIu32 ", is not on the way to "
			    "timeline %" PRIu32,
			    n->tli, j->unfollowed ? l->epoch.tli : j->tli);
		return;
	}
	if (j->verb == DR_VERB_SWITCHOVER)
		limit = limit > DR_JUDGE_UNDERWAY ? limit : DR_JUDGE_UNDERWAY;
	/* Before it is cut off, what streams is always a little behind. */
	else if (j->ends == NULL && strcmp(v->receiver, "streaming") == 0 &&
	         limit < DR_JUDGE_UNDERWAY)
		limit = DR_JUDGE_UNDERWAY;
	/* What it lacks it may yet get from a store. */
	if (j->ends == NULL && f->restore_command[0] != '\0')
		return;
	if (n->behind > limit)
		say(n, "behind",
		    j->verb == DR_VERB_SWITCHOVER
		        ? "wait until it has caught up"
		        : "--max-loss SIZE of at least that, or "
		          "--allow-data-loss: they are lost",
		    "it is %s (%" PRId64 " bytes) behind what is known",
		    dr_format_size((uint64_t)n->behind, text), n->behind);
}

static void
settings(struct dr_judging *j, struct dr_plan_node *n)
{
	const struct dr_pg_view *v = dr_judge_view(j, n);
	const struct dr_node_facts *f = dr_judge_facts(j, n);
	char text[DR_SIZE_LEN];

	if (!f->known) {
		say(n, "facts_unknown", "",
		    "what it is set to could not be asked%s%s",
		    j->l->node[n->at].err.msg[0] != '\0' ? ": " : "",
		    j->l->node[n->at].err.msg);
		return;
	}
	if (!f->superuser)
		say(n, "not_superuser", "name a superuser with -d",
		    "the role that connects is no superuser there");
	if (v->paused)
		say(n, "paused", "SELECT pg_wal_replay_resume()",
		    "replay is paused: it would stay paused, and not end");
	if (dr_known(v->apply_delay) && v->apply_delay > 0)
		say(n, "delayed", "recovery_min_apply_delay = 0",
		    "it replays %s late by design (recovery_min_apply_delay)",
		    dr_format_msec((uint64_t)v->apply_delay / 1000, text));
	else if (dr_judge_tag(f->tags, "delayed"))
		say(n, "delayed", "take the tag out of drtools.tags",
		    "its tags say that it is delayed");
	if (dr_judge_tag(f->tags, "nofailover"))
		say(n, "nofailover", "take the tag out of drtools.tags",
		    "its tags say nofailover");
	if (f->priority == 0)
		say(n, "priority_zero", "drtools.priority = 1, or more",
		    "its priority is 0: never");
	if (j->verb == DR_VERB_SWITCHOVER && dr_known(f->backups) &&
	    f->backups > 0)
		say(n, "backup_running", "wait for its end",
		    "%" PRId64 " base backup%s made from it", f->backups,
		    f->backups == 1 ? " is" : "s are");
}

static void
region(struct dr_judging *j, struct dr_plan_node *n)
{
	const char *own = dr_judge_facts(j, n)->region;

	if (j->o->cross_region || !dr_judge_facts(j, n)->known)
		return;
	if (j->region == NULL && own[0] != '\0')
		say(n, "region", "--cross-region",
		    "it is in region \"%s\", and of %s that is not known", own,
		    dr_judge_old(j));
	else if (j->region != NULL && strcasecmp(j->region, own) != 0)
		say(n, "region", "--cross-region: clients will be far from it",
		    "it is in region \"%s\", %s in \"%s\"", own,
		    dr_judge_old(j), j->region);
}

void
dr_judge_node(struct dr_judging *j, struct dr_plan_node *n)
{
	const struct dr_pg_view *v = dr_judge_view(j, n);
	int major = v->version / 10000;

	if (!dr_judge_answers(j, n->at)) {
		say(n, "not_answering", "", "%s",
		    v->probe.err.msg[0] != '\0'
		        ? v->probe.err.msg
		        : dr_probe_word(v->probe.state));
		return;
	}
	if (dr_judge_alias(j, n->at)) {
		say(n, "twice", "", "it is in the list already");
		return;
	}
	if (!v->in_recovery) {
		say(n, "not_standby", "", "it is a primary");
		return;
	}
	if (j->system_id != 0 && v->system_id != j->system_id) {
		say(n, "other_system", "take it out of the list",
		    "it is of another cluster: its system identifier is "
		    "%" PRIu64 ", not %" PRIu64,
		    v->system_id, j->system_id);
		return;
	}
	if (j->major != 0 && major != j->major)
		say(n, "other_version", "", "its version is %d, that of %s %d",
		    major, dr_judge_old(j), j->major);
	positions(j, n);
	settings(j, n);
	region(j, n);
}
