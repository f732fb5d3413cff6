/*
 * ahead.h - reading ahead of those that read a remote object from its
 * beginning to its end, one thread or several side by side: ranges of 6 MiB,
 * four of them in flight, 30 MiB in memory at most.  Other reads pass
 * through, and nothing is read ahead before some bytes were read in order.
 *
 * Azurite computes an MD5 of each range of up to 4 MiB, and needs three times
 * as long for it as for a larger one.
 */
#ifndef DR_STORE_AHEAD_H
#define DR_STORE_AHEAD_H

#include "base/err.h"
#include "stream/blob.h"

/* Takes NEXT, whose pread is called from threads of our own. */
struct dr_blob *dr_blob_ahead(struct dr_blob *next, struct dr_err *);

#endif /* !DR_STORE_AHEAD_H */
