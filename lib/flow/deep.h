/*
 * deep.h - is what is in a body restorable?  Every member is walked and held
 * against the member index, and those of a cluster against backup_manifest.
 */
#ifndef DR_FLOW_DEEP_H
#define DR_FLOW_DEEP_H

#include <stdint.h>

#include "base/err.h"
#include "crypt/seal.h"
#include "flow/body.h"

struct dr_deep_facts {
	uint64_t members, bytes;
};

/*
 * Read BODY to its proved end.  DR_EDATA: damaged, or a member is missing,
 * unknown or other than backup_manifest says.  DR_EPARTIAL: all is well as
 * far as could be told, but a stream's SHA checksums cannot be, since their
 * kind is known only at its end.
 */
int dr_deep(struct dr_body *, const struct dr_identities *, int workers,
    struct dr_deep_facts *, struct dr_err *);

#endif /* !DR_FLOW_DEEP_H */
