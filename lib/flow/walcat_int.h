/*
 * walcat_int.h - a run of dr_walcat_read, shared by its parts.
 */
#ifndef DR_FLOW_WALCAT_INT_H
#define DR_FLOW_WALCAT_INT_H

#include "flow/walcat.h"

struct dr_walcat_run {
	struct dr_store *store;
	const char *set;
	const struct dr_verify_keys *keys;
	int (*report)(void *, const char *, struct dr_err *);
	void *arg;
	struct dr_walcat *out;
	char **ledger; /* names of all that are listed */
	size_t ledgers;
};

/* Count it and tell of it; -1 is that of the one who is told. */
int dr_walcat_fault(struct dr_walcat_run *, struct dr_err *, const char *, ...)
    __attribute__((format(printf, 3, 4)));

/* Sort the links; what does not follow what was before it is a fault. */
int dr_walcat_chain(struct dr_walcat_run *, struct dr_err *);

/* The timelines, from the entries in order. */
int dr_walcat_maps(struct dr_walcat *, struct dr_err *);

/*
 * Believe the ledger NAME; the first LISTED entries are those of the listing.
 * HASH (or NULL): it is not listed, and looked for beneath.  1 it is
 * believed, 0 there is none that is.
 */
int dr_walcat_ledger(struct dr_walcat_run *, size_t listed, const char *name,
    const char *hash, struct dr_err *);

/* What lies beneath what is current, counted and noted: as dr_through_signed. */
int dr_walcat_ledger_beneath(struct dr_walcat_run *, const char *name,
    const char *hash, char **text, size_t *len, char signer[DR_KEYID_HEX],
    struct dr_err *);

/* Ledgers that others follow, and that the store does not list. */
int
dr_walcat_seek_ledgers(struct dr_walcat_run *, size_t listed, struct dr_err *);

/* WAL that ledgers name and the store does not list: then it is LISTED, too. */
int dr_walcat_seek_wal(struct dr_walcat_run *, struct dr_err *);

#endif /* !DR_FLOW_WALCAT_INT_H */
