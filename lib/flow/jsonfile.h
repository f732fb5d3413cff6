/*
 * jsonfile.h - small JSON objects that are kept in files of the state.
 */
#ifndef DR_FLOW_JSONFILE_H
#define DR_FLOW_JSONFILE_H

#include <jansson.h>

#include "base/err.h"

#define DR_JSONFILE_MAX (16U << 20)

/* 1 and *JSON, an object, the caller's; 0 absent; -1 (also when damaged). */
int dr_jsonfile_get(const char *path, json_t **json, struct dr_err *);

/* Replace PATH by JSON (NULL: there was no memory), durably. */
int dr_jsonfile_put(const char *path, const json_t *json, struct dr_err *);

/*
 * The same at once, for what may be lost with the host: a reader meets the
 * old file, the new one, or after a crash of the host a damaged one.
 */
int
dr_jsonfile_put_loose(const char *path, const json_t *json, struct dr_err *);

#endif /* !DR_FLOW_JSONFILE_H */
