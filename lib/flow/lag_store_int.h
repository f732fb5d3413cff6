/*
 * lag_store_int.h - what the files of lag_store share.
 *
 *	STATE/lag/STORE-SET.json	where the last report stood
 *	STATE/lag/samples-SYSTEMID	where the primary's WAL ended when
 *
 * STORE is made from dr_store_url.  All of it can be lost: the next report
 * then walks through the WAL since the newest backup once.
 */
#ifndef DR_FLOW_LAG_STORE_INT_H
#define DR_FLOW_LAG_STORE_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/known.h"
#include "flow/catalogue.h"
#include "flow/lag.h"
#include "manifest/manifest.h"
#include "pg/wal.h"

/* --- WAL as runs without a hole (lag_runs.c, pure) ---------------------------- */

struct dr_lag_run {
	uint64_t from, to;
	int64_t time; /* when what ends at TO arrived, the store's clock */
};

struct dr_lag_runs {
	struct dr_lag_run *v; /* sorted, apart */
	size_t n, cap;
};

int dr_lag_runs_add(struct dr_lag_runs *, const struct dr_lag_run *,
    struct dr_err *);
/* The run that holds LSN, or ends or begins there; or NULL. */
const struct dr_lag_run *dr_lag_runs_at(const struct dr_lag_runs *, uint64_t);
void dr_lag_runs_free(struct dr_lag_runs *);

/* --- samples (lag_sample.c) ------------------------------------------------- */

/*
 * At that time every commit that the primary had acknowledged lay before LSN
 * on TLI.  The two clocks are this host's: BOOT counts from when it started
 * and is DR_UNKNOWN where that was an earlier time than now.
 */
struct dr_lag_sample {
	uint32_t tli;
	uint64_t lsn;
	int64_t wall, boot;
};

#define DR_LAG_SAMPLES 512

struct dr_lag_samples {
	struct dr_lag_sample v[DR_LAG_SAMPLES]; /* oldest first */
	size_t n;
};

/* This host's clocks. */
struct dr_lag_now {
	int64_t wall, boot;
	char boot_id[40];
};
void dr_lag_now(struct dr_lag_now *);

/* How long ago, or DR_UNKNOWN: it lies in the future. */
int64_t
dr_lag_sample_age(const struct dr_lag_sample *, const struct dr_lag_now *);

/*
 * S follows what is there.  What contradicts it (the same timeline further
 * on, earlier) goes, and so do those that the others make up for.  Pure.
 */
void dr_lag_samples_add(struct dr_lag_samples *, const struct dr_lag_sample *s,
    const struct dr_lag_now *);

/* What was kept; nothing where there is none, or it is damaged. */
void dr_lag_samples_read(const char *state, uint64_t system_id,
    const struct dr_lag_now *, struct dr_lag_samples *);

/* What PRIMARY is a sample of; false: of nothing. */
bool dr_lag_sample_of(const struct dr_pg_view *primary,
    const struct dr_lag_now *, struct dr_lag_sample *);

/* --- what is known of a store (lag_known.c) ----------------------------------- */

/* A manifest, as far as a report needs it. */
struct dr_lag_backup {
	char id[DR_ID_LEN], parent[DR_ID_LEN]; /* parent "": none */
	uint64_t size; /* of the manifest's file, as listed, and its time */
	int64_t mtime;
	bool trusted, pruned, complete, wal, pg;
	bool listed; /* it is there now; not kept */
	bool fresh;  /* it is to be read; not kept */
	bool body;   /* so is its body, whole */
	bool tomb;   /* a note of its pruning is listed; not kept */
	int64_t started, stopped, committed, stored, raw;
	uint64_t system_id, start_lsn, stop_lsn;
	uint32_t tli, segsize;
	char object[128]; /* the body's last part */
};

struct dr_lag_line {
	uint32_t tli;
	bool history;   /* its .history is there (or it is the first) */
	uint64_t first; /* where its WAL begins in the store; UINT64_MAX */
	char *last;     /* the object listed last, full name; or NULL */
	uint64_t last_to;
	int64_t listed; /* when it was, by this host's clock */
	bool parts;     /* there were increments */
	struct dr_lag_runs runs;
};

struct dr_lag_known {
	char *path;
	char trust[65]; /* which keys trusted was found with */
	int64_t listed; /* when all of snap/ was, by this host's clock */
	char lost[256]; /* what was there and is gone; told for a day */
	int64_t lost_at;
	struct dr_lag_backup *backup; /* in order of started, then id */
	size_t backups;

	uint64_t system_id; /* whose WAL the rest is; 0 none */
	uint32_t segsize;
	uint64_t base;            /* WAL was looked at from there on */
	int64_t walked;           /* when all of it was */
	int64_t dirs;             /* when its timelines were asked for */
	struct dr_lag_line *line; /* rising */
	size_t lines;
};

/* An absent or damaged one is empty. */
int dr_lag_known_read(const struct dr_lag_opts *, const char *url,
    const char *set, struct dr_lag_known *, struct dr_err *);
int dr_lag_known_write(const struct dr_lag_known *, struct dr_err *);
void dr_lag_known_free(struct dr_lag_known *);
void dr_lag_lines_free(struct dr_lag_known *);

/* --- one look at a store ----------------------------------------------------- */

struct dr_lag_look {
	const struct dr_lag_opts *o;
	struct dr_store *store;
	const char *set;
	const struct dr_pg_view *primary; /* of this set's cluster, or NULL */
	const struct dr_rates *rates;     /* or NULL */
	struct dr_lag_now now;
	struct dr_lag_known known;
	struct dr_lag_store *out;
	struct dr_buf told;
};

/* One more thing to tell. */
int dr_lag_tell(struct dr_lag_look *, struct dr_err *, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Something that was there is gone: tell so, for a day. */
void dr_lag_lost(struct dr_lag_look *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define DR_LAG_DAY 86400000000LL /* us */

/* Bring known.backup up to date (lag_snap.c). */
int dr_lag_snap(struct dr_lag_look *, struct dr_err *);

/* The newest that can be restored: trusted, whole, with all it rests on. */
const struct dr_lag_backup *
dr_lag_usable(const struct dr_lag_known *, size_t before);
/* Bytes of it and of all that it rests on. */
uint64_t dr_lag_chain_bytes(const struct dr_lag_known *,
    const struct dr_lag_backup *, bool raw);

/* What is told of the newest, and against the last seven days (lag_trend.c). */
void dr_lag_trend(struct dr_lag_look *, const struct dr_lag_backup *newest);

/* Bring known.line up to date, from NEED on (lag_wal.c). */
int dr_lag_wal(struct dr_lag_look *, const struct dr_lag_backup *,
    uint64_t need, struct dr_err *);

/* --- conclusions (lag_reach.c, pure) ------------------------------------------- */

struct dr_lag_reach {
	uint32_t tli;
	uint64_t to;
	int64_t time;   /* DR_UNKNOWN: no WAL */
	uint64_t begin; /* of TLI, which left another after it; 0: did not */
	size_t gaps;
	uint64_t gap_from, gap_to, newest;
};

/*
 * How far WAL reaches from LSN on TLI, over timelines that join, up to
 * timeline LIMIT (0: any).  A new timeline's first segment begins with the
 * old one's pages, so it joins where it begins no later than the old one
 * reaches and no earlier than the segment of STOP, the least that a backup
 * needs; and no recovery finds the way to one without its history.
 */
void dr_lag_reach(const struct dr_lag_known *, uint32_t tli, uint64_t lsn,
    uint64_t stop, uint32_t limit, struct dr_lag_reach *);

/* rpo_bytes, rpo_us, rpo_bound from out->reach and samples. */
void dr_lag_rpo(struct dr_lag_look *, const struct dr_lag_samples *,
    const struct dr_lag_reach *);

#endif /* !DR_FLOW_LAG_STORE_INT_H */
