#include "pg/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "pg/conn.h"
#include "pg/conn_int.h"
#include "pg/libpq.h"

#define HIDDEN_US 50000
#define ASKS_MAX  1024

void
dr_ask_end(struct dr_ask *a, enum dr_probe_state state, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	a->at = DR_ASK_ENDED;
	a->probe.state = state;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dr_err_clear(&a->probe.err);
	(void)dr_err_set(&a->probe.err,
	    state == DR_PROBE_DENIED ? DR_EFAIL : DR_ERETRY, "%s", text);
}

static void
drop_results(struct dr_ask *a)
{
	while (a->results > 0)
		PQclear(a->result[--a->results]);
}

void
dr_ask_close(struct dr_ask *a)
{
	drop_results(a);
	PQfinish(a->conn);
	a->conn = NULL;
	a->at = DR_ASK_ENDED;
}

/* What comes without being asked for; nobody wants to hear the rest. */
static void on_notice(void *, const PGresult *);

void
dr_ask_move(struct dr_ask *to, struct dr_ask *from)
{
	*to = *from;
	memset(from, 0, sizeof(*from));
	from->at = DR_ASK_ENDED;
	if (to->conn != NULL)
		(void)PQsetNoticeReceiver(to->conn, on_notice, to);
}

/* --- what servers say ------------------------------------------------------- */

static bool
has(const char *text, const char *what)
{
	return strcasestr(text, what) != NULL;
}

/* What a connection pooler says of the server behind it; all by one code. */
static enum dr_probe_state
pooler_says(const char *text)
{
	if (has(text, "no more connections allowed"))
		return DR_PROBE_CROWDED;
	if (has(text, "startup parameter") || has(text, "no such database") ||
	    has(text, "no such user") || has(text, "config error") ||
	    has(text, "auth"))
		return DR_PROBE_DENIED;
	if (has(text, "shutting down") || has(text, "terminating"))
		return DR_PROBE_STOPPING;
	if (has(text, "starting up"))
		return DR_PROBE_STARTING;
	if (has(text, "timeout"))
		return DR_PROBE_HUNG;
	if (has(text, "server login") || has(text, "connect"))
		return DR_PROBE_UNREACHABLE;
	return DR_PROBE_FAILED;
}

/*
 * Starting and shutting down have one code between them and a text that may
 * be translated: what is not known to be the one is the other.
 */
static enum dr_probe_state
state_of(const char *code, const char *text)
{
	if (strcmp(code, "57P03") == 0)
		return has(text, "shutting down") ? DR_PROBE_STOPPING
		                                  : DR_PROBE_STARTING;
	if (strcmp(code, "57P01") == 0)
		return DR_PROBE_STOPPING;
	if (strcmp(code, "57P02") == 0)
		return DR_PROBE_STARTING;
	if (strcmp(code, "53300") == 0)
		return DR_PROBE_CROWDED;
	if (strcmp(code, "53100") == 0)
		return DR_PROBE_FULL;
	if (strcmp(code, "25006") == 0)
		return DR_PROBE_READONLY;
	if (strcmp(code, "57014") == 0) /* statement_timeout, ours */
		return DR_PROBE_HUNG;
	if (strncmp(code, "28", 2) == 0 || strcmp(code, "3D000") == 0 ||
	    strcmp(code, "42501") == 0)
		return DR_PROBE_DENIED;
	if (strncmp(code, "08", 2) == 0)
		return pooler_says(text);
	return DR_PROBE_FAILED;
}

static void
note_fatal(struct dr_ask *a, const PGresult *res)
{
	const char *how, *code, *by;

	how = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	code = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	by = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);
	if (how == NULL || code == NULL ||
	    (strcmp(how, "FATAL") != 0 && strcmp(how, "PANIC") != 0 &&
	        strncmp(code, "57P0", 4) != 0))
		return; /* an immediate shutdown only warns */
	(void)snprintf(a->fatal, sizeof(a->fatal), "%s", code);
	(void)snprintf(a->fatal_by, sizeof(a->fatal_by), "%s",
	    by != NULL ? by : "");
	how = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	dr_err_clear(&a->probe.err);
	(void)dr_err_set(&a->probe.err, DR_ERETRY,
	    "the server ended the connection: %s", how != NULL ? how : code);
}

static void
on_notice(void *arg, const PGresult *res)
{
	note_fatal(arg, res);
}

void
dr_ask_refuse(struct dr_ask *a, const PGresult *res, const char *doing)
{
	const char *code = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	struct dr_err said = { 0 };

	(void)dr_pg_failed(a->conn, res, doing, &said);
	a->at = DR_ASK_ENDED;
	a->probe.state = state_of(code != NULL ? code : "", said.msg);
	a->probe.err = said;
}

/* No connection came of it. */
static void
not_connected(struct dr_ask *a)
{
	const char *said = PQerrorMessage(a->conn);
	enum dr_probe_state state;
	char code[6], line[512], *hint;

	dr_pg_said(a->conn, code, line, sizeof(line));
	if ((hint = strstr(line, ";  Is the server")) != NULL)
		*hint = '\0';
	if (code[0] != '\0')
		state = state_of(code, line);
	else if (has(said, strerror(ENOTCONN)) || has(said, strerror(EAGAIN))) {
		/* connect(2) on a socket's path says so, TCP does not. */
		dr_ask_end(a, DR_PROBE_HUNG,
		    "its queue of new connections is full: nobody takes them");
		return;
	} else if (has(said, strerror(ECONNREFUSED)) ||
	           has(said, strerror(ENOENT)))
		state = DR_PROBE_REFUSED;
	else if (has(said, "closed the connection") ||
	         has(said, strerror(ECONNRESET)) || has(said, strerror(EPIPE)))
		state = DR_PROBE_FAILED;
	else
		state = a->talked ? DR_PROBE_DENIED : DR_PROBE_UNREACHABLE;
	dr_ask_end(a, state, "cannot connect: %s", line);
	if (has(line, "startup parameter"))
		(void)dr_err_hint(&a->probe.err,
		    "take \"options\" and the like out of the connection "
		    "string, or see ignore_startup_parameters of PgBouncer");
}

/* A connection that was there is gone. */
static void
lost(struct dr_ask *a)
{
	struct dr_err said = a->probe.err;
	char line[512];

	if (a->fatal[0] != '\0') {
		a->at = DR_ASK_ENDED;
		a->probe.state = state_of(a->fatal, said.msg);
		return;
	}
	dr_pg_one_line(PQerrorMessage(a->conn), line, sizeof(line));
	dr_ask_end(a, DR_PROBE_FAILED, "lost the connection: %s", line);
}

static void
late(struct dr_ask *a)
{
	int64_t ms = (a->until - a->began) / 1000;

	if (a->at == DR_ASK_BUSY)
		dr_ask_end(a, DR_PROBE_HUNG,
		    "connected, and no answer to a query within %lld ms",
		    (long long)ms);
	else if (a->talked)
		dr_ask_end(a, DR_PROBE_HUNG,
		    "takes the connection, and says nothing for %lld ms",
		    (long long)ms);
	else
		dr_ask_end(a, DR_PROBE_UNREACHABLE,
		    "no connection within %lld ms", (long long)ms);
}

/* --- going on --------------------------------------------------------------- */

static bool
talks(PGconn *conn, bool so_far)
{
	switch (PQstatus(conn)) {
	case CONNECTION_STARTED:
		return false; /* the next address */
	case CONNECTION_MADE:
	case CONNECTION_AUTH_OK:
	case CONNECTION_SETENV:
	case CONNECTION_SSL_STARTUP:
	case CONNECTION_GSS_STARTUP:
	case CONNECTION_AWAITING_RESPONSE:
	case CONNECTION_OK:
		return true;
	case CONNECTION_BAD:
	case CONNECTION_NEEDED:
	case CONNECTION_CHECK_WRITABLE:
	case CONNECTION_CONSUME:
	case CONNECTION_CHECK_TARGET:
	case CONNECTION_CHECK_STANDBY:
	default:
		return so_far;
	}
}

static void
go_on_connecting(struct dr_ask *a)
{
	PostgresPollingStatusType want = PQconnectPoll(a->conn);

	a->talked = talks(a->conn, a->talked);
	if (want == PGRES_POLLING_FAILED) {
		not_connected(a);
		return;
	}
	if (want != PGRES_POLLING_OK) {
		a->events = want == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		return;
	}
	a->at = DR_ASK_IDLE;
	a->events = POLLIN;
	a->probe.connect_us = dr_monotonic() - a->began;
	(void)PQsetErrorVerbosity(a->conn, PQERRORS_DEFAULT);
	if (PQsetnonblocking(a->conn, 1) == -1)
		lost(a);
}

void
dr_ask_open(struct dr_ask *a, const struct dr_pg_host *host, int64_t until)
{
	const char *keys[] = { "dbname", "fallback_application_name", NULL };
	const char *tool = dr_tool();
	const char *values[] = { host->conninfo, "dr-lag", NULL };

	if (tool[0] != '\0')
		values[1] = tool;

	memset(a, 0, sizeof(*a));
	a->probe.state = DR_PROBE_FAILED;
	a->probe.connect_us = a->probe.answer_us = DR_UNKNOWN;
	a->began = dr_monotonic();
	a->until = until;
	a->events = POLLOUT;
	if (host->lost.cause != DR_OK) {
		dr_ask_end(a, DR_PROBE_UNREACHABLE, "%s", host->lost.msg);
		return;
	}
	if (dr_libpq(&a->probe.err) == -1) {
		a->at = DR_ASK_ENDED;
		return;
	}
	if ((a->conn = PQconnectStartParams(keys, values, 1)) == NULL) {
		dr_ask_end(a, DR_PROBE_FAILED, "cannot allocate a connection");
		return;
	}
	(void)PQsetErrorVerbosity(a->conn, PQERRORS_VERBOSE);
	(void)PQsetNoticeReceiver(a->conn, on_notice, a);
	a->talked = talks(a->conn, false);
	if (PQstatus(a->conn) == CONNECTION_BAD)
		not_connected(a);
}

static void
flush(struct dr_ask *a)
{
	int n = PQflush(a->conn);

	a->events = n == 1 ? POLLIN | POLLOUT : POLLIN;
	if (n == -1)
		lost(a);
}

void
dr_ask_send(struct dr_ask *a, const char *sql, int64_t until)
{
	if (a->at != DR_ASK_IDLE)
		return;
	drop_results(a);
	a->began = dr_monotonic();
	a->until = until;
	a->at = DR_ASK_BUSY;
	if (!PQsendQuery(a->conn, sql))
		lost(a);
	else
		flush(a);
}

static void
go_on_talking(struct dr_ask *a)
{
	PGresult *res;
	int n;

	if ((a->events & POLLOUT) != 0)
		flush(a);
	if (a->at == DR_ASK_ENDED)
		return;
	n = PQconsumeInput(a->conn);
	while (a->at == DR_ASK_BUSY && !PQisBusy(a->conn)) {
		if ((res = PQgetResult(a->conn)) == NULL) {
			a->at = DR_ASK_IDLE;
			a->probe.answer_us = dr_monotonic() - a->began;
			break;
		}
		note_fatal(a, res);
		if (a->results < DR_ASK_RESULTS)
			a->result[a->results++] = res;
		else
			PQclear(res);
	}
	/* What is idle may be told that it ends. */
	if (a->at == DR_ASK_IDLE)
		(void)PQisBusy(a->conn);
	if (n == 0 || PQstatus(a->conn) == CONNECTION_BAD)
		lost(a);
}

/* When A is to be looked at although nothing came. */
static int64_t
look_at(const struct dr_ask *a, int64_t now)
{
	bool timed = a->at == DR_ASK_CONNECTING || a->at == DR_ASK_BUSY;
	int64_t t = timed ? a->until : INT64_MAX;

	/* The TLS library may hold bytes that poll(2) does not see. */
	if (a->at == DR_ASK_BUSY &&
	    (PQsslInUse(a->conn) || PQgssEncInUse(a->conn)) &&
	    now + HIDDEN_US < t)
		t = now + HIDDEN_US;
	return t;
}

static void
go_on(struct dr_ask *a, bool ready, int64_t now)
{
	if (a->at == DR_ASK_ENDED)
		return;
	if (ready)
		a->heard = now;
	if (a->at == DR_ASK_CONNECTING) {
		if (ready)
			go_on_connecting(a);
	} else if (ready || PQsslInUse(a->conn) || PQgssEncInUse(a->conn))
		go_on_talking(a);
	if ((a->at == DR_ASK_CONNECTING || a->at == DR_ASK_BUSY) &&
	    now >= a->until)
		late(a);
}

int
dr_ask_turn(struct dr_ask *const *v, size_t n, int64_t until,
    struct dr_err *err)
{
	struct pollfd p[ASKS_MAX + 1];
	struct timespec ts;
	int64_t now, t;
	size_t i;

	if (n > ASKS_MAX)
		return dr_err_set(err, DR_EUSAGE, "more than %d servers",
		    ASKS_MAX);
	now = dr_monotonic();
	for (i = 0; i < n; i++) {
		p[i].fd = v[i]->at == DR_ASK_ENDED ? -1 : PQsocket(v[i]->conn);
		p[i].events = v[i]->events;
		p[i].revents = 0;
		if (v[i]->at != DR_ASK_ENDED &&
		    (t = look_at(v[i], now)) < until)
			until = t;
	}
	p[n].fd = dr_stop_fd();
	p[n].events = POLLIN;
	p[n].revents = 0;
	t = until > now ? until - now : 0;
	ts.tv_sec = (time_t)(t / 1000000);
	ts.tv_nsec = (long)(t % 1000000) * 1000;
	if (ppoll(p, n + 1, &ts, NULL) == -1 && errno != EINTR)
		return dr_err_sys(err, "cannot wait for servers");
	if (dr_check_stop(err) == -1)
		return -1;
	now = dr_monotonic();
	for (i = 0; i < n; i++)
		go_on(v[i], p[i].revents != 0, now);
	return 0;
}

int
dr_ask_wait(struct dr_ask *a, struct dr_err *err)
{
	while (a->at == DR_ASK_CONNECTING || a->at == DR_ASK_BUSY)
		if (dr_ask_turn(&a, 1, a->until, err) == -1)
			return -1;
	return 0;
}

const PGresult *
dr_ask_error(const struct dr_ask *a, size_t from)
{
	size_t i;

	for (i = from; i < a->results; i++)
		if (PQresultStatus(a->result[i]) != PGRES_TUPLES_OK &&
		    PQresultStatus(a->result[i]) != PGRES_COMMAND_OK)
			return a->result[i];
	return NULL;
}
