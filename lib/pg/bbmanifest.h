/*
 * bbmanifest.h - the server's backup_manifest, checked and filtered as it
 * goes by (PostgreSQL's backup-manifest-format chapter;
 * backup_manifest.c of the server, versions 1 and 2).
 *
 * Files can be left out: their lines go, the commas around them are set
 * right, and Manifest-Checksum is made anew.  Where nothing is left out, the
 * bytes pass unchanged.  It relies on the server's own layout, one file to a
 * line.
 */
#ifndef DR_PG_BBMANIFEST_H
#define DR_PG_BBMANIFEST_H

#include <stddef.h>

#include "base/err.h"

/* Longest line; a path has at most 1024 bytes, each up to 6 when escaped. */
#define DR_BBMANIFEST_LINE 16384

#define DR_BBMANIFEST_NAME 64

struct dr_bbmanifest;

/*
 * LEAVE_OUT is a NULL-terminated list of paths, borrowed, each of at most
 * DR_BBMANIFEST_NAME plain letters; one that ends in "/" stands for all below
 * it.  EMIT gets the bytes that remain, a line at a time.
 */
struct dr_bbmanifest *dr_bbmanifest_new(const char *const *leave_out,
    int (*emit)(void *, const void *, size_t, struct dr_err *), void *arg,
    struct dr_err *);

/* DR_EDATA: not a backup_manifest as servers write it. */
int dr_bbmanifest_add(struct dr_bbmanifest *, const void *, size_t,
    struct dr_err *);

/* The end: it must be whole and agree with its own checksum (DR_EDATA). */
int dr_bbmanifest_end(struct dr_bbmanifest *, struct dr_err *);

void dr_bbmanifest_free(struct dr_bbmanifest *);

#endif /* !DR_PG_BBMANIFEST_H */
