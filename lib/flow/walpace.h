/*
 * walpace.h - how fast a recovery goes: what dr-wal get took, and what the
 * server took between two calls of it.
 *
 *	STATE/spool/.../pace	sums since the last note, rewritten in place
 *
 * Kept where segments are fetched ahead (flow/walspool.h), since that is there
 * for every recovery that reads more than one; noted in flow/rates.h every
 * few seconds.  It costs a call one small file read and written.
 */
#ifndef DR_FLOW_WALPACE_H
#define DR_FLOW_WALPACE_H

#include <stdbool.h>
#include <stdint.h>

struct dr_walpace {
	/* What is kept; times by the clock that is never set. */
	struct dr_walpace_kept {
		uint64_t magic;
		int64_t noted, ended; /* the last note; the last call */
		uint64_t size;        /* that it delivered */
		int64_t fetch_us, replay_us;
		uint64_t fetched, replayed; /* bytes */
	} kept;
	int64_t began;
};

/* A segment is asked for; SPOOL is the spool's path. */
void dr_walpace_begin(struct dr_walpace *, const char *spool);
/* It was delivered whole, with SIZE bytes; 0: it was not. */
void dr_walpace_end(struct dr_walpace *, const char *spool, uint64_t size,
    const char *state, const char *set);

#endif /* !DR_FLOW_WALPACE_H */
