/*
 * extract.h - a tar of files, from anybody, into a directory and nowhere
 * else.
 *
 * Every name is walked from DIR one component at a time, and no symbolic
 * link is followed on the way.  A member that is absolute, has "..", or
 * would go through a symbolic link is DR_EDATA and ends the work; so is a
 * tar that is not whole.  Members below ".drtools/" are left out.
 */
#ifndef DR_ARCHIVE_EXTRACT_H
#define DR_ARCHIVE_EXTRACT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/source.h"

struct dr_extract_opts {
	/*
	 * Give files to the owners the tar names (by name where this host
	 * knows it, else by number).  Else they belong to the process, and
	 * set-user-ID and set-group-ID bits are dropped.  Needs root.
	 */
	bool owners;
	bool numeric; /* by number only */
	bool devices; /* make device nodes; else one is DR_EDATA */
	bool no_sync; /* leave durability to the caller */
};

struct dr_extract_facts {
	uint64_t members;  /* written; those left out are not counted */
	uint64_t bytes;    /* of data */
	uint64_t left_out; /* below .drtools/ */
	uint64_t unset;    /* attributes the file system did not take */
};

/*
 * Extract TAR, borrowed and read to its proved end, into the existing
 * directory DIR, which the caller has found empty.  Modes, times, links,
 * extended attributes, ACLs and holes are restored; a member that comes twice
 * replaces the first.  On return 0 all of it is on disk.  On failure, what
 * was written stays.  DR_EDATA: damaged, truncated or hostile.
 */
int dr_extract_tree(struct dr_source *tar, const char *dir,
    const struct dr_extract_opts *, struct dr_extract_facts *, struct dr_err *);

/*
 * Join the members NAME/00000000, NAME/00000001, ... of TAR, a stream of
 * kind "stream", to one file DIR/NAME (0600, durable, named only when the
 * source has proved its end).  DR_EDATA where numbers are missing or out of
 * order, or any piece but the last is not of 4 MiB; DR_EFAIL where DIR/NAME
 * exists.  facts.members is 1.
 */
int dr_extract_stream(struct dr_source *tar, const char *dir,
    const struct dr_extract_opts *, struct dr_extract_facts *, struct dr_err *);

#endif /* !DR_ARCHIVE_EXTRACT_H */
