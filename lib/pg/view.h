/*
 * view.h - what servers say of themselves: role, positions, standbys, slots,
 * archiver, receiver; many servers at once, one round trip each.
 *
 * Times are microseconds since 1970, ages and lags microseconds, both by the
 * server's clock (its now() is in the view, beside our own clock's); LSNs are
 * 0, all else DR_UNKNOWN (base/known.h), where the server said NULL or kept it
 * from this user.  Nothing is computed here that the server did not say: what
 * it means is judged in flow/lag.h.
 */
#ifndef DR_PG_VIEW_H
#define DR_PG_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/known.h"
#include "pg/probe.h"

struct dr_pg_standby {    /* of pg_stat_replication */
	char *name;       /* application_name */
	char *addr;       /* client_addr, or "" for a socket */
	char *state;      /* "streaming", "catchup", ...; "" is hidden */
	char *sync_state; /* "sync", "quorum", "potential", "async" */
	char *slot;       /* its slot's name, or "" */
	int64_t pid;
	uint64_t sent, write, flush, replay;
	int64_t write_lag, flush_lag, replay_lag;
	int64_t reply_time;
};

struct dr_pg_slot {
	char *name, *type; /* "physical", "logical" */
	char *database;    /* of a logical one, else "" */
	char *
	    wal_status; /* "reserved", "extended", "unreserved", "lost" or "" */
	char *invalid;  /* invalidation_reason (17), or "" */
	bool active, temporary, failover, synced;
	uint64_t restart, confirmed;
	int64_t safe_wal_size;  /* may be negative */
	int64_t inactive_since; /* 17 */
};

struct dr_pg_view {
	char *name;  /* how it is called: cluster_name, else HOST:PORT */
	char *where; /* "HOST:PORT", or "DIRECTORY:PORT"; from the string */
	struct dr_probe probe; /* whether, and how, it answered */

	/* All below only where probe.state is one that answers. */
	int version;        /* 150004 */
	uint64_t system_id; /* 0 unknown */
	uint32_t tli;       /* of its WAL, or last replayed; 0 unknown */
	uint32_t segsize;
	bool in_recovery, read_only, hidden; /* hidden: pg_monitor is missing */
	bool archiving;  /* archive_mode on (or always, for a standby) */
	int64_t now;     /* the server's clock */
	int64_t asked;   /* ours, in the middle of the round trip */
	int64_t started; /* the postmaster */
	char *cluster_name, *sync_names, *sync_commit;

	/* A primary's. */
	uint64_t lsn; /* pg_current_wal_flush_lsn(), in recovery 0 */

	/* A standby's. */
	uint64_t received, replayed;
	int64_t replayed_time; /* pg_last_xact_replay_timestamp() */
	int64_t apply_delay;   /* recovery_min_apply_delay */
	bool paused;           /* replay is, or is asked to be */
	char *receiver;        /* status of the walreceiver; "" there is none */
	char *sender;          /* "HOST:PORT" that it streams from, or "" */
	uint32_t received_tli;
	uint64_t latest_end; /* end of WAL its sender told it */
	int64_t last_msg;    /* when the sender was last heard of */
	int64_t conflicts;   /* queries cancelled, all databases */

	struct { /* pg_stat_archiver and archive_status */
		int64_t archived, failed; /* counts */
		char *last_wal, *failed_wal;
		int64_t last_time, failed_time;
		int64_t ready; /* .ready files */
		int64_t
		    oldest_ready; /* time of the oldest; unknown when none */
	} archiver;

	struct dr_pg_standby *standby;
	size_t standbys;
	struct dr_pg_slot *slot;
	size_t slots;
};

/*
 * Ask each of the N servers that CONNINFO names, all at once, each to be
 * answered within TIMEOUT_MS.  A string that lists several hosts is as many
 * servers.  *V, *COUNT: one view for each, in that order, whatever became of
 * it.  Nothing is written, nothing locked.  -1: no memory, a string that
 * cannot be parsed (DR_EUSAGE), a stop signal.
 */
int dr_pg_views(const char *const *conninfo, size_t n, int timeout_ms,
    struct dr_pg_view **v, size_t *count, struct dr_err *);
void dr_pg_views_free(struct dr_pg_view *, size_t);

/*
 * The same of N hosts (pg/hosts.h), until UNTIL (dr_monotonic), and ASK,
 * zeroed, one for each, holds the connections afterwards: idle, or ended.
 * GRACE_US, unless 0: one from which nothing came for that long, since anybody
 * last answered, is waited for no longer.  MEANWHILE, unless NULL, is called
 * once, when all are being connected to; what it takes is not taken from them.
 */
struct dr_ask;
struct dr_pg_host;
int dr_pg_views_keep(struct dr_pg_host *host, size_t n, int64_t until,
    int64_t grace_us, void (*meanwhile)(void *), void *arg,
    struct dr_pg_view **v, struct dr_ask *ask, struct dr_err *);

#endif /* !DR_PG_VIEW_H */
