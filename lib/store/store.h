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

enum dr_lock_mode { DR_LOCK_NONE, DR_LOCK_COMPLIANCE, DR_LOCK_GOVERNANCE };

/* How an object is kept from being deleted. */
struct dr_lock {
	enum dr_lock_mode mode;
	int64_t until; /* microseconds since 1970; with a mode */
	bool hold;     /* legal hold */
};

/* What a command line says of the stores it names; all zero: nothing. */
struct dr_store_opts {
	const char *ca_file;  /* authorities to trust instead */
	uint64_t limit_rate;  /* bytes a second; 0: any */
	uint64_t patience_ms; /* for one request; 0: 120 s */
	bool
	    allow_no_create_only; /* write where nothing prevents overwriting */
	struct dr_lock lock;      /* for what is written */
	const char *storage_class; /* as the store calls it */
	const char *sse;           /* AES256, aws:kms, aws:kms:KEYID */
};

/*
 * URL: a directory's path or "file:PATH", s3://BUCKET/PREFIX,
 * gs://BUCKET/PREFIX, azblob://CONTAINER/PREFIX, sftp://USER@HOST:PORT/PATH,
 * each with "?NAME=VALUE&..." after it where dr-stores(7) says so.  Nothing
 * is made or asked yet, and a store that is not there shows at the first use.
 * Another kind, or an option that this kind cannot honour (a lock in a
 * directory): DR_EUSAGE.  OPTS may be NULL, else outlives the store.
 */
struct dr_store *
dr_store_open(const char *url, const struct dr_store_opts *, struct dr_err *);
/* A blob from it keeps what it needs of it. */
void dr_store_free(struct dr_store *);
/* Its name in messages and records: for a directory, its absolute path. */
const char *dr_store_url(const struct dr_store *);
/*
 * Until further notice what is asked of it is given MS, or patience_ms where
 * that is less; 0: patience_ms.  What is in flight, and a body's parts, keep
 * theirs.
 */
void dr_store_hurry(struct dr_store *, uint64_t ms);
/* The region it lies in, as far as its settings tell; or NULL. */
const char *dr_store_region(const struct dr_store *);
/*
 * How large what it lies on is, and how much of that is free to us, in bytes.
 * Only directories and most accounts of SFTP know.  1: filled in; 0: unknown.
 */
int dr_store_room(struct dr_store *, uint64_t *size, uint64_t *free);

/* --- writing ----------------------------------------------------------------- */

/*
 * Create-only upload of unknown length.  finish: durable, under its name,
 * locked as was asked and read back; where the name exists: -1 and errno
 * EEXIST; errno EALREADY: likewise, but a reply to us was lost, nothing
 * speaks against its being ours, and it cannot be read: to who drew the name
 * at random that is success.  free without finish: nothing under the name,
 * and no part left behind.
 */
struct dr_sink *
dr_store_put(struct dr_store *, const char *name, struct dr_err *);

enum dr_put_result { DR_PUT_OK, DR_PUT_EXISTS, DR_PUT_FAILED };

/*
 * The same for a small object, in one request.  EXISTS, ERR set: there is
 * one of that name already, whatever it holds; it may be our own when
 * *LOST (not NULL) is set: an earlier attempt's reply did not arrive.
 */
enum dr_put_result dr_store_put_small(struct dr_store *, const char *name,
    const void *, size_t, bool *lost, struct dr_err *);

/* One of several small objects that are put at once. */
struct dr_small {
	struct dr_store *store;
	const char *name;
	const void *data;
	size_t len;
	/*
	 * Not NULL: what must have come true, 0, before anything shows under
	 * the name; -1 and ERR: nothing may.  A store to which bytes and name
	 * do not go in one request asks when the bytes are durable.  It may
	 * be asked several times.
	 */
	int (*before)(void *arg, struct dr_err *);
	void *arg;
	/* What came of it. */
	enum dr_put_result result;
	bool lost;
	struct dr_err err;
	/* Internal. */
	void *op;
	bool ended;
};

/*
 * All of V at once, to one store or to several.  Returns when all have ended,
 * or when REQUIRE (0: all) of them are OK or EXISTS and GRACE_MS more have
 * gone by: the rest is given up on, DR_PUT_FAILED with DR_ERETRY, and may
 * still arrive.
 * -1: a stop signal.
 */
int dr_store_puts(struct dr_small *v, size_t n, size_t require,
    uint64_t grace_ms, struct dr_err *);

/* --- reading ----------------------------------------------------------------- */

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
 * (".NAME.RANDOM.tmp") are left out.  With AFTER (not NULL) only names that
 * come after it in byte order, which lies under PREFIX.  FN's -1 ends it.  A
 * prefix that does not exist is an empty list; a store that does not is an
 * error.
 */
int dr_store_list(struct dr_store *, const char *prefix, const char *after,
    int (*fn)(void *, const struct dr_object *, struct dr_err *), void *arg,
    struct dr_err *);

/*
 * Does a list read every name under PREFIX, whatever AFTER is?  Then it takes
 * as long as there are names.
 */
bool dr_store_scans(const struct dr_store *);

/* Names one level below PREFIX that hold objects ("prod" of "prod/snap/x"). */
int dr_store_dirs(struct dr_store *, const char *prefix,
    int (*fn)(void *, const char *name, struct dr_err *), void *arg,
    struct dr_err *);

/* One of the versions that a store keeps of an object. */
struct dr_version {
	const char *id;
	uint64_t size;
	int64_t mtime;
	bool latest, marker; /* marker: it stands for a deletion */
};

/*
 * The versions of NAME, newest first; none where the store keeps none.
 * FN's -1 ends it.
 */
int dr_store_versions(struct dr_store *, const char *name,
    int (*fn)(void *, const struct dr_version *, struct dr_err *), void *arg,
    struct dr_err *);
struct dr_blob *dr_store_get_version(struct dr_store *, const char *name,
    const char *id, struct dr_err *);

/* 1 and how NAME is locked; 0: this kind of store has no locks; -1. */
int dr_store_locked(struct dr_store *, const char *name, struct dr_lock *,
    struct dr_err *);

/* --- clearing up: dr-prune and --check alone ------------------------------------ */

/* 1, 0 it was absent, -1 (DR_EFAIL: refused, by a lock or for want of right). */
int dr_store_delete(struct dr_store *, const char *name, struct dr_err *);

/* Are directories things of their own there, which stay when they are empty? */
bool dr_store_has_dirs(const struct dr_store *);
/* Remove directory NAME.  1, 0 it is absent or not empty, -1. */
int dr_store_rmdir(struct dr_store *, const char *name, struct dr_err *);

/* An upload that was begun and not finished: parts, blocks, a temporary. */
struct dr_upload {
	const char *name; /* of the object it was to become */
	const char *id;
	int64_t started; /* or when it was last written to */
};

int dr_store_uploads(struct dr_store *, const char *prefix,
    int (*fn)(void *, const struct dr_upload *, struct dr_err *), void *arg,
    struct dr_err *);
/* 1, 0 it was gone, -1. */
int dr_store_upload_abort(struct dr_store *, const char *name, const char *id,
    struct dr_err *);

/*
 * Try to replace NAME, a probe of ours, by other bytes without any condition
 * (PARTS: as an upload in parts).  1: it was replaced; 0: refused; -1.
 */
int dr_store_try_replace(struct dr_store *, const char *name, bool parts,
    const void *, size_t, struct dr_err *);

#endif /* !DR_STORE_STORE_H */
