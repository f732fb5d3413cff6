/*
 * walstream.h - physical replication: slots, histories, and the stream of
 * write-ahead log.
 *
 * Sources: "Streaming Replication Protocol" of PostgreSQL's manual, and
 * src/bin/pg_basebackup/receivelog.c.
 *
 * All take a walsender connection (dr_pg_connect with REPLICATION), which
 * they borrow.
 */
#ifndef DR_PG_WALSTREAM_H
#define DR_PG_WALSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/conn.h"

#define DR_SLOT_NAME_MAX 64 /* with the NUL */

/* Lower-case letters, digits and "_", 1 to 63 of them. */
bool dr_slot_name_ok(const char *);

/* A physical slot that reserves WAL from now on.  1 made, 0 it was there. */
int dr_slot_create(PGconn *, const char *slot, struct dr_err *);
int dr_slot_drop(PGconn *, const char *slot, struct dr_err *);

/* The text of TLI's .history file, appended to OUT. */
int dr_pg_history(PGconn *, uint32_t tli, struct dr_buf *out, struct dr_err *);

struct dr_walstream;

enum dr_walstream_kind {
	DR_WALSTREAM_NONE, /* nothing has come */
	DR_WALSTREAM_DATA,
	DR_WALSTREAM_KEEPALIVE,
	DR_WALSTREAM_END, /* the server ended the stream */
};

struct dr_walstream_msg {
	enum dr_walstream_kind kind;
	uint64_t start; /* DATA: LSN of its first byte */
	const unsigned char *data;
	size_t len;
	uint64_t server_end; /* end of WAL on the server */
	bool reply;          /* KEEPALIVE: it wants an answer now */
};

/* What the last failure of a stream was, where that matters. */
enum dr_walstream_why {
	DR_WALSTREAM_OTHER,
	DR_WALSTREAM_REMOVED, /* the WAL asked for is no longer there */
	DR_WALSTREAM_NO_SLOT, /* there is no such slot */
	DR_WALSTREAM_LOST,    /* the slot was invalidated */
};

/*
 * START_REPLICATION SLOT slot PHYSICAL lsn TIMELINE tli, and libpq set to
 * never wait.  Where TLI ends at LSN the stream is at its end at once: the
 * first dr_walstream_next says so.  NULL: *WHY says more than ERR's cause.
 */
struct dr_walstream *dr_walstream_start(PGconn *, const char *slot,
    uint32_t tli, uint64_t lsn, enum dr_walstream_why *why, struct dr_err *);
void dr_walstream_free(struct dr_walstream *);

/*
 * The next message of what PQconsumeInput has taken in; never waits.  Its
 * data is valid until the next call.
 */
int dr_walstream_next(struct dr_walstream *, struct dr_walstream_msg *,
    enum dr_walstream_why *why, struct dr_err *);

/*
 * Tell the server what is written, flushed and applied (0: nothing to tell).
 * Never waits: 1 when bytes are left that dr_walstream_flush must send once
 * the socket can be written, 0 when none are.
 */
int dr_walstream_status(struct dr_walstream *, uint64_t written,
    uint64_t flushed, uint64_t applied, struct dr_err *);
int dr_walstream_flush(struct dr_walstream *, struct dr_err *);

/*
 * After END: what follows.  1 and the timeline that goes on from LSN; 0: the
 * server shuts down; -1.  Waits for the server's last words.
 */
int dr_walstream_end(struct dr_walstream *, uint32_t *tli, uint64_t *lsn,
    enum dr_walstream_why *why, struct dr_err *);

#endif /* !DR_PG_WALSTREAM_H */
