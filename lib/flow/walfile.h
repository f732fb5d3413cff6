/*
 * walfile.h - a file of pg_wal, read and held against its name before it is
 * stored.
 */
#ifndef DR_FLOW_WALFILE_H
#define DR_FLOW_WALFILE_H

#include <sys/stat.h>

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/walobj.h"

struct dr_walfile {
	struct dr_wal_id id;
	uint32_t segsize; /* 0: neither a segment nor a part of one */
	struct stat st;   /* from before it was read */
	void *data;       /* owned */
	size_t len, room;
};

/* The last part of PATH; DR_EUSAGE where that names no WAL file. */
int dr_walfile_name(const char *path, struct dr_wal_id *, struct dr_err *);

/* PATH without its last N parts, and with NAME; on the heap. */
char *dr_walfile_beside(const char *path, unsigned n, const char *name,
    struct dr_err *);

/*
 * The system identifier of the cluster whose pg_wal PATH lies in, by
 * PATH/../../global/pg_control: 1; 0: there is none, or it cannot be read;
 * -1: it is damaged.
 */
int dr_walfile_system(const char *path, uint64_t *, struct dr_err *);

/*
 * Read the file PATH, to be stored in SET, and check it: a segment (or
 * .partial) must be as long as its first page says, begin with a page that
 * belongs there, of the cluster that the control file names and of a
 * timeline that TLI.history beside it allows; a .history must be one; a
 * .backup must be a label's.  DR_EDATA: it is not so.  DR_EFAIL: it cannot
 * be read, or, for what is no segment, the cluster is not known.  It is
 * hashed, and compressed in WORKERS threads, while it is read (dr_wal_begin).
 */
int dr_walfile_open(struct dr_walfile *, const char *path, const char *set,
    int workers, struct dr_err *);
void dr_walfile_close(struct dr_walfile *);

#endif /* !DR_FLOW_WALFILE_H */
