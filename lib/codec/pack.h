/*
 * pack.h - the packed form of a stream: independent zstd frames, a member
 * index and a seek table (dr-formats(5)).
 */
#ifndef DR_CODEC_PACK_H
#define DR_CODEC_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "stream/blob.h"
#include "stream/sink.h"
#include "stream/source.h"

#define DR_INDEX_MAGIC    0x184D2A5CU
#define DR_FRAME_SIZE     (2U << 20)  /* input of a frame, the default */
#define DR_INDEX_MAX      (1U << 30)  /* compressed bytes of a member index */
#define DR_FRAME_SIZE_MAX (16U << 20) /* what readers accept */

struct dr_pack_opts {
	int level;   /* 1 to 19 */
	int workers; /* threads; at least 1 */
	uint64_t frame_size;
	/*
	 * Sees every byte of the input in order, on the caller's thread,
	 * before it is compressed; may be NULL.
	 */
	int (*tap)(void *, const void *, size_t, struct dr_err *);
	/*
	 * At the end: append the member index, already one zstd frame, to
	 * OUT; appending nothing means that there is none.  May be NULL.
	 */
	int (*index)(void *, struct dr_buf *out, struct dr_err *);
	void *arg;
};

struct dr_pack_facts {
	uint64_t raw_size, packed_size, frames;
};

/*
 * Everything from IN, packed, into OUT, which is finished.  Frames are
 * compressed by a pool of workers and leave in order.
 */
int dr_pack(struct dr_source *in, struct dr_sink *out,
    const struct dr_pack_opts *, struct dr_pack_facts *, struct dr_err *);

/*
 * Decoder over a packed stream, with a pool of WORKERS (1: in the caller's
 * thread).  Before it says 0 it has checked every frame's checksum and the
 * seek table against what it read, and that NEXT ends there.  With FOREIGN,
 * any zstd frames: the last must be whole; a seek table is not demanded.
 */
struct dr_source *dr_unpack_new(struct dr_source *next, int workers,
    bool foreign, struct dr_err *);

/* The seek table of a packed blob. */
struct dr_frames {
	size_t n; /* data frames, in order */
	struct dr_frame {
		uint64_t at;     /* offset in the blob */
		uint64_t raw_at; /* offset in the unpacked bytes */
		uint32_t size, raw_size;
	} * v;
	uint64_t raw_size;
	uint64_t index_at; /* the member index's zstd frame; 0: none */
	uint32_t index_size;
};

int dr_frames_read(struct dr_blob *, struct dr_frames *, struct dr_err *);
void dr_frames_free(struct dr_frames *);

/* Decompress one frame read from FRAME; exactly raw_size bytes into OUT. */
struct dr_unframe; /* a decompression context, one a thread */
struct dr_unframe *dr_unframe_new(struct dr_err *);
int dr_unframe(struct dr_unframe *, const void *packed, size_t, void *out,
    size_t raw_size, struct dr_err *);
void dr_unframe_free(struct dr_unframe *);

/* The member index, decompressed as it is read; NULL + ERR when none. */
struct dr_source *
dr_frames_index(struct dr_blob *, const struct dr_frames *, struct dr_err *);

/* A growing buffer that compresses what is added to it into one frame. */
struct dr_zbuf;
struct dr_zbuf *dr_zbuf_new(int level, size_t max, struct dr_err *);
int dr_zbuf_add(struct dr_zbuf *, const void *, size_t, struct dr_err *);
/* End the frame and append it to OUT. */
int dr_zbuf_end(struct dr_zbuf *, struct dr_buf *out, struct dr_err *);
void dr_zbuf_free(struct dr_zbuf *);

#endif /* !DR_CODEC_PACK_H */
