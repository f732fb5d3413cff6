/*
 * view_int.h - what is asked of a server, and what its answers mean; not for
 * others.
 */
#ifndef DR_PG_VIEW_INT_H
#define DR_PG_VIEW_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/ask.h"
#include "pg/view.h"

#define DR_VIEW_OLDEST 130000

/*
 * In recovery, the timeline of the control file may be the one before the
 * last; what is streamed and replayed already is on the receiver's.  Out of
 * it, the control file has the old one until the next checkpoint.  To be used
 * where x.standby is whether it is in recovery, w its pg_stat_wal_receiver.
 */
#define DR_VIEW_TLI                                                           \
	"CASE WHEN x.standby THEN greatest("                                  \
	"  (SELECT min_recovery_end_timeline FROM pg_control_recovery()),"    \
	"  (SELECT timeline_id FROM pg_control_checkpoint()),"                \
	"  CASE WHEN pg_last_wal_replay_lsn() > w.receive_start_lsn"          \
	"   THEN w.received_tli END)"                                         \
	" ELSE ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))" \
	"  ::bit(32)::bigint END"

/* The statements for a server of VERSION, in one string. */
int
dr_view_sql(int version, int timeout_ms, struct dr_buf *out, struct dr_err *);

/*
 * Fill V from the answers that A holds.  1 done; 0 the server is not one that
 * answers (A has ended and says why), or changed its role meanwhile: then A
 * is idle, and it may be asked again.
 */
int dr_view_read(struct dr_ask *a, struct dr_pg_view *v, struct dr_err *);

#endif /* !DR_PG_VIEW_INT_H */
