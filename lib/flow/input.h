/*
 * input.h - what a filter, dr-push, dr-verify or dr-restore reads: a stream
 * with its end mark on standard input, or a named file with FILE.json beside
 * it, or, with --foreign, bytes of somebody else's making.
 */
#ifndef DR_FLOW_INPUT_H
#define DR_FLOW_INPUT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "stream/source.h"

struct dr_input_opts {
	const char *path;       /* operand; NULL or "-": standard input */
	bool foreign;           /* no end mark and no FILE.json expected */
	const char *verify_key; /* -K for FILE.json.minisig; NULL: default */
	bool no_signature;
	const char *state; /* where the default verify key lies */
};

struct dr_input;

/*
 * Refuses a terminal (DR_EUSAGE).  A regular file needs FILE.json, whose
 * object.size and object.sha256 are checked as the bytes are read; where
 * FILE.json.minisig is present its signature must verify.  A named pipe or
 * other special file is read as standard input is.
 */
struct dr_input *dr_input_open(const struct dr_input_opts *, struct dr_err *);

/*
 * The body; borrowed.  Its end is the proof: the end mark (stream), size and
 * SHA-256 (file), or plain end of file (foreign: the decoder above must then
 * demand its own format's end).
 */
struct dr_source *dr_input_source(struct dr_input *);

/* For messages: "standard input" or the path. */
const char *dr_input_name(const struct dr_input *);

/*
 * The manifest, parsed and checked, after the source said 0 (a file's is
 * known from the start).  New reference; NULL with ERR set.  Foreign: a
 * fresh manifest of kind "stream".
 */
json_t *dr_input_manifest(struct dr_input *, struct dr_err *);

/* The descriptor when the input is a regular file, for random access; -1. */
int dr_input_fd(const struct dr_input *);

void dr_input_free(struct dr_input *);

#endif /* !DR_FLOW_INPUT_H */
