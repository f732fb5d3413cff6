/*
 * walpush_int.h - one run of dr-wal push, between the file that was asked
 * for (walpush.c) and those that wait behind it (walpush_batch.c).
 */
#ifndef DR_FLOW_WALPUSH_INT_H
#define DR_FLOW_WALPUSH_INT_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "flow/walahead.h"
#include "flow/walepoch.h"
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
	pid_t asker; /* asks who leads; 0: none */
	int asked;   /* where it answers */
	int64_t ask_until;
	struct dr_walepoch epoch; /* who leads, as far as known */
};

/* Threads that compress, beside the one that calls. */
int dr_push_workers(void);

/* walpush_epoch.c */
/* Begin to ask who leads. */
int dr_push_ask(struct dr_push *, struct dr_err *);
/* Wait for the answer; that there is none is a warning. */
void dr_push_hear(struct dr_push *);
/* DR_EPARTIAL: the file is of WAL that another server has taken over from. */
int dr_push_allowed(struct dr_push *, const char *path,
    const struct dr_walfile *, struct dr_err *);

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
