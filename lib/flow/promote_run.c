/* The lock, the intent, the beginning and the end of a run. */
#include "flow/promote_run.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/promote_local.h"

int64_t
dr_run_until(uint64_t ms)
{
	return dr_monotonic() + (int64_t)ms * 1000;
}

struct dr_plan_node *
dr_run_chosen(const struct dr_run *r)
{
	return r->plan.chosen == -1 ? NULL : &r->plan.node[r->plan.chosen];
}

struct dr_node *
dr_run_node(const struct dr_run *r)
{
	const struct dr_plan_node *p = dr_run_chosen(r);

	return p == NULL ? NULL : &r->look.node[p->at];
}

/* --- the beginning ------------------------------------------------------------- */

static int
each_second(void *arg, struct dr_err *err)
{
	struct dr_run *r = arg;

	return r->asking ? 0 : dr_run_tick(r, err);
}

int
dr_run_begin(struct dr_run *r, const struct dr_promote_opts *o,
    enum dr_promote_verb verb, struct dr_promote_event *ev, struct dr_err *err)
{
	static const char *const words[] = { "failover", "switchover", "follow",
		"undo" };

	memset(r, 0, sizeof(*r));
	memset(ev, 0, sizeof(*ev));
	r->o = o;
	r->ev = ev;
	r->verb = verb;
	r->flock = -1;
	r->plan.chosen = r->plan.primary = r->plan.old = -1;
	(void)snprintf(ev->verb, sizeof(ev->verb), "%s", words[verb]);
	ev->t_began = ev->t_detect = dr_now();
	ev->t_last_ack = ev->t_lock = ev->t_fenced = ev->t_promote =
	    ev->t_first_write = ev->t_routed = ev->t_ended = DR_UNKNOWN;
	ev->rto_us = ev->rpo_bytes = DR_UNKNOWN;
	if (dr_promote_look(o, &r->look, err) == -1 ||
	    (o->coord == NULL &&
	        dr_promote_local_load(o->state, o->set, &r->look, err) == -1))
		return -1;
	return dr_run_judge(r, err);
}

/* Of the server that was primary, or is to step down. */
static int
old_one(struct dr_run *r, struct dr_err *err)
{
	memcpy(r->old_name, r->plan.old_name, sizeof(r->old_name));
	if (r->plan.old == -1)
		return 0;
	return dr_run_address(&r->look, r->plan.old, r->old_host, r->old_port,
	    err);
}

int
dr_run_judge(struct dr_run *r, struct dr_err *err)
{
	const struct dr_plan_node *p;

	dr_promote_plan_wipe(&r->plan);
	if (dr_promote_judge(r->o, r->verb, &r->look, r->end, &r->plan, err) ==
	    -1)
		return -1;
	if (old_one(r, err) == -1)
		return -1;
	if ((p = dr_run_chosen(r)) != NULL &&
	    dr_run_address(&r->look, p->at, r->new_host, r->new_port, err) ==
	        -1)
		return -1;
	if (p != NULL)
		(void)snprintf(r->ev->candidate, sizeof(r->ev->candidate), "%s",
		    r->look.view[p->at].name);
	(void)snprintf(r->ev->former, sizeof(r->ev->former), "%s", r->old_name);
	return 0;
}

/* All of them; the last as the error. */
static int
refuse(const struct dr_run *r, struct dr_err *err)
{
	size_t i;

	for (i = 0; i + 1 < r->plan.refusals; i++) {
		const struct dr_plan_says *s = &r->plan.refusal[i];

		dr_warn("%s%s%s", s->text, s->hint[0] != '\0' ? "; " : "",
		    s->hint);
	}
	dr_err_set(err, DR_EPARTIAL, "refused: %s", r->plan.refusal[i].text);
	if (r->plan.refusal[i].hint[0] != '\0')
		return dr_err_hint(err, "%s", r->plan.refusal[i].hint);
	return -1;
}

int
dr_run_allowed(struct dr_run *r, struct dr_err *err)
{
	size_t i;

	for (i = 0; i < r->plan.warnings; i++)
		dr_warn("%s", r->plan.warning[i].text);
	if (r->plan.refusals > 0)
		return refuse(r, err);
	if (dr_run_chosen(r) == NULL)
		return dr_err_set(err, DR_EPARTIAL,
		    "refused: no server can take over");
	if (r->o->yes)
		return 0;
	dr_err_set(err, DR_EPARTIAL, "nothing was done without --yes");
	return dr_err_hint(err,
	    "the plan: dr-promote plan, with the same options");
}

/* --- the lock ---------------------------------------------------------------------- */

static int
who(char *out, size_t size, char nonce[33], struct dr_err *err)
{
	const struct passwd *pw = getpwuid(geteuid());
	unsigned char bytes[16];
	char host[65] = "";

	if (gethostname(host, sizeof(host) - 1) == -1)
		host[0] = '\0';
	(void)snprintf(out, size, "%s@%s:%ld", pw != NULL ? pw->pw_name : "?",
	    host, (long)getpid());
	if (dr_random(bytes, sizeof(bytes), err) == -1)
		return -1;
	dr_hex(bytes, sizeof(bytes), nonce);
	return 0;
}

/* What this run is about to do; of one that is gone on with, what it was. */
static void
intend(struct dr_run *r)
{
	const struct dr_promote_look *l = &r->look;
	const struct dr_plan_node *p = dr_run_chosen(r);
	int64_t epoch = (l->has_epoch ? l->epoch.epoch : 0) + 1;

	if (l->has_intent && l->intent.step >= DR_STEP_PROMOTING &&
	    l->intent.step < DR_STEP_DONE) {
		r->intent = l->intent;
		r->resumed = true;
	} else {
		/* A timeline is as good as an epoch, and may be ahead. */
		if (epoch <= (int64_t)p->tli)
			epoch = (int64_t)p->tli + 1;
		r->intent.epoch = epoch;
		r->intent.tli = p->tli;
		r->intent.target = p->lsn;
		r->intent.step = DR_STEP_CHOSEN;
		r->intent.began = r->ev->t_began;
		(void)snprintf(r->intent.verb, sizeof(r->intent.verb), "%s",
		    r->ev->verb);
		(void)snprintf(r->intent.candidate, sizeof(r->intent.candidate),
		    "%s", l->view[p->at].name);
		(void)snprintf(r->intent.former, sizeof(r->intent.former), "%s",
		    r->old_name);
	}
	r->intent.time = dr_now();
	r->epoch = r->ev->epoch = r->intent.epoch;
}

/* The mod_revision of NAME in the look; 0: it was not there. */
static int64_t
was(const struct dr_run *r, const char *name)
{
	const struct dr_coord_key_ *k = dr_coord_find(&r->look.keys, name);

	return k == NULL ? 0 : k->modified;
}

/* Is it one that makes somebody primary? */
static bool
intends(const struct dr_run *r)
{
	return r->verb == DR_VERB_FAILOVER || r->verb == DR_VERB_SWITCHOVER;
}

/* 1 it is ours, 0 *HOLDER's, or (NULL) an op's condition does not hold; -1. */
static int
take(struct dr_run *r, const struct dr_coord_op *ops, size_t n, char **holder,
    struct dr_err *err)
{
	struct dr_rec_run me = { .since = r->ev->t_began };
	struct dr_buf run = { .max = 4096 };
	int rc = -1;

	*holder = NULL;
	(void)snprintf(me.verb, sizeof(me.verb), "%s", r->ev->verb);
	if (who(me.who, sizeof(me.who), me.nonce, err) == 0 &&
	    dr_rec_run_put(&me, &run, err) == 0) {
		r->asking = true;
		rc = dr_coord_take(r->o->coord, "run", run.data, r->o->ttl, ops,
		    n, &r->held, holder, err);
		r->asking = false;
	}
	dr_buf_free(&run);
	return rc;
}

static int
lock_etcd(struct dr_run *r, struct dr_err *err)
{
	struct dr_buf intent = { .max = 4096 };
	struct dr_rec_run other;
	struct dr_err bad = { 0 };
	char *holder = NULL;
	int rc = -1, n;

	if (intends(r) && dr_rec_intent_put(&r->intent, &intent, err) == -1)
		goto out;
	{
		/* As it was seen, and no hold put meanwhile. */
		const struct dr_coord_op ops[] = {
			{ "intent", intent.data, false, false,
			    was(r, "intent") },
			{ "hold", NULL, false, false, 0 },
		};

		n = take(r, ops, intends(r) ? 2 : 0, &holder, err);
	}
	if (n == 1) {
		r->locked = true;
		r->ev->token = r->held.token;
		r->intended = intends(r);
		r->intent_was = intends(r) ? r->held.token : was(r, "intent");
		rc = 0;
	} else if (n == 0 && holder != NULL &&
	           dr_rec_run_get(holder, &other, &bad) == 0) {
		dr_err_set(err, DR_ERETRY,
		    "somebody else acts on set \"%s\": %s, %s", r->o->set,
		    other.who, other.verb);
		(void)dr_err_hint(err, "dr-promote status tells more");
	} else if (n == 0)
		dr_err_set(err, DR_ERETRY,
		    "what is recorded of set \"%s\" changed just now",
		    r->o->set);

out:
	free(holder);
	dr_buf_free(&intent);
	return rc;
}

int
dr_run_lock(struct dr_run *r, struct dr_err *err)
{
	if (intends(r))
		intend(r);
	if (r->o->coord != NULL) {
		if (lock_etcd(r, err) == -1)
			return -1;
		dr_each_second(each_second, r);
	} else {
		r->flock = dr_promote_local_lock(r->o->state, r->o->set, err);
		if (r->flock == -1)
			return -1;
		r->locked = true;
		if (intends(r) && dr_promote_local_intent(r->o->state,
		                      r->o->set, &r->intent, err) == -1)
			return -1;
		r->intended = intends(r);
	}
	r->ev->t_lock = dr_now();
	r->look.run_ours = true;
	/* With its token, which receivers of WAL heed it by. */
	return intends(r) && !r->resumed ? dr_run_step(r, DR_STEP_CHOSEN, err)
	                                 : 0;
}

bool
dr_run_relock(struct dr_run *r)
{
	const struct dr_coord_key_ *k;
	struct dr_rec_intent now;
	struct dr_err err = { 0 };
	char *holder;
	bool ours = false;

	if (!r->lost)
		return true;
	if (take(r, NULL, 0, &holder, &err) == 1) {
		r->lost = false;
		r->asking = true;
		ours = dr_promote_look_coord(r->o, &r->look, &err) == 0 &&
		       (k = dr_coord_find(&r->look.keys, "intent")) != NULL &&
		       dr_rec_intent_get(k->value, &now, &err) == 0 &&
		       now.token == r->intent.token;
		r->asking = false;
		if (ours)
			r->intent_was = was(r, "intent");
		else
			r->intended = false;
	}
	free(holder);
	dr_warn_err(&err);
	return ours;
}

static int
lost(struct dr_run *r, struct dr_err *err)
{
	r->lost = true;
	dr_err_set(err, DR_ERETRY, "the lock on set \"%s\" is lost", r->o->set);
	return dr_err_hint(err,
	    "somebody else may act now: look at dr-promote status");
}

int
dr_run_tick(struct dr_run *r, struct dr_err *err)
{
	struct dr_err away = { 0 };
	int n;

	if (!r->locked || r->o->coord == NULL || r->lost)
		return r->lost ? lost(r, err) : 0;
	if (dr_coord_left(&r->held) <= 0)
		return lost(r, err);
	if (!dr_coord_due(&r->held))
		return 0;
	r->asking = true;
	n = dr_coord_renew(r->o->coord, &r->held, &away);
	r->asking = false;
	if (n == 0)
		return lost(r, err);
	/* While etcd is away it is ours until its time is over. */
	return 0;
}

static void
next_epoch(const struct dr_run *r, struct dr_rec_epoch *e)
{
	memset(e, 0, sizeof(*e));
	e->epoch = r->epoch;
	memcpy(e->leader, r->intent.candidate, sizeof(e->leader));
	memcpy(e->former, r->intent.former, sizeof(e->former));
	e->tli = r->ev->tli != 0 ? r->ev->tli : r->intent.tli;
	e->fork = r->ev->fork;
	e->time = dr_now();
}

/* Write the intent and, where that is to be, the epoch. */
static int
record(struct dr_run *r, bool epoch, struct dr_err *err)
{
	struct dr_buf intent = { .max = 4096 }, led = { .max = 4096 };
	struct dr_coord_op ops[2];
	struct dr_rec_epoch e;
	int64_t revision = 0;
	int rc = -1, n;

	next_epoch(r, &e);
	if (dr_rec_intent_put(&r->intent, &intent, err) == -1 ||
	    dr_rec_epoch_put(&e, &led, err) == -1)
		goto out;
	ops[0] = (struct dr_coord_op){ "intent", intent.data, false, false,
		r->intent_was };
	/* Nobody but who holds the lock writes a higher one. */
	ops[1] = (struct dr_coord_op){ "epoch", led.data, false, false, -1 };
	if (r->intent.step == DR_STEP_PROMOTING && !r->resumed)
		ops[1].was = was(r, "epoch");
	r->asking = true;
	n = dr_coord_write(r->o->coord, &r->held, ops, epoch ? 2 : 1, &revision,
	    err);
	r->asking = false;
	if (n == 1) {
		r->intent_was = revision;
		rc = 0;
	} else if (n == 0)
		lost(r, err);

out:
	dr_buf_free(&intent);
	dr_buf_free(&led);
	return rc;
}

int
dr_run_step(struct dr_run *r, enum dr_step step, struct dr_err *err)
{
	const bool led = step >= DR_STEP_PROMOTING;
	const enum dr_step before = r->intent.step;
	struct dr_rec_epoch e;

	r->intent.step = step;
	r->intent.time = dr_now();
	r->intent.token = r->held.token;
	if (r->o->coord != NULL) {
		if (dr_run_tick(r, err) == -1 || record(r, led, err) == -1) {
			r->intent.step = before;
			return -1;
		}
		return 0;
	}
	next_epoch(r, &e);
	if ((led && dr_promote_local_epoch(r->o->state, r->o->set, &e, err) ==
	                -1) ||
	    dr_promote_local_intent(r->o->state, r->o->set, &r->intent, err) ==
	        -1) {
		r->intent.step = before;
		return -1;
	}
	return 0;
}

/* --- the end ------------------------------------------------------------------------ */

/* Nothing is intended any more. */
static void
forget(struct dr_run *r)
{
	const struct dr_coord_op op = { "intent", NULL, false, false,
		r->intent_was };
	struct dr_err err = { 0 };

	if (!r->intended)
		return;
	if (r->o->coord == NULL)
		(void)dr_promote_local_intent(r->o->state, r->o->set, NULL,
		    &err);
	else if (!r->lost) {
		r->asking = true;
		(void)dr_coord_write(r->o->coord, &r->held, &op, 1, NULL, &err);
		r->asking = false;
	}
	dr_warn_err(&err);
	r->intended = false;
}

void
dr_run_settle(void)
{
	dr_each_second(NULL, NULL);
	if (dr_stopped() != 0)
		dr_stop_heard();
}

int
dr_run_end(struct dr_run *r, struct dr_err *err)
{
	struct dr_promote_event *ev = r->ev;
	struct dr_err bad = { 0 };
	int64_t again;
	const bool open = r->intended && r->intent.step >= DR_STEP_STOPPING;

	dr_run_settle();
	ev->t_ended = dr_now();
	again = ev->t_routed != DR_UNKNOWN ? ev->t_routed : ev->t_first_write;
	if (again != DR_UNKNOWN)
		ev->rto_us =
		    again - (ev->t_last_ack != DR_UNKNOWN ? ev->t_last_ack
		                                          : ev->t_detect);
	if (err->cause == DR_OK || !open)
		forget(r);
	if (err->cause != DR_OK) {
		(void)snprintf(ev->why, sizeof(ev->why), "%.255s", err->msg);
		if (open && err->cause != DR_ESTOP) {
			err->cause = DR_EFAIL;
			(void)dr_err_hint(err,
			    "the same command again goes on with it");
		} else if (err->cause == DR_EFAIL && !r->touched)
			err->cause = DR_EPARTIAL;
	}
	if (ev->result[0] == '\0')
		(void)snprintf(ev->result, sizeof(ev->result), "%s",
		    err->cause == DR_OK ? "done"
		    : open              ? "failed"
		                        : "refused");
	/* Whoever was merely told what to do has done nothing to record. */
	if (r->locked && dr_promote_event_keep(r->o, ev, &bad) == -1)
		dr_warn_err(&bad);
	if (r->locked && r->o->coord != NULL && !r->lost &&
	    dr_coord_release(r->o->coord, &r->held, &bad) == -1)
		dr_warn_err(&bad);
	if (r->flock != -1)
		(void)close(r->flock);
	free(r->end);
	dr_promote_plan_wipe(&r->plan);
	dr_promote_look_wipe(&r->look);
	return err->cause == DR_OK ? 0 : -1;
}
