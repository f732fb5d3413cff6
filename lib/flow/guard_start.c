/* May a server start as it is? */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/guard_int.h"
#include "flow/rejoin.h"
#include "pg/datadir.h"
#include "pg/postmaster.h"

#define PATIENCE_MS 3000

struct start {
	const struct dr_guard_opts *o;
	struct dr_guard_who who;
	struct dr_guard_state state, stored;
	char *path;
	uint32_t tli;  /* PGDATA's */
	bool recovery; /* recovery.signal: it is a primary in the end */
	bool runs;     /* a server runs there already */
	bool refused;  /* ERR is a refusal, and no failure */
};

static bool
there(const char *dir, const char *name, struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/%s", dir, name);
	bool is = path != NULL && access(path, F_OK) == 0;

	free(path);
	return is;
}

static int
refuse(struct start *s, struct dr_err *err)
{
	s->refused = true;
	dr_guard_audit("guard", s->o, &s->who, s->state.epoch, err->msg,
	    "refused");
	return -1;
}

/* It would be a primary: does what is known allow that? */
static int
judge(struct start *s, struct dr_err *err)
{
	const struct dr_guard_state *e = &s->state;

	if (e->epoch == 0)
		return 0;
	if (strcmp(e->leader, s->who.name) != 0) {
		dr_err_set(err, DR_EPARTIAL,
		    "\"%s\" must not start as a primary: in epoch %" PRId64
		    " of %s the primary is %s",
		    s->who.name, e->epoch, s->o->set, e->leader);
		dr_err_hint(err,
		    "make it a standby of %s: dr-promote rejoin -n %s -D %s "
		    "-d CONNINFO",
		    e->leader, s->o->set, s->who.dir);
		return refuse(s, err);
	}
	if (s->tli < e->tli && !s->recovery) {
		dr_err_set(err, DR_EPARTIAL,
		    "\"%s\" must not start as a primary: \"%s\" is of timeline "
		    "%" PRIu32 ", older than that of epoch %" PRId64
		    ", %" PRIu32,
		    s->who.name, s->who.dir, s->tli, e->epoch, e->tli);
		dr_err_hint(err,
		    "it is an old copy: recover it to the latest timeline "
		    "(dr-restore), or fail over to a standby "
		    "(dr-promote plan -n %s)",
		    s->o->set);
		return refuse(s, err);
	}
	return 0;
}

/* etcd does not answer, as AWAY says. */
static int
away(struct start *s, const struct dr_err *why, struct dr_err *err)
{
	const int64_t glass = s->o->break_glass;

	s->state = s->stored;
	if (glass == -1) {
		dr_err_set(err, DR_ERETRY,
		    "\"%s\" may be a former primary, and etcd cannot be asked: "
		    "%s",
		    s->who.name, why->msg);
		dr_err_hint(err,
		    "if you know that no other server is primary: dr-promote "
		    "guard -n %s -D %s --break-glass EPOCH, where the last "
		    "epoch known here is %" PRId64,
		    s->o->set, s->who.dir, s->stored.epoch);
		return -1;
	}
	if (glass != s->stored.epoch || glass == 0) {
		dr_err_set(err, DR_EPARTIAL,
		    "the last epoch that this node knows is not %" PRId64,
		    glass);
		dr_err_hint(err,
		    "see \"epoch\" in \"%s\", and make sure that it is the "
		    "last there was",
		    s->path);
		return refuse(s, err);
	}
	if (judge(s, err) == -1)
		return -1;
	dr_warn("etcd cannot be asked (%s): \"%s\" starts as a primary because "
	        "you say that epoch %" PRId64 " is the last one",
	    why->msg, s->who.name, glass);
	dr_guard_audit("break-glass", s->o, &s->who, glass, why->msg, "ok");
	s->state.glass = glass;
	return dr_guard_state_put(s->path, &s->state, err);
}

/*
 * Is there no guard beside the server?  Then what was published of its
 * synchronous set is withdrawn: while it stands, the end of the key's lease
 * counts as a proof that a guard has stopped the server.
 */
static bool
alone(const struct start *s, const struct dr_coord_look *l)
{
	char key[96], name[DR_NODE_NAME], id[DR_GUARD_ID];
	const struct dr_coord_key_ *k;

	(void)snprintf(key, sizeof(key), "node/%s", s->who.name);
	k = dr_coord_find(l, key);
	return k == NULL || !dr_guard_value_get(k->value, name, id) ||
	       strcmp(id, s->who.id) != 0;
}

/* The key is nobody's but ours: then take it.  1 taken, 0 try again. */
static int
take(struct start *s, const struct dr_coord_look *l, int64_t epoch_was,
    struct dr_err *err)
{
	const struct dr_coord_key_ *k = dr_coord_find(l, "leader"),
	                           *e = dr_coord_find(l, "epoch"),
	                           *sync = dr_coord_find(l, "sync");
	struct dr_coord_op op[2];
	size_t ops = 0;
	struct dr_coord_op gone = { .name = "leader" };
	struct dr_rec_node n = { .tli = s->tli,
		.epoch = s->state.epoch,
		.time = dr_now(),
		.rate = DR_UNKNOWN };
	char name[DR_NODE_NAME] = "?", id[DR_GUARD_ID] = "";
	struct dr_buf value = { .max = 8192 };
	struct dr_held held = { 0 };
	int rc = -1;

	if (k != NULL) {
		if (!dr_guard_value_get(k->value, name, id) ||
		    strcmp(id, s->who.id) != 0) {
			dr_err_set(err, DR_EPARTIAL,
			    "\"%s\" must not start as a primary: %s%s is one, "
			    "and its guard lives",
			    s->who.name, name,
			    strcmp(name, s->who.name) == 0 ? " on another host"
			                                   : "");
			dr_err_hint(err,
			    "if that was stopped just now, try again in a few "
			    "seconds; see dr-promote status -n %s",
			    s->o->set);
			return refuse(s, err);
		}
		gone.was = k->modified;
		if ((rc = dr_coord_put(s->o->coord, &gone, 1, NULL, err)) != 1)
			return rc;
	}
	if (e != NULL)
		op[ops++] = (struct dr_coord_op){ .name = "epoch",
			.value = e->value,
			.was = epoch_was };
	if (sync != NULL && alone(s, l))
		op[ops++] = (struct dr_coord_op){ .name = "sync",
			.was = sync->modified };
	rc = -1;
	(void)snprintf(n.name, sizeof(n.name), "%s", s->who.name);
	(void)snprintf(n.kind, sizeof(n.kind), "guard");
	(void)snprintf(n.role, sizeof(n.role), "starting");
	if (dr_guard_value(&n, s->who.id, &value, err) == 0) {
		char *holder = NULL;

		rc = dr_coord_take(s->o->coord, "leader", value.data, s->o->ttl,
		    op, ops, &held, &holder, err);
		free(holder);
	}
	dr_buf_free(&value);
	return rc;
}

/* One attempt with etcd: 1 it may start, 0 others were faster, -1. */
static int
ask(struct start *s, struct dr_err *err)
{
	struct dr_coord_look l = { 0 };
	int64_t was;
	int rc = -1;

	if (dr_coord_look(s->o->coord, &l, err) == -1) {
		struct dr_err why = *err;

		if (why.cause != DR_ERETRY)
			return -1;
		dr_err_clear(err);
		return away(s, &why, err) == 0 ? 1 : -1;
	}
	s->state = s->stored;
	if (dr_guard_epoch(&l, &s->state, &was, err) == -1 ||
	    judge(s, err) == -1)
		goto out;
	s->state.glass = 0;
	if (s->state.epoch != 0 &&
	    memcmp(&s->state, &s->stored, sizeof(s->state)) != 0 &&
	    dr_guard_state_put(s->path, &s->state, err) == -1)
		goto out;
	rc = s->runs ? 1 : take(s, &l, was, err);

out:
	dr_coord_look_wipe(&l);
	return rc;
}

static int
look(struct start *s, struct dr_err *err)
{
	struct dr_control c;
	pid_t pid;
	int n;

	if (dr_control_read(s->who.dir, &c, err) == -1)
		return -1;
	/* Between a promotion and its checkpoint the second is the newer. */
	s->tli = c.tli > c.min_recovery_tli ? c.tli : c.min_recovery_tli;
	s->recovery = there(s->who.dir, "recovery.signal", err);
	if ((n = dr_postmaster_look(s->who.dir, &pid, err)) == -1)
		return -1;
	s->runs = pid != 0;
	return 0;
}

int
dr_guard_start(const struct dr_guard_opts *o, struct dr_err *err)
{
	struct start s = { .o = o };
	int rc = -1, n = 0;

	if (o->pgdata != NULL && dr_rejoin_unusable(o->pgdata)) {
		dr_err_set(err, DR_EPARTIAL,
		    "no server may start on \"%s\": what rejoined or restored "
		    "it did not finish",
		    o->pgdata);
		return dr_err_hint(err,
		    "go on with it: dr-promote rejoin -n %s -D %s -d CONNINFO",
		    o->set, o->pgdata);
	}
	if (dr_guard_who(o, &s.who, err) == -1)
		return -1;
	if (there(s.who.dir, "standby.signal", err)) {
		dr_say(1, "\"%s\" may start: it is a standby", s.who.name);
		rc = 0;
		goto out;
	}
	if ((s.path = dr_guard_path(o, &s.who, "json", err)) == NULL ||
	    look(&s, err) == -1 ||
	    dr_guard_state_get(s.path, &s.stored, err) == -1)
		goto out;
	dr_etcd_patience(o->etcd, PATIENCE_MS);
	for (int i = 0; i < 3 && n == 0; i++)
		n = ask(&s, err);
	if (n == 0)
		dr_err_set(err, DR_ERETRY,
		    "others change who is primary: try again");
	if (n != 1)
		goto out;
	dr_say(1, "\"%s\" may start as a primary, epoch %" PRId64, s.who.name,
	    s.state.epoch);
	rc = 0;

out:
	free(s.path);
	dr_guard_who_wipe(&s.who);
	return rc;
}
