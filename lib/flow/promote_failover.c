/* From a primary that is gone to the best of its standbys. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/promote_run.h"
#include "flow/promote_vote.h"

#define POLL_NS 20000000

/* --- proof that the old primary writes no more ------------------------------------ */

static void
fenced(struct dr_run *r, const char *by)
{
	(void)snprintf(r->ev->fenced_by, sizeof(r->ev->fenced_by), "%s", by);
	r->ev->t_fenced = dr_now();
	dr_say(1, "the old primary is fenced (%s)", by);
}

/* 1 proved, 0 not, -1 also where it lives. */
static int
by_hook(struct dr_run *r, struct dr_err *err)
{
	enum dr_hook_said said;
	struct dr_err why = { 0 };

	if (r->o->fence == NULL)
		return 0;
	if (dr_run_hook(r, "fence", r->o->fence, NULL, NULL, r->o->stop_ms,
	        &said, &why, err) == -1)
		return -1;
	if (said == DR_HOOK_DONE)
		return 1;
	if (said == DR_HOOK_REFUSED) {
		dr_err_set(err, DR_EPARTIAL,
		    "refused: the fence hook says that %s lives: %s",
		    r->old_name[0] != '\0' ? r->old_name : "the old primary",
		    why.msg);
		return dr_err_hint(err, "stop it, or use switchover");
	}
	dr_warn("the fence hook does not know: %s", why.msg);
	return 0;
}

/*
 * All who could acknowledge are cut off: whatever the old primary does, no
 * client of it hears of a commit.  A crash's restart there would show what
 * was never acknowledged.
 */
static bool
by_quorum(const struct dr_run *r)
{
	const struct dr_syncnames *names = &r->plan.names;

	return r->plan.names_known && names->wait > 0 && !names->everyone &&
	       r->plan.cut >= names->n && r->look.has_sync &&
	       !r->look.sync.restart;
}

/*
 * The guard beside it stops it before its lease is over, so it is enough that
 * etcd let go of that.  1 it has; 0 there is none to wait for, or it is
 * renewed; -1.
 */
static int
by_lease(struct dr_run *r, struct dr_err *err)
{
	const struct timespec pause = { 0, POLL_NS };
	struct dr_coord_look now = { 0 };
	const struct dr_coord_key_ *k;
	int64_t until = dr_run_until(60000);
	int rc = 0;

	/* Only a guard publishes the synchronous set. */
	if (r->o->coord == NULL || !r->look.has_sync ||
	    strcmp(r->look.sync.leader, r->old_name) != 0)
		return 0;
	if (dr_coord_find(&r->look.keys, "leader") != NULL)
		dr_say(0, "waiting until the leadership of %s is over",
		    r->old_name);
	do {
		dr_coord_look_wipe(&now);
		r->asking = true;
		rc = dr_coord_look(r->o->coord, &now, err);
		r->asking = false;
		if (rc == -1 || (rc = dr_run_tick(r, err)) == -1 ||
		    (rc = dr_check_stop(err)) == -1)
			break;
		k = dr_coord_find(&now, "leader");
		rc = k == NULL;
		if (rc == 0)
			(void)nanosleep(&pause, NULL);
	} while (rc == 0 && dr_monotonic() < until);
	dr_coord_look_wipe(&now);
	return rc;
}

int
dr_run_fence(struct dr_run *r, struct dr_err *err)
{
	int n;

	if ((n = by_hook(r, err)) == -1)
		return -1;
	if (n == 1) {
		fenced(r, "hook");
		return 0;
	}
	if (by_quorum(r)) {
		fenced(r, "quorum");
		return 0;
	}
	if ((n = by_lease(r, err)) == -1)
		return -1;
	if (n == 1) {
		fenced(r, "lease");
		return 0;
	}
	dr_err_set(err, DR_EPARTIAL,
	    "refused: it is not proved that %s writes no more",
	    r->old_name[0] != '\0' ? r->old_name : "the old primary");
	return dr_err_hint(err,
	    "--fence CMD proves it; --fence true is your word for it");
}

/* --- the old one again ------------------------------------------------------------- */

/* 1 it serves again, 0 not within its time, -1. */
static int
restart(struct dr_run *r, struct dr_err *err)
{
	const struct timespec pause = { 0, POLL_NS };
	const int64_t until = dr_run_until(r->o->restart_ms);
	enum dr_hook_said said;
	struct dr_err why = { 0 };
	struct dr_pg_view *v;
	size_t n;
	int rc = 0;

	if (r->o->restart_ms == 0 || r->o->start == NULL || r->plan.old == -1)
		return 0;
	dr_say(0, "starting %s again", r->old_name);
	r->touched = true;
	if (dr_run_hook(r, "start", r->o->start, "primary", NULL,
	        r->o->restart_ms, &said, &why, err) == -1)
		return -1;
	if (said != DR_HOOK_DONE) {
		dr_warn("%s does not start: %s", r->old_name, why.msg);
		return 0;
	}
	while (rc == 0 && dr_monotonic() < until) {
		const char *conninfo = r->look.host[r->plan.old].conninfo;

		if (dr_run_tick(r, err) == -1 ||
		    dr_pg_views(&conninfo, 1, (int)r->o->timeout_ms, &v, &n,
		        err) == -1)
			return -1;
		rc = n == 1 && v->probe.state == DR_PROBE_PRIMARY;
		dr_pg_views_free(v, n);
		if (rc == 0)
			(void)nanosleep(&pause, NULL);
	}
	return rc;
}

/* What the user's say-so may cost, for the record. */
static void
give_up(struct dr_run *r)
{
	const struct dr_plan *p = &r->plan;
	char size[DR_SIZE_LEN];

	r->ev->rpo_bytes = p->held ? 0 : p->loss_bytes;
	if (p->held)
		return;
	(void)snprintf(r->ev->gave_up, sizeof(r->ev->gave_up),
	    "acknowledged commits: %s%s (%s)",
	    dr_known(p->loss_bytes) ? "at most " : "nobody knows how many",
	    dr_known(p->loss_bytes)
	        ? dr_format_size((uint64_t)p->loss_bytes, size)
	        : "",
	    r->o->allow_data_loss ? "--allow-data-loss" : "--max-loss");
	dr_warn("given up: %s", r->ev->gave_up);
}

static int
failover(struct dr_run *r, struct dr_err *err)
{
	int n;

	if (dr_run_allowed(r, err) == -1 || dr_run_lock(r, err) == -1)
		return -1;
	if ((n = restart(r, err)) != 0) {
		if (n == 1)
			(void)snprintf(r->ev->result, sizeof(r->ev->result),
			    "restarted");
		return n == 1 ? 0 : -1;
	}
	if (dr_run_cut(r, err) == -1 || dr_run_allowed(r, err) == -1 ||
	    dr_run_fence(r, err) == -1 || dr_run_gather(r, err) == -1)
		return -1;
	give_up(r);
	/* The best may be another than it was thought at first. */
	(void)snprintf(r->intent.candidate, sizeof(r->intent.candidate), "%s",
	    r->look.view[dr_run_chosen(r)->at].name);
	r->intent.target = dr_run_chosen(r)->lsn;
	r->intent.tli = dr_run_chosen(r)->tli;
	if (dr_run_promote(r, err) == -1 ||
	    dr_run_route(r, "switch", err) == -1)
		return -1;
	return dr_run_step(r, DR_STEP_ROUTED, err);
}

int
dr_promote_failover(const struct dr_promote_opts *o,
    struct dr_promote_event *ev, struct dr_err *err)
{
	struct dr_run r;
	int rc;

	rc = dr_run_begin(&r, o, DR_VERB_FAILOVER, ev, err);
	if (rc == 0 && !dr_run_left_behind(&r.look))
		rc = dr_run_vote(&r, err);
	if (rc == 0 && dr_run_left_behind(&r.look))
		(void)dr_run_go_on(&r, err);
	else if (rc == 0) {
		rc = failover(&r, err);
		if (rc == -1 && r.locked && r.intent.step < DR_STEP_PROMOTING)
			dr_run_back(&r);
	}
	return dr_run_end(&r, err);
}
