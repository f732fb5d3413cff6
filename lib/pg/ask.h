/*
 * ask.h - many servers asked at once, without waiting for any one of them.
 *
 * An ask is a connection that is driven by dr_ask_turn: from connecting to
 * idle, from busy (a query was sent) to idle again with its results, and,
 * when it fails or its time is over, to ended, with what became of it in
 * probe.  Nothing here waits longer than it is told to.  No password is ever
 * asked for.
 */
#ifndef DR_PG_ASK_H
#define DR_PG_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "base/err.h"
#include "pg/hosts.h"
#include "pg/probe.h"

#define DR_ASK_RESULTS 8

enum dr_ask_at {
	DR_ASK_CONNECTING,
	DR_ASK_IDLE,
	DR_ASK_BUSY,
	DR_ASK_ENDED, /* see probe */
};

/* Zero-initialize; times by dr_monotonic(). */
struct dr_ask {
	enum dr_ask_at at;
	PGconn *conn;
	struct dr_probe probe;
	int64_t began; /* the connection, or the last query */
	int64_t until; /* when what goes on has to be over */
	PGresult *result[DR_ASK_RESULTS]; /* of the query, errors too */
	size_t results;
	/*
	 * The server's last word on this connection: its SQLSTATE, and the
	 * function that said it, which no translation changes.
	 */
	char fatal[6], fatal_by[32];
	short events;
	bool talked;   /* somebody at the other end took the connection */
	int64_t heard; /* when last something came of it; 0 never */
};

/* Begin to connect; HOST, which was looked up, is not kept. */
void dr_ask_open(struct dr_ask *, const struct dr_pg_host *host, int64_t until);

/* Send SQL, one or several statements, on an idle one; its results go. */
void dr_ask_send(struct dr_ask *, const char *sql, int64_t until);

/* TO, which holds nothing, becomes what FROM was. */
void dr_ask_move(struct dr_ask *to, struct dr_ask *from);

/* Let go of everything; what PROBE says stays. */
void dr_ask_close(struct dr_ask *);

/*
 * Wait until something happens on one of the N, UNTIL at the latest, and go
 * on with each that can.  Idle ones are watched, too: a server may end the
 * connection.  Returns at once when the time of one is over.  -1: a stop
 * signal, or poll failed.
 */
int
dr_ask_turn(struct dr_ask *const *, size_t n, int64_t until, struct dr_err *);

/* Until A neither connects nor is busy. */
int dr_ask_wait(struct dr_ask *a, struct dr_err *);

/* The first error among the results, from the FROMth; NULL there is none. */
const PGresult *dr_ask_error(const struct dr_ask *, size_t from);

/*
 * End A: in the state that RES, an error, stands for ("cannot DOING: ..."), or
 * in STATE.
 */
void dr_ask_refuse(struct dr_ask *, const PGresult *res, const char *doing);
void dr_ask_end(struct dr_ask *, enum dr_probe_state, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* It answered, and is this: fills probe. */
void dr_ask_role(struct dr_ask *, bool standby, bool read_only);

/*
 * Has A, newly opened, been asked what it is?  To be called between turns;
 * asks when it can.  Once true, A is idle or has ended, and probe is filled.
 */
bool dr_ask_probed(struct dr_ask *);

#endif /* !DR_PG_ASK_H */
