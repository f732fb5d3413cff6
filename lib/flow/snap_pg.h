/*
 * snap_pg.h - a snapshot of a PostgreSQL cluster by the replication
 * protocol, from a primary or a standby, as one tar.
 */
#ifndef DR_FLOW_SNAP_PG_H
#define DR_FLOW_SNAP_PG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/sink.h"

struct dr_snap_pg_opts {
	const char *conninfo; /* NULL: the PG* environment */
	bool no_wal;          /* wait until the server has archived it */
	bool spread;          /* checkpoint at leisure */
	bool with_config;     /* configuration files, wherever they lie */
	bool allow_checksum_failures;
	uint64_t max_rate;         /* bytes a second, 32 KiB to 1 GiB; 0 */
	uint64_t max_wal_retained; /* bytes the slot may hold back; 0 */
	uint64_t archive_wait;     /* with no_wal, milliseconds */
};

/*
 * Write the whole tar to OUT, not finished: tablespaces, the data directory,
 * .drtools/config/..., .drtools/report.json, backup_manifest.  Anything but
 * 0 means that OUT must not be finished.  MANIFEST gets "pg"; "raw_size" and
 * "stopped" are the caller's to set.  Shows progress.
 *
 * Causes as in pg/conn.h and pg/basebackup.h; WAL held back beyond
 * max_wal_retained is DR_EFAIL.
 */
int dr_snap_pg(const struct dr_snap_pg_opts *, struct dr_sink *out,
    json_t *manifest, struct dr_err *);

#endif /* !DR_FLOW_SNAP_PG_H */
