/*
 * publish.h - a signed file into stores, all of them at once: its signature
 * first, so that a file that is seen can be checked, then the file itself.
 */
#ifndef DR_FLOW_PUBLISH_H
#define DR_FLOW_PUBLISH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

#define DR_PUBLISH_STORES 16

struct dr_signed_file {
	const char *name; /* the object's; NAME.minisig is its signature's */
	const char *text, *minisig;
};

#define DR_DOUBT_SIG  1U
#define DR_DOUBT_FILE 2U
#define DR_DOUBT_BOTH (DR_DOUBT_SIG | DR_DOUBT_FILE)

enum dr_published {
	DR_PUB_FAILED, /* not there, as far as is known: try again */
	DR_PUB_DONE,   /* it is there, byte for byte */
	DR_PUB_OTHER,  /* another's file has the name: trying again is vain */
	DR_PUB_HIDDEN, /* there is one that cannot be read to compare */
};

struct dr_publish {
	struct dr_store *store;
	/*
	 * In: which files an earlier attempt with just these bytes has put, or
	 * may have put, its reply being lost.  Out: the same now.  Where a store
	 * has the name and does not let us read, that is what makes it ours.
	 */
	unsigned doubt;
	enum dr_published result;
	struct dr_err err; /* unless done */
};

/*
 * Into each store of V (N, at most DR_PUBLISH_STORES).  Returns when all have
 * answered, or GRACE_MS after REQUIRE (0: all) of them have.  -1: a stop
 * signal; what is in V is true in any case.
 */
int dr_publish(const struct dr_signed_file *, struct dr_publish *v, size_t n,
    size_t require, uint64_t grace_ms, struct dr_err *);

#endif /* !DR_FLOW_PUBLISH_H */
