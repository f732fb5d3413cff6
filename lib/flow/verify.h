/*
 * verify.h - is every backup there, whole, and signed by whom it should be?
 * And, with the key to open them, is what is in them restorable?
 */
#ifndef DR_FLOW_VERIFY_H
#define DR_FLOW_VERIFY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/seal.h"
#include "flow/from.h"

struct dr_verify_opts {
	const struct dr_from_opts *from; /* from->set NULL: all sets */
	bool deep;
	const struct dr_identities *ids; /* NULL: none */
	int workers;
	uint64_t max_age; /* of the newest backup and ledger, ms; 0: any */
};

enum dr_verdict {
	DR_VERDICT_OK,
	DR_VERDICT_PRUNED,  /* expired: its body may be gone */
	DR_VERDICT_REMARK,  /* nothing wrong, but worth saying */
	DR_VERDICT_UNKNOWN, /* could not be looked at */
	DR_VERDICT_OLD,     /* the newest is older than it may be */
	DR_VERDICT_COVERED, /* overwritten or deleted, and whole beneath */
	DR_VERDICT_BAD,     /* damaged, missing, forged */
};

/* One thing found.  What is not known is NULL. */
struct dr_finding {
	/* "backup", "chain", "set", "store", "file", "wal" or "ledger" */
	const char *what;
	enum dr_verdict verdict;
	const char *store, *set, *id;
	const char *signer;
	const json_t *manifest;
	const char *text; /* why it is not OK */
	const char *hint;
	uint64_t members; /* walked, with deep */
	bool expected;    /* a remark on what every set has */
};

typedef int dr_verify_fn(void *, const struct dr_finding *, struct dr_err *);

struct dr_verify_sum {
	uint64_t backups, ok, bad, unknown, old, covered, bytes;
	uint64_t wal; /* objects of it read */
};

/*
 * Verify what FROM names and tell of everything found.  Returns -1 when
 * anything was BAD (DR_EDATA), else a store was away (DR_ERETRY), else
 * something was UNKNOWN, OLD or COVERED (DR_EPARTIAL), or looking failed.
 */
int dr_verify_all(const struct dr_verify_opts *, dr_verify_fn *, void *arg,
    struct dr_verify_sum *, struct dr_err *);

/*
 * A finding as one line of JSON, or as a line for people, with a newline;
 * WHERE: name the store even where all is well.
 */
int dr_finding_json(const struct dr_finding *, bool deep, struct dr_buf *,
    struct dr_err *);
int dr_finding_text(const struct dr_finding *, bool where, struct dr_buf *,
    struct dr_err *);

/* Audit and metrics of a run; FAILED as dr_verify_all left it, or NULL. */
void dr_verify_report(const struct dr_verify_opts *,
    const struct dr_verify_sum *, const struct dr_err *failed);

#endif /* !DR_FLOW_VERIFY_H */
