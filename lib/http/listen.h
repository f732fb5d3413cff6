/*
 * listen.h - a small HTTP/1.1 server for metrics and health: GET and HEAD
 * (OPTIONS is taken for HEAD), answers that are ready, one poll loop, no
 * threads.
 *
 * A handler is called with the path and query and must answer from memory at
 * once.  Bounded: DR_LISTEN_MAX connections (the longest idle goes first),
 * 8 KiB of request, 10 s for a request to arrive and for an answer to leave,
 * 75 s between two of a client that stays.
 */
#ifndef DR_HTTP_LISTEN_H
#define DR_HTTP_LISTEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DR_LISTEN_MAX 64

struct dr_listen;

struct dr_answer {
	int status;         /* 200, 404, 503 */
	const char *type;   /* Content-Type, a constant */
	struct dr_buf body; /* starts empty */
};

/*
 * PATH begins with "/"; QUERY is what follows "?", or "" (request.h reads
 * it).  -1 is answered with 500, and the words of ERR stay here.
 */
typedef int dr_listen_fn(void *arg, const char *path, const char *query,
    struct dr_answer *, struct dr_err *);

/*
 * ADDR: "HOST:PORT", ":PORT" (loopback), "[::1]:PORT", "*:PORT" (all), or a
 * socket's path, which must hold a "/".  DR_EUSAGE for what is none of them.
 */
struct dr_listen *
dr_listen_new(const char *addr, dr_listen_fn *, void *arg, struct dr_err *);
/* Where it listens, with the port that was given for 0. */
const char *dr_listen_addr(const struct dr_listen *);
/*
 * Serve for MS (-1: until a stop signal: DR_ESTOP), or until FD (-1: none)
 * can be read.
 */
int dr_listen_turn(struct dr_listen *, int ms, int fd, struct dr_err *);
/* Requests that were answered. */
uint64_t dr_listen_count(const struct dr_listen *);
void dr_listen_free(struct dr_listen *);
/* In a child: let go of its descriptors, and free it. */
void dr_listen_forget(struct dr_listen *);

#endif /* !DR_HTTP_LISTEN_H */
