/*
 * heartbeat.h - the true delay of each standby, by one clock, ours: a row is
 * written on the primary (pg/beat.h), and standbys are asked for it until
 * they have it.  It is the proof, too, that the primary takes writes.
 */
#ifndef DR_FLOW_HEARTBEAT_H
#define DR_FLOW_HEARTBEAT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "pg/view.h"

struct dr_beat {
	/*
	 * A standby: from the moment the commit was acknowledged to us to the
	 * one when a query showed it there.  The primary: how long the write
	 * took.  DR_UNKNOWN: not seen within the time, or not asked.
	 */
	int64_t us;
	struct dr_err err; /* why it is not known */
};

/*
 * CONNINFO and V are what dr_pg_views was given and gave; BEAT has a place
 * for each of the COUNT views.  Unless exactly one of them is a primary,
 * nothing is written.  A write that fails makes that view's probe say so
 * (DR_PROBE_NOWRITE, FULL, READONLY, ...).  Standbys are waited for until
 * TIMEOUT_MS is over.  -1: as dr_pg_views.
 */
int dr_heartbeat(const char *const *conninfo, size_t n, int timeout_ms,
    struct dr_pg_view *v, size_t count, struct dr_beat *beat, struct dr_err *);

#endif /* !DR_FLOW_HEARTBEAT_H */
