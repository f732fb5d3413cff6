/*
 * through.h - what a store that keeps versions still holds beneath an
 * overwrite or a deletion: found by what is signed elsewhere, a hash or a
 * signature, never by what the store says is current.
 */
#ifndef DR_FLOW_THROUGH_H
#define DR_FLOW_THROUGH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/minisign.h"
#include "store/store.h"

/* What was done to an object, in words; "" while nothing was. */
#define DR_NOTE_MAX 512

/*
 * The object NAME, which should have SIZE bytes and that hash.  Where the
 * store keeps several versions of it, those of that size are read until one
 * has the hash; else, or where none has, it is what is current, unchecked, and
 * DR_EDATA where that is absent.
 */
struct dr_blob *dr_through_get(struct dr_store *, const char *name,
    uint64_t size, const char *sha256, char note[DR_NOTE_MAX], struct dr_err *);

/*
 * A version of NAME beneath what is current, of SIZE bytes (0: any): 1, 0
 * there is none, or none that we may know of.  Its bytes are not looked at.
 */
int dr_through_exists(struct dr_store *, const char *name, uint64_t size,
    struct dr_err *);

/*
 * The newest version of the file NAME, at most MAX bytes, with one of its
 * NAME.minisig, that one of KEYS has signed for that name and, if SHA256 is
 * not NULL, that has that hash.  With KEYS NULL by the hash alone.  1 and
 * what dr_signed_read gives; 0 there is none; -1.
 */
int dr_through_signed(struct dr_store *, const char *name, size_t max,
    const struct dr_verify_keys *keys, const char *sha256, char **data,
    size_t *len, char **sig, size_t *sig_len, char signer[DR_KEYID_HEX],
    char note[DR_NOTE_MAX], struct dr_err *);

/*
 * Each version of NAME that has bytes, newest first, as a blob that FN
 * borrows: FN's 1 ends it (and is returned), its 0 goes on, -1 fails.
 */
int dr_through_each(struct dr_store *, const char *name, uint64_t max,
    int (*fn)(void *, struct dr_blob *, struct dr_err *), void *arg,
    char note[DR_NOTE_MAX], struct dr_err *);

#endif /* !DR_FLOW_THROUGH_H */
