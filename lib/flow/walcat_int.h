/*
 * walcat_int.h - a run of dr_walcat_read, shared by its parts.
 */
#ifndef DR_FLOW_WALCAT_INT_H
#define DR_FLOW_WALCAT_INT_H

#include "flow/walcat.h"

struct dr_walcat_run {
	struct dr_store *store;
	const char *set;
	const struct dr_verify_keys *keys;
	int (*report)(void *, const char *, struct dr_err *);
	void *arg;
	struct dr_walcat *out;
	char **ledger; /* names of all that are listed */
	size_t ledgers;
};

/* Count it and tell of it; -1 is that of the one who is told. */
int dr_walcat_fault(struct dr_walcat_run *, struct dr_err *, const char *, ...)
    __attribute__((format(printf, 3, 4)));

/* Sort the links; what does not follow what was before it is a fault. */
int dr_walcat_chain(struct dr_walcat_run *, struct dr_err *);

/* The timelines, from the entries in order. */
int dr_walcat_maps(struct dr_walcat *, struct dr_err *);

#endif /* !DR_FLOW_WALCAT_INT_H */
