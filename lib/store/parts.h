/*
 * parts.h - a body of unknown length that goes up in parts over HTTP, several
 * of them in flight.
 *
 * Parts begin at 8 MiB and grow so that 10,000 of them hold 5 TiB.  Up to
 * 16 MiB they are kept in memory, of which a sink holds at most
 * DR_PARTS_MEMORY; larger ones lie in an unlinked temporary file ($TMPDIR or
 * /var/tmp) until they have arrived.  A body that fits in one part goes up in
 * a single request, without parts.
 */
#ifndef DR_STORE_PARTS_H
#define DR_STORE_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "http/http.h"
#include "stream/sink.h"

#define DR_PARTS_MEMORY (24U << 20)
#define DR_PARTS_MAX    10000U

struct dr_parts_ops {
	/* All of it fits: put it, in one request, and wait. */
	int (*whole)(void *, const void *, size_t, struct dr_err *);
	/* Before the first part. */
	int (*begin)(void *, struct dr_err *);
	/*
	 * Part N, from 1: fill method, what, prepare, judge and arg of a
	 * request whose body is set; SHA256 and MD5 of the part are for
	 * headers, and valid until it has ended.  ctx: for what prepare
	 * needs, freed by landed.
	 */
	int (*part)(void *, unsigned n, const unsigned char sha256[32],
	    const unsigned char md5[16], struct dr_http_req *, struct dr_err *);
	/* It was answered (STATUS), or given up on (CANCELLED). */
	int (*landed)(void *, unsigned n, struct dr_http_req *, bool cancelled,
	    struct dr_err *);
	/* All N have landed: make them the object, create-only. */
	int (*complete)(void *, unsigned n, struct dr_err *);
	/* Nothing of it may stay behind; failures are warned of. */
	void (*abandon)(void *);
	void (*free)(void *);
};

/* Takes ARG on success. */
struct dr_sink *dr_parts_sink(struct dr_http *, const struct dr_parts_ops *,
    void *arg, struct dr_err *);

/* The size of part N (from 1), for tests. */
uint64_t dr_part_size(unsigned n);

#endif /* !DR_STORE_PARTS_H */
