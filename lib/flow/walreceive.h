/*
 * walreceive.h - WAL as a server writes it, into stores, without an end:
 * what dr-wal receive does.
 *
 * Two processes: the one that calls talks to the server and gathers; a child
 * of it puts into the stores, so that a store that hangs never keeps the
 * server waiting for an answer.
 */
#ifndef DR_FLOW_WALRECEIVE_H
#define DR_FLOW_WALRECEIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/seal.h"
#include "flow/coordline.h"
#include "store/store.h"

struct dr_wal_receive_opts {
	const char *set, *state;
	const char *conninfo; /* NULL: the PG* environment */
	const char *slot;
	bool create_slot;
	uint64_t interval;         /* ms; new WAL is shipped this often */
	uint64_t shutdown_timeout; /* ms */
	const char *const *stores; /* URLs */
	size_t nstores;
	const struct dr_store_opts *how; /* to open them; or NULL */
	int lock_days;                   /* as in struct dr_ship_opts */
	size_t require;                  /* 0: all */
	const char *sign_key; /* NULL: STATE/sign.key, made at first use */
	const struct dr_recipients *recipients;
	enum dr_cipher cipher;
	const struct dr_coord_line *lock; /* of whom it may receive; or NULL */
};

/*
 * Receive until a stop signal (INT, TERM, HUP) comes, then ship what is
 * there: 0.  -1: DR_EPARTIAL: stopped so, but WAL is missing in the stores
 * (a gap), or could not be stored in time; DR_EUSAGE; DR_EFAIL for what
 * trying again will not mend.  A server or store that is away is waited for.
 */
int dr_wal_receive(const struct dr_wal_receive_opts *, struct dr_err *);

#endif /* !DR_FLOW_WALRECEIVE_H */
