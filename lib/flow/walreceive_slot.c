/* The slot: looked at, made, and watched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/lag.h"
#include "flow/walreceive_int.h"

static const char slot_query[] =
    "SELECT s.restart_lsn, s.wal_status, s.safe_wal_size, "
    "greatest(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN "
    "greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) "
    "ELSE pg_current_wal_lsn() END, s.restart_lsn), 0)::bigint, "
    "r.sync_state, current_setting('synchronous_commit'), s.slot_type, "
    "CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn() END, "
    "CASE WHEN NOT pg_is_in_recovery() THEN "
    "pg_walfile_name(pg_current_wal_flush_lsn()) END "
    "FROM pg_replication_slots s LEFT JOIN pg_stat_replication r "
    "ON r.pid = s.active_pid WHERE s.slot_name = $1";

static int
read_slot(struct dr_recv *r, const PGresult *res, struct dr_err *err)
{
	struct dr_recv_slot *s = &r->slot;
	struct dr_err odd = { 0 };
	const char *sync;
	int64_t n;

	memset(s, 0, sizeof(*s));
	s->safe = -1;
	if (PQntuples(res) != 1 || PQnfields(res) != 9)
		return 0;
	if (strcmp(PQgetvalue(res, 0, 6), "physical") != 0)
		return dr_err_set(err, DR_EFAIL,
		    "the replication slot \"%s\" is not a physical one",
		    r->o->slot);
	s->exists = true;
	s->lost = strcmp(PQgetvalue(res, 0, 1), "lost") == 0;
	if (!PQgetisnull(res, 0, 0))
		(void)dr_parse_lsn(PQgetvalue(res, 0, 0), &s->restart, &odd);
	if (!PQgetisnull(res, 0, 2) && dr_parse_int(PQgetvalue(res, 0, 2),
	                                   INT64_MIN, INT64_MAX, &n, &odd) == 0)
		s->safe = n > 0 ? n : 0;
	if (!PQgetisnull(res, 0, 3) &&
	    dr_parse_int(PQgetvalue(res, 0, 3), 0, INT64_MAX, &n, &odd) == 0)
		s->retained = (uint64_t)n;
	sync = PQgetvalue(res, 0, 4);
	s->sync = strcmp(sync, "sync") == 0 || strcmp(sync, "quorum") == 0;
	s->remote_apply = strcmp(PQgetvalue(res, 0, 5), "remote_apply") == 0;
	return 0;
}

/* Over the walsender, where there is no other way; servers 15 and later. */
static int
read_slot_wal(struct dr_recv *r, struct dr_err *err)
{
	struct dr_err odd = { 0 };
	char sql[128];
	PGresult *res;

	(void)snprintf(sql, sizeof(sql), "READ_REPLICATION_SLOT \"%s\"",
	    r->o->slot);
	res = dr_pg_query(r->wal, sql, "look at the replication slot", err);
	if (res == NULL)
		return -1;
	memset(&r->slot, 0, sizeof(r->slot));
	r->slot.safe = -1;
	r->slot.exists = PQntuples(res) == 1 && !PQgetisnull(res, 0, 0);
	if (r->slot.exists && !PQgetisnull(res, 0, 1))
		(void)dr_parse_lsn(PQgetvalue(res, 0, 1), &r->slot.restart,
		    &odd);
	PQclear(res);
	return 0;
}

static int
look_at_slot(struct dr_recv *r, struct dr_err *err)
{
	const char *const params[] = { r->o->slot };
	PGresult *res;
	int rc;

	if (r->sql == NULL)
		return read_slot_wal(r, err);
	res = dr_pg_query_params(r->sql, slot_query, 1, params,
	    "look at the replication slot", err);
	if (res == NULL)
		return -1;
	rc = read_slot(r, res, err);
	PQclear(res);
	return rc;
}

/* See that there is a slot that can be used. */
int
dr_recv_need_slot(struct dr_recv *r, struct dr_err *err)
{
	int made;

	if (look_at_slot(r, err) == -1)
		return -1;
	if (r->slot.exists && r->slot.lost && r->o->create_slot) {
		dr_warn("the replication slot \"%s\" was invalidated; it is "
		        "made anew",
		    r->o->slot);
		if (dr_slot_drop(r->wal, r->o->slot, err) == -1)
			return -1;
		r->slot.exists = false;
	}
	if (r->slot.exists && !r->slot.lost)
		return 0;
	if (!r->o->create_slot) {
		dr_err_set(err, DR_EFAIL, "the replication slot \"%s\" %s",
		    r->o->slot,
		    r->slot.lost ? "was invalidated: WAL it held is removed"
		                 : "does not exist");
		return dr_err_hint(err, "--create-slot makes it%s",
		    r->slot.lost ? " anew" : "");
	}
	if ((made = dr_slot_create(r->wal, r->o->slot, err)) == -1)
		return -1;
	if (made == 1)
		dr_say(1, "made the replication slot \"%s\"", r->o->slot);
	return look_at_slot(r, err);
}

static void
lose_sql(struct dr_recv *r)
{
	PQfinish(r->sql);
	r->sql = NULL;
	r->asked = false;
	/* A server that shuts down ends these first, and us last. */
	if (r->stream != NULL) {
		r->going = true;
		r->going_since = dr_monotonic();
	}
}

/*
 * Where the primary's WAL ended when it was asked: by this dr-lag tells how
 * much the stores may lack, to the second where it runs on this host.
 */
static void
note_end(const struct dr_recv *r, const PGresult *res)
{
	struct dr_pg_view v = { .asked = r->asked_at, .system_id = r->sys.id };
	struct dr_err ignored = { 0 };
	char tli[9] = "";

	if (PQntuples(res) != 1 || PQgetisnull(res, 0, 7) ||
	    PQgetisnull(res, 0, 8) || PQgetlength(res, 0, 8) < 8 ||
	    dr_parse_lsn(PQgetvalue(res, 0, 7), &v.lsn, &ignored) == -1)
		return;
	memcpy(tli, PQgetvalue(res, 0, 8), 8);
	v.tli = (uint32_t)strtoul(tli, NULL, 16);
	(void)dr_lag_sample(r->o->state, &v, &ignored);
}

static void
note_slot(struct dr_recv *r, const PGresult *res)
{
	const bool was = r->slot.sync, told = r->slot.remote_apply;
	struct dr_err odd = { 0 };

	if (read_slot(r, res, &odd) == -1)
		return;
	if (r->slot.sync != was)
		dr_say(1, "%s",
		    r->slot.sync ? "commits wait for the stores: WAL is "
		                   "shipped at once"
		                 : "commits do not wait for the stores");
	if (r->slot.sync && r->slot.remote_apply && !(was && told))
		dr_warn("synchronous_commit is remote_apply: commits wait for "
		        "ever, stores do not apply");
}

void
dr_recv_ask(struct dr_recv *r)
{
	const char *const params[] = { r->o->slot };
	PGresult *res;

	if (r->sql == NULL || r->stream == NULL)
		return;
	if (!PQconsumeInput(r->sql)) {
		lose_sql(r);
		return;
	}
	while (r->asked && !PQisBusy(r->sql)) {
		if ((res = PQgetResult(r->sql)) == NULL) {
			r->asked = false;
			break;
		}
		if (PQresultStatus(res) == PGRES_TUPLES_OK) {
			note_slot(r, res);
			note_end(r, res);
		}
		PQclear(res);
	}
	if (PQstatus(r->sql) == CONNECTION_BAD) {
		lose_sql(r);
		return;
	}
	if (r->asked || dr_monotonic() < r->query_at)
		return;
	r->query_at = dr_monotonic() + DR_RECV_QUERY_US;
	r->asked_at = dr_now();
	if (PQsendQueryParams(r->sql, slot_query, 1, NULL, params, NULL, NULL,
	        0) == 0)
		lose_sql(r);
	else
		r->asked = true;
}
