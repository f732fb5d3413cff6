/* What a plan would do, in words. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "flow/promote_print_int.h"

static void step(struct dr_plan_steps *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
step(struct dr_plan_steps *s, const char *fmt, ...)
{
	va_list ap;

	if (s->n == DR_PLAN_STEPS)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(s->text[s->n++], sizeof(s->text[0]), fmt, ap);
	va_end(ap);
}

const char *
dr_plan_old(const struct dr_plan *p)
{
	return p->old_name[0] != '\0' ? p->old_name : "the old primary";
}

static bool
standby(const struct dr_promote_look *l, size_t i)
{
	return dr_probe_answers(l->view[i].probe.state) &&
	       l->view[i].in_recovery;
}

/* "b, c and d"; all standbys but EXCEPT. */
static char *
list(const struct dr_promote_look *l, int except, char *out, size_t size)
{
	size_t i, n = 0, at = 0, used = 0;
	int w;

	out[0] = '\0';
	for (i = 0; i < l->n; i++)
		n += standby(l, i) && (int)i != except;
	for (i = 0; i < l->n; i++) {
		if (!standby(l, i) || (int)i == except)
			continue;
		w = snprintf(out + used, size - used, "%s%s",
		    at == 0      ? ""
		    : at + 1 < n ? ", "
		                 : " and ",
		    l->view[i].name);
		if (w < 0 || (size_t)w >= size - used)
			break;
		used += (size_t)w;
		at++;
	}
	return out;
}

static void
lock(const struct dr_promote_opts *o, struct dr_plan_steps *s)
{
	if (o->coord != NULL)
		step(s, "take the lock of %s in etcd, and record the intent",
		    o->set);
	else
		step(s,
		    "take the lock of %s on this host (nobody else is kept "
		    "from acting)",
		    o->set);
}

/* The synchronous set as it is to be afterwards. */
static int
sync_set(const struct dr_promote_look *l, const struct dr_plan *p,
    const char *chosen, struct dr_plan_steps *s, struct dr_err *err)
{
	const char *old = p->old != -1 && l->seen[p->old].member[0] != '\0'
	                      ? l->seen[p->old].member
	                      : p->old_name;
	struct dr_buf text = { .max = 4096 };
	struct dr_syncnames after = { 0 };
	int rc = -1;

	if (!p->names_known || p->names.wait == 0)
		return 0;
	/* Where it lies is no name by which it could acknowledge. */
	if (p->old != -1 && strcmp(old, l->view[p->old].where) == 0)
		old = "";
	if (dr_syncnames_swap(&p->names, l->seen[p->node[p->chosen].at].member,
	        old, &after, err) == -1 ||
	    dr_syncnames_format(&after, &text, err) == -1)
		goto out;
	step(s, "set synchronous_standby_names of %s to %s", chosen, text.data);
	rc = 0;

out:
	dr_syncnames_free(&after);
	dr_buf_free(&text);
	return rc;
}

static void
fence(const struct dr_plan *p, struct dr_plan_steps *s)
{
	const char *old = dr_plan_old(p);

	if (strcmp(p->fence, "hook") == 0)
		step(s, "have the fence hook prove that %s writes no more",
		    old);
	else if (strcmp(p->fence, "quorum") == 0)
		step(s,
		    "%s needs no other fence: nobody is left who could "
		    "acknowledge its commits",
		    old);
	else if (strcmp(p->fence, "lease") == 0)
		step(s,
		    "wait until the guard of %s has lost its lease, and so "
		    "has stopped it",
		    old);
	else
		step(s, "prove that %s writes no more: nothing does", old);
}

static void
end(const struct dr_promote_opts *o, const char *chosen, const char *action,
    struct dr_plan_steps *s)
{
	if (o->allow_async)
		step(s,
		    "write a row on %s, whether or not anybody acknowledges "
		    "it",
		    chosen);
	else
		step(s,
		    "write a row on %s that its synchronous set acknowledges",
		    chosen);
	if (o->route != NULL)
		step(s, "have the route hook %s %s", action, chosen);
	if (o->through != NULL)
		step(s, "write a row through the router");
}

static int
failover(const struct dr_promote_opts *o, const struct dr_promote_look *l,
    const struct dr_plan *p, struct dr_plan_steps *s, struct dr_err *err)
{
	const int at = p->node[p->chosen].at;
	const char *chosen = dr_plan_name(l, at);
	char all[256], took[DR_SIZE_LEN];

	lock(o, s);
	if (o->restart_ms > 0 && o->start != NULL)
		step(s, "have the start hook start %s again, and wait %s",
		    dr_plan_old(p), dr_format_msec(o->restart_ms, took));
	step(s,
	    "cut off %s (primary_conninfo = ''), and let them replay what "
	    "they have; the best of them may be another than %s by then",
	    list(l, -1, all, sizeof(all)), chosen);
	fence(p, s);
	if (list(l, at, all, sizeof(all))[0] != '\0')
		step(s, "point %s at %s", all, chosen);
	if (sync_set(l, p, chosen, s, err) == -1)
		return -1;
	step(s, "record the new epoch, and promote %s", chosen);
	end(o, chosen, "lead clients to", s);
	return 0;
}

static int
switchover(const struct dr_promote_opts *o, const struct dr_promote_look *l,
    const struct dr_plan *p, struct dr_plan_steps *s, struct dr_err *err)
{
	const int at = p->node[p->chosen].at;
	const char *chosen = dr_plan_name(l, at), *old = dr_plan_old(p);
	char all[256], took[DR_SIZE_LEN];

	lock(o, s);
	step(s, "CHECKPOINT on %s", old);
	if (sync_set(l, p, chosen, s, err) == -1)
		return -1;
	if (o->route != NULL)
		step(s, "have the route hook pause clients, for at most %s",
		    dr_format_msec(o->pause_ms, took));
	step(s, "put standby.signal and primary_conninfo (%s) onto %s", chosen,
	    old);
	step(s,
	    "have the stop hook stop %s (fast, within %s; otherwise it is "
	    "started as the primary again, and all is as before)",
	    old, dr_format_msec(o->stop_ms, took));
	step(s,
	    "wait until %s has the record of that shutdown: the last that %s "
	    "wrote",
	    chosen, old);
	step(s, "record the new epoch, and promote %s", chosen);
	end(o, chosen, "let clients go on, at", s);
	step(s, "have the start hook start %s as a standby of %s", old, chosen);
	if (list(l, at, all, sizeof(all))[0] != '\0')
		step(s, "point %s at %s", all, chosen);
	return 0;
}

static void
follow(const struct dr_promote_opts *o, const struct dr_promote_look *l,
    const struct dr_plan *p, struct dr_plan_steps *s)
{
	const char *primary = dr_plan_name(l, p->primary);
	char all[256];

	lock(o, s);
	if (o->sync_names != NULL)
		step(s, "set synchronous_standby_names of %s to %s", primary,
		    o->sync_names);
	if (list(l, -1, all, sizeof(all))[0] != '\0')
		step(s, "point those of %s at %s that do not follow it", all,
		    primary);
}

static void
undo(const struct dr_promote_opts *o, const struct dr_promote_look *l,
    const struct dr_plan *p, struct dr_plan_steps *s)
{
	const struct dr_node_facts *f;
	size_t i;

	lock(o, s);
	if (l->has_intent && l->intent.step >= DR_STEP_PROMOTING)
		step(s, "make sure that %s is dead, which was being promoted",
		    l->intent.candidate);
	for (i = 0; i < l->n; i++) {
		f = &l->node[i].facts;
		if (standby(l, i) && f->known && f->saved[0] != '\0' &&
		    f->conninfo[0] == '\0')
			step(s, "give %s its primary_conninfo back",
			    l->view[i].name);
	}
	if (p->primary != -1)
		step(s, "take standby.signal from %s, if it was put there",
		    dr_plan_name(l, p->primary));
	if (p->primary != -1 && o->route != NULL)
		step(s, "have the route hook let clients go on, at %s",
		    dr_plan_name(l, p->primary));
	step(s, "take the intent back");
}

int
dr_plan_steps(const struct dr_promote_opts *o, const struct dr_promote_look *l,
    const struct dr_plan *p, struct dr_plan_steps *s, struct dr_err *err)
{
	s->n = 0;
	if (p->verb == DR_VERB_UNDO)
		undo(o, l, p, s);
	if (p->chosen == -1)
		return 0;
	if (p->verb == DR_VERB_FOLLOW)
		follow(o, l, p, s);
	if (p->verb == DR_VERB_FAILOVER)
		return failover(o, l, p, s, err);
	if (p->verb == DR_VERB_SWITCHOVER)
		return switchover(o, l, p, s, err);
	return 0;
}
