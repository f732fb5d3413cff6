/*
 * datadir.h - a data directory seen from outside: whether a server runs on
 * it, and what its control file says.
 */
#ifndef DR_PG_DATADIR_H
#define DR_PG_DATADIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* DBState of the server. */
enum dr_control_state {
	DR_CONTROL_STARTUP,
	DR_CONTROL_SHUTDOWN,          /* as a primary, cleanly */
	DR_CONTROL_SHUTDOWN_RECOVERY, /* as a standby, cleanly */
	DR_CONTROL_STOPPING,
	DR_CONTROL_CRASH_RECOVERY,
	DR_CONTROL_ARCHIVE_RECOVERY, /* a standby that was killed, or runs */
	DR_CONTROL_PRODUCTION,       /* a primary that was killed, or runs */
};

struct dr_control {
	uint64_t system_id;
	uint32_t version; /* of the file: 1300 is PostgreSQL 13 to 16 */
	enum dr_control_state state;
	uint64_t checkpoint, redo; /* the last checkpoint's record, its redo */
	uint32_t tli;              /* that checkpoint's */
	uint64_t min_recovery;     /* a standby must replay up to there; 0 */
	uint32_t min_recovery_tli;
	bool full_page_writes; /* at that checkpoint */
	bool log_hints, checksums;
	uint32_t segsize;
};

/*
 * The bytes of global/pg_control, in this machine's byte order, their CRC
 * checked.  DR_EDATA otherwise.  Source: src/include/catalog/pg_control.h,
 * the same in what is read here from 13 to 18.
 */
int dr_control_parse(const void *, size_t len, struct dr_control *,
    struct dr_err *);
/* That of the data directory DIR; errno ENOENT where there is none. */
int dr_control_read(const char *dir, struct dr_control *, struct dr_err *);
/* "shut down", "in production" and so on, as pg_controldata says. */
const char *dr_control_word(enum dr_control_state);

/*
 * DR_EUSAGE, with a hint, where a server runs on DIR, or processes of one
 * that died still do: by postmaster.pid, the process it names and the shared
 * memory it names.  What cannot be told counts as running.
 */
int dr_datadir_idle(const char *dir, struct dr_err *);

#endif /* !DR_PG_DATADIR_H */
