/*
 * blob.h - bytes that lie still and can be read anywhere: a file, an object
 * in a store, the plain text of a sealed object.
 *
 *	pread	Exactly LEN bytes at OFF (within size), or -1; what lies
 *		outside is DR_EDATA.  Safe to call from several threads at
 *		once, each with its own dr_err.
 */
#ifndef DR_STREAM_BLOB_H
#define DR_STREAM_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "stream/source.h"

struct dr_blob;

struct dr_blob_ops {
	int (*pread)(struct dr_blob *, void *, size_t, uint64_t off,
	    struct dr_err *);
	void (*free)(struct dr_blob *);
};

struct dr_blob {
	const struct dr_blob_ops *ops;
	struct dr_blob *next; /* owned, freed by dr_blob_free; or NULL */
	uint64_t size;
	/* Called when it has been freed, for what it needed; or NULL. */
	void (*freed)(void *);
	void *freed_arg;
};

int
dr_blob_pread(struct dr_blob *, void *, size_t, uint64_t off, struct dr_err *);
void dr_blob_free(struct dr_blob *);

/* A regular file.  NAME for messages, copied.  Takes FD on success. */
struct dr_blob *dr_blob_fd(int fd, const char *name, struct dr_err *);

/* Memory that outlives the blob. */
struct dr_blob *dr_blob_mem(const void *, size_t, struct dr_err *);

/* The blob from its first byte to its last as a source; borrows the blob. */
struct dr_source *dr_blob_source(struct dr_blob *, struct dr_err *);

/* The SHA-256 of all of it, as hex; a stop signal ends it. */
int dr_blob_sha256(struct dr_blob *, char[DR_SHA256_HEX], struct dr_err *);

#endif /* !DR_STREAM_BLOB_H */
