/*
 * source.h - somewhere to pull bytes from: a descriptor, a stream up to its
 * end mark, an opener, a decompressor.
 *
 *	read	1 to LEN bytes into the caller's buffer, or 0: the end, said
 *		only once the source has proved that its input was whole (end
 *		mark, final chunk, seek table ...).  After 0, 0 again.  A
 *		source gives out no byte that it could have checked and did
 *		not.
 *	free	Lets go of what this source holds, and not of the next one.
 *
 * Large buffers cost least: some sources copy less when LEN is at least
 * 256 KiB.
 */
#ifndef DR_STREAM_SOURCE_H
#define DR_STREAM_SOURCE_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct dr_source;

struct dr_source_ops {
	ssize_t (*read)(struct dr_source *, void *, size_t, struct dr_err *);
	void (*free)(struct dr_source *);
};

/* First member of every kind of source. */
struct dr_source {
	const struct dr_source_ops *ops;
	struct dr_source *next; /* owned; NULL where the bytes come from */
	enum { DR_SOURCE_OPEN, DR_SOURCE_END, DR_SOURCE_FAILED } state;
};

/* 1 to LEN, 0 at the proved end, -1.  LEN must not be 0. */
ssize_t dr_source_read(struct dr_source *, void *, size_t, struct dr_err *);

/* The same until LEN bytes or the end; a short count means the end. */
ssize_t dr_source_fill(struct dr_source *, void *, size_t, struct dr_err *);

/* Read to the proved end, throwing the bytes away. */
int dr_source_drain(struct dr_source *, struct dr_err *);

void dr_source_free(struct dr_source *);

/*
 * The bytes of a descriptor; NAME for messages, kept by pointer.  The
 * descriptor is closed by free unless it is 0.  Plain end of file is its
 * end: it proves nothing by itself.
 */
struct dr_source *dr_source_fd(int fd, const char *name, struct dr_err *);

/* LEN bytes in memory that outlive the source; at most STEP a read (0: any). */
struct dr_source *
dr_source_mem(const void *, size_t len, size_t step, struct dr_err *);

#endif /* !DR_STREAM_SOURCE_H */
