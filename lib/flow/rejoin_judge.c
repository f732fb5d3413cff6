/* What has to be undone: the primary's line, ours, and where they part. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "flow/rejoin_int.h"
#include "pg/walread.h"

#define HISTORY_MAX (1U << 20)

/* --- the new primary ------------------------------------------------------- */

static int
its_history(struct dr_rejoin_run *run, uint32_t tli, struct dr_err *err)
{
	PGresult *res;
	unsigned char *text;
	char path[48];
	size_t len;
	int rc = -1;

	run->line.tli = tli;
	if (tli == 1)
		return 0;
	(void)snprintf(path, sizeof(path), "pg_wal/%08X.history", tli);
	res = dr_pg_query_params(run->conn,
	    "SELECT pg_catalog.pg_read_binary_file($1)", 1,
	    (const char *const[]){ path },
	    "read the new primary's timeline history", err);
	if (res == NULL)
		return -1;
	text =
	    PQunescapeBytea((const unsigned char *)PQgetvalue(res, 0, 0), &len);
	if (text == NULL)
		dr_err_sys(err, "cannot read a timeline history");
	else
		rc = dr_history_parse((const char *)text, len, tli, &run->line,
		    err);
	PQfreemem(text);
	PQclear(res);
	return rc;
}

int
dr_rejoin_primary(struct dr_rejoin_run *run, struct dr_err *err)
{
	static const char sql[] =
	    "SELECT pg_catalog.pg_is_in_recovery(),"
	    " (SELECT system_identifier FROM pg_catalog.pg_control_system()),"
	    " pg_catalog.current_setting('server_version_num')::int / 10000,"
	    " pg_catalog.current_setting('full_page_writes'),"
	    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' ELSE"
	    " pg_catalog.pg_walfile_name("
	    "pg_catalog.pg_current_wal_insert_lsn()) END,"
	    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' ELSE"
	    " pg_catalog.pg_current_wal_insert_lsn()::text END";
	char name[9] = "";
	PGresult *res;
	uint64_t id;
	int rc = -1;

	run->conn =
	    dr_pg_connect(run->o->conninfo, false, "dr-promote", NULL, err);
	if (run->conn == NULL)
		return -1;
	res = dr_pg_query(run->conn, sql, "ask the new primary", err);
	if (res == NULL)
		return -1;
	if (*PQgetvalue(res, 0, 0) == 't') {
		dr_err_set(err, DR_EPARTIAL,
		    "\"%s:%s\" is no primary: it is in recovery",
		    PQhost(run->conn), PQport(run->conn));
		dr_err_hint(err, "name the new primary with -d");
		goto out;
	}
	id = strtoull(PQgetvalue(res, 0, 1), NULL, 10);
	run->server = strtol(PQgetvalue(res, 0, 2), NULL, 10);
	if (run->version == 0)
		run->version = run->server;
	run->full_page_writes = strcmp(PQgetvalue(res, 0, 3), "on") == 0;
	(void)snprintf(name, sizeof(name), "%.8s", PQgetvalue(res, 0, 4));
	run->r->new_tli = (uint32_t)strtoul(name, NULL, 16);
	if (dr_parse_lsn(PQgetvalue(res, 0, 5), &run->lsn, err) == -1)
		goto out;
	if (run->server != run->version) {
		dr_err_set(err, DR_EPARTIAL,
		    "the new primary is of PostgreSQL %ld, \"%s\" of %ld",
		    run->server, run->pgdata, run->version);
		goto out;
	}
	if (run->r->system_id != 0 && run->r->system_id != id) {
		dr_err_set(err, DR_EPARTIAL,
		    "\"%s\" is of another cluster than the new primary: "
		    "system identifier %llu, not %llu",
		    run->pgdata, (unsigned long long)run->r->system_id,
		    (unsigned long long)id);
		goto out;
	}
	run->r->system_id = id;
	rc = its_history(run, run->r->new_tli, err);

out:
	PQclear(res);
	return rc;
}

/* --- this node ------------------------------------------------------------- */

/* TLI's history in pg_wal: 1, 0 where there is none (then it is empty). */
static int
our_history(struct dr_rejoin_run *run, uint32_t tli, struct dr_history *h,
    struct dr_err *err)
{
	struct dr_err none = { 0 };
	char *path, *text;
	size_t len = 0;
	int rc;

	memset(h, 0, sizeof(*h));
	h->tli = tli;
	path = dr_fmt(err, "%s/pg_wal/%08X.history", run->pgdata, tli);
	if (path == NULL)
		return -1;
	text = dr_file_get(path, HISTORY_MAX, &len, &none);
	free(path);
	if (text == NULL && errno == ENOENT)
		return 0;
	if (text == NULL) {
		*err = none;
		return -1;
	}
	rc = dr_history_parse(text, len, tli, h, err);
	free(text);
	return rc == 0 ? 1 : -1;
}

/*
 * The latest timeline that it wrote or received WAL of: the control file
 * only knows that of its last checkpoint.
 */
static int
our_line(struct dr_rejoin_run *run, struct dr_err *err)
{
	uint32_t base = run->control.tli;
	const struct dirent *e;
	char *path;
	DIR *dir;
	int rc;

	if (run->control.min_recovery_tli > base)
		base = run->control.min_recovery_tli;
	if (our_history(run, base, &run->local, err) == -1)
		return -1;
	if ((path = dr_fmt(err, "%s/pg_wal", run->pgdata)) == NULL)
		return -1;
	dir = opendir(path);
	if (dir == NULL)
		dr_err_sys(err, "cannot read \"%s\"", path);
	free(path);
	if (dir == NULL)
		return -1;
	while ((e = readdir(dir)) != NULL) {
		struct dr_err none = { 0 };
		struct dr_wal_file f;
		struct dr_history h;

		if (dr_wal_name(e->d_name, &f, &none) == -1 ||
		    f.kind != DR_WAL_SEGMENT || f.tli <= run->local.tli)
			continue;
		rc = our_history(run, f.tli, &h, err);
		if (rc == 1 && dr_history_end(&h, base) != 0) {
			dr_history_free(&run->local);
			run->local = h;
		} else
			dr_history_free(&h);
		if (rc == -1)
			break;
	}
	closedir(dir);
	return err->cause == DR_OK ? 0 : -1;
}

static uint32_t
tli_of(const struct dr_history *h, size_t i)
{
	return i < h->n ? h->v[i].tli : h->tli;
}

static uint64_t
end_of(const struct dr_history *h, size_t i)
{
	return i < h->n ? h->v[i].end : UINT64_MAX;
}

/* Where A and B part: 0 they never met, UINT64_MAX they are the same. */
static uint64_t
fork_of(const struct dr_history *a, const struct dr_history *b)
{
	uint64_t at = 0, x, y;

	for (size_t i = 0; i <= a->n && i <= b->n; i++) {
		if (tli_of(a, i) != tli_of(b, i))
			break;
		x = end_of(a, i);
		y = end_of(b, i);
		at = x < y ? x : y;
		if (x != y)
			break;
	}
	return at;
}

static void
note_commit(struct dr_rejoin_run *run, const struct dr_walrec *rec,
    int64_t time)
{
	struct dr_rejoin *r = run->r;
	char lsn[DR_LSN_LEN], text[DR_TIME_LEN] = "-";
	struct dr_err full = { 0 };

	r->commits++;
	if (time != 0) {
		dr_format_time(time, text);
		if (r->first_commit == 0)
			r->first_commit = time;
		r->last_commit = time;
	}
	if (!run->commits_cut &&
	    dr_buf_fmt(&run->commits, &full, "%s %u %s\n",
	        dr_format_lsn(rec->at, lsn), rec->xid, text) == -1)
		run->commits_cut = true;
}

/* From START to the end of our WAL.  1: there was some; 0; -1. */
static int
walk(struct dr_rejoin_run *run, uint64_t start, struct dr_err *err)
{
	struct dr_rejoin *r = run->r;
	struct dr_walread *w;
	struct dr_walrec rec;
	int64_t time;
	char *dir;
	int rc;

	if ((dir = dr_fmt(err, "%s/pg_wal", run->pgdata)) == NULL)
		return -1;
	w = dr_walread_new(dir, run->control.segsize, &run->local, start, err);
	free(dir);
	if (w == NULL)
		return -1;
	r->end = 0;
	while ((rc = dr_walread_next(w, &rec, err)) == 1) {
		r->end = rec.end;
		if (rec.at < r->fork)
			continue;
		r->records++;
		run->rmgr[rec.rmgr]++;
		run->rmgr_bytes[rec.rmgr] += rec.size;
		if (dr_walread_commit(w, &rec, &time))
			note_commit(run, &rec, time);
	}
	dr_walread_free(w);
	return rc == -1 ? -1 : r->end != 0;
}

/* Where its WAL ends, and what of it is past the fork. */
static int
our_end(struct dr_rejoin_run *run, struct dr_err *err)
{
	const struct dr_control *c = &run->control;
	struct dr_rejoin *r = run->r;
	int rc;

	rc = walk(run, r->fork < c->redo ? r->fork : c->redo, err);
	if (rc == 0 && r->fork < c->redo) {
		/* What came first has been recycled. */
		r->partial = true;
		rc = walk(run, c->redo, err);
	}
	if (rc == -1)
		return -1;
	r->data_end = c->checkpoint;
	if (c->min_recovery > r->data_end)
		r->data_end = c->min_recovery;
	if (r->end < r->data_end)
		r->end = r->data_end; /* the WAL is gone, the files remain */
	/* Only a standby knows that it wrote nothing past some point. */
	if (c->state != DR_CONTROL_SHUTDOWN_RECOVERY &&
	    c->state != DR_CONTROL_ARCHIVE_RECOVERY)
		r->data_end = r->end;
	return 0;
}

int
dr_rejoin_judge(struct dr_rejoin_run *run, struct dr_err *err)
{
	struct dr_rejoin *r = run->r;
	char fork[DR_LSN_LEN], end[DR_LSN_LEN], lsn[DR_LSN_LEN];

	if (r->unusable) {
		r->way = DR_REJOIN_REWIND + 1;
		dr_rejoin_why(run,
		    "An earlier rejoin or restore of it did not finish.");
		return 0;
	}
	if (our_line(run, err) == -1)
		return -1;
	r->tli = run->local.tli;
	r->fork = fork_of(&run->local, &run->line);
	if (our_end(run, err) == -1)
		return -1;
	r->known = true;
	dr_format_lsn(r->end, end);
	dr_format_lsn(r->fork, fork);
	if (r->fork == UINT64_MAX && r->end <= run->lsn) {
		dr_rejoin_why(run,
		    "It is on the new primary's timeline, %u, and ends at %s.",
		    r->tli, end);
		return 0;
	}
	if (r->fork == UINT64_MAX) {
		r->diverged = true;
		r->way = DR_REJOIN_REWIND + 1;
		dr_rejoin_why(run,
		    "It is on the new primary's timeline, %u, but ends at %s, "
		    "and the primary is only at %s: pg_rewind does not undo "
		    "that.",
		    r->tli, end, dr_format_lsn(run->lsn, lsn));
		return 0;
	}
	if (r->end <= r->fork) {
		dr_rejoin_why(run,
		    "The new primary left timeline %u at %s, and this node's "
		    "WAL ends at %s: there is nothing to undo.",
		    r->tli, fork, end);
		return 0;
	}
	r->diverged = true;
	if (r->data_end <= r->fork) {
		r->way = DR_REJOIN_TRIM;
		dr_rejoin_why(run,
		    "The new primary left timeline %u at %s; this node "
		    "received WAL up to %s, but replayed none of it.",
		    r->tli, fork, end);
		return 0;
	}
	r->way = DR_REJOIN_REWIND;
	dr_rejoin_why(run,
	    "The new primary left timeline %u at %s, and this node went on to "
	    "%s.",
	    r->tli, fork, end);
	if (!run->control.checksums && !run->control.log_hints) {
		r->way++;
		dr_rejoin_why(run,
		    "pg_rewind needs checksums or wal_log_hints, and it has "
		    "neither.");
	} else if (!run->full_page_writes || !run->control.full_page_writes) {
		r->way++;
		dr_rejoin_why(run, "pg_rewind needs full_page_writes.");
	} else if (r->fork == 0) {
		r->way++;
		dr_rejoin_why(run, "They have no timeline in common.");
	}
	return 0;
}
