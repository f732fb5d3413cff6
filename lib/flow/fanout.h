/*
 * fanout.h - several stores that are written to in step: how long one of them
 * may hold up the others.
 *
 * A store can be spared when as many as are required do without it.  One that
 * is required is waited for as long as its patience lasts.  One that can be
 * spared is dropped once it has taken nothing for DR_GRACE_MS that as many as
 * are required were ready for more; and what is asked of it by itself is
 * given no longer than that, either.
 */
#ifndef DR_FLOW_FANOUT_H
#define DR_FLOW_FANOUT_H

#include <sys/types.h>

#include "flow/publish.h"
#include "flow/push.h"

#define DR_GRACE_MS 30000

/* A store fell out, for WHY, which is warned of; the others go on. */
void dr_fan_drop(const struct dr_push_opts *, struct dr_push_report *,
    struct dr_target *, const struct dr_err *why);

/* Set each store's haste; after their number changed. */
void dr_fan_hurry(const struct dr_push_opts *, struct dr_push_report *);
/*
 * Where only these N are asked, all at once: they have haste if the others are
 * as many as are required, and always if they are none of this push.
 */
void dr_fan_hurry_these(const struct dr_push_opts *,
    const struct dr_push_report *, const struct dr_publish *, size_t n);
/* How long those that can be spared get, in milliseconds. */
uint64_t dr_fan_grace(const struct dr_push_opts *);

/*
 * Wait until every sink takes bytes: how many, at most MAX, or 0 when none is
 * left.  -1.
 */
ssize_t dr_fan_room(const struct dr_push_opts *, struct dr_push_report *,
    size_t max, struct dr_err *);

/*
 * After dr_sink_ending: wait for one whose finish need not wait for what is
 * on its way.  NULL, ERR clear: none is left.
 */
struct dr_target *dr_fan_ended(const struct dr_push_opts *,
    struct dr_push_report *, struct dr_err *);

#endif /* !DR_FLOW_FANOUT_H */
