/*
 * mirror_report.h - what others are told of copying from store to store.
 */
#ifndef DR_FLOW_MIRROR_REPORT_H
#define DR_FLOW_MIRROR_REPORT_H

#include "base/buf.h"
#include "base/err.h"
#include "flow/mirror.h"

/* One line of JSON of a set. */
int dr_mirror_json(const struct dr_mirror_opts *, const struct dr_mirror_sum *,
    struct dr_buf *out, struct dr_err *);

/* Metrics and audit; a failure is warned of. */
void
dr_mirror_tell(const struct dr_mirror_opts *, const struct dr_mirror_sum *);

#endif /* !DR_FLOW_MIRROR_REPORT_H */
