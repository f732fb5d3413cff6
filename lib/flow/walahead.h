/*
 * walahead.h - which WAL files an earlier run stored before they were asked
 * for, so that their turn costs next to nothing:
 * STATE/wal/SET/ahead.json.
 *
 * A file is known again by name, device, inode, size and both times, so by
 * being untouched since.  The record is only ever a short cut: where it is
 * lost, or does not fit, the file is read and held against the store.
 */
#ifndef DR_FLOW_WALAHEAD_H
#define DR_FLOW_WALAHEAD_H

#include <sys/stat.h>

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct dr_ahead;

/* The record of SET; an empty one where there is none or it is damaged. */
struct dr_ahead *
dr_ahead_open(const char *state, const char *set, struct dr_err *);
void dr_ahead_free(struct dr_ahead *);

/* In how many of these stores (URLs) is the file NAME, untouched since? */
size_t dr_ahead_find(const struct dr_ahead *, const char *name,
    const struct stat *, const char *const *stores, size_t n);

/* Add a file that those of the stores hold of which HOLDS says so. */
int dr_ahead_add(struct dr_ahead *, const char *name, const struct stat *,
    const char *const *stores, const bool *holds, size_t n, struct dr_err *);

/* Replace the record by what was added since it was opened. */
int dr_ahead_save(struct dr_ahead *, struct dr_err *);

#endif /* !DR_FLOW_WALAHEAD_H */
