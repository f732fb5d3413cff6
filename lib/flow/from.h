/*
 * from.h - the backup that a command line names: in a store, in a file, or
 * on standard input.
 */
#ifndef DR_FLOW_FROM_H
#define DR_FLOW_FROM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/minisign.h"
#include "flow/body.h"
#include "store/store.h"

struct dr_from_opts {
	const char *set, *id;
	bool whole_id;          /* of a backup that was read: no others are */
	const char *verify_key; /* -K, or NULL */
	bool no_signature;
	const char *state;
	const char *file;                /* or "-"; NULL: a store */
	struct dr_strs stores;           /* tried in order */
	const struct dr_store_opts *how; /* to open them; or NULL */
};

/*
 * Operands: "-" or one file, which are no store, or stores (else those of
 * DR_STORE).  Fills o->file or o->stores; the caller frees these.
 */
int dr_from_operands(int n, char *const argv[], struct dr_from_opts *o,
    struct dr_err *);

/* The keys to verify with; NULL and 0 with o->no_signature. */
int dr_from_keys(const struct dr_from_opts *, struct dr_verify_keys **,
    struct dr_err *);

/*
 * Open it: of several stores the first that has the backup, with a warning
 * for each before.
 */
struct dr_body *dr_from_open(const struct dr_from_opts *, struct dr_err *);

#endif /* !DR_FLOW_FROM_H */
