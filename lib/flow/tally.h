/*
 * tally.h - are two lists of files the same, when each comes in an order of
 * its own and neither fits into memory?
 *
 * Each entry becomes a number of 128 bits by a keyed hash (SipHash-2-4, with
 * a key drawn for this run), and the numbers of each list are added up, in
 * 1024 buckets by path.  Lists that differ have sums that differ, but for a
 * chance of 2^-128 that nobody who does not know the key can better.  The
 * buckets tell where to look for the difference.
 */
#ifndef DR_FLOW_TALLY_H
#define DR_FLOW_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DR_TALLY_BUCKETS 1024U

struct dr_tally_entry {
	const char *path;
	uint64_t size;
	int algo; /* any number that stands for the checksum's kind */
	const unsigned char *sum;
	size_t sum_len; /* at most 64 */
};

enum dr_tally_side { DR_TALLY_HAVE, DR_TALLY_WANT };

struct dr_tally;
struct dr_tally *dr_tally_new(struct dr_err *);
void dr_tally_free(struct dr_tally *);

void dr_tally_add(struct dr_tally *, enum dr_tally_side,
    const struct dr_tally_entry *);

/*
 * Entries that only may be wanted: those of HAVE are kept (32 bytes each),
 * and each of WANT must be among them.
 */
int dr_tally_maybe(struct dr_tally *, const struct dr_tally_entry *,
    struct dr_err *);
bool dr_tally_wanted(struct dr_tally *, const struct dr_tally_entry *);

/* The bucket of a path. */
unsigned dr_tally_bucket(const struct dr_tally *, const char *path);

/* The first bucket that differs, or -1. */
int dr_tally_differs(const struct dr_tally *);

#endif /* !DR_FLOW_TALLY_H */
