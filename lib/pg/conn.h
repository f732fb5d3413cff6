/*
 * conn.h - connections to PostgreSQL through libpq's asynchronous calls, in
 * a wait of our own that a stop signal ends (DR_ESTOP).
 *
 * Causes: the server refuses, is away, starts up, shuts down or has no room
 * for one more: DR_ERETRY.  It says no (password, rights, pg_hba.conf):
 * DR_EFAIL.  It reports damaged data: DR_EDATA.  A connection string that
 * cannot be parsed: DR_EUSAGE; it is never quoted, it may hold a password.
 */
#ifndef DR_PG_CONN_H
#define DR_PG_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Connect, trying the hosts of CONNINFO in turn, each for connect_timeout
 * where that is set.  CONNINFO NULL or "": the PG* environment alone.  REPLICATION
 * asks for a walsender of the physical kind; otherwise the database is
 * "postgres" where neither CONNINFO nor the environment names one.  APP is
 * the fallback_application_name.  SAME, if not NULL, is a connection whose
 * server it must be, where CONNINFO lists several.  Never asks for a
 * password.  The caller ends it with PQfinish.
 */
PGconn *dr_pg_connect(const char *conninfo, bool replication, const char *app,
    const PGconn *same, struct dr_err *);

/*
 * Can CONNINFO be parsed, and may it be written down?  DR_EUSAGE where it
 * cannot, or holds a password.
 */
int dr_pg_conninfo_ok(const char *conninfo, struct dr_err *);

/*
 * Wait until the connection can be read, MS milliseconds at most (-1: no
 * limit), and take in what has come.  1 something came, 0 the time is over
 * (with TLS it may be over sooner: look whether something came, and call
 * again), -1 stopped, or the connection is lost.
 */
int dr_pg_wait(PGconn *, int ms, struct dr_err *);

/*
 * The next result of the command under way; NULL without ERR set when there
 * is none left.  Error results are returned like others.  TICK, if not NULL,
 * is called about once a second while waiting; its -1 ends the wait.
 */
PGresult *dr_pg_result(PGconn *, int (*tick)(void *, struct dr_err *),
    void *arg, struct dr_err *);

/*
 * Run one command to its end and return its (only) result, rows or not.
 * NULL with ERR set: "cannot DOING: ...".  dr_pg_query_params passes N text
 * parameters (not on a walsender).
 */
PGresult *
dr_pg_query(PGconn *, const char *sql, const char *doing, struct dr_err *);
PGresult *dr_pg_query_params(PGconn *, const char *sql, int n,
    const char *const *params, const char *doing, struct dr_err *);

/*
 * SHOW NAME, which a walsender answers too.  1 and the value in OUT (cut to
 * SIZE), 0 when the server has no such setting or keeps it from this user,
 * -1.
 */
int
dr_pg_show(PGconn *, const char *name, char *out, size_t size, struct dr_err *);

/*
 * Describe what RES (or, with NULL, the connection) reports; the cause
 * follows the SQLSTATE.  Always returns -1.
 */
int
dr_pg_failed(PGconn *, const PGresult *, const char *doing, struct dr_err *);

/* The cause a SQLSTATE stands for ("" or NULL: DR_EFAIL). */
enum dr_cause dr_pg_cause(const char *sqlstate);

#endif /* !DR_PG_CONN_H */
