/*
 * buf.h - bytes that grow up to a maximum given at birth, and lists of
 * strings.
 */
#ifndef DR_BASE_BUF_H
#define DR_BASE_BUF_H

#include <stddef.h>

#include "base/err.h"

/*
 * Start with { .max = N }; the bytes are always followed by a NUL that is
 * not counted, so data is a string once anything was added.
 */
struct dr_buf {
	char *data; /* owned; NULL while empty */
	size_t len, cap;
	size_t max; /* growing beyond it is an error */
};

/* Append.  -1: over max, or no memory. */
int dr_buf_add(struct dr_buf *, const void *, size_t, struct dr_err *);
int dr_buf_str(struct dr_buf *, const char *, struct dr_err *);
int dr_buf_fmt(struct dr_buf *, struct dr_err *, const char *, ...)
    __attribute__((format(printf, 3, 4)));

/* Make room for N more bytes at data + len; the caller raises len. */
int dr_buf_room(struct dr_buf *, size_t n, struct dr_err *);

/* Free the bytes; max stays, so the buffer can be used again. */
void dr_buf_free(struct dr_buf *);

/* A list of strings that belong to somebody else (argv, the environment). */
struct dr_strs {
	const char **v;
	size_t n;
};

int dr_strs_add(struct dr_strs *, const char *, struct dr_err *);
void dr_strs_free(struct dr_strs *);

/* Formatted string on the heap; NULL with ERR set when there is no memory. */
char *dr_fmt(struct dr_err *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

#endif /* !DR_BASE_BUF_H */
