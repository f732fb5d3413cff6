/* tree_int.h - what the walk (tree.c) and its members (tree_file.c) share. */
#ifndef DR_ARCHIVE_TREE_INT_H
#define DR_ARCHIVE_TREE_INT_H

#include <sys/stat.h>

#include <dirent.h>

#include "archive/ids.h"
#include "archive/links.h"
#include "archive/spool.h"
#include "archive/tree.h"

#define TREE_PATH_MAX 65535U /* of a path as stored; readers take no more */
#define TREE_BUF      (512U << 10)

struct tree {
	const struct dr_tree_opts *opts;
	struct dr_sink *out;
	int (*note)(void *, enum dr_tree_event, const char *, const char *,
	    struct dr_err *);
	void *arg;
	struct dr_tree_facts *facts;

	struct dr_links *links;
	struct dr_ids *ids;
	struct dr_spool *extents; /* of the sparse file at hand */
	struct dr_buf attrs;      /* records of the member at hand */
	struct dr_buf head;       /* its header */
	char *link;               /* a symbolic link's target, PATH_MAX */

	char *buf; /* TREE_BUF bytes on their way to out */
	size_t len;

	char *path; /* of the member at hand, as stored */
	size_t path_len;
};

int dr_tree_note(struct tree *, enum dr_tree_event, const char *why,
    struct dr_err *);
int dr_tree_flush(struct tree *, struct dr_err *);

/*
 * Store NAME of the directory AT as t->path.  It was open on FD for a
 * directory, which stays open; else FD is -1.
 */
int dr_tree_member(struct tree *, int at, const char *name, int fd,
    const struct stat *, struct dr_err *);

/* The same for a regular file, which this opens; not met before or so. */
int dr_tree_file(struct tree *, int at, const char *name, struct dr_err *);

#endif /* !DR_ARCHIVE_TREE_INT_H */
