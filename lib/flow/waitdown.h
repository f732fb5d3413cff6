/*
 * waitdown.h - wait until a primary is down, as seen from here.
 *
 * Two kinds of evidence: a held connection, which is spoken to many times a
 * second, and new ones.  While the held one answers the primary is up,
 * whatever new ones meet: its queue may be full, or its connections all
 * taken, or its postmaster frozen.  Once the held one is silent or gone, the
 * primary is down when
 *
 *	- nobody listens any more, FAILURES times in quick succession, and the
 *	  server did not say before that it shuts down: it was killed; or
 *	- for FAILURES times INTERVAL no connection, old or new, has reached a
 *	  primary: it is frozen, cut off, gone for good, or a restart takes
 *	  longer than that.
 *
 * A server that answers that it has too many connections, or that this role
 * may not connect, is up.
 */
#ifndef DR_FLOW_WAITDOWN_H
#define DR_FLOW_WAITDOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/probe.h"

struct dr_waitdown_opts {
	const char *conninfo; /* one host */
	int failures;         /* at least 1 */
	int64_t interval_us;  /* at least 1000 */
};

enum dr_held {
	DR_HELD_NONE, /* there never was one, or the last was given up */
	DR_HELD_ANSWERS,
	DR_HELD_SILENT,
	DR_HELD_BROKEN,
};

struct dr_waitdown {
	char where[256]; /* "HOST:PORT" */
	bool down;
	bool quick;       /* by refusals alone */
	int64_t judged;   /* when, microseconds since 1970 */
	int64_t good_us;  /* since the last sign of life; unknown: none */
	int64_t since_us; /* since the first failure */
	int failures;     /* new connections that failed since then */
	enum dr_held held;
	char held_err[768];   /* how it broke */
	struct dr_probe last; /* the last new connection that came to an end */
};

/*
 * Block until the primary is judged down (0), or it cannot be watched: the
 * string cannot be used (DR_EUSAGE), the server is a standby (DR_EPARTIAL)
 * or refuses this role (DR_EFAIL) to begin with, a stop signal.
 */
int dr_wait_down(const struct dr_waitdown_opts *, struct dr_waitdown *,
    struct dr_err *);

/* One line for people, or one of JSON; appended. */
int
dr_wait_down_text(const struct dr_waitdown *, struct dr_buf *, struct dr_err *);
int
dr_wait_down_json(const struct dr_waitdown *, struct dr_buf *, struct dr_err *);

#endif /* !DR_FLOW_WAITDOWN_H */
