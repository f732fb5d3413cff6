/*
 * seen.h - what dr-verify saw in a store, kept in the state: should it vanish
 * from there, the store was set back.
 *
 *	STATE/seen/STORE-SET-SIGNER.json		heads of a chain
 *	STATE/seen/wal-STORE-SET-SYSTEMID-SIGNER.json	the newest ledger
 *
 * STORE is made from dr_store_url.
 */
#ifndef DR_FLOW_SEEN_H
#define DR_FLOW_SEEN_H

#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "manifest/chain.h"

/* Whose; SYSTEM_ID for ledgers only. */
struct dr_seen_at {
	const char *state, *url, *set, *signer;
	uint64_t system_id;
};

/* The heads that were seen earlier: n = 0 when none.  put replaces them. */
int
dr_seen_heads(const struct dr_seen_at *, struct dr_heads *, struct dr_err *);
int dr_seen_put_heads(const struct dr_seen_at *, const struct dr_heads *,
    struct dr_err *);

struct dr_seen_ledger {
	uint64_t n;
	char name[128]; /* last part */
	char sha256[DR_SHA256_HEX];
};

/* 1, 0 none was seen, -1. */
int dr_seen_ledger(const struct dr_seen_at *, struct dr_seen_ledger *,
    struct dr_err *);
int dr_seen_put_ledger(const struct dr_seen_at *, const struct dr_seen_ledger *,
    struct dr_err *);

/*
 * All of which heads (or ledgers) were seen in AT's store; AT's signer and
 * system_id are ignored, and a SET of NULL is all.  Its strings are valid in
 * the call.  FN's -1 ends it.
 */
int dr_seen_each_heads(const struct dr_seen_at *at,
    int (*fn)(void *, const struct dr_seen_at *, struct dr_err *), void *arg,
    struct dr_err *);
int dr_seen_each_ledger(const struct dr_seen_at *at,
    int (*fn)(void *, const struct dr_seen_at *, struct dr_err *), void *arg,
    struct dr_err *);

#endif /* !DR_FLOW_SEEN_H */
