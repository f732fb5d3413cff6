/*
 * lag.h - the report of dr-lag: servers, stores, backups, and what they mean
 * against the objectives.
 *
 * lag_servers fills in what servers say, lag_store what one store says,
 * lag_judge draws the conclusions; lag_table, lag_json, lag_prom and
 * lag_nagios write it out.  Unknown is DR_UNKNOWN throughout, and worse than
 * any number: a report with something unknown is never "within objectives".
 */
#ifndef DR_FLOW_LAG_H
#define DR_FLOW_LAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/known.h"
#include "base/metrics.h"
#include "base/opt.h"
#include "crypt/minisign.h"
#include "flow/rates.h"
#include "pg/view.h"
#include "store/store.h"

struct dr_lag;

struct dr_lag_opts {
	const char *set; /* NULL: all sets of the stores */
	const char *const *conninfo;
	size_t conninfos;
	const char *const *expect; /* names of standbys that must be there */
	size_t expects;
	int64_t rpo, rto; /* objectives, us; DR_UNKNOWN: SET.conf's, or none */
	int timeout_ms;
	const char *state;
	const struct dr_verify_keys *keys; /* NULL: signatures not looked at */
	bool heartbeat;                    /* flow/heartbeat.h */
	/* Called when servers have answered, before stores are read. */
	void (*seen)(void *arg, const struct dr_lag *);
	void *seen_arg;
};

/* What is wrong, by how bad it is. */
enum dr_lag_level { DR_LAG_OK, DR_LAG_WARN, DR_LAG_BAD, DR_LAG_UNKNOWN };

/* One thing to tell: "archive-gap", "standby-missing", ... */
struct dr_lag_note {
	enum dr_lag_level level;
	const char *what; /* a word, a constant */
	char *about;      /* the server, standby, slot or store; or "" */
	char *text;       /* a sentence for people */
};

/* Where one standby stands: seen from its sender, from itself, or both. */
struct dr_lag_standby {
	char *name;
	const struct dr_pg_view *self;   /* NULL: it was not asked */
	const struct dr_pg_view *sender; /* NULL: nobody sends to it */
	const struct dr_pg_standby *row; /* in sender's view */
	bool expected, streaming, paused, diverged;
	bool
	    receiver; /* it keeps WAL and replays none: dr-wal, pg_receivewal */
	bool logical; /* a subscriber, not a copy */
	uint32_t tli; /* 0 unknown */
	int64_t write_bytes, flush_bytes, replay_bytes; /* behind the primary */
	int64_t write_us, flush_us, replay_us;
	int64_t heartbeat_us; /* true delay by one clock; only with it */
	int64_t last_msg_us;  /* age of the last message of its sender */
};

/* What is laid down for one set: by options, else by its SET.conf. */
struct dr_lag_goal {
	char *set;              /* "" where no set is named */
	int64_t rpo, rto;       /* us; DR_UNKNOWN: none */
	int64_t backup_max_age; /* of the newest backup */
	int64_t verify_max_age; /* since one was last verified */
	char *tier;             /* "" where none is named */
	int64_t runs, failures; /* of backups, on this host */
};

/* WAL and backups of one set in one store. */
struct dr_lag_store {
	const char *url;
	char *set;
	struct dr_err err; /* it could not be read: then all is unknown */
	char *told;        /* what else is wrong there, in words; or NULL */
	uint64_t system_id;

	uint32_t tli;
	uint64_t reach; /* end of WAL without a hole since the newest backup */
	int64_t reach_time;        /* when the object that holds it arrived */
	size_t gaps;               /* between there and the newest WAL */
	uint64_t gap_from, gap_to; /* the first */
	uint64_t newest;           /* end of the newest WAL of all */
	int64_t rpo_bytes, rpo_us; /* from reach to the primary's end: lost if
	                              it burned now */
	bool rpo_bound; /* rpo_us is a bound, by samples of the primary; else
	                    an estimate, by the store's times */

	size_t backups;
	char *id; /* of the newest complete backup; NULL none */
	int64_t started, stopped, committed, stored, raw, duration;
	uint64_t stop_lsn;
	uint32_t stop_tli;
	int64_t verified, deep_verified,
	    restored; /* when last, unknown never */
	int64_t size_change, duration_change, wal_change; /* per mille of the
	                              median of the last seven days' */
	int64_t rto_us; /* predicted; and what it is made of */
	int64_t fetch_us, replay_us;
};

struct dr_lag {
	int64_t time; /* ours, microseconds */
	struct dr_pg_view *server;
	size_t servers;
	struct dr_lag_standby *standby;
	size_t standbys;
	struct dr_lag_store *store;
	size_t stores;
	struct dr_lag_note *note; /* worst first */
	size_t notes;
	const struct dr_pg_view *primary; /* the one; NULL: none, or several */
	size_t primaries;
	struct dr_lag_goal *goal; /* of each set there is */
	size_t goals;
	/* The worst: BAD before UNKNOWN, as what is known to be so. */
	enum dr_lag_level level;
};

/*
 * One report.  Stores are borrowed, and asked one after the other in the time
 * that servers take.  What could not be asked is in the report; -1 is for a
 * mistake in OPTS, a stop signal, or no memory.
 */
int dr_lag_report(const struct dr_lag_opts *, struct dr_store *const *, size_t,
    struct dr_lag *, struct dr_err *);
void dr_lag_free(struct dr_lag *);

/* --- its parts -------------------------------------------------------------- */

/*
 * What STORE holds of SET (all sets: called for each).  PRIMARY may be NULL.
 * Looks only at what is new since the last time (STATE/lag/), never through
 * the whole store.  Fills *OUT in any case.
 */
int dr_lag_store_read(const struct dr_lag_opts *, struct dr_store *,
    const char *set, const struct dr_pg_view *primary, const struct dr_rates *,
    struct dr_lag_store *out, struct dr_err *);

/* Free what it holds; URL is the store's. */
void dr_lag_store_wipe(struct dr_lag_store *);

/* Remember where the primary's WAL ended when: what bounds rpo_us. */
int dr_lag_sample(const char *state, const struct dr_pg_view *primary,
    struct dr_err *);

int dr_lag_note(struct dr_lag *, enum dr_lag_level, const char *what,
    const char *about, struct dr_err *, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/*
 * Fill in standbys, primary and primaries from servers (lag_match.c says
 * how the two views of one standby find each other), and give servers names
 * of their own.  Pure.
 */
int dr_lag_match(struct dr_lag *, const struct dr_lag_opts *, struct dr_err *);

/* The same server, named twice. */
bool dr_lag_same(const struct dr_pg_view *, const struct dr_pg_view *);

/* What holds for SET; NULL nothing. */
const struct dr_lag_goal *dr_lag_goal(const struct dr_lag *, const char *set);

/* Fill in notes and level.  Pure. */
int dr_lag_judge(struct dr_lag *, const struct dr_lag_opts *, struct dr_err *);

/*
 * Pure; appended to OUT.  COLUMNS: as wide as the terminal is, 0 no limit:
 * what matters least is left out then.
 */
int dr_lag_table(const struct dr_lag *, bool color, unsigned columns,
    struct dr_buf *out, struct dr_err *);
int dr_lag_json(const struct dr_lag *, struct dr_buf *out, struct dr_err *);
int dr_lag_prom(const struct dr_lag *, struct dr_buf *out, struct dr_err *);
/* The samples, into M (base/metrics.h). */
int dr_lag_metrics(const struct dr_lag *, struct dr_metrics *, struct dr_err *);
/* One line; returns Nagios's 0 to 3, or -1. */
int dr_lag_nagios(const struct dr_lag *, struct dr_buf *out, struct dr_err *);

enum dr_lag_form {
	DR_LAG_TABLE,
	DR_LAG_JSON,
	DR_LAG_PROMETHEUS,
	DR_LAG_NAGIOS,
};

/*
 * On standard output, and with --metrics-dir as dr-lag_SET.prom, or, where
 * SET is NULL, dr-lag.prom.  Returns the exit status that goes with it, or -1.
 */
int dr_lag_print(const struct dr_lag *, enum dr_lag_form, const char *set,
    struct dr_err *);

/*
 * The table on the terminal, again every INTERVAL_MS until a stop signal.
 * Standard output that is no terminal: DR_EUSAGE.
 */
int dr_lag_watch(const struct dr_lag_opts *, struct dr_store *const *, size_t,
    uint64_t interval_ms, struct dr_err *);

/*
 * Serve the report, made anew every INTERVAL_MS by a child, on ADDR
 * (http/listen.h) until a stop signal:
 *
 *	/metrics	samples, and how old they are
 *	/status		JSON; 503 when it is older than three intervals
 *	/primary, /replica, /read-write, /health
 *			200 or 503; 503 when servers were last seen three
 *			intervals ago; "?server=NAME" says which one is meant,
 *			else the first; "?lag=SIZE" for /replica
 *
 * What a slow store delays is the report, not the state of servers.
 */
int dr_lag_serve(const struct dr_lag_opts *, struct dr_store *const *, size_t,
    const char *addr, uint64_t interval_ms, struct dr_err *);

/* Exit status: 0 within objectives, 3 beyond or unknown, 5 no server answers. */
int dr_lag_status(const struct dr_lag *);

#endif /* !DR_FLOW_LAG_H */
