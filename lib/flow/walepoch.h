/*
 * walepoch.h - which server may be primary, by a set's keys in etcd
 * (coord/records.h), to those who write its WAL into stores: what is
 * acknowledged or archived behind the back of a failover is in no new
 * primary's past.
 */
#ifndef DR_FLOW_WALEPOCH_H
#define DR_FLOW_WALEPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "coord/coord.h"
#include "coord/records.h"
#include "pg/wal.h"

#define DR_WALEPOCH_WHY 256

struct dr_walepoch {
	bool has_epoch, has_intent;
	struct dr_rec_epoch epoch;
	struct dr_rec_intent intent;
};

/* Of all keys of a set.  DR_EDATA: a record that cannot be read. */
int dr_walepoch_get(const struct dr_coord_look *, struct dr_walepoch *,
    struct dr_err *);

bool dr_walepoch_same(const struct dr_walepoch *, const struct dr_walepoch *);

/*
 * The failover that is under way, and not yet an epoch; its token is what a
 * receiver's record says (coord/records.h).  NULL: none.  A switchover is
 * none: until its epoch the old primary leads, and is not cut off from
 * anything before it has stopped.
 */
const struct dr_rec_intent *dr_walepoch_failover(const struct dr_walepoch *);

/*
 * May WAL of the server NAME be acknowledged no more?  WHY says by what.
 * STANDBY: it is in recovery; nobody's commit waits for what is acknowledged
 * to one, whoever leads.
 */
bool dr_walepoch_bars(const struct dr_walepoch *, const char *name,
    bool standby, char why[DR_WALEPOCH_WHY]);

/*
 * Is the file one of WAL that was written after the leader left its timeline,
 * by the server NAME ("": not known)?  Its segment ends at END (0: not known).
 * The leader's own files are not, nor what may be the leader's: a .partial,
 * with which a timeline ends.
 */
bool dr_walepoch_refuses(const struct dr_walepoch *, const char *name,
    const struct dr_wal_file *, uint64_t end, char why[DR_WALEPOCH_WHY]);

#endif /* !DR_FLOW_WALEPOCH_H */
