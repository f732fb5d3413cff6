/*
 * push_report.h - what others are told of a push: as JSON, in metrics, in the
 * audit trail.
 */
#ifndef DR_FLOW_PUSH_REPORT_H
#define DR_FLOW_PUSH_REPORT_H

#include "base/buf.h"
#include "base/err.h"
#include "flow/push.h"

/* Append what came of it, as one JSON object.  R has a manifest. */
int dr_push_json(const struct dr_push_opts *, const struct dr_push_report *,
    const struct dr_err *result, struct dr_buf *out, struct dr_err *);

/*
 * The audit, where there is a manifest, and metrics.  Each failure here is
 * warned of: it does not undo the backup.  Remembers in the state when each store
 * got its last backup, since a store that fails now has a last one, too.
 */
void dr_push_tell(const struct dr_push_opts *, const struct dr_push_report *,
    const struct dr_err *result);

#endif /* !DR_FLOW_PUSH_REPORT_H */
