/*
 * pump.h - from a source into a sink.
 */
#ifndef DR_STREAM_PUMP_H
#define DR_STREAM_PUMP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "stream/sink.h"
#include "stream/source.h"

/*
 * Everything, with a buffer of SIZE bytes (0: 256 KiB), then finish the
 * sink.  Feeds the progress meter (base/tty.h).
 */
int dr_pump(struct dr_source *, struct dr_sink *, size_t size, struct dr_err *);

/* A sink that keeps what it gets in BUF, borrowed. */
struct dr_sink *dr_sink_buf(struct dr_buf *, struct dr_err *);

/* A sink that writes FD (not closed); NAME kept by pointer.  finish does
 * nothing more: a descriptor promises nothing. */
struct dr_sink *dr_sink_fd(int fd, const char *name, struct dr_err *);

#endif /* !DR_STREAM_PUMP_H */
