/*
 * restore_report.h - what is left of a restore beside its files: a line for
 * the operator, an audit line, metrics, and how fast it was.
 */
#ifndef DR_FLOW_RESTORE_REPORT_H
#define DR_FLOW_RESTORE_REPORT_H

#include <stdint.h>

#include "flow/body.h"
#include "flow/from.h"
#include "flow/restore.h"

/*
 * USEC is how long it took; FAILED is NULL or why it failed.  How fast it
 * was is noted (flow/rates.h), from which the time of the next one can be
 * told.  What cannot be written is warned of.
 */
void dr_restore_report(const struct dr_from_opts *,
    const struct dr_restore_opts *, struct dr_body *,
    const struct dr_restore_facts *, int64_t usec, const struct dr_err *failed);

#endif /* !DR_FLOW_RESTORE_REPORT_H */
