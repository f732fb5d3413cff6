/*
 * snap_exec.h - a snapshot of what a command, or standard input, gives.
 *
 * The length is not known beforehand, so the tar has members NAME/00000000,
 * NAME/00000001, ... of 4 MiB each, the last shorter (an empty input: one of
 * 0 bytes), and ".drtools/report.json" last.
 */
#ifndef DR_FLOW_SNAP_EXEC_H
#define DR_FLOW_SNAP_EXEC_H

#include <jansson.h>

#include "base/err.h"
#include "stream/sink.h"

/*
 * Run ARGV (found in PATH; standard input is /dev/null) and write its
 * standard output as a whole tar to OUT, not finished.  DR_EFAIL when it
 * cannot be run, exits with another status than 0 or dies of a signal: then
 * the caller must not finish OUT.  NAME is formed like a set's name, else
 * DR_EUSAGE.  MANIFEST gets "stream" {members, bytes}.
 */
int dr_snap_exec(const char *name, char *const argv[], struct dr_sink *out,
    json_t *manifest, struct dr_err *);

/*
 * The same of standard input, where plain end of file counts as the end.  A
 * terminal is refused (DR_EUSAGE).
 */
int dr_snap_stdin(const char *name, struct dr_sink *out, json_t *manifest,
    struct dr_err *);

#endif /* !DR_FLOW_SNAP_EXEC_H */
