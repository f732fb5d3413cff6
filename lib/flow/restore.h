/*
 * restore.h - from a body to a directory: a data directory that is ready to
 * start, a file tree, or a file.
 */
#ifndef DR_FLOW_RESTORE_H
#define DR_FLOW_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/seal.h"
#include "flow/body.h"

enum dr_target_action { DR_ACT_PAUSE, DR_ACT_PROMOTE, DR_ACT_SHUTDOWN };

struct dr_restore_opts {
	const char *dir;
	const struct dr_strs *tablespaces; /* OLD=NEW */
	const struct dr_identities *ids;   /* NULL: none */
	int workers;
	enum dr_target_action action;
	bool same_timeline, as_is;
};

struct dr_restore_facts {
	char kind[8];
	uint64_t files, bytes;
};

/*
 * Restore BODY into opts->dir.  0 only when everything is on disk and the
 * body was proved to its last byte; before that a data directory has no
 * global/pg_control and holds a marker that says so.  DR_EUSAGE: the
 * directory is not empty; DR_EDATA: damaged or hostile.
 */
int dr_restore(struct dr_body *, const struct dr_restore_opts *,
    struct dr_restore_facts *, struct dr_err *);

#endif /* !DR_FLOW_RESTORE_H */
