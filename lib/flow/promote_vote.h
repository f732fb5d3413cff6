/*
 * promote_vote.h - an observer's vote that the primary is down, and those of
 * the others that must agree; not for others than promote_*.c.
 */
#ifndef DR_FLOW_PROMOTE_VOTE_H
#define DR_FLOW_PROMOTE_VOTE_H

#include "base/err.h"
#include "flow/promote_run.h"

/*
 * After dr_run_begin: where opts say so (vote) and no primary answers, put
 * that observer's vote into etcd, as "observer/NAME", for the lock's TTL.  If
 * nothing but more votes is wanted for, wait for those, timeout_ms at most.
 * The look and the plan are then as of afterwards; what they say of the votes
 * is for dr_run_allowed.  The vote stays when the run ends: others may need
 * it still.
 */
int dr_run_vote(struct dr_run *, struct dr_err *);

#endif /* !DR_FLOW_PROMOTE_VOTE_H */
