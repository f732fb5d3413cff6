/*
 * attrs.h - extended attributes and POSIX ACLs as records of a pax header:
 * SCHILY.xattr.NAME and SCHILY.acl.access, SCHILY.acl.default, as star and
 * GNU tar write them.
 *
 * ACLs are taken from and put into the kernel's own form (the attributes
 * system.posix_acl_access and _default, linux/posix_acl_xattr.h).
 */
#ifndef DR_ARCHIVE_ATTRS_H
#define DR_ARCHIVE_ATTRS_H

#include <stddef.h>

#include "archive/ids.h"
#include "base/buf.h"
#include "base/err.h"

#define DR_ACL_ACCESS  "system.posix_acl_access"
#define DR_ACL_DEFAULT "system.posix_acl_default"

/* All records of one file together; a pax header takes at most 1 MiB. */
#define DR_ATTRS_MAX (960U << 10)

/*
 * Append records for all attributes of the open file FD or, with -1, of
 * PATH, which is not followed.  1: done; 0: some could not be read, and *WHY
 * says so in words; -1: no memory.  A file system without attributes has
 * none.
 */
int dr_attrs_get(int fd, const char *path, struct dr_ids *, struct dr_buf *out,
    const char **why, struct dr_err *);

/*
 * The kernel's form of an ACL as text: "user::rw-,user:www-data:r--:33,...".
 * -1 with DR_EFAIL where it is malformed.
 */
int dr_acl_text(const void *, size_t, struct dr_ids *, struct dr_buf *out,
    struct dr_err *);

#endif /* !DR_ARCHIVE_ATTRS_H */
