/*
 * restore_choose.h - which backup a recovery starts from, along which
 * timelines it goes, and whether the WAL there is reaches its target.  Pure.
 */
#ifndef DR_FLOW_RESTORE_CHOOSE_H
#define DR_FLOW_RESTORE_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "manifest/ledger.h"
#include "pg/wal.h"

enum dr_target_kind {
	DR_TARGET_NONE,      /* nothing said */
	DR_TARGET_IMMEDIATE, /* the end of the backup */
	DR_TARGET_LATEST,    /* the end of the WAL */
	DR_TARGET_TIME,
	DR_TARGET_LSN,
	DR_TARGET_XID,
	DR_TARGET_NAME,
};

struct dr_target {
	enum dr_target_kind kind;
	int64_t time; /* microseconds */
	uint64_t lsn, xid;
	const char *name;
	bool exclusive;
	uint32_t timeline; /* 0: the newest */
};

/* A backup that may be chosen: whole, full, of the one cluster. */
struct dr_candidate {
	const char *id;
	uint32_t tli;
	uint64_t start, stop; /* LSNs */
	int64_t stopped;      /* microseconds */
	bool wal;             /* start to stop is in it */
};

/* What is known of a timeline. */
struct dr_line {
	uint32_t tli;
	bool known;           /* its history was read, or it is the first */
	struct dr_history h;  /* n = 0 where it was not */
	struct dr_walmap map; /* its WAL */
	uint64_t *partial;    /* where segments begin that are there only as */
	size_t partials;      /* .partial */
	struct dr_seen {
		uint64_t at;  /* where a segment begins */
		int64_t time; /* when its newest bytes were stored */
	} * seen;
	size_t nseen;
};

struct dr_lines {
	uint32_t segsize;
	struct dr_line *v; /* by timeline */
	size_t n;
};

/* Added at its place if it is new.  NULL: no memory. */
struct dr_line *dr_lines_get(struct dr_lines *, uint32_t tli, struct dr_err *);
/* NULL when it is not there. */
const struct dr_line *dr_lines_find(const struct dr_lines *, uint32_t tli);
void dr_lines_free(struct dr_lines *);

/*
 * Note WAL FROM to TO, stored at TIME.  .partial files only as where they
 * begin; how far they count is known with the histories: dr_lines_partials
 * adds each up to where another timeline left this one inside it.
 */
int dr_line_add(struct dr_line *, uint64_t from, uint64_t to, uint64_t segment,
    int64_t time, struct dr_err *);
int dr_line_partial(struct dr_line *, uint64_t segment, int64_t time,
    struct dr_err *);
int dr_lines_partials(struct dr_lines *, struct dr_err *);

struct dr_choice {
	size_t backup;
	uint32_t tli;     /* the timeline of the target */
	bool archive;     /* WAL beyond the backup is needed */
	uint64_t end;     /* where the WAL on that path ends, */
	uint32_t end_tli; /* on which timeline, */
	int64_t end_time; /* and when its last was stored; 0: unknown */
	uint64_t hole;    /* where it goes on behind a hole; 0: no hole */
	uint32_t other;   /* the LSN is on this timeline, too; 0: no */
};

/* How far clocks may be apart. */
#define DR_TARGET_SLACK INT64_C(60000000)

/*
 * FIXED is the index of the backup that was asked for, or -1.  The kind is
 * not DR_TARGET_NONE.  DR_EPARTIAL where the target cannot be reached, with
 * what can be in the hint.
 */
int dr_restore_choose(const struct dr_candidate *, size_t n, long fixed,
    const struct dr_lines *, const struct dr_target *, struct dr_choice *,
    struct dr_err *);

/* The timeline a server takes for the latest that begins its search at TLI. */
uint32_t dr_lines_latest(const struct dr_lines *, uint32_t tli);

#endif /* !DR_FLOW_RESTORE_CHOOSE_H */
