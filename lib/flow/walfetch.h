/*
 * walfetch.h - one file of WAL by its name, out of the stores that may hold
 * it: whole, or put together from the increments of an unfinished segment.
 */
#ifndef DR_FLOW_WALFETCH_H
#define DR_FLOW_WALFETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/minisign.h"
#include "crypt/seal.h"
#include "flow/walobj.h"
#include "store/store.h"

#define DR_FETCH_STORES 16

/* Start with { 0 }; dr_walfetch_open fills the stores. */
struct dr_walfetch {
	const char *set; /* borrowed, as are those below */
	uint64_t system_id;
	const struct dr_identities *ids;
	const struct dr_verify_keys *keys; /* NULL: no signature wanted */
	const struct dr_store_opts *how;   /* to open stores; or NULL */
	struct dr_store *store[DR_FETCH_STORES];
	bool skip[DR_FETCH_STORES]; /* known not to answer: an error */
	size_t n;
	/* Told before each store is asked; may be NULL. */
	void (*asking)(void *, size_t store);
	void *arg;
	bool quiet; /* no warnings: the caller is nobody's foreground */
};

int dr_walfetch_open(struct dr_walfetch *, const char *const *urls, size_t n,
    struct dr_err *);
void dr_walfetch_close(struct dr_walfetch *);

/*
 * The place of NAME in F's set.  DR_EUSAGE: no name of a WAL file.
 */
int dr_walfetch_id(const struct dr_walfetch *, const char *name,
    struct dr_wal_id *, struct dr_err *);

/*
 * The whole object, from the first store that gives one which is signed for
 * that name: 1 and OUT.  0: absent from every store.  -1: nothing good, and
 * at least one store failed or held something bad.  A .history is asked of
 * all stores, and what they hold must agree.  Each store that fails is told
 * in a warning.
 */
int dr_walfetch_whole(struct dr_walfetch *, struct dr_wal_id *,
    struct dr_buf *out, struct dr_err *);

/*
 * The same, and for a segment that is nowhere whole: what there is of it, if
 * that is complete, or the end of what exists on its timeline (then filled
 * with zeros, and *UNFINISHED).  0 only when all stores answered, and
 * neither a listing nor a ledger knows of anything of this or a later
 * segment there; a hole is DR_EDATA.
 */
int dr_walfetch(struct dr_walfetch *, const char *name, struct dr_buf *out,
    bool *unfinished, struct dr_err *);

/* Does the set hold WAL of this system id in a store that answers? */
bool dr_walfetch_known(struct dr_walfetch *);

/*
 * The system id of the set's only cluster: 1, 0 when the set holds no WAL at
 * all, -1 with DR_EUSAGE when it holds that of several.
 */
int
dr_walfetch_system(struct dr_walfetch *, uint64_t *system_id, struct dr_err *);

/* --- for dr_walfetch ------------------------------------------------------- */

/* The opened object OBJECT of STORE, a segment's checked by its first page. */
int
dr_walfetch_object(const struct dr_walfetch *, size_t store, const char *object,
    struct dr_wal_id *, struct dr_buf *out, struct dr_err *);

/* The second half of dr_walfetch: a segment that is nowhere whole. */
int dr_walfetch_tail(struct dr_walfetch *, const struct dr_wal_id *,
    struct dr_buf *out, bool *unfinished, bool *again, struct dr_err *);

/*
 * By the newest ledgers of ID's timeline in a store: 1 when they know of
 * ID's segment beyond byte REACH, or of a later one, which is then named in
 * WHAT; 0; -1.
 */
int dr_walfetch_ledgers(const struct dr_walfetch *, size_t store,
    const struct dr_wal_id *, const struct dr_strs *names, uint32_t reach,
    char what[DR_WAL_NAME_MAX], struct dr_err *);

/* The ledger NAME of timeline TLI, if it is signed and what it says it is. */
struct dr_ledger;
int dr_walfetch_ledger(const struct dr_walfetch *, size_t store, uint32_t tli,
    const char *name, struct dr_ledger *, struct dr_err *);

#endif /* !DR_FLOW_WALFETCH_H */
