/*
 * dir_int.h - what the files of the directory store share.
 */
#ifndef DR_STORE_DIR_INT_H
#define DR_STORE_DIR_INT_H

#include "store/driver.h"

struct dr_dir {
	struct dr_store store;
	int root;     /* -1 until used */
	char *synced; /* the last directory whose parents were fsynced */
	bool named;   /* it has no files without a name */
};

#define DR_DIR_DEPTH_MAX 8

/* Is the root still what its path leads to? */
int dr_dir_root(struct dr_dir *, struct dr_err *);

/*
 * Open the directory that holds NAME; *BASE is set to its last part.  MAKE:
 * make what is missing on the way, durably.  -1 with errno ENOENT or
 * ENOTDIR: there is none.
 */
int dr_dir_parent(struct dr_dir *, const char *name, bool make,
    const char **base, struct dr_err *);

/* fsync; some file systems know none of a directory. */
int dr_dir_sync(int fd);

/* Writing, as in driver.h (dir_put.c). */
struct dr_sink *
dr_dir_put(struct dr_store *, const char *name, struct dr_err *);
enum dr_put_result dr_dir_put_before(struct dr_small *, struct dr_err *);
enum dr_put_result dr_dir_put_small(struct dr_store *, const char *name,
    const void *, size_t, bool *lost, struct dr_err *);

/* Clearing up, as in store.h. */
int dr_dir_delete(struct dr_store *, const char *name, struct dr_err *);
int dr_dir_rmdir(struct dr_store *, const char *name, struct dr_err *);
int dr_dir_uploads(struct dr_store *, const char *prefix,
    int (*fn)(void *, const struct dr_upload *, struct dr_err *), void *arg,
    struct dr_err *);
int dr_dir_upload_abort(struct dr_store *, const char *name, const char *id,
    struct dr_err *);
int dr_dir_try_replace(struct dr_store *, const char *name, bool parts,
    const void *, size_t, struct dr_err *);

#endif /* !DR_STORE_DIR_INT_H */
