/*
 * walspool_int.h - what the two sides of a spool share.
 */
#ifndef DR_FLOW_WALSPOOL_INT_H
#define DR_FLOW_WALSPOOL_INT_H

#include <stdbool.h>

#include "pg/wal.h"

#define DR_FETCHERS_MAX 4

/* The directory, if it is nobody else's; -1. */
int dr_walspool_open(const char *dir);

/* A small file that holds one name, replaced at once.  "" for none. */
void dr_walspool_note(int dirfd, const char *file, const char *name);
/* The name in it; false when there is none. */
bool dr_walspool_noted(int dirfd, const char *file, char name[DR_WAL_NAME_MAX]);

#endif /* !DR_FLOW_WALSPOOL_INT_H */
