/*
 * tarhead.h - the 512-byte header block of a tar: its fields, its numbers
 * and its checksum (POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar's
 * base-256 numbers).
 */
#ifndef DR_ARCHIVE_TARHEAD_H
#define DR_ARCHIVE_TARHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DR_TAR_BLOCK 512U

struct dr_tar_fields {
	char type;      /* '0' for the old types NUL and '7' */
	char path[257]; /* prefix and name joined */
	char link[101];
	unsigned mode;
	uint64_t size, uid, gid;
	int64_t mtime;
};

/* Take a header block apart.  NULL, or what is wrong with it. */
const char *
dr_tar_fields(const unsigned char block[DR_TAR_BLOCK], struct dr_tar_fields *);

/* The sum of a block's bytes, its checksum field taken as spaces. */
unsigned dr_tar_sum(const unsigned char block[DR_TAR_BLOCK]);

/* Are the N bytes all zero? */
bool dr_tar_zero(const void *, size_t n);

/* N decimal digits and nothing else; false also when it does not fit. */
bool dr_tar_decimal(const char *, size_t n, uint64_t *);

/* Seconds as pax has them, "-12.34", rounded down. */
bool dr_tar_seconds(const char *, size_t n, int64_t *);

#endif /* !DR_ARCHIVE_TARHEAD_H */
