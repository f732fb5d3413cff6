/*
 * pg_watch.h - how much WAL a slot holds back while a backup runs.
 */
#ifndef DR_FLOW_PG_WATCH_H
#define DR_FLOW_PG_WATCH_H

#include <stdint.h>

#include "base/err.h"
#include "pg/conn.h"

struct dr_watch;

/*
 * Watch SLOT over SQL, an ordinary connection, borrowed.  MAX bytes are
 * allowed; 0: any number, and then what cannot be learned is no failure.
 */
struct dr_watch *
dr_watch_new(PGconn *sql, const char *slot, uint64_t max, struct dr_err *);

/*
 * Call about once a second: takes the answer that came, if one did, and asks
 * again.  Never waits.  Shows the figure beside the progress.  DR_EFAIL: more
 * than MAX.
 */
int dr_watch_tick(struct dr_watch *, struct dr_err *);

void dr_watch_free(struct dr_watch *);

#endif /* !DR_FLOW_PG_WATCH_H */
