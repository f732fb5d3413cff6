/*
 * probe.h - is a server alive, and can it serve?
 *
 * A held connection and a new one are different evidence: a postmaster that
 * is frozen still has live backends, one whose listen queue is full refuses
 * new connections and serves old ones.
 */
#ifndef DR_PG_PROBE_H
#define DR_PG_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/known.h"

enum dr_probe_state {
	DR_PROBE_PRIMARY,  /* answers, not in recovery, writes are allowed */
	DR_PROBE_STANDBY,  /* answers, in recovery */
	DR_PROBE_READONLY, /* not in recovery, transactions are read-only */
	DR_PROBE_NOWRITE,  /* a write was tried and failed: see err */
	DR_PROBE_FULL,     /* that, for want of disk space */
	DR_PROBE_STARTING, /* starting up, or not yet consistent */
	DR_PROBE_STOPPING, /* shutting down */
	DR_PROBE_CROWDED,  /* too many connections */
	DR_PROBE_DENIED,   /* password, pg_hba.conf, rights, no such database */
	DR_PROBE_HUNG,     /* connects (or TCP does), and does not answer */
	DR_PROBE_REFUSED,  /* nobody listens */
	DR_PROBE_UNREACHABLE, /* no route, no such host, timeout of TCP */
	DR_PROBE_FAILED,      /* anything else: see err */
};

struct dr_probe {
	enum dr_probe_state state;
	int64_t connect_us, answer_us; /* how long it took */
	struct dr_err err;             /* in words, where it is not healthy */
};

/* "primary", "hung", ...: a word without spaces, as reports have it. */
const char *dr_probe_word(enum dr_probe_state);
/* The server answered queries: the first four. */
bool dr_probe_answers(enum dr_probe_state);

#endif /* !DR_PG_PROBE_H */
