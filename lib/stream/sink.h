/*
 * sink.h - somewhere to push bytes: a file descriptor, a compressor, an
 * encryptor, an upload.  Encoders are sinks and push; decoders are sources
 * (source.h) and are pulled.
 *
 *	write	Takes all of the bytes or fails.  Keeps no pointer to them.
 *	ending	Optional.  Nothing more will be written: begin what finish
 *		will wait for, and do not wait.  What fails shows in finish.
 *	room	Optional.  How many bytes write would take now, or, after
 *		ending, whether finish would return, without waiting for the
 *		other side.  *MOVED grows as that side takes some; *WHY
 *		says what is wrong there, as far as it is known.
 *	finish	Says there is no more, writes any trailer, and returns 0 only
 *		once the bytes are as safe as this sink can make them.
 *	free	Lets go of what this sink holds, and not of the next one:
 *		dr_sink_free walks the chain.
 *
 * Freeing a sink that was not finished abandons it: whatever it has written
 * must then be absent or recognizably incomplete to every reader.  That is
 * how a tool whose input died avoids leaving a good-looking short backup.
 */
#ifndef DR_STREAM_SINK_H
#define DR_STREAM_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct dr_sink;

struct dr_sink_ops {
	int (*write)(struct dr_sink *, const void *, size_t, struct dr_err *);
	int (*finish)(struct dr_sink *, struct dr_err *);
	void (*free)(struct dr_sink *);
	void (*ending)(struct dr_sink *);
	uint64_t (*room)(struct dr_sink *, uint64_t *moved, const char **why);
};

/* First member of every kind of sink; nobody but sinks looks inside. */
struct dr_sink {
	const struct dr_sink_ops *ops;
	struct dr_sink *next; /* owned; NULL at the end of the chain */
	enum { DR_SINK_OPEN, DR_SINK_DONE, DR_SINK_FAILED } state;
};

int dr_sink_write(struct dr_sink *, const void *, size_t, struct dr_err *);
/* Where several are to be finished: so that they end at the same time. */
void dr_sink_ending(struct dr_sink *);
/* UINT64_MAX where nobody knows.  WHY: NULL, or borrowed for the moment. */
uint64_t dr_sink_room(struct dr_sink *, uint64_t *moved, const char **why);
int dr_sink_finish(struct dr_sink *, struct dr_err *);
void dr_sink_free(struct dr_sink *);

#endif /* !DR_STREAM_SINK_H */
