/*
 * wal.h - names, pages and histories of write-ahead log.  Pure.
 *
 * Sources: src/include/access/xlog_internal.h (names, page headers),
 * src/backend/access/transam/timeline.c (histories) of PostgreSQL 13 to 18.
 */
#ifndef DR_PG_WAL_H
#define DR_PG_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DR_WAL_NAME_MAX 64 /* with the NUL */

enum dr_wal_kind {
	DR_WAL_SEGMENT, /* 24 digits */
	DR_WAL_PARTIAL, /* 24 digits, ".partial" */
	DR_WAL_BACKUP,  /* 24 digits, ".", 8 digits, ".backup" */
	DR_WAL_HISTORY, /* 8 digits, ".history" */
};

struct dr_wal_file {
	enum dr_wal_kind kind;
	uint32_t tli;
	uint32_t log, seg; /* the name's second and third part; not HISTORY */
	uint32_t offset;   /* BACKUP only */
};

/* DR_EUSAGE for anything but the four forms (upper-case digits only). */
int dr_wal_name(const char *name, struct dr_wal_file *, struct dr_err *);

/* 1 MiB to 1 GiB, a power of two. */
bool dr_wal_segsize_ok(uint64_t);

/* The LSN at which a segment begins; false: no segment of that size. */
bool dr_wal_start(const struct dr_wal_file *, uint32_t segsize, uint64_t *lsn);
/* The name of the segment that holds LSN. */
char *dr_wal_segment_at(uint32_t tli, uint64_t lsn, uint32_t segsize,
    char out[DR_WAL_NAME_MAX]);

/* What the first page of a segment says (its long header, 40 bytes). */
struct dr_wal_page {
	uint16_t magic;
	unsigned version; /* major version by the magic: 13 to 18; 0: other */
	uint32_t tli;
	uint64_t addr; /* LSN of the page */
	uint64_t system_id;
	uint32_t segsize, blcksz;
};

/* DR_EDATA: not the first page of a segment.  Of either byte order. */
int dr_wal_page(const void *page, size_t len, struct dr_wal_page *,
    struct dr_err *);

/*
 * The system identifier in the bytes of global/pg_control (of either byte
 * order).  DR_EDATA: that is no control file.  Source:
 * src/include/catalog/pg_control.h.
 */
int
dr_wal_control(const void *, size_t len, uint64_t *system_id, struct dr_err *);

/*
 * Does the segment (or .partial) FILE begin with a page that may be there:
 * address by the name, and, where not 0, this system id?  The page's
 * timeline must be the name's, or, by HISTORY (may be NULL: any earlier
 * one), an ancestor of it.  DR_EDATA otherwise.
 */
struct dr_history;
int dr_wal_check(const struct dr_wal_file *file, const struct dr_wal_page *,
    uint64_t system_id, const struct dr_history *, struct dr_err *);

/* --- timeline histories -------------------------------------------------- */

struct dr_history {
	uint32_t tli; /* whose history it is */
	size_t n;     /* ancestors, oldest first */
	struct dr_fork {
		uint32_t tli;
		uint64_t end; /* LSN at which the next one left it */
	} * v;                /* owned */
};

/* The text of TLI's .history file.  DR_EDATA when malformed or not rising. */
int dr_history_parse(const char *, size_t, uint32_t tli, struct dr_history *,
    struct dr_err *);
void dr_history_free(struct dr_history *);
/* The timeline that holds LSN on the way to history's. */
uint32_t dr_history_at(const struct dr_history *, uint64_t lsn);
/* Where ancestor TLI ends; UINT64_MAX for the timeline itself; 0: no ancestor. */
uint64_t dr_history_end(const struct dr_history *, uint32_t tli);

#endif /* !DR_PG_WAL_H */
