/*
 * restore_wal.h - what WAL of a cluster the stores hold together, for
 * restore_choose.h.
 */
#ifndef DR_FLOW_RESTORE_WAL_H
#define DR_FLOW_RESTORE_WAL_H

#include "crypt/minisign.h"
#include "crypt/seal.h"
#include "flow/restore_choose.h"
#include "store/store.h"

struct dr_restore_wal_opts {
	const char *set;
	uint64_t system_id;
	struct dr_store *const *stores;
	size_t nstores;
	const struct dr_identities *ids;   /* NULL: histories cannot be read */
	const struct dr_verify_keys *keys; /* NULL: without signatures */
};

/*
 * List it, and read the histories, into LINES, whose segsize is set.  A
 * store that cannot be listed, and a history that cannot be trusted, are
 * warned of; -1 when no store could be listed.  The caller frees LINES.
 */
int dr_restore_wal(const struct dr_restore_wal_opts *, struct dr_lines *,
    struct dr_err *);

#endif /* !DR_FLOW_RESTORE_WAL_H */
