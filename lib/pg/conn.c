#include "pg/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"

#define TICK_MS 1000

enum dr_cause
dr_pg_cause(const char *s)
{
	/* Codes of the server that mean: not now. */
	static const char *const away[] = { "57P01", "57P02", "57P03", "53300",
		"55006" };
	size_t i;

	if (s == NULL || strlen(s) != 5)
		return DR_EFAIL;
	if (strncmp(s, "08", 2) == 0)
		return DR_ERETRY;
	if (strncmp(s, "XX", 2) == 0 && strcmp(s, "XX000") != 0)
		return DR_EDATA;
	for (i = 0; i < sizeof(away) / sizeof(away[0]); i++)
		if (strcmp(s, away[i]) == 0)
			return DR_ERETRY;
	return DR_EFAIL;
}

/*
 * TEXT, which may have several lines, as one: without the newline at its
 * end, and without "ERROR:  " in front.
 */
static void
one_line(const char *text, char *out, size_t size)
{
	static const char *const heads[] = { "ERROR:  ", "FATAL:  ",
		"PANIC:  " };
	size_t i, n = 0;

	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		if (strncmp(text, heads[i], strlen(heads[i])) == 0)
			text += strlen(heads[i]);
	for (; *text != '\0' && n + 3 < size; text++) {
		if (*text != '\n') {
			out[n++] = *text == '\t' ? ' ' : *text;
			continue;
		}
		while (text[1] == '\n')
			text++;
		if (text[1] == '\0')
			break;
		out[n++] = ';';
		out[n++] = ' ';
	}
	out[n] = '\0';
}

int
dr_pg_failed(PGconn *conn, const PGresult *res, const char *doing,
    struct dr_err *err)
{
	const char *state = NULL, *primary = NULL, *hint = NULL;
	enum dr_cause cause;
	char text[512];

	if (res != NULL) {
		state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
		primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
		hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
	}
	cause = dr_pg_cause(state);
	/* A lost connection is told by libpq, without a code. */
	if (state == NULL && PQstatus(conn) == CONNECTION_BAD)
		cause = DR_ERETRY;
	if (primary == NULL)
		primary = res != NULL ? PQresultErrorMessage(res)
		                      : PQerrorMessage(conn);
	one_line(primary, text, sizeof(text));
	dr_err_set(err, cause, "cannot %s: %s", doing,
	    text[0] != '\0' ? text : "the server gave no reason");
	if (hint != NULL) {
		one_line(hint, text, sizeof(text));
		dr_err_hint(err, "%s", text);
	}
	return -1;
}

/* Poll the connection and the stop signals.  1 ready, 0 time over, -1. */
static int
poll_conn(PGconn *conn, short events, int ms, struct dr_err *err)
{
	struct pollfd p[2] = { { .fd = PQsocket(conn), .events = events },
		{ .fd = dr_stop_fd(), .events = POLLIN } };
	int n;

	if (dr_check_stop(err) == -1)
		return -1;
	if ((n = poll(p, 2, ms)) == -1 && errno != EINTR)
		return dr_err_sys(err, "cannot wait for the server");
	if (dr_check_stop(err) == -1)
		return -1;
	return n > 0 && p[0].revents != 0;
}

int
dr_pg_wait(PGconn *conn, int ms, struct dr_err *err)
{
	int n = poll_conn(conn, POLLIN, ms, err);

	if (n != 1)
		return n;
	if (!PQconsumeInput(conn))
		return dr_pg_failed(conn, NULL, "read from the server", err);
	return 1;
}

/* --- connecting ---------------------------------------------------------- */

struct settings {
	const char *keys[64], *values[64];
	size_t n;
};

static int
set(struct settings *s, const char *key, const char *value, struct dr_err *err)
{
	if (s->n + 1 >= sizeof(s->keys) / sizeof(s->keys[0]))
		return dr_err_set(err, DR_EUSAGE,
		    "the connection string has too many settings");
	s->keys[s->n] = key;
	s->values[s->n] = value;
	s->n++;
	s->keys[s->n] = s->values[s->n] = NULL;
	return 0;
}

/*
 * The SQLSTATE in what PQerrorMessage says after a failed connection with
 * verbose errors ("FATAL:  28P01: password ..."): the last one.
 */
static void
find_state(const char *text, char state[6])
{
	const char *p = text;

	state[0] = '\0';
	while ((p = strstr(p, ":  ")) != NULL) {
		p += 3;
		if (strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
		    p[5] == ':') {
			memcpy(state, p, 5);
			state[5] = '\0';
		}
	}
}

/* TEXT without the codes and LOCATION lines that verbose errors add. */
static void
plain_text(const char *text, char *out, size_t size)
{
	const char *p = text, *end;
	size_t n = 0, len;

	while (*p != '\0' && n + 1 < size) {
		end = strchrnul(p, '\n');
		if (strncmp(p, "LOCATION:", 9) != 0) {
			len = (size_t)(end - p) + (*end == '\n');
			if (len > size - n - 1)
				len = size - n - 1;
			memcpy(out + n, p, len);
			n += len;
		}
		p = *end == '\n' ? end + 1 : end;
	}
	out[n] = '\0';
}

/*
 * Why it could not connect.  ANSWERED: some server took the connection and
 * began to talk; before that, the server is away.
 */
static void
connect_failed(PGconn *conn, bool answered, struct dr_err *err)
{
	const char *said = PQerrorMessage(conn);
	enum dr_cause cause = DR_EFAIL;
	char state[6], text[512], line[512], *code;

	find_state(said, state);
	if (state[0] != '\0')
		cause = dr_pg_cause(state);
	else if (!answered ||
	         strstr(said, "server closed the connection") != NULL)
		cause = DR_ERETRY;
	plain_text(said, text, sizeof(text));
	one_line(text, line, sizeof(line));
	if (state[0] != '\0' && (code = strstr(line, state)) != NULL &&
	    strlen(code) > 7)
		memmove(code, code + 7, strlen(code + 7) + 1);
	dr_err_set(err, cause, "cannot connect: %s", line);
	if (strcmp(state, "28000") == 0)
		dr_err_hint(err,
		    "a backup needs a role with REPLICATION and a line for "
		    "\"replication\" in pg_hba.conf");
}

/* Did it get as far as to look for a server? */
static bool
tried(const char *said)
{
	return strncmp(said, "connection to server", 20) == 0 ||
	       strncmp(said, "could not translate host name", 29) == 0;
}

/* connect_timeout as libpq has it, in milliseconds from now; 0: none. */
static int64_t
deadline(PGconn *conn)
{
	PQconninfoOption *all = PQconninfo(conn), *o;
	int64_t sec = 0;
	struct dr_err ignored = { 0 };

	for (o = all; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, "connect_timeout") == 0 &&
		    o->val != NULL)
			(void)dr_parse_int(o->val, 0, 86400, &sec, &ignored);
	PQconninfoFree(all);
	return sec > 0 ? dr_monotonic() + sec * 1000000 : 0;
}

static int
finish_connect(PGconn *conn, struct dr_err *err)
{
	PostgresPollingStatusType want = PGRES_POLLING_WRITING;
	bool answered = false;
	int64_t until = deadline(conn), left;
	int ms;

	(void)PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
	while (want != PGRES_POLLING_OK) {
		ms = -1;
		if (until != 0) {
			left = (until - dr_monotonic()) / 1000;
			if (left <= 0)
				return dr_err_set(err, DR_ERETRY,
				    "cannot connect: the server did not "
				    "answer within connect_timeout");
			ms = (int)left + 1;
		}
		switch (poll_conn(conn,
		    want == PGRES_POLLING_READING ? POLLIN : POLLOUT, ms,
		    err)) {
		case -1:
			return -1;
		case 0:
			continue;
		default:
			break;
		}
		want = PQconnectPoll(conn);
		/*
		 * CONNECTION_MADE is left once the server's first bytes came
		 * (TLS or the like), AWAITING_RESPONSE once the start packet
		 * is out.
		 */
		switch (PQstatus(conn)) {
		case CONNECTION_AUTH_OK:
		case CONNECTION_SETENV:
		case CONNECTION_SSL_STARTUP:
		case CONNECTION_GSS_STARTUP:
		case CONNECTION_AWAITING_RESPONSE:
			answered = true;
			break;
		case CONNECTION_STARTED:
			answered = false; /* the next host */
			break;
		case CONNECTION_OK:
		case CONNECTION_BAD:
		case CONNECTION_MADE:
		case CONNECTION_NEEDED:
		case CONNECTION_CHECK_WRITABLE:
		case CONNECTION_CONSUME:
		case CONNECTION_CHECK_TARGET:
		case CONNECTION_CHECK_STANDBY:
		default:
			break;
		}
		if (want == PGRES_POLLING_FAILED) {
			connect_failed(conn, answered, err);
			return -1;
		}
	}
	(void)PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
	return 0;
}

/* Settings that say which server it is to be. */
static bool
place(const char *key)
{
	return strcmp(key, "host") == 0 || strcmp(key, "hostaddr") == 0 ||
	       strcmp(key, "port") == 0 ||
	       strcmp(key, "target_session_attrs") == 0;
}

PGconn *
dr_pg_connect(const char *conninfo, bool replication, const char *app,
    const PGconn *same, struct dr_err *err)
{
	struct settings s = { .n = 0 };
	PQconninfoOption *given = NULL, *o;
	PGconn *conn = NULL;
	bool named =
	    getenv("PGDATABASE") != NULL || getenv("PGSERVICE") != NULL;
	char *why = NULL;

	given = PQconninfoParse(conninfo != NULL ? conninfo : "", &why);
	if (given == NULL) {
		PQfreemem(why);
		dr_err_set(err, DR_EUSAGE,
		    "the connection string cannot be understood");
		dr_err_hint(err, "write it as \"host=... dbname=...\" or "
		                 "\"postgresql://...\"");
		return NULL;
	}
	for (o = given; o->keyword != NULL; o++) {
		if (o->val == NULL || strcmp(o->keyword, "replication") == 0)
			continue;
		if (strcmp(o->keyword, "dbname") == 0) {
			named = true;
			if (replication)
				continue;
		}
		if (strcmp(o->keyword, "service") == 0)
			named = true;
		if (same != NULL && place(o->keyword))
			continue;
		if (set(&s, o->keyword, o->val, err) == -1)
			goto fail;
	}
	if (same != NULL && (set(&s, "host", PQhost(same), err) == -1 ||
	                        set(&s, "port", PQport(same), err) == -1))
		goto fail;
	if (set(&s, "fallback_application_name", app, err) == -1)
		goto fail;
	if (replication) {
		/* pg_hba.conf and .pgpass know this one as a database. */
		if (set(&s, "replication", "true", err) == -1 ||
		    set(&s, "dbname", "replication", err) == -1)
			goto fail;
	} else if (set(&s, "client_encoding", "UTF8", err) == -1 ||
	           (!named && set(&s, "dbname", "postgres", err) == -1))
		goto fail;

	if ((conn = PQconnectStartParams(s.keys, s.values, 0)) == NULL) {
		dr_err_set(err, DR_EFAIL, "cannot allocate a connection");
		goto fail;
	}
	if (PQstatus(conn) == CONNECTION_BAD) {
		connect_failed(conn, !tried(PQerrorMessage(conn)), err);
		goto fail;
	}
	if (finish_connect(conn, err) == -1)
		goto fail;
	PQconninfoFree(given);
	return conn;

fail:
	PQfinish(conn);
	PQconninfoFree(given);
	return NULL;
}

/* --- commands ------------------------------------------------------------ */

PGresult *
dr_pg_result(PGconn *conn, int (*tick)(void *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	while (PQisBusy(conn)) {
		if (dr_pg_wait(conn, tick != NULL ? TICK_MS : -1, err) == -1)
			return NULL;
		if (tick != NULL && tick(arg, err) == -1)
			return NULL;
	}
	return PQgetResult(conn);
}

/* The results of a command that was sent, down to one. */
static PGresult *
only_result(PGconn *conn, const char *doing, struct dr_err *err)
{
	struct dr_err lost = { 0 };
	PGresult *first = NULL, *res;

	while ((res = dr_pg_result(conn, NULL, NULL, &lost)) != NULL) {
		if (first == NULL)
			first = res;
		else
			PQclear(res);
	}
	if (lost.cause != DR_OK) {
		PQclear(first);
		if (err->cause == DR_OK)
			*err = lost;
		return NULL;
	}
	if (first == NULL || (PQresultStatus(first) != PGRES_TUPLES_OK &&
	                         PQresultStatus(first) != PGRES_COMMAND_OK)) {
		dr_pg_failed(conn, first, doing, err);
		PQclear(first);
		return NULL;
	}
	return first;
}

PGresult *
dr_pg_query(PGconn *conn, const char *sql, const char *doing,
    struct dr_err *err)
{
	if (!PQsendQuery(conn, sql)) {
		dr_pg_failed(conn, NULL, doing, err);
		return NULL;
	}
	return only_result(conn, doing, err);
}

PGresult *
dr_pg_query_params(PGconn *conn, const char *sql, int n,
    const char *const *params, const char *doing, struct dr_err *err)
{
	if (!PQsendQueryParams(conn, sql, n, NULL, params, NULL, NULL, 0)) {
		dr_pg_failed(conn, NULL, doing, err);
		return NULL;
	}
	return only_result(conn, doing, err);
}

int
dr_pg_show(PGconn *conn, const char *name, char *out, size_t size,
    struct dr_err *err)
{
	struct dr_err no = { 0 };
	PGresult *res;
	char sql[128];
	const char *v;
	size_t n;

	(void)snprintf(sql, sizeof(sql), "SHOW %s", name);
	if ((res = dr_pg_query(conn, sql, sql, &no)) == NULL) {
		if (no.cause == DR_EFAIL && PQstatus(conn) == CONNECTION_OK)
			return 0;
		if (err->cause == DR_OK)
			*err = no;
		return -1;
	}
	if (PQntuples(res) != 1 || PQnfields(res) != 1) {
		PQclear(res);
		return dr_err_set(err, DR_EFAIL,
		    "the server's answer to \"%s\" makes no sense", sql);
	}
	v = PQgetvalue(res, 0, 0);
	if ((n = strlen(v)) >= size)
		n = size - 1;
	memcpy(out, v, n);
	out[n] = '\0';
	PQclear(res);
	return 1;
}
