/*
 * promote.h - from a primary that is gone, or is to step down, to another:
 * no acknowledged commit lost, no second primary.
 *
 * Everything begins with a look (promote_look.c) at all servers and at etcd,
 * from which a plan is made by pure judgement (promote_judge.c): who could
 * take over, what speaks against it, what would be lost.  A run
 * (promote_run.c) does what the plan says, step by step, each recorded in
 * etcd before it begins, so that a run that was interrupted is gone on with,
 * or undone, by the next one.
 */
#ifndef DR_FLOW_PROMOTE_H
#define DR_FLOW_PROMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "coord/coord.h"
#include "coord/records.h"
#include "pg/hosts.h"
#include "pg/node.h"
#include "pg/syncnames.h"
#include "pg/view.h"

struct dr_promote_opts {
	const char *set, *state;
	const char *const *conninfo; /* all servers, the old primary's too */
	size_t conninfos;
	const char *candidate;                    /* NULL: the best */
	struct dr_coord *coord;                   /* NULL: --lock none */
	const char *fence, *stop, *start, *route; /* hooks; may be NULL */
	const char *through;    /* connection string through the router */
	const char *sync_names; /* synchronous_standby_names, where no record
	                           tells; NULL */
	int64_t max_loss;       /* bytes; 0: none, DR_UNKNOWN: not given */
	bool allow_data_loss, allow_async, cross_region;
	bool yes, dry_run, json;
	int observers;       /* that must agree; 0: none are asked */
	const char *vote;    /* failover: that observer's, "down"; NULL */
	int ttl;             /* of the lock, seconds */
	uint64_t timeout_ms; /* of a query, or a connection */
	/*
	 * Of a server from which nothing comes, once all others have answered;
	 * 0: as TIMEOUT_MS.
	 */
	uint64_t grace_ms;
	uint64_t stop_ms, pause_ms, promote_ms; /* of these steps */
	uint64_t restart_ms; /* failover: try the start hook first, so long;
	                         0: no */
};

enum dr_promote_verb {
	DR_VERB_FAILOVER,
	DR_VERB_SWITCHOVER,
	DR_VERB_FOLLOW,
	DR_VERB_UNDO,
};

/* --- the look -------------------------------------------------------------- */

/* What is known of one server besides its view and its facts. */
struct dr_promote_seen {
	/*
	 * The name by which it acknowledges: application_name of its
	 * connection to the primary; "" not known.
	 */
	char member[DR_NODE_NAME];
	/*
	 * Asked again, it had received more of a primary that none of us can
	 * reach: FROM and TO are the ends of what it was sent.
	 */
	bool advances;
	uint64_t from, to;
};

struct dr_promote_look {
	int64_t now; /* our clock, microseconds since 1970 */
	struct dr_pg_host *host;
	struct dr_pg_view *view; /* name: also of one that does not answer */
	struct dr_node *node;
	struct dr_promote_seen *seen;
	size_t n; /* of each of the four */

	bool coord;         /* etcd was asked, and all below is from it */
	struct dr_err away; /* it was, and this came of it */
	bool run_ours;      /* the lock is the caller's, who sets this */
	struct dr_coord_look keys;
	bool has_epoch, has_intent, has_sync, has_hold, has_run, has_leader;
	struct dr_rec_epoch epoch;
	struct dr_rec_intent intent;
	struct dr_rec_sync sync;
	struct dr_rec_hold hold;
	struct dr_rec_run run;
	char leader[DR_NODE_NAME]; /* who holds the leadership's lease */
	struct dr_rec_node *report;
	size_t reports;
	struct dr_rec_vote *vote;
	size_t votes;
};

/*
 * Look at all servers at once and, where COORD is not NULL, at etcd.  The
 * nodes' connections stay.  -1: a string that cannot be used, a stop signal,
 * no memory; DR_EDATA a record that cannot be read; DR_ERETRY etcd is away:
 * then AWAY says so, too, and the rest of the look is whole.  To be wiped in
 * any case.
 */
int dr_promote_look(const struct dr_promote_opts *, struct dr_promote_look *,
    struct dr_err *);
/* The part of etcd anew, e.g. for what receivers of WAL say by now. */
int dr_promote_look_coord(const struct dr_promote_opts *,
    struct dr_promote_look *, struct dr_err *);
void dr_promote_look_wipe(struct dr_promote_look *);
/* By name; -1: there is none. */
int dr_promote_find(const struct dr_promote_look *, const char *name);

/* --- the plan ---------------------------------------------------------------- */

#define DR_PLAN_SAYS 16

struct dr_plan_says {   /* one reason */
	char word[24];  /* for programs: "diverged", "held", "no_quorum" */
	char text[256]; /* for people */
	char hint[160]; /* what to do, with its cost; "" */
};

struct dr_plan_node {
	int at;           /* index into the look */
	bool eligible;    /* nothing below speaks against it */
	int rank;         /* 1 is the best of the eligible; 0 none */
	bool ancestor_ok; /* its WAL is on the line of the most advanced */
	bool synchronous; /* a member of the synchronous set */
	uint32_t tli;
	uint64_t lsn;      /* GREATEST(received, replayed) */
	int64_t behind;    /* bytes to the most advanced; DR_UNKNOWN */
	int64_t to_replay; /* bytes it has and has not replayed */
	size_t says;
	struct dr_plan_says say[DR_PLAN_SAYS];
};

struct dr_plan {
	enum dr_promote_verb verb;
	int primary; /* index of the one that answers as primary, or -1 */
	int old;     /* of the one that was, or is to step down, or -1 */
	char old_name[DR_NODE_NAME]; /* also where it is not in the look; "" */
	int chosen;                  /* index into NODE, or -1 */
	struct dr_plan_node *node;
	size_t n;
	struct dr_syncnames names; /* that had to acknowledge */
	bool names_known;
	size_t cut; /* members whose end is known, once cut off */
	bool held;  /* no acknowledged commit can be lost: R + W > N */
	int64_t loss_bytes, loss_us; /* at most, else DR_UNKNOWN */
	/*
	 * By what the old primary counts as fenced: "stop" (switchover),
	 * "hook", "lease", "quorum", "word" (--yes); "": it does not.
	 */
	char fence[24];
	int64_t rto_us;  /* the caller's: dr_promote_rto(); DR_UNKNOWN */
	size_t refusals; /* what speaks against doing it at all */
	struct dr_plan_says refusal[DR_PLAN_SAYS];
	size_t warnings;
	struct dr_plan_says warning[DR_PLAN_SAYS];
};

/*
 * Pure.  An intent that was not finished is gone on with where it has the
 * same verb: its candidate is chosen then, and no other.  ENDS, where not NULL, are the ends that candidates were found to
 * have after they were cut off (one for each server of the look); without
 * them the views' positions are taken.
 */
int dr_promote_judge(const struct dr_promote_opts *, enum dr_promote_verb,
    const struct dr_promote_look *, const struct dr_node_end *ends,
    struct dr_plan *, struct dr_err *);
void dr_promote_plan_wipe(struct dr_plan *);

/* A table and sentences for people, or one JSON object; appended. */
int dr_plan_text(const struct dr_promote_opts *, const struct dr_promote_look *,
    const struct dr_plan *, struct dr_buf *, struct dr_err *);
int dr_plan_json(const struct dr_promote_opts *, const struct dr_promote_look *,
    const struct dr_plan *, struct dr_buf *, struct dr_err *);

/* What is, for `status`: epoch, leader, run, intent, hold, nodes; appended. */
int dr_promote_status(const struct dr_promote_opts *,
    const struct dr_promote_look *, struct dr_buf *, struct dr_err *);

/* --- what happened ------------------------------------------------------------- */

struct dr_promote_event { /* microseconds since 1970; DR_UNKNOWN */
	char verb[16], candidate[DR_NODE_NAME], former[DR_NODE_NAME];
	char result[16]; /* "done", "refused", "failed", "undone" */
	char why[256];
	int64_t t_began, t_last_ack, t_detect, t_lock, t_fenced, t_promote,
	    t_first_write, t_routed, t_ended;
	char fenced_by[24]; /* "hook", "lease", "quorum", "stop" */
	bool protected_;    /* the first write was acknowledged by the set */
	int64_t rto_us, rpo_bytes;
	int64_t token, epoch;
	uint32_t tli;
	uint64_t fork;
	char gave_up[256]; /* of what, by whose say-so; "" */
};

int dr_promote_event_json(const struct dr_promote_event *, struct dr_buf *,
    struct dr_err *);
/*
 * Keep it: in etcd's history, in STATE/promote/SET/history.jsonl, in metrics
 * and in the audit trail.
 */
int dr_promote_event_keep(const struct dr_promote_opts *,
    const struct dr_promote_event *, struct dr_err *);
/* The latest MAX of them, oldest first, as text or JSON; appended. */
int dr_promote_history(const struct dr_promote_opts *, size_t max,
    struct dr_buf *, struct dr_err *);
/* How long the last ones took, the median; DR_UNKNOWN. */
int64_t dr_promote_rto(const struct dr_promote_opts *);

/* --- the runs -------------------------------------------------------------------- */

/*
 * 0 done.  -1: DR_EPARTIAL refused, nothing was changed; DR_ERETRY the lock
 * is somebody's, or etcd is away, nothing was changed; DR_EFAIL failed
 * midway: a run of the same again goes on, `undo` takes back what can be.
 * EVENT tells of it in any case.
 */
int dr_promote_failover(const struct dr_promote_opts *,
    struct dr_promote_event *, struct dr_err *);
int dr_promote_switchover(const struct dr_promote_opts *,
    struct dr_promote_event *, struct dr_err *);
int dr_promote_follow(const struct dr_promote_opts *, struct dr_promote_event *,
    struct dr_err *);
int dr_promote_undo(const struct dr_promote_opts *, struct dr_promote_event *,
    struct dr_err *);

#endif /* !DR_FLOW_PROMOTE_H */
