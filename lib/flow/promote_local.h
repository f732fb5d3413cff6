/*
 * promote_local.h - without etcd: the lock, the intent and the epoch in the
 * state of this host, STATE/promote/SET/.  It keeps two runs on one host
 * apart, and lets an interrupted one be gone on with there; of other hosts
 * nothing is known, which is why a fence has to prove that the old primary
 * is dead.
 */
#ifndef DR_FLOW_PROMOTE_LOCAL_H
#define DR_FLOW_PROMOTE_LOCAL_H

#include "base/err.h"
#include "flow/promote.h"

/* Intent and epoch, as far as there are any, into LOOK. */
int dr_promote_local_load(const char *state, const char *set,
    struct dr_promote_look *look, struct dr_err *);
/* A descriptor whose closing unlocks; DR_ERETRY: somebody has it. */
int dr_promote_local_lock(const char *state, const char *set, struct dr_err *);
/* Durable.  NULL: there is none any more. */
int dr_promote_local_intent(const char *state, const char *set,
    const struct dr_rec_intent *, struct dr_err *);
int dr_promote_local_epoch(const char *state, const char *set,
    const struct dr_rec_epoch *, struct dr_err *);

#endif /* !DR_FLOW_PROMOTE_LOCAL_H */
