/*
 * store.h - where backups are kept: one table of operations, one driver for
 * each kind of store.
 *
 * Object names are relative, "/"-separated, made of [A-Za-z0-9._-].
 */
#ifndef DR_STORE_STORE_H
#define DR_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/blob.h"
#include "stream/sink.h"

struct dr_store;

/* May NAME be an object's?  No part of it may begin with ".". */
bool dr_object_name_ok(const char *name);

struct dr_object {
	const char *name; /* full name from the store's root */
	uint64_t size;
	int64_t mtime; /* the store's own, microseconds since 1970 */
};

/*
 * URL: a directory's path or "file:PATH".  Nothing is made yet, and a store
 * that is not there shows at the first use.  Another kind: DR_EUSAGE.
 */
struct dr_store *dr_store_open(const char *url, struct dr_err *);
void dr_store_free(struct dr_store *);
/* Its name in messages and records: for a directory, its absolute path. */
const char *dr_store_url(const struct dr_store *);

/*
 * Create-only upload of unknown length.  finish: durable, under its name;
 * where the name exists: -1 and errno EEXIST.  free without finish: nothing
 * under the name.
 */
struct dr_sink *
dr_store_put(struct dr_store *, const char *name, struct dr_err *);

enum dr_put_result { DR_PUT_OK, DR_PUT_EXISTS, DR_PUT_FAILED };

/*
 * The same for a small object, in one request.  EXISTS, ERR set: there is
 * one of that name already, whatever it holds.
 */
enum dr_put_result dr_store_put_small(struct dr_store *, const char *name,
    const void *, size_t, struct dr_err *);

/* 1 and *OBJ (name = NAME), 0 absent, -1. */
int dr_store_stat(struct dr_store *, const char *name, struct dr_object *,
    struct dr_err *);

/* Random access; NULL: ERR, DR_EDATA where the object is absent. */
struct dr_blob *
dr_store_get(struct dr_store *, const char *name, struct dr_err *);

/*
 * A whole small object with a NUL after it; the caller frees it.  1 and
 * *OUT, 0 absent, -1.  More than MAX bytes: DR_EDATA.
 */
int dr_store_get_small(struct dr_store *, const char *name, size_t max,
    char **out, size_t *len, struct dr_err *);

/*
 * Each object whose name begins with PREFIX (which ends in "/", or is ""),
 * at any depth, in byte order of names within a directory; temporary names
 * (".NAME.RANDOM.tmp") are left out.  FN's -1 ends it.  A prefix that does
 * not exist is an empty list; a store that does not is an error.
 */
int dr_store_list(struct dr_store *, const char *prefix,
    int (*fn)(void *, const struct dr_object *, struct dr_err *), void *arg,
    struct dr_err *);

/* Names one level below PREFIX that hold objects ("prod" of "prod/snap/x"). */
int dr_store_dirs(struct dr_store *, const char *prefix,
    int (*fn)(void *, const char *name, struct dr_err *), void *arg,
    struct dr_err *);

#endif /* !DR_STORE_STORE_H */
