/*
 * verify_int.h - a run of dr_verify_all, shared by its parts.
 */
#ifndef DR_FLOW_VERIFY_INT_H
#define DR_FLOW_VERIFY_INT_H

#include "flow/catalogue.h"
#include "flow/verify.h"

struct dr_verify {
	const struct dr_verify_opts *o;
	dr_verify_fn *fn;
	void *arg;
	struct dr_verify_sum *sum;
	bool away; /* a store could not be read */
	const char *store;
};

/* Count it and tell of it. */
int
dr_verify_tell(struct dr_verify *, const struct dr_finding *, struct dr_err *);

/*
 * The chains of SET, each signer's by itself, also against the heads seen
 * here earlier, which are kept when nothing is wrong.
 */
int dr_verify_chains(struct dr_verify *, const char *set,
    const struct dr_backups *, struct dr_err *);

#endif /* !DR_FLOW_VERIFY_INT_H */
