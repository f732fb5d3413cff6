/*
 * garbage_int.h - one store that is looked through, shared by the parts.
 */
#ifndef DR_FLOW_GARBAGE_INT_H
#define DR_FLOW_GARBAGE_INT_H

#include "crypt/minisign.h"
#include "flow/garbage.h"

#define DR_GARBAGE_STEM 33 /* "20261120T120000Z-0123456789abcdef" */

struct dr_garbage_run {
	const struct dr_garbage_opts *o;
	const struct dr_verify_keys *keys; /* NULL: none */
	struct dr_store *store;
	const char *url;
	int64_t now;
	struct dr_garbage_item *item;
	size_t n;
	/* Of bodies, their names' middle: "TIME-RANDOM". */
	char (*named)[DR_GARBAGE_STEM + 1];
	size_t named_n;
	bool blind;      /* a manifest does not tell what it names */
	bool incomplete; /* something could not be judged */
};

/* One more; ID may be NULL. */
int dr_garbage_add(struct dr_garbage_run *, enum dr_garbage_what,
    const char *name, const char *id, uint64_t size, int64_t modified,
    const char *why, struct dr_err *);

/* Was it last modified longer ago than the grace? */
bool dr_garbage_old(const struct dr_garbage_run *, int64_t modified);

/*
 * Does S begin with SHAPE (d: a digit, x, X: a hex digit in lower or upper
 * case, else itself)?  Then what follows, or NULL.
 */
const char *dr_garbage_shaped(const char *s, const char *shape);

/*
 * For dr_store_list of SET/snap/, with the run: note what the manifests there
 * name, in all the versions that the store keeps of them.
 */
int dr_garbage_manifest(void *, const struct dr_object *, struct dr_err *);

/* The increments of all systems. */
int dr_garbage_wal(struct dr_garbage_run *, struct dr_err *);

#endif /* !DR_FLOW_GARBAGE_INT_H */
