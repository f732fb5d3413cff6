/*
 * A look at all servers and at etcd.  It lies on the way of a failover: each
 * server is connected to once, and all are asked at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libpq-fe.h>

#include "base/num.h"
#include "flow/lag_int.h"
#include "flow/promote.h"
#include "pg/libpq.h"

#define ADVANCE_US     50000 /* between two looks at a receiver */
#define ADVANCE_ROUNDS 4

/* --- etcd ------------------------------------------------------------------------- */

static int
damaged(const struct dr_promote_opts *o, const char *key, struct dr_err *err)
{
	return dr_err_wrap(err, "the key \"%s\" of %s in etcd", key, o->set);
}

static int
more(void **v, size_t n, size_t size, struct dr_err *err)
{
	void *p = reallocarray(*v, n + 1, size);

	if (p == NULL)
		return dr_err_sys(err, "cannot allocate records");
	*v = p;
	return 0;
}

static int
record(struct dr_promote_look *l, const struct dr_coord_key_ *k,
    struct dr_err *err)
{
	struct dr_rec_node leader;
	bool *has = NULL;
	int rc = 0;

	if (strcmp(k->name, "run") == 0) {
		has = &l->has_run;
		rc = dr_rec_run_get(k->value, &l->run, err);
	} else if (strcmp(k->name, "leader") == 0) {
		has = &l->has_leader;
		if ((rc = dr_rec_node_get(k->value, &leader, err)) == 0)
			memcpy(l->leader, leader.name, sizeof(l->leader));
	} else if (strcmp(k->name, "epoch") == 0) {
		has = &l->has_epoch;
		rc = dr_rec_epoch_get(k->value, &l->epoch, err);
	} else if (strcmp(k->name, "intent") == 0) {
		has = &l->has_intent;
		rc = dr_rec_intent_get(k->value, &l->intent, err);
	} else if (strcmp(k->name, "sync") == 0) {
		has = &l->has_sync;
		rc = dr_rec_sync_get(k->value, &l->sync, err);
	} else if (strcmp(k->name, "hold") == 0) {
		has = &l->has_hold;
		rc = dr_rec_hold_get(k->value, &l->hold, err);
	} else if (strncmp(k->name, "node/", 5) == 0) {
		if (more((void **)&l->report, l->reports, sizeof(*l->report),
		        err) == -1)
			return -1;
		rc = dr_rec_node_get(k->value, &l->report[l->reports], err);
		l->reports += rc == 0;
	} else if (strncmp(k->name, "observer/", 9) == 0) {
		if (more((void **)&l->vote, l->votes, sizeof(*l->vote), err) ==
		    -1)
			return -1;
		rc = dr_rec_vote_get(k->value, &l->vote[l->votes], err);
		l->votes += rc == 0;
	}
	if (has != NULL)
		*has = rc == 0;
	return rc;
}

static void
forget(struct dr_promote_look *l)
{
	dr_coord_look_wipe(&l->keys);
	l->coord = l->has_epoch = l->has_intent = l->has_sync = l->has_hold =
	    l->has_run = l->has_leader = false;
	l->leader[0] = '\0';
	free(l->report);
	free(l->vote);
	l->report = NULL;
	l->vote = NULL;
	l->reports = l->votes = 0;
	dr_err_clear(&l->away);
}

int
dr_promote_look_coord(const struct dr_promote_opts *o,
    struct dr_promote_look *l, struct dr_err *err)
{
	size_t i;

	forget(l);
	l->now = dr_now();
	if (o->coord == NULL)
		return 0;
	if (dr_coord_look(o->coord, &l->keys, err) == -1) {
		l->away = *err;
		return -1;
	}
	for (i = 0; i < l->keys.n; i++)
		if (record(l, &l->keys.key[i], err) == -1)
			return damaged(o, l->keys.key[i].name, err);
	l->coord = true;
	return 0;
}

/* --- names ------------------------------------------------------------------------ */

static int
rename_to(struct dr_pg_view *v, const char *name, struct dr_err *err)
{
	char *copy = strdup(name);

	if (copy == NULL)
		return dr_err_sys(err, "cannot allocate a name");
	free(v->name);
	v->name = copy;
	return 0;
}

/*
 * What servers that do not answer are called: as their guards said, else as
 * they were called before.
 */
static int
names(const struct dr_promote_opts *o, struct dr_promote_look *l,
    struct dr_err *err)
{
	struct dr_lag lag = { .server = l->view, .servers = l->n };
	size_t i, k;

	if (o->state != NULL)
		dr_lag_names(o->state, &lag);
	for (i = 0; i < l->n; i++)
		for (k = 0; k < l->reports; k++)
			if (!dr_lag_answers(&l->view[i]) &&
			    strcmp(l->report[k].kind, "guard") == 0 &&
			    strcmp(l->report[k].where, l->view[i].where) == 0 &&
			    rename_to(&l->view[i], l->report[k].name, err) ==
			        -1)
				return -1;
	return 0;
}

/* The application_name of CONNINFO into OUT; "" where it has none. */
static void
application(const char *conninfo, char out[DR_NODE_NAME])
{
	PQconninfoOption *all, *p;
	char *why = NULL;

	out[0] = '\0';
	if ((all = PQconninfoParse(conninfo, &why)) == NULL) {
		PQfreemem(why);
		return;
	}
	for (p = all; p->keyword != NULL; p++)
		if (strcmp(p->keyword, "application_name") == 0 &&
		    p->val != NULL)
			(void)snprintf(out, DR_NODE_NAME, "%s", p->val);
	PQconninfoFree(all);
}

static int
members(struct dr_promote_look *l, struct dr_err *err)
{
	const struct dr_node_facts *f;
	char *out;
	size_t i;

	if (dr_libpq(err) == -1)
		return -1;
	for (i = 0; i < l->n; i++) {
		f = &l->node[i].facts;
		out = l->seen[i].member;
		if (!f->known)
			continue;
		application(f->conninfo[0] != '\0' ? f->conninfo : f->saved,
		    out);
		if (out[0] == '\0')
			(void)snprintf(out, DR_NODE_NAME, "%s",
			    l->view[i].cluster_name[0] != '\0'
			        ? l->view[i].cluster_name
			        : "walreceiver");
	}
	return 0;
}

/* --- does a primary that nobody reaches live? ---------------------------------------- */

static const char sent_sql[] =
    "SELECT greatest(pg_last_wal_receive_lsn(), latest_end_lsn)"
    " FROM pg_stat_wal_receiver WHERE status = 'streaming'";

static uint64_t
sent(const struct dr_node *n)
{
	struct dr_err no = { 0 };
	uint64_t lsn = 0;

	if (n->err.cause != DR_OK || n->ask.results == 0 ||
	    PQntuples(n->ask.result[0]) != 1 ||
	    PQgetisnull(n->ask.result[0], 0, 0) ||
	    dr_parse_lsn(PQgetvalue(n->ask.result[0], 0, 0), &lsn, &no) == -1)
		return 0;
	return lsn;
}

/* Not where a primary answers; who is sent nothing more is left alone. */
static size_t
streaming(struct dr_promote_look *l, struct dr_node **v, size_t *at)
{
	size_t i, n = 0;

	for (i = 0; i < l->n; i++)
		if (dr_lag_answers(&l->view[i]) && !l->view[i].in_recovery)
			return 0;
	for (i = 0; i < l->n; i++) {
		if (l->node[i].ask.at != DR_ASK_IDLE ||
		    strcmp(l->view[i].receiver, "streaming") != 0)
			continue;
		l->seen[i].from = l->seen[i].to =
		    l->view[i].latest_end > l->view[i].received
		        ? l->view[i].latest_end
		        : l->view[i].received;
		at[n] = i;
		v[n++] = &l->node[i];
	}
	return n;
}

/*
 * What is on its way when a primary dies arrives within a moment, so that
 * only what goes on arriving counts.
 */
static int
advances(struct dr_promote_look *l, int64_t until, struct dr_err *err)
{
	struct dr_node *v[DR_PG_HOSTS_MAX];
	const char *sql[DR_PG_HOSTS_MAX];
	size_t at[DR_PG_HOSTS_MAX], i, n = streaming(l, v, at);
	struct dr_promote_seen *s;
	uint64_t lsn;
	int64_t end;
	bool any = n > 0;
	int round;

	for (i = 0; i < n; i++)
		sql[i] = sent_sql;
	for (round = 0; any && round < ADVANCE_ROUNDS; round++) {
		end = dr_monotonic() + ADVANCE_US;
		while (dr_monotonic() < end)
			if (dr_ask_turn(NULL, 0, end, err) == -1)
				return -1;
		if (dr_nodes_run(v, sql, n, until, err) == -1)
			return -1;
		any = false;
		for (i = 0; i < n; i++) {
			s = &l->seen[at[i]];
			lsn = sent(v[i]);
			s->advances = lsn > s->to;
			if (lsn > s->to)
				s->to = lsn;
			any = any || s->advances;
			dr_err_clear(&v[i]->err);
		}
	}
	return 0;
}

/* --- all of it -------------------------------------------------------------------- */

struct asking {
	const struct dr_promote_opts *o;
	struct dr_promote_look *l;
	struct dr_err away;
	int rc;
};

/* While servers start their processes for us. */
static void
ask_etcd(void *arg)
{
	struct asking *a = arg;

	a->rc = dr_promote_look_coord(a->o, a->l, &a->away);
}

static int
servers(struct asking *a, struct dr_err *err)
{
	const struct dr_promote_opts *o = a->o;
	struct dr_promote_look *l = a->l;
	int64_t until = dr_monotonic() + (int64_t)o->timeout_ms * 1000;
	struct dr_node *v[DR_PG_HOSTS_MAX];
	struct dr_ask *ask = NULL;
	struct dr_pg_host *host;
	struct dr_pg_view *view;
	size_t i, n;
	int rc = -1;

	if (dr_pg_hosts(o->conninfo, o->conninfos, &host, &n, err) == -1)
		return -1;
	l->host = host;
	l->n = n;
	l->node = calloc(n + 1, sizeof(*l->node));
	l->seen = calloc(n + 1, sizeof(*l->seen));
	ask = calloc(n + 1, sizeof(*ask));
	if (l->node == NULL || l->seen == NULL || ask == NULL) {
		dr_err_sys(err, "cannot allocate %zu servers", n);
		goto out;
	}
	if (dr_pg_views_keep(host, n, until, (int64_t)o->grace_ms * 1000,
	        ask_etcd, a, &view, ask, err) == -1)
		goto out;
	l->view = view;
	until = dr_monotonic() + (int64_t)o->timeout_ms * 1000;
	if (dr_nodes_take(host, view, ask, l->node, n, until, err) == -1)
		goto out;
	for (i = 0; i < n; i++)
		v[i] = &l->node[i];
	rc = dr_nodes_facts(v, n, until, err);

out:
	for (i = 0; ask != NULL && i < n; i++)
		dr_ask_close(&ask[i]);
	free(ask);
	return rc;
}

int
dr_promote_look(const struct dr_promote_opts *o, struct dr_promote_look *l,
    struct dr_err *err)
{
	struct asking a = { .o = o, .l = l };
	int64_t until;

	memset(l, 0, sizeof(*l));
	if (servers(&a, err) == -1)
		return -1;
	if (a.rc == -1 && l->away.cause != DR_ERETRY) {
		*err = a.away;
		return -1;
	}
	until = dr_monotonic() + (int64_t)o->timeout_ms * 1000;
	if (names(o, l, err) == -1 || members(l, err) == -1 ||
	    advances(l, until, err) == -1)
		return -1;
	if (a.rc == -1)
		*err = a.away;
	return a.rc;
}

void
dr_promote_look_wipe(struct dr_promote_look *l)
{
	if (l->view != NULL && l->node != NULL)
		dr_nodes_close(l->node, l->n);
	dr_pg_views_free(l->view, l->n);
	dr_pg_hosts_free(l->host, l->n);
	free(l->node);
	free(l->seen);
	forget(l);
	memset(l, 0, sizeof(*l));
}
