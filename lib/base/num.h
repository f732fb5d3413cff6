/*
 * num.h - numbers as people and formats write them.
 *
 * Parsers take the whole string or fail with DR_EUSAGE and a message that
 * quotes it; they never write to *OUT on failure.
 */
#ifndef DR_BASE_NUM_H
#define DR_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

int dr_parse_int(const char *, int64_t min, int64_t max, int64_t *out,
    struct dr_err *);

/* 4096, 64k, 5M, 1G, 2T: powers of 1024; an optional trailing B or iB. */
int dr_parse_size(const char *, uint64_t *bytes, struct dr_err *);

/* 500ms 90s 15m 2h 7d; a bare number is refused. */
int dr_parse_msec(const char *, uint64_t *ms, struct dr_err *);

/*
 * RFC 3339 with a zone ("2026-11-20T12:00:00Z", "... 12:00:00.5+01:00", and
 * PostgreSQL's "+01"), to microseconds since 1970.  Without a zone: DR_EUSAGE
 * and a hint.
 */
int dr_parse_time(const char *, int64_t *usec, struct dr_err *);

/* PostgreSQL's X/Y in hexadecimal. */
int dr_parse_lsn(const char *, uint64_t *lsn, struct dr_err *);

/* SET names: [A-Za-z0-9][A-Za-z0-9._-]{0,63}. */
bool dr_set_name_ok(const char *);

/* Buffers for the formatters below; each returns its argument. */
#define DR_LSN_LEN  18
#define DR_TIME_LEN 32
#define DR_SIZE_LEN 16
char *dr_format_lsn(uint64_t lsn, char out[DR_LSN_LEN]);
/* "2026-11-20T12:00:00Z"; microseconds only where they are not 0. */
char *dr_format_time(int64_t usec, char out[DR_TIME_LEN]);
/* "20261120T120000Z", as in ids and object names. */
char *dr_format_stamp(int64_t usec, char out[DR_TIME_LEN]);
/* "1.5 GiB", for people. */
char *dr_format_size(uint64_t bytes, char out[DR_SIZE_LEN]);
/* "1m 02s", for people. */
char *dr_format_msec(uint64_t ms, char out[DR_SIZE_LEN]);

/* What a noun behind the number N ends in: "", or "s". */
static inline const char *
dr_plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* Now, in microseconds since 1970, and on a clock that is never set. */
int64_t dr_now(void);
int64_t dr_monotonic(void);

/* Lower-case hex; OUT has 2 * N + 1 bytes. */
char *dr_hex(const void *, size_t n, char *out);
/* Exactly 2 * N lower-case hex digits into N bytes; false if not so. */
bool dr_unhex(const char *, size_t n, void *out);

/* N random bytes from the kernel. */
int dr_random(void *, size_t n, struct dr_err *);

/* a + b into *sum; false when it does not fit. */
bool dr_add_u64(uint64_t a, uint64_t b, uint64_t *sum);

static inline uint32_t
dr_get32(const void *p)
{
	const unsigned char *b = p;

	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
	       (uint32_t)b[3] << 24;
}

static inline uint64_t
dr_get64(const void *p)
{
	return (uint64_t)dr_get32(p) |
	       (uint64_t)dr_get32((const unsigned char *)p + 4) << 32;
}

static inline void
dr_put32(void *p, uint32_t v)
{
	unsigned char *b = p;

	b[0] = (unsigned char)v;
	b[1] = (unsigned char)(v >> 8);
	b[2] = (unsigned char)(v >> 16);
	b[3] = (unsigned char)(v >> 24);
}

static inline void
dr_put64(void *p, uint64_t v)
{
	dr_put32(p, (uint32_t)v);
	dr_put32((unsigned char *)p + 4, (uint32_t)(v >> 32));
}

#endif /* !DR_BASE_NUM_H */
