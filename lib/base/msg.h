/*
 * msg.h - the beginning and the end of a tool, and what it says between.
 *
 * Library code may call dr_warn and dr_say: they do nothing until a tool
 * has begun, and a test may catch them with dr_msg_hook.  Threads never call
 * them; they report through their own dr_err.
 */
#ifndef DR_BASE_MSG_H
#define DR_BASE_MSG_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Descriptors 0 to 2 open, SIGPIPE ignored, stop handlers installed, the
 * name for messages set.  NAME is a constant.
 */
void dr_main_begin(const char *name);

/*
 * Close standard output under check, print the error, if any, once, with
 * its hint, and return the exit status; where the cause is a signal, die of
 * that signal instead.
 */
int dr_main_end(struct dr_err *);

/* "NAME: warning: ..." unless -q. */
void dr_warn(const char *, ...) __attribute__((format(printf, 1, 2)));

/* Warn of what failed, if anything did, and forget it. */
void dr_warn_err(struct dr_err *);

/* "NAME: ..." when -v was given at least LEVEL times (0: unless -q). */
void
dr_say(unsigned level, const char *, ...) __attribute__((format(printf, 2, 3)));

/* Set by -q and -v (base/opt.h). */
extern bool dr_quiet;
extern unsigned dr_verbose;

/* A copy of each message goes there: a file's path, or "syslog".  0 or -1. */
int dr_log_open(const char *where, struct dr_err *);

/* The last warning's text, for unit tests; "" when there was none. */
extern char dr_last_warning[512];

/* The tool's name, as given to dr_main_begin ("" before). */
const char *dr_tool(void);

/*
 * Stop signals (INT, TERM, HUP).  dr_stopped returns the signal's number or
 * 0.  dr_stop_fd becomes readable at the first one: poll it beside your own.
 * dr_check_stop fails with DR_ESTOP once stopped.
 */
int dr_stopped(void);
int dr_stop_fd(void);
int dr_check_stop(struct dr_err *);

/* In a child: stop signals are the parent's business from here on. */
void dr_stops_ignore(void);

/*
 * For tools that end well when they are told to: the signal is heard, and
 * from now on nothing fails because of it.  A second one kills.
 */
void dr_stop_heard(void);

/*
 * From now on dr_check_stop calls FN about once a second, and a write that
 * waits is interrupted to call it (SIGALRM).  What FN fails with,
 * dr_check_stop fails with; FN itself must not wait.  NULL ends it.
 */
void dr_each_second(int (*fn)(void *, struct dr_err *), void *arg);

#endif /* !DR_BASE_MSG_H */
