/*
 * walstate.h - what writers of WAL remember on this host, under
 * STATE/wal/SET/SYSID:
 *
 *	journal			intents: what was to be put, and what came of it
 *	lock			held while the journal is read or written
 *	writers			a byte of it is locked by each living writer
 *	ledger.lock		one process at a time writes ledgers; its mtime
 *				is when that was last begun
 *	head.json		the newest ledger made
 *	ledger-N.json		one on its way into the stores
 *
 * The journal is appended to, a line for each record, and rewritten without
 * what ledgers have taken up.  An intent is durable before the first byte is
 * sent; what came of it need not be, since a store can be asked.  So a line
 * that a crash of the host left torn is passed over.
 */
#ifndef DR_FLOW_WALSTATE_H
#define DR_FLOW_WALSTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "manifest/ledger.h"

#define DR_INTENT_STORES 16

/* One object under one name, with the stores it was meant for. */
struct dr_intent {
	int64_t time; /* microseconds */
	uint64_t writer;
	uint32_t tli;
	char *name; /* the object's last part */
	uint64_t size;
	char sha256[DR_SHA256_HEX];
	uint64_t from, to; /* LSNs; equal where it holds no range */
	bool closed;       /* its writer said what came of it */
	size_t n;
	struct dr_intent_store {
		char *url;
		bool done;
	} store[DR_INTENT_STORES];
};

/* WAL that a writer knows to be missing. */
struct dr_wal_gap {
	int64_t time;
	uint32_t tli;
	char *url; /* "": in all stores */
	uint64_t from, to;
};

struct dr_journal {
	struct dr_intent *v; /* as they were made */
	size_t n;
	struct dr_wal_gap *gap;
	size_t gaps;
	size_t damaged; /* lines passed over */
};

struct dr_walstate;

/* Makes what is missing; registers as a writer while it lives. */
struct dr_walstate *dr_walstate_open(const char *state, const char *set,
    uint64_t system_id, struct dr_err *);
void dr_walstate_free(struct dr_walstate *);
uint64_t dr_walstate_writer(const struct dr_walstate *);
/* Is the process with that number alive?  Not for one's own. */
bool dr_walstate_alive(const struct dr_walstate *, uint64_t writer);

/* Append, durably; INTENT->time and ->writer are set. */
int
dr_walstate_intend(struct dr_walstate *, struct dr_intent *, struct dr_err *);
/*
 * The same in two steps: others' work goes on while the disk is at it, but
 * until dr_walstate_intended has said 0 (-1: the intent may be lost) nothing
 * may appear under the name.  Nothing else is appended in between.  It may be
 * asked again.
 */
int dr_walstate_intending(struct dr_walstate *, struct dr_intent *,
    struct dr_err *);
int dr_walstate_intended(struct dr_walstate *, struct dr_err *);
/* Append what came of it: store[].done.  Not fsynced. */
int dr_walstate_close(struct dr_walstate *, const struct dr_intent *,
    struct dr_err *);
/* Append a gap, durably. */
int dr_walstate_gap(struct dr_walstate *, const struct dr_wal_gap *,
    struct dr_err *);

int
dr_walstate_read(struct dr_walstate *, struct dr_journal *, struct dr_err *);
void dr_journal_wipe(struct dr_journal *);
/* 1: some intent of that name is done in the store URL; *SHA256 is its. */
int dr_journal_has(const struct dr_journal *, const char *name, const char *url,
    const char **sha256);

/*
 * Rewrite the journal: without those for whom DROP says so.  It is read anew
 * under the lock, so what was appended meanwhile is asked for too.
 */
int dr_walstate_compact(struct dr_walstate *,
    bool (*drop)(void *, const struct dr_intent *),
    bool (*drop_gap)(void *, const struct dr_wal_gap *), void *arg,
    struct dr_err *);

/* --- ledgers ---------------------------------------------------------------- */

struct dr_wal_head {
	uint64_t n;
	int64_t time;
	uint32_t tli;
	char *name;
	char sha256[DR_SHA256_HEX];
};
void dr_wal_head_wipe(struct dr_wal_head *);

/* A signed ledger that some store does not have yet. */
struct dr_wal_pending {
	struct dr_wal_head head;
	char *text, *minisig;
	size_t n;
	char *owed[DR_INTENT_STORES]; /* URLs */
};
void dr_wal_pending_wipe(struct dr_wal_pending *);
int
dr_wal_pending_add(struct dr_wal_pending *, const char *url, struct dr_err *);

/*
 * The right to write ledgers, for at most MS: a descriptor to close, or -1
 * (DR_ERETRY: another has it).  Notes the time.
 */
int dr_walstate_ledger_lock(struct dr_walstate *, uint64_t ms, struct dr_err *);

/* 1, 0 there is none, -1. */
int
dr_walstate_head(struct dr_walstate *, struct dr_wal_head *, struct dr_err *);
int dr_walstate_set_head(struct dr_walstate *, const struct dr_wal_head *,
    struct dr_err *);

/* The numbers of those that are pending, rising; the caller frees *V. */
int dr_walstate_pending(struct dr_walstate *, uint64_t **v, size_t *n,
    struct dr_err *);
/* 1, 0 it is gone, -1. */
int dr_walstate_load(struct dr_walstate *, uint64_t n, struct dr_wal_pending *,
    struct dr_err *);
/* Durably; with nothing owed it goes. */
int dr_walstate_save(struct dr_walstate *, const struct dr_wal_pending *,
    struct dr_err *);

/* For whether something is due; 0: none. */
struct dr_walstate_times {
	int64_t oldest; /* record in the journal */
	int64_t tried;  /* to write ledgers */
	int64_t newest; /* ledger */
	bool pending;
	uint64_t journal; /* bytes */
};
void dr_walstate_times(const struct dr_walstate *, struct dr_walstate_times *);

#endif /* !DR_FLOW_WALSTATE_H */
