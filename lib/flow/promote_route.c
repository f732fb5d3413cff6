/* The commands of the user's, and the way through the router. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/num.h"
#include "flow/promote_run.h"
#include "pg/beat.h"

#define SLICE_MS 1000 /* of a try */
#define PAUSE_NS 5000000

/* --- hooks ------------------------------------------------------------------------------ */

/* Where reads may go: all standbys but the new primary. */
static int
replicas(const struct dr_run *r, struct dr_buf *out, struct dr_err *err)
{
	struct dr_node *other[DR_PG_HOSTS_MAX];
	const size_t n = dr_run_standbys(r, true, other);
	char host[256], port[8];
	size_t i;

	for (i = 0; i < n; i++)
		if (dr_run_address(&r->look, (int)(other[i] - r->look.node),
		        host, port, err) == -1 ||
		    dr_buf_fmt(out, err, "%s%s:%s", i == 0 ? "" : " ", host,
		        port) == -1)
			return -1;
	return 0;
}

static struct dr_hook
hook(const struct dr_run *r, const char *kind, const char *command, uint64_t ms)
{
	const struct dr_hook h = {
		.kind = kind,
		.command = command,
		.set = r->o->set,
		.epoch = r->epoch,
		.old_node = r->old_name,
		.old_host = r->old_host,
		.old_port = r->old_port,
		.timeout_ms = ms,
	};

	return h;
}

int
dr_run_hook(struct dr_run *r, const char *kind, const char *command,
    const char *role, const char *mode, uint64_t ms, enum dr_hook_said *said,
    struct dr_err *why, struct dr_err *err)
{
	struct dr_hook h = hook(r, kind, command, ms);

	h.node = r->old_name;
	h.host = r->old_host;
	h.port = r->old_port;
	h.role = role;
	h.mode = mode;
	if (r->plan.old != -1 && r->look.node[r->plan.old].facts.known)
		h.pgdata = r->look.node[r->plan.old].facts.data_directory;
	return dr_hook_run(&h, said, NULL, why, err);
}

/* Through the router, until it is acknowledged. */
static int
write_through(struct dr_run *r, struct dr_err *err)
{
	const struct timespec pause = { 0, PAUSE_NS };
	const int64_t until = dr_run_until(r->o->promote_ms);
	struct dr_pg_host *host = NULL;
	struct dr_ask ask;
	size_t n = 0;
	int64_t beat;
	int rc = 0;

	if (dr_pg_hosts(&r->o->through, 1, &host, &n, err) == -1)
		return -1;
	while (rc == 0 && dr_monotonic() < until) {
		memset(&ask, 0, sizeof(ask));
		if ((rc = dr_run_tick(r, err)) == -1 ||
		    (rc = dr_pg_hosts_find(host, 1, dr_run_until(SLICE_MS),
		         err)) == -1)
			break;
		dr_ask_open(&ask, &host[0], dr_run_until(SLICE_MS));
		if ((rc = dr_ask_wait(&ask, err)) == 0 && ask.at == DR_ASK_IDLE)
			rc = dr_beat_write(&ask, dr_run_until(SLICE_MS), &beat,
			    err);
		if (rc == 0)
			(void)nanosleep(&pause, NULL);
		dr_ask_close(&ask);
	}
	if (rc == 0)
		dr_err_set(err, DR_EFAIL, "no write through %s is acknowledged",
		    host[0].where);
	dr_pg_hosts_free(host, n);
	return rc == 1 ? 0 : -1;
}

int
dr_run_route(struct dr_run *r, const char *action, struct dr_err *err)
{
	struct dr_hook h = hook(r, "route", r->o->route, r->o->pause_ms);
	struct dr_buf list = { .max = 65536 };
	enum dr_hook_said said;
	struct dr_err why = { 0 };
	int rc = -1;

	if (r->o->route == NULL)
		goto write;
	if (replicas(r, &list, err) == -1)
		goto out;
	h.action = action;
	h.node = dr_run_node(r)->view->name;
	h.host = r->new_host;
	h.port = r->new_port;
	h.replicas = list.data;
	r->touched = true;
	if (dr_hook_run(&h, &said, NULL, &why, err) == -1)
		goto out;
	if (said != DR_HOOK_DONE) {
		dr_err_set(err, DR_EFAIL, "the router's hook (%s): %s: %s",
		    action, dr_hook_word(said), why.msg);
		goto out;
	}
write:
	rc = 0;
	if (strcmp(action, "switch") == 0) {
		if (r->o->through != NULL)
			rc = write_through(r, err);
		if (rc == 0 && (r->o->route != NULL || r->o->through != NULL))
			r->ev->t_routed = dr_now();
	}

out:
	dr_buf_free(&list);
	return rc;
}
