#include "pg/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "pg/conn_int.h"

#define TICK_MS   1000
#define HIDDEN_MS 50

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

void
dr_pg_one_line(const char *text, char *out, size_t size)
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
	dr_pg_one_line(primary, text, sizeof(text));
	dr_err_set(err, cause, "cannot %s: %s", doing,
	    text[0] != '\0' ? text : "the server gave no reason");
	if (hint != NULL) {
		dr_pg_one_line(hint, text, sizeof(text));
		dr_err_hint(err, "%s", text);
	}
	return -1;
}

int
dr_pg_poll(PGconn *conn, short events, int ms, struct dr_err *err)
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
	/*
	 * The TLS library may hold bytes that poll(2) does not see and libpq
	 * has no way to tell of: then look without being told, and often.
	 */
	bool hidden = PQsslInUse(conn) || PQgssEncInUse(conn);
	int n;

	if (hidden && (ms < 0 || ms > HIDDEN_MS))
		ms = HIDDEN_MS;
	n = dr_pg_poll(conn, POLLIN, ms, err);
	if (n == -1 || (n == 0 && !hidden))
		return n;
	if (!PQconsumeInput(conn))
		return dr_pg_failed(conn, NULL, "read from the server", err);
	return n;
}

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
