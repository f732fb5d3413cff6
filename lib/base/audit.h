/*
 * audit.h - one JSON line for each act, where dr_common.audit says; without
 * it, nothing is done.  Each line holds the SHA-256 of the line before it
 * ("prev"), so that a line taken out or changed shows.
 */
#ifndef DR_BASE_AUDIT_H
#define DR_BASE_AUDIT_H

#include "base/err.h"

/*
 * Append, under a lock and fsynced, {"time", "tool", "host", "user", "pid",
 * "act", "what", "result", "prev"}.  ACT is a word ("publish"), WHAT a JSON
 * value as text (the objects; NULL for none), RESULT "ok" or a message.
 */
int dr_audit(const char *act, const char *what, const char *result,
    struct dr_err *);

#endif /* !DR_BASE_AUDIT_H */
