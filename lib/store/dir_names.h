/*
 * dir_names.h - the names in a directory of a store, in order and some at a
 * time: a week of WAL's increments lies in one.
 */
#ifndef DR_STORE_DIR_NAMES_H
#define DR_STORE_DIR_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define DR_DIR_NAMES 65536 /* at a time */

struct dr_dir_names {
	char **v; /* sorted */
	size_t n, cap;
	bool more; /* there are others after the last */
};

/*
 * The first of the names in the directory FD that can be an object's or a
 * part's and come after AFTER (NULL: all), in place of what was in NAMES.
 * Left out are those that, as objects or as what begins objects' names, all
 * come before FROM (NULL: none).  PATH is for messages.
 */
int dr_dir_names(struct dr_dir_names *names, int fd, const char *after,
    const char *from, const char *path, struct dr_err *err);
void dr_dir_names_free(struct dr_dir_names *);

#endif /* !DR_STORE_DIR_NAMES_H */
