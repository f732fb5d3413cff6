/*
 * basebackup.h - the server's BASE_BACKUP, taken apart into events
 * (PostgreSQL's protocol-replication chapter; basebackup.c and
 * basebackup_copy.c of the server).
 */
#ifndef DR_PG_BASEBACKUP_H
#define DR_PG_BASEBACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/num.h"
#include "pg/conn.h"

#define DR_SLOT_LEN 32

/*
 * IDENTIFY_SYSTEM.  SYSTEM_ID has 21 bytes.  *LSN (may be NULL) is up to where
 * WAL is flushed, or on a standby replayed.
 */
int dr_pg_identify(PGconn *, char system_id[21], uint32_t *timeline,
    uint64_t *lsn, struct dr_err *);

/*
 * Make a temporary physical slot of a random name that keeps WAL from now
 * on; it goes with the connection.  NAME is filled.
 */
int dr_pg_temp_slot(PGconn *, char name[DR_SLOT_LEN], struct dr_err *);

struct dr_bb_opts {
	const char *label;     /* as backup_label and the server's views show */
	bool fast;             /* the checkpoint */
	bool wal;              /* the WAL that the backup needs comes with it */
	bool verify_checksums; /* the server verifies page checksums */
	uint64_t max_rate;     /* bytes a second; 0: no limit */
	/*
	 * Without WAL the server waits until it is archived: how long it may
	 * say nothing after the last file, in milliseconds.
	 */
	uint64_t archive_wait;
};

struct dr_bb_tablespace {
	char oid[21];    /* decimal; "" is the data directory itself */
	char path[1024]; /* on the server; "" for the data directory */
	uint64_t size;   /* the server's estimate, bytes */
};

struct dr_bb_facts {
	char start_lsn[DR_LSN_LEN], stop_lsn[DR_LSN_LEN];
	uint32_t start_timeline, stop_timeline;
	struct dr_bb_tablespace *tablespaces;
	size_t n;
	uint64_t size; /* estimate of all */
};

/*
 * What comes, in order: started once, then for each archive archive, data
 * and archive_end, then manifest in pieces.  The bytes are the server's own
 * buffer: copy what must stay.  tick is called about once a second, whether
 * bytes flow or not.  Each returns 0 or, to end the backup, -1.
 */
struct dr_bb_events {
	int (*started)(void *, const struct dr_bb_facts *, struct dr_err *);
	/* OID NULL: the data directory. */
	int (*archive)(void *, const char *oid, struct dr_err *);
	int (*data)(void *, const void *, size_t, struct dr_err *);
	int (*archive_end)(void *, struct dr_err *);
	int (*manifest)(void *, const void *, size_t, struct dr_err *);
	int (*tick)(void *, struct dr_err *);
};

/*
 * Take a base backup over a walsender.  0 only when the server has said that
 * it is complete; FACTS then has stop_lsn.  Servers before 15 send one copy
 * for each archive, without the end of archive that this adds.
 *
 * Damaged pages that the server found are DR_EDATA, a server that went away
 * DR_ERETRY, WAL not archived in time DR_ERETRY.
 */
int dr_bb_run(PGconn *, const struct dr_bb_opts *, const struct dr_bb_events *,
    void *arg, struct dr_bb_facts *, struct dr_err *);

void dr_bb_facts_free(struct dr_bb_facts *);

#endif /* !DR_PG_BASEBACKUP_H */
