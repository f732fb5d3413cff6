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

#include "base/buf.h"
#include "base/err.h"
#include "stream/sink.h"

#define DR_ZMEM_FRAME (1U << 20) /* input of a frame */

struct dr_zmem;

/*
 * Begin with LEN bytes at DATA, which must stay until the job is freed, in
 * WORKERS threads (0: none but the caller, in dr_zmem_write).  They work on
 * what dr_zmem_fed says is there.
 */
struct dr_zmem *dr_zmem_start(const void *data, size_t len, int level,
    int workers, struct dr_err *);

/* The first N bytes are there, and change no more. */
void dr_zmem_fed(struct dr_zmem *, size_t n);

/*
 * When all is fed: write all frames to OUT in order, compressing in the caller's thread, too,
 * while the next is not ready.  OUT is not finished.
 */
int dr_zmem_write(struct dr_zmem *, struct dr_sink *out, struct dr_err *);

/* Work not begun is dropped; waits for what is being worked on. */
void dr_zmem_free(struct dr_zmem *);

/*
 * The reverse, of frames from anywhere: the LEN bytes at IN, which must end
 * with a frame's end, to OUT, which takes MAX bytes at most.  EACH (may be
 * NULL) is given the bytes as they come.  DR_EDATA: damaged, truncated, or
 * more than MAX.
 */
int dr_zmem_read(const void *in, size_t len, size_t max, struct dr_buf *out,
    int (*each)(void *, const void *, size_t, struct dr_err *), void *arg,
    struct dr_err *);

#endif /* !DR_CODEC_ZMEM_H */
