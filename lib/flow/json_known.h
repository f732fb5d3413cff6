/*
 * json_known.h - values that may not be known, as JSON: null then.
 */
#ifndef DR_FLOW_JSON_KNOWN_H
#define DR_FLOW_JSON_KNOWN_H

#include <stdint.h>

#include "base/json.h"

void dr_json_num(struct dr_json *, const char *key, int64_t);
/* Microseconds, written as seconds. */
void dr_json_sec(struct dr_json *, const char *key, int64_t us);
/* Microseconds since 1970, written as a time. */
void dr_json_when(struct dr_json *, const char *key, int64_t us);
/* 0 is not known, in these two. */
void dr_json_lsn(struct dr_json *, const char *key, uint64_t);
void dr_json_tli(struct dr_json *, const char *key, uint32_t);
/* So is "". */
void dr_json_text(struct dr_json *, const char *key, const char *);

#endif /* !DR_FLOW_JSON_KNOWN_H */
