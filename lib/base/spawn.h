/*
 * spawn.h - a command whose output is read.
 */
#ifndef DR_BASE_SPAWN_H
#define DR_BASE_SPAWN_H

#include <sys/types.h>

#include "base/err.h"

/*
 * Start ARGV, found in PATH, with nothing to read and with no signals
 * blocked; *OUT is its standard output.  The caller's: it closes *OUT and
 * waits for *PID.  What lies at other descriptors that are not closed on
 * exec, and standard error, are the command's, too.
 */
int dr_spawn(char *const argv[], pid_t *pid, int *out, struct dr_err *);

/* How it ended, as waitpid(2) says: 0, or DR_EFAIL.  NAME is for messages. */
int dr_spawn_ended(const char *name, int status, struct dr_err *);

#endif /* !DR_BASE_SPAWN_H */
