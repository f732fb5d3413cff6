/*
 * walledger.h - what a ledger is made from, and where its chain goes on.
 */
#ifndef DR_FLOW_WALLEDGER_H
#define DR_FLOW_WALLEDGER_H

#include "flow/walship_int.h"

enum dr_fate {
	DR_FATE_KEEP, /* not known yet what came of it */
	DR_FATE_TAKE, /* some store has it */
	DR_FATE_DROP, /* none has */
};

/* All that is new of one timeline. */
struct dr_wal_lists {
	uint32_t tli;
	const struct dr_intent **v; /* by name */
	size_t n;
	struct dr_ledger_gap *gap;
	size_t gaps;
};

/*
 * FN for each timeline, rising, of which there is something to say: the
 * intents that FATE takes, and as gaps the ranges that a store did not get,
 * neither so nor by another attempt.
 */
int dr_wal_lists(const struct dr_journal *, const enum dr_fate *fate,
    int (*fn)(void *, const struct dr_wal_lists *, struct dr_err *), void *arg,
    struct dr_err *);

/*
 * The newest of our own ledgers that the stores list and that is whole: to go
 * on from where the state was lost.  n = 0: there is none.  -1: no store
 * could be asked.
 */
int dr_wal_head_find(struct dr_ship *, struct dr_wal_head *, struct dr_err *);

#endif /* !DR_FLOW_WALLEDGER_H */
