/*
 * hold.h - no failover without being told to: the record that stops those
 * who watch a set from acting, while somebody works on it.
 */
#ifndef DR_FLOW_HOLD_H
#define DR_FLOW_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "coord/coord.h"

struct dr_hold_opts {
	const char *set;
	struct dr_coord *coord;
	const char *why; /* NULL: no reason is given */
	uint64_t for_ms; /* 0: until resumed */
	bool json;
};

/*
 * Hold SET.  Where it is held already, that stays as it is, unless WHY or a
 * time is given anew.  What is so then is appended to OUT: a line for people,
 * or a JSON object.  DR_ERETRY: etcd is away, or others changed it all the
 * time.
 */
int dr_hold(const struct dr_hold_opts *, struct dr_buf *out, struct dr_err *);

/* No longer; done, too, where it was not held. */
int dr_resume(const struct dr_hold_opts *, struct dr_buf *out, struct dr_err *);

#endif /* !DR_FLOW_HOLD_H */
