/*
 * beat.h - one row that is written again and again: the proof that a server
 * takes writes, and what standbys are waited for with.
 *
 *	CREATE SCHEMA drtools;
 *	CREATE TABLE drtools.heartbeat (
 *	    id text PRIMARY KEY,	-- the host that writes it
 *	    beat bigint NOT NULL,	-- microseconds since 1970, by its clock
 *	    written timestamptz NOT NULL DEFAULT clock_timestamp());
 *
 * Made when it is not there by whoever may; a role that may not needs USAGE
 * on the schema and SELECT, INSERT and UPDATE on the table.
 */
#ifndef DR_PG_BEAT_H
#define DR_PG_BEAT_H

#include <stdint.h>

#include "base/err.h"
#include "pg/ask.h"

/*
 * Write the row on A, which is idle and knows a primary, and commit as the
 * server is set to.  *BEAT is what it holds then.  1 written; 0 not: A has
 * ended and says why (DR_PROBE_NOWRITE, FULL, READONLY, HUNG); -1 stopped.
 */
int
dr_beat_write(struct dr_ask *a, int64_t until, int64_t *beat, struct dr_err *);

/*
 * Is there room for more than that row, which is written in place?  Writes
 * and drops a small temporary file.  1 there is, or it cannot be told; 0 the
 * disk is full, A has ended (DR_PROBE_FULL); -1 stopped.
 */
int dr_beat_room(struct dr_ask *a, int64_t until, struct dr_err *);

/* The query for what a standby has of it: one row, one column, or none. */
const char *dr_beat_look(void);

#endif /* !DR_PG_BEAT_H */
