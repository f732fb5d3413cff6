/*
 * body.h - the bytes of one backup, wherever they lie, with whatever seal
 * and packing they have: for dr-verify and dr-restore.
 *
 * What the bytes are is told by their beginnings (age or drtools-seal, zstd,
 * tar), not by what anybody says of them.
 */
#ifndef DR_FLOW_BODY_H
#define DR_FLOW_BODY_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "crypt/seal.h"
#include "flow/input.h"
#include "stream/blob.h"
#include "stream/source.h"

struct dr_body;

/*
 * An object in a store, with its (trusted) manifest, of which a reference is
 * taken.  NAME for messages, copied.  Takes OBJECT on success.
 */
struct dr_body *dr_body_object(struct dr_blob *object, json_t *manifest,
    const char *name, struct dr_err *);

/* A file or a stream.  Takes INPUT on success. */
struct dr_body *dr_body_input(struct dr_input *input, struct dr_err *);

void dr_body_free(struct dr_body *);

const char *dr_body_name(const struct dr_body *);

/* The URL of the store it lies in (copied); "" where none was set. */
int dr_body_set_store(struct dr_body *, const char *url, struct dr_err *);
const char *dr_body_store(const struct dr_body *);

/*
 * The bytes as stored, in order; 0 only when size and SHA-256, or the end
 * mark, have proved them.  Borrowed; may be read once, by whoever it is.
 */
struct dr_source *dr_body_proof(struct dr_body *);

/*
 * Borrowed; NULL with ERR set where it is not known yet (a stream that has
 * not been read to its end).
 */
json_t *dr_body_manifest(struct dr_body *, struct dr_err *);
/* Is it known already? */
bool dr_body_known(const struct dr_body *);

/*
 * The proof, unsealed and unpacked: the tar.  Borrowed.  WORKERS threads
 * decompress.  DR_EUSAGE where it is sealed and IDS is NULL or empty.
 */
struct dr_source *dr_body_tar(struct dr_body *, const struct dr_identities *,
    int workers, struct dr_err *);

/*
 * "pg", "files" or "stream": what the manifest says where it is known.  Of a
 * stream the manifest comes last, so there its first member has to tell:
 * check that with the manifest, once it is known.  NULL on failure.
 */
const char *dr_body_kind(struct dr_body *, const struct dr_identities *,
    int workers, struct dr_err *);

/*
 * The stored bytes, unsealed, for random access, and whether they are
 * packed.  Borrowed.  NULL with ERR untouched where they are a stream.
 */
struct dr_blob *dr_body_plain(struct dr_body *, const struct dr_identities *,
    bool *packed, struct dr_err *);

#endif /* !DR_FLOW_BODY_H */
