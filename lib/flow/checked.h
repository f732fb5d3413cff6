/*
 * checked.h - bytes held against the size and the SHA-256 that a manifest
 * gives for them.
 */
#ifndef DR_FLOW_CHECKED_H
#define DR_FLOW_CHECKED_H

#include <jansson.h>

#include "base/err.h"
#include "stream/source.h"

/*
 * What NEXT gives, and 0 only when it was as long as MANIFEST's object.size
 * says, with its object.sha256; else DR_EDATA.  NAME is for messages and kept
 * by pointer.  DR_EDATA also where the manifest lacks those two.
 */
struct dr_source *dr_checked_source(struct dr_source *next, const char *name,
    const json_t *manifest, struct dr_err *);

#endif /* !DR_FLOW_CHECKED_H */
