/*
 * zmem.h - bytes that lie in memory, compressed into independent zstd frames
 * by threads while the caller does something else, and then helps.
 *
 * As the threads of pool.h, these block all signals and report through the
 * job.
 */
#ifndef DR_CODEC_ZMEM_H
#define DR_CODEC_ZMEM_H

#include <stddef.h>

#include "base/err.h"
#include "stream/sink.h"

#define DR_ZMEM_FRAME (1U << 20) /* input of a frame */

struct dr_zmem;

/*
 * Begin with LEN bytes at DATA, which must stay until the job is freed, in
 * WORKERS threads (0: none but the caller, in dr_zmem_write).
 */
struct dr_zmem *dr_zmem_start(const void *data, size_t len, int level,
    int workers, struct dr_err *);

/*
 * Write all frames to OUT in order, compressing in the caller's thread, too,
 * while the next is not ready.  OUT is not finished.
 */
int dr_zmem_write(struct dr_zmem *, struct dr_sink *out, struct dr_err *);

/* Work not begun is dropped; waits for what is being worked on. */
void dr_zmem_free(struct dr_zmem *);

#endif /* !DR_CODEC_ZMEM_H */
