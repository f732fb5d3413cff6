/* Observers that must agree, before one of them acts. */
#include "flow/promote_vote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/msg.h"
#include "base/num.h"

#define POLL_NS    20000000
#define STALE_US   500000 /* a look that is older is taken again */
#define KEY_PREFIX "observer/"

/* Of whom: the name that all know it by, else where we look for it. */
static const char *
whom(const struct dr_run *r)
{
	if (r->plan.old_name[0] != '\0')
		return r->plan.old_name;
	return r->plan.old == -1 ? "" : r->look.view[r->plan.old].where;
}

/* Does nothing but more votes stand in the way? */
static bool
only_votes(const struct dr_plan *p)
{
	size_t i;

	for (i = 0; i < p->refusals; i++)
		if (strcmp(p->refusal[i].word, "observers") != 0)
			return false;
	return p->refusals > 0;
}

/* 1 it is there, and held; 0 somebody else of that name was quicker; -1. */
static int
cast(struct dr_run *r, struct dr_held *held, struct dr_err *err)
{
	struct dr_buf json = { .max = 4096 };
	struct dr_rec_vote v = { .down = true };
	char name[DR_COORD_KEY];
	char *former = NULL;
	int rc = -1;

	(void)snprintf(name, sizeof(name), KEY_PREFIX "%s", r->o->vote);
	(void)snprintf(v.name, sizeof(v.name), "%s", r->o->vote);
	(void)snprintf(v.where, sizeof(v.where), "%.127s", whom(r));
	v.since = r->ev->t_began;
	v.time = dr_now();
	if (dr_rec_vote_put(&v, &json, err) == -1)
		goto out;
	rc = dr_coord_take(r->o->coord, name, json.data, r->o->ttl, NULL, 0,
	    held, &former, err);
	if (rc == 0 && former != NULL) {
		/* What we said before, and did not live to take back. */
		const struct dr_coord_op op = { name, NULL, false, false, -1 };

		free(former);
		former = NULL;
		if ((rc = dr_coord_put(r->o->coord, &op, 1, NULL, err)) != -1)
			rc = dr_coord_take(r->o->coord, name, json.data,
			    r->o->ttl, NULL, 0, held, &former, err);
	}

out:
	free(former);
	dr_buf_free(&json);
	return rc;
}

/* The votes of now in place of those of the look. */
static int
count(struct dr_run *r, struct dr_err *err)
{
	struct dr_coord_look now = { 0 };
	struct dr_rec_vote *vote;
	size_t i, n = 0;
	int rc = -1;

	if (dr_coord_look(r->o->coord, &now, err) == -1)
		goto out;
	if ((vote = calloc(now.n + 1, sizeof(*vote))) == NULL) {
		dr_err_sys(err, "cannot allocate a list of votes");
		goto out;
	}
	for (i = 0; i < now.n; i++)
		if (strncmp(now.key[i].name, KEY_PREFIX,
		        sizeof(KEY_PREFIX) - 1) == 0 &&
		    dr_rec_vote_get(now.key[i].value, &vote[n], err) == 0)
			n++;
	if (err->cause != DR_OK) {
		free(vote);
		goto out;
	}
	free(r->look.vote);
	r->look.vote = vote;
	r->look.votes = n;
	rc = dr_run_judge(r, err);

out:
	dr_coord_look_wipe(&now);
	return rc;
}

/* What was seen of the servers is too old to act upon. */
static int
look_again(struct dr_run *r, struct dr_err *err)
{
	dr_promote_plan_wipe(&r->plan);
	dr_promote_look_wipe(&r->look);
	memset(&r->look, 0, sizeof(r->look));
	if (dr_promote_look(r->o, &r->look, err) == -1)
		return -1;
	return dr_run_judge(r, err);
}

int
dr_run_vote(struct dr_run *r, struct dr_err *err)
{
	const struct timespec pause = { 0, POLL_NS };
	const int64_t began = dr_monotonic();
	const int64_t until = dr_run_until(r->o->timeout_ms);
	struct dr_held held = { 0 };
	int n;

	if (r->o->vote == NULL || r->o->coord == NULL ||
	    r->plan.primary != -1 || whom(r)[0] == '\0')
		return 0;
	if (cast(r, &held, err) == -1 || count(r, err) == -1)
		return -1;
	if (only_votes(&r->plan))
		dr_say(1, "waiting for other observers");
	while (only_votes(&r->plan) && dr_monotonic() < until) {
		(void)nanosleep(&pause, NULL);
		if (dr_check_stop(err) == -1)
			return -1;
		if (dr_coord_due(&held)) {
			if ((n = dr_coord_renew(r->o->coord, &held, err)) == -1)
				return -1;
			if (n == 0 && cast(r, &held, err) == -1)
				return -1;
		}
		if (count(r, err) == -1)
			return -1;
	}
	if (dr_monotonic() - began < STALE_US)
		return 0;
	return look_again(r, err);
}
