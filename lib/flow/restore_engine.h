/*
 * restore_engine.h - the two ways in which the members of a cluster's backup
 * reach a writer.  Both read the body to its proved end.
 */
#ifndef DR_FLOW_RESTORE_ENGINE_H
#define DR_FLOW_RESTORE_ENGINE_H

#include "base/err.h"
#include "codec/pack.h"
#include "flow/place.h"
#include "flow/writer.h"
#include "stream/blob.h"
#include "stream/source.h"

/*
 * Look at every member of the index before anything is written: what may not
 * be restored is DR_EDATA.  The tablespaces get their places.
 */
int dr_restore_scan(struct dr_blob *packed, const struct dr_frames *,
    struct dr_place *, struct dr_err *);

/*
 * WORKERS threads read, open, decompress and write frames, while this one
 * reads PROOF, the same bytes as stored, to its end.
 */
int dr_restore_frames(struct dr_blob *packed, const struct dr_frames *,
    struct dr_source *proof, struct dr_writer *, int workers, struct dr_err *);

/* The tar as it comes; any form, any source. */
int
dr_restore_stream(struct dr_source *tar, struct dr_writer *, struct dr_err *);

#endif /* !DR_FLOW_RESTORE_ENGINE_H */
