#include "flow/pg_watch.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"

struct dr_watch {
	PGconn *sql; /* borrowed; NULL once given up */
	uint64_t max;
	bool asked;
	char slot[64];
};

struct dr_watch *
dr_watch_new(PGconn *sql, const char *slot, uint64_t max, struct dr_err *err)
{
	struct dr_watch *w;

	if ((w = calloc(1, sizeof(*w))) == NULL) {
		dr_err_sys(err, "cannot allocate a watch");
		return NULL;
	}
	w->sql = sql;
	w->max = max;
	(void)snprintf(w->slot, sizeof(w->slot), "%s", slot);
	return w;
}

/* The connection answers no more. */
static int
lost(struct dr_watch *w, const PGresult *res, struct dr_err *err)
{
	PGconn *sql = w->sql;

	w->sql = NULL;
	if (w->max > 0)
		return dr_pg_failed(sql, res, "watch the retained WAL", err);
	dr_say(1, "retained WAL is no longer watched");
	return 0;
}

static int
judge(struct dr_watch *w, const char *bytes, struct dr_err *err)
{
	char have[DR_SIZE_LEN], may[DR_SIZE_LEN], note[64];
	struct dr_err odd = { 0 };
	int64_t n;

	if (dr_parse_int(bytes, 0, INT64_MAX, &n, &odd) == -1)
		return 0;
	(void)snprintf(note, sizeof(note), "WAL retained %s",
	    dr_format_size((uint64_t)n, have));
	dr_progress_note(note);
	if (w->max == 0 || (uint64_t)n <= w->max)
		return 0;
	dr_err_set(err, DR_EFAIL,
	    "the backup holds back %s of WAL on the server, more than the %s "
	    "allowed",
	    have, dr_format_size(w->max, may));
	return dr_err_hint(err,
	    "make what reads this stream faster, raise --max-rate, or allow "
	    "more with --max-wal-retained");
}

int
dr_watch_tick(struct dr_watch *w, struct dr_err *err)
{
	const char *const params[] = { w->slot };
	PGresult *res;
	int rc = 0;

	if (w->sql == NULL)
		return 0;
	if (w->asked) {
		if (!PQconsumeInput(w->sql))
			return lost(w, NULL, err);
		while (!PQisBusy(w->sql)) {
			if ((res = PQgetResult(w->sql)) == NULL) {
				w->asked = false;
				break;
			}
			if (PQresultStatus(res) != PGRES_TUPLES_OK)
				rc = lost(w, res, err);
			else if (PQntuples(res) == 1)
				rc = judge(w, PQgetvalue(res, 0, 0), err);
			PQclear(res);
			if (rc == -1 || w->sql == NULL)
				return rc;
		}
		if (w->asked)
			return 0;
	}
	if (!PQsendQueryParams(w->sql,
	        "SELECT greatest(pg_wal_lsn_diff(CASE "
	        "WHEN pg_is_in_recovery() THEN "
	        "greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
	        " ELSE pg_current_wal_lsn() END, restart_lsn), 0)::bigint "
	        "FROM pg_replication_slots WHERE slot_name = $1 "
	        "AND restart_lsn IS NOT NULL",
	        1, NULL, params, NULL, NULL, 0))
		return lost(w, NULL, err);
	w->asked = true;
	return 0;
}

void
dr_watch_free(struct dr_watch *w)
{
	free(w);
}
