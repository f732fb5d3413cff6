/*
 * guard.h - no second primary: what is asked before a server may start, and
 * what runs beside every server and stops it when it may no longer go on.
 *
 * What it rests on.  The key "leader" (coord/coord.h) hangs on a lease, and a
 * server may be a primary only while its guard has that lease.  Whoever wants
 * to promote another and cannot reach the old primary waits until the key is
 * gone, and then makes a new epoch in a transaction which demands that the
 * epoch is still the one it looked at.  To take the key, a guard rewrites the
 * epoch, as it is, in the transaction that takes it: so of a guard that comes
 * back and a promotion that begins, one fails.
 *
 * The moment to stop the server, by CLOCK_BOOTTIME, is
 *
 *	when the last renewal was sent + TTL - TTL / 10 - the reserve
 *
 * where the reserve is what stopping it takes: an immediate shutdown, and
 * SIGKILL to what is left after a part of it.  A second process (deadman.h)
 * does it where the first is stopped, stuck or killed, unless both are frozen
 * with the server; then they wake up with it, and look at the clock before
 * anything else.
 *
 * Failsafe.  When etcd is merely away, a primary goes on beyond that moment
 * as long as every member of its synchronous set proves that it is connected
 * to it: a small record is written to WAL, and each member has to report that
 * it has it, every third of a TTL.  Why that is safe: a promotion needs so
 * many members cut off from us, R, that R + W > N, and so at least one; what
 * is committed after the first was cut off and until we see it is still
 * acknowledged by W of N members, one of which the new primary has asked for
 * all it has.  The set that counts is the one that was published, so there is
 * no failsafe where the setting was changed since, nor with "*", whose
 * members nobody can count.  There is none when the key is lost to another,
 * and none without a synchronous set.
 *
 * A guard that starts anew finds the moment that its predecessor had promised
 * in STATE/guard/SET/NAME.until, whose child keeps to it meanwhile.  The key
 * is its own when the value names the same host and data directory, and it
 * goes on with the predecessor's lease; what it does not find out from etcd
 * in time, it treats like its predecessor would have.  A primary of which no
 * epoch was ever known here is no guard's yet: it is not stopped because etcd
 * cannot be reached.
 *
 * What is published as the synchronous set is what the server has enforced
 * for a second at least.  When the setting changes, the record goes first,
 * and the new one follows once it is effective, so that a failover finds no
 * set rather than a wrong one; but somebody who takes members out of the
 * setting by hand is ahead of that by up to a third of a TTL.
 */
#ifndef DR_FLOW_GUARD_H
#define DR_FLOW_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "coord/coord.h"
#include "coord/etcd.h"
#include "coord/records.h"

#define DR_GUARD_TTL_MIN 2
#define DR_GUARD_TTL_MAX 120

struct dr_guard_opts {
	const char *set, *state;
	const char *pgdata;
	const char *name;     /* NULL: cluster_name, by its configuration */
	const char *conninfo; /* NULL: the PG* environment */
	struct dr_etcd *etcd; /* both are borrowed */
	struct dr_coord *coord;
	int ttl;             /* of the lease, seconds */
	uint64_t hang_ms;    /* a server that is silent so long; 0: never */
	const char *stop;    /* hook that stops the server; NULL: we do */
	int64_t break_glass; /* the epoch; -1: not given */
};

/*
 * May the server on PGDATA, which does not run, start as it is?  0 yes; -1:
 * DR_EPARTIAL no, DR_ERETRY etcd cannot be asked, or others are at it.  A
 * server that is to be a primary has its key "leader" then, for TTL seconds,
 * in which a guard beside it takes over.
 */
int dr_guard_start(const struct dr_guard_opts *, struct dr_err *);

/*
 * Guard the server on PGDATA until a stop signal comes (0).  -1: it cannot be
 * guarded: DR_EUSAGE, DR_EFAIL.
 */
int dr_guard_run(const struct dr_guard_opts *, struct dr_err *);

/*
 * The name of the node on PGDATA: what NAME says, else its configuration.
 * DR_EUSAGE: it has none, or it cannot be one.
 */
int dr_guard_name(const struct dr_guard_opts *, char name[DR_NODE_NAME],
    struct dr_err *);

/* --- the judgement ------------------------------------------------------- */

enum dr_guard_leader {
	DR_LEADER_NOBODY,
	DR_LEADER_OURS,  /* on the lease that this guard holds */
	DR_LEADER_SELF,  /* this server's, on an earlier lease */
	DR_LEADER_OTHER, /* another's, whose guard lives or did just now */
};

struct dr_guard_facts { /* times by dr_boottime() */
	int64_t now;
	int64_t stop_at; /* 0: nothing was promised to anybody */
	bool writable;   /* it runs, and is or may become a primary */
	bool fresh;      /* this run of it had no lease so far */
	bool asked;      /* etcd has answered, just now */
	int64_t epoch;   /* the newest that is known; 0: none */
	bool names_us;   /* it does */
	bool older;      /* the server's timeline is older than its */
	enum dr_guard_leader leader; /* where ASKED */
	bool twin;                   /* it has the name of this node */
	bool lease;    /* there is one, to take the key with; where ASKED */
	bool failsafe; /* every member has proved that it is connected */
	bool glass;    /* started by --break-glass, and etcd was away since */
	bool hung;     /* silent for too long */
};

enum dr_guard_act {
	DR_GUARD_REST,    /* there is nothing to do */
	DR_GUARD_GO_ON,   /* it is led by this node */
	DR_GUARD_WAIT,    /* it leads, once the former one's key is gone */
	DR_GUARD_TAKE,    /* take the key */
	DR_GUARD_RELEASE, /* let go of it */
	DR_GUARD_STAY,    /* without a lease: failsafe, or the glass */
	DR_GUARD_LOOSE,   /* a primary that nobody guards yet */
	DR_GUARD_STOP,    /* the server, at once */
};

/* Pure.  *WHY, for DR_GUARD_STOP, is a constant: "epoch", "late", ... */
enum dr_guard_act
dr_guard_judge(const struct dr_guard_facts *, const char **why);

#endif /* !DR_FLOW_GUARD_H */
