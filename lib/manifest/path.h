/*
 * path.h - fields of a manifest by path, "pg.start_lsn"; the functions that
 * read and set them are in manifest.h.
 */
#ifndef DR_MANIFEST_PATH_H
#define DR_MANIFEST_PATH_H

#include <jansson.h>

/* The field, borrowed, or NULL. */
json_t *dr_manifest_find(const json_t *, const char *path);

#endif /* !DR_MANIFEST_PATH_H */
