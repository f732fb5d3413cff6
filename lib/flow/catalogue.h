/*
 * catalogue.h - the backups of a set in a store: signed manifests, read and
 * checked against the path they lie at, the keys the reader trusts, and the
 * chain that links them.
 */
#ifndef DR_FLOW_CATALOGUE_H
#define DR_FLOW_CATALOGUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/minisign.h"
#include "flow/through.h"
#include "store/store.h"

struct dr_backup {
	char *id;                  /* from the object's name */
	json_t *manifest;          /* NULL when it could not be trusted */
	char sha256[65];           /* of the manifest's file */
	char signer[DR_KEYID_HEX]; /* "" with no_signature */
	bool pruned;               /* a valid <id>.pruned.json lies beside it */
	struct dr_err bad;         /* why manifest is NULL */
	char note[DR_NOTE_MAX];    /* what was done to it in the store, or "" */
};

struct dr_backups {
	struct dr_backup *v; /* in order of "started", then id */
	size_t n;
};

struct dr_catalogue_opts {
	const struct dr_verify_keys *keys; /* NULL: signatures not looked at */
	const char *only; /* the whole id of the one to read; NULL: all */
	bool quiet;       /* no warnings of notes: the caller tells of them */
};

/*
 * The file NAME, at most MAX bytes and a NUL after them, and its NAME.minisig,
 * by which with KEYS one of them has signed it for that name: then SIGNER is
 * set.  1, 0 absent, -1.  The caller frees *DATA and *SIG (NULL when absent
 * and not needed).
 */
int dr_signed_read(struct dr_store *, const char *name, size_t max,
    const struct dr_verify_keys *keys, char **data, size_t *len, char **sig,
    size_t *sig_len, char signer[DR_KEYID_HEX], struct dr_err *);

/*
 * All of SET's manifests.  Damaged or untrusted ones are listed with .bad
 * set; only a store that cannot be read is an error.  Where a store keeps
 * versions, a manifest that was overwritten or deleted is found beneath, as
 * long as a later one names it; .note says so.
 */
int dr_catalogue_read(struct dr_store *, const char *set,
    const struct dr_catalogue_opts *, struct dr_backups *, struct dr_err *);
void dr_backups_free(struct dr_backups *);

/*
 * One of them: B->id, which was listed, is the caller's; the rest is filled
 * in (B->manifest is the caller's to decref).  PRUNED: so was the note that
 * its body was pruned.
 */
int dr_catalogue_one(struct dr_store *, const char *set,
    const struct dr_catalogue_opts *, bool pruned, struct dr_backup *b,
    struct dr_err *);

/*
 * Look for the manifest of ID with that hash, and for those before it, which
 * the store does not list: added to BACKUPS where they lie beneath.
 */
int dr_catalogue_seek(struct dr_store *, const char *set,
    const struct dr_catalogue_opts *, const char *id, const char *sha256,
    struct dr_backups *, struct dr_err *);

/*
 * One manifest by ID, a unique prefix, or "latest" (NULL is latest): the
 * newest started that is trusted and not pruned.  Borrowed from BACKUPS.
 * DR_EUSAGE for an ambiguous prefix, DR_EFAIL where there is none.
 */
const struct dr_backup *
dr_backups_find(const struct dr_backups *, const char *id, struct dr_err *);

/*
 * The keys to verify with: FILE (-K), else STATE/sign.key.pub; with neither
 * DR_EUSAGE and a hint.
 */
struct dr_verify_keys *
dr_trust_load(const char *file, const char *state, struct dr_err *);

/*
 * The backup's body, opened in the store; size checked with the manifest.
 * One that was overwritten or deleted is seen through: NOTE then says so, or,
 * where that is NULL, a warning does.
 */
struct dr_blob *dr_backup_body(struct dr_store *, const char *set,
    const struct dr_backup *, char note[DR_NOTE_MAX], struct dr_err *);

/*
 * The manifest's file as it lies in the store, and its signature's (*MINISIG
 * NULL, *SIG_LEN 0: there is none), each with a NUL after it; the caller
 * frees both.  DR_EDATA when the bytes are no longer those of B.
 */
int dr_backup_files(struct dr_store *, const char *set,
    const struct dr_verify_keys *, const struct dr_backup *, char **manifest,
    size_t *len, char **minisig, size_t *sig_len, struct dr_err *);

/* When it started, microseconds; by its id where the manifest is bad. */
int64_t dr_backup_started(const struct dr_backup *);

/* "SET/snap/ID" and SUFFIX, on the heap; NULL without memory. */
char *dr_snap_name(const char *set, const char *id, const char *suffix,
    struct dr_err *);

/*
 * Can NAME be that of a body in SET: SET/snap/, the time of the upload, 16
 * hex digits, and .tar or .tar.zst, then nothing, .age or .seal?
 */
bool dr_body_name_ok(const char *set, const char *name);

#endif /* !DR_FLOW_CATALOGUE_H */
