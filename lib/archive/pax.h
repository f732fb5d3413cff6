/*
 * pax.h - headers of tar members with all that a file has: a ustar block,
 * and before it a pax extended header for what does not fit there.
 *
 * Names are raw bytes in both.  libarchive's writer is not used: in a "C"
 * locale it marks each name that is not ASCII with "hdrcharset", and each
 * extended attribute with a key of its own, and GNU tar complains of both.
 */
#ifndef DR_ARCHIVE_PAX_H
#define DR_ARCHIVE_PAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dr_pax {
	char type;        /* ustar's */
	const char *path; /* a directory's ends in "/" */
	const char *link; /* target of '1' and '2'; or NULL */
	uint64_t size;    /* of the data that follow */
	unsigned mode;    /* permission bits, set-ID and sticky ones too */
	uint64_t uid, gid;
	const char *uname, *gname; /* or NULL */
	int64_t mtime;             /* seconds; and nanoseconds above it */
	uint32_t mtime_nsec;
	uint32_t dev_major, dev_minor;
	bool sparse;               /* data begin with a map: GNU's format 1.0 */
	uint64_t real_size;        /* then the file's */
	const struct dr_buf *more; /* records of dr_pax_record; or NULL */
};

/* Append "LEN KEY=VALUE\n" to OUT. */
int dr_pax_record(struct dr_buf *out, const char *key, const void *value,
    size_t len, struct dr_err *);

/* Append whole blocks of 512 bytes to OUT. */
int dr_pax_header(struct dr_buf *out, const struct dr_pax *, struct dr_err *);

/* The same for a file of our own making: 0600, of this process, of now. */
int dr_pax_own(struct dr_buf *out, const char *path, uint64_t size,
    struct dr_err *);

/* The two zero blocks at the end of a tar. */
#define DR_TAR_END 1024U

/* Members of a stream whose length is not known beforehand, but the last. */
#define DR_TAR_PIECE (4U << 20)

#endif /* !DR_ARCHIVE_PAX_H */
