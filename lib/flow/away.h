/*
 * away.h - stores that did not answer lately: remembered in the state, so
 * that not every run waits for them anew.
 */
#ifndef DR_FLOW_AWAY_H
#define DR_FLOW_AWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DR_AWAY_STORES 16
#define DR_AWAY_MIN_US ((int64_t)5 * 1000000)
#define DR_AWAY_MAX_US ((int64_t)300 * 1000000)

/* Start with { 0 }. */
struct dr_away {
	size_t n;
	struct dr_away_store {
		char *url;
		unsigned failures; /* one after the other */
		int64_t until;     /* microseconds since 1970 */
	} v[DR_AWAY_STORES];
};

/*
 * What PATH says.  A file that is not there, or makes no sense, says nothing:
 * it spares time, and is needed for nothing else.
 */
void dr_away_read(struct dr_away *, const char *path);
void dr_away_wipe(struct dr_away *);

/* Is URL to be left alone now?  Until when, in *UNTIL (not NULL). */
bool dr_away_is(const struct dr_away *, const char *url, int64_t *until);

/*
 * URL ANSWERED, or did not: then it is left alone for 5 seconds, and twice as
 * long each time after that, up to 5 minutes.  PATH is written if that
 * changes anything.
 */
int dr_away_note(struct dr_away *, const char *path, const char *url,
    bool answered, struct dr_err *);

#endif /* !DR_FLOW_AWAY_H */
