/*
 * liveness.h - dr-lag --probe: one look at servers, and what to say of it.
 */
#ifndef DR_FLOW_LIVENESS_H
#define DR_FLOW_LIVENESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/probe.h"

struct dr_look {
	char *where; /* "HOST:PORT" */
	struct dr_probe probe;
};

/*
 * A new connection to each server that the N strings name, all at once; with
 * WRITE, the heartbeat's row is written on each that is a primary.  -1: a
 * string that cannot be used (DR_EUSAGE), no memory, a stop signal.
 */
int dr_look(const char *const *conninfo, size_t n, int timeout_ms, bool write,
    struct dr_look **, size_t *count, struct dr_err *);
void dr_look_free(struct dr_look *, size_t);

/* A line for each: "HOST:PORT STATE 1.2 ms", and why; or one of JSON for all. */
int
dr_look_text(const struct dr_look *, size_t, struct dr_buf *, struct dr_err *);
int
dr_look_json(const struct dr_look *, size_t, struct dr_buf *, struct dr_err *);

/* Exit status: 0 all are healthy, 5 none answered, else 3. */
int dr_look_status(const struct dr_look *, size_t);

#endif /* !DR_FLOW_LIVENESS_H */
