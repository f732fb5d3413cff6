/*
 * tree.h - file trees into a pax tar.
 *
 * Names are read and written as they come, in the order of the directory:
 * memory does not grow with the number of files.  Nothing is followed: a
 * symbolic link is stored as such.
 */
#ifndef DR_ARCHIVE_TREE_H
#define DR_ARCHIVE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "stream/sink.h"

struct dr_tree_opts {
	const char *const *paths; /* operands, as given */
	size_t n;
	/*
	 * Shell globs (fnmatch(3) without flags: "*" matches "/" too), each
	 * held against the path as stored and against its last component; a
	 * "/" at its beginning is stripped as it is from paths.  May be NULL.
	 */
	const struct dr_strs *excludes;
	bool one_file_system; /* do not enter directories of another device */
};

enum dr_tree_event {
	DR_TREE_CHANGED,    /* while it was read: size, mtime or ctime */
	DR_TREE_VANISHED,   /* between its name and its content */
	DR_TREE_UNREADABLE, /* all or some of it could not be read */
	DR_TREE_SKIPPED,    /* a socket, or a name of our own */
	DR_TREE_EVENTS
};

struct dr_tree_facts {
	uint64_t members, bytes; /* bytes of files' data, holes not counted */
	uint64_t count[DR_TREE_EVENTS];
};

/*
 * Are the operands usable?  DR_EUSAGE: none, an empty one, one with "..".
 * DR_EFAIL: one that does not exist or cannot be looked at.
 */
int dr_tree_check(const struct dr_tree_opts *, struct dr_err *);

/*
 * Write each operand with all below it to OUT, without the two zero blocks
 * of the tar's end.  A path is stored as given without "/" at its beginning;
 * "." and "/" are stored as "./", and what would be ".drtools" is left out.
 * A file that changes keeps the size its header says: what is missing is
 * zeros, what is too much is left out.  NOTE is told of each event: PATH as
 * stored, WHY in words; -1 from it ends the work.
 */
int dr_tree_write(const struct dr_tree_opts *, struct dr_sink *out,
    int (*note)(void *, enum dr_tree_event, const char *path, const char *why,
        struct dr_err *),
    void *arg, struct dr_tree_facts *, struct dr_err *);

#endif /* !DR_ARCHIVE_TREE_H */
