/* The questions to a server, and its answers taken apart. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "pg/row.h"
#include "pg/view_int.h"

/* Results of the statements; two set something first. */
enum { STANDBYS = 2, SLOTS, SERVER, READY };

#define COUNT_MAX 100000 /* standbys, slots */

static const char set_sql[] = "SET LOCAL search_path = pg_catalog;"
                              "SET LOCAL statement_timeout = %d;";

/*
 * Standbys come before the position of the server's own WAL, so that none is
 * ahead of it.
 */
static const char standbys_sql[] =
    "SELECT r.application_name, host(r.client_addr), r.state, r.sync_state,"
    " s.slot_name, r.pid, r.sent_lsn, r.write_lsn, r.flush_lsn,"
    " r.replay_lsn, extract(epoch FROM r.write_lag),"
    " extract(epoch FROM r.flush_lag), extract(epoch FROM r.replay_lag),"
    " extract(epoch FROM r.reply_time)"
    " FROM pg_stat_replication r"
    " LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid"
    " ORDER BY 1, 6;";

static const char slots_sql[] =
    "SELECT slot_name, slot_type, database, wal_status, %s, active,"
    " temporary, %s, %s, restart_lsn, confirmed_flush_lsn, safe_wal_size, %s"
    " FROM pg_replication_slots ORDER BY 1;";

static const char server_sql[] =
    "SELECT x.standby, current_setting('transaction_read_only') = 'on',"
    " NOT pg_has_role('pg_read_all_stats', 'USAGE'),"
    " current_setting('archive_mode'), extract(epoch FROM clock_timestamp()),"
    " extract(epoch FROM pg_postmaster_start_time()),"
    " current_setting('cluster_name'),"
    " current_setting('synchronous_standby_names'),"
    " current_setting('synchronous_commit'),"
    " (SELECT system_identifier FROM pg_control_system()),"
    " " DR_VIEW_TLI ","
    " pg_size_bytes(current_setting('wal_segment_size')),"
    " CASE WHEN NOT x.standby THEN pg_current_wal_flush_lsn() END,"
    " pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(),"
    " extract(epoch FROM pg_last_xact_replay_timestamp()),"
    " extract(epoch FROM"
    "  current_setting('recovery_min_apply_delay')::interval),"
    " CASE WHEN x.standby THEN pg_is_wal_replay_paused() END,"
    " CASE WHEN w.pid IS NULL THEN '' ELSE coalesce(w.status, 'hidden') END,"
    " w.sender_host, w.sender_port, w.received_tli, w.latest_end_lsn,"
    " extract(epoch FROM w.last_msg_receipt_time),"
    " (SELECT sum(conflicts)::bigint FROM pg_stat_database),"
    " a.archived_count, a.failed_count, a.last_archived_wal,"
    " a.last_failed_wal, extract(epoch FROM a.last_archived_time),"
    " extract(epoch FROM a.last_failed_time)"
    " FROM (SELECT pg_is_in_recovery() AS standby) x"
    " CROSS JOIN pg_stat_archiver a LEFT JOIN pg_stat_wal_receiver w ON true;";

/* Last, as it fails where the role may not; the others have come by then. */
static const char ready_sql[] =
    "SELECT count(*), extract(epoch FROM min(modification))"
    " FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'";

int
dr_view_sql(int version, int timeout_ms, struct dr_buf *out, struct dr_err *err)
{
	bool failover = version >= 170000;
	const char *why = failover            ? "invalidation_reason"
	                  : version >= 160000 ? "CASE WHEN conflicting THEN "
	                                        "'conflict' END"
	                                      : "NULL";

	if (dr_buf_fmt(out, err, set_sql, timeout_ms) == -1 ||
	    dr_buf_str(out, standbys_sql, err) == -1 ||
	    dr_buf_fmt(out, err, slots_sql, why, failover ? "failover" : "NULL",
	        failover ? "synced" : "NULL",
	        failover ? "extract(epoch FROM inactive_since)" : "NULL") ==
	        -1 ||
	    dr_buf_str(out, server_sql, err) == -1)
		return -1;
	return dr_buf_str(out, ready_sql, err);
}

/* --- what they make -------------------------------------------------------- */

static void
read_standby(struct dr_row *r, struct dr_pg_standby *s)
{
	s->name = dr_row_text(r);
	s->addr = dr_row_text(r);
	s->state = dr_row_text(r);
	s->sync_state = dr_row_text(r);
	s->slot = dr_row_text(r);
	s->pid = dr_row_int(r);
	s->sent = dr_row_lsn(r);
	s->write = dr_row_lsn(r);
	s->flush = dr_row_lsn(r);
	s->replay = dr_row_lsn(r);
	s->write_lag = dr_row_us(r);
	s->flush_lag = dr_row_us(r);
	s->replay_lag = dr_row_us(r);
	s->reply_time = dr_row_us(r);
}

static void
read_slot(struct dr_row *r, struct dr_pg_slot *s)
{
	s->name = dr_row_text(r);
	s->type = dr_row_text(r);
	s->database = dr_row_text(r);
	s->wal_status = dr_row_text(r);
	s->invalid = dr_row_text(r);
	s->active = dr_row_bool(r);
	s->temporary = dr_row_bool(r);
	s->failover = dr_row_bool(r);
	s->synced = dr_row_bool(r);
	s->restart = dr_row_lsn(r);
	s->confirmed = dr_row_lsn(r);
	s->safe_wal_size = dr_row_int(r);
	s->inactive_since = dr_row_us(r);
}

static char *
sender(struct dr_row *r)
{
	const char *host = dr_row_next(r), *port = dr_row_next(r);
	struct dr_err no = { 0 };
	char *s;

	s = host == NULL ? strdup("")
	                 : dr_fmt(&no, "%s:%s", host, port != NULL ? port : "");
	if (s == NULL)
		r->failed = true;
	return s;
}

static void
read_server(struct dr_row *r, struct dr_pg_view *v)
{
	const char *archive, *id;

	v->in_recovery = dr_row_bool(r);
	v->read_only = dr_row_bool(r);
	v->hidden = dr_row_bool(r);
	archive = dr_row_next(r);
	v->archiving = archive != NULL && strcmp(archive, "off") != 0 &&
	               (!v->in_recovery || strcmp(archive, "always") == 0);
	v->now = dr_row_us(r);
	v->started = dr_row_us(r);
	v->cluster_name = dr_row_text(r);
	v->sync_names = dr_row_text(r);
	v->sync_commit = dr_row_text(r);
	id = dr_row_next(r);
	v->system_id = id != NULL ? (uint64_t)strtoll(id, NULL, 10) : 0;
	v->tli = dr_row_tli(r);
	v->segsize = dr_row_tli(r);
	v->lsn = dr_row_lsn(r);
	v->received = dr_row_lsn(r);
	v->replayed = dr_row_lsn(r);
	v->replayed_time = dr_row_us(r);
	v->apply_delay = dr_row_us(r);
	v->paused = dr_row_bool(r);
	v->receiver = dr_row_text(r);
	v->sender = sender(r);
	v->received_tli = dr_row_tli(r);
	v->latest_end = dr_row_lsn(r);
	v->last_msg = dr_row_us(r);
	v->conflicts = dr_row_int(r);
	v->archiver.archived = dr_row_int(r);
	v->archiver.failed = dr_row_int(r);
	v->archiver.last_wal = dr_row_text(r);
	v->archiver.failed_wal = dr_row_text(r);
	v->archiver.last_time = dr_row_us(r);
	v->archiver.failed_time = dr_row_us(r);
	/* It keeps what it had as a standby. */
	if (!v->in_recovery) {
		v->received = v->replayed = 0;
		v->replayed_time = DR_UNKNOWN;
	}
}

static int
read_lists(const struct dr_ask *a, struct dr_pg_view *v, struct dr_row *r)
{
	int i, n = PQntuples(a->result[STANDBYS]);
	int m = PQntuples(a->result[SLOTS]);

	if (n > COUNT_MAX || m > COUNT_MAX)
		return -1;
	v->standby = n > 0 ? calloc((size_t)n, sizeof(*v->standby)) : NULL;
	v->slot = m > 0 ? calloc((size_t)m, sizeof(*v->slot)) : NULL;
	if ((n > 0 && v->standby == NULL) || (m > 0 && v->slot == NULL))
		return -1;
	for (i = 0; i < n; i++) {
		r->res = a->result[STANDBYS];
		r->row = i;
		r->column = 0;
		read_standby(r, &v->standby[v->standbys++]);
	}
	for (i = 0; i < m; i++) {
		r->res = a->result[SLOTS];
		r->row = i;
		r->column = 0;
		read_slot(r, &v->slot[v->slots++]);
	}
	return r->failed ? -1 : 0;
}

static void
read_ready(const struct dr_ask *a, struct dr_pg_view *v)
{
	struct dr_row r = { .res = NULL };

	if (a->results <= READY ||
	    PQresultStatus(a->result[READY]) != PGRES_TUPLES_OK ||
	    PQntuples(a->result[READY]) != 1) {
		v->hidden = true;
		return;
	}
	r.res = a->result[READY];
	v->archiver.ready = dr_row_int(&r);
	v->archiver.oldest_ready = dr_row_us(&r);
}

int
dr_view_read(struct dr_ask *a, struct dr_pg_view *v, struct dr_err *err)
{
	const PGresult *bad = dr_ask_error(a, 0);
	struct dr_row r = { .res = NULL };
	const char *code;

	if (bad != NULL && (a->results <= READY || bad != a->result[READY])) {
		code = PQresultErrorField(bad, PG_DIAG_SQLSTATE);
		/* "recovery is not in progress": just promoted. */
		if (code == NULL || strcmp(code, "55000") != 0)
			dr_ask_refuse(a, bad, "look at the server");
		return 0;
	}
	if (a->results <= SERVER || PQntuples(a->result[SERVER]) != 1) {
		dr_ask_end(a, DR_PROBE_FAILED,
		    "its answers make no sense: is it PostgreSQL?");
		return 0;
	}
	if (read_lists(a, v, &r) == -1)
		return dr_err_set(err, DR_EFAIL,
		    "no memory for what a server says");
	r.res = a->result[SERVER];
	r.row = r.column = 0;
	read_server(&r, v);
	if (r.failed)
		return dr_err_set(err, DR_EFAIL,
		    "no memory for what a server says");
	read_ready(a, v);
	return 1;
}
