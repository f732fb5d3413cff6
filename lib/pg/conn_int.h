/*
 * conn_int.h - what connecting and talking share; not for others.
 */
#ifndef DR_PG_CONN_INT_H
#define DR_PG_CONN_INT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/conn.h"

/*
 * TEXT, which may have several lines, as one: without the newline at its
 * end, and without "ERROR:  " in front.
 */
void dr_pg_one_line(const char *text, char *out, size_t size);

/*
 * What libpq says of a connection that failed, as one line, and the SQLSTATE
 * that the server gave for it ("": none).  For connections with verbose
 * errors; the codes and locations that they add are not in LINE.
 */
void dr_pg_said(PGconn *, char state[6], char *line, size_t size);

/* KEY='VALUE' and a blank, as libpq reads it; appended. */
int dr_pg_add_option(struct dr_buf *, const char *key, const char *value,
    size_t len, struct dr_err *);

/* Poll the connection and the stop signals.  1 ready, 0 time over, -1. */
int dr_pg_poll(PGconn *, short events, int ms, struct dr_err *);

#endif /* !DR_PG_CONN_INT_H */
