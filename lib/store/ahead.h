/*
 * ahead.h - reading ahead of those that read a remote object from its
 * beginning to its end, one thread or several side by side: ranges of 4 MiB,
 * four of them in flight, 24 MiB in memory at most.  Other reads pass
 * through, and nothing is read ahead before some bytes were read in order.
 */
#ifndef DR_STORE_AHEAD_H
#define DR_STORE_AHEAD_H

#include "base/err.h"
#include "stream/blob.h"

/* Takes NEXT, whose pread is called from threads of our own. */
struct dr_blob *dr_blob_ahead(struct dr_blob *next, struct dr_err *);

#endif /* !DR_STORE_AHEAD_H */
