/*
 * driver.h - what a kind of store provides; store.c checks names and calls.
 */
#ifndef DR_STORE_DRIVER_H
#define DR_STORE_DRIVER_H

#include "store/store.h"

/* Each as its namesake in store.h. */
struct dr_store_ops {
	struct dr_sink *(
	    *put)(struct dr_store *, const char *, struct dr_err *);
	enum dr_put_result (*put_small)(struct dr_store *, const char *,
	    const void *, size_t, struct dr_err *);
	int (*stat)(struct dr_store *, const char *, struct dr_object *,
	    struct dr_err *);
	struct dr_blob *(
	    *get)(struct dr_store *, const char *, struct dr_err *);
	int (*list)(struct dr_store *, const char *,
	    int (*)(void *, const struct dr_object *, struct dr_err *), void *,
	    struct dr_err *);
	int (*dirs)(struct dr_store *, const char *,
	    int (*)(void *, const char *, struct dr_err *), void *,
	    struct dr_err *);
	void (*free)(struct dr_store *);
};

/* First member of every kind of store. */
struct dr_store {
	const struct dr_store_ops *ops;
	char *url; /* owned, freed by dr_store_free */
};

/* A directory on this host; its absolute path becomes the URL. */
struct dr_store *dr_store_dir(const char *path, struct dr_err *);

#endif /* !DR_STORE_DRIVER_H */
