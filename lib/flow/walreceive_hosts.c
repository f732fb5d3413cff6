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

#define EVERY_S   10
#define HOSTS_MAX 16
#define TEXT_MAX  16384

struct hosts {
	const struct dr_wal_receive_opts *o;
	const struct dr_recv_shared *shared;
	char *conninfo[HOSTS_MAX]; /* may hold passwords */
	bool told[HOSTS_MAX];
	size_t n;
};

/* KEY='VALUE', as libpq reads it. */
static int
add(struct dr_buf *b, const char *key, const char *value, size_t len,
    struct dr_err *err)
{
	size_t i;

	if (dr_buf_fmt(b, err, "%s='", key) == -1)
		return -1;
	for (i = 0; i < len; i++)
		if (((value[i] == '\'' || value[i] == '\\') &&
		        dr_buf_add(b, "\\", 1, err) == -1) ||
		    dr_buf_add(b, value + i, 1, err) == -1)
			return -1;
	return dr_buf_str(b, "' ", err);
}

/* Item I of a list; the last where it has fewer, and only one is for all. */
static const char *
item(const char *list, size_t i, size_t *len)
{
	const char *p = list;

	for (; i > 0 && strchr(p, ',') != NULL; i--)
		p = strchr(p, ',') + 1;
	*len = strcspn(p, ",");
	return p;
}

static bool
is_place(const char *key)
{
	return strcmp(key, "host") == 0 || strcmp(key, "hostaddr") == 0 ||
	       strcmp(key, "port") == 0;
}

static bool
is_ours(const char *key)
{
	return strcmp(key, "replication") == 0 || strcmp(key, "dbname") == 0 ||
	       strcmp(key, "target_session_attrs") == 0 ||
	       strcmp(key, "fallback_application_name") == 0 ||
	       strcmp(key, "connect_timeout") == 0;
}

/* A connection string for host I alone. */
static char *
only(const PQconninfoOption *all, size_t i, struct dr_err *err)
{
	struct dr_buf b = { .max = TEXT_MAX };
	const char *v;
	size_t len;

	for (; all->keyword != NULL; all++) {
		if (all->val == NULL || all->val[0] == '\0' ||
		    is_ours(all->keyword))
			continue;
		v = all->val;
		len = strlen(v);
		if (is_place(all->keyword))
			v = item(all->val, i, &len);
		if (len > 0 && add(&b, all->keyword, v, len, err) == -1)
			goto fail;
	}
	if (dr_buf_str(&b, "connect_timeout=5", err) == 0)
		return b.data;

fail:
	dr_buf_free(&b);
	return NULL;
}

static size_t
count_hosts(const PQconninfoOption *all)
{
	size_t n = 1, k;
	const char *p;

	for (; all->keyword != NULL; all++) {
		if (all->val == NULL || strncmp(all->keyword, "host", 4) != 0)
			continue;
		for (k = 1, p = all->val; (p = strchr(p, ',')) != NULL; p++)
			k++;
		if (k > n)
			n = k;
	}
	return n < HOSTS_MAX ? n : HOSTS_MAX;
}

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
	struct hosts h = { .o = r->o, .shared = r->shared };
	PQconninfoOption *all = PQconninfo(r->wal);
	size_t i, n;
	int rc = -1;

	if (all == NULL)
		return dr_err_set(err, DR_EFAIL, "cannot look at the hosts");
	n = count_hosts(all);
	for (h.n = 0; n > 1 && h.n < n; h.n++)
		if ((h.conninfo[h.n] = only(all, h.n, err)) == NULL)
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
		keep(&h);
	}

out:
	for (i = 0; i < h.n; i++)
		free(h.conninfo[i]);
	PQconninfoFree(all);
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
