/*
 * state.h - what dr-push and dr-verify remember on this host, under
 * --state:
 *
 *	sign.key, sign.key.pub		the signing key, made at first use
 *	sets/SET/lock			one dr-push commits at a time
 *	sets/SET/head-SIGNER.json	the newest manifest that a store may hold
 *	sets/SET/pending-ID.json	a manifest on its way into the stores
 *	sets/SET/done-ID.json		one that has arrived
 *	seen/...			what dr-verify saw (seen.h)
 *
 * Every change is durable when the function returns.  A file that cannot be
 * understood is an error: to go on without it could fork the chain.
 */
#ifndef DR_FLOW_STATE_H
#define DR_FLOW_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/minisign.h"
#include "manifest/chain.h"

/*
 * The key to sign with: FILE, else STATE/sign.key, made when absent (then
 * *MADE; of two who make it at once, both get the same).
 */
struct dr_sign_key *dr_state_sign_key(const char *state, const char *file,
    bool *made, struct dr_err *);

/* The state of publishing SET, locked. */
struct dr_state;

/* Waits for the lock until it is free or a stop signal came. */
struct dr_state *
dr_state_lock(const char *state, const char *set, struct dr_err *);
void dr_state_free(struct dr_state *); /* unlocks */

/* 1 and *HEAD, the newest manifest of SIGNER; 0, there is none; or -1. */
int dr_state_head(struct dr_state *, const char *signer, struct dr_head *,
    struct dr_err *);
int dr_state_set_head(struct dr_state *, const char *signer,
    const struct dr_head *, struct dr_err *);

#define DR_PUSH_STORES 16 /* of one push, at most */

/* A manifest on its way into the stores that hold its body whole. */
struct dr_pending {
	struct dr_head head; /* its id, hash and seq */
	char signer[DR_KEYID_HEX];
	char body[DR_SHA256_TEXT]; /* hash of the body */
	int64_t body_time;         /* when the body went up, microseconds */
	char *object;              /* name of the body; owned */
	char *manifest, *minisig;  /* both files' text; owned */
	size_t n;
	struct dr_pending_store {
		char *url; /* owned */
		bool done; /* it is published there */
		bool lost; /* it never will be */
		/* As in struct dr_publish. */
		unsigned doubt;
	} store[DR_PUSH_STORES];
};

/* Start with { 0 }.  URL is copied. */
int dr_pending_add(struct dr_pending *, const char *url, struct dr_err *);
/* The store of that URL, or NULL. */
struct dr_pending_store *dr_pending_store(struct dr_pending *, const char *url);
void dr_pending_wipe(struct dr_pending *);

/* Save as pending. */
int
dr_state_save(struct dr_state *, const struct dr_pending *, struct dr_err *);
/* Save as done, with what is known of each store; no longer pending. */
int
dr_state_settle(struct dr_state *, const struct dr_pending *, struct dr_err *);

/*
 * All that is pending, whoever signed it, in order of seq.  The caller wipes
 * each and frees *V.
 */
int dr_state_pending(struct dr_state *, struct dr_pending **v, size_t *n,
    struct dr_err *);

/*
 * 1 and *P: what is known of ID, pending or done (the caller wipes it); 0:
 * nothing; -1.  Needs no lock.
 */
int dr_state_record(const char *state, const char *set, const char *id,
    struct dr_pending *, struct dr_err *);

/* A head in the state's files: {"id", "seq", "sha256"}; false: it is not. */
bool dr_head_get(const json_t *, struct dr_head *);
/* NULL: no memory. */
json_t *dr_head_json(const struct dr_head *);

#endif /* !DR_FLOW_STATE_H */
