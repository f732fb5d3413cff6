/*
 * delta.h - a place that is no empty directory, but one that a cluster's
 * backup is restored over: what is in it already is not written again.
 *
 * What a server keeps in its own directories (base, global, ...) is compared
 * byte for byte with the backup, written where it differs and removed where
 * the backup does not name it.  All else in the data directory (pg_wal, what
 * lies at its top, directories that are not the server's) is moved aside
 * into drtools.before/STAMP below it.
 *
 * From the first change to the last one there is no global/pg_control, and
 * the marker says so; it names the cluster, so that a restore that was
 * killed can be done again.
 */
#ifndef DR_FLOW_DELTA_H
#define DR_FLOW_DELTA_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/place.h"

#define DR_BEFORE "drtools.before"

struct dr_delta {
	uint64_t system_id; /* of the backup: the directory must be its */

	/* Set by dr_delta_take; all below is this module's own. */
	bool active; /* there was something there */
	char before[64];
	int wal_fd; /* of a pg_wal that lies elsewhere, or -1 */
	char *wal_path;
	uint64_t *name; /* hashes of what the backup names; a table */
	size_t names, cap;
	uint64_t removed; /* files */
};

#define DR_DELTA_INIT        \
	{                    \
		.wal_fd = -1 \
	}

/* One of the directories that a server alone writes to?  Not pg_wal. */
bool dr_delta_servers(const char *name);

/*
 * P->fd is DIR, not empty, and P->delta says of which cluster.  DR_EUSAGE,
 * and nothing changed: no data directory, one of another cluster, one with a
 * server on it.  Else it is made ready to be restored over.
 */
int dr_delta_take(struct dr_place *, struct dr_err *);
void dr_delta_free(struct dr_delta *);

/* The backup names PATH (and what holds it). */
int dr_delta_name(struct dr_delta *, const char *path, struct dr_err *);

/*
 * Open REST below FD, to become a file of SIZE bytes; *OLD is how many of its
 * bytes may be right already.
 */
int dr_delta_open(const struct dr_place *, int fd, const char *rest,
    uint64_t size, uint64_t *old, struct dr_err *);

/* Write what differs of LEN bytes at OFF; *WRITTEN is how much that was. */
int dr_delta_write(int fd, const void *, size_t len, uint64_t off, uint64_t old,
    uint64_t *written, const char *name, struct dr_err *);

/* Whatever stands at PATH below FD and is no directory goes. */
int dr_delta_clear(int fd, const char *path, struct dr_err *);

/*
 * Where the tablespaces are now, as long as the backup does not say where
 * they belong: each has its place there.
 */
int dr_delta_spaces(struct dr_place *, struct dr_err *);

/* Where pg_tblspc/OID leads: how long TO is, or -1. */
ssize_t
dr_delta_leads(const struct dr_place *, const char *oid, char to[PATH_MAX]);
/* Is PATH where the link pg_tblspc/OID leads already? */
bool
dr_delta_linked(const struct dr_place *, const char *oid, const char *path);

/* The link pg_tblspc/OID, which may exist, leads to PATH from now on. */
int dr_delta_link(const struct dr_place *, const char *oid, const char *path,
    struct dr_err *);

/* All of the backup is there: what it does not name goes. */
int dr_delta_sweep(struct dr_place *, struct dr_err *);

#endif /* !DR_FLOW_DELTA_H */
