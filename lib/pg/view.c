#include "pg/view.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "pg/hosts.h"
#include "pg/libpq.h"
#include "pg/view_int.h"

#define SQL_MAX 16384

/* One server on its way. */
struct going {
	struct dr_ask *ask;
	int asked;    /* how often */
	int64_t sent; /* our clock */
	bool done;
};

static int
blank(struct dr_pg_view *v, const char *where, struct dr_err *err)
{
	v->probe.state = DR_PROBE_FAILED;
	v->now = v->asked = v->started = DR_UNKNOWN;
	v->replayed_time = v->apply_delay = v->last_msg = DR_UNKNOWN;
	v->conflicts = v->archiver.archived = v->archiver.failed = DR_UNKNOWN;
	v->archiver.last_time = v->archiver.failed_time = DR_UNKNOWN;
	v->archiver.ready = v->archiver.oldest_ready = DR_UNKNOWN;
	if ((v->where = strdup(where)) == NULL ||
	    (v->name = strdup(where)) == NULL)
		return dr_err_sys(err, "cannot allocate a view");
	return 0;
}

static void
empty(struct dr_pg_view *v)
{
	size_t i;

	for (i = 0; i < v->standbys; i++) {
		free(v->standby[i].name);
		free(v->standby[i].addr);
		free(v->standby[i].state);
		free(v->standby[i].sync_state);
		free(v->standby[i].slot);
	}
	for (i = 0; i < v->slots; i++) {
		free(v->slot[i].name);
		free(v->slot[i].type);
		free(v->slot[i].database);
		free(v->slot[i].wal_status);
		free(v->slot[i].invalid);
	}
	free(v->standby);
	free(v->slot);
	free(v->name);
	free(v->where);
	free(v->cluster_name);
	free(v->sync_names);
	free(v->sync_commit);
	free(v->receiver);
	free(v->sender);
	free(v->archiver.last_wal);
	free(v->archiver.failed_wal);
}

void
dr_pg_views_free(struct dr_pg_view *v, size_t n)
{
	size_t i;

	for (i = 0; v != NULL && i < n; i++)
		empty(&v[i]);
	free(v);
}

/* What fields hold where the server gave none: "" rather than NULL. */
static int
fill_text(struct dr_pg_view *v, struct dr_err *err)
{
	char **const text[] = { &v->cluster_name, &v->sync_names,
		&v->sync_commit, &v->receiver, &v->sender,
		&v->archiver.last_wal, &v->archiver.failed_wal };
	size_t i;

	for (i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (*text[i] == NULL && (*text[i] = strdup("")) == NULL)
			return dr_err_sys(err, "cannot allocate a view");
	return 0;
}

/* G's server has come to rest; go on, or be done.  -1: no memory. */
static int
step(struct going *g, struct dr_pg_view *v, struct dr_err *err)
{
	struct dr_ask *a = g->ask;
	struct dr_buf sql = { .max = SQL_MAX };
	int64_t left, now;
	char *name;
	int n;

	if (a->at == DR_ASK_CONNECTING || a->at == DR_ASK_BUSY || g->done)
		return 0;
	if (a->at == DR_ASK_IDLE && g->asked > 0) {
		now = dr_now();
		v->asked = g->sent + (now - g->sent) / 2;
		if ((n = dr_view_read(a, v, err)) == -1)
			return -1;
		if (n == 1) {
			dr_ask_role(a, v->in_recovery, v->read_only);
			if (v->cluster_name[0] != '\0') {
				if ((name = strdup(v->cluster_name)) == NULL)
					return dr_err_sys(err,
					    "cannot allocate a view");
				free(v->name);
				v->name = name;
			}
			g->done = true;
		} else if (a->at == DR_ASK_IDLE && g->asked > 1)
			dr_ask_refuse(a, dr_ask_error(a, 0),
			    "look at the server");
	}
	if (a->at == DR_ASK_IDLE && !g->done) {
		v->version = PQserverVersion(a->conn);
		left = (a->until - dr_monotonic()) / 1000;
		if (v->version < DR_VIEW_OLDEST)
			dr_ask_end(a, DR_PROBE_FAILED,
			    "its version, %d, is older than 13",
			    v->version / 10000);
		else if (dr_view_sql(v->version, left > 0 ? (int)left + 1 : 1,
		             &sql, err) == -1)
			return -1;
		else {
			g->asked++;
			g->sent = dr_now();
			dr_ask_send(a, sql.data, a->until);
		}
		dr_buf_free(&sql);
	}
	if (a->at == DR_ASK_ENDED)
		g->done = true;
	if (g->done) {
		v->probe = a->probe;
		if (a->at == DR_ASK_ENDED)
			dr_ask_close(a);
	}
	return 0;
}

/*
 * When to give up those that are silent, now that ANSWERED is when somebody
 * last answered (0: nobody has).  What comes of one of them lets it go on.
 */
static int64_t
silence_ends(const struct going *g, int64_t answered, int64_t grace_us)
{
	int64_t from = g->ask->heard > answered ? g->ask->heard : answered;

	return answered > 0 && grace_us > 0 ? from + grace_us : INT64_MAX;
}

static void
give_up(struct dr_ask *a, int64_t grace_us)
{
	dr_ask_end(a, a->talked ? DR_PROBE_HUNG : DR_PROBE_UNREACHABLE,
	    "%s for %lld ms, since others have answered",
	    a->talked ? "takes the connection, and says nothing"
	              : "no connection",
	    (long long)grace_us / 1000);
}

static int
ask_all(struct going *g, struct dr_pg_view *v, size_t n, int64_t until,
    int64_t grace_us, struct dr_err *err)
{
	struct dr_ask **wait = calloc(n, sizeof(struct dr_ask *));
	int64_t t, next, answered = 0;
	size_t i, left;
	bool was;
	int rc = -1;

	if (wait == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	for (;;) {
		left = 0;
		next = until;
		for (i = 0; i < n; i++) {
			if (!g[i].done && silence_ends(&g[i], answered,
			                      grace_us) <= dr_monotonic())
				give_up(g[i].ask, grace_us);
			was = g[i].done;
			if (step(&g[i], &v[i], err) == -1)
				goto out;
			if (g[i].done && !was &&
			    dr_probe_answers(v[i].probe.state))
				answered = dr_monotonic();
		}
		for (i = 0; i < n; i++) {
			if (g[i].done)
				continue;
			t = silence_ends(&g[i], answered, grace_us);
			next = t < next ? t : next;
			wait[left++] = g[i].ask;
		}
		if (left == 0)
			break;
		if (dr_ask_turn(wait, left, next, err) == -1)
			goto out;
	}
	rc = 0;
	for (i = 0; i < n && rc == 0; i++)
		rc = fill_text(&v[i], err);

out:
	free(wait);
	return rc;
}

int
dr_pg_views_keep(struct dr_pg_host *host, size_t n, int64_t until,
    int64_t grace_us, void (*meanwhile)(void *), void *arg,
    struct dr_pg_view **out, struct dr_ask *ask, struct dr_err *err)
{
	struct dr_pg_view *v;
	struct going *g;
	int64_t now;
	size_t i;
	int rc = -1;

	*out = NULL;
	v = calloc(n, sizeof(*v));
	g = calloc(n, sizeof(*g));
	if (v == NULL || g == NULL) {
		dr_err_sys(err, "cannot allocate %zu views", n);
		goto out;
	}
	for (i = 0; i < n; i++) {
		g[i].ask = &ask[i];
		if (blank(&v[i], host[i].where, err) == -1)
			goto out;
	}
	/* A name that cannot be looked up leaves time for the others. */
	now = dr_monotonic();
	if (dr_pg_hosts_find(host, n, now + (until - now) / 2, err) == -1)
		goto out;
	for (i = 0; i < n; i++)
		dr_ask_open(&ask[i], &host[i], until);
	if (meanwhile != NULL) {
		now = dr_monotonic();
		meanwhile(arg);
		now = dr_monotonic() - now;
		until += now;
		for (i = 0; i < n; i++)
			ask[i].until += now;
	}
	rc = ask_all(g, v, n, until, grace_us, err);

out:
	free(g);
	if (rc == -1) {
		for (i = 0; i < n; i++)
			dr_ask_close(&ask[i]);
		dr_pg_views_free(v, v != NULL ? n : 0);
		return -1;
	}
	*out = v;
	return 0;
}

int
dr_pg_views(const char *const *conninfo, size_t n, int timeout_ms,
    struct dr_pg_view **out, size_t *count, struct dr_err *err)
{
	struct dr_pg_host *host = NULL;
	struct dr_ask *ask = NULL;
	size_t i, hosts = 0;
	int rc = -1;

	*out = NULL;
	*count = 0;
	if (n == 0)
		return 0;
	if (dr_pg_hosts(conninfo, n, &host, &hosts, err) == -1)
		return -1;
	if ((ask = calloc(hosts, sizeof(*ask))) == NULL)
		dr_err_sys(err, "cannot allocate %zu views", hosts);
	else
		rc = dr_pg_views_keep(host, hosts,
		    dr_monotonic() + (int64_t)timeout_ms * 1000, 0, NULL, NULL,
		    out, ask, err);
	for (i = 0; ask != NULL && i < hosts; i++)
		dr_ask_close(&ask[i]);
	free(ask);
	dr_pg_hosts_free(host, hosts);
	if (rc == 0)
		*count = hosts;
	return rc;
}
