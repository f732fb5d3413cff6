/*
 * links.h - which files with several names were met already.  Only those
 * take memory, and only until their last name was seen.
 */
#ifndef DR_ARCHIVE_LINKS_H
#define DR_ARCHIVE_LINKS_H

#include <stdint.h>

#include "base/err.h"

struct dr_links;

struct dr_links *dr_links_new(struct dr_err *);

/*
 * Look up a file.  1 and *PATH: its first name, owned by the table and valid
 * until the next call; this counts as one more name seen.  0: not met.
 */
int dr_links_find(struct dr_links *, uint64_t dev, uint64_t ino,
    const char **path, struct dr_err *);

/* PATH is the first of NLINK names. */
int dr_links_add(struct dr_links *, uint64_t dev, uint64_t ino, uint64_t nlink,
    const char *path, struct dr_err *);

void dr_links_free(struct dr_links *);

#endif /* !DR_ARCHIVE_LINKS_H */
