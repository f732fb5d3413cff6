/*
 * walpush.h - what an archive_command does: a WAL file into the stores, and
 * with it those that wait behind it.
 */
#ifndef DR_FLOW_WALPUSH_H
#define DR_FLOW_WALPUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/coordline.h"
#include "flow/walship.h"

struct dr_walpush_opts {
	struct dr_ship_opts ship;         /* system_id is found out */
	bool batch;                       /* store the next that wait, too */
	uint64_t queue_max;               /* more waiting is told; 0: never */
	const struct dr_coord_line *lock; /* who leads; or NULL */
	const char *name; /* this server's; NULL: as its files say */
};

/*
 * Store the file PATH, and tell metrics and audit.  0: it is durable in the
 * required stores (what others failed by was a warning).  -1 otherwise;
 * DR_EPARTIAL: another server has taken over, and the file is of what this one
 * wrote since.
 */
int
dr_walpush(const struct dr_walpush_opts *, const char *path, struct dr_err *);

/*
 * Write the ledgers that are due, and the hourly one, of all clusters whose
 * WAL was put into SET from here.
 */
int dr_walpush_ledger(const struct dr_walpush_opts *, struct dr_err *);

/* What one run did. */
struct dr_walpush_report {
	const char *name; /* the file's */
	uint64_t bytes;   /* its length, as PostgreSQL has it */
	bool again;       /* it was stored before */
	bool refused;     /* another server has taken over */
	size_t ahead;     /* files stored before their turn */
	uint64_t waiting; /* bytes that wait in archive_status */
	size_t waiting_n; /* files */
	bool over;        /* more than queue_max */
	bool queue;       /* the two above are known */
	int64_t usec;
	struct dr_ship_result result;
	const struct dr_ship *ship; /* not NULL: result says something */
};

/* Metrics and audit of it (walpush.c calls it). */
void dr_walpush_tell(const struct dr_walpush_opts *,
    const struct dr_walpush_report *, const struct dr_err *result);

#endif /* !DR_FLOW_WALPUSH_H */
