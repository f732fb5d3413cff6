/*
 * spool.h - bytes put aside: in memory while they are few, in an unlinked
 * file below $TMPDIR (/tmp) once they are many.
 */
#ifndef DR_ARCHIVE_SPOOL_H
#define DR_ARCHIVE_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct dr_spool;

struct dr_spool *dr_spool_new(struct dr_err *);

/* Append. */
int dr_spool_add(struct dr_spool *, const void *, size_t, struct dr_err *);

uint64_t dr_spool_size(const struct dr_spool *);

/* LEN bytes at OFF, all of which were added before. */
int dr_spool_read(struct dr_spool *, uint64_t off, void *, size_t len,
    struct dr_err *);

/* Forget all bytes; the file, if there is one, stays for the next ones. */
void dr_spool_reset(struct dr_spool *);

void dr_spool_free(struct dr_spool *);

#endif /* !DR_ARCHIVE_SPOOL_H */
