/*
 * tmpname.h - names of uploads on their way, ".NAME.RANDOM.tmp", where a
 * store is a file system.
 */
#ifndef DR_STORE_TMPNAME_H
#define DR_STORE_TMPNAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define DR_PART_MAX   200 /* of a name, so that the temporary's fits too */
#define DR_TMP_ID_LEN 17
#define DR_TMP_MAX    (DR_PART_MAX + 24)

/* A name for BASE, the last part of an object's, drawn at random. */
int dr_tmp_new(const char *base, char out[DR_TMP_MAX], struct dr_err *);

/* That of BASE and ID; false where ID is none. */
bool dr_tmp_of(const char *base, const char *id, char out[DR_TMP_MAX]);

/* Is FILE such a name?  Then BASE and ID are what it is made of. */
bool dr_tmp_parse(const char *file, char base[DR_PART_MAX + 1],
    char id[DR_TMP_ID_LEN]);

#endif /* !DR_STORE_TMPNAME_H */
