/*
 * pg_merge.h - the archives of a base backup made into one tar: tablespaces
 * under pg_tblspc/<oid>/, the links of those names left out, and what else
 * must not be in a backup; then members of our own.
 */
#ifndef DR_FLOW_PG_MERGE_H
#define DR_FLOW_PG_MERGE_H

#include <stddef.h>
#include <stdint.h>

#include "archive/tarwalk.h"
#include "base/err.h"
#include "stream/sink.h"

struct dr_merge;

/*
 * OUT is borrowed and not finished.  LEAVE_OUT is a NULL-terminated list of
 * paths in the data directory, borrowed; one that ends in "/" stands for that
 * directory and all below it.
 */
struct dr_merge *dr_merge_new(struct dr_sink *out, const char *const *leave_out,
    struct dr_err *);

/*
 * One archive: begin with the tablespace's OID (NULL: the data directory),
 * its bytes in any pieces, end.  DR_EDATA: not a whole tar, a path that
 * leaves the directory, or a kind of member that no server sends.
 */
int dr_merge_begin(struct dr_merge *, const char *oid, struct dr_err *);
int dr_merge_data(struct dr_merge *, const void *, size_t, struct dr_err *);
int dr_merge_end(struct dr_merge *, struct dr_err *);

/*
 * A file of our own: its header, then SIZE bytes in any pieces, then the
 * padding.  It belongs to whom the server's files belong to.
 */
int dr_merge_file(struct dr_merge *, const char *path, uint64_t size,
    struct dr_err *);
int dr_merge_bytes(struct dr_merge *, const void *, size_t, struct dr_err *);
int dr_merge_file_end(struct dr_merge *, struct dr_err *);

/* The end of the tar, and everything handed to OUT. */
int dr_merge_finish(struct dr_merge *, struct dr_err *);

/* Bytes of the tar so far. */
uint64_t dr_merge_size(const struct dr_merge *);

void dr_merge_free(struct dr_merge *);

#endif /* !DR_FLOW_PG_MERGE_H */
