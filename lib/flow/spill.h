/*
 * spill.h - bytes that must wait for their turn: in memory while they are
 * few, then in a temporary file that has no name.
 */
#ifndef DR_FLOW_SPILL_H
#define DR_FLOW_SPILL_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DR_SPILL_MEMORY (1U << 20)

/* Start with DR_SPILL_INIT. */
struct dr_spill {
	struct dr_buf buf;
	int fd;        /* -1 while all is in memory */
	uint64_t size; /* of all */
};

#define DR_SPILL_INIT                             \
	{                                         \
		{ .max = DR_SPILL_MEMORY }, -1, 0 \
	}

/* Append.  The file is made in $TMPDIR, else /tmp. */
int dr_spill_add(struct dr_spill *, const void *, size_t, struct dr_err *);

/* Everything in order, in pieces, to FN, whose -1 ends it. */
int dr_spill_read(struct dr_spill *,
    int (*fn)(void *, const void *, size_t, struct dr_err *), void *arg,
    struct dr_err *);

void dr_spill_free(struct dr_spill *);

#endif /* !DR_FLOW_SPILL_H */
