/*
 * output.h - what a tool that makes a stream writes to: the next tool of a
 * pipe (body and end mark), or a named file (body, and FILE.json beside it).
 */
#ifndef DR_FLOW_OUTPUT_H
#define DR_FLOW_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/sink.h"

struct dr_output_opts {
	const char *path; /* -o FILE; NULL or "-": standard output */
	bool force;       /* -f: replace an existing FILE and FILE.json */
	bool stream;      /* --stream: transport form to a regular file */
	bool body;        /* --body: no end mark */
};

struct dr_output;

/*
 * Refuses a terminal unless path is "-", a regular file as standard output
 * unless stream or body, and an existing path unless force (DR_EUSAGE, with
 * hints).  Nothing is created before the first byte.
 */
struct dr_output *
dr_output_open(const struct dr_output_opts *, struct dr_err *);

/*
 * Where the body goes: counts it, takes its CRC-32C, and, for a file, its
 * SHA-256.  The output owns it, but an encoder may be built over it and
 * freed: the sink's own free does nothing, and its finish ends the body
 * without publishing it.
 */
struct dr_sink *dr_output_sink(struct dr_output *);

/*
 * Publish: the end mark with MANIFEST, or fsync and name FILE, then
 * FILE.json with "object" {name, size, sha256} set.  MANIFEST is borrowed
 * and, for a file, changed in "object".  Only after this is the output whole.
 */
int dr_output_commit(struct dr_output *, json_t *manifest, struct dr_err *);

/*
 * The same with a manifest whose bytes must stay as they are: TEXT is its
 * file (the line and a newline), MINISIG that of its signature, or NULL; a
 * file gets both beside it.
 */
int dr_output_commit_text(struct dr_output *, const char *text, size_t len,
    const char *minisig, size_t sig_len, struct dr_err *);

uint64_t dr_output_size(const struct dr_output *);

/* Without commit: abandoned; no name, no end mark. */
void dr_output_free(struct dr_output *);

#endif /* !DR_FLOW_OUTPUT_H */
