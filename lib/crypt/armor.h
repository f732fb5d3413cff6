/*
 * armor.h - age files as text: base64 in lines of 64 columns between
 * "-----BEGIN AGE ENCRYPTED FILE-----" and its END (c2sp.org/age).
 */
#ifndef DR_CRYPT_ARMOR_H
#define DR_CRYPT_ARMOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Does the text, after white space, begin like armor? */
bool dr_armor_is(const char *, size_t);

/* Append the bytes to OUT; strict, but for white space around it. */
int dr_armor_decode(const char *, size_t, struct dr_buf *out, struct dr_err *);

/* Append the text of LEN bytes to OUT. */
int
dr_armor_encode(const void *, size_t len, struct dr_buf *out, struct dr_err *);

#endif /* !DR_CRYPT_ARMOR_H */
