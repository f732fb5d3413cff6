/*
 * coord_int.h - between the writes of a set's keys that need no holder
 * (coord.c) and those of who holds one (coord_held.c).
 */
#ifndef DR_COORD_COORD_INT_H
#define DR_COORD_COORD_INT_H

#include "coord/coord.h"

struct dr_coord {
	struct dr_etcd *etcd;
	char set[DR_COORD_KEY / 2];
};

/* The time of one call, over all that it asks etcd. */
struct dr_coord_span {
	struct dr_etcd *etcd;
	uint64_t patience;
	int64_t until; /* by dr_monotonic() */
};

/* H: not NULL: no longer than it is held, if it is. */
void dr_coord_begin(const struct dr_coord *, const struct dr_held *h,
    struct dr_coord_span *);
/* Before each request. */
void dr_coord_next(const struct dr_coord_span *);
void dr_coord_end(const struct dr_coord_span *);

/* A transaction on its way. */
struct dr_coord_txn {
	struct dr_etcd_txn txn;
	struct dr_etcd_if cond[DR_COORD_OPS + 4];
	struct dr_etcd_op then[DR_COORD_OPS + 1], other[DR_COORD_OPS + 1];
	char key[DR_COORD_OPS][DR_COORD_KEY]; /* of each op */
};

/* Begin it with the N writes, leased ones on LEASE; conditions follow. */
int dr_coord_txn(const struct dr_coord *, struct dr_coord_txn *,
    const struct dr_coord_op *, size_t n, int64_t lease, struct dr_err *);
void dr_coord_cond(struct dr_coord_txn *, const char *key, enum dr_etcd_target,
    int64_t number);
/* The conditions that the WAS of writes are. */
void dr_coord_was(struct dr_coord_txn *, const struct dr_coord_op *, size_t n);
/* What is read where they do not hold. */
void dr_coord_else(struct dr_coord_txn *, const char *key);

/* Of what a transaction has read; NULL: not there. */
const struct dr_etcd_kv *
dr_coord_kv(const struct dr_etcd_reply *, const char *key);

#endif /* !DR_COORD_COORD_INT_H */
