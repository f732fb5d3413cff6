/*
 * walread.h - the records in a stopped server's own pg_wal, one after the
 * other, up to where it ends: what the server itself would replay.
 *
 * Sources: src/include/access/xlogrecord.h, xlog_internal.h and
 * src/backend/access/transam/xlogreader.c of PostgreSQL 13 to 18.
 */
#ifndef DR_PG_WALREAD_H
#define DR_PG_WALREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "pg/wal.h"

struct dr_walrec {
	uint64_t at, end; /* where it begins; where the next one may */
	uint32_t size;
	uint32_t xid;
	uint8_t rmgr, info;
};

struct dr_walread;

/*
 * Read from START, where a record must begin, along LINE (borrowed): a
 * segment is that of the latest timeline on it that has one in DIR.
 */
struct dr_walread *dr_walread_new(const char *dir, uint32_t segsize,
    const struct dr_history *line, uint64_t start, struct dr_err *);
void dr_walread_free(struct dr_walread *);

/*
 * 1 and the next whole record, its CRC right; 0: there is none, the WAL ends
 * here; -1: it cannot be read.
 */
int dr_walread_next(struct dr_walread *, struct dr_walrec *, struct dr_err *);

/* Is the last record a commit?  *TIME, microseconds since 1970. */
bool dr_walread_commit(const struct dr_walread *, const struct dr_walrec *,
    int64_t *time);
/* One after which its server had stopped? */
bool dr_walread_shutdown(const struct dr_walrec *);

/* "Heap", "Transaction": what RMGR is called. */
const char *dr_walread_rmgr(uint8_t rmgr);

#endif /* !DR_PG_WALREAD_H */
