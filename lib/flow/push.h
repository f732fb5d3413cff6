/*
 * push.h - publishing one stream in one or more stores.
 */
#ifndef DR_FLOW_PUSH_H
#define DR_FLOW_PUSH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/input.h"
#include "flow/state.h"
#include "store/store.h"

struct dr_push_opts {
	const char *set;
	const char *const *stores; /* URLs */
	size_t nstores;
	const struct dr_store_opts *how; /* to open them; or NULL */
	const char *sign_key; /* NULL: STATE/sign.key, made at first use */
	const char *state;
	size_t require; /* stores that must have it; 0: all */
	bool plain;     /* an unsealed body is meant */
};

/* One store of a push. */
struct dr_target {
	struct dr_store *store;
	struct dr_sink *sink; /* the body on its way; NULL when dropped */
	bool body;            /* it holds the body whole */
	bool done;            /* it holds the backup */
	struct dr_err err;    /* why not */
	/* While it takes nothing: since when, and what it had taken by then. */
	int64_t since;
	uint64_t moved;
};

struct dr_push_report {
	char id[DR_ID_LEN], sha256[DR_SHA256_TEXT]; /* of the body */
	char *object;                               /* the body's name; owned */
	uint64_t size;                              /* of the body */
	int64_t usec;                               /* how long it took */
	bool again;       /* it was there before: nothing new was stored */
	json_t *manifest; /* as published, or as read; owned */
	size_t done;      /* stores that hold it */
	size_t n;
	struct dr_target target[DR_PUSH_STORES];
};

/*
 * Read the input to its proved end, into all stores in one pass, and commit:
 * a store that fails is dropped and named.  0: all stores hold it.
 * -1: DR_EPARTIAL: enough do, or the backup itself is incomplete; DR_EFAIL:
 * too few; DR_EUSAGE: nothing was stored; or what ended the input.  REPORT is
 * filled as far as it came and is the caller's to wipe in any case.
 */
int dr_push(struct dr_input *, const struct dr_push_opts *,
    struct dr_push_report *, struct dr_err *);
void dr_push_wipe(struct dr_push_report *);

/*
 * The commit alone (push.c calls it): the bodies are in place in those
 * targets that have BODY set.  Publishes first what is pending; R->again is
 * set when the id turns out to be there.  -1 when nothing could be tried;
 * what a store failed by stands in its target.
 */
int dr_commit(const struct dr_push_opts *, const struct dr_sign_key *,
    bool key_made, struct dr_push_report *, struct dr_err *);

/*
 * Is a backup of this id there, by the state's record or, if ASK, in a store
 * that can be read?  1: with the same body; targets' done and err are set.  0: no.
 * -1: with another body, or it cannot be told.
 */
int dr_commit_known(const struct dr_push_opts *, const struct dr_sign_key *,
    struct dr_push_report *, bool ask, struct dr_err *);

#endif /* !DR_FLOW_PUSH_H */
