/*
 * node.h - servers that are acted on: a connection held to each, what a
 * failover has to know of them, and the few things that are done to them.
 *
 * All functions that take a list of nodes act on all of them at once and wait
 * for the slowest, at most until UNTIL (dr_monotonic()) and, where it is
 * looked at again and again, the second that the last look may take.  A node
 * that fails says so in its ask.probe and err; the call itself fails (-1) only
 * for a stop signal or want of memory.  The role that connects must be a
 * superuser.
 *
 * Nothing here decides anything: see flow/promote.h.
 */
#ifndef DR_PG_NODE_H
#define DR_PG_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/ask.h"
#include "pg/hosts.h"
#include "pg/view.h"
#include "pg/wal.h"

/* Where a node keeps the primary_conninfo that it was cut off from. */
#define DR_NODE_SAVED "drtools.primary_conninfo"

struct dr_node_facts {  /* strings "" where there is none */
	bool known;     /* all below was answered, as far as the role may ask */
	bool superuser; /* without it nothing can be done here */
	bool alter_system; /* ALTER SYSTEM is allowed (17) */
	char *data_directory, *config_file, *hba_file;
	char *conninfo;  /* primary_conninfo; may hold a password */
	char *slot_name; /* primary_slot_name */
	char *restore_command;
	char *saved;                   /* what DR_NODE_SAVED holds */
	char *tags, *region, *address; /* drtools.* of its configuration */
	int priority;     /* drtools.priority, 100; 0 and err: it is none */
	int64_t retry_us; /* wal_retrieve_retry_interval */
	bool checksums, log_hints, full_page_writes, restart_after_crash;
	bool hot_standby_feedback, sync_slots; /* sync_replication_slots, 17 */
	int64_t senders, senders_used, wal_keep; /* max_wal_senders, bytes */
	char *standby_slots; /* synchronized_standby_slots, 17 */
	int64_t prepared;    /* transactions prepared and not ended; a standby's
	                         are not known */
	int64_t oldest_us;   /* age of the oldest transaction that writes; 0:
	                         none */
	int64_t backups;     /* base backups that run */
	uint64_t control_lsn; /* the last checkpoint's, by pg_control */
	uint64_t min_recovery_end;
	uint32_t tli;
	struct dr_history history; /* of tli; n = 0: unknown, or tli is 1 */
	bool has_history; /* it was read, or the timeline is the first */
};

struct dr_node {
	const struct dr_pg_host *host; /* borrowed */
	struct dr_ask ask;             /* held; it may have ended */
	struct dr_pg_view *view;       /* borrowed: what was seen of it */
	struct dr_node_facts facts;
	struct dr_err err; /* why the last thing asked of it did not succeed */
};

/*
 * One connection each; V has COUNT of them, as the hosts have, which were
 * looked up (dr_pg_hosts_find).  A node whose connection has ended can be
 * closed and opened again.
 */
int dr_nodes_open(const struct dr_pg_host *, struct dr_pg_view *v,
    struct dr_node *, size_t count, int64_t until, struct dr_err *);
/* The same on connections that are there (dr_pg_views_keep), which it takes. */
int
dr_nodes_take(const struct dr_pg_host *, struct dr_pg_view *v, struct dr_ask *,
    struct dr_node *, size_t count, int64_t until, struct dr_err *);
void dr_nodes_close(struct dr_node *, size_t);

/*
 * Run SQL (one or several statements; no transaction around them unless it
 * says so) on each of N nodes; SQL[i] NULL leaves that one alone.  Its
 * results are in ask.result; an error among them is in err.
 */
int dr_nodes_run(struct dr_node *const *, const char *const *sql, size_t n,
    int64_t until, struct dr_err *);

/*
 * Fill facts of all that answer.  A setting of drtools that makes no sense
 * is told by err; facts are known all the same.
 */
int dr_nodes_facts(struct dr_node *const *, size_t n, int64_t until,
    struct dr_err *);

/* --- what is done to standbys --------------------------------------------- */

/*
 * Save primary_conninfo in DR_NODE_SAVED, unless it is "" or saved already,
 * set it to "", reload, and wait until there is no walreceiver: seen twice.
 * One that stays, since replay is behind or paused, is ended by kill(1).  A
 * node that is not in recovery is an error of that node.  The server itself
 * logs the new values of settings that it reloads; all else that would show
 * what is saved is kept out of its log.
 */
int
dr_nodes_cut(struct dr_node *const *, size_t n, int64_t until, struct dr_err *);

/*
 * Undo that, where primary_conninfo is "" still: what was saved is effective
 * again; what is saved stays.  One that follows somebody is left alone.
 */
int dr_nodes_uncut(struct dr_node *const *, size_t n, int64_t until,
    struct dr_err *);

struct dr_node_end {
	bool known;
	uint32_t tli;      /* of the last byte it has */
	uint64_t received; /* the larger of received and replayed */
	uint64_t replayed;
};

/*
 * Where each one's WAL ends, asked after it was cut off, once it replayed
 * what it has: what lies in pg_wal and what its restore_command gets.  Where
 * UNTIL came, replay is paused or delayed, or the last that it got is a part
 * of a record, replayed is below received.  A node that still has a
 * walreceiver is an error of that node.
 */
int dr_nodes_ends(struct dr_node *const *, size_t n, struct dr_node_end *,
    int64_t until, struct dr_err *);

/*
 * What follows acts on one node: 0, or -1 and why in ERR, which is the node's
 * err, too.
 */

/*
 * Let a standby stream from HOST:PORT: its primary_conninfo (what it has, or,
 * while it is cut off, what was saved) with these in place of its host and
 * port, everything else (user, password, TLS, application_name) kept; SLOT ""
 * or the slot to use there.  Returns when the setting is effective; does not
 * wait for the stream.
 */
int dr_node_follow(struct dr_node *, const char *host, const char *port,
    const char *slot, int64_t until, struct dr_err *);
/*
 * The string that it would get; appended.  What chooses between hosts goes,
 * too; options that this libpq does not know stay.  DR_EUSAGE: OLD makes no
 * sense (it is not quoted).  Pure.
 */
int dr_node_conninfo(const char *old, const char *host, const char *port,
    struct dr_buf *out, struct dr_err *);

/* ALTER SYSTEM SET NAME = VALUE (NULL: RESET), reload, wait for that. */
int dr_node_set(struct dr_node *, const char *name, const char *value,
    int64_t until, struct dr_err *);
/* A physical slot that reserves WAL at once, if there is none of that name. */
int dr_node_slot(struct dr_node *, const char *slot, int64_t until,
    struct dr_err *);

/*
 * Promote, and return when it is no longer in recovery: *TLI is its new
 * timeline.  One that is none any more is promoted already.  The five seconds
 * that a standby may sleep between two attempts to find WAL
 * (wal_retrieve_retry_interval) are cut short by reloads.  -1: also where it
 * is not done by UNTIL (DR_ERETRY: it may happen yet).
 */
int dr_node_promote(struct dr_node *, uint32_t *tli, int64_t until,
    struct dr_err *);

/* --- what is done to a primary that is to step down ----------------------- */

int dr_node_checkpoint(struct dr_node *, int64_t until, struct dr_err *);
/*
 * standby.signal, primary_conninfo and primary_slot_name, for its next start.
 * What it has no primary_conninfo of its own for (in use or saved) is taken
 * from LIKE, that of another node (NULL or "": HOST and PORT alone), but for
 * its application_name.
 */
int dr_node_demote(struct dr_node *, const char *like, const char *host,
    const char *port, const char *slot, int64_t until, struct dr_err *);
/* Takes standby.signal away again, while it runs. */
int dr_node_undemote(struct dr_node *, int64_t until, struct dr_err *);

/*
 * Does the WAL of a standby end with the record of a shutdown checkpoint, its
 * CRC good?  1 it does and all is replayed up to *END; 0 not (yet); -1.  Such
 * a record is written when recovery from a crash ends, too: *END has to be
 * beyond where the primary was before it was told to stop.
 */
int dr_node_shutdown_seen(struct dr_node *, uint64_t *end, int64_t until,
    struct dr_err *);
/*
 * Pure: is that the last record of the WAL that ends at END?  BUF holds the
 * LEN bytes before END, from the start of a page on: two pages are enough.
 */
bool dr_wal_ends_in_shutdown(const void *buf, size_t len, uint64_t end,
    uint32_t segsize, uint32_t blcksz);

/*
 * A row that is committed as the server is set to (pg/beat.h): the write
 * that counts.  1 acknowledged; 0 not, see ERR, err and ask.probe: the
 * connection has ended then, and the next call makes another; -1 stopped.
 */
int dr_node_write(struct dr_node *, int64_t until, struct dr_err *);

#endif /* !DR_PG_NODE_H */
