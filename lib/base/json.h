/*
 * json.h - writing JSON, compact, one value at a time, into a buffer.
 *
 * Keys are given inside objects and are NULL inside arrays and at the top.
 * Strings that are not UTF-8 have each bad byte written as U+FFFD.  The
 * first failure (memory, max) sticks and is returned by dr_json_end.
 */
#ifndef DR_BASE_JSON_H
#define DR_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dr_json {
	struct dr_buf *out; /* borrowed */
	bool comma, failed;
	struct dr_err err;
};

void dr_json_init(struct dr_json *, struct dr_buf *out);
void dr_json_object(struct dr_json *, const char *key); /* opens { */
void dr_json_array(struct dr_json *, const char *key);  /* opens [ */
void dr_json_close(struct dr_json *, char bracket);     /* '}' or ']' */
void dr_json_str(struct dr_json *, const char *key, const char *value);
void dr_json_strn(struct dr_json *, const char *key, const char *, size_t);
void dr_json_int(struct dr_json *, const char *key, int64_t);
void dr_json_uint(struct dr_json *, const char *key, uint64_t);
void dr_json_bool(struct dr_json *, const char *key, bool);
void dr_json_real(struct dr_json *, const char *key, double);
void dr_json_null(struct dr_json *, const char *key);
void dr_json_raw(struct dr_json *, const char *key, const char *json);
int dr_json_end(struct dr_json *, struct dr_err *);

#endif /* !DR_BASE_JSON_H */
