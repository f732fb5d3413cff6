/*
 * writer.h - the members of a cluster's backup become files of a place, in
 * whatever order their pieces come.
 *
 * One thread names members (dr_writer_member); pieces may be put by several
 * threads at once.  A file is opened by whoever brings its first piece and
 * closed by whoever brings its last, so that no more files are open than are
 * being written.
 */
#ifndef DR_FLOW_WRITER_H
#define DR_FLOW_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/place.h"

struct dr_writer;
struct dr_wfile;

struct dr_writer_member {
	char type; /* ustar's: '0' and '5' are all that is accepted */
	const char *path;
	uint64_t size;
	bool check; /* crc is known: the data must have it */
	uint32_t crc;
};

/* AS_IS: the signal files stay too. */
struct dr_writer *dr_writer_new(struct dr_place *, bool as_is, struct dr_err *);
/* Closes what is still open; PLACE stays. */
void dr_writer_free(struct dr_writer *);

/*
 * May it be a member of a cluster's backup at all?  DR_EDATA: a link, a
 * device, a path that leaves the directory.
 */
int dr_writer_allows(const struct dr_writer_member *, struct dr_err *);

/*
 * A member comes: directories are made, *FILE is where the data go, or NULL
 * where there are none to take.
 */
int dr_writer_member(struct dr_writer *, const struct dr_writer_member *,
    struct dr_wfile **file, struct dr_err *);

/*
 * LEN bytes at OFF of the file.  Pieces do not overlap; with the last one
 * (for an empty file: one of no bytes) the CRC is checked and FILE is gone.
 */
int dr_wfile_put(struct dr_wfile *, const void *, size_t len, uint64_t off,
    struct dr_err *);

/* Every member that was named has been written whole, or DR_EDATA. */
int dr_writer_complete(struct dr_writer *, struct dr_err *);

/* What is kept in memory instead of being written: pg_control, .drtools. */
const void *
dr_writer_kept(const struct dr_writer *, const char *path, size_t *len);
/* The Nth of them, in order of arrival; NULL after the last. */
const char *dr_writer_kept_path(const struct dr_writer *, size_t n);

struct dr_writer_facts {
	uint64_t files, bytes;
	uint64_t kept;       /* files that were there, just so */
	uint64_t written;    /* bytes, where some of them were there */
	bool label, version; /* backup_label and PG_VERSION came */
};
/* When no other thread puts pieces any more. */
void dr_writer_facts(const struct dr_writer *, struct dr_writer_facts *);

#endif /* !DR_FLOW_WRITER_H */
