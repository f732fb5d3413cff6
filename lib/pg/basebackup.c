#include "pg/basebackup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"

#define V15       150000
#define TICK_USEC 1000000

/* Look at the clock only once in so many messages of 32 KiB. */
#define LOOK_EVERY 16

struct run {
	PGconn *conn;
	const struct dr_bb_opts *opts;
	const struct dr_bb_events *ev;
	void *arg;
	struct dr_bb_facts *facts;
	int64_t ticked; /* when tick was last called */
	int64_t heard;  /* when the last bytes came */
	bool in_archive, in_manifest;
	unsigned seen;
};

/* --- small commands ------------------------------------------------------ */

/* PostgreSQL's "0/16B3740", and nothing else, into OUT. */
static int
take_lsn(const PGresult *res, int col, char out[DR_LSN_LEN], struct dr_err *err)
{
	struct dr_err bad = { 0 };
	uint64_t lsn;

	if (dr_parse_lsn(PQgetvalue(res, 0, col), &lsn, &bad) == -1)
		return dr_err_set(err, DR_EFAIL,
		    "the server's position \"%.40s\" makes no sense",
		    PQgetvalue(res, 0, col));
	(void)dr_format_lsn(lsn, out);
	return 0;
}

static int
take_timeline(const PGresult *res, int col, uint32_t *out, struct dr_err *err)
{
	struct dr_err bad = { 0 };
	int64_t v;

	if (dr_parse_int(PQgetvalue(res, 0, col), 1, UINT32_MAX, &v, &bad) ==
	    -1)
		return dr_err_set(err, DR_EFAIL,
		    "the server's timeline \"%.40s\" makes no sense",
		    PQgetvalue(res, 0, col));
	*out = (uint32_t)v;
	return 0;
}

static bool
digits(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 && n <= 20 && s[n] == '\0';
}

int
dr_pg_identify(PGconn *conn, char system_id[21], uint32_t *timeline,
    uint64_t *lsn, struct dr_err *err)
{
	uint64_t at;
	PGresult *res;
	int rc = -1;

	res = dr_pg_query(conn, "IDENTIFY_SYSTEM", "identify the server", err);
	if (res == NULL)
		return -1;
	if (PQntuples(res) != 1 || PQnfields(res) < 3 ||
	    !digits(PQgetvalue(res, 0, 0))) {
		dr_err_set(err, DR_EFAIL,
		    "the server's answer to IDENTIFY_SYSTEM makes no sense");
		goto out;
	}
	memcpy(system_id, PQgetvalue(res, 0, 0),
	    strlen(PQgetvalue(res, 0, 0)) + 1);
	rc = take_timeline(res, 1, timeline, err);
	if (rc == 0 && lsn != NULL) {
		rc = dr_parse_lsn(PQgetvalue(res, 0, 2), &at, err);
		*lsn = rc == 0 ? at : 0;
	}

out:
	PQclear(res);
	return rc;
}

int
dr_pg_temp_slot(PGconn *conn, char name[DR_SLOT_LEN], struct dr_err *err)
{
	unsigned char rnd[8];
	char hex[2 * sizeof(rnd) + 1], sql[128];
	PGresult *res;

	if (dr_random(rnd, sizeof(rnd), err) == -1)
		return -1;
	(void)snprintf(name, DR_SLOT_LEN, "dr_snap_%s",
	    dr_hex(rnd, sizeof(rnd), hex));
	(void)snprintf(sql, sizeof(sql),
	    PQserverVersion(conn) >= V15
	        ? "CREATE_REPLICATION_SLOT \"%s\" TEMPORARY PHYSICAL "
	          "(RESERVE_WAL)"
	        : "CREATE_REPLICATION_SLOT \"%s\" TEMPORARY PHYSICAL "
	          "RESERVE_WAL",
	    name);
	res =
	    dr_pg_query(conn, sql, "create a temporary replication slot", err);
	if (res == NULL)
		return -1;
	PQclear(res);
	return 0;
}

/* --- the backup ---------------------------------------------------------- */

static int
command(const struct run *r, struct dr_buf *sql, struct dr_err *err)
{
	const struct dr_bb_opts *o = r->opts;
	bool new = PQserverVersion(r->conn) >= V15;
	const char *sep = new ? ", " : " ";
	char *label;
	int rc;

	if ((label = PQescapeLiteral(r->conn, o->label, strlen(o->label))) ==
	    NULL)
		return dr_pg_failed(r->conn, NULL, "quote the label", err);
	rc = dr_buf_fmt(sql, err, "BASE_BACKUP %sLABEL %s%sPROGRESS%s%s",
	    new ? "(" : "", label, sep, sep, "TABLESPACE_MAP");
	PQfreemem(label);
	if (rc == -1)
		return -1;
	if (new) {
		if (dr_buf_fmt(sql, err, ", CHECKPOINT '%s', WAIT %s",
		        o->fast ? "fast" : "spread",
		        o->wal ? "false" : "true") == -1 ||
		    (o->wal && dr_buf_str(sql, ", WAL", err) == -1) ||
		    (!o->verify_checksums &&
		        dr_buf_str(sql, ", VERIFY_CHECKSUMS false", err) == -1))
			return -1;
	} else if ((o->fast && dr_buf_str(sql, " FAST", err) == -1) ||
	           (o->wal && dr_buf_str(sql, " WAL NOWAIT", err) == -1) ||
	           (!o->verify_checksums &&
	               dr_buf_str(sql, " NOVERIFY_CHECKSUMS", err) == -1))
		return -1;
	if (o->max_rate > 0 &&
	    dr_buf_fmt(sql, err, "%sMAX_RATE %llu", sep,
	        (unsigned long long)(o->max_rate / 1024)) == -1)
		return -1;
	return dr_buf_fmt(sql, err, "%sMANIFEST 'yes'%s", sep, new ? ")" : "");
}

/*
 * A server that waits for its archiver does not see that its client went
 * away: tell it.
 */
static void
cancel(PGconn *conn)
{
	PGcancel *c = PQgetCancel(conn);
	char why[256];

	if (c != NULL)
		(void)PQcancel(c, why, sizeof(why));
	PQfreeCancel(c);
}

/*
 * Called often, and each second while nothing comes: passes the second on,
 * and ends a wait for the archiver that lasts too long.
 */
static int
look(void *arg, struct dr_err *err)
{
	struct run *r = arg;
	int64_t now = dr_monotonic();

	if (now - r->ticked < TICK_USEC)
		return 0;
	r->ticked = now;
	if (!r->opts->wal && r->in_archive && r->opts->archive_wait > 0 &&
	    now - r->heard > (int64_t)r->opts->archive_wait * 1000) {
		dr_err_set(err, DR_ERETRY,
		    "the server has not archived the WAL of this backup "
		    "in time");
		return dr_err_hint(err,
		    "see pg_stat_archiver, or leave out --no-wal");
	}
	return r->ev->tick != NULL ? r->ev->tick(r->arg, err) : 0;
}

/* The next result, which must have STATUS; anything else is the reason. */
static PGresult *
expect(struct run *r, ExecStatusType status, struct dr_err *err)
{
	struct dr_err lost = { 0 };
	PGresult *res;

	res = dr_pg_result(r->conn, look, r, &lost);
	if (lost.cause != DR_OK) {
		if (err->cause == DR_OK)
			*err = lost;
		return NULL;
	}
	if (res == NULL || PQresultStatus(res) != status) {
		if (res != NULL && PQresultStatus(res) != PGRES_FATAL_ERROR)
			dr_err_set(err, DR_EFAIL,
			    "the server's answer to BASE_BACKUP makes no "
			    "sense");
		else
			dr_pg_failed(r->conn, res, "take a base backup", err);
		PQclear(res);
		return NULL;
	}
	return res;
}

static int
odd_tablespaces(struct dr_err *err)
{
	return dr_err_set(err, DR_EFAIL,
	    "the server's list of tablespaces makes no sense");
}

static int
take_tablespace(struct dr_bb_tablespace *t, const PGresult *res, int i,
    struct dr_err *err)
{
	const char *oid = PQgetvalue(res, i, 0), *path;
	struct dr_err bad = { 0 };
	int64_t kb;

	if (!PQgetisnull(res, i, 0)) {
		path = PQgetvalue(res, i, 1);
		if (!digits(oid) || strlen(path) >= sizeof(t->path))
			return odd_tablespaces(err);
		memcpy(t->oid, oid, strlen(oid) + 1);
		memcpy(t->path, path, strlen(path) + 1);
	}
	if (!PQgetisnull(res, i, 2) && dr_parse_int(PQgetvalue(res, i, 2), 0,
	                                   INT64_MAX / 1024, &kb, &bad) == 0)
		t->size = (uint64_t)kb * 1024;
	return 0;
}

static int
take_tablespaces(struct dr_bb_facts *f, const PGresult *res, struct dr_err *err)
{
	int i, n = PQntuples(res);

	if (n < 1 || PQnfields(res) < 3)
		return odd_tablespaces(err);
	f->tablespaces = calloc((size_t)n, sizeof(*f->tablespaces));
	if (f->tablespaces == NULL)
		return dr_err_sys(err, "cannot keep the tablespaces");
	f->n = (size_t)n;
	for (i = 0; i < n; i++) {
		if (take_tablespace(&f->tablespaces[i], res, i, err) == -1)
			return -1;
		f->size += f->tablespaces[i].size;
	}
	return 0;
}

static int
close_archive(struct run *r, struct dr_err *err)
{
	if (!r->in_archive)
		return 0;
	r->in_archive = false;
	return r->ev->archive_end(r->arg, err);
}

static int
open_archive(struct run *r, const char *oid, struct dr_err *err)
{
	if (close_archive(r, err) == -1)
		return -1;
	r->in_archive = true;
	return r->ev->archive(r->arg, oid, err);
}

/* "base.tar" or "<oid>.tar", then the path, each with a NUL. */
static int
new_archive(struct run *r, const char *msg, size_t len, struct dr_err *err)
{
	char oid[21];
	size_t n = strnlen(msg, len);

	if (n < len && strcmp(msg, "base.tar") == 0)
		return open_archive(r, NULL, err);
	if (n < len && n > 4 && n - 4 < sizeof(oid) &&
	    strcmp(msg + n - 4, ".tar") == 0) {
		memcpy(oid, msg, n - 4);
		oid[n - 4] = '\0';
		if (digits(oid))
			return open_archive(r, oid, err);
	}
	return dr_err_set(err, DR_EFAIL,
	    "the server sent an archive of an unknown name");
}

/* One message of a copy of 15 and later. */
static int
message(struct run *r, const char *msg, size_t len, struct dr_err *err)
{
	switch (msg[0]) {
	case 'd':
		if (r->in_archive)
			return r->ev->data(r->arg, msg + 1, len - 1, err);
		if (r->in_manifest)
			return r->ev->manifest(r->arg, msg + 1, len - 1, err);
		break;
	case 'n':
		if (!r->in_manifest)
			return new_archive(r, msg + 1, len - 1, err);
		break;
	case 'm':
		if (len == 1 && !r->in_manifest) {
			r->in_manifest = true;
			return close_archive(r, err);
		}
		break;
	case 'p':
		return 0;
	default:
		break;
	}
	return dr_err_set(err, DR_EFAIL,
	    "the server sent a message out of order in a base backup");
}

/*
 * All messages of the copy under way.  Looks at the connection's own buffer
 * first and asks the kernel only when that has no whole message.
 */
static int
copy(struct run *r, bool framed, struct dr_err *err)
{
	char *msg = NULL;
	int n, rc;

	for (;;) {
		n = PQgetCopyData(r->conn, &msg, 1);
		if (n > 0) {
			if (framed)
				rc = message(r, msg, (size_t)n, err);
			else if (r->in_archive)
				rc = r->ev->data(r->arg, msg, (size_t)n, err);
			else
				rc = r->ev->manifest(r->arg, msg, (size_t)n,
				    err);
			PQfreemem(msg);
			if (rc == -1)
				return -1;
			if (++r->seen % LOOK_EVERY != 0)
				continue;
			r->heard = dr_monotonic();
			if (dr_check_stop(err) == -1 || look(r, err) == -1)
				return -1;
			continue;
		}
		if (n == -1)
			return 0;
		if (n == -2)
			return dr_pg_failed(r->conn, NULL, "take a base backup",
			    err);
		if ((n = dr_pg_wait(r->conn, 1000, err)) == -1)
			return -1;
		if (n == 1)
			r->heard = dr_monotonic();
		else if (look(r, err) == -1)
			return -1;
	}
}

/*
 * The copies of servers before 15, one for each archive and one for the
 * manifest.  An archive is only closed when the next copy has begun: before
 * that its end may be that of a server in trouble.
 */
static int
next_copy(struct run *r, struct dr_err *err)
{
	static const char zeros[1024];
	PGresult *res;

	if ((res = expect(r, PGRES_COPY_OUT, err)) == NULL)
		return -1;
	PQclear(res);
	if (r->in_archive &&
	    r->ev->data(r->arg, zeros, sizeof(zeros), err) == -1)
		return -1;
	return close_archive(r, err);
}

static int
copy_all(struct run *r, struct dr_err *err)
{
	const char *oid;
	PGresult *res;
	size_t i;

	if (PQserverVersion(r->conn) >= V15) {
		if ((res = expect(r, PGRES_COPY_OUT, err)) == NULL)
			return -1;
		PQclear(res);
		return copy(r, true, err);
	}
	for (i = 0; i < r->facts->n; i++) {
		oid = r->facts->tablespaces[i].oid;
		if (next_copy(r, err) == -1 ||
		    open_archive(r, oid[0] != '\0' ? oid : NULL, err) == -1 ||
		    copy(r, false, err) == -1)
			return -1;
	}
	if (next_copy(r, err) == -1)
		return -1;
	r->in_manifest = true;
	return copy(r, false, err);
}

/* After the copy: where the backup ended, and that there was no error. */
static int
ending(struct run *r, struct dr_err *err)
{
	struct dr_err lost = { 0 };
	PGresult *res;
	int rc = -1;

	/*
	 * The copy itself ends with a result of its own in some versions; the
	 * one with rows is the position, and what follows must be no error.
	 */
	for (;;) {
		res = dr_pg_result(r->conn, look, r, &lost);
		if (lost.cause != DR_OK) {
			if (err->cause == DR_OK)
				*err = lost;
			return -1;
		}
		if (res == NULL)
			break;
		switch (PQresultStatus(res)) {
		case PGRES_COMMAND_OK:
			break;
		case PGRES_TUPLES_OK:
			if (PQntuples(res) != 1 || PQnfields(res) < 2 ||
			    take_lsn(res, 0, r->facts->stop_lsn, err) == -1 ||
			    take_timeline(res, 1, &r->facts->stop_timeline,
			        err) == -1)
				goto fail;
			break;
		case PGRES_FATAL_ERROR:
			dr_pg_failed(r->conn, res, "finish the base backup",
			    err);
			if (err->cause == DR_EDATA)
				dr_err_hint(err,
				    "the server found damaged pages; see its "
				    "log, and --allow-checksum-failures");
			goto fail;
		case PGRES_EMPTY_QUERY:
		case PGRES_COPY_OUT:
		case PGRES_COPY_IN:
		case PGRES_BAD_RESPONSE:
		case PGRES_NONFATAL_ERROR:
		case PGRES_COPY_BOTH:
		case PGRES_SINGLE_TUPLE:
		case PGRES_PIPELINE_SYNC:
		case PGRES_PIPELINE_ABORTED:
		default:
			dr_err_set(err, DR_EFAIL,
			    "the end of the server's base backup makes no "
			    "sense");
			goto fail;
		}
		PQclear(res);
	}
	if (r->facts->stop_lsn[0] == '\0' || !r->in_manifest)
		return dr_err_set(err, DR_EFAIL,
		    "the server did not say where its base backup ended");
	return 0;

fail:
	PQclear(res);
	return rc;
}

int
dr_bb_run(PGconn *conn, const struct dr_bb_opts *opts,
    const struct dr_bb_events *events, void *arg, struct dr_bb_facts *facts,
    struct dr_err *err)
{
	struct run r = { .conn = conn,
		.opts = opts,
		.ev = events,
		.arg = arg,
		.facts = facts,
		.ticked = dr_monotonic() };
	struct dr_buf sql = { .max = 4096 };
	PGresult *res = NULL;
	int rc = -1;

	memset(facts, 0, sizeof(*facts));
	if (command(&r, &sql, err) == -1)
		goto out;
	if (!PQsendQuery(conn, sql.data)) {
		dr_pg_failed(conn, NULL, "take a base backup", err);
		goto out;
	}
	if ((res = expect(&r, PGRES_TUPLES_OK, err)) == NULL)
		goto out;
	if (PQntuples(res) != 1 || PQnfields(res) < 2 ||
	    take_lsn(res, 0, facts->start_lsn, err) == -1 ||
	    take_timeline(res, 1, &facts->start_timeline, err) == -1) {
		dr_err_set(err, DR_EFAIL,
		    "the start of the server's base backup makes no sense");
		goto out;
	}
	PQclear(res);
	if ((res = expect(&r, PGRES_TUPLES_OK, err)) == NULL ||
	    take_tablespaces(facts, res, err) == -1 ||
	    events->started(arg, facts, err) == -1)
		goto out;
	r.heard = dr_monotonic();
	if (copy_all(&r, err) == 0)
		rc = ending(&r, err);
	if (rc == -1 && !opts->wal && PQstatus(conn) == CONNECTION_OK)
		cancel(conn);

out:
	PQclear(res);
	dr_buf_free(&sql);
	return rc;
}

void
dr_bb_facts_free(struct dr_bb_facts *f)
{
	free(f->tablespaces);
	memset(f, 0, sizeof(*f));
}
