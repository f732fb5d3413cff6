#include "pg/beat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "pg/libpq.h"

static const char make_sql[] =
    "CREATE SCHEMA IF NOT EXISTS drtools;"
    "CREATE TABLE IF NOT EXISTS drtools.heartbeat ("
    "id text PRIMARY KEY, beat bigint NOT NULL,"
    " written timestamptz NOT NULL DEFAULT clock_timestamp())";

/* A row that is not held by another writer is written at once. */
static const char write_sql[] =
    "SET LOCAL statement_timeout = %d;"
    "INSERT INTO drtools.heartbeat AS h (id, beat) VALUES ('%s', %" PRId64 ")"
    " ON CONFLICT (id) DO UPDATE SET"
    " beat = greatest(h.beat + 1, excluded.beat),"
    " written = clock_timestamp() RETURNING beat";

/* More rows than fit into work_mem have to lie on disk. */
static const char room_sql[] =
    "SET LOCAL work_mem = '64kB'; SET LOCAL temp_tablespaces = '';"
    "SET LOCAL statement_timeout = %d;"
    "SELECT count(*) FROM generate_series(1, 8000)";

/* What a name of a host may hold. */
static const char *
host_name(void)
{
	static char name[65];
	char *p;

	if (gethostname(name, sizeof(name) - 1) == -1 || name[0] == '\0')
		(void)snprintf(name, sizeof(name), "localhost");
	for (p = name; *p != '\0'; p++)
		if (strchr("'\\", *p) != NULL || (unsigned char)*p < ' ' ||
		    (unsigned char)*p > '~')
			*p = '_';
	return name;
}

const char *
dr_beat_look(void)
{
	static char sql[192];

	(void)snprintf(sql, sizeof(sql),
	    "SELECT beat FROM drtools.heartbeat WHERE id = '%s'", host_name());
	return sql;
}

static int
left_ms(int64_t until)
{
	int64_t ms = (until - dr_monotonic()) / 1000;

	return ms > 1 ? (int)ms : 1;
}

/* Send SQL and wait.  1 done, 0 ended or an error, whose code is in CODE. */
static int
run(struct dr_ask *a, const char *sql, int64_t until, char code[6],
    struct dr_err *err)
{
	const PGresult *bad;
	const char *s;

	code[0] = '\0';
	dr_ask_send(a, sql, until);
	if (dr_ask_wait(a, err) == -1)
		return -1;
	if (a->at == DR_ASK_ENDED)
		return 0;
	if ((bad = dr_ask_error(a, 0)) == NULL)
		return 1;
	s = PQresultErrorField(bad, PG_DIAG_SQLSTATE);
	(void)snprintf(code, 6, "%s", s != NULL ? s : "");
	return 0;
}

/* A write failed with CODE, or was not done in time. */
static int
no_write(struct dr_ask *a, const char *code)
{
	const PGresult *bad = dr_ask_error(a, 0);

	if (a->at != DR_ASK_ENDED && bad != NULL) {
		dr_ask_refuse(a, bad, "write the heartbeat");
		if (strcmp(code, "53100") != 0 && strcmp(code, "25006") != 0)
			a->probe.state = DR_PROBE_NOWRITE;
		if (strcmp(code, "42501") == 0)
			(void)dr_err_hint(&a->probe.err,
			    "it needs USAGE on the schema drtools and SELECT, "
			    "INSERT and UPDATE on drtools.heartbeat; where "
			    "they are missing, CREATE on the database");
	} else if (a->probe.state == DR_PROBE_HUNG)
		dr_ask_end(a, DR_PROBE_NOWRITE,
		    "a write was not committed in time: does it wait for a "
		    "synchronous standby, or for the disk?");
	return 0;
}

/* There is no table: "undefined table", "invalid schema name". */
static bool
absent(const char *code)
{
	return strcmp(code, "42P01") == 0 || strcmp(code, "3F000") == 0;
}

/* Somebody else made it meanwhile. */
static bool
made(const char *code)
{
	return strcmp(code, "23505") == 0 || strcmp(code, "42P06") == 0 ||
	       strcmp(code, "42P07") == 0;
}

int
dr_beat_write(struct dr_ask *a, int64_t until, int64_t *beat,
    struct dr_err *err)
{
	struct dr_err no = { 0 };
	const PGresult *res;
	char sql[512], code[6];
	int n;

	(void)snprintf(sql, sizeof(sql), write_sql, left_ms(until), host_name(),
	    dr_now());
	n = run(a, sql, until, code, err);
	if (n == 0 && absent(code)) {
		n = run(a, make_sql, until, code, err);
		if (n == 1 || (n == 0 && made(code)))
			n = run(a, sql, until, code, err);
	}
	if (n != 1)
		return n == -1 ? -1 : no_write(a, code);
	res = a->result[a->results - 1];
	if (PQntuples(res) != 1 || dr_parse_int(PQgetvalue(res, 0, 0), 0,
	                               INT64_MAX, beat, &no) == -1) {
		dr_ask_end(a, DR_PROBE_NOWRITE,
		    "writing the heartbeat returned nothing");
		return 0;
	}
	return 1;
}

int
dr_beat_room(struct dr_ask *a, int64_t until, struct dr_err *err)
{
	char sql[256], code[6];
	int n;

	(void)snprintf(sql, sizeof(sql), room_sql, left_ms(until));
	n = run(a, sql, until, code, err);
	if (n == 0 && strcmp(code, "53100") == 0) {
		dr_ask_refuse(a, dr_ask_error(a, 0), "write the heartbeat");
		return 0;
	}
	return n == -1 ? -1 : a->at != DR_ASK_ENDED;
}
