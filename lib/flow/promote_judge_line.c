/*
 * Which line of WAL counts, and who is on it.  Positions on different
 * timelines say nothing by themselves: one that went on along a timeline that
 * others have left is further on, and of no use.
 */
#include <string.h>

#include "flow/promote_judge_int.h"

static bool
further(uint32_t tli, uint64_t lsn, uint32_t than, uint64_t than_lsn)
{
	return tli > than || (tli == than && lsn > than_lsn);
}

static void
positions(struct dr_judging *j)
{
	struct dr_plan_node *n;
	const struct dr_pg_view *v;
	uint64_t replayed;
	size_t i;

	for (i = 0; i < j->p->n; i++) {
		n = &j->p->node[i];
		v = dr_judge_view(j, n);
		n->to_replay = n->behind = DR_UNKNOWN;
		if (!dr_judge_answers(j, n->at))
			continue;
		if (j->ends != NULL && v->in_recovery) {
			if (!j->ends[n->at].known)
				continue;
			n->tli = j->ends[n->at].tli;
			n->lsn = j->ends[n->at].received;
			replayed = j->ends[n->at].replayed;
		} else if (v->in_recovery) {
			n->tli = v->tli;
			n->lsn = v->replayed;
			replayed = v->replayed;
			if (v->received > n->lsn) {
				n->lsn = v->received;
				if (v->received_tli > n->tli)
					n->tli = v->received_tli;
			}
		} else {
			n->tli = v->tli;
			n->lsn = replayed = v->lsn;
		}
		if (n->lsn != 0 && replayed != 0 && n->lsn >= replayed)
			n->to_replay = (int64_t)(n->lsn - replayed);
	}
}

/* The newest timeline that somebody has written down as the primary's. */
static uint32_t
recorded(const struct dr_judging *j)
{
	const struct dr_promote_look *l = j->l;
	uint32_t tli = 0;

	if (l->has_epoch)
		tli = l->epoch.tli;
	if (l->has_sync && l->sync.tli > tli)
		tli = l->sync.tli;
	if (j->report != NULL && j->report->tli > tli)
		tli = j->report->tli;
	return tli;
}

static const struct dr_history *
history(const struct dr_judging *j, const struct dr_plan_node *n)
{
	const struct dr_node_facts *f = dr_judge_facts(j, n);

	return f->has_history && (f->history.tli == n->tli || n->tli == 1)
	           ? &f->history
	           : NULL;
}

/* Did TLI, whose history this is, come out of FROM? */
static bool
comes_from(const struct dr_history *h, uint32_t tli, uint32_t from)
{
	return tli == from || (h != NULL && dr_history_end(h, from) != 0);
}

/* Did the caller decide for the recorded line, against a newer one? */
static bool
decided(const struct dr_judging *j, uint32_t known)
{
	int at = j->o->candidate != NULL
	             ? dr_promote_find(j->l, j->o->candidate)
	             : -1;

	return at != -1 && j->p->node[at].tli != 0 &&
	       j->p->node[at].tli <= known;
}

static bool
counts(const struct dr_judging *j, const struct dr_plan_node *n, uint32_t known)
{
	const struct dr_pg_view *v = dr_judge_view(j, n);

	if (n->tli == 0 || n->lsn == 0 || dr_judge_alias(j, n->at) ||
	    (j->system_id != 0 && v->system_id != j->system_id))
		return false;
	/* A failover asks what would be left without it. */
	if (!v->in_recovery)
		return j->verb != DR_VERB_FAILOVER && n->at == j->p->primary;
	if (n->tli <= known || known == 0)
		return true;
	return comes_from(history(j, n), n->tli, known) && !decided(j, known);
}

static bool
on_line(const struct dr_judging *j, const struct dr_plan_node *n)
{
	uint64_t end;

	if (n->tli == 0 || n->lsn == 0)
		return false;
	if (j->unfollowed &&
	    (j->l->epoch.fork == 0 || n->lsn > j->l->epoch.fork))
		return false;
	if (n->tli == j->tli)
		return true;
	if (n->tli > j->tli || j->history == NULL)
		return false;
	end = dr_history_end(j->history, n->tli);
	return end != 0 && n->lsn <= end;
}

/* Receivers of WAL are no candidates, and yet may hold the most. */
static void
receivers(struct dr_judging *j)
{
	const struct dr_rec_node *r;
	size_t i;

	for (i = 0; i < j->l->reports; i++) {
		r = &j->l->report[i];
		if (strcmp(r->kind, "receiver") == 0 && r->tli == j->tli &&
		    r->lsn > j->lsn)
			j->lsn = r->lsn;
	}
}

/* Whoever went another way had the line's WAL up to where it left. */
static void
forked(struct dr_judging *j)
{
	const struct dr_plan_node *n;
	const struct dr_history *h;
	uint64_t end;
	size_t i;

	for (i = 0; i < j->p->n; i++) {
		n = &j->p->node[i];
		if (n->tli <= j->tli || !dr_judge_standby(j, n->at) ||
		    (h = history(j, n)) == NULL)
			continue;
		end = dr_history_end(h, j->tli);
		if (end != UINT64_MAX && end > j->lsn)
			j->lsn = end;
	}
}

/*
 * Somebody promoted by other means, with or without reason, while the record
 * stands: what lies on either line is lost by a choice for the other.
 */
static void
unrecorded(struct dr_judging *j, uint32_t known)
{
	const struct dr_plan_node *n;
	size_t i;

	if (known == 0 || j->resumes)
		return;
	for (i = 0; i < j->p->n; i++) {
		n = &j->p->node[i];
		if (n->tli <= known || !dr_judge_standby(j, n->at) ||
		    !comes_from(history(j, n), n->tli, known))
			continue;
		if (j->verb == DR_VERB_FAILOVER && !j->o->allow_data_loss)
			dr_judge_refuse(j, "unrecorded",
			    "--candidate NAME --allow-data-loss: what is on "
			    "the other timeline is lost",
			    "%s is on timeline %u, and the last that is "
			    "recorded is %u: somebody promoted by other means",
			    dr_judge_view(j, n)->name, n->tli, known);
		else
			dr_judge_warn(j, "unrecorded", "",
			    "%s is on timeline %u, and the last that is "
			    "recorded is %u: somebody promoted by other means",
			    dr_judge_view(j, n)->name, n->tli, known);
		return;
	}
}

void
dr_judge_line(struct dr_judging *j)
{
	const uint32_t known = recorded(j);
	struct dr_plan_node *n;
	size_t i;

	positions(j);
	for (i = 0; i < j->p->n; i++) {
		n = &j->p->node[i];
		if (!counts(j, n, known))
			continue;
		if (further(n->tli, n->lsn, j->tli, j->lsn)) {
			if (n->tli != j->tli)
				j->history = NULL;
			j->tli = n->tli;
			j->lsn = n->lsn;
		}
		if (n->tli == j->tli && j->history == NULL)
			j->history = history(j, n);
	}
	j->unfollowed = j->l->has_epoch && j->tli != 0 &&
	                j->l->epoch.tli > j->tli && !j->resumes;
	unrecorded(j, known);
	receivers(j);
	forked(j);
	for (i = 0; i < j->p->n; i++) {
		n = &j->p->node[i];
		n->ancestor_ok = on_line(j, n);
		if (n->ancestor_ok)
			n->behind =
			    n->lsn < j->lsn ? (int64_t)(j->lsn - n->lsn) : 0;
	}
}
