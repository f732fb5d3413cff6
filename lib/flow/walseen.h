/*
 * walseen.h - the newest ledgers that dr-verify saw in a store, kept under
 * STATE/seen: should one vanish, the store was set back.
 */
#ifndef DR_FLOW_WALSEEN_H
#define DR_FLOW_WALSEEN_H

#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "manifest/ledger.h"

/* Where: the store by its dr_store_url. */
struct dr_walseen_at {
	const char *state, *url, *set;
	uint64_t system_id;
	const char *signer;
};

struct dr_walseen {
	uint64_t n;
	char name[128]; /* last part */
	char sha256[DR_SHA256_HEX];
};

/* 1, 0 none was seen, -1. */
int dr_walseen_get(const struct dr_walseen_at *, struct dr_walseen *,
    struct dr_err *);
int dr_walseen_put(const struct dr_walseen_at *, const struct dr_walseen *,
    struct dr_err *);

/*
 * Each system id and signer of whom ledgers were seen in that store and set.
 * FN's -1 ends it.
 */
int dr_walseen_each(const char *state, const char *url, const char *set,
    int (*fn)(void *, uint64_t system_id, const char *signer, struct dr_err *),
    void *arg, struct dr_err *);

#endif /* !DR_FLOW_WALSEEN_H */
