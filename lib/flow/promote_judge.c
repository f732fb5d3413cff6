/* Who could take over, and what speaks against it.  Pure. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "flow/promote_judge_int.h"

void
dr_judge_say(struct dr_plan_says *v, size_t *n, const char *word,
    const char *hint, const char *fmt, ...)
{
	struct dr_plan_says *s;
	va_list ap;

	if (*n == DR_PLAN_SAYS)
		return;
	s = &v[(*n)++];
	(void)snprintf(s->word, sizeof(s->word), "%s", word);
	(void)snprintf(s->hint, sizeof(s->hint), "%s", hint);
	va_start(ap, fmt);
	(void)vsnprintf(s->text, sizeof(s->text), fmt, ap);
	va_end(ap);
}

/* --- what the others ask for -------------------------------------------------- */

bool
dr_judge_answers(const struct dr_judging *j, int at)
{
	return dr_probe_answers(j->l->view[at].probe.state);
}

static bool
same(const struct dr_pg_view *a, const struct dr_pg_view *b)
{
	return a->system_id == b->system_id && dr_known(a->started) &&
	       a->started == b->started && a->version == b->version &&
	       strcmp(a->name, b->name) == 0;
}

bool
dr_judge_alias(const struct dr_judging *j, int at)
{
	int i;

	for (i = 0; i < at; i++)
		if (dr_judge_answers(j, i) && dr_judge_answers(j, at) &&
		    same(&j->l->view[i], &j->l->view[at]))
			return true;
	return false;
}

bool
dr_judge_standby(const struct dr_judging *j, int at)
{
	const struct dr_pg_view *v = &j->l->view[at];

	return dr_judge_answers(j, at) && v->in_recovery &&
	       !dr_judge_alias(j, at) &&
	       (j->system_id == 0 || v->system_id == j->system_id);
}

bool
dr_judge_tag(const char *tags, const char *word)
{
	static const char between[] = " ,\t";
	size_t n, len = strlen(word);

	for (; *tags != '\0'; tags += n) {
		tags += strspn(tags, between);
		n = strcspn(tags, between);
		if (n == len && strncasecmp(tags, word, n) == 0)
			return true;
	}
	return false;
}

int64_t
dr_judge_allowed(const struct dr_judging *j)
{
	if (j->o->allow_data_loss)
		return INT64_MAX;
	return dr_known(j->o->max_loss) ? j->o->max_loss : 0;
}

const char *
dr_judge_old(const struct dr_judging *j)
{
	return j->p->old_name[0] != '\0' ? j->p->old_name : "the old primary";
}

const struct dr_rec_intent *
dr_judge_intent(const struct dr_judging *j)
{
	return j->l->has_intent && j->l->intent.step != DR_STEP_DONE
	           ? &j->l->intent
	           : NULL;
}

/* --- who is who ----------------------------------------------------------------- */

static void
primaries(struct dr_judging *j)
{
	size_t i;

	for (i = 0; i < j->l->n; i++)
		if (dr_judge_answers(j, (int)i) && !j->l->view[i].in_recovery &&
		    !dr_judge_alias(j, (int)i)) {
			j->p->primary = (int)i;
			j->primaries++;
		}
	if (j->primaries != 1)
		j->p->primary = -1;
}

/* Of the primary, else the one that most servers have. */
static void
system_id(struct dr_judging *j)
{
	size_t i, k, n, most = 0;

	if (j->p->primary != -1) {
		j->system_id = j->l->view[j->p->primary].system_id;
		return;
	}
	for (i = 0; i < j->l->n; i++) {
		for (k = n = 0; k < j->l->n; k++)
			n += dr_judge_answers(j, (int)k) &&
			     j->l->view[k].system_id == j->l->view[i].system_id;
		if (dr_judge_answers(j, (int)i) && n > most) {
			most = n;
			j->system_id = j->l->view[i].system_id;
		}
	}
}

/* Who was primary, as far as somebody wrote it down. */
static const char *
recorded_name(const struct dr_judging *j)
{
	const struct dr_promote_look *l = j->l;
	const struct dr_rec_intent *intent = dr_judge_intent(j);
	size_t i;

	if (intent != NULL && intent->former[0] != '\0')
		return intent->former;
	if (l->has_epoch && l->epoch.leader[0] != '\0')
		return l->epoch.leader;
	if (l->has_sync && l->sync.leader[0] != '\0')
		return l->sync.leader;
	for (i = 0; i < l->reports; i++)
		if (strcmp(l->report[i].kind, "guard") == 0 &&
		    strcmp(l->report[i].role, "primary") == 0)
			return l->report[i].name;
	return "";
}

/* The only one that does not answer, or -1. */
static int
silent(const struct dr_judging *j)
{
	int at = -1;
	size_t i;

	for (i = 0; i < j->l->n; i++)
		if (!dr_judge_answers(j, (int)i)) {
			if (at != -1)
				return -1;
			at = (int)i;
		}
	return at;
}

static void
old(struct dr_judging *j)
{
	struct dr_plan *p = j->p;
	const char *name = recorded_name(j);
	size_t i;

	if (p->primary != -1 && !j->resumes) {
		p->old = p->primary;
		name = j->l->view[p->old].name;
	} else if (name[0] != '\0')
		p->old = dr_promote_find(j->l, name);
	if (p->old == -1)
		p->old = silent(j);
	if (p->old != -1 && name[0] == '\0')
		name = j->l->view[p->old].name;
	(void)snprintf(p->old_name, sizeof(p->old_name), "%s", name);
	for (i = 0; i < j->l->reports; i++)
		if (strcmp(j->l->report[i].kind, "guard") == 0 &&
		    strcmp(j->l->report[i].name, name) == 0)
			j->report = &j->l->report[i];
	if (p->old != -1 && dr_judge_answers(j, p->old)) {
		j->major = j->l->view[p->old].version / 10000;
		if (j->l->node[p->old].facts.known)
			j->region = j->l->node[p->old].facts.region;
	}
	if (j->region == NULL && j->report != NULL)
		j->region = j->report->region;
}

/* --- who is the best -------------------------------------------------------------- */

/* Is A better than B? */
static bool
better(const struct dr_judging *j, const struct dr_plan_node *a,
    const struct dr_plan_node *b)
{
	int pa = dr_judge_facts(j, a)->priority;
	int pb = dr_judge_facts(j, b)->priority;

	if (a->tli != b->tli)
		return a->tli > b->tli;
	if (a->lsn != b->lsn)
		return a->lsn > b->lsn;
	if (a->synchronous != b->synchronous)
		return a->synchronous;
	if (pa != pb)
		return pa > pb;
	return strcmp(dr_judge_view(j, a)->name, dr_judge_view(j, b)->name) < 0;
}

static void
rank(struct dr_judging *j)
{
	struct dr_plan_node *a, *b;
	size_t i, k;

	for (i = 0; i < j->p->n; i++) {
		a = &j->p->node[i];
		a->eligible = a->says == 0;
	}
	for (i = 0; i < j->p->n; i++) {
		a = &j->p->node[i];
		if (!a->eligible)
			continue;
		a->rank = 1;
		for (k = 0; k < j->p->n; k++) {
			b = &j->p->node[k];
			if (k != i && b->eligible &&
			    (better(j, b, a) || (!better(j, a, b) && k < i)))
				a->rank++;
		}
		if (a->rank == 1)
			j->p->chosen = (int)i;
	}
}

static void
wanted(struct dr_judging *j, const char *name)
{
	struct dr_plan *p = j->p;
	const struct dr_plan_node *n;
	int at = dr_promote_find(j->l, name);

	p->chosen = -1;
	if (at == -1) {
		dr_judge_refuse(j, "candidate",
		    "names are those of cluster_name, else HOST:PORT",
		    "none of these servers is called \"%s\"", name);
		return;
	}
	n = &p->node[at];
	if (n->eligible)
		p->chosen = at;
	else
		dr_judge_refuse(j, "candidate", n->say[0].hint,
		    "%s cannot take over: %s", name, n->say[0].text);
}

/* One that was being made primary is, whatever else there is. */
static void
resumed(struct dr_judging *j)
{
	const struct dr_rec_intent *i = dr_judge_intent(j);
	struct dr_plan *p = j->p;
	int at = dr_promote_find(j->l, i->candidate);

	p->chosen = at;
	if (at == -1 || !dr_judge_answers(j, at))
		dr_judge_refuse(j, "unfinished",
		    "start it; or, once it is certain that it is stopped and "
		    "stays so, dr-promote undo",
		    "%s was being made primary in epoch %lld, and does not "
		    "answer",
		    i->candidate, (long long)i->epoch);
	else
		dr_judge_warn(j, "unfinished", "",
		    "%s to %s (epoch %lld) was not finished: it is gone on "
		    "with from \"%s\"",
		    i->verb, i->candidate, (long long)i->epoch,
		    dr_step_word(i->step));
}

static void
choose(struct dr_judging *j)
{
	struct dr_plan *p = j->p;

	rank(j);
	if (j->verb == DR_VERB_FOLLOW || j->verb == DR_VERB_UNDO) {
		p->chosen = p->primary;
		return;
	}
	if (j->resumes)
		resumed(j);
	else if (j->o->candidate != NULL)
		wanted(j, j->o->candidate);
	else if (p->chosen == -1)
		dr_judge_refuse(j, "no_candidate",
		    "see what is said of each of them",
		    "no server can take over");
}

/* --- all of it ---------------------------------------------------------------------- */

int
dr_promote_judge(const struct dr_promote_opts *o, enum dr_promote_verb verb,
    const struct dr_promote_look *l, const struct dr_node_end *ends,
    struct dr_plan *p, struct dr_err *err)
{
	static const char *const verbs[] = { "failover", "switchover" };
	struct dr_judging j = { .o = o,
		.verb = verb,
		.l = l,
		.ends = ends,
		.p = p };
	const struct dr_rec_intent *intent;
	size_t i;

	memset(p, 0, sizeof(*p));
	p->verb = verb;
	p->primary = p->old = p->chosen = -1;
	p->loss_bytes = p->loss_us = p->rto_us = DR_UNKNOWN;
	if ((p->node = calloc(l->n + 1, sizeof(*p->node))) == NULL)
		return dr_err_sys(err, "cannot allocate a plan");
	p->n = l->n;
	for (i = 0; i < p->n; i++) {
		p->node[i].at = (int)i;
		p->node[i].behind = p->node[i].to_replay = DR_UNKNOWN;
	}
	intent = dr_judge_intent(&j);
	j.resumes = intent != NULL && intent->step >= DR_STEP_PROMOTING &&
	            (verb == DR_VERB_FAILOVER || verb == DR_VERB_SWITCHOVER) &&
	            strcmp(intent->verb, verbs[verb]) == 0;
	primaries(&j);
	system_id(&j);
	old(&j);
	dr_judge_line(&j);
	if (dr_judge_names(&j, err) == -1) {
		dr_err_wrap(err, "the synchronous set");
		goto fail;
	}
	for (i = 0; i < p->n; i++)
		dr_judge_node(&j, &p->node[i]);
	choose(&j);
	dr_judge_loss(&j);
	if (verb == DR_VERB_FAILOVER)
		dr_judge_failover(&j);
	else if (verb == DR_VERB_SWITCHOVER)
		dr_judge_switchover(&j);
	else if (verb == DR_VERB_FOLLOW && j.primaries == 0)
		dr_judge_refuse(&j, "no_primary", "dr-promote failover",
		    "no server answers as the primary");
	else if (verb == DR_VERB_FOLLOW && j.primaries > 1)
		dr_judge_refuse(&j, "two_primaries",
		    "stop the one that should not be, by hand",
		    "%zu servers answer as primaries", j.primaries);
	return 0;

fail:
	dr_promote_plan_wipe(p);
	return -1;
}

void
dr_promote_plan_wipe(struct dr_plan *p)
{
	free(p->node);
	dr_syncnames_free(&p->names);
	memset(p, 0, sizeof(*p));
	p->primary = p->old = p->chosen = -1;
}

int
dr_promote_find(const struct dr_promote_look *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->view[i].name, name) == 0)
			return (int)i;
	for (i = 0; i < l->n; i++)
		if (strcmp(l->view[i].where, name) == 0)
			return (int)i;
	return -1;
}
