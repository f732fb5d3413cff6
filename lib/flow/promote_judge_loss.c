/*
 * What would be lost: nothing, where every acknowledged commit lies with
 * somebody who is cut off and whose end is known; else no more than what the
 * old primary was last known to have, and what it wrote since.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "flow/promote_judge_int.h"

/* --- the synchronous set ------------------------------------------------------ */

/* As the primary enforces it; NULL: nobody tells. */
static const char *
demand(struct dr_judging *j)
{
	const struct dr_promote_look *l = j->l;
	const struct dr_pg_view *primary =
	    j->p->primary != -1 ? &l->view[j->p->primary] : NULL;

	if (primary != NULL)
		return primary->sync_names;
	if (l->has_sync &&
	    (j->p->old_name[0] == '\0' || l->sync.leader[0] == '\0' ||
	        strcmp(l->sync.leader, j->p->old_name) == 0))
		return l->sync.names;
	if (l->has_sync)
		dr_judge_warn(j, "sync_stale", "",
		    "the record of the synchronous set is of %s, not of %s: "
		    "it is not heeded",
		    l->sync.leader, dr_judge_old(j));
	return j->o->sync_names;
}

/* Will, or did, this one's word about its end count? */
static bool
is_cut(const struct dr_judging *j, int at)
{
	if (!dr_judge_standby(j, at))
		return false;
	return j->ends == NULL || j->ends[at].known;
}

static bool
receiver_cut(const struct dr_judging *j, const struct dr_rec_node *r)
{
	if (strcmp(r->kind, "receiver") != 0)
		return false;
	if (j->ends == NULL)
		return true;
	/* Also of one that was stopped: the next in its place may not know. */
	return r->token != 0 && j->l->has_intent &&
	       r->token == j->l->intent.token;
}

static size_t
holders(struct dr_judging *j, const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < j->l->n; i++)
		if (is_cut(j, (int)i) &&
		    strcasecmp(j->l->seen[i].member, name) == 0)
			n++;
	for (i = 0; i < j->l->reports; i++)
		if (receiver_cut(j, &j->l->report[i]) &&
		    strcasecmp(j->l->report[i].name, name) == 0)
			n++;
	return n;
}

static void
count(struct dr_judging *j)
{
	const struct dr_syncnames *names = &j->p->names;
	size_t i, n, used = 0;
	int w;

	for (i = 0; i < names->n; i++) {
		n = holders(j, names->name[i]);
		if (n > 1)
			j->twice = names->name[i];
		if (n > 0) {
			j->p->cut++;
			continue;
		}
		w = snprintf(j->missing + used, sizeof(j->missing) - used,
		    "%s%s", used > 0 ? ", " : "", names->name[i]);
		if (w > 0 && (size_t)w < sizeof(j->missing) - used)
			used += (size_t)w;
	}
	j->quorum = j->twice == NULL && dr_syncnames_held(names, j->p->cut);
}

int
dr_judge_names(struct dr_judging *j, struct dr_err *err)
{
	const char *text = demand(j);
	struct dr_plan_node *n;
	size_t i;

	if (text == NULL)
		return 0;
	if (dr_syncnames_parse(text, &j->p->names, err) == -1)
		return -1;
	j->p->names_known = true;
	count(j);
	for (i = 0; i < j->p->n; i++) {
		n = &j->p->node[i];
		n->synchronous =
		    dr_judge_standby(j, n->at) &&
		    j->l->seen[n->at].member[0] != '\0' &&
		    dr_syncnames_match(&j->p->names, j->l->seen[n->at].member);
	}
	return 0;
}

/* --- the loss ------------------------------------------------------------------- */

/*
 * No commit that was acknowledged lay beyond this; 0 unknown.  What was
 * written since the guard's last look is estimated at twice the rate that it
 * saw before, and a segment for what begins all of a sudden.
 */
static uint64_t
furthest(const struct dr_judging *j, const struct dr_plan_node *c)
{
	const struct dr_rec_node *r = j->report;
	int64_t age;

	if (j->p->primary != -1)
		return j->l->view[j->p->primary].tli == j->tli
		           ? j->l->view[j->p->primary].lsn
		           : 0;
	if (r == NULL || r->lsn == 0 || r->tli != c->tli)
		return 0;
	/* One that is down has written no more since, but nobody says when. */
	if (!dr_known(r->rate) || r->rate < 0 || r->lsn_time == 0)
		return 0;
	age = j->l->now - r->lsn_time;
	if (age < 0)
		age = 0;
	if (r->rate > 0 && age > INT64_MAX / 2 / r->rate)
		return 0;
	return r->lsn + (uint64_t)(2 * r->rate * age / 1000000) +
	       (uint64_t)DR_JUDGE_UNDERWAY;
}

/*
 * Commits up to the last that it replayed are there; those after it are no
 * older than that.
 */
static int64_t
age_of_end(const struct dr_judging *j, const struct dr_plan_node *c)
{
	const struct dr_pg_view *v = dr_judge_view(j, c);

	if (!dr_known(v->replayed_time) || !dr_known(v->now) ||
	    v->now < v->replayed_time)
		return DR_UNKNOWN;
	return v->now - v->replayed_time;
}

static void
bound(struct dr_judging *j, const struct dr_plan_node *c)
{
	struct dr_plan *p = j->p;
	char text[DR_SIZE_LEN];
	uint64_t end;
	int64_t ago;

	if (j->verb == DR_VERB_SWITCHOVER) {
		p->held = true;
		p->loss_bytes = p->loss_us = 0;
		return;
	}
	if (c == NULL || !dr_known(c->behind) || j->unfollowed || j->resumes)
		return;
	p->held = j->quorum && c->behind == 0;
	if (p->held) {
		p->loss_bytes = p->loss_us = 0;
		return;
	}
	p->loss_us = age_of_end(j, c);
	if (j->quorum) {
		p->loss_bytes = c->behind;
		return;
	}
	if ((end = furthest(j, c)) == 0)
		return;
	if (p->primary == -1) {
		ago = j->l->now - j->report->lsn_time;
		dr_judge_warn(j, "estimated", "",
		    "the bound of the loss rests on what the guard of %s saw "
		    "%s ago, on twice its rate since, and on 16 MiB for what "
		    "began of a sudden",
		    dr_judge_old(j),
		    dr_format_msec(ago > 0 ? (uint64_t)ago / 1000 : 0, text));
	}
	p->loss_bytes = end > c->lsn ? (int64_t)(end - c->lsn) : 0;
	if (p->loss_bytes < c->behind)
		p->loss_bytes = c->behind;
}

/* --- the fence ------------------------------------------------------------------ */

static void
fence(struct dr_judging *j)
{
	const struct dr_promote_look *l = j->l;
	const struct dr_syncnames *names = &j->p->names;
	const char *by = "";

	if (j->verb == DR_VERB_SWITCHOVER)
		by = "stop";
	else if (j->o->fence != NULL)
		by = "hook";
	else if (j->p->names_known && names->wait > 0 && !names->everyone &&
	         j->p->cut >= names->n && j->twice == NULL && l->has_sync &&
	         !l->sync.restart)
		by = "quorum";
	/* Only a guard publishes the synchronous set. */
	else if (l->coord && l->has_sync &&
	         strcmp(l->sync.leader, j->p->old_name) == 0)
		by = "lease";
	(void)snprintf(j->p->fence, sizeof(j->p->fence), "%s", by);
}

void
dr_judge_loss(struct dr_judging *j)
{
	struct dr_plan *p = j->p;

	p->loss_bytes = p->loss_us = DR_UNKNOWN;
	bound(j, p->chosen == -1 ? NULL : &p->node[p->chosen]);
	fence(j);
}
