#include "pg/walstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

/* Offsets in messages: kind, then big-endian 64-bit numbers. */
#define DATA_HEAD      25 /* 'w', start, end of WAL, time */
#define KEEPALIVE_HEAD 18 /* 'k', end of WAL, time, reply */
#define STATUS_LEN     34 /* 'r', three LSNs, time, reply */

/* PostgreSQL counts microseconds from 2000. */
#define PG_EPOCH INT64_C(946684800000000)

struct dr_walstream {
	PGconn *conn;      /* borrowed */
	char *buf;         /* libpq's, of the last message */
	bool copying;      /* the server has not ended the copy */
	PGresult *at_once; /* owned; the end that came instead of a copy */
};

bool
dr_slot_name_ok(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return n > 0 && n < DR_SLOT_NAME_MAX && name[n] == '\0';
}

static int
senseless(const char *what, struct dr_err *err)
{
	return dr_err_set(err, DR_EFAIL,
	    "the server's answer to %s makes no sense", what);
}

static int
parse_tli(const char *text, uint32_t *tli)
{
	struct dr_err odd = { 0 };
	int64_t v;

	if (dr_parse_int(text, 1, UINT32_MAX, &v, &odd) == -1)
		return -1;
	*tli = (uint32_t)v;
	return 0;
}

/* Run a command whose error may be one of those that are expected. */
static int
command(PGconn *conn, const char *sql, const char *doing, const char *expected,
    struct dr_err *err)
{
	struct dr_err why = { 0 };
	PGresult *res, *more;
	const char *state;
	int rc = 1;

	if (!PQsendQuery(conn, sql))
		return dr_pg_failed(conn, NULL, doing, err);
	res = dr_pg_result(conn, NULL, NULL, &why);
	while ((more = why.cause == DR_OK ? dr_pg_result(conn, NULL, NULL, &why)
	                                  : NULL) != NULL)
		PQclear(more);
	if (why.cause != DR_OK) {
		PQclear(res);
		if (err->cause == DR_OK)
			*err = why;
		return -1;
	}
	if (PQresultStatus(res) != PGRES_TUPLES_OK &&
	    PQresultStatus(res) != PGRES_COMMAND_OK) {
		state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
		rc = expected != NULL && state != NULL &&
		             strcmp(state, expected) == 0
		         ? 0
		         : dr_pg_failed(conn, res, doing, err);
	}
	PQclear(res);
	return rc;
}

int
dr_slot_create(PGconn *conn, const char *slot, struct dr_err *err)
{
	char sql[160], doing[128];

	(void)snprintf(sql, sizeof(sql),
	    "CREATE_REPLICATION_SLOT \"%.63s\" PHYSICAL RESERVE_WAL", slot);
	(void)snprintf(doing, sizeof(doing),
	    "create the replication slot \"%.63s\"", slot);
	/* 42710: duplicate_object. */
	return command(conn, sql, doing, "42710", err);
}

int
dr_slot_drop(PGconn *conn, const char *slot, struct dr_err *err)
{
	char sql[160], doing[128];

	(void)snprintf(sql, sizeof(sql), "DROP_REPLICATION_SLOT \"%.63s\"",
	    slot);
	(void)snprintf(doing, sizeof(doing),
	    "drop the replication slot \"%.63s\"", slot);
	return command(conn, sql, doing, NULL, err) == -1 ? -1 : 0;
}

int
dr_pg_history(PGconn *conn, uint32_t tli, struct dr_buf *out,
    struct dr_err *err)
{
	char sql[64], doing[64];
	PGresult *res;
	int rc = -1;

	(void)snprintf(sql, sizeof(sql), "TIMELINE_HISTORY %u", tli);
	(void)snprintf(doing, sizeof(doing), "get the history of timeline %u",
	    tli);
	if ((res = dr_pg_query(conn, sql, doing, err)) == NULL)
		return -1;
	if (PQntuples(res) != 1 || PQnfields(res) != 2)
		senseless(sql, err);
	else
		rc = dr_buf_add(out, PQgetvalue(res, 0, 1),
		    (size_t)PQgetlength(res, 0, 1), err);
	PQclear(res);
	return rc;
}

static enum dr_walstream_why
why_of(const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (state == NULL)
		return DR_WALSTREAM_OTHER;
	if (strcmp(state, "58P01") == 0) /* undefined_file */
		return DR_WALSTREAM_REMOVED;
	if (strcmp(state, "42704") == 0) /* undefined_object */
		return DR_WALSTREAM_NO_SLOT;
	if (strcmp(state, "55000") == 0) /* not in prerequisite state */
		return DR_WALSTREAM_LOST;
	return DR_WALSTREAM_OTHER;
}

static int
failed(PGconn *conn, const PGresult *res, enum dr_walstream_why *why,
    struct dr_err *err)
{
	*why = res != NULL ? why_of(res) : DR_WALSTREAM_OTHER;
	dr_pg_failed(conn, res, "stream WAL", err);
	/* A standby may not have got that far yet. */
	if (*why == DR_WALSTREAM_OTHER && err->cause == DR_EFAIL &&
	    strstr(err->msg, "is ahead of the WAL flush position") != NULL)
		err->cause = DR_ERETRY;
	return -1;
}

struct dr_walstream *
dr_walstream_start(PGconn *conn, const char *slot, uint32_t tli, uint64_t lsn,
    enum dr_walstream_why *why, struct dr_err *err)
{
	struct dr_walstream *w;
	PGresult *res;
	char sql[192];

	*why = DR_WALSTREAM_OTHER;
	if ((w = calloc(1, sizeof(*w))) == NULL) {
		dr_err_sys(err, "cannot allocate a stream");
		return NULL;
	}
	w->conn = conn;
	(void)snprintf(sql, sizeof(sql),
	    "START_REPLICATION SLOT \"%.63s\" PHYSICAL %X/%X TIMELINE %u", slot,
	    (unsigned)(lsn >> 32), (unsigned)lsn, tli);
	if (!PQsendQuery(conn, sql)) {
		failed(conn, NULL, why, err);
		goto fail;
	}
	if ((res = dr_pg_result(conn, NULL, NULL, err)) == NULL) {
		if (err->cause == DR_OK)
			failed(conn, NULL, why, err);
		goto fail;
	}
	switch ((int)PQresultStatus(res)) {
	case PGRES_COPY_BOTH:
		PQclear(res);
		w->copying = true;
		break;
	case PGRES_TUPLES_OK:
		w->at_once = res;
		break;
	default:
		failed(conn, res, why, err);
		PQclear(res);
		goto fail;
	}
	if (PQsetnonblocking(conn, 1) == -1) {
		failed(conn, NULL, why, err);
		goto fail;
	}
	return w;

fail:
	dr_walstream_free(w);
	return NULL;
}

void
dr_walstream_free(struct dr_walstream *w)
{
	if (w == NULL)
		return;
	PQclear(w->at_once);
	PQfreemem(w->buf);
	free(w);
}

static uint64_t
get64be(const unsigned char *p)
{
	uint64_t v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static void
put64be(unsigned char *p, uint64_t v)
{
	int i;

	for (i = 7; i >= 0; i--, v >>= 8)
		p[i] = (unsigned char)v;
}

static int
parse(const unsigned char *p, size_t n, struct dr_walstream_msg *m,
    struct dr_err *err)
{
	if (n >= DATA_HEAD && p[0] == 'w') {
		m->kind = DR_WALSTREAM_DATA;
		m->start = get64be(p + 1);
		m->server_end = get64be(p + 9);
		m->data = p + DATA_HEAD;
		m->len = n - DATA_HEAD;
		if (UINT64_MAX - m->start < m->len)
			return senseless("START_REPLICATION", err);
		return 0;
	}
	if (n >= KEEPALIVE_HEAD && p[0] == 'k') {
		m->kind = DR_WALSTREAM_KEEPALIVE;
		m->server_end = get64be(p + 1);
		m->reply = p[17] != 0;
		return 0;
	}
	return senseless("START_REPLICATION", err);
}

int
dr_walstream_next(struct dr_walstream *w, struct dr_walstream_msg *m,
    enum dr_walstream_why *why, struct dr_err *err)
{
	int n;

	memset(m, 0, sizeof(*m));
	*why = DR_WALSTREAM_OTHER;
	if (!w->copying) {
		m->kind = DR_WALSTREAM_END;
		return 0;
	}
	PQfreemem(w->buf);
	w->buf = NULL;
	n = PQgetCopyData(w->conn, &w->buf, 1);
	if (n == 0)
		return 0;
	if (n == -1) {
		w->copying = false;
		m->kind = DR_WALSTREAM_END;
		return 0;
	}
	if (n < 0)
		return failed(w->conn, NULL, why, err);
	return parse((const unsigned char *)w->buf, (size_t)n, m, err);
}

int
dr_walstream_flush(struct dr_walstream *w, struct dr_err *err)
{
	enum dr_walstream_why why;
	int n = PQflush(w->conn);

	return n == -1 ? failed(w->conn, NULL, &why, err) : n;
}

int
dr_walstream_status(struct dr_walstream *w, uint64_t written, uint64_t flushed,
    uint64_t applied, struct dr_err *err)
{
	unsigned char m[STATUS_LEN];
	enum dr_walstream_why why;
	int n;

	m[0] = 'r';
	put64be(m + 1, written);
	put64be(m + 9, flushed);
	put64be(m + 17, applied);
	put64be(m + 25, (uint64_t)(dr_now() - PG_EPOCH));
	m[33] = 0; /* we want no answer */
	/* 0: libpq has no room; the next one will say the same and more. */
	n = PQputCopyData(w->conn, (const char *)m, (int)sizeof(m));
	if (n == -1)
		return failed(w->conn, NULL, &why, err);
	return dr_walstream_flush(w, err);
}

/* The row that says which timeline goes on. */
static int
next_timeline(const PGresult *res, uint32_t *tli, uint64_t *lsn,
    struct dr_err *err)
{
	struct dr_err odd = { 0 };

	if (PQntuples(res) != 1 || PQnfields(res) < 2 ||
	    parse_tli(PQgetvalue(res, 0, 0), tli) == -1 ||
	    dr_parse_lsn(PQgetvalue(res, 0, 1), lsn, &odd) == -1)
		return senseless("START_REPLICATION", err);
	return 1;
}

int
dr_walstream_end(struct dr_walstream *w, uint32_t *tli, uint64_t *lsn,
    enum dr_walstream_why *why, struct dr_err *err)
{
	struct dr_err gone = { 0 };
	PGresult *res = w->at_once;
	bool answered = false;
	int rc = 0;

	*why = DR_WALSTREAM_OTHER;
	w->at_once = NULL;
	if (PQsetnonblocking(w->conn, 0) == -1) {
		PQclear(res);
		return failed(w->conn, NULL, why, err);
	}
	if (res == NULL)
		res = dr_pg_result(w->conn, NULL, NULL, &gone);
	for (; res != NULL && rc != -1;
	     res = dr_pg_result(w->conn, NULL, NULL, &gone)) {
		switch ((int)PQresultStatus(res)) {
		case PGRES_COPY_IN:
		case PGRES_COPY_BOTH:
			if (answered || PQputCopyEnd(w->conn, NULL) == -1 ||
			    PQflush(w->conn) == -1)
				rc = failed(w->conn, NULL, why, err);
			answered = true;
			break;
		case PGRES_TUPLES_OK:
			rc = next_timeline(res, tli, lsn, err);
			break;
		case PGRES_COMMAND_OK:
			break;
		default:
			rc = failed(w->conn, res, why, err);
			break;
		}
		PQclear(res);
		if (rc == -1)
			return -1;
	}
	/* A server that shuts down closes the connection after its word. */
	if (gone.cause != DR_OK && rc == 0 && gone.cause != DR_ERETRY) {
		*err = gone;
		return -1;
	}
	return rc;
}
