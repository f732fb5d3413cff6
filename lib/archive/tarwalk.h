/*
 * tarwalk.h - following a tar as its bytes go by: ustar, pax and GNU headers
 * (base-256 sizes, long names), any cut of the input, nothing copied but
 * headers.  It extracts nothing.
 */
#ifndef DR_ARCHIVE_TARWALK_H
#define DR_ARCHIVE_TARWALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dr_member {
	char type;        /* ustar's: '0' file, '1' hard link, '2' symbolic
				link, '3' '4' devices, '5' directory, '6' fifo;
				others as they stand ('S' old GNU sparse) */
	uint64_t size;    /* of the data that follow */
	uint64_t offset;  /* of its first header block, extended ones too */
	const char *path; /* raw bytes, NUL-terminated; valid in the call */
	const char *link; /* target of '1' and '2', else "" */
	unsigned mode;
	int64_t mtime; /* seconds */
	uint64_t uid, gid;
};

/*
 * Each may be NULL.  For every member: member, data as often as it takes
 * (never with 0 bytes), end.
 */
struct dr_tarwalk_ops {
	int (*member)(void *, const struct dr_member *, struct dr_err *);
	int (*data)(void *, const void *, size_t, struct dr_err *);
	int (*end)(void *, struct dr_err *); /* of the member's data */
};

struct dr_tarwalk;

/* OPS is kept by pointer. */
struct dr_tarwalk *
dr_tarwalk_new(const struct dr_tarwalk_ops *, void *arg, struct dr_err *);
/*
 * Damage, a path that holds NUL or is longer than 64 KiB, or an extended
 * header over 1 MiB: DR_EDATA.  Bytes after the two zero blocks are padding
 * and must be zero.  After a failure it can only be freed.
 */
int dr_tarwalk_add(struct dr_tarwalk *, const void *, size_t, struct dr_err *);
/* The input ended: it must have done so after two zero blocks. */
int dr_tarwalk_end(struct dr_tarwalk *, struct dr_err *);
void dr_tarwalk_free(struct dr_tarwalk *);

/*
 * One ustar header block (512 bytes), with a pax header before it for what
 * does not fit there: long paths and links, sizes of more than 11 octal
 * digits, large owners, times before 1970.  Appends to OUT.  Deterministic.
 * The offset is not looked at.
 */
int
dr_tar_header(struct dr_buf *out, const struct dr_member *, struct dr_err *);
/* Bytes of padding after SIZE bytes of data. */
size_t dr_tar_pad(uint64_t size);

/* No empty path, no absolute one, no "..": may it be written under DIR? */
bool dr_path_safe(const char *);

#endif /* !DR_ARCHIVE_TARWALK_H */
