/*
 * walstate_int.h - the state of WAL writers, shared by its parts.
 */
#ifndef DR_FLOW_WALSTATE_INT_H
#define DR_FLOW_WALSTATE_INT_H

#include <sys/types.h>

#include "base/buf.h"
#include "flow/walstate.h"
#include "flow/walsync.h"

struct dr_walstate {
	char *dir;
	int writers;
	uint64_t writer;
	int journal; /* as it was when last appended to; -1 */
	off_t end;   /* of what was in it then */
	struct dr_walsync *sync;
};

/* NAME in the directory, on the heap. */
char *
dr_walstate_path(const struct dr_walstate *, const char *name, struct dr_err *);

/* The right to read and write the journal: a descriptor to close, or -1. */
int dr_walstate_lock(const struct dr_walstate *, struct dr_err *);

/*
 * Append lines.  What follows them in the file, up to its end, are zeros: so
 * that most often its length stays, and fdatasync(2) has only the lines to
 * write.
 */
int dr_walstate_append(struct dr_walstate *, const struct dr_buf *, bool sync,
    struct dr_err *);

#endif /* !DR_FLOW_WALSTATE_INT_H */
