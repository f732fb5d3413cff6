/*
 * garbage.h - what lies in a store and belongs to nothing: bodies that no
 * manifest names, uploads that were begun and not finished, increments of WAL
 * segments that are there whole.  For dr-prune(1).
 */
#ifndef DR_FLOW_GARBAGE_H
#define DR_FLOW_GARBAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

/*
 * Whoever uploads a body has half of that to commit it (flow/commit.c); a
 * shorter grace may take a body from under a commit.
 */
#define DR_GARBAGE_GRACE ((uint64_t)7 * 86400 * 1000) /* milliseconds */

enum dr_garbage_what {
	DR_GARBAGE_BODY,
	DR_GARBAGE_UPLOAD,
	DR_GARBAGE_INCREMENT,
	DR_GARBAGE_PROBE,
	DR_GARBAGE_UNKNOWN, /* not ours to judge: never removed */
};

enum dr_garbage_result {
	DR_GARBAGE_PLANNED,
	DR_GARBAGE_DELETED,
	DR_GARBAGE_GONE, /* since it was found */
	DR_GARBAGE_KEPT, /* it is unknown, or changed since it was found */
	DR_GARBAGE_FAILED,
};

struct dr_garbage_item {
	enum dr_garbage_what what;
	char *name;
	char *id; /* of an upload, whose size is not known; else NULL */
	uint64_t size;
	int64_t modified; /* by the store, microseconds */
	const char *why;  /* a constant */
	enum dr_garbage_result result;
	const char *message; /* with FAILED and KEPT; or NULL */
};

struct dr_garbage_opts {
	const char *set;
	const char *const *stores;
	size_t nstores;
	const struct dr_store_opts *how;
	const char *verify_key, *state;
	bool
	    no_signature; /* then increments stay: nothing proves their whole */
	uint64_t grace_ms;
	bool act; /* else all that is found is PLANNED */
};

struct dr_garbage_sum {
	uint64_t found, found_bytes;
	uint64_t deleted, deleted_bytes;
	uint64_t failed, unknown;
	size_t stores_failed;
};

/*
 * Look through each store; FN is told of each item, after it was dealt with.
 * DR_EPARTIAL: something could not be deleted or judged, or one of several
 * stores could not be read; the reason was told in a warning.
 */
int dr_garbage(const struct dr_garbage_opts *,
    int (*fn)(void *, const char *store, const struct dr_garbage_item *,
        struct dr_err *),
    void *arg, struct dr_garbage_sum *, struct dr_err *);

/* A line for people, or one for machines, appended to OUT. */
int dr_garbage_text(const char *store, const struct dr_garbage_item *,
    struct dr_buf *out, struct dr_err *);
int dr_garbage_json(const char *store, const char *set,
    const struct dr_garbage_item *, struct dr_buf *out, struct dr_err *);

/* Metrics of the run; FAILED is NULL or why it failed. */
void dr_garbage_metrics(const struct dr_garbage_opts *,
    const struct dr_garbage_sum *, const struct dr_err *failed);

#endif /* !DR_FLOW_GARBAGE_H */
