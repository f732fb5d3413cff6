/*
 * packing.h - streams packed and unpacked: the two directions of dr-pack(1)
 * between an input and an output, with the member index that a tar gets.
 */
#ifndef DR_FLOW_PACKING_H
#define DR_FLOW_PACKING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/input.h"
#include "flow/output.h"

struct dr_packing {
	int level;           /* 1 to 19 */
	int workers;         /* threads */
	uint64_t frame_size; /* DR_FRAME_SIZE_MIN to DR_FRAME_SIZE_MAX */
	bool foreign;        /* the input need not be a tar */
};

#define DR_FRAME_SIZE_MIN (64U << 10) /* what we write */

/* The number of processors that this process may use, at most 4. */
int dr_default_workers(void);

/*
 * All of IN packed into OUT, which is committed with IN's manifest, its
 * raw_size and the facts of the packing.  What is packed or sealed already
 * is DR_EUSAGE; what is no whole tar is DR_EDATA, but with foreign bytes of
 * any kind are packed, without a member index unless they are one.
 */
int dr_pack_stream(struct dr_input *in, struct dr_output *out,
    const struct dr_packing *, struct dr_err *);

/*
 * The reverse, with the facts taken out again.  Foreign: any zstd frames.
 */
int dr_unpack_stream(struct dr_input *in, struct dr_output *out, int workers,
    bool foreign, struct dr_err *);

#endif /* !DR_FLOW_PACKING_H */
