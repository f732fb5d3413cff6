/* From a primary that steps down to a standby that has all it has. */
#include <string.h>
#include <time.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/promote_run.h"

#define POLL_NS 10000000

static struct dr_node *
old_node(const struct dr_run *r)
{
	return r->plan.old == -1 ? NULL : &r->look.node[r->plan.old];
}

/* Is it the primary, and does it answer? */
static bool
old_serves(const struct dr_run *r)
{
	return r->plan.old != -1 && r->plan.primary == r->plan.old;
}

/*
 * The old one could not be replaced: it is primary again, and clients may go
 * on there.  Nobody is let through to a server that may be going down.
 */
static int
start_again(struct dr_run *r, struct dr_err *err)
{
	enum dr_hook_said said;
	struct dr_err why = { 0 }, bad = { 0 };

	dr_run_settle();
	if (dr_run_hook(r, "stop", r->o->stop, NULL, "immediate", r->o->stop_ms,
	        &said, &why, &bad) == -1 ||
	    (said == DR_HOOK_DONE &&
	        dr_run_hook(r, "start", r->o->start, "primary", NULL,
	            r->o->stop_ms, &said, &why, &bad) == -1)) {
		dr_warn_err(&bad);
		said = DR_HOOK_UNKNOWN;
	}
	if (said != DR_HOOK_DONE) {
		(void)dr_err_wrap(err, "%s could not be started again (%s)",
		    r->old_name, why.msg);
		return -1;
	}
	r->demoted = false;
	if (r->paused && dr_run_route(r, "resume", &bad) == -1) {
		dr_warn_err(&bad);
		return -1;
	}
	r->paused = false;
	r->touched = false;
	r->intent.step = DR_STEP_CHOSEN;
	dr_say(0, "%s is primary again", r->old_name);
	return -1;
}

/* Let it checkpoint, so that stopping takes less; and hold the clients. */
static int
prepare(struct dr_run *r, struct dr_err *err)
{
	struct dr_node *old = old_node(r), *new = dr_run_node(r);
	const char *slot = new->facts.slot_name;

	if (dr_node_checkpoint(old, dr_run_until(r->o->stop_ms), err) == -1)
		return -1;
	if (slot[0] != '\0' &&
	    dr_node_slot(new, slot, dr_run_until(r->o->timeout_ms), err) == -1)
		return -1;
	if (r->o->route != NULL) {
		r->paused = true;
		if (dr_run_route(r, "pause", err) == -1)
			return -1;
	}
	if (dr_run_step(r, DR_STEP_STOPPING, err) == -1)
		return -1;
	r->touched = r->demoted = true;
	return dr_node_demote(old, new->facts.conninfo, r->new_host,
	    r->new_port, slot, dr_run_until(r->o->timeout_ms), err);
}

/* The new one has everything up to the record of the shutdown. */
static int
all_there(struct dr_run *r, struct dr_err *err)
{
	const struct timespec pause = { 0, POLL_NS };
	const int64_t until = dr_run_until(r->o->stop_ms);
	struct dr_node *new = dr_run_node(r);
	uint64_t end = 0;
	int n = 0;

	while (n == 0 && dr_monotonic() < until) {
		if (dr_run_tick(r, err) == -1 ||
		    (n = dr_node_shutdown_seen(new, &end,
		         dr_run_until(r->o->timeout_ms), err)) == -1)
			return -1;
		/* An older one was left by the end of a recovery. */
		if (end <= r->look.view[r->plan.old].lsn)
			n = 0;
		if (n == 0)
			(void)nanosleep(&pause, NULL);
	}
	if (n == 0)
		return dr_err_set(err, DR_EFAIL,
		    "%s did not get all that %s wrote before it stopped",
		    new->view->name, r->old_name);
	dr_run_chosen(r)->lsn = r->intent.target = end;
	return 0;
}

static int
hand_over(struct dr_run *r, struct dr_err *err)
{
	enum dr_hook_said said;
	struct dr_err why = { 0 };

	if (dr_run_hook(r, "stop", r->o->stop, NULL, "fast", r->o->stop_ms,
	        &said, &why, err) == -1)
		return -1;
	if (said != DR_HOOK_DONE) {
		dr_err_set(err, DR_EFAIL, "%s did not stop: %s", r->old_name,
		    why.msg);
		return start_again(r, err);
	}
	r->ev->t_fenced = dr_now();
	memcpy(r->ev->fenced_by, "stop", 5);
	if (all_there(r, err) == -1 || dr_run_gather(r, err) == -1)
		return r->lost ? -1 : start_again(r, err);
	if (dr_run_promote(r, err) == -1 ||
	    dr_run_route(r, "switch", err) == -1)
		return -1;
	r->paused = false;
	if (dr_run_step(r, DR_STEP_ROUTED, err) == -1)
		return -1;
	return dr_run_start_old(r, err);
}

/* Before the stop: the old one runs on as if nothing had been. */
static void
back(struct dr_run *r)
{
	struct dr_err err = { 0 };

	dr_run_settle();
	if (!dr_run_relock(r)) {
		dr_warn("what was begun is left to whoever has the lock now, "
		        "or to dr-promote undo");
		return;
	}
	if (r->demoted && dr_node_undemote(old_node(r),
	                      dr_run_until(r->o->timeout_ms), &err) == -1) {
		dr_warn_err(&err);
		dr_warn("%s holds a standby.signal: dr-promote undo takes it "
		        "away",
		    r->old_name);
		return;
	}
	r->demoted = false;
	if (r->paused && dr_run_route(r, "resume", &err) == -1) {
		dr_warn_err(&err);
		return;
	}
	r->paused = r->touched = false;
	r->intent.step = DR_STEP_CHOSEN;
}

/* A run before stopped the old one, or was about to. */
static bool
half_way(const struct dr_run *r)
{
	return r->look.has_intent && r->plan.old != -1 &&
	       r->look.intent.step == DR_STEP_STOPPING && r->plan.primary == -1;
}

static int
go_on_stopping(struct dr_run *r, struct dr_err *err)
{
	const int at = dr_promote_find(&r->look, r->look.intent.candidate);
	size_t i;

	for (i = 0; at != -1 && i < r->plan.n; i++)
		if (r->plan.node[i].at == at &&
		    r->look.view[at].probe.state == DR_PROBE_STANDBY)
			break;
	if (at == -1 || i == r->plan.n)
		return dr_err_set(err, DR_EPARTIAL,
		    "refused: %s, which was to take over, does not answer",
		    r->look.intent.candidate);
	if (!r->o->yes)
		return dr_err_set(err, DR_EPARTIAL,
		    "nothing was done without --yes");
	r->plan.chosen = (int)i;
	if (dr_run_address(&r->look, at, r->new_host, r->new_port, err) == -1 ||
	    dr_run_lock(r, err) == -1)
		return -1;
	r->paused = r->o->route != NULL;
	r->touched = r->demoted = true;
	if (dr_run_step(r, DR_STEP_STOPPING, err) == -1)
		return -1;
	return hand_over(r, err);
}

int
dr_promote_switchover(const struct dr_promote_opts *o,
    struct dr_promote_event *ev, struct dr_err *err)
{
	struct dr_run r;

	if (dr_run_begin(&r, o, DR_VERB_SWITCHOVER, ev, err) == -1)
		return dr_run_end(&r, err);
	if (dr_run_left_behind(&r.look))
		(void)dr_run_go_on(&r, err);
	else if (half_way(&r))
		(void)go_on_stopping(&r, err);
	else if (dr_run_allowed(&r, err) == 0 && dr_run_lock(&r, err) == 0) {
		if (!old_serves(&r))
			dr_err_set(err, DR_EPARTIAL,
			    "refused: there is no primary to step down");
		else if (prepare(&r, err) == -1)
			back(&r);
		else
			(void)hand_over(&r, err);
	}
	return dr_run_end(&r, err);
}
