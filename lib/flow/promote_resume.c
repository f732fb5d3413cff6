/* Runs that did not get to their end, and how they do. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/promote_run.h"

#define POLL_NS 20000000

/* --- an intent that was left --------------------------------------------------------- */

bool
dr_run_left_behind(const struct dr_promote_look *l)
{
	return l->has_intent && l->intent.step >= DR_STEP_PROMOTING &&
	       l->intent.step < DR_STEP_DONE;
}

/*
 * Somebody may have promoted it: nobody else can be chosen before it is
 * proved to be dead, which is for undo.
 */
static int
take_over(struct dr_run *r, struct dr_err *err)
{
	const struct dr_rec_intent *in = &r->look.intent;
	const int at = dr_promote_find(&r->look, in->candidate);
	size_t i;

	for (i = 0; at != -1 && i < r->plan.n; i++)
		if (r->plan.node[i].at == at &&
		    dr_probe_answers(r->look.view[at].probe.state)) {
			r->plan.chosen = (int)i;
			dr_say(0, "going on with %s, which was being promoted",
			    in->candidate);
			if (r->plan.node[i].tli == 0)
				r->plan.node[i].tli = r->look.view[at].tli;
			return dr_run_address(&r->look, at, r->new_host,
			           r->new_port, err) == -1
			           ? -1
			           : 1;
		}
	dr_err_set(err, DR_EPARTIAL,
	    "refused: %s was being promoted, and does not answer",
	    in->candidate);
	return dr_err_hint(err,
	    "name it with -d, or fence it and take the intent away: "
	    "dr-promote undo --fence CMD");
}

int
dr_run_go_on(struct dr_run *r, struct dr_err *err)
{
	if (take_over(r, err) == -1)
		return -1;
	if (!r->o->yes) {
		dr_err_set(err, DR_EPARTIAL, "nothing was done without --yes");
		return -1;
	}
	(void)snprintf(r->ev->candidate, sizeof(r->ev->candidate), "%s",
	    r->look.intent.candidate);
	if (dr_run_lock(r, err) == -1)
		return -1;
	if (r->look.view[dr_run_chosen(r)->at].probe.state ==
	        DR_PROBE_STANDBY &&
	    ((strcmp(r->intent.verb, "switchover") != 0 &&
	         dr_run_fence(r, err) == -1) ||
	        dr_run_gather(r, err) == -1))
		return -1;
	if (dr_run_promote(r, err) == -1 ||
	    dr_run_route(r, "switch", err) == -1 ||
	    dr_run_step(r, DR_STEP_ROUTED, err) == -1)
		return -1;
	return strcmp(r->intent.verb, "switchover") == 0
	           ? dr_run_start_old(r, err)
	           : 0;
}

/* --- what was primary -------------------------------------------------------------- */

/* 1 it streams from the new one, 0 not yet, -1. */
static int
streams(struct dr_run *r, struct dr_err *err)
{
	const char *conninfo = r->look.host[r->plan.old].conninfo;
	struct dr_pg_view *v;
	size_t n;
	int rc;

	if (dr_pg_views(&conninfo, 1, (int)r->o->timeout_ms, &v, &n, err) == -1)
		return -1;
	rc = n == 1 && v->probe.state == DR_PROBE_STANDBY &&
	     strcmp(v->receiver, "streaming") == 0;
	dr_pg_views_free(v, n);
	return rc;
}

int
dr_run_start_old(struct dr_run *r, struct dr_err *err)
{
	const struct timespec pause = { 0, POLL_NS };
	const int64_t until = dr_run_until(r->o->stop_ms);
	enum dr_hook_said said;
	struct dr_err why = { 0 };
	int n = 0;

	if (r->plan.old == -1 || r->o->start == NULL)
		return 0;
	if (dr_run_hook(r, "start", r->o->start, "standby", NULL, r->o->stop_ms,
	        &said, &why, err) == -1)
		return -1;
	if (said != DR_HOOK_DONE) {
		dr_warn("%s does not start as a standby: %s", r->old_name,
		    why.msg);
		return 0;
	}
	while (n == 0 && dr_monotonic() < until) {
		if (dr_run_tick(r, err) == -1 || (n = streams(r, err)) == -1)
			return -1;
		if (n == 0)
			(void)nanosleep(&pause, NULL);
	}
	if (n == 0)
		dr_warn("%s was started, and does not stream yet", r->old_name);
	return 0;
}
