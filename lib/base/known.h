/*
 * known.h - numbers that may not be known.  Unknown is never 0: a report
 * that says 0 where it means "unknown" hides a loss.
 */
#ifndef DR_BASE_KNOWN_H
#define DR_BASE_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes, counts, microseconds, times: all that may be unknown is int64_t. */
#define DR_UNKNOWN INT64_MIN

static inline bool
dr_known(int64_t v)
{
	return v != DR_UNKNOWN;
}

#endif /* !DR_BASE_KNOWN_H */
