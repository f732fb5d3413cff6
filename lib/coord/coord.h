/*
 * coord.h - what those who look after a set agree upon, in etcd: who acts,
 * who leads, which epoch it is.
 *
 * Keys, under "/dr/SET/":
 *
 *	run		leased: who acts (a dr-promote); its token fences
 *	leader		leased: the node whose guard keeps it primary
 *	epoch		which node leads since which failover; only grows
 *	intent		what the one who acts is about to do, or was
 *	sync		the synchronous set, as the primary enforces it
 *	hold		no automatic failover, and why
 *	node/NAME	leased: what a guard or a receiver of WAL says of itself
 *	observer/NAME	leased: an observer's vote that the primary is down
 *
 * and, so that reading the above stays cheap, "/dr-history/SET/TIME-RANDOM":
 * an event each, never changed.
 *
 * A lease is held until a moment by CLOCK_BOOTTIME, taken before the request
 * that began or renewed it was sent, so that we stop believing in it before
 * etcd does.  Everything a holder writes is a transaction which demands that
 * the key is still the one it made, on the lease it has, and not touched since
 * the holder's last write; and which touches it.  So a write happens once,
 * whoever is asked for it how often, and one that arrives late (from a member
 * of etcd that was frozen) does nothing.
 *
 * One call takes as long as dr_etcd_patience says, a holder's no longer than
 * its lease lasts.
 */
#ifndef DR_COORD_COORD_H
#define DR_COORD_COORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coord/etcd.h"

/* Microseconds of CLOCK_BOOTTIME, which goes on while the machine sleeps. */
int64_t dr_boottime(void);

struct dr_coord;

/* ETCD is borrowed.  DR_EUSAGE: SET is no set's name. */
struct dr_coord *
dr_coord_open(struct dr_etcd *, const char *set, struct dr_err *);
void dr_coord_free(struct dr_coord *);
/* "/dr/SET/NAME", in a buffer of the caller's; truncated never. */
#define DR_COORD_KEY 256
char *
dr_coord_key(const struct dr_coord *, const char *name, char out[DR_COORD_KEY]);

/* --- what is there ------------------------------------------------------- */

struct dr_coord_key_ {
	char *name;  /* "run", "node/a" */
	char *value; /* JSON; see records.h */
	int64_t created, modified, lease;
};

struct dr_coord_look { /* start with { 0 } */
	int64_t revision;
	struct dr_coord_key_ *key;
	size_t n;
};

/* All keys of the set, as of one moment. */
int dr_coord_look(struct dr_coord *, struct dr_coord_look *, struct dr_err *);
void dr_coord_look_wipe(struct dr_coord_look *);
/* NULL: there is none of that name. */
const struct dr_coord_key_ *
dr_coord_find(const struct dr_coord_look *, const char *name);

/* --- holding a key ------------------------------------------------------- */

struct dr_held { /* start with { 0 }: nothing is held */
	char name[96];
	int64_t lease;
	int64_t token; /* create_revision: what later holders' exceeds */
	int ttl;       /* seconds, as granted */
	/* By dr_boottime(): hold nothing to be yours after it.  0: lost. */
	int64_t until;
	int64_t modified; /* mod_revision: by our last write */
	bool doubt;       /* of that: a later one may have been done */
};

/* Of one call. */
#define DR_COORD_OPS 16

/* One write of several that happen together or not at all. */
struct dr_coord_op {
	const char *name;
	const char *value; /* NULL: delete it */
	bool leased;       /* it goes when the lease does */
	bool history;      /* NAME is ignored: a new event of the history */
	/* Only if its mod_revision is this; 0: it must not exist; -1: any. */
	int64_t was;
};

/*
 * Take NAME with VALUE for TTL seconds, if nobody has it, and do the N other
 * writes with it.  1 taken; 0 somebody has it (*HOLDER, the caller's, is its
 * value) or a WAS was not so (*HOLDER NULL); -1.  A reply that is lost is
 * looked for: what it did is known, or it fails, and then the same struct is
 * to be given to the next try, or to dr_coord_release, which take care of what
 * may have been done.
 */
int dr_coord_take(struct dr_coord *, const char *name, const char *value,
    int ttl, const struct dr_coord_op *, size_t n, struct dr_held *,
    char **holder, struct dr_err *);

/*
 * Go on with what a former process of ours has taken, K of a look: for who
 * can prove by its value that it is his.  Returns as dr_coord_renew does; only
 * with 1 is it held.  If that process lives it loses the key at its next write.
 */
int dr_coord_adopt(struct dr_coord *, const struct dr_coord_key_ *k, int ttl,
    struct dr_held *, struct dr_err *);

/*
 * 1 renewed, UNTIL has moved, and the key is still ours; 0 it is lost; -1
 * etcd is away: held until UNTIL all the same.
 */
int dr_coord_renew(struct dr_coord *, struct dr_held *, struct dr_err *);
/* Microseconds left, less MARGIN of the TTL's tenth; not above 0: over. */
int64_t dr_coord_left(const struct dr_held *);
/* Due for renewal: a third of the TTL has gone by. */
bool dr_coord_due(const struct dr_held *);

/*
 * Do the writes if H is held still.  1 done (*REVISION, if not NULL, is
 * theirs); 0 H is lost (then its UNTIL is 0) or a WAS was not so: nothing was
 * done; -1.  A lost reply is looked for, as above; after -1 it is not known
 * whether they were done, but by the end of the next write they were or never
 * will be.  One of them may be to the key that is held (LEASED).
 */
int dr_coord_write(struct dr_coord *, struct dr_held *h,
    const struct dr_coord_op *, size_t n, int64_t *revision, struct dr_err *);
/* Let go of it, if it is ours still, also after a stop signal. */
int dr_coord_release(struct dr_coord *, struct dr_held *, struct dr_err *);

/* Writes without a holder: hold, a vote's removal.  1, 0 a WAS was not so, -1. */
int dr_coord_put(struct dr_coord *, const struct dr_coord_op *, size_t n,
    int64_t *revision, struct dr_err *);

/* The latest MAX events (0: all), oldest first; as in dr_coord_look. */
int dr_coord_history(struct dr_coord *, size_t max, struct dr_coord_look *,
    struct dr_err *);

#endif /* !DR_COORD_COORD_H */
