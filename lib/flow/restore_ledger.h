/*
 * restore_ledger.h - what the newest ledgers in the stores say of the end of
 * the WAL, beside what is listed: objects that are gone, and when it came.
 */
#ifndef DR_FLOW_RESTORE_LEDGER_H
#define DR_FLOW_RESTORE_LEDGER_H

#include "flow/restore_wal.h"

/*
 * Only so many are read, since each is a request or two and a server waits:
 * the last minutes' of a writer.
 */
#define DR_NEWEST_LEDGERS 16

/* The newest that were met, in one store. */
struct dr_newest {
	struct {
		int64_t time;
		uint32_t tli;
		char name[96]; /* its last part */
	} v[DR_NEWEST_LEDGERS];
	size_t n;
};

/* Is OBJECT, of a listing, a ledger?  Then keep it if it is among them. */
bool dr_newest_note(struct dr_newest *, const char *object);

/*
 * Hold those of store I against LINES, which hold all that is listed: warn of
 * WAL that they name and no store lists, and take their times where a store's
 * are later, as those of a copy.  A bad one is warned of.
 */
int dr_newest_read(const struct dr_newest *, const struct dr_restore_wal_opts *,
    size_t i, struct dr_lines *, struct dr_err *);

#endif /* !DR_FLOW_RESTORE_LEDGER_H */
