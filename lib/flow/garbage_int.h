/*
 * garbage_int.h - one store that is looked through, shared by the parts.
 */
#ifndef DR_FLOW_GARBAGE_INT_H
#define DR_FLOW_GARBAGE_INT_H

#include "crypt/minisign.h"
#include "flow/garbage.h"

struct dr_garbage_run {
	const struct dr_garbage_opts *o;
	const struct dr_verify_keys *keys; /* NULL: none */
	struct dr_store *store;
	const char *url;
	int64_t now;
	struct dr_garbage_item *item;
	size_t n;
	/* Of bodies, their names' middle: "TIME-RANDOM". */
	char (*named)[34];
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

/* The increments of all systems. */
int dr_garbage_wal(struct dr_garbage_run *, struct dr_err *);

#endif /* !DR_FLOW_GARBAGE_INT_H */
