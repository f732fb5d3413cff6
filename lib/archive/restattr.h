/*
 * restattr.h - extended attributes and ACLs from a tar onto a file.
 */
#ifndef DR_ARCHIVE_RESTATTR_H
#define DR_ARCHIVE_RESTATTR_H

#include <archive_entry.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive/ids.h"
#include "base/buf.h"
#include "base/err.h"

/*
 * Append to OUT, in a form for dr_restattr_set, what ENTRY has.  ACLs name
 * users and groups by what they are called here, else, or with NUMERIC, by
 * number.  TRUSTED: also the classes "security" and "trusted", which can give
 * rights; never "system" but for the ACLs.  *LEFT_OUT counts what is not
 * taken.
 */
int dr_restattr_take(struct archive_entry *, struct dr_ids *, bool numeric,
    bool trusted, struct dr_buf *out, uint64_t *left_out, struct dr_err *);

/*
 * Set them on the open file FD or, with -1, on PATH, which is not followed.
 * What the file system does not take is counted in *LEFT_OUT.  NAME is for
 * messages.
 */
int dr_restattr_set(int fd, const char *path, const void *attrs, size_t len,
    const char *name, uint64_t *left_out, struct dr_err *);

#endif /* !DR_ARCHIVE_RESTATTR_H */
