/*
 * walhistory.h - the histories that a segment of WAL is of no use without.
 *
 * A server archives the history of a timeline when the timeline begins.  One
 * that does not archive at that time, as a restored cluster, and is told to
 * later never does: then its WAL lies in the store, and no recovery finds the
 * way to it.
 */
#ifndef DR_FLOW_WALHISTORY_H
#define DR_FLOW_WALHISTORY_H

#include "base/err.h"
#include "flow/walship.h"

/*
 * Before the segment PATH of timeline TLI: put what lies beside it of the
 * histories of TLI and of those before it, unless the state says that all of
 * O's stores hold them.  -1: that of TLI could not be put.
 */
int dr_walhistory_put(struct dr_ship *, const struct dr_ship_opts *o,
    uint64_t system_id, const char *path, uint32_t tli, struct dr_err *);

#endif /* !DR_FLOW_WALHISTORY_H */
