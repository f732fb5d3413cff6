/*
 * pipes.h - writing a stream into a pipe at the least cost.
 *
 * Bytes are gathered in a ring of 4 MiB and handed to the kernel in runs of
 * 256 KiB: by vmsplice(2), which maps the ring's pages into the pipe instead
 * of copying them, or by write(2) where that cannot be had.
 *
 * A page of the ring is written anew only after 4 MiB more have gone by, of
 * which a pipe holds 1 MiB at most: whoever reads the pipe has long copied
 * it.  A reader that passes pages on by splice(2) without looking has 3 MiB
 * of pipes to do so; whoever holds more of them finds the end mark's CRC
 * wrong, so a pipe without an end mark is written by write(2).
 */
#ifndef DR_STREAM_PIPES_H
#define DR_STREAM_PIPES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct dr_pipe_out;

/* FD is borrowed; NAME kept by pointer.  MAP: vmsplice may be used. */
struct dr_pipe_out *
dr_pipe_out_new(int fd, const char *name, bool map, struct dr_err *);
int
dr_pipe_out_write(struct dr_pipe_out *, const void *, size_t, struct dr_err *);
/* Hand over all that was gathered. */
int dr_pipe_out_flush(struct dr_pipe_out *, struct dr_err *);
void dr_pipe_out_free(struct dr_pipe_out *);

/* Make a pipe 1 MiB large if it may be; anything else is left alone. */
void dr_pipe_enlarge(int fd);

#endif /* !DR_STREAM_PIPES_H */
