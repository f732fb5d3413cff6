/* What a failover has to know of a server, beside its view. */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "pg/node_int.h"
#include "pg/row.h"
#include "pg/view_int.h"

enum { SETTINGS, ROW, FILES, STATEMENTS };

#define PRIORITY_MAX  1000
#define PRIORITY      100
#define MEGABYTE      INT64_C(1048576)
#define HISTORY_BYTES "1048576"

static const char settings_sql[] =
    "SELECT name, setting FROM pg_settings WHERE name IN ('data_directory',"
    " 'config_file', 'hba_file', 'primary_conninfo', 'primary_slot_name',"
    " 'restore_command', 'wal_retrieve_retry_interval', 'data_checksums',"
    " 'wal_log_hints', 'full_page_writes', 'restart_after_crash',"
    " 'hot_standby_feedback', 'sync_replication_slots', 'max_wal_senders',"
    " 'wal_keep_size', 'synchronized_standby_slots', 'allow_alter_system');";

/*
 * Of a standby, prepared transactions are not shown, whatever there is.
 * Settings that nothing defines are in no view.
 */
static const char row_sql[] =
    "SELECT current_setting('is_superuser') = 'on',"
    " current_setting('drtools.tags', true),"
    " current_setting('drtools.region', true),"
    " current_setting('drtools.address', true),"
    " current_setting('drtools.priority', true),"
    " (SELECT count(*) FROM pg_stat_replication),"
    " CASE WHEN NOT x.standby THEN"
    "  (SELECT count(*) FROM pg_prepared_xacts) END,"
    " CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN"
    "  (SELECT coalesce(extract(epoch FROM max(clock_timestamp() -"
    "   xact_start)), 0) FROM pg_stat_activity"
    "   WHERE backend_xid IS NOT NULL) END,"
    " (SELECT count(*) FROM pg_stat_progress_basebackup),"
    " (SELECT checkpoint_lsn FROM pg_control_checkpoint()),"
    " (SELECT min_recovery_end_lsn FROM pg_control_recovery()), " DR_VIEW_TLI
    " FROM (SELECT pg_is_in_recovery() AS standby) x"
    " LEFT JOIN pg_stat_wal_receiver w ON true;";

/*
 * Last, as it fails where the role may not; the others have come by then.
 * What was received on a timeline that is newer than all that was replayed
 * shows by its files.
 */
static const char files_sql[] =
    "SELECT pg_read_file('" DR_NODE_SAVED "', 0, %d, true), y.tli,"
    " encode(pg_read_binary_file('pg_wal/' || upper(lpad(to_hex(y.tli), 8,"
    " '0')) || '.history', 0, " HISTORY_BYTES ", true), 'escape')"
    " FROM (SELECT greatest(" DR_VIEW_TLI ", (SELECT"
    "  max(('x' || left(f.name, 8))::bit(32)::bigint) FROM pg_ls_waldir() f"
    "  WHERE f.name ~ '^[0-9A-F]{24}$' AND EXISTS (SELECT"
    "   FROM pg_ls_waldir() h WHERE h.name = left(f.name, 8) || '.history')))"
    "  AS tli FROM (SELECT pg_is_in_recovery() AS standby) x"
    " LEFT JOIN pg_stat_wal_receiver w ON true) y";

/* --- life ------------------------------------------------------------------- */

#define TEXTS 11

static void
texts(struct dr_node_facts *f, char **v[TEXTS])
{
	v[0] = &f->data_directory;
	v[1] = &f->config_file;
	v[2] = &f->hba_file;
	v[3] = &f->conninfo;
	v[4] = &f->slot_name;
	v[5] = &f->restore_command;
	v[6] = &f->saved;
	v[7] = &f->tags;
	v[8] = &f->region;
	v[9] = &f->address;
	v[10] = &f->standby_slots;
}

static void
wipe(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

void
dr_node_facts_free(struct dr_node_facts *f)
{
	char **v[TEXTS];
	size_t i;

	texts(f, v);
	for (i = 0; i < TEXTS; i++)
		wipe(*v[i]);
	dr_history_free(&f->history);
	memset(f, 0, sizeof(*f));
}

int
dr_node_facts_init(struct dr_node_facts *f, struct dr_err *err)
{
	char **v[TEXTS];
	size_t i;

	memset(f, 0, sizeof(*f));
	f->priority = PRIORITY;
	f->alter_system = true;
	f->retry_us = f->senders = f->senders_used = f->wal_keep = DR_UNKNOWN;
	f->prepared = f->oldest_us = f->backups = DR_UNKNOWN;
	texts(f, v);
	for (i = 0; i < TEXTS; i++)
		if ((*v[i] = strdup("")) == NULL)
			return dr_err_sys(err, "cannot allocate facts");
	return 0;
}

/* --- reading ---------------------------------------------------------------- */

static int
set(char **to, const char *value, struct dr_err *err)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return dr_err_sys(err, "cannot allocate facts");
	wipe(*to);
	*to = copy;
	return 0;
}

static int
read_setting(struct dr_node_facts *f, const char *name, const char *value,
    struct dr_err *err)
{
	const struct {
		const char *name;
		char **text;
		bool *yes;
		int64_t *number, unit;
	} known[] = {
		{ "data_directory", &f->data_directory, NULL, NULL, 0 },
		{ "config_file", &f->config_file, NULL, NULL, 0 },
		{ "hba_file", &f->hba_file, NULL, NULL, 0 },
		{ "primary_conninfo", &f->conninfo, NULL, NULL, 0 },
		{ "primary_slot_name", &f->slot_name, NULL, NULL, 0 },
		{ "restore_command", &f->restore_command, NULL, NULL, 0 },
		{ "synchronized_standby_slots", &f->standby_slots, NULL, NULL,
		    0 },
		{ "data_checksums", NULL, &f->checksums, NULL, 0 },
		{ "wal_log_hints", NULL, &f->log_hints, NULL, 0 },
		{ "full_page_writes", NULL, &f->full_page_writes, NULL, 0 },
		{ "restart_after_crash", NULL, &f->restart_after_crash, NULL,
		    0 },
		{ "hot_standby_feedback", NULL, &f->hot_standby_feedback, NULL,
		    0 },
		{ "sync_replication_slots", NULL, &f->sync_slots, NULL, 0 },
		{ "allow_alter_system", NULL, &f->alter_system, NULL, 0 },
		{ "wal_retrieve_retry_interval", NULL, NULL, &f->retry_us,
		    1000 },
		{ "max_wal_senders", NULL, NULL, &f->senders, 1 },
		{ "wal_keep_size", NULL, NULL, &f->wal_keep, MEGABYTE },
	};
	struct dr_err no = { 0 };
	int64_t n;
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i].name, name) != 0)
			continue;
		if (known[i].text != NULL)
			return set(known[i].text, value, err);
		if (known[i].yes != NULL)
			*known[i].yes = strcmp(value, "on") == 0;
		else if (dr_parse_int(value, 0, INT64_MAX / MEGABYTE, &n,
		             &no) == 0)
			*known[i].number = n * known[i].unit;
	}
	return 0;
}

/* Who mistyped it may have meant that it never is: so it is not. */
static void
read_priority(struct dr_node *n, const char *value)
{
	struct dr_err no = { 0 };
	int64_t v;

	if (value == NULL || *value == '\0')
		return;
	if (dr_parse_int(value, 0, PRIORITY_MAX, &v, &no) == 0) {
		n->facts.priority = (int)v;
		return;
	}
	n->facts.priority = 0;
	(void)dr_err_set(&n->err, DR_EUSAGE,
	    "drtools.priority is \"%.40s\", not a number from 0 to %d: taken "
	    "as 0",
	    value, PRIORITY_MAX);
}

static int
read_row(struct dr_node *n, const PGresult *res, struct dr_err *err)
{
	struct dr_node_facts *f = &n->facts;
	struct dr_row r = { .res = res };

	f->superuser = dr_row_bool(&r);
	wipe(f->tags);
	wipe(f->region);
	wipe(f->address);
	f->tags = dr_row_text(&r);
	f->region = dr_row_text(&r);
	f->address = dr_row_text(&r);
	if (r.failed)
		return dr_err_set(err, DR_EFAIL,
		    "no memory for what a server says");
	read_priority(n, dr_row_next(&r));
	f->senders_used = dr_row_int(&r);
	f->prepared = dr_row_int(&r);
	f->oldest_us = dr_row_us(&r);
	f->backups = dr_row_int(&r);
	f->control_lsn = dr_row_lsn(&r);
	f->min_recovery_end = dr_row_lsn(&r);
	f->tli = dr_row_tli(&r);
	f->has_history = f->tli == 1;
	return 0;
}

void
dr_node_unescape(char *s)
{
	static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
	const char *p, *k;

	for (p = s; *p != '\0' && *p != '\n'; p++) {
		if (*p == '\\' && p[1] != '\0') {
			p++;
			k = strchr(from, *p);
			*s++ = k != NULL ? to[k - from] : *p;
		} else
			*s++ = *p;
	}
	*s = '\0';
}

static int
read_files(struct dr_node *n, const PGresult *res, struct dr_err *err)
{
	struct dr_node_facts *f = &n->facts;
	struct dr_row r = { .res = res };
	struct dr_err damaged = { 0 };
	const char *text;

	if ((text = dr_row_next(&r)) != NULL) {
		if (set(&f->saved, text, err) == -1)
			return -1;
		dr_node_unescape(f->saved);
	}
	f->tli = dr_row_tli(&r);
	f->has_history = f->tli == 1;
	dr_history_free(&f->history);
	if ((text = dr_row_next(&r)) == NULL || f->tli == 0)
		return 0;
	f->has_history = dr_history_parse(text, strlen(text), f->tli,
	                     &f->history, &damaged) == 0;
	return 0;
}

static bool
rows(const struct dr_node *n, size_t i)
{
	return i < n->ask.results &&
	       PQresultStatus(n->ask.result[i]) == PGRES_TUPLES_OK;
}

static int
read_facts(struct dr_node *n, struct dr_err *err)
{
	const PGresult *res;
	int i;

	if (n->ask.at == DR_ASK_ENDED || !rows(n, SETTINGS) || !rows(n, ROW) ||
	    PQntuples(n->ask.result[ROW]) != 1)
		return 0;
	/* Only the files may be denied. */
	dr_err_clear(&n->err);
	res = n->ask.result[SETTINGS];
	for (i = 0; i < PQntuples(res); i++)
		if (read_setting(&n->facts, PQgetvalue(res, i, 0),
		        PQgetvalue(res, i, 1), err) == -1)
			return -1;
	if (read_row(n, n->ask.result[ROW], err) == -1)
		return -1;
	if (rows(n, FILES) && PQntuples(n->ask.result[FILES]) == 1 &&
	    read_files(n, n->ask.result[FILES], err) == -1)
		return -1;
	n->facts.known = true;
	return 0;
}

int
dr_nodes_facts(struct dr_node *const *v, size_t n, int64_t until,
    struct dr_err *err)
{
	struct dr_buf sql = { .max = DR_NODE_SQL_MAX };
	const char **each = NULL;
	size_t i;
	int rc = -1;

	if (dr_buf_str(&sql, settings_sql, err) == -1 ||
	    dr_buf_str(&sql, row_sql, err) == -1 ||
	    dr_buf_fmt(&sql, err, files_sql, DR_NODE_SAVE_MAX) == -1)
		goto out;
	if ((each = calloc(n + 1, sizeof(*each))) == NULL) {
		dr_err_sys(err, "cannot allocate a list of servers");
		goto out;
	}
	for (i = 0; i < n; i++) {
		each[i] = sql.data;
		dr_node_facts_free(&v[i]->facts);
		if (dr_node_facts_init(&v[i]->facts, err) == -1)
			goto out;
	}
	if (dr_nodes_do(v, each, n, "look at the server", until, err) == -1)
		goto out;
	for (i = 0; i < n; i++)
		if (read_facts(v[i], err) == -1)
			goto out;
	rc = 0;

out:
	free(each);
	dr_buf_free(&sql);
	return rc;
}
