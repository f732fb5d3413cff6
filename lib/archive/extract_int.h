/* extract_int.h - what extract.c and extract_put.c share. */
#ifndef DR_ARCHIVE_EXTRACT_INT_H
#define DR_ARCHIVE_EXTRACT_INT_H

#include <archive.h>
#include <archive_entry.h>

#include "archive/extract.h"
#include "archive/ids.h"
#include "archive/spool.h"
#include "archive/tarwalk.h"
#include "base/buf.h"

#define EXTRACT_BUF      (256U << 10)
#define EXTRACT_PATH_MAX 65536U
/* Of all headers of one member, a sparse file's map too: held in memory. */
#define EXTRACT_HEAD_MAX (8U << 20)

/* What a directory gets at the end; in the spool path and attributes follow. */
struct late {
	uint64_t before; /* where the one before this lies; or itself */
	int64_t mtime;
	uint32_t nsec, uid, gid, mode, path_len, attrs_len;
	bool has_time;
};

struct extract {
	const struct dr_extract_opts *opts;
	struct dr_extract_facts *facts;
	struct dr_source *in;
	struct dr_tarwalk *walk; /* sees all bytes that the reader sees */
	struct archive *reader;
	struct dr_ids *ids;
	struct dr_err *e; /* of the call in progress */
	uint64_t walked;  /* members that the walk met */
	uint64_t read;    /* members that the reader gave */
	bool heading;     /* the reader is at headers now */
	uint64_t head;    /* bytes it took for them */
	bool owners;      /* asked for, and may be */
	bool inherits;    /* DIR has a default ACL, which new files get */
	bool sync_each;   /* syncfs is not to be trusted here */
	char *buf;

	int root;       /* DIR */
	int dir;        /* the directory made or used last; or -1 */
	char *dir_path; /* its path below DIR, "" for DIR itself */

	char *path;          /* of the member at hand, normalized */
	char *link;          /* of a hard link's target */
	struct dr_buf attrs; /* of the member at hand */

	struct dr_spool *late;
	uint64_t late_last;
	bool late_modes; /* some directory will not be ours to enter */
};

/*
 * "a//./b/" becomes "a/b", "./" becomes "".  DR_EDATA when it is absolute,
 * too long or has "..".
 */
int dr_extract_path(const char *, char *out, struct dr_err *);

/*
 * The directory that holds PATH, made where it is missing, and PATH's last
 * component.  The descriptor belongs to X and is valid until the next call.
 */
int dr_extract_parent(struct extract *, const char *path, const char **last,
    struct dr_err *);

/* Make the member at hand. */
int
dr_extract_member(struct extract *, struct archive_entry *, struct dr_err *);

/* Give directories what they get at the end, and make them durable. */
int dr_extract_late(struct extract *, struct dr_err *);

/* The reader failed: was it the source, or is the tar damaged? */
int dr_extract_failed(struct extract *, struct dr_err *);

#endif /* !DR_ARCHIVE_EXTRACT_INT_H */
