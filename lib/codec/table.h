/*
 * table.h - the seek table of the zstd seekable format 0.1, and the shape of
 * a zstd frame (RFC 8878), for the packer and its readers.
 */
#ifndef DR_CODEC_TABLE_H
#define DR_CODEC_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/sink.h"
#include "stream/source.h"

#define DR_TABLE_MAGIC        0x184D2A5EU
#define DR_TABLE_FOOTER_MAGIC 0x8F92EAB1U
#define DR_TABLE_FOOTER       9U
#define DR_TABLE_ENTRY        12U
#define DR_TABLE_MAX          0x8000000U /* frames, as the format has it */
#define DR_SKIP_HEADER        8U
#define DR_EMPTY_SUM          0x51D8E999U /* XXH64 of no bytes, its low 32 bits */
/* Magic, header, one block and checksum: no data frame is shorter. */
#define DR_DATA_FRAME_MIN     13U

struct dr_entry {
	uint32_t size, raw_size, sum;
};

/* Zero-initialize it. */
struct dr_table {
	struct dr_entry *v;
	size_t n, cap;
};

int dr_table_add(struct dr_table *, uint32_t size, uint32_t raw_size,
    uint32_t sum, struct dr_err *);
void dr_table_free(struct dr_table *);

/* Bytes of the skippable frame that holds N entries, its header too. */
uint64_t dr_table_size(size_t n);

/* Write that frame. */
int dr_table_write(const struct dr_table *, struct dr_sink *, struct dr_err *);

void dr_entry_get(const unsigned char p[DR_TABLE_ENTRY], struct dr_entry *);

/* 9 bytes; false: not a footer, or without checksums. */
bool dr_table_footer(const unsigned char p[DR_TABLE_FOOTER], uint32_t *n);

/*
 * Where a data frame ends, found block by block as its bytes come in.
 * Zero-initialize it for each frame.
 */
struct dr_walk {
	size_t at;         /* what was walked over so far */
	uint32_t raw_size; /* once at is not 0 */
	bool last;         /* the last block was seen */
};

/*
 * BUF holds HAVE bytes from the frame's first on.  Returns 1: the frame is
 * whole and *NEED bytes long; 0: at least *NEED bytes are needed to go on;
 * -1 with DR_EDATA: no data frame of a packed stream (its size known, 1 to
 * DR_FRAME_SIZE_MAX, with a checksum, without a dictionary).
 */
int dr_walk(struct dr_walk *, const unsigned char *buf, size_t have,
    size_t *need, struct dr_err *);

/*
 * A source of what the zstd frames in NEXT unpack to, frames with windows
 * of at most 1 << WINDOW_LOG.  With SINGLE, exactly one frame.
 */
struct dr_source *dr_zsource_new(struct dr_source *next, int window_log,
    bool single, struct dr_err *);

#endif /* !DR_CODEC_TABLE_H */
