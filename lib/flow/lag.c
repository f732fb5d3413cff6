#include "flow/lag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/heartbeat.h"
#include "flow/lag_int.h"
#include "flow/setconf.h"

/* --- objectives -------------------------------------------------------------------- */

static int
duration(const struct dr_setconf *c, const char *name, int64_t *us,
    struct dr_err *err)
{
	const char *s = dr_setconf_get(c, name);
	uint64_t ms;

	if (s == NULL || *s == '\0')
		return 0;
	if (dr_parse_msec(s, &ms, err) == -1 || ms > INT64_MAX / 1000)
		return dr_err_wrap(err, "%s in \"%s\"", name, c->path);
	*us = (int64_t)ms * 1000;
	return 0;
}

/* By options, else by SET.conf. */
static int
goal_add(struct dr_lag *lag, const struct dr_lag_opts *o, const char *set,
    struct dr_err *err)
{
	struct dr_lag_goal *more, *g;
	struct dr_setconf c;
	int rc = -1;

	for (size_t i = 0; i < lag->goals; i++)
		if (strcmp(lag->goal[i].set, set) == 0)
			return 0;
	memset(&c, 0, sizeof(c));
	more = reallocarray(lag->goal, lag->goals + 1, sizeof(*more));
	if (more == NULL)
		return dr_err_sys(err, "cannot keep the objectives");
	lag->goal = more;
	g = &more[lag->goals];
	memset(g, 0, sizeof(*g));
	g->rpo = g->rto = g->backup_max_age = g->verify_max_age = DR_UNKNOWN;
	g->runs = g->failures = DR_UNKNOWN;
	if ((g->set = dr_fmt(err, "%s", set)) == NULL)
		return -1;
	lag->goals++;
	if (*set != '\0' &&
	    (dr_setconf_read(set, &c, err) == -1 ||
	        duration(&c, "rpo", &g->rpo, err) == -1 ||
	        duration(&c, "rto", &g->rto, err) == -1 ||
	        duration(&c, "backup_max_age", &g->backup_max_age, err) == -1 ||
	        duration(&c, "verify_max_age", &g->verify_max_age, err) == -1))
		goto out;
	g->tier = dr_fmt(err, "%s",
	    *set != '\0' ? dr_lag_text(dr_setconf_get(&c, "tier")) : "");
	if (g->tier == NULL)
		goto out;
	if (dr_known(o->rpo))
		g->rpo = o->rpo;
	if (dr_known(o->rto))
		g->rto = o->rto;
	rc = 0;

out:
	dr_setconf_wipe(&c);
	return rc;
}

/* --- stores ------------------------------------------------------------------------ */

struct work {
	struct dr_lag *lag;
	const struct dr_lag_opts *o;
	struct dr_store *store;
	struct dr_rates *rates;
};

static struct dr_lag_store *
store_add(struct dr_lag *lag, const char *url, const char *set,
    struct dr_err *err)
{
	struct dr_lag_store *more =
	    reallocarray(lag->store, lag->stores + 1, sizeof(*more));

	if (more == NULL) {
		dr_err_sys(err, "cannot keep what stores say");
		return NULL;
	}
	lag->store = more;
	more += lag->stores;
	memset(more, 0, sizeof(*more));
	more->url = url;
	if ((more->set = dr_fmt(err, "%s", set)) == NULL)
		return NULL;
	lag->stores++;
	return more;
}

static int
one_set(void *arg, const char *set, struct dr_err *err)
{
	struct work *w = arg;
	struct dr_lag_store *s;
	struct dr_lag_goal *g;
	struct dr_err why = { 0 };

	if (!dr_set_name_ok(set))
		return 0;
	s = store_add(w->lag, dr_store_url(w->store), set, err);
	if (s == NULL || goal_add(w->lag, w->o, set, err) == -1)
		return -1;
	if (dr_rates_read(w->o->state, set, w->rates, &why) == -1) {
		dr_say(1, "%s", why.msg);
		memset(w->rates, 0, sizeof(*w->rates));
	}
	for (g = w->lag->goal; strcmp(g->set, set) != 0;)
		g++;
	g->runs = (int64_t)(w->rates->kind[DR_RATE_BACKUP].done +
	                    w->rates->kind[DR_RATE_BACKUP].failed);
	g->failures = (int64_t)w->rates->kind[DR_RATE_BACKUP].failed;
	dr_lag_store_wipe(s);
	if (dr_lag_store_read(w->o, w->store, set, w->lag->primary, w->rates, s,
	        err) == -1)
		return -1;
	/* Files have no log: what was changed since it began may be lost. */
	if (s->id != NULL && s->system_id == 0 && !dr_known(s->rpo_us)) {
		s->rpo_us = dr_now() - s->started;
		s->rpo_bound = true;
	}
	return 0;
}

static int
one_store(struct work *w, struct dr_err *err)
{
	struct dr_lag_store *s;
	struct dr_err why = { 0 };

	if (w->o->set != NULL)
		return one_set(w, w->o->set, err);
	if (dr_store_dirs(w->store, "", one_set, w, &why) == 0)
		return 0;
	if (why.cause == DR_ESTOP) {
		*err = why;
		return -1;
	}
	if ((s = store_add(w->lag, dr_store_url(w->store), "", err)) == NULL)
		return -1;
	s->err = why;
	return 0;
}

static int
stores(struct dr_lag *lag, const struct dr_lag_opts *o,
    struct dr_store *const *store, size_t n, struct dr_err *err)
{
	struct work w = { lag, o, NULL, calloc(1, sizeof(*w.rates)) };
	int rc = 0;

	if (w.rates == NULL)
		return dr_err_sys(err, "cannot read the stores");
	for (size_t i = 0; rc == 0 && i < n; i++) {
		size_t k = 0;

		while (strcmp(dr_store_url(store[k]), dr_store_url(store[i])))
			k++;
		w.store = store[i];
		if (k == i)
			rc = one_store(&w, err);
	}
	free(w.rates);
	return rc;
}

/* --- the heartbeat ------------------------------------------------------------------ */

/* Before roles are told: a write that fails says more than the state did. */
static int
beat(struct dr_lag *lag, const struct dr_lag_opts *o, struct dr_beat **beats,
    struct dr_err *err)
{
	*beats = calloc(lag->servers + 1, sizeof(**beats));
	if (*beats == NULL)
		return dr_err_sys(err, "cannot measure the delay");
	return dr_heartbeat(o->conninfo, o->conninfos, o->timeout_ms,
	    lag->server, lag->servers, *beats, err);
}

static int
beats_kept(struct dr_lag *lag, const struct dr_beat *beats, struct dr_err *err)
{
	for (size_t i = 0; i < lag->standbys; i++) {
		struct dr_lag_standby *s = &lag->standby[i];
		const struct dr_beat *b;

		if (s->self == NULL || !dr_lag_answers(s->self))
			continue;
		b = &beats[s->self - lag->server];
		s->heartbeat_us = b->us;
		if (lag->primary != NULL && !dr_known(b->us) &&
		    dr_lag_note(lag, DR_LAG_UNKNOWN, "heartbeat-unseen",
		        s->name, err, "the heartbeat was not seen there: %s",
		        b->err.msg) == -1)
			return -1;
	}
	return 0;
}

/* --- all of it --------------------------------------------------------------------- */

/*
 * Servers first: what a store holds is measured against the primary.  What
 * it gained since counts as there, so RPO in seconds is taken to the moment
 * that the store was read (dr_lag_store_read).
 */
int
dr_lag_report(const struct dr_lag_opts *o, struct dr_store *const *store,
    size_t n, struct dr_lag *lag, struct dr_err *err)
{
	struct dr_beat *beats = NULL;
	struct dr_err why = { 0 };
	int rc = -1;

	memset(lag, 0, sizeof(*lag));
	lag->time = dr_now();
	if (goal_add(lag, o, o->set != NULL ? o->set : "", err) == -1)
		goto out;
	if (o->conninfos > 0 &&
	    dr_pg_views(o->conninfo, o->conninfos, o->timeout_ms, &lag->server,
	        &lag->servers, err) == -1)
		goto out;
	if (o->heartbeat && beat(lag, o, &beats, err) == -1)
		goto out;
	dr_lag_names(o->state, lag);
	if (dr_lag_match(lag, o, err) == -1)
		goto out;
	dr_lag_bound(lag, o->state);
	if (beats != NULL && beats_kept(lag, beats, err) == -1)
		goto out;
	if (o->seen != NULL)
		o->seen(o->seen_arg, lag);
	if (lag->primary != NULL &&
	    dr_lag_sample(o->state, lag->primary, &why) == -1)
		dr_say(1, "%s", why.msg);
	if (n > 0 && stores(lag, o, store, n, err) == -1)
		goto out;
	rc = dr_lag_judge(lag, o, err);

out:
	free(beats);
	if (rc == -1)
		dr_lag_free(lag);
	return rc;
}

void
dr_lag_free(struct dr_lag *lag)
{
	size_t i;

	for (i = 0; i < lag->standbys; i++)
		free(lag->standby[i].name);
	free(lag->standby);
	dr_pg_views_free(lag->server, lag->servers);
	for (i = 0; i < lag->stores; i++)
		dr_lag_store_wipe(&lag->store[i]);
	free(lag->store);
	for (i = 0; i < lag->goals; i++) {
		free(lag->goal[i].set);
		free(lag->goal[i].tier);
	}
	free(lag->goal);
	for (i = 0; i < lag->notes; i++) {
		free(lag->note[i].about);
		free(lag->note[i].text);
	}
	free(lag->note);
	memset(lag, 0, sizeof(*lag));
}
