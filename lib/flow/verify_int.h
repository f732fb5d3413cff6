/*
 * verify_int.h - a run of dr_verify_all, shared by its parts.
 */
#ifndef DR_FLOW_VERIFY_INT_H
#define DR_FLOW_VERIFY_INT_H

#include "flow/catalogue.h"
#include "flow/verify.h"
#include "flow/walcat.h"

struct dr_verify {
	const struct dr_verify_opts *o;
	dr_verify_fn *fn;
	void *arg;
	struct dr_verify_sum *sum;
	struct dr_err unread; /* why a store could not be read */
	const char *store;
};

/* Count it and tell of it. */
int
dr_verify_tell(struct dr_verify *, const struct dr_finding *, struct dr_err *);

/*
 * The chains of SET, each signer's by itself, also against the heads seen
 * here earlier, which are kept when nothing is wrong.
 */
int dr_verify_chains(struct dr_verify *, const char *set,
    const struct dr_backups *, struct dr_err *);

/*
 * The WAL of SET: its ledgers, each object they name, and whether it is whole
 * from the backups on; with ONE from that backup on.
 */
int dr_verify_wal(struct dr_verify *, struct dr_store *, const char *set,
    const struct dr_verify_keys *, const struct dr_backups *,
    const struct dr_backup *one, struct dr_err *);

/* Of whom there were ledgers. */
struct dr_verify_met {
	struct {
		uint64_t system_id;
		char signer[DR_LEDGER_SIGNER];
	} * v;
	size_t n;
};

/* WAL of one system id, in the middle of that. */
struct dr_verify_wal {
	struct dr_verify *v;
	struct dr_store *store;
	const char *set;
	const struct dr_verify_keys *keys; /* NULL: none wanted */
	const struct dr_backups *all;
	const struct dr_backup *one; /* NULL: all */
	struct dr_verify_met *met;
	struct dr_walcat cat;
	char id[24]; /* of the system */
	bool bad;
};

/* Is it a cluster's backup of that system id, and which? */
bool dr_verify_wal_backup(const struct dr_verify_wal *,
    const struct dr_backup *, uint32_t *tli, uint64_t *from, uint64_t *to);

int dr_verify_wal_tell(struct dr_verify_wal *, const char *what,
    enum dr_verdict, const char *text, const char *hint, struct dr_err *);

/* Holes, from the backups on to the last record. */
int dr_verify_wal_holes(struct dr_verify_wal *, struct dr_err *);

/* The newest ledgers: those that were seen here earlier, and their age. */
int dr_verify_wal_heads(struct dr_verify_wal *, struct dr_err *);
/* Note whose there are; of whom there are none at the end, but were. */
int dr_verify_wal_met(struct dr_verify_wal *, struct dr_err *);
int dr_verify_wal_vanished(struct dr_verify_wal *, struct dr_err *);

#endif /* !DR_FLOW_VERIFY_INT_H */
