/*
 * ids.h - names of users and groups, and back, remembering the last ones.
 */
#ifndef DR_ARCHIVE_IDS_H
#define DR_ARCHIVE_IDS_H

#include <sys/types.h>

#include <stdbool.h>

#include "base/err.h"

struct dr_ids;

struct dr_ids *dr_ids_new(struct dr_err *);

/* The name, owned by the cache and valid until the next call; or NULL. */
const char *dr_ids_user(struct dr_ids *, uid_t);
const char *dr_ids_group(struct dr_ids *, gid_t);

/* What NAME is called on this host; FALLBACK where it is not known or NULL. */
uid_t dr_ids_uid(struct dr_ids *, const char *name, uid_t fallback);
gid_t dr_ids_gid(struct dr_ids *, const char *name, gid_t fallback);

void dr_ids_free(struct dr_ids *);

#endif /* !DR_ARCHIVE_IDS_H */
