/*
 * deep_blame.h - which file is it that backup_manifest and the backup do not
 * agree on?
 */
#ifndef DR_FLOW_DEEP_BLAME_H
#define DR_FLOW_DEEP_BLAME_H

#include "base/err.h"
#include "codec/pack.h"
#include "flow/extents.h"
#include "flow/tally.h"
#include "stream/blob.h"

/*
 * Compare the member index and the manifest at MANIFEST, both as far as they
 * lie in BUCKET, and say in ERR what was found.  Always -1.
 */
int dr_deep_blame(struct dr_blob *packed, const struct dr_frames *,
    const struct dr_extent *manifest, const struct dr_tally *, unsigned bucket,
    struct dr_err *);

#endif /* !DR_FLOW_DEEP_BLAME_H */
