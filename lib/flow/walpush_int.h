/*
 * walpush_int.h - one run of dr-wal push, between the file that was asked
 * for (walpush.c) and those that wait behind it (walpush_batch.c).
 */
#ifndef DR_FLOW_WALPUSH_INT_H
#define DR_FLOW_WALPUSH_INT_H

#include <stddef.h>
#include <stdint.h>

#include "flow/walahead.h"
#include "flow/walfile.h"
#include "flow/walpush.h"

struct dr_push {
	const struct dr_walpush_opts *o;
	struct dr_walpush_report *r;
	struct dr_ship *ship;
	struct dr_ahead *ahead;
	char (
	    *queue)[DR_WAL_NAME_MAX]; /* what waits, in the order of its turn */
	size_t waiting;
	uint64_t system_id; /* the ship's */
	int64_t began;
};

/* Threads that compress, beside the one that calls. */
int dr_push_workers(void);

/* Store a file that was opened. */
int dr_push_file(struct dr_push *, const char *path, struct dr_walfile *,
    struct dr_ship_result *, struct dr_err *);

/*
 * Store the next that wait, in two processes where they are many.  Their
 * failure is no failure of the file that was asked for: each is asked for
 * again, and then tells itself.
 */
void dr_push_batch(struct dr_push *, const char *path);

#endif /* !DR_FLOW_WALPUSH_INT_H */
