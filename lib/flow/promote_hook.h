/*
 * promote_hook.h - commands of the user's that stop, start, fence and route:
 * run by sh(1), told by their environment, judged by their exit status.
 */
#ifndef DR_FLOW_PROMOTE_HOOK_H
#define DR_FLOW_PROMOTE_HOOK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum dr_hook_said {
	DR_HOOK_DONE,    /* 0: it is so, proved */
	DR_HOOK_REFUSED, /* 3: it is not so, or will not be done */
	DR_HOOK_UNKNOWN, /* anything else, or its time was over */
};

/*
 * NULL and 0 are left out of the environment, whatever the caller's own says.
 *
 * A route hook is asked to
 *	pause	hold clients back once their transactions have ended; where
 *		that cannot be had in time: nothing is paused (refused)
 *	switch	let all writes go to HOST:PORT from now on, paused or not, and
 *		clients through; REPLICAS may read.  An epoch lower than the
 *		last one it was told, or the same with another host: refused
 *	resume	let clients through again, to where they went before: what
 *		undoes a pause when nothing was switched
 */
struct dr_hook {
	const char *kind;    /* DR_HOOK: "fence", "stop", "start", "route" */
	const char *command; /* for sh -c */
	const char *action;  /* DR_ACTION: route "pause", "switch", "resume" */
	const char *set;     /* DR_SET */
	int64_t epoch;       /* DR_EPOCH */
	const char *node, *host, *port; /* DR_NODE, DR_HOST, DR_PORT: of whom
	                                   it is about; route: the new one */
	const char *old_node, *old_host, *old_port; /* DR_OLD_... */
	const char *role;     /* DR_ROLE: start "primary", "standby" */
	const char *mode;     /* DR_MODE: stop "fast", "immediate" */
	const char *pgdata;   /* DR_PGDATA */
	const char *replicas; /* DR_REPLICAS: "HOST:PORT HOST:PORT" */
	/*
	 * DR_TIMEOUT_MS.  Then TERM to its process group, and a second later
	 * KILL.  0: as long as it takes.
	 */
	uint64_t timeout_ms;
};

/*
 * Run it, stdin empty, its stdout appended to OUT (may be NULL; at most
 * 64 KiB of it), its stderr passed on to ours.  -1: it could not be run at
 * all, or a stop signal came (it is ended then, and waited for).  SAID is
 * otherwise what its status says, and WHY is that in words: the last line
 * that it wrote, of stderr when it failed and there is one, else of stdout; a
 * hint in the manner of our tools is WHY's hint.
 *
 * It is over when the command ends, whatever of its children still runs: a
 * server that it started lives on, but must not write to its stdout.
 */
int dr_hook_run(const struct dr_hook *, enum dr_hook_said *said,
    struct dr_buf *out, struct dr_err *why, struct dr_err *);

/* "confirmed", "refused", "unknown". */
const char *dr_hook_word(enum dr_hook_said);

#endif /* !DR_FLOW_PROMOTE_HOOK_H */
