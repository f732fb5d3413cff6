/*
 * driver.h - what a kind of store provides; store.c checks names and calls.
 */
#ifndef DR_STORE_DRIVER_H
#define DR_STORE_DRIVER_H

#include <stdatomic.h>

#include "http/http.h"
#include "store/store.h"
#include "store/url.h"

/*
 * Each as its namesake in store.h.  Members that a kind lacks are NULL: then
 * store.c does without (put_begin: put_small at once; dirs: from a list;
 * versions, uploads: none; locked, room: 0; hurry: nothing waits).
 */
struct dr_store_ops {
	struct dr_sink *(
	    *put)(struct dr_store *, const char *, struct dr_err *);
	enum dr_put_result (*put_small)(struct dr_store *, const char *,
	    const void *, size_t, bool *, struct dr_err *);
	/*
	 * put_small for one with a BEFORE, which is asked between the bytes
	 * and the name; else store.c asks it first.
	 */
	enum dr_put_result (*put_before)(struct dr_small *, struct dr_err *);
	/*
	 * For stores over HTTP, in place of put_small: begin; look, after a
	 * turn of the loop, whether it has ended (then result, lost and err
	 * are set and op is gone); give up on it.  A kind that has put_small,
	 * too, works in a thread that the loop knows nothing of: for where
	 * several are put at once.
	 */
	int (*put_begin)(struct dr_small *, struct dr_err *);
	void (*put_look)(struct dr_small *);
	void (*put_cancel)(struct dr_small *);
	int (*stat)(struct dr_store *, const char *, struct dr_object *,
	    struct dr_err *);
	struct dr_blob *(
	    *get)(struct dr_store *, const char *, struct dr_err *);
	/* In one request, where stat and get would be two. */
	int (*get_small)(struct dr_store *, const char *, size_t max, char **,
	    size_t *, struct dr_err *);
	int (*list)(struct dr_store *, const char *, const char *,
	    int (*)(void *, const struct dr_object *, struct dr_err *), void *,
	    struct dr_err *);
	int (*dirs)(struct dr_store *, const char *,
	    int (*)(void *, const char *, struct dr_err *), void *,
	    struct dr_err *);
	int (*versions)(struct dr_store *, const char *,
	    int (*)(void *, const struct dr_version *, struct dr_err *), void *,
	    struct dr_err *);
	struct dr_blob *(*get_version)(struct dr_store *, const char *,
	    const char *, struct dr_err *);
	int (*locked)(struct dr_store *, const char *, struct dr_lock *,
	    struct dr_err *);
	int (*del)(struct dr_store *, const char *, struct dr_err *);
	/* NULL: has_dirs is false. */
	int (*rmdir)(struct dr_store *, const char *, struct dr_err *);
	int (*uploads)(struct dr_store *, const char *,
	    int (*)(void *, const struct dr_upload *, struct dr_err *), void *,
	    struct dr_err *);
	int (*upload_abort)(struct dr_store *, const char *, const char *,
	    struct dr_err *);
	int (*try_replace)(struct dr_store *, const char *, bool, const void *,
	    size_t, struct dr_err *);
	bool scans;
	const char *(*region)(const struct dr_store *);
	int (*room)(struct dr_store *, uint64_t *size, uint64_t *free);
	void (*hurry)(struct dr_store *, uint64_t);
	void (*free)(struct dr_store *);
};

/* First member of every kind of store. */
struct dr_store {
	const struct dr_store_ops *ops;
	char *url;         /* owned, freed by dr_store_free */
	atomic_uint blobs; /* that read from it, besides its opener */
	const struct dr_store_opts *opts; /* never NULL */
};

/* A directory on this host; its absolute path becomes the URL. */
struct dr_store *dr_store_dir(const char *path, struct dr_err *);

/*
 * The others, from a URL that was taken apart (borrowed); they set url
 * themselves, without trailing "/", and never with a secret in it.
 */
struct dr_store *dr_store_s3(const struct dr_url *,
    const struct dr_store_opts *, struct dr_err *);
struct dr_store *dr_store_gs(const struct dr_url *,
    const struct dr_store_opts *, struct dr_err *);
struct dr_store *dr_store_azure(const struct dr_url *,
    const struct dr_store_opts *, struct dr_err *);
struct dr_store *dr_store_sftp(const struct dr_url *,
    const struct dr_store_opts *, struct dr_err *);

#endif /* !DR_STORE_DRIVER_H */
