/*
 * extents.h - where the members' data lie in a packed tar, from its member
 * index alone, and bytes of it without what stands before them.
 */
#ifndef DR_FLOW_EXTENTS_H
#define DR_FLOW_EXTENTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/pack.h"
#include "stream/blob.h"

/* LEN unpacked bytes at OFF. */
int dr_frames_pread(struct dr_blob *packed, const struct dr_frames *, void *,
    size_t len, uint64_t off, struct dr_err *);

struct dr_extent {
	char type;
	uint64_t size, offset; /* of the data; of its first header block */
	uint64_t data;         /* where they begin in the tar */
	uint32_t crc;
	const char *path; /* valid until the next one */
};

/* Borrows both.  DR_EDATA where there is no index. */
struct dr_extents;
struct dr_extents *dr_extents_new(struct dr_blob *packed,
    const struct dr_frames *, struct dr_err *);
/* 1 and *EXTENT, 0 after the last, -1. */
int dr_extents_next(struct dr_extents *, struct dr_extent *, struct dr_err *);
void dr_extents_free(struct dr_extents *);

#endif /* !DR_FLOW_EXTENTS_H */
