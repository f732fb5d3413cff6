/*
 * rates.h - how fast work went on this host, and when it last succeeded:
 * what predictions rest on.
 *
 *	STATE/rates/SET.json	the newest DR_RATES of each kind
 *
 * Notes of work are best effort: a failure is the caller's warning, never
 * its failure.  Several processes may note at once (a lock file).  They are
 * not fsynced: what a crash of the host takes is measured again.
 */
#ifndef DR_FLOW_RATES_H
#define DR_FLOW_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/known.h"

#define DR_RATES 32 /* of each kind are kept */

enum dr_rate_kind {
	DR_RATE_BACKUP,  /* dr-push: bytes stored */
	DR_RATE_VERIFY,  /* dr-verify: bytes read */
	DR_RATE_DEEP,    /* dr-verify --deep: bytes unpacked */
	DR_RATE_RESTORE, /* dr-restore: bytes stored that were read */
	DR_RATE_FETCH,   /* dr-wal get: bytes of WAL delivered in a run */
	DR_RATE_REPLAY,  /* between calls of dr-wal get: what the server took */
	DR_RATE_KINDS,
};

struct dr_rate {
	int64_t time; /* when it ended, microseconds */
	int64_t us;   /* how long it took */
	uint64_t bytes;
	int status;      /* exit status */
	char store[256]; /* dr_store_url, cut; "" none */
	char id[64];     /* of the backup, or "" */
	bool same_run;   /* of a run that was counted: only its speed counts */
};

int dr_rate_note(const char *state, const char *set, enum dr_rate_kind,
    const struct dr_rate *, struct dr_err *);

struct dr_rates {
	struct {
		struct dr_rate v[DR_RATES]; /* oldest first */
		size_t n;
		uint64_t done, failed; /* ever, on this host */
	} kind[DR_RATE_KINDS];
};

/* An absent file is an empty one. */
int dr_rates_read(const char *state, const char *set, struct dr_rates *,
    struct dr_err *);

/*
 * Bytes a second: the median of those that succeeded (of STORE, if not NULL
 * and there are any).  0: none is known.
 */
double
dr_rates_speed(const struct dr_rates *, enum dr_rate_kind, const char *store);

/* When the last one that succeeded with STORE ended, or DR_UNKNOWN. */
int64_t
dr_rates_last(const struct dr_rates *, enum dr_rate_kind, const char *store);

#endif /* !DR_FLOW_RATES_H */
