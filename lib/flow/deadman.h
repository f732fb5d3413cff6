/*
 * deadman.h - a second process that stops a server when the first one has
 * not said in time that it may go on.
 *
 * Whoever keeps a primary alive by a lease may be stopped, killed or stuck at
 * any moment, and the server would outlive the lease.  So the moment to stop
 * it lies in a file that is mapped by both, by CLOCK_BOOTTIME, and a child
 * that does nothing else looks at it.  It survives the death of its parent,
 * and the parent's successor finds there what its predecessor had promised.
 */
#ifndef DR_FLOW_DEADMAN_H
#define DR_FLOW_DEADMAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct dr_deadman;

/*
 * Map PATH, made where it is missing.  What it says of an earlier boot is
 * forgotten.
 */
struct dr_deadman *dr_deadman_open(const char *path, struct dr_err *);
/* The child, where there is one, goes on as long as anything is promised. */
void dr_deadman_free(struct dr_deadman *);

/*
 * Start the child; a former one, of whoever it was, ends.  It ends the server on DIR, unless that is a
 * standby, LATE_MS after the moment to stop it.
 */
int dr_deadman_start(struct dr_deadman *, const char *dir, uint64_t late_ms,
    struct dr_err *);

/* It lives. */
bool dr_deadman_alive(struct dr_deadman *);

/* The moment, by dr_boottime(); 0: none.  Of which run of the server: PID. */
void dr_deadman_set(struct dr_deadman *, int64_t stop_at, int64_t pid);
int64_t dr_deadman_at(const struct dr_deadman *);
int64_t dr_deadman_pid(const struct dr_deadman *);
/* When the child last stopped the server; 0: never. */
int64_t dr_deadman_fired(const struct dr_deadman *);

#endif /* !DR_FLOW_DEADMAN_H */
