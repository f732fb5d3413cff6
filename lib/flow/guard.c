#include "flow/guard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/notify.h"
#include "base/num.h"
#include "flow/guard_int.h"
#include "flow/promote_hook.h"
#include "pg/postmaster.h"

#define SECOND   INT64_C(1000000)
#define SLICE_US 100000 /* how late it may be seen that the machine slept */
#define SOON_US  200000
#define QUIT_MS  300 /* for an immediate shutdown; then SIGKILL */
#define LOCK_MS  2000

int64_t
dr_guard_tick(const struct dr_guard_opts *o)
{
	return o->ttl * SECOND / 3;
}

int64_t
dr_guard_reserve(const struct dr_guard_opts *o)
{
	int64_t fifth = o->ttl * SECOND / 5;

	return fifth > 600000 ? fifth : 600000;
}

int64_t
dr_guard_window(const struct dr_guard_opts *o)
{
	return o->ttl * SECOND - o->ttl * SECOND / 10 - dr_guard_reserve(o);
}

static void
promise(struct dr_guard *g, int64_t stop_at)
{
	if (stop_at == g->stop_at && dr_deadman_at(g->deadman) == stop_at)
		return;
	g->stop_at = stop_at;
	dr_deadman_set(g->deadman, stop_at, g->run);
}

/* --- what is seen ------------------------------------------------------------- */

/* What whoever let it start has written: the glass, a newer epoch. */
static void
read_start(struct dr_guard *g)
{
	struct dr_guard_state now;
	struct dr_err err = { 0 };

	if (dr_guard_state_get(g->state_path, &now, &err) == -1)
		dr_warn_err(&err);
	else if (now.epoch >= g->state.epoch) {
		g->state = now;
		g->stored = now;
	}
}

/* This run of the server, and what is promised for it before it has a lease. */
static void
follow_run(struct dr_guard *g)
{
	const struct dr_guard_server *s = &g->server;

	if (s->pid != g->run && s->pid != 0)
		read_start(g);
	if (s->pid != g->run || !dr_guard_writable(s)) {
		g->run = s->pid;
		g->fresh = true;
		promise(g, 0);
	}
	if (dr_guard_writable(s) && g->stop_at == 0 && g->state.epoch != 0 &&
	    g->state.glass == 0)
		promise(g, dr_boottime() + dr_guard_window(g->o));
}

static bool
published(const struct dr_guard *g)
{
	return *g->state.names != '\0' &&
	       strcmp(g->state.names, g->server.names) == 0;
}

static void
facts(const struct dr_guard *g, bool asked, struct dr_guard_facts *f)
{
	const struct dr_guard_server *s = &g->server;
	bool known = s->known != 0 && s->known == s->pid;

	memset(f, 0, sizeof(*f));
	f->now = dr_boottime();
	f->stop_at = g->stop_at;
	f->writable = dr_guard_writable(s);
	f->fresh = g->fresh;
	f->asked = asked;
	f->epoch = g->state.epoch;
	f->names_us = strcmp(g->state.leader, g->who.name) == 0;
	f->older = dr_guard_primary(s) && s->tli < g->state.tli;
	f->leader = g->leader;
	f->twin = strcmp(g->other, g->who.name) == 0;
	f->lease = g->held.until != 0;
	f->failsafe = s->proof_at != 0 && published(g) &&
	              f->now - s->proof_at < dr_guard_tick(g->o);
	f->glass = g->state.glass != 0;
	f->hung = g->o->hang_ms != 0 && known &&
	          f->now - s->heard_at > (int64_t)g->o->hang_ms * 1000;
}

/* --- what is done ------------------------------------------------------------- */

static void
hook(struct dr_guard *g)
{
	const struct dr_hook h = {
		.kind = "stop",
		.command = g->o->stop,
		.set = g->o->set,
		.epoch = g->state.epoch,
		.node = g->who.name,
		.mode = "immediate",
		.pgdata = g->who.dir,
		.timeout_ms = (uint64_t)dr_guard_reserve(g->o) / 2000,
	};
	struct dr_err why = { 0 }, err = { 0 };
	enum dr_hook_said said;

	if (dr_hook_run(&h, &said, NULL, &why, &err) == -1)
		dr_warn_err(&err);
	else if (said != DR_HOOK_DONE)
		dr_warn("the stop hook: %s: %s", dr_hook_word(said), why.msg);
}

static void
say_why(const struct dr_guard *g, char *out, size_t size)
{
	const char *why = g->why;

	if (strcmp(why, "epoch") == 0)
		(void)snprintf(out, size, "in epoch %" PRId64 " %s leads",
		    g->state.epoch, g->state.leader);
	else if (strcmp(why, "timeline") == 0)
		(void)snprintf(out, size,
		    "its timeline, %" PRIu32 ", is older than that of epoch "
		    "%" PRId64 ", %" PRIu32,
		    g->server.tli, g->state.epoch, g->state.tli);
	else if (strcmp(why, "hung") == 0)
		(void)snprintf(out, size,
		    "it has not answered for more than %" PRIu64 " ms",
		    g->o->hang_ms);
	else if (strcmp(why, "name") == 0)
		(void)snprintf(out, size,
		    "another guard has the name of this node, %s", g->who.name);
	else if (strcmp(why, "leader") == 0)
		(void)snprintf(out, size, "%s%s leads, and its guard lives",
		    g->other,
		    strcmp(g->other, g->who.name) == 0 ? " on another host"
		                                       : "");
	else
		(void)snprintf(out, size,
		    "it cannot be shown in time that it is the only primary%s%.300s",
		    g->away.cause != DR_OK ? ": " : "", g->away.msg);
}

static void
stop(struct dr_guard *g)
{
	struct dr_err err = { 0 };
	char why[512];
	pid_t pid;

	/* The other process was faster. */
	if (dr_postmaster_look(g->who.dir, &pid, &err) == 0)
		return;
	dr_err_clear(&err);

	say_why(g, why, sizeof(why));
	dr_warn("the server on \"%s\" is stopped: %s", g->who.dir, why);
	if (g->o->stop != NULL)
		hook(g);
	if (dr_postmaster_end(g->who.dir, QUIT_MS, &err) == -1) {
		dr_guard_audit("guard-stop", g->o, &g->who, g->state.epoch, why,
		    err.msg);
		dr_warn_err(&err);
		return; /* the next round tries again */
	}
	g->stops++;
	g->last_stop = dr_now();
	dr_guard_audit("guard-stop", g->o, &g->who, g->state.epoch, why, "ok");
}

static void
renewed(struct dr_guard *g)
{
	g->fresh = false;
	g->state.glass = 0;
	promise(g,
	    dr_boottime() + dr_coord_left(&g->held) - dr_guard_reserve(g->o));
}

/* -1: a stop signal. */
static int
act(struct dr_guard *g, const struct dr_guard_facts *f, struct dr_err *err)
{
	struct dr_err why = { 0 };
	int rc = 1;

	switch (g->act) {
	case DR_GUARD_GO_ON:
		if (f->asked)
			renewed(g);
		break;
	case DR_GUARD_WAIT:
		promise(g, dr_boottime() + dr_guard_window(g->o));
		g->ask_at = dr_boottime() + SOON_US;
		break;
	case DR_GUARD_TAKE:
		if ((rc = dr_guard_take(g, &why)) == 1)
			renewed(g);
		break;
	case DR_GUARD_RELEASE:
		rc = dr_guard_release(g, &why);
		break;
	case DR_GUARD_STAY:
		promise(g,
		    f->failsafe ? g->server.proof_at + dr_guard_tick(g->o) : 0);
		break;
	case DR_GUARD_STOP:
		stop(g);
		break;
	case DR_GUARD_REST:
	case DR_GUARD_LOOSE:
		break;
	}
	if (rc == -1) {
		if (why.cause == DR_ESTOP) {
			*err = why;
			return -1;
		}
		g->away = why;
		g->asked = false;
	}
	if (rc != 1)
		g->ask_at = dr_boottime() + SOON_US;
	return 0;
}

/* What others are told in etcd. */
static int
publish(struct dr_guard *g, struct dr_err *err)
{
	struct dr_err why = { 0 };

	if (!g->asked || g->held.until == 0 ||
	    (dr_guard_report(g, &why) != -1 &&
	        (g->leader != DR_LEADER_OURS || !dr_guard_primary(&g->server) ||
	            dr_guard_sync(g, &why) != -1)))
		return 0;
	if (why.cause == DR_ESTOP) {
		*err = why;
		return -1;
	}
	g->away = why;
	return 0;
}

/* --- rounds --------------------------------------------------------------------- */

/* Are all members connected?  That is not waited for beyond the end. */
static int
prove(struct dr_guard *g, struct dr_err *err)
{
	int64_t us = dr_guard_tick(g->o) / 4, left;

	if (!dr_guard_primary(&g->server) || !published(g))
		return 0;
	left = g->stop_at - dr_boottime();
	if (g->stop_at != 0 && left < us)
		us = left > SLICE_US ? left : SLICE_US;
	return dr_guard_server_look(&g->server, us, g->state.names, err);
}

static int
ask(struct dr_guard *g, struct dr_err *err)
{
	const int64_t tick = dr_guard_tick(g->o), now = dr_boottime();
	int64_t us = tick * 2 / 3;

	if (g->stop_at != 0 && now + us > g->stop_at)
		us = g->stop_at - now;
	/* Members of the set have to be asked, too. */
	if (!g->asked && us > tick / 3)
		us = tick / 3;
	if (us < SLICE_US)
		us = SLICE_US;
	if (dr_guard_ask(g, us / 1000, err) == -1)
		return -1;
	/* etcd that is away is asked again soon. */
	g->ask_at = dr_boottime() + (g->asked ? tick - us / 4 : tick / 3);
	return g->asked ? 0 : prove(g, err);
}

static int
store(struct dr_guard *g)
{
	struct dr_err err = { 0 };

	if (memcmp(&g->state, &g->stored, sizeof(g->state)) == 0)
		return 0;
	if (dr_guard_state_put(g->state_path, &g->state, &err) == -1)
		dr_warn_err(&err);
	else
		g->stored = g->state;
	return 0;
}

/* -1: a stop signal, or what dr_guard_server_look says. */
static int
one_round(struct dr_guard *g, struct dr_err *err)
{
	struct dr_guard_server *s = &g->server;
	struct dr_guard_facts f;
	const char *role;
	bool asked = false;

	if (dr_guard_server_look(s, dr_guard_tick(g->o) / 4, NULL, err) == -1)
		return -1;
	follow_run(g);
	if (!dr_deadman_alive(g->deadman) &&
	    dr_deadman_start(g->deadman, g->who.dir,
	        (uint64_t)dr_guard_reserve(g->o) / 2000, err) == -1)
		return -1;
	facts(g, false, &f);
	g->act = dr_guard_judge(&f, &g->why);
	role = dr_guard_role(s);
	/* Before anything that takes time. */
	if (g->act == DR_GUARD_STOP && !g->fresh && !(f.failsafe || f.glass) &&
	    !(strcmp(g->why, "late") == 0 && !g->asked && published(g)))
		goto judged;
	if (dr_boottime() >= g->ask_at || strcmp(role, g->role) != 0) {
		(void)snprintf(g->role, sizeof(g->role), "%s", role);
		if (ask(g, err) == -1)
			return -1;
		asked = g->asked;
		follow_run(g);
	} else if (!g->asked && prove(g, err) == -1)
		return -1;
	facts(g, asked, &f);
	g->act = dr_guard_judge(&f, &g->why);

judged:
	if (act(g, &f, err) == -1 || (asked && publish(g, err) == -1))
		return -1;
	store(g);
	return dr_guard_tell(g, err);
}

/* Until there is something to do. */
static int
nap(struct dr_guard *g, struct dr_err *err)
{
	struct dr_guard_server *s = &g->server;
	const bool open = s->open;
	int64_t until = g->ask_at, now = dr_boottime(), left;

	/* It comes or goes, or there is no lease to rest on. */
	if ((s->alive != 0 && !s->open) || !g->asked)
		until = now + SOON_US;
	if (g->stop_at != 0 && g->stop_at < until)
		until = g->stop_at;
	while ((left = until - dr_boottime()) > 0 && s->open == open)
		if (dr_guard_server_wait(s, left < SLICE_US ? left : SLICE_US,
		        err) == -1)
			return -1;
	return 0;
}

/* --- the beginning and the end ---------------------------------------------------- */

/* A stop signal has come. */
static void
leave(struct dr_guard *g)
{
	struct dr_err err = { 0 };
	pid_t pid;

	dr_stop_heard();
	dr_notify("STOPPING=1");
	g->server.alive = dr_postmaster_look(g->who.dir, &pid, &err);
	dr_etcd_patience(g->o->etcd, 1000);
	if (dr_guard_writable(&g->server)) {
		/*
		 * That the key is gone will prove nothing any more; without
		 * this record nobody takes it for a proof.
		 */
		if (g->held.until == 0 || g->leader != DR_LEADER_OURS ||
		    dr_guard_sync_withdraw(g, &err) == -1)
			dr_warn_err(&err);
		promise(g, 0);
		dr_warn("the server on \"%s\" is a primary, and nobody guards "
		        "it from now on",
		    g->who.dir);
		dr_guard_audit("guard-left", g->o, &g->who, g->state.epoch,
		    NULL, "ok");
	} else {
		promise(g, 0);
		if (g->held.lease != 0 &&
		    dr_coord_release(g->o->coord, &g->held, &err) == -1)
			dr_warn_err(&err);
	}
	store(g);
}

/* What a predecessor left. */
static int
begin(struct dr_guard *g, int *lock, struct dr_err *err)
{
	struct dr_guard_server *s = &g->server;
	char *path;
	pid_t pid;

	if (dr_postmaster_look(g->who.dir, &pid, err) == -1 ||
	    (path = dr_guard_path(g->o, &g->who, "lock", err)) == NULL)
		return -1;
	*lock = dr_lock(path, LOCK_MS, err);
	free(path);
	if (*lock == -1)
		return dr_err_wrap(err, "another guard of \"%s\" may run",
		    g->who.name);
	if ((g->state_path = dr_guard_path(g->o, &g->who, "json", err)) ==
	        NULL ||
	    dr_guard_state_get(g->state_path, &g->state, err) == -1 ||
	    (path = dr_guard_path(g->o, &g->who, "until", err)) == NULL)
		return -1;
	g->stored = g->state;
	g->deadman = dr_deadman_open(path, err);
	free(path);
	if (g->deadman == NULL)
		return -1;
	if (dr_deadman_at(g->deadman) != 0 && pid != 0 &&
	    dr_deadman_pid(g->deadman) == pid) {
		g->run = pid;
		g->stop_at = dr_deadman_at(g->deadman);
		s->pid = pid;
		s->heard_at = dr_boottime();
	} else {
		g->fresh = true;
		dr_deadman_set(g->deadman, 0, 0);
	}
	g->fired = dr_deadman_fired(g->deadman);
	return dr_deadman_start(g->deadman, g->who.dir,
	    (uint64_t)dr_guard_reserve(g->o) / 2000, err);
}

int
dr_guard_run(const struct dr_guard_opts *o, struct dr_err *err)
{
	struct dr_guard g = { .o = o, .rate = DR_UNKNOWN };
	struct dr_err why = { 0 };
	int rc = -1, lock = -1;

	if (dr_guard_who(o, &g.who, err) == -1)
		return -1;
	if (dr_guard_server_open(&g.server, o->conninfo, g.who.dir, err) ==
	        -1 ||
	    begin(&g, &lock, err) == -1)
		goto out;
	for (;;) {
		dr_err_clear(&why);
		if (one_round(&g, &why) == -1 && why.cause != DR_ESTOP &&
		    !g.ready) {
			*err = why;
			break;
		}
		if (why.cause == DR_OK)
			(void)nap(&g, &why);
		if (why.cause == DR_ESTOP) {
			leave(&g);
			rc = 0;
			break;
		}
		if (why.cause != DR_OK) {
			dr_warn_err(&why);
			g.ask_at = 0;
			(void)dr_guard_server_wait(&g.server, SECOND, &why);
		}
	}

out:
	dr_guard_server_close(&g.server);
	dr_deadman_free(g.deadman);
	if (lock != -1)
		close(lock);
	free(g.state_path);
	free(g.epoch_value);
	free(g.sync_value);
	dr_guard_who_wipe(&g.who);
	return rc;
}
