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
#include "flow/through.h"
#include "manifest/ledger.h"
#include "pg/wal.h"
#include "store/store.h"

/*
 * An object, in the few bytes that a week of increments allows: 604,800 of
 * them at one a second.
 *
 * It may stand in several ledgers under different hashes, as one that was
 * made again for a store that had missed it.  Any of them is right.
 */
struct dr_wal_entry {
	unsigned char sha256[DR_SHA256_LEN]; /* where a ledger vouches */
	int64_t time;           /* of its first ledger, else store's mtime */
	int64_t mtime;          /* the store's, where it is listed */
	uint32_t tli, log, seg; /* as in struct dr_wal_file */
	uint32_t at, end;       /* an increment's bytes; at: a backup's, too */
	uint32_t size;          /* of the stored bytes, by ledger or listing */
	uint32_t other;         /* further hashes: cat->other[other - 1] */
	unsigned kind : 2;      /* enum dr_wal_kind */
	unsigned cipher : 1;    /* enum dr_cipher */
	unsigned increment : 1;
	unsigned vouched : 1;
	unsigned listed : 1;
	unsigned beneath : 1; /* in truth it lies beneath a deletion */
};

struct dr_wal_hash {
	unsigned char sha256[DR_SHA256_LEN];
	uint32_t size;
	uint32_t next; /* as other */
};

struct dr_wal_timeline {
	uint32_t tli;
	struct dr_walmap map; /* of what is listed (and opens by its name) */
	struct dr_walmap vouched; /* of what ledgers vouch for */
	uint64_t first;           /* LSN of its first record listed */
	bool history;             /* its .history object is there (or tli 1) */
};

/* A ledger that is believed. */
struct dr_wal_link {
	char *name; /* full */
	char signer[DR_LEDGER_SIGNER];
	uint64_t n;
	int64_t time;
	char sha256[DR_SHA256_HEX];
	char *prev_name;
	char prev_sha256[DR_SHA256_HEX];
};

struct dr_walcat {
	const char *set; /* borrowed */
	uint64_t system_id;
	uint32_t segsize;
	struct dr_wal_entry *entry; /* in the order of their names */
	size_t entries;
	struct dr_wal_hash *other;
	size_t others;
	struct dr_wal_timeline *timeline;
	size_t timelines;
	struct dr_ledger_gap *gap; /* that ledgers admit */
	size_t gaps;
	struct dr_wal_link *link; /* by signer, then n */
	size_t links;
	int64_t newest; /* time of the newest ledger; 0: none */
	/* What is wrong with ledgers: forged, forked, missing, rolled back. */
	struct dr_err bad;
	size_t faults;
	/* Ledgers that were overwritten or deleted, and the first of them. */
	size_t covered;
	char note[DR_NOTE_MAX];
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

/* Its full name, on the heap. */
char *dr_wal_entry_name(const struct dr_walcat *, const struct dr_wal_entry *,
    struct dr_err *);
/*
 * Where it lies in the log: LSNs, equal for a .backup, and 0 for a .history
 * or a name of another segment size.
 */
void dr_wal_entry_range(const struct dr_walcat *, const struct dr_wal_entry *,
    uint64_t *from, uint64_t *to);
/* Does a ledger vouch for it with this size and hash? */
bool dr_wal_entry_is(const struct dr_walcat *, const struct dr_wal_entry *,
    uint64_t size, const char sha256[DR_SHA256_HEX]);

/* System ids that have WAL in the set, as decimal text. */
int dr_walcat_systems(struct dr_store *, const char *set,
    int (*fn)(void *, uint64_t system_id, struct dr_err *), void *arg,
    struct dr_err *);

/* The timeline's place, or NULL. */
const struct dr_wal_timeline *
dr_walcat_timeline(const struct dr_walcat *, uint32_t tli);

/*
 * For an increment of a segment: that segment, whole, if it is listed and
 * vouched for, so that the increment says nothing that it does not say; else
 * NULL.
 */
const struct dr_wal_entry *
dr_walcat_whole(const struct dr_walcat *, const struct dr_wal_entry *);

/*
 * How far WAL reaches without a hole from LSN on TLI: the furthest LSN on
 * that timeline.  LSN itself when nothing is there.
 */
uint64_t dr_walcat_reach(const struct dr_walcat *, uint32_t tli, uint64_t lsn);

#endif /* !DR_FLOW_WALCAT_H */
