/*
 * mirror.h - copying from one store what another lacks.
 *
 * Nothing that is there is written again, and nothing is copied that is not
 * what a signed manifest or ledger says it is (WAL that no ledger names yet
 * is copied as it is: whoever replays it checks its own signature).
 */
#ifndef DR_FLOW_MIRROR_H
#define DR_FLOW_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

struct dr_mirror_opts {
	const char *set;                       /* NULL: all of the source */
	const char *src, *dst;                 /* URLs */
	const struct dr_store_opts *from, *to; /* how each is opened */
	const char *verify_key, *state;
	bool no_signature;
	int workers; /* transfers at once */
	bool dry_run;
};

/* What came of one set. */
struct dr_mirror_sum {
	const char *set;
	const char *src, *dst;           /* by their dr_store_url */
	uint64_t lacking, lacking_bytes; /* what DST did not have */
	uint64_t copied, copied_bytes;
	uint64_t failed;  /* not copied: a store was away, full, refused ... */
	uint64_t damaged; /* not copied: not what was signed, or untrusted */
	uint64_t unknown; /* not ours: left alone */
	int64_t usec;
};

struct dr_mirror_hooks {
	/* Each object that was copied, or with dry_run would be; NULL: none. */
	int (*object)(void *, const char *name, uint64_t size, struct dr_err *);
	/* Each set, when it is done. */
	int (*set)(void *, const struct dr_mirror_sum *, struct dr_err *);
	void *arg;
};

/*
 * 0: DST has all that SRC has.  -1: DR_EDATA where something was damaged, or is
 * there with other content; DR_EPARTIAL where only some of it could be copied; what kept
 * everything from being copied; DR_EUSAGE: a set may not go there.
 */
int dr_mirror(const struct dr_mirror_opts *, const struct dr_mirror_hooks *,
    struct dr_err *);

#endif /* !DR_FLOW_MIRROR_H */
