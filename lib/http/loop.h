/*
 * loop.h - several transfers at once through one curl multi handle.  The
 * main thread has one loop for all that dr_http_start began; every
 * dr_http_do of another thread takes one of its own.
 */
#ifndef DR_HTTP_LOOP_H
#define DR_HTTP_LOOP_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "http/http.h"

struct dr_loop;

struct dr_loop *dr_loop_new(struct dr_err *);
/* Nothing may be in flight. */
void dr_loop_free(struct dr_loop *);

/* -1: REQ has not begun. */
int dr_loop_start(struct dr_loop *, struct dr_http *, struct dr_http_req *,
    struct dr_err *);
void dr_loop_cancel(struct dr_http_req *);

/*
 * Let transfers go on for at most MS; back at once when STOP_FD (unless -1)
 * is readable or a transfer has ended, also one that did so before.
 */
int dr_loop_turn(struct dr_loop *, uint64_t ms, int stop_fd, struct dr_err *);

/*
 * poll(2), while transfers go on.  It comes back with EINTR whenever one of
 * them was attended to.
 */
int dr_loop_poll(struct dr_loop *, struct pollfd *, nfds_t, int ms);

/* The next turn shall not wait: somebody else's transfer may have ended. */
void dr_loop_news(struct dr_loop *);

/* One of its transfers is in a callback of its owner. */
bool dr_loop_busy(const struct dr_loop *);

#endif /* !DR_HTTP_LOOP_H */
