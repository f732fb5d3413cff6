/*
 * walship_int.h - what puts WAL into stores, shared by its parts.
 */
#ifndef DR_FLOW_WALSHIP_INT_H
#define DR_FLOW_WALSHIP_INT_H

#include "crypt/minisign.h"
#include "flow/away.h"
#include "flow/walship.h"
#include "flow/walstate.h"
#include "store/store.h"

struct dr_ship {
	struct dr_ship_opts o;
	struct dr_store_opts how;
	struct dr_sign_key *key;
	struct dr_walstate *state;
	struct dr_store *store[DR_SHIP_STORES];
	size_t n;
	uint64_t gap_bytes[DR_SHIP_STORES]; /* in the ledgers of this process */
	struct dr_err bad[DR_SHIP_STORES];  /* why it failed last */
	struct dr_away away;
	char *away_path;
	struct dr_seal_draft *draft; /* for the next object; or NULL */
};

/* How long is waited for stores beyond those that are required. */
#define DR_SHIP_GRACE_MS 5000

/* How many stores must have it. */
size_t dr_ship_need(const struct dr_ship *);

/*
 * Stores that are not to be asked now, since they did not answer lately and
 * the others suffice; why stands in BAD.
 */
void dr_ship_skip(struct dr_ship *, bool skip[DR_SHIP_STORES]);

/* The Ith store gave an answer, or none (WHY) in USEC. */
void dr_ship_heard(struct dr_ship *, size_t i, bool answer,
    const struct dr_err *why, int64_t usec);

/* Before a put: when its lock ends. */
void dr_ship_lock(struct dr_ship *);

/* Its place among the stores by URL, or n. */
size_t dr_ship_store(const struct dr_ship *, const char *url);

/*
 * The bytes of OBJECT in the Ith store: 1 and their size and hash, 0 absent,
 * -1.
 */
int dr_ship_hash(struct dr_ship *, size_t i, const char *object, uint64_t *size,
    char sha256[DR_SHA256_HEX], struct dr_err *);

/* "SET/wal/SYSID/TLI/NAME", on the heap. */
char *dr_ship_name(const struct dr_ship *, uint32_t tli, const char *name,
    struct dr_err *);

/* Metrics of ledgers and stores; what fails is warned of. */
void dr_ship_metrics(const struct dr_ship *, const struct dr_wal_head *,
    const size_t owed[DR_SHIP_STORES]);

#endif /* !DR_FLOW_WALSHIP_INT_H */
