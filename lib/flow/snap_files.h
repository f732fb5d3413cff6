/*
 * snap_files.h - a snapshot of file trees.
 */
#ifndef DR_FLOW_SNAP_FILES_H
#define DR_FLOW_SNAP_FILES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "stream/sink.h"

struct dr_snap_files_opts {
	const char *const *paths; /* operands */
	size_t n;
	const struct dr_strs *excludes; /* archive/tree.h; may be NULL */
	bool one_file_system;
};

/*
 * Write a whole tar of PATHS to OUT (not finished), ".drtools/report.json"
 * last.  MANIFEST gets "files" {members, bytes, changed, vanished,
 * unreadable: {count}}; its "raw_size" and "complete" are the caller's to
 * set.  *COMPLETE: nothing changed, vanished or was unreadable; otherwise
 * the stream is whole all the same and the tool ends with DR_EPARTIAL.
 * Failures before the first byte: DR_EUSAGE (".." in an operand), DR_EFAIL
 * (an operand that does not exist).
 */
int dr_snap_files(const struct dr_snap_files_opts *, struct dr_sink *out,
    json_t *manifest, bool *complete, struct dr_err *);

#endif /* !DR_FLOW_SNAP_FILES_H */
