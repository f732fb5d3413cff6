/* Connecting: hosts in turn, each in its time, and why it failed. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "pg/conn.h"
#include "pg/conn_int.h"
#include "pg/libpq.h"

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

void
dr_pg_said(PGconn *conn, char state[6], char *line, size_t size)
{
	const char *said = PQerrorMessage(conn);
	char text[768], *code;

	find_state(said, state);
	plain_text(said, text, sizeof(text));
	dr_pg_one_line(text, line, size);
	if (state[0] != '\0' && (code = strstr(line, state)) != NULL &&
	    strlen(code) > 7)
		memmove(code, code + 7, strlen(code + 7) + 1);
}

/*
 * Why it could not connect.  ANSWERED: some server took the connection and
 * began to talk; before that, the server is away.
 */
static void
connect_failed(PGconn *conn, bool answered, struct dr_err *err)
{
	enum dr_cause cause = DR_EFAIL;
	char state[6], line[512];

	dr_pg_said(conn, state, line, sizeof(line));
	if (state[0] != '\0')
		cause = dr_pg_cause(state);
	else if (!answered || strstr(PQerrorMessage(conn),
	                          "server closed the connection") != NULL)
		cause = DR_ERETRY;
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

/*
 * One attempt over the hosts of the connection string; libpq goes from one
 * to the next, but leaves the time to us.
 */
struct attempt {
	PGconn *conn;
	size_t host; /* which one it is at */
	bool late;   /* that one did not answer in time */
};

/* connect_timeout in microseconds; 0: none. */
static int64_t
timeout_of(PGconn *conn)
{
	PQconninfoOption *all = PQconninfo(conn), *o;
	int64_t sec = 0;
	struct dr_err ignored = { 0 };

	for (o = all; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, "connect_timeout") == 0 &&
		    o->val != NULL)
			(void)dr_parse_int(o->val, 0, 86400, &sec, &ignored);
	PQconninfoFree(all);
	return sec * 1000000;
}

/* Has the server of this attempt begun to talk? */
static bool
talks(PGconn *conn, bool so_far)
{
	switch (PQstatus(conn)) {
	case CONNECTION_STARTED:
		return false; /* the next host, or address */
	case CONNECTION_AUTH_OK:
	case CONNECTION_SETENV:
	case CONNECTION_SSL_STARTUP:
	case CONNECTION_GSS_STARTUP:
	case CONNECTION_AWAITING_RESPONSE:
		return true;
	case CONNECTION_OK:
	case CONNECTION_BAD:
	case CONNECTION_MADE:
	case CONNECTION_NEEDED:
	case CONNECTION_CHECK_WRITABLE:
	case CONNECTION_CONSUME:
	case CONNECTION_CHECK_TARGET:
	case CONNECTION_CHECK_STANDBY:
	default:
		return so_far;
	}
}

static int
finish_connect(struct attempt *a, struct dr_err *err)
{
	const int64_t timeout = timeout_of(a->conn);
	PostgresPollingStatusType want = PGRES_POLLING_WRITING;
	const char *host = PQhost(a->conn);
	int64_t until = dr_monotonic() + timeout, left;
	bool answered = false;
	int ms, n;

	(void)PQsetErrorVerbosity(a->conn, PQERRORS_VERBOSE);
	while (want != PGRES_POLLING_OK) {
		ms = -1;
		if (timeout > 0) {
			left = (until - dr_monotonic()) / 1000;
			a->late = left <= 0;
			if (a->late)
				return dr_err_set(err, DR_ERETRY,
				    "cannot connect: the server \"%s\" did "
				    "not answer within connect_timeout",
				    host);
			ms = (int)left + 1;
		}
		n = dr_pg_poll(a->conn,
		    want == PGRES_POLLING_READING ? POLLIN : POLLOUT, ms, err);
		if (n == -1)
			return -1;
		if (n == 0)
			continue;
		want = PQconnectPoll(a->conn);
		answered = talks(a->conn, answered);
		if (want == PGRES_POLLING_FAILED) {
			connect_failed(a->conn, answered, err);
			return -1;
		}
		/* Each host of the list has a string of its own. */
		if (PQhost(a->conn) != host) {
			host = PQhost(a->conn);
			a->host++;
			until = dr_monotonic() + timeout;
		}
	}
	(void)PQsetErrorVerbosity(a->conn, PQERRORS_DEFAULT);
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

/* What is left of a list after N commas; a single value is for all. */
static const char *
rest(const char *list, size_t n)
{
	const char *p = list;

	if (p == NULL || strchr(p, ',') == NULL)
		return p;
	for (; n > 0 && p != NULL; n--)
		p = (p = strchr(p, ',')) != NULL ? p + 1 : NULL;
	return p;
}

/* Hosts that nothing was tried with yet: those of ALL after SKIP. */
static int
set_hosts(struct settings *s, const PQconninfoOption *all, size_t skip,
    bool *more, struct dr_err *err)
{
	const char *left;

	*more = false;
	for (; all->keyword != NULL; all++) {
		if (!place(all->keyword) || all->val == NULL)
			continue;
		left = rest(all->val, skip);
		if (strncmp(all->keyword, "host", 4) == 0 && left != all->val &&
		    left != NULL)
			*more = true;
		if (left != NULL && set(s, all->keyword, left, err) == -1)
			return -1;
	}
	return 0;
}

static int
gather(struct settings *s, const PQconninfoOption *given, bool replication,
    const char *app, bool placed, struct dr_err *err)
{
	bool named =
	    getenv("PGDATABASE") != NULL || getenv("PGSERVICE") != NULL;
	const PQconninfoOption *o;

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
		if (placed && place(o->keyword))
			continue;
		if (set(s, o->keyword, o->val, err) == -1)
			return -1;
	}
	if (set(s, "fallback_application_name", app, err) == -1)
		return -1;
	/* pg_hba.conf and .pgpass know replication as a database. */
	if (replication)
		return set(s, "replication", "true", err) == -1
		           ? -1
		           : set(s, "dbname", "replication", err);
	if (set(s, "client_encoding", "UTF8", err) == -1)
		return -1;
	return named ? 0 : set(s, "dbname", "postgres", err);
}

static int
start(struct attempt *a, const struct settings *s, struct dr_err *err)
{
	a->conn = PQconnectStartParams(s->keys, s->values, 0);
	a->host = 0;
	a->late = false;
	if (a->conn == NULL)
		return dr_err_set(err, DR_EFAIL,
		    "cannot allocate a connection");
	if (PQstatus(a->conn) == CONNECTION_BAD) {
		connect_failed(a->conn, !tried(PQerrorMessage(a->conn)), err);
		return -1;
	}
	return finish_connect(a, err);
}

PGconn *
dr_pg_connect(const char *conninfo, bool replication, const char *app,
    const PGconn *same, struct dr_err *err)
{
	struct settings s = { .n = 0 };
	struct attempt a = { NULL, 0, false };
	PQconninfoOption *given, *all = NULL;
	bool more = true;
	char *why = NULL;
	size_t skip = 0;
	int rc = -1;

	if (dr_libpq(err) == -1)
		return NULL;
	given = PQconninfoParse(conninfo != NULL ? conninfo : "", &why);
	if (given == NULL) {
		PQfreemem(why);
		dr_err_set(err, DR_EUSAGE,
		    "the connection string cannot be understood");
		dr_err_hint(err, "write it as \"host=... dbname=...\" or "
		                 "\"postgresql://...\"");
		return NULL;
	}
	if (gather(&s, given, replication, app, same != NULL, err) == -1 ||
	    (same != NULL && (set(&s, "host", PQhost(same), err) == -1 ||
	                         set(&s, "port", PQport(same), err) == -1)))
		goto out;
	rc = start(&a, &s, err);
	/* One that says nothing must not keep us from those after it. */
	while (rc == -1 && a.late && same == NULL) {
		if (all == NULL && (all = PQconninfo(a.conn)) == NULL)
			break;
		skip += a.host + 1;
		s.n = 0;
		if (gather(&s, given, replication, app, true, err) == -1 ||
		    set_hosts(&s, all, skip, &more, err) == -1 || !more)
			break;
		PQfinish(a.conn);
		dr_err_clear(err);
		rc = start(&a, &s, err);
	}

out:
	if (rc == -1) {
		PQfinish(a.conn);
		a.conn = NULL;
	}
	PQconninfoFree(all);
	PQconninfoFree(given);
	return a.conn;
}

int
dr_pg_conninfo_ok(const char *conninfo, struct dr_err *err)
{
	PQconninfoOption *given, *o;
	char *why = NULL;
	int rc = 0;

	if (dr_libpq(err) == -1)
		return -1;
	if ((given = PQconninfoParse(conninfo, &why)) == NULL) {
		PQfreemem(why);
		return dr_err_set(err, DR_EUSAGE,
		    "the connection string cannot be understood");
	}
	for (o = given; o->keyword != NULL; o++)
		if (o->val != NULL && strchr(o->dispchar, '*') != NULL)
			rc = dr_err_set(err, DR_EUSAGE,
			    "the connection string holds a secret (%s)",
			    o->keyword);
	if (rc == -1)
		dr_err_hint(err, "put a password into ~/.pgpass of the "
		                 "server's user, or name a passfile");
	PQconninfoFree(given);
	return rc;
}
