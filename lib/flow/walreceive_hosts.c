/*
 * The slot on the other hosts of the connection string.  Slots are not copied
 * to standbys: without one of its own, a standby that is promoted has removed
 * WAL that the stores lack.  A process by itself: a host that does not answer
 * must not keep anybody waiting.
 */
#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/walreceive_int.h"
#include "pg/hosts.h"

#define EVERY_S   10
#define HOSTS_MAX 16

struct hosts {
	const struct dr_wal_receive_opts *o;
	const struct dr_recv_shared *shared;
	char *conninfo[HOSTS_MAX]; /* may hold passwords */
	bool told[HOSTS_MAX];
	size_t n;
};

static const char look_query[] =
    "SELECT pg_is_in_recovery(), EXISTS (SELECT FROM pg_replication_slots "
    "WHERE slot_name = $1)";
static const char make_query[] =
    "SELECT pg_create_physical_replication_slot($1, true)";
/* Never past what is durable, nor past what the standby has replayed. */
static const char advance_query[] =
    "SELECT pg_replication_slot_advance(slot_name, "
    "least($2::pg_lsn, pg_last_wal_replay_lsn())) "
    "FROM pg_replication_slots WHERE slot_name = $1 AND NOT active "
    "AND restart_lsn < least($2::pg_lsn, pg_last_wal_replay_lsn())";

static int
run(PGconn *conn, const char *sql, int n, const char *const *params,
    struct dr_err *err)
{
	PGresult *res =
	    dr_pg_query_params(conn, sql, n, params, "keep the slot", err);

	PQclear(res);
	return res != NULL ? 0 : -1;
}

/* On a standby: see that there is a slot, and that it moves on. */
static int
tend(const struct hosts *h, PGconn *conn, struct dr_err *err)
{
	uint64_t durable = atomic_load(&h->shared->durable);
	char lsn[DR_LSN_LEN];
	const char *const params[] = { h->o->slot,
		dr_format_lsn(durable, lsn) };
	bool standby, there;
	PGresult *res;

	res = dr_pg_query_params(conn, look_query, 1, params, "keep the slot",
	    err);
	if (res == NULL)
		return -1;
	standby = PQntuples(res) == 1 && *PQgetvalue(res, 0, 0) == 't';
	there = PQntuples(res) == 1 && *PQgetvalue(res, 0, 1) == 't';
	PQclear(res);
	if (!standby)
		return 0;
	if (!there) {
		if (!h->o->create_slot)
			return dr_err_set(err, DR_EFAIL,
			    "there is no slot \"%s\", and no --create-slot",
			    h->o->slot);
		if (run(conn, make_query, 1, params, err) == -1)
			return -1;
		dr_say(1, "made the replication slot \"%s\" on standby %s:%s",
		    h->o->slot, PQhost(conn), PQport(conn));
	}
	return durable == 0 ? 0 : run(conn, advance_query, 2, params, err);
}

static _Noreturn void
keep(struct hosts *h)
{
	struct dr_err err;
	PGconn *conn;
	size_t i;

	for (;; sleep(EVERY_S))
		for (i = 0; i < h->n; i++) {
			memset(&err, 0, sizeof(err));
			conn = dr_pg_connect(h->conninfo[i], false, "dr_wal",
			    NULL, &err);
			if (conn != NULL)
				(void)tend(h, conn, &err);
			PQfinish(conn);
			if (err.cause != DR_OK && !h->told[i])
				dr_say(1,
				    "host %zu of the connection string: %s",
				    i + 1, err.msg);
			h->told[i] = err.cause != DR_OK;
		}
}

int
dr_recv_hosts(struct dr_recv *r, struct dr_err *err)
{
	const char *all = r->o->conninfo != NULL ? r->o->conninfo : "";
	struct hosts h = { .o = r->o, .shared = r->shared };
	struct dr_pg_host *host = NULL;
	size_t n = 0;
	int rc = -1;

	if (dr_pg_hosts(&all, 1, &host, &n, err) == -1)
		return -1;
	for (; n > 1 && h.n < n && h.n < HOSTS_MAX; h.n++)
		if ((h.conninfo[h.n] = dr_fmt(err, "%s connect_timeout=5",
		         host[h.n].conninfo)) == NULL)
			goto out;
	rc = 0;
	if (n < 2)
		goto out;
	if ((r->keeper = fork()) == -1) {
		r->keeper = 0;
		rc = dr_err_sys(err, "cannot make a process");
	} else if (r->keeper == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		dr_stops_ignore();
		close(PQsocket(r->wal));
		if (r->sql != NULL)
			close(PQsocket(r->sql));
		close(r->child.fd);
		if (r->watch.pid != 0)
			close(r->watch.fd);
		keep(&h);
	}

out:
	while (h.n > 0)
		free(h.conninfo[--h.n]);
	dr_pg_hosts_free(host, n);
	return rc;
}

void
dr_recv_hosts_end(struct dr_recv *r)
{
	int st;

	if (r->keeper == 0)
		return;
	(void)kill(r->keeper, SIGKILL);
	while (waitpid(r->keeper, &st, 0) == -1 && errno == EINTR)
		continue;
	r->keeper = 0;
}
