#include "pg/node.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "pg/beat.h"
#include "pg/conn.h"
#include "pg/libpq.h"
#include "pg/node_int.h"

/*
 * What could end the connection or a statement on it, and whose names are
 * meant; those that this version knows.
 */
static const char setup_sql[] =
    "SELECT pg_catalog.set_config(s.name, v.value, false)"
    " FROM pg_catalog.pg_settings s, (VALUES ('search_path', 'pg_catalog'),"
    " ('application_name', 'dr-promote'), ('statement_timeout', '0'),"
    " ('lock_timeout', '0'), ('idle_session_timeout', '0'),"
    " ('transaction_timeout', '0'),"
    " ('idle_in_transaction_session_timeout', '0')) v (name, value)"
    " WHERE s.name = v.name"
    " AND (s.name <> 'application_name' OR s.setting = 'dr-lag')";

static const char hush_sql[] =
    "SELECT set_config(name, value, false)"
    " FROM (VALUES ('log_statement', 'none'), ('log_duration', 'off'),"
    " ('log_min_duration_statement', '-1'),"
    " ('log_min_duration_sample', '-1'),"
    " ('log_transaction_sample_rate', '0'),"
    " ('log_min_error_statement', 'panic'),"
    " ('pg_stat_statements.track_utility', 'off')) v (name, value)"
    " WHERE current_setting('is_superuser') = 'on'";
static const char loud_sql[] =
    "SELECT set_config(name, reset_val, false) FROM pg_settings"
    " WHERE name IN ('log_statement', 'log_duration',"
    " 'log_min_duration_statement', 'log_min_duration_sample',"
    " 'log_transaction_sample_rate', 'log_min_error_statement',"
    " 'pg_stat_statements.track_utility')"
    " AND current_setting('is_superuser') = 'on'";

/* --- asking ----------------------------------------------------------------- */

int
dr_node_failed(struct dr_node *n, const struct dr_err *err)
{
	if (n->err.cause == DR_OK)
		n->err = *err;
	return -1;
}

/* What became of what was asked of N. */
static void
judge(struct dr_node *n, const char *doing)
{
	const PGresult *bad = dr_ask_error(&n->ask, 0);
	const char *code;

	if (n->ask.at == DR_ASK_ENDED) {
		n->err = n->ask.probe.err;
		if (n->err.cause == DR_OK)
			(void)dr_err_set(&n->err, DR_ERETRY,
			    "there is no connection");
		return;
	}
	if (bad == NULL)
		return;
	(void)dr_pg_failed(n->ask.conn, bad, doing, &n->err);
	code = PQresultErrorField(bad, PG_DIAG_SQLSTATE);
	if (code != NULL && strcmp(code, "42501") == 0)
		(void)dr_err_hint(&n->err,
		    "the role that connects must be a superuser");
}

int
dr_nodes_do(struct dr_node *const *v, const char *const *sql, size_t n,
    const char *doing, int64_t until, struct dr_err *err)
{
	struct dr_ask **wait;
	size_t i, left;
	int rc = -1;

	if (n == 0)
		return 0;
	if ((wait = calloc(n, sizeof(struct dr_ask *))) == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	for (i = 0; i < n; i++)
		if (sql[i] != NULL) {
			dr_err_clear(&v[i]->err);
			dr_ask_send(&v[i]->ask, sql[i], until);
		}
	for (;;) {
		for (i = left = 0; i < n; i++)
			if (v[i]->ask.at == DR_ASK_BUSY)
				wait[left++] = &v[i]->ask;
		if (left == 0)
			break;
		if (dr_ask_turn(wait, left, until, err) == -1)
			goto out;
	}
	for (i = 0; i < n; i++)
		if (sql[i] != NULL)
			judge(v[i], doing);
	rc = 0;

out:
	free(wait);
	return rc;
}

int
dr_nodes_run(struct dr_node *const *v, const char *const *sql, size_t n,
    int64_t until, struct dr_err *err)
{
	return dr_nodes_do(v, sql, n, "run a command", until, err);
}

int
dr_node_do(struct dr_node *n, const char *sql, const char *doing, int64_t until,
    struct dr_err *err)
{
	if (dr_nodes_do(&n, &sql, 1, doing, until, err) == -1)
		return -1;
	if (n->err.cause == DR_OK)
		return 0;
	*err = n->err;
	return -1;
}

int
dr_nodes_pause(struct dr_node *const *v, size_t n, int64_t us,
    struct dr_err *err)
{
	int64_t end = dr_monotonic() + us;
	struct dr_ask **all;
	size_t i;
	int rc = 0;

	if ((all = calloc(n + 1, sizeof(struct dr_ask *))) == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	for (i = 0; i < n; i++)
		all[i] = &v[i]->ask;
	while (rc == 0 && dr_monotonic() < end)
		rc = dr_ask_turn(all, n, end, err);
	free(all);
	return rc;
}

const char *
dr_node_value(const struct dr_node *n, int column)
{
	const PGresult *res;

	if (n->ask.results == 0)
		return "";
	res = n->ask.result[n->ask.results - 1];
	if (PQntuples(res) < 1 || column >= PQnfields(res))
		return "";
	return PQgetvalue(res, 0, column);
}

int
dr_node_literal(struct dr_buf *b, const char *value, struct dr_err *err)
{
	/* E'' means the same whatever standard_conforming_strings is. */
	if (dr_buf_str(b, " E'", err) == -1)
		return -1;
	for (; *value != '\0'; value++)
		if (((*value == '\'' || *value == '\\') &&
		        dr_buf_add(b, value, 1, err) == -1) ||
		    dr_buf_add(b, value, 1, err) == -1)
			return -1;
	return dr_buf_add(b, "'", 1, err);
}

const char *
dr_node_hush_sql(bool hush)
{
	return hush ? hush_sql : loud_sql;
}

int
dr_node_hush(struct dr_node *n, bool hush, int64_t until, struct dr_err *err)
{
	return dr_node_do(n, dr_node_hush_sql(hush),
	    "say what is logged of this session", until, err);
}

/* --- connections ------------------------------------------------------------ */

static int
open_all(struct dr_node *const *v, size_t n, int64_t until, struct dr_err *err)
{
	struct dr_ask **wait = calloc(n, sizeof(struct dr_ask *));
	size_t i, left;

	if (wait == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	for (;;) {
		for (i = left = 0; i < n; i++)
			if (!dr_ask_probed(&v[i]->ask))
				wait[left++] = &v[i]->ask;
		if (left == 0 || dr_ask_turn(wait, left, until, err) == -1)
			break;
	}
	free(wait);
	return left == 0 ? 0 : -1;
}

/* On the connections of ASK, where it is not NULL. */
static int
begin(const struct dr_pg_host *host, struct dr_pg_view *view,
    struct dr_ask *ask, struct dr_node *node, size_t count, int64_t until,
    struct dr_err *err)
{
	struct dr_node **v = NULL;
	const char **sql = NULL;
	size_t i;
	int rc = -1;

	memset(node, 0, count * sizeof(*node));
	for (i = 0; i < count; i++)
		node[i].ask.at = DR_ASK_ENDED;
	if (count == 0)
		return 0;
	if ((v = calloc(count, sizeof(*v))) == NULL ||
	    (sql = calloc(count, sizeof(*sql))) == NULL) {
		dr_err_sys(err, "cannot allocate a list of servers");
		goto out;
	}
	for (i = 0; i < count; i++) {
		v[i] = &node[i];
		node[i].host = &host[i];
		node[i].view = &view[i];
		if (dr_node_facts_init(&node[i].facts, err) == -1)
			goto out;
	}
	for (i = 0; i < count; i++)
		if (ask != NULL)
			dr_ask_move(&node[i].ask, &ask[i]);
		else
			dr_ask_open(&node[i].ask, &host[i], until);
	if (ask == NULL && open_all(v, count, until, err) == -1)
		goto out;
	for (i = 0; i < count; i++) {
		if (node[i].ask.at == DR_ASK_ENDED)
			judge(&node[i], "connect");
		else
			sql[i] = setup_sql;
	}
	rc = dr_nodes_do(v, sql, count, "begin", until, err);

out:
	free(sql);
	free(v);
	if (rc == -1)
		dr_nodes_close(node, count);
	return rc;
}

int
dr_nodes_open(const struct dr_pg_host *host, struct dr_pg_view *view,
    struct dr_node *node, size_t count, int64_t until, struct dr_err *err)
{
	return begin(host, view, NULL, node, count, until, err);
}

int
dr_nodes_take(const struct dr_pg_host *host, struct dr_pg_view *view,
    struct dr_ask *ask, struct dr_node *node, size_t count, int64_t until,
    struct dr_err *err)
{
	return begin(host, view, ask, node, count, until, err);
}

void
dr_nodes_close(struct dr_node *node, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		dr_ask_close(&node[i].ask);
		dr_node_facts_free(&node[i].facts);
	}
}

/* Another connection where the last one has ended. */
static int
again(struct dr_node *n, int64_t until, struct dr_err *err)
{
	dr_ask_close(&n->ask);
	dr_ask_open(&n->ask, n->host, until);
	if (open_all(&n, 1, until, err) == -1)
		return -1;
	return dr_node_do(n, setup_sql, "begin", until, err);
}

/* --- settings, slots, and the rest ------------------------------------------ */

int
dr_node_reload(struct dr_node *n, int64_t until, struct dr_err *err)
{
	struct dr_buf sql = { .max = DR_NODE_SQL_MAX };
	int rc = -1;

	if (dr_node_do(n, "SELECT pg_conf_load_time(), pg_reload_conf()",
	        "reload the configuration", until, err) == -1 ||
	    dr_buf_str(&sql, "SELECT pg_conf_load_time() <>", err) == -1 ||
	    dr_node_literal(&sql, dr_node_value(n, 0), err) == -1)
		goto out;
	/* This session hears of it from the postmaster, as all others do. */
	for (;;) {
		if (dr_node_do(n, sql.data, "reload the configuration",
		        until + DR_NODE_LOOK_US, err) == -1)
			goto out;
		if (*dr_node_value(n, 0) == 't')
			break;
		if (dr_monotonic() >= until) {
			dr_err_set(err, DR_ERETRY,
			    "the configuration was not reloaded in time");
			(void)dr_node_failed(n, err);
			goto out;
		}
		if (dr_nodes_pause(&n, 1, DR_NODE_POLL_US, err) == -1)
			goto out;
	}
	rc = 0;

out:
	dr_buf_free(&sql);
	return rc;
}

static bool
is_setting(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz_."
	                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

	return n > 0 && name[n] == '\0';
}

int
dr_node_alter(struct dr_node *n, const char *name, const char *value,
    int64_t until, struct dr_err *err)
{
	struct dr_buf sql = { .max = DR_NODE_SQL_MAX }, doing = { .max = 256 };
	int rc = -1;

	if (!is_setting(name)) {
		dr_err_set(err, DR_EUSAGE, "\"%.80s\" is no setting", name);
		return dr_node_failed(n, err);
	}
	if (dr_buf_fmt(&doing, err, "set %.80s", name) == -1 ||
	    dr_buf_fmt(&sql, err, "ALTER SYSTEM %s %s%s",
	        value != NULL ? "SET" : "RESET", name,
	        value != NULL ? " =" : "") == -1 ||
	    (value != NULL && dr_node_literal(&sql, value, err) == -1))
		goto out;
	rc = dr_node_do(n, sql.data, doing.data, until, err);

out:
	if (sql.data != NULL)
		explicit_bzero(sql.data, sql.len);
	dr_buf_free(&sql);
	dr_buf_free(&doing);
	return rc;
}

int
dr_node_set(struct dr_node *n, const char *name, const char *value,
    int64_t until, struct dr_err *err)
{
	if (dr_node_alter(n, name, value, until, err) == -1)
		return -1;
	return dr_node_reload(n, until, err);
}

int
dr_node_slot(struct dr_node *n, const char *slot, int64_t until,
    struct dr_err *err)
{
	struct dr_buf sql = { .max = DR_NODE_SQL_MAX };
	int rc = -1;

	if (dr_buf_str(&sql,
	        "SELECT slot_type FROM pg_replication_slots WHERE"
	        " slot_name =",
	        err) == -1 ||
	    dr_node_literal(&sql, slot, err) == -1 ||
	    dr_node_do(n, sql.data, "look at the slots", until, err) == -1)
		goto out;
	if (strcmp(dr_node_value(n, 0), "physical") == 0) {
		rc = 0;
		goto out;
	}
	if (*dr_node_value(n, 0) != '\0') {
		dr_err_set(err, DR_EFAIL,
		    "the slot \"%.64s\" is not a physical one", slot);
		(void)dr_node_failed(n, err);
		goto out;
	}
	sql.len = 0;
	if (dr_buf_str(&sql, "SELECT pg_create_physical_replication_slot(",
	        err) == -1 ||
	    dr_node_literal(&sql, slot, err) == -1 ||
	    dr_buf_str(&sql, ", true)", err) == -1)
		goto out;
	rc = dr_node_do(n, sql.data, "create a slot", until, err);

out:
	dr_buf_free(&sql);
	return rc;
}

int
dr_node_checkpoint(struct dr_node *n, int64_t until, struct dr_err *err)
{
	return dr_node_do(n, "CHECKPOINT", "make a checkpoint", until, err);
}

int
dr_node_write(struct dr_node *n, int64_t until, struct dr_err *err)
{
	int64_t beat;
	int rc;

	dr_err_clear(&n->err);
	if (n->ask.at != DR_ASK_IDLE && again(n, until, err) == -1)
		return err->cause == DR_ESTOP ? -1 : 0;
	rc = dr_beat_write(&n->ask, until, &beat, err);
	if (rc == 0) {
		n->err = n->ask.probe.err;
		*err = n->err;
	}
	return rc;
}
