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
#include "flow/restore_choose.h"

enum dr_target_action { DR_ACT_PAUSE, DR_ACT_PROMOTE, DR_ACT_SHUTDOWN };

/* How the server goes on from what was restored. */
struct dr_recovery {
	struct dr_target target;
	const char *timeline; /* recovery_target_timeline */
	const char *command;  /* restore_command; NULL: there is none */
	const char *standby;  /* primary_conninfo; NULL: no standby */
};

struct dr_restore_opts {
	const char *dir;
	const struct dr_strs *tablespaces; /* OLD=NEW */
	const struct dr_identities *ids;   /* NULL: none */
	int workers;
	enum dr_target_action action;
	const struct dr_recovery *recovery; /* NULL: to the backup's end */
	bool same_timeline, as_is;
	bool delta; /* dir may be the cluster's data directory */
};

struct dr_restore_facts {
	char kind[8];
	uint64_t files, bytes;
	uint64_t kept, written, removed; /* by delta: files, bytes, files */
};

/*
 * Restore BODY into opts->dir.  0 only when everything is on disk and the
 * body was proved to its last byte; before that a data directory has no
 * global/pg_control and holds a marker that says so.  DR_EUSAGE: the
 * directory is not empty (with delta: not the cluster's, or in use);
 * DR_EDATA: damaged or hostile.
 */
int dr_restore(struct dr_body *, const struct dr_restore_opts *,
    struct dr_restore_facts *, struct dr_err *);

#endif /* !DR_FLOW_RESTORE_H */
