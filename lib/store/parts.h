/*
 * parts.h - a body of unknown length that goes up in parts over HTTP, several
 * of them in flight.
 *
 * Parts begin at 8 MiB and grow so that 10,000 of them hold 5 TiB.  Those of
 * 8 MiB are kept in memory, of which a sink holds at most DR_PARTS_MEMORY;
 * each of several that live at once holds two, of 5 MiB;
 * larger ones (beyond the first 31 GiB) lie in unlinked temporary files
 * ($TMPDIR or /var/tmp) until they have arrived.  A body that fits in one
 * part goes up in a single request, without parts.
 */
#ifndef DR_STORE_PARTS_H
#define DR_STORE_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "http/http.h"
#include "stream/sink.h"

#define DR_PARTS_MEMORY (24U << 20)
#define DR_PARTS_MAX    10000U

struct dr_parts_ops {
	/* MD5 is not wanted: part gets NULL for it. */
	bool no_md5;
	/*
	 * All of it fits: put it, in one request, and wait.  errno EEXIST and
	 * EALREADY are passed on.
	 */
	int (*whole)(void *, const void *, size_t, struct dr_err *);
	/* Before the first part. */
	int (*begin)(void *, struct dr_err *);
	/*
	 * Part N, from 1: fill method, what, prepare, judge and arg of a
	 * request whose body is set; SHA256 and MD5 of the part are for
	 * headers, and valid until it has ended.  Where it fails, it has left
	 * nothing that landed would free.
	 */
	int (*part)(void *, unsigned n, const unsigned char sha256[32],
	    const unsigned char md5[16], struct dr_http_req *, struct dr_err *);
	/*
	 * For each that part began, once: it was answered (STATUS), or it
	 * failed or was given up on (CANCELLED; what it returns then counts
	 * for nothing).  Parts land in any order.
	 */
	int (*landed)(void *, unsigned n, struct dr_http_req *, bool cancelled,
	    struct dr_err *);
	/*
	 * All N have landed: make them the object, create-only.  errno EEXIST
	 * and EALREADY are passed on.
	 */
	int (*complete)(void *, unsigned n, struct dr_err *);
	/*
	 * After begin was called, whatever came of it, and no complete
	 * succeeded: nothing of it may stay behind.  Failures are warned of.
	 * May follow a stop signal.
	 */
	void (*abandon)(void *);
	void (*free)(void *);
};

/* Takes ARG on success. */
struct dr_sink *dr_parts_sink(struct dr_http *, const struct dr_parts_ops *,
    void *arg, struct dr_err *);

/* An unlinked temporary file in $TMPDIR or /var/tmp; -1. */
int dr_parts_temporary(struct dr_err *);

/* The size of part N (from 1) but the last, of one body or of SEVERAL at once. */
uint64_t dr_part_size(unsigned n, bool several);

#endif /* !DR_STORE_PARTS_H */
