/*
 * rate.h - so many bytes a second each way, over all transfers of the
 * process and all of its threads: a token bucket for each way.
 */
#ifndef DR_HTTP_RATE_H
#define DR_HTTP_RATE_H

#include <stddef.h>
#include <stdint.h>

enum dr_way { DR_WAY_OUT, DR_WAY_IN };

/* Bytes a second; 0: any.  The lowest that was asked for holds. */
void dr_rate_limit(uint64_t rate);
/* How many of WANT bytes may go now; 0: none, wait. */
size_t dr_rate_may(enum dr_way, size_t want);
/* So many went; more than dr_rate_may said is a debt. */
void dr_rate_went(enum dr_way, size_t);
/* Microseconds until dr_rate_may says more than 0; 0: it does. */
int64_t dr_rate_wait(enum dr_way);

#endif /* !DR_HTTP_RATE_H */
