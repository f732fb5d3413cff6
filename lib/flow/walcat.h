/*
 * walcat.h - what WAL of a set a store holds: by its ledgers (signed,
 * chained) and by its listing, and how far one can recover.
 */
#ifndef DR_FLOW_WALCAT_H
#define DR_FLOW_WALCAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/minisign.h"
#include "manifest/ledger.h"
#include "pg/wal.h"
#include "store/store.h"

struct dr_wal_entry {
	char *object; /* full name */
	uint32_t tli;
	uint64_t from, to; /* LSNs; equal for .history and .backup */
	uint64_t size;     /* of the stored bytes, by ledger; else by listing */
	char sha256[DR_SHA256_HEX]; /* "" where no ledger vouches for it */
	int64_t time;               /* of its ledger, else the store's mtime */
	bool vouched, listed;
};

struct dr_wal_timeline {
	uint32_t tli;
	struct dr_walmap map; /* of what is listed (and opens by its name) */
	struct dr_walmap vouched; /* of what ledgers vouch for */
	bool history;             /* its .history object is there (or tli 1) */
};

struct dr_walcat {
	uint64_t system_id;
	uint32_t segsize;
	struct dr_wal_entry *entry; /* by timeline, then from, then name */
	size_t entries;
	struct dr_wal_timeline *timeline;
	size_t timelines;
	struct dr_ledger_gap *gap; /* that ledgers admit */
	size_t gaps;
	int64_t newest; /* time of the newest ledger; 0: none */
	/* What is wrong with ledgers: forged, forked, missing, rolled back. */
	struct dr_err bad;
	size_t faults;
};

/*
 * Read the ledgers and the listing of one system id.  SEGSIZE as the
 * backup's manifest says (pg.wal_segment_size).  Faults of ledgers are
 * counted and the first is told in bad; REPORT (may be NULL) gets each.
 */
int dr_walcat_read(struct dr_store *, const char *set, uint64_t system_id,
    uint32_t segsize, const struct dr_verify_keys *,
    int (*report)(void *, const char *text, struct dr_err *), void *arg,
    struct dr_walcat *, struct dr_err *);
void dr_walcat_free(struct dr_walcat *);

/* System ids that have WAL in the set, as decimal text. */
int dr_walcat_systems(struct dr_store *, const char *set,
    int (*fn)(void *, uint64_t system_id, struct dr_err *), void *arg,
    struct dr_err *);

/*
 * How far WAL reaches without a hole from LSN on TLI: the furthest LSN on
 * that timeline.  LSN itself when nothing is there.
 */
uint64_t dr_walcat_reach(const struct dr_walcat *, uint32_t tli, uint64_t lsn);

#endif /* !DR_FLOW_WALCAT_H */
