/*
 * check.h - what a credential may do in a store, and what the store holds to,
 * tried on a probe (--check).
 *
 * The probe is <set>/snap/probe-TIME-RANDOM (a WAL host's lies under wal/,
 * others' right under the set) of a few bytes.  It is removed again where
 * that is allowed, with the directories that were made for it.
 */
#ifndef DR_FLOW_CHECK_H
#define DR_FLOW_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "store/store.h"
#include "stream/sink.h"

/* Which rights a host needs; see dr-stores(7). */
enum dr_role {
	DR_ROLE_BACKUP,  /* create under snap/ */
	DR_ROLE_WAL,     /* create, get and list under wal/ */
	DR_ROLE_RESTORE, /* get and list */
	DR_ROLE_MIRROR,  /* create, get and list; of two stores, the first as
	                  * DR_ROLE_RESTORE */
	DR_ROLE_PRUNE,   /* create, get, list and delete */
};

struct dr_check_opts {
	enum dr_role role;
	const char *set;           /* or NULL: the probe lies at the top */
	const char *const *stores; /* URLs */
	size_t nstores;
	const struct dr_store_opts *how; /* a lock asked for is tried */
	bool json;
};

/*
 * A report of every store into OUT, as it is found.  0: all rights that the
 * role needs are there, create-only is honoured, and a lock asked for holds.
 * -1: DR_EFAIL: one that is needed is missing, or a store cannot be used at
 * all; else DR_ERETRY: one is away; else DR_EPARTIAL: objects can be
 * overwritten in spite of a condition, or a lock did not hold.  A right that the role should rather not have is a
 * remark.
 */
int
dr_check(const struct dr_check_opts *, struct dr_sink *out, struct dr_err *);

#endif /* !DR_FLOW_CHECK_H */
