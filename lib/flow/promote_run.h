/*
 * promote_run.h - what the runs of promote.h have in common: the lock, the
 * intent, what is done to all nodes, and how it is taken back; not for others.
 */
#ifndef DR_FLOW_PROMOTE_RUN_H
#define DR_FLOW_PROMOTE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/promote.h"
#include "flow/promote_hook.h"

struct dr_run {
	const struct dr_promote_opts *o;
	struct dr_promote_event *ev;
	enum dr_promote_verb verb;
	struct dr_promote_look look;
	struct dr_plan plan;
	struct dr_held held; /* of etcd's lock */
	int flock;           /* without etcd: the state's; -1 */
	bool locked;
	bool asking; /* etcd is being asked, just now */
	bool lost;   /* the lease */
	struct dr_rec_intent intent;
	bool intended;      /* the intent is recorded */
	int64_t intent_was; /* its mod_revision; 0: there is none */
	bool resumed;       /* somebody else's intent is gone on with */
	bool touched;       /* something was done to a server, or a router */
	bool paused;        /* the router is */
	bool demoted;       /* standby.signal was placed */
	struct dr_node_end *end; /* of each server, once cut off; else NULL */
	int64_t epoch;           /* that this run leads to */
	/* Of whom hooks are told. */
	char new_host[256], new_port[8], old_host[256], old_port[8];
	char old_name[DR_NODE_NAME];
};

/* By dr_monotonic(), from now. */
int64_t dr_run_until(uint64_t ms);

/* Look and judge.  The caller calls dr_run_end in any case. */
int dr_run_begin(struct dr_run *, const struct dr_promote_opts *,
    enum dr_promote_verb, struct dr_promote_event *, struct dr_err *);
/* Judge (again), with the ends where they are known. */
int dr_run_judge(struct dr_run *, struct dr_err *);
/*
 * Does the plan, or want of --yes, forbid it?  -1: DR_EPARTIAL, all refusals
 * told.
 */
int dr_run_allowed(struct dr_run *, struct dr_err *);

/* Take the lock and record the intent to make WHOM primary. */
int dr_run_lock(struct dr_run *, struct dr_err *);
/*
 * Record that STEP begins (and the new epoch with DR_STEP_PROMOTING).  -1:
 * the lock is lost (DR_ERETRY), or etcd is away: it was not recorded, and
 * must not begin.
 */
int dr_run_step(struct dr_run *, enum dr_step, struct dr_err *);
/*
 * Where the lock was lost: take it again, if nobody has and what is intended
 * is still ours.  False: what was begun is somebody else's to take back.
 */
bool dr_run_relock(struct dr_run *);
/* Renew the lock if that is due. */
int dr_run_tick(struct dr_run *, struct dr_err *);

struct dr_plan_node *dr_run_chosen(const struct dr_run *);
struct dr_node *dr_run_node(const struct dr_run *); /* the chosen one's */
/* The nodes that answer as standbys, but for the chosen one if OTHERS. */
size_t dr_run_standbys(const struct dr_run *, bool others,
    struct dr_node *out[DR_PG_HOSTS_MAX]);

/* Cut all standbys off and learn where they end; judge again. */
int dr_run_cut(struct dr_run *, struct dr_err *);
/* Point the others at the chosen one, and let it demand their word. */
int dr_run_gather(struct dr_run *, struct dr_err *);
/* Promote it, and write: with DR_STEP_PROMOTING and DR_STEP_PROMOTED. */
int dr_run_promote(struct dr_run *, struct dr_err *);
/* The router's hook, if there is one: "pause", "switch", "resume". */
int dr_run_route(struct dr_run *, const char *action, struct dr_err *);
/* A hook about the old primary: "fence", "stop", "start". */
int dr_run_hook(struct dr_run *, const char *kind, const char *command,
    const char *role, const char *mode, uint64_t ms, enum dr_hook_said *,
    struct dr_err *why, struct dr_err *);

/*
 * Proof that the old primary writes no more: the hook's, or that all who could
 * acknowledge are cut off, or that the leadership of its guard has run out.
 */
int dr_run_fence(struct dr_run *, struct dr_err *);

/* A run got as far as promoting somebody, and not to its end. */
bool dr_run_left_behind(const struct dr_promote_look *);
/*
 * Go on with that: the same candidate, whatever was not done yet.  It may
 * have been promoted already; if it does not answer it is refused.
 */
int dr_run_go_on(struct dr_run *, struct dr_err *);
/* Start what was primary, now stopped, as a standby, and wait for it. */
int dr_run_start_old(struct dr_run *, struct dr_err *);

/* What stopped the run does not stop what it takes back, and tells. */
void dr_run_settle(void);

/*
 * Before the point of no return: give everything back, as far as that is
 * possible (what is not is warned of), and take the intent away.
 */
void dr_run_back(struct dr_run *);

/*
 * Tell the event, let go of the lock and everything else.  With ERR set it
 * becomes: DR_EPARTIAL where nothing was changed, DR_EFAIL where something
 * was, and a hint how to go on.
 */
int dr_run_end(struct dr_run *, struct dr_err *);

/* The address of server AT, by which other nodes reach it. */
int dr_run_address(const struct dr_promote_look *, int at, char host[256],
    char port[8], struct dr_err *);

#endif /* !DR_FLOW_PROMOTE_RUN_H */
