/*
 * members.h - the member index of a packed tar (dr-formats(5)): text lines
 * "TYPE SIZE OFFSET CRC PATH" and a NUL, in tar order.
 */
#ifndef DR_ARCHIVE_MEMBERS_H
#define DR_ARCHIVE_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "archive/tarwalk.h"
#include "stream/source.h"

/*
 * Makes records from a tar that goes by; EMIT gets their bytes, in pieces.
 * What fails before the first member is no tar, and then nothing is emitted
 * and nothing fails; what fails later is a damaged tar (DR_EDATA).
 */
struct dr_indexer;
struct dr_indexer *
dr_indexer_new(int (*emit)(void *, const void *, size_t, struct dr_err *),
    void *arg, struct dr_err *);
int dr_indexer_add(struct dr_indexer *, const void *, size_t, struct dr_err *);
/*
 * 0 and *WHOLE whether the input was a whole tar; an input that is no tar at
 * all is not an error here: then there is no index.
 */
int dr_indexer_end(struct dr_indexer *, bool *whole, struct dr_err *);
/* Has the input turned out to be no tar? */
bool dr_indexer_no_tar(const struct dr_indexer *);
void dr_indexer_free(struct dr_indexer *);

struct dr_record {
	char type;
	uint64_t size, offset;
	uint32_t crc;     /* CRC-32C of the data */
	const char *path; /* valid until the next record */
};

/*
 * Reads records; checks form, order and bounds (DR_EDATA).  Borrows the
 * source.
 */
struct dr_records;
struct dr_records *dr_records_new(struct dr_source *, struct dr_err *);
/* 1 a record, 0 the end, -1. */
int dr_records_next(struct dr_records *, struct dr_record *, struct dr_err *);
void dr_records_free(struct dr_records *);

#endif /* !DR_ARCHIVE_MEMBERS_H */
