/*
 * trailer.h - the end mark of a stream in transport (dr-formats(5)).
 *
 * Between two tools a stream is its body followed by a trailer: one zstd
 * skippable frame with the manifest, the body's length and its CRC-32C.
 */
#ifndef DR_STREAM_TRAILER_H
#define DR_STREAM_TRAILER_H

#include <stdint.h>

#include "base/buf.h"
#include "stream/sink.h"
#include "stream/source.h"

#define DR_TRAILER_MAGIC 0x184D2A5DU
#define DR_MANIFEST_MAX  65536U
#define DR_TRAILER_FIXED 36U
#define DR_TRAILER_MAX   (DR_MANIFEST_MAX + DR_TRAILER_FIXED)

struct dr_trailer {
	const char *manifest; /* borrowed from the decoded bytes; no NUL */
	uint32_t manifest_len;
	uint64_t body_len;
	uint32_t body_crc; /* 0: not taken */
};

/* Append the trailer's bytes to OUT. */
int dr_trailer_encode(const struct dr_trailer *, struct dr_buf *out,
    struct dr_err *);

/*
 * Find the trailer that ends exactly at TAIL + LEN, where LEN is all there
 * is or at least DR_TRAILER_MAX.  Returns its length, or 0 when there is
 * none (ERR untouched).
 */
size_t dr_trailer_decode(const void *tail, size_t len, struct dr_trailer *);

/*
 * A source over NEXT that gives out the body and, before it says 0, has
 * found a whole trailer whose length and CRC agree with what it gave.
 * Otherwise DR_EDATA with a hint.  NAME is for messages, kept by pointer.
 */
struct dr_source *
dr_endmark_source(struct dr_source *next, const char *name, struct dr_err *);

/* After the end: the manifest, with a NUL; owned by the source. */
const char *dr_endmark_manifest(struct dr_source *, size_t *len);

#endif /* !DR_STREAM_TRAILER_H */
