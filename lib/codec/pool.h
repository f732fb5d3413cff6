/*
 * pool.h - threads that work on frames, and a ring of buffers between them
 * and the one thread that fills and empties it, in order.
 *
 * The threads block all signals, touch only the slot that they were given,
 * and report through its err.
 */
#ifndef DR_CODEC_POOL_H
#define DR_CODEC_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct dr_slot {
	unsigned char *in, *out; /* grown by dr_slot_room, reused */
	size_t in_cap, out_cap;
	size_t in_len, out_len;
	size_t extra; /* bytes in IN behind in_len that are the next's */
	bool done;    /* the pool's */
	struct dr_err err;
};

/* Make *BUF at least N bytes large. */
int dr_slot_room(unsigned char **buf, size_t *cap, size_t n, struct dr_err *);

struct dr_pool_ops {
	void *(*open)(void *arg, struct dr_err *); /* one context a thread */
	int (*work)(void *ctx, struct dr_slot *, struct dr_err *);
	void (*close)(void *ctx);
};

struct dr_pool;

/* WORKERS threads, WORKERS + 1 slots: one to fill or empty meanwhile. */
struct dr_pool *dr_pool_new(int workers, const struct dr_pool_ops *, void *arg,
    struct dr_err *);

/* A slot to fill; NULL when all are in use. */
struct dr_slot *dr_pool_take(struct dr_pool *);

/* Hand over the slot taken last. */
void dr_pool_submit(struct dr_pool *);

/*
 * The oldest slot handed over, once it is done; NULL when there is none or,
 * without WAIT, when it is not done yet.  Look at its err.
 */
struct dr_slot *dr_pool_oldest(struct dr_pool *, bool wait);

/* Done with the oldest slot. */
void dr_pool_release(struct dr_pool *);

/* Work not begun is dropped; waits for what is being worked on. */
void dr_pool_free(struct dr_pool *);

#endif /* !DR_CODEC_POOL_H */
