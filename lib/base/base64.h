/*
 * base64.h - base64 with its standard alphabet, padded (RFC 4648, 4).
 */
#ifndef DR_BASE_BASE64_H
#define DR_BASE_BASE64_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* N bytes, appended to OUT. */
int dr_b64(struct dr_buf *out, const void *, size_t n, struct dr_err *);

/* Into the SIZE bytes at OUT: how many; -1: not base64, or more than that. */
ssize_t dr_unb64(const char *text, unsigned char *out, size_t size);

#endif /* !DR_BASE_BASE64_H */
