/*
 * rejoin.h - from a former primary, or any node that stopped or crashed, to
 * a standby of the primary of today.
 *
 * Whether anything has to be undone is judged by where this node's WAL ends
 * and where the new primary's history left its timeline.  Then the first of
 * these that can be done:
 *
 *	follow	nothing of it is past the fork: configuration only
 *	trim	only WAL that was never replayed is: it is moved aside
 *	rewind	pg_rewind
 *	delta	the newest backup in the stores over what is there
 *	copy	a new base backup; the old directory is renamed
 *
 * Nothing of what this node alone had is lost: WAL past the fork is first
 * copied to DIRECTORY.diverged-TIME beside the data directory (or where
 * keep_wal says), with a list of the transactions that were committed in it.
 * The node's own configuration, and what else lies in the directory that is
 * not the server's, stays as it was, but for what makes it a standby.
 *
 * While it is rewound the directory has a mode that a server refuses (others
 * may search it), and keeps it where that failed or was killed: then it can
 * only be restored over or copied anew, by the same call.
 */
#ifndef DR_FLOW_REJOIN_H
#define DR_FLOW_REJOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "flow/from.h"

enum dr_rejoin_way {
	DR_REJOIN_FOLLOW,
	DR_REJOIN_TRIM,
	DR_REJOIN_REWIND,
	DR_REJOIN_DELTA,
	DR_REJOIN_COPY,
	DR_REJOIN_NONE, /* none of them can be done */
};

struct dr_rejoin_opts {
	const char *set, *state; /* as given to the tool */
	const char *pgdata;
	const char *conninfo; /* of the new primary: a superuser, or a role
	                         that may all that pg_rewind needs */
	/*
	 * What it is to follow: primary_conninfo as it is (FOLLOW), or, NULL,
	 * the node's own with this host and port in place (NULL: those that
	 * CONNINFO led to).  SLOT: made there where it does not exist; NULL.
	 */
	const char *follow, *host, *port, *slot;
	const char *bindir;      /* of the server's programs; NULL: found */
	const char *config_file; /* where it lies elsewhere, as in Debian */
	const char *keep_wal;    /* where to keep WAL; NULL: see above */

	/* For the store; FROM NULL: there is none.  As dr-restore has them. */
	const struct dr_from_opts *from;
	const struct dr_identities *ids;
	const struct dr_strs *identities;
	const char *identity_command, *passphrase_file;
	int workers;

	enum dr_rejoin_way least; /* leave out ways before this one */
	bool allow_copy;          /* a copy too */
	bool dry_run;             /* judge, change nothing */
};

struct dr_rejoin {
	enum dr_rejoin_way way; /* that was taken, or would be */
	char why[512];          /* it, and not one before it: sentences */
	bool done, changed;     /* changed: something was, done or not */

	/* What was judged.  Where the directory cannot say: known false. */
	bool known, unusable; /* unusable: an earlier attempt did not finish */
	uint32_t tli, new_tli;
	uint64_t system_id;
	uint64_t fork;     /* UINT64_MAX: it is on the primary's timeline */
	uint64_t end;      /* of its WAL */
	uint64_t data_end; /* what its files may hold */
	bool diverged;     /* its files, or its WAL, are past the fork */

	/* What it alone has. */
	uint64_t commits, records;
	int64_t first_commit, last_commit; /* microseconds; 0 */
	bool partial; /* the WAL just behind the fork is gone already */
	char *kept;   /* the directory where that WAL is; NULL */
	uint64_t kept_segments, kept_bytes;

	uint64_t written; /* bytes, by delta or, about, by rewind */
	uint64_t there;   /* files that were kept as they were, by delta */
	char *aside;      /* the old directory, after a copy; NULL */
	char *followed;   /* host and port */
	/*
	 * Slots: of failover, not synced, which were moved aside; and others
	 * that are still there and hold back WAL.
	 */
	char *slots_aside, *slots_left; /* words; NULL: none */
};

/*
 * 0: done, or with dry_run judged (way NONE: it could not be done).  The
 * server is not started.
 *
 * DR_EPARTIAL: refused, and nothing changed: it runs, is of another cluster
 * or version, belongs to another user than who calls, the other one is no
 * primary, or there is no way.  DR_ERETRY: the new primary does not answer.
 * Anything else: it failed midway; R says what was changed, and it can be
 * called again.
 */
int
dr_rejoin(const struct dr_rejoin_opts *, struct dr_rejoin *, struct dr_err *);
void dr_rejoin_wipe(struct dr_rejoin *);

/* Did a rejoin of it begin, and not end?  Then no server may start there. */
bool dr_rejoin_unusable(const char *pgdata);

const char *dr_rejoin_word(enum dr_rejoin_way);
/* Lines for people, appended. */
int dr_rejoin_text(const struct dr_rejoin *, struct dr_buf *, struct dr_err *);
/* Members of an open object. */
void dr_rejoin_json(const struct dr_rejoin *, struct dr_json *);

#endif /* !DR_FLOW_REJOIN_H */
