/*
 * fresh.h - when credentials that expire are to be fetched again.
 */
#ifndef DR_STORE_FRESH_H
#define DR_STORE_FRESH_H

#include <stdbool.h>
#include <stdint.h>

/* Start with { 0 }.  Its owner's lock guards it. */
struct dr_fresh {
	bool have;                /* some were fetched */
	bool failed;              /* the last try failed */
	int64_t tried, forced_at; /* monotonic; 0 never */
};

/*
 * Is it time?  They expire at EXPIRY (microseconds since 1970; 0 never) and
 * are fetched AHEAD microseconds before; some moments after the last try,
 * whatever their expiry, and later after one that failed while they are
 * good.  FORCE: a server has called them expired; true once for all that say
 * so at one time.
 */
bool dr_fresh_due(const struct dr_fresh *, int64_t expiry, int64_t ahead,
    bool force);
/* They are about to be fetched; until dr_fresh_got that has failed. */
void dr_fresh_try(struct dr_fresh *);
void dr_fresh_got(struct dr_fresh *, bool force);

#endif /* !DR_STORE_FRESH_H */
