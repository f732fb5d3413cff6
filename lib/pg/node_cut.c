/* Standbys cut off from their primary, and where their WAL ends then. */
#include <stdlib.h>
#include <string.h>

#include "base/known.h"
#include "base/num.h"
#include "pg/libpq.h"
#include "pg/node_int.h"
#include "pg/row.h"

#define END_US 50000 /* so long the startup process may take */

static const char place_sql[] =
    "SELECT pg_is_in_recovery(), current_setting('primary_conninfo'),"
    " (SELECT setting FROM pg_file_settings WHERE name = 'primary_conninfo'"
    "  ORDER BY seqno DESC LIMIT 1),"
    " (SELECT setting FROM pg_file_settings WHERE name = 'primary_conninfo'"
    "  AND sourcefile NOT LIKE '%%/postgresql.auto.conf'"
    "  ORDER BY seqno DESC LIMIT 1),"
    " pg_read_file('" DR_NODE_SAVED "', 0, %d, true),"
    " current_setting('data_directory'),"
    " (SELECT source = 'command line' FROM pg_settings"
    "  WHERE name = 'primary_conninfo')";

static const char gone_sql[] =
    "SELECT pg_is_in_recovery(), current_setting('primary_conninfo') = '',"
    " (SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver')";

static const char back_sql[] =
    "SELECT current_setting('primary_conninfo') <> ''";

static const char reload_sql[] = "SELECT pg_reload_conf()";

/*
 * The startup process waits so when it has read all that lies in pg_wal and
 * asked restore_command for more; or when it is told to apply it late.
 */
static const char ends_sql[] =
    "SELECT x.standby, pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(),"
    " CASE WHEN x.standby THEN pg_is_wal_replay_paused() END,"
    " EXISTS (SELECT FROM pg_stat_activity"
    "  WHERE backend_type = 'walreceiver'),"
    " (SELECT wait_event IN ('RecoveryRetrieveRetryInterval',"
    "  'RecoveryApplyDelay') FROM pg_stat_activity"
    "  WHERE backend_type = 'startup'),"
    " pg_size_bytes(current_setting('wal_segment_size'))"
    " FROM (SELECT pg_is_in_recovery() AS standby) x";

/* --- many at once ------------------------------------------------------------ */

/* What is asked of each; NULL: nothing. */
struct each {
	const char **sql;
	struct dr_buf *own; /* what sql points to, where each has its own */
	size_t n;
};

static int
each_new(struct each *e, size_t n, struct dr_err *err)
{
	size_t i;

	e->n = n;
	e->sql = calloc(n + 1, sizeof(*e->sql));
	e->own = calloc(n + 1, sizeof(*e->own));
	if (e->sql == NULL || e->own == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	for (i = 0; i < n; i++)
		e->own[i].max = DR_NODE_SQL_MAX;
	return 0;
}

static void
each_free(struct each *e)
{
	size_t i;

	for (i = 0; e->own != NULL && i < e->n; i++) {
		if (e->own[i].data != NULL)
			explicit_bzero(e->own[i].data, e->own[i].len);
		dr_buf_free(&e->own[i]);
	}
	free(e->own);
	free(e->sql);
}

/* SQL for all that did not fail so far. */
static void
each_all(struct each *e, struct dr_node *const *v, const char *sql)
{
	size_t i;

	for (i = 0; i < e->n; i++)
		e->sql[i] = v[i]->err.cause == DR_OK ? sql : NULL;
}

/* Those that failed are not asked the next time. */
static int
each_do(struct each *e, struct dr_node *const *v, const char *doing,
    int64_t until, struct dr_err *err)
{
	size_t i;

	if (dr_nodes_do(v, e->sql, e->n, doing, until, err) == -1)
		return -1;
	for (i = 0; i < e->n; i++)
		if (v[i]->err.cause != DR_OK)
			e->sql[i] = NULL;
	return 0;
}

static bool
each_none(const struct each *e)
{
	size_t i;

	for (i = 0; i < e->n; i++)
		if (e->sql[i] != NULL)
			return false;
	return true;
}

/*
 * Ask those that have something to be asked, again and again, until DONE says
 * of each that this is it (or it failed), or the time is over: then those
 * that are left still have their SQL.
 */
static int
each_until(struct each *e, struct dr_node *const *v, const char *doing,
    bool (*done)(struct dr_node *, size_t, void *), void *arg, int64_t until,
    struct dr_err *err)
{
	size_t i;

	for (;;) {
		if (each_do(e, v, doing, until + DR_NODE_LOOK_US, err) == -1)
			return -1;
		for (i = 0; i < e->n; i++)
			if (e->sql[i] != NULL && done(v[i], i, arg))
				e->sql[i] = NULL;
		if (each_none(e) || dr_monotonic() >= until)
			return 0;
		if (dr_nodes_pause(v, e->n, DR_NODE_POLL_US, err) == -1)
			return -1;
	}
}

/* --- where it stands ---------------------------------------------------------- */

static void
wipe(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

void
dr_nodes_place_free(struct dr_node_place *p, size_t n)
{
	size_t i;

	for (i = 0; p != NULL && i < n; i++) {
		wipe(p[i].conninfo);
		wipe(p[i].filed);
		wipe(p[i].given);
		wipe(p[i].saved);
		wipe(p[i].data_directory);
	}
}

static int
read_place(struct dr_node *n, struct dr_node_place *p, bool standby,
    struct dr_err *err)
{
	struct dr_row r = { .res = n->ask.result[0] };
	bool is_standby = dr_row_bool(&r);

	p->conninfo = dr_row_text(&r);
	p->filed = dr_row_text(&r);
	p->given = dr_row_text(&r);
	p->saved = dr_row_text(&r);
	p->data_directory = dr_row_text(&r);
	p->fixed = dr_row_bool(&r);
	if (r.failed)
		return dr_err_set(err, DR_EFAIL,
		    "no memory for what a server says");
	dr_node_unescape(p->saved);
	if (is_standby != standby)
		(void)dr_err_set(&n->err, DR_EFAIL,
		    standby ? "it is not a standby" : "it is not a primary");
	else if (p->fixed)
		(void)dr_err_set(&n->err, DR_EFAIL,
		    "primary_conninfo is given on the server's command line, "
		    "and cannot be changed");
	return 0;
}

int
dr_nodes_place(struct dr_node *const *v, size_t n, struct dr_node_place *p,
    bool standby, int64_t until, struct dr_err *err)
{
	struct each e = { 0 };
	struct dr_buf sql = { .max = DR_NODE_SQL_MAX };
	size_t i;
	int rc = -1;

	if (each_new(&e, n, err) == -1 ||
	    dr_buf_fmt(&sql, err, place_sql, DR_NODE_SAVE_MAX) == -1)
		goto out;
	for (i = 0; i < n; i++)
		e.sql[i] = sql.data;
	if (each_do(&e, v, "look at the server", until, err) == -1)
		goto out;
	for (i = 0; i < n; i++)
		if (e.sql[i] != NULL &&
		    read_place(v[i], &p[i], standby, err) == -1)
			goto out;
	rc = 0;

out:
	dr_buf_free(&sql);
	each_free(&e);
	return rc;
}

/* --- cutting off --------------------------------------------------------------- */

/* Statements of those marked are not logged from now on, or are again. */
static int
hush(struct dr_node *const *v, const bool *mark, bool yes, struct each *e,
    int64_t until, struct dr_err *err)
{
	size_t i;

	for (i = 0; i < e->n; i++)
		e->sql[i] = mark[i] && v[i]->err.cause == DR_OK
		                ? dr_node_hush_sql(yes)
		                : NULL;
	return each_do(e, v, "say what is logged of this session", until, err);
}

/* The value itself is written: what is in effect may be another by then. */
static int
save(struct dr_node *const *v, size_t n, const struct dr_node_place *p,
    struct each *e, int64_t until, struct dr_err *err)
{
	bool *mark = calloc(n + 1, sizeof(*mark));
	struct dr_buf *b;
	size_t i;
	int rc = -1;

	if (mark == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	for (i = 0; i < n; i++)
		mark[i] = v[i]->err.cause == DR_OK &&
		          p[i].conninfo[0] != '\0' &&
		          strcmp(p[i].conninfo, p[i].saved) != 0;
	if (hush(v, mark, true, e, until, err) == -1)
		goto out;
	for (i = 0; i < n; i++) {
		if (e->sql[i] == NULL)
			continue;
		b = &e->own[i];
		b->len = 0;
		if (dr_buf_str(b, "COPY (SELECT", err) == -1 ||
		    dr_node_literal(b, p[i].conninfo, err) == -1 ||
		    dr_buf_str(b, ") TO", err) == -1 ||
		    dr_node_file(b, p[i].data_directory, DR_NODE_SAVED, err) ==
		        -1)
			goto out;
		e->sql[i] = b->data;
	}
	if (each_do(e, v, "save primary_conninfo", until, err) == -1)
		goto out;
	rc = hush(v, mark, false, e, until, err);

out:
	free(mark);
	return rc;
}

struct gone {
	struct {
		unsigned times;
		int64_t pid; /* DR_UNKNOWN: nobody */
		bool ended;
	} * v;
	int64_t end_at;
};

static bool
is_gone(struct dr_node *n, size_t i, void *arg)
{
	struct dr_row r = { .res = n->ask.result[0] };
	struct gone *g = arg;
	bool empty;

	if (!dr_row_bool(&r)) {
		(void)dr_err_set(&n->err, DR_EFAIL, "it is not a standby");
		return true;
	}
	empty = dr_row_bool(&r);
	g->v[i].pid = dr_row_int(&r);
	/*
	 * The startup process may have heard of the reload later than this
	 * session, and have started one just before.
	 */
	if (empty && !dr_known(g->v[i].pid))
		g->v[i].times++;
	else
		g->v[i].times = 0;
	return g->v[i].times == 2;
}

/*
 * The startup process ends the walreceiver when it has replayed what there
 * is; while it has much to do, or replay is paused or delayed, nobody does.
 * No function sends a signal to it.  Where that does not succeed, there is
 * still the time until UNTIL.
 */
static int
end_walreceivers(struct dr_node *const *v, struct each *e, struct gone *g,
    int64_t until, struct dr_err *err)
{
	struct each end = { 0 };
	size_t i;
	int rc = -1;

	if (each_new(&end, e->n, err) == -1)
		goto out;
	for (i = 0; i < e->n; i++) {
		if (e->sql[i] == NULL || g->v[i].ended ||
		    !dr_known(g->v[i].pid))
			continue;
		g->v[i].ended = true;
		if (dr_buf_fmt(&end.own[i], err,
		        "COPY (SELECT WHERE false) TO PROGRAM 'kill %lld'",
		        (long long)g->v[i].pid) == -1)
			goto out;
		end.sql[i] = end.own[i].data;
	}
	if (each_do(&end, v, "end the walreceiver", until, err) == -1)
		goto out;
	for (i = 0; i < e->n; i++)
		if (e->sql[i] != NULL && v[i]->ask.at != DR_ASK_ENDED)
			dr_err_clear(&v[i]->err);
	rc = 0;

out:
	each_free(&end);
	return rc;
}

static int
wait_gone(struct dr_node *const *v, size_t n, struct each *e, int64_t until,
    struct dr_err *err)
{
	struct gone g = { calloc(n + 1, sizeof(*g.v)),
		dr_monotonic() + END_US };
	size_t i;
	int rc = -1;

	if (g.v == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	if (g.end_at > until)
		g.end_at = until;
	each_all(e, v, gone_sql);
	if (each_until(e, v, "look at the walreceiver", is_gone, &g, g.end_at,
	        err) == -1)
		goto out;
	if (!each_none(e) && (end_walreceivers(v, e, &g, until, err) == -1 ||
	                         each_until(e, v, "look at the walreceiver",
	                             is_gone, &g, until, err) == -1))
		goto out;
	for (i = 0; i < n; i++)
		if (e->sql[i] != NULL)
			(void)dr_err_set(&v[i]->err, DR_ERETRY,
			    dr_known(g.v[i].pid)
			        ? "its walreceiver did not end in time"
			        : "it did not take an empty primary_conninfo in "
			          "time");
	rc = 0;

out:
	free(g.v);
	return rc;
}

int
dr_nodes_cut(struct dr_node *const *v, size_t n, int64_t until,
    struct dr_err *err)
{
	struct dr_node_place *p = calloc(n + 1, sizeof(*p));
	struct each e = { 0 };
	size_t i;
	int rc = -1;

	if (p == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	if (each_new(&e, n, err) == -1 ||
	    dr_nodes_place(v, n, p, true, until, err) == -1 ||
	    save(v, n, p, &e, until, err) == -1)
		goto out;
	for (i = 0; i < n; i++) {
		e.sql[i] = NULL;
		if (v[i]->err.cause == DR_OK &&
		    (p[i].conninfo[0] != '\0' || p[i].filed[0] != '\0'))
			e.sql[i] = "ALTER SYSTEM SET primary_conninfo = ''";
	}
	if (each_do(&e, v, "set primary_conninfo", until, err) == -1)
		goto out;
	each_all(&e, v, reload_sql);
	if (each_do(&e, v, "reload the configuration", until, err) == -1)
		goto out;
	rc = wait_gone(v, n, &e, until, err);

out:
	each_free(&e);
	dr_nodes_place_free(p, n);
	free(p);
	return rc;
}

/* --- and back ------------------------------------------------------------------ */

static bool
is_back(struct dr_node *n, size_t i, void *arg)
{
	(void)i;
	(void)arg;
	return *dr_node_value(n, 0) == 't';
}

/* Set what was saved, or take away what hides it. */
static int
put_back(struct dr_node *n, const struct dr_node_place *p, int64_t until,
    struct dr_err *err)
{
	bool reset = strcmp(p->saved, p->given) == 0;
	struct dr_err no = { 0 };

	if ((reset || dr_node_hush(n, true, until, &no) == 0) &&
	    dr_node_alter(n, "primary_conninfo", reset ? NULL : p->saved, until,
	        &no) == 0 &&
	    (reset || dr_node_hush(n, false, until, &no) == 0))
		return 0;
	if (no.cause != DR_ESTOP)
		return 0; /* it is the node's */
	*err = no;
	return -1;
}

int
dr_nodes_uncut(struct dr_node *const *v, size_t n, int64_t until,
    struct dr_err *err)
{
	struct dr_node_place *p = calloc(n + 1, sizeof(*p));
	struct each e = { 0 };
	size_t i;
	int rc = -1;

	if (p == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	if (each_new(&e, n, err) == -1 ||
	    dr_nodes_place(v, n, p, true, until, err) == -1)
		goto out;
	for (i = 0; i < n; i++) {
		if (v[i]->err.cause != DR_OK || p[i].filed[0] != '\0' ||
		    p[i].saved[0] == '\0')
			continue;
		if (put_back(v[i], &p[i], until, err) == -1)
			goto out;
		if (v[i]->err.cause == DR_OK)
			e.sql[i] = reload_sql;
	}
	if (each_do(&e, v, "reload the configuration", until, err) == -1)
		goto out;
	for (i = 0; i < n; i++)
		if (e.sql[i] != NULL)
			e.sql[i] = back_sql;
	if (each_until(&e, v, "look at primary_conninfo", is_back, NULL, until,
	        err) == -1)
		goto out;
	for (i = 0; i < n; i++)
		if (e.sql[i] != NULL)
			(void)dr_err_set(&v[i]->err, DR_ERETRY,
			    "it did not take its primary_conninfo in time");
	rc = 0;

out:
	each_free(&e);
	dr_nodes_place_free(p, n);
	free(p);
	return rc;
}

/* --- ends ----------------------------------------------------------------------- */

struct ends {
	struct dr_node_end *v;
	uint32_t *segsize;
};

static bool
is_at_end(struct dr_node *n, size_t i, void *arg)
{
	struct ends *e = arg;
	struct dr_row r = { .res = n->ask.result[0] };
	bool paused, idle;

	if (!dr_row_bool(&r)) {
		(void)dr_err_set(&n->err, DR_EFAIL, "it is not a standby");
		return true;
	}
	e->v[i].received = dr_row_lsn(&r);
	e->v[i].replayed = dr_row_lsn(&r);
	if (e->v[i].received < e->v[i].replayed)
		e->v[i].received = e->v[i].replayed;
	paused = dr_row_bool(&r);
	if (dr_row_bool(&r)) {
		(void)dr_err_set(&n->err, DR_EFAIL,
		    "it is not cut off: its walreceiver runs");
		return true;
	}
	idle = dr_row_bool(&r);
	e->segsize[i] = dr_row_tli(&r);
	return paused || idle;
}

/* The timelines of those whose ends are there. */
static int
read_timelines(struct dr_node *const *v, size_t n, struct ends *ends,
    struct each *e, int64_t until, struct dr_err *err)
{
	char name[DR_WAL_NAME_MAX];
	struct dr_row r;
	size_t i;

	for (i = 0; i < n; i++) {
		e->sql[i] = NULL;
		if (v[i]->err.cause != DR_OK || ends->v[i].received == 0 ||
		    !dr_wal_segsize_ok(ends->segsize[i]))
			continue;
		(void)dr_wal_segment_at(1, ends->v[i].received - 1,
		    ends->segsize[i], name);
		e->own[i].len = 0;
		if (dr_buf_fmt(&e->own[i], err, DR_NODE_TLI, name + 8) == -1)
			return -1;
		e->sql[i] = e->own[i].data;
	}
	if (each_do(e, v, "look at its WAL", until + DR_NODE_LOOK_US, err) ==
	    -1)
		return -1;
	for (i = 0; i < n; i++) {
		if (e->sql[i] == NULL)
			continue;
		r = (struct dr_row){ .res = v[i]->ask.result[0] };
		ends->v[i].tli = dr_row_tli(&r);
		ends->v[i].known = ends->v[i].tli != 0;
	}
	return 0;
}

int
dr_nodes_ends(struct dr_node *const *v, size_t n, struct dr_node_end *end,
    int64_t until, struct dr_err *err)
{
	struct ends ends = { end, calloc(n + 1, sizeof(*ends.segsize)) };
	struct each e = { 0 };
	size_t i;
	int rc = -1;

	memset(end, 0, n * sizeof(*end));
	if (ends.segsize == NULL) {
		dr_err_sys(err, "cannot allocate a list of servers");
		goto out;
	}
	if (each_new(&e, n, err) == -1)
		goto out;
	for (i = 0; i < n; i++)
		e.sql[i] = ends_sql;
	if (each_until(&e, v, "look at its WAL", is_at_end, &ends, until,
	        err) == -1)
		goto out;
	rc = read_timelines(v, n, &ends, &e, until, err);

out:
	each_free(&e);
	free(ends.segsize);
	return rc;
}
