/*
 * place.h - the directories that a cluster is restored into: the data
 * directory and those of its tablespaces.
 *
 * Members of the backup go below descriptors that were opened once; no
 * symbolic link exists below them while members are written, since the
 * backup may bring none and ours are made last.
 */
#ifndef DR_FLOW_PLACE_H
#define DR_FLOW_PLACE_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define DR_RESTORE_MARKER ".drtools-restore-incomplete"
#define DR_OID_LEN        11

struct dr_delta; /* flow/delta.h */

struct dr_space {
	char oid[DR_OID_LEN];
	bool assumed; /* by what was there before; the backup is to say so */
	char *path;   /* where it goes, absolute */
	int fd;
};

struct dr_place {
	char *dir; /* absolute */
	int fd;
	bool tree;  /* no cluster: modes and owners are not ours to set */
	bool group; /* group access: 0750 and 0640 */
	bool chown; /* root restores into a directory of somebody else */
	uid_t uid;
	gid_t gid;
	struct dr_space *space;
	size_t n;
	const struct dr_strs *moves; /* OLD=NEW, borrowed */
	unsigned long long moved;    /* which of them were used, as bits */
	struct dr_buf last;          /* directory that was ensured last */
	int last_fd;
	struct dr_delta *delta; /* borrowed; NULL: only where there is none */
};

#define DR_PLACE_INIT                                            \
	{                                                        \
		.fd = -1, .last_fd = -1, .last = {.max = 65536 } \
	}

/*
 * Make DIR, or take it when it is empty, and write the marker into it.  A
 * directory with anything in it: DR_EUSAGE, with a hint; with p->delta set it
 * is restored over.
 */
int dr_place_open(struct dr_place *, const char *dir, bool group,
    const struct dr_strs *moves, struct dr_err *);
void dr_place_close(struct dr_place *);

/*
 * Make PATH, or take it when it is empty, or, with OVER, also when it is not;
 * its descriptor, or -1.  WHAT it is ("the directory"), for messages.
 */
int dr_place_take(const struct dr_place *, const char *path, const char *what,
    bool over, struct dr_err *);

/*
 * Take the text of a tablespace_map: each of its tablespaces gets its place,
 * by a move (OLD is the path or the OID) or else where it was, if that does
 * not exist or is empty.  What already lies in pg_tblspc/OID is moved there.
 */
int
dr_place_map(struct dr_place *, const char *text, size_t len, struct dr_err *);

/* Such a map as it is assumed to be, until dr_place_map says it. */
int dr_place_assume(struct dr_place *, const char *text, size_t len,
    struct dr_err *);

/* Every OLD of the moves was found, or DR_EUSAGE. */
int dr_place_moves_used(const struct dr_place *, struct dr_err *);

/*
 * Where a member goes: *FD and the path below it.  pg_tblspc/OID/ of a
 * tablespace that has no place of its own (yet) is a plain directory, as the
 * server's in-place tablespaces are.
 */
void dr_place_find(const struct dr_place *, const char *path, int *fd,
    const char **rest);

/* mkdir -p of REST below FD; with PARENT only what holds it. */
int dr_place_mkdir(struct dr_place *, int fd, const char *rest, bool parent,
    struct dr_err *);

/* Open REST below FD for writing, which must not exist yet. */
int dr_place_create(const struct dr_place *, int fd, const char *rest,
    struct dr_err *);

/* A small file below the data directory, written whole; replaces. */
int dr_place_put(const struct dr_place *, const char *name, const void *,
    size_t, struct dr_err *);

/* One read whole; NULL with errno ENOENT where there is none. */
char *dr_place_get(const struct dr_place *, const char *name, size_t max,
    size_t *len, struct dr_err *);

/* Make the links pg_tblspc/OID; append the new tablespace_map to OUT. */
int dr_place_links(struct dr_place *, struct dr_buf *out, struct dr_err *);

/* Everything written below the places is on disk. */
int dr_place_sync(const struct dr_place *, struct dr_err *);

/* The last step: the marker goes. */
int dr_place_done(struct dr_place *, struct dr_err *);

#endif /* !DR_FLOW_PLACE_H */
