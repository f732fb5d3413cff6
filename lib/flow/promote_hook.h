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

/* NULL and 0 are left out of the environment. */
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
	uint64_t timeout_ms;  /* then TERM, and a second later KILL */
};

/*
 * Run it, stdin empty, its stdout appended to OUT (may be NULL; at most
 * 64 KiB), its stderr ours.  -1: it could not be run at all, or a stop signal
 * came (it is ended then).  SAID is otherwise what its status says; why, in
 * words, is in WHY (its last line of output where it gave one).
 */
int dr_hook_run(const struct dr_hook *, enum dr_hook_said *said,
    struct dr_buf *out, struct dr_err *why, struct dr_err *);

/* "confirmed", "refused", "unknown". */
const char *dr_hook_word(enum dr_hook_said);

#endif /* !DR_FLOW_PROMOTE_HOOK_H */
