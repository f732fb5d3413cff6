/* What a guard has in etcd. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/guard_int.h"

#define SECOND       INT64_C(1000000)
#define EFFECTIVE_US SECOND /* what the server enforces for so long */
#define MIN_MS       50

/* What a call may take of the MS that began at BEGAN. */
static void
patience(const struct dr_guard *g, int64_t began, int64_t ms)
{
	int64_t left = ms - (dr_boottime() - began) / 1000;

	dr_etcd_patience(g->o->etcd, (uint64_t)(left > MIN_MS ? left : MIN_MS));
}

static const char *
node_key(const struct dr_guard *g, char out[96])
{
	(void)snprintf(out, 96, "node/%s", g->who.name);
	return out;
}

void
dr_guard_record(const struct dr_guard *g, struct dr_rec_node *n)
{
	const struct dr_guard_server *s = &g->server;

	memset(n, 0, sizeof(*n));
	(void)snprintf(n->name, sizeof(n->name), "%s", g->who.name);
	(void)snprintf(n->kind, sizeof(n->kind), "guard");
	(void)snprintf(n->role, sizeof(n->role), "%s", dr_guard_role(s));
	(void)snprintf(n->where, sizeof(n->where), "%s",
	    strlen(s->host->where) < sizeof(n->where) ? s->host->where : "");
	(void)snprintf(n->region, sizeof(n->region), "%s", s->region);
	n->tli = s->alive != 0 && s->known == s->pid ? s->tli : s->control_tli;
	n->lsn = s->lsn;
	n->lsn_time = s->lsn_time;
	n->rate = g->rate;
	n->epoch = g->state.epoch;
	n->time = dr_now();
}

static int
value_of(const struct dr_guard *g, struct dr_buf *out, struct dr_err *err)
{
	struct dr_rec_node n;

	dr_guard_record(g, &n);
	return dr_guard_value(&n, g->who.id, out, err);
}

/* --- node/NAME, and its lease ----------------------------------------------- */

/* A predecessor's lease is gone on with.  1, 0 somebody else's, -1. */
static int
adopt(struct dr_guard *g, const struct dr_coord_key_ *k, struct dr_err *err)
{
	char name[DR_NODE_NAME], id[DR_GUARD_ID];

	if (!dr_guard_value_get(k->value, name, id) ||
	    strcmp(id, g->who.id) != 0 || k->lease == 0) {
		(void)snprintf(g->other, sizeof(g->other), "%s", g->who.name);
		return 0;
	}
	return dr_coord_adopt(g->o->coord, k, g->o->ttl, &g->held, err);
}

/* By a look: it is ours, or becomes so.  1, 0 not now, -1. */
static int
have_node(struct dr_guard *g, const struct dr_coord_look *l, struct dr_err *err)
{
	struct dr_buf value = { .max = 8192 };
	char key[96], *holder = NULL;
	const struct dr_coord_key_ *k = dr_coord_find(l, node_key(g, key));
	int rc = -1;

	if (g->held.until != 0)
		return 1;
	if (k != NULL && (g->held.lease == 0 || k->lease != g->held.lease))
		return adopt(g, k, err);
	if (value_of(g, &value, err) == 0)
		rc = dr_coord_take(g->o->coord, key, value.data, g->o->ttl,
		    NULL, 0, &g->held, &holder, err);
	free(holder);
	dr_buf_free(&value);
	return rc;
}

/* --- a round ------------------------------------------------------------------ */

static void
see_leader(struct dr_guard *g, const struct dr_coord_look *l)
{
	const struct dr_coord_key_ *k = dr_coord_find(l, "leader");
	char name[DR_NODE_NAME] = "?", id[DR_GUARD_ID] = "";

	g->leader_was = k != NULL ? k->modified : 0;
	if (k == NULL) {
		g->leader = DR_LEADER_NOBODY;
		return;
	}
	(void)dr_guard_value_get(k->value, name, id);
	if (strcmp(id, g->who.id) != 0) {
		g->leader = DR_LEADER_OTHER;
		(void)snprintf(g->other, sizeof(g->other), "%s", name);
	} else
		g->leader = g->held.until != 0 && k->lease == g->held.lease
		                ? DR_LEADER_OURS
		                : DR_LEADER_SELF;
}

static int
keep(char **to, const struct dr_coord_key_ *k, struct dr_err *err)
{
	free(*to);
	*to = NULL;
	if (k != NULL && (*to = strdup(k->value)) == NULL)
		return dr_err_sys(err, "cannot keep a record");
	return 0;
}

static int
see(struct dr_guard *g, const struct dr_coord_look *l, struct dr_err *err)
{
	const struct dr_coord_key_ *sync = dr_coord_find(l, "sync");

	if (dr_guard_epoch(l, &g->state, &g->epoch_was, err) == -1 ||
	    keep(&g->epoch_value, dr_coord_find(l, "epoch"), err) == -1 ||
	    keep(&g->sync_value, sync, err) == -1)
		return -1;
	g->sync_was = sync != NULL ? sync->modified : 0;
	see_leader(g, l);
	return 0;
}

static int
ask(struct dr_guard *g, int64_t ms, struct dr_err *err)
{
	struct dr_coord_look l = { 0 };
	const int64_t began = dr_boottime();
	int rc = -1;

	if (g->held.until != 0) {
		patience(g, began, ms);
		if ((rc = dr_coord_renew(g->o->coord, &g->held, err)) == -1)
			return -1;
		if (rc == 0)
			memset(&g->held, 0, sizeof(g->held));
		rc = -1;
	}
	patience(g, began, ms);
	if (dr_coord_look(g->o->coord, &l, err) == -1)
		return -1;
	patience(g, began, ms);
	*g->other = '\0';
	if (have_node(g, &l, err) != -1)
		rc = see(g, &l, err);
	dr_coord_look_wipe(&l);
	return rc;
}

int
dr_guard_ask(struct dr_guard *g, int64_t ms, struct dr_err *err)
{
	struct dr_err why = { 0 };

	g->asked = ask(g, ms, &why) == 0;
	if (!g->asked && why.cause == DR_ESTOP) {
		*err = why;
		return -1;
	}
	g->away = why;
	return 0;
}

/* --- leader, and the epoch ------------------------------------------------------ */

/* The first epoch of all. */
static int
first_epoch(const struct dr_guard *g, struct dr_buf *out, struct dr_err *err)
{
	struct dr_rec_epoch e = { .epoch = 1,
		.time = dr_now(),
		.tli = g->server.tli };

	(void)snprintf(e.leader, sizeof(e.leader), "%s", g->who.name);
	return dr_rec_epoch_put(&e, out, err);
}

int
dr_guard_take(struct dr_guard *g, struct dr_err *err)
{
	struct dr_buf value = { .max = 8192 }, epoch = { .max = 8192 };
	struct dr_coord_op op[2] = {
		{ .name = "leader", .leased = true, .was = g->leader_was },
		{ .name = "epoch",
		    .value = g->epoch_value,
		    .was = g->epoch_was },
	};
	/* Nobody is named before there is a primary. */
	bool first = g->epoch_value == NULL && dr_guard_primary(&g->server);
	int rc = -1;

	if (g->held.until == 0)
		return 0;
	if (value_of(g, &value, err) == -1 ||
	    (first && first_epoch(g, &epoch, err) == -1))
		goto out;
	op[0].value = value.data;
	if (first)
		op[1].value = epoch.data;
	rc = dr_coord_write(g->o->coord, &g->held, op,
	    op[1].value != NULL ? 2 : 1, NULL, err);
	if (rc != 1)
		goto out;
	g->leader = DR_LEADER_OURS;
	if (first) {
		g->state.epoch = 1;
		g->state.tli = g->server.tli;
		(void)snprintf(g->state.leader, sizeof(g->state.leader), "%s",
		    g->who.name);
		dr_guard_audit("epoch", g->o, &g->who, 1, "the first", "ok");
	}

out:
	dr_buf_free(&value);
	dr_buf_free(&epoch);
	return rc;
}

int
dr_guard_release(struct dr_guard *g, struct dr_err *err)
{
	const struct dr_coord_op op = { .name = "leader",
		.was = g->leader_was };
	int rc = dr_coord_write(g->o->coord, &g->held, &op, 1, NULL, err);

	if (rc == 1)
		g->leader = DR_LEADER_NOBODY;
	return rc;
}

/* --- the synchronous set --------------------------------------------------------- */

/* What the server has in force; 0 it cannot be written down. */
static int
sync_record(const struct dr_guard *g, struct dr_rec_sync *r, struct dr_err *err)
{
	struct dr_syncnames set = { 0 };
	struct dr_err odd = { 0 };
	int rc = 0;

	memset(r, 0, sizeof(*r));
	if (dr_syncnames_parse(g->server.names, &set, &odd) == -1 ||
	    set.n > DR_MEMBERS)
		goto out;
	(void)snprintf(r->names, sizeof(r->names), "%s", g->server.names);
	(void)snprintf(r->leader, sizeof(r->leader), "%s", g->who.name);
	r->wait = set.wait;
	r->any = set.any;
	r->restart = g->server.restart;
	r->tli = g->server.tli;
	r->members = set.n;
	for (size_t i = 0; i < set.n; i++) {
		if (strlen(set.name[i]) >= sizeof(r->member[i]))
			goto out;
		(void)snprintf(r->member[i], sizeof(r->member[i]), "%s",
		    set.name[i]);
	}
	rc = 1;

out:
	dr_syncnames_free(&set);
	(void)err;
	return rc;
}

int
dr_guard_sync_withdraw(struct dr_guard *g, struct dr_err *err)
{
	const struct dr_coord_op op = { .name = "sync", .was = g->sync_was };
	int rc;

	if (g->sync_was == 0)
		return 1;
	rc = dr_coord_write(g->o->coord, &g->held, &op, 1, NULL, err);
	if (rc == 1) {
		g->sync_was = 0;
		free(g->sync_value);
		g->sync_value = NULL;
		*g->state.names = '\0';
	}
	return rc;
}

int
dr_guard_sync(struct dr_guard *g, struct dr_err *err)
{
	struct dr_buf value = { .max = 65536 };
	struct dr_rec_sync now, then;
	struct dr_err odd = { 0 };
	struct dr_coord_op op = { .name = "sync", .was = g->sync_was };
	int64_t revision = 0;
	bool same, known;
	int rc = 1;

	if (g->names_since == 0 || strcmp(g->names, g->server.names) != 0) {
		(void)snprintf(g->names, sizeof(g->names), "%s",
		    g->server.names);
		g->names_since = dr_boottime();
	}
	known = g->sync_value != NULL &&
	        dr_rec_sync_get(g->sync_value, &then, &odd) == 0;
	same = known && strcmp(then.names, g->server.names) == 0 &&
	       strcmp(then.leader, g->who.name) == 0;
	/* What is no longer so goes first. */
	if (!same && (rc = dr_guard_sync_withdraw(g, err)) != 1)
		return rc;
	if (sync_record(g, &now, err) == 0) {
		dr_warn("the synchronous set \"%s\" cannot be published",
		    g->server.names);
		return 1;
	}
	if (dr_boottime() - g->names_since < EFFECTIVE_US)
		return 1;
	if (!same || then.tli != now.tli || then.restart != now.restart) {
		op.was = g->sync_was;
		if (dr_rec_sync_put(&now, &value, err) == -1)
			rc = -1;
		else {
			op.value = value.data;
			rc = dr_coord_write(g->o->coord, &g->held, &op, 1,
			    &revision, err);
		}
		dr_buf_free(&value);
	}
	if (rc == 1)
		(void)snprintf(g->state.names, sizeof(g->state.names), "%s",
		    g->server.names);
	return rc;
}

int
dr_guard_report(struct dr_guard *g, struct dr_err *err)
{
	struct dr_buf value = { .max = 8192 };
	struct dr_coord_op op = { .name = g->held.name,
		.leased = true,
		.was = -1 };
	int rc = -1;

	if (value_of(g, &value, err) == 0) {
		op.value = value.data;
		rc = dr_coord_write(g->o->coord, &g->held, &op, 1, NULL, err);
	}
	dr_buf_free(&value);
	return rc;
}
