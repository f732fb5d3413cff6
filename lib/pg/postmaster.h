/*
 * postmaster.h - the processes of the server that runs on a data directory,
 * and their end.
 *
 * They are known by their executable's name, and by their working directory,
 * which is the data directory for a postmaster and all of its children; so a
 * process number that is used again is never taken for one of them.  That
 * needs the rights of the server's user, or of root.
 */
#ifndef DR_PG_POSTMASTER_H
#define DR_PG_POSTMASTER_H

#include <sys/types.h>

#include <stdint.h>

#include "base/err.h"

/*
 * How many processes of a server on DIR live, zombies not counted; *PID is
 * its postmaster's where postmaster.pid names one of them, else 0.  A
 * standalone backend is no server.  -1: it cannot be told.
 */
int dr_postmaster_look(const char *dir, pid_t *pid, struct dr_err *);

/*
 * End it at once, as "pg_ctl stop -m immediate" does; what is left after
 * QUIT_MS is killed, frozen or not.  Returns when nothing is left: 0, also
 * where there was nothing.  -1: something lives after two seconds more.
 */
int dr_postmaster_end(const char *dir, uint64_t quit_ms, struct dr_err *);

#endif /* !DR_PG_POSTMASTER_H */
