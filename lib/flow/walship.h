/*
 * walship.h - putting WAL into one or more stores: intents, own success,
 * quorum, ledgers.  What dr-wal push and dr-wal receive share.
 */
#ifndef DR_FLOW_WALSHIP_H
#define DR_FLOW_WALSHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/walobj.h"

#define DR_SHIP_STORES 8

struct dr_ship_opts {
	const char *set, *state;
	const char *const *stores; /* URLs */
	size_t nstores;
	const struct dr_store_opts *how; /* to open them; or NULL */
	int lock_days;        /* not 0: locks end this long after each put */
	size_t require;       /* 0: all */
	const char *sign_key; /* NULL: STATE/sign.key, made at first use */
	const struct dr_recipients *recipients;
	enum dr_cipher cipher;
	int level, workers; /* as in struct dr_wal_opts */
	uint64_t system_id;
	uint32_t segsize;   /* of WAL; 0: only whole segments are put */
	uint64_t ledger_ms; /* write one this long after the first object */
};

struct dr_ship;

/*
 * Nothing of a store is touched yet.  Strings and recipients are borrowed.  A
 * process that is forked off may use it in its parent's place, not beside it.
 */
struct dr_ship *dr_ship_open(const struct dr_ship_opts *, struct dr_err *);
void dr_ship_free(struct dr_ship *);

const char *dr_ship_signer(const struct dr_ship *);

/* The Ith store's name, as in all records (dr_store_url). */
const char *dr_ship_url(const struct dr_ship *, size_t i);

struct dr_ship_result {
	size_t done;   /* stores that hold it durably */
	bool again;    /* it was there before, with the same content */
	bool conflict; /* with other content: trying again is of no use */
	struct {
		bool done;
		struct dr_err err; /* why not */
	} store[DR_SHIP_STORES];
};

/*
 * One object into all stores: made once, an intent (name, size and SHA-256
 * of the sealed bytes) fsynced in the state first, put create-only; where it
 * exists: success when the content is ours and the same (by stanza, or by
 * an intent of ours for exactly these bytes), else DR_EFAIL and a loud
 * message.  0: durable in the required stores (the failures of others are in
 * RESULT and become gaps in the ledger).  -1 otherwise.
 */
int dr_ship_put(struct dr_ship *, struct dr_wal_id *, const void *data,
    size_t len, struct dr_ship_result *, struct dr_err *);

/* Do now, while there is nothing to do, what the next object needs. */
void dr_ship_prepare(struct dr_ship *);

/*
 * WAL that a writer knows to be missing, for the next ledger: in STORE, one of
 * the stores as they were given, or in all ("").
 */
int dr_ship_gap(struct dr_ship *, const char *store, uint32_t tli,
    uint64_t from, uint64_t to, struct dr_err *);

/*
 * Write ledgers of what was put and is not in one yet, if it is due
 * (ledger_ms since the oldest, or an hour since the last ledger) or FORCE.
 * A ledger with nothing new is written when an hour has passed or FORCE.
 */
int dr_ship_ledger(struct dr_ship *, bool force, struct dr_err *);

/* Milliseconds until dr_ship_ledger has something to do; UINT64_MAX: never. */
uint64_t dr_ship_due(const struct dr_ship *);

#endif /* !DR_FLOW_WALSHIP_H */
