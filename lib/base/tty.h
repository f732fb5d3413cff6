/*
 * tty.h - progress on a terminal, and passphrases from it.
 */
#ifndef DR_BASE_TTY_H
#define DR_BASE_TTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Progress of one stream: bytes, rate, ETA when TOTAL is known (0: not).
 * Drawn on standard error at most 5 times a second, when it is a terminal or
 * --progress always; SIGUSR1 prints one line at any time.  One at a time in
 * a process.  dr_progress_end erases the line, and with -v prints a summary.
 */
void dr_progress_begin(const char *what, uint64_t total);
void dr_progress(uint64_t done);
void dr_progress_total(uint64_t total);
/* A few words after the figures ("WAL kept 16 MiB"); copied. */
void dr_progress_note(const char *);
void dr_progress_end(void);

/*
 * For msg.c and fd.c: take the line away before a message is printed (the
 * next dr_progress draws it again), and print the line SIGUSR1 asked for.
 */
void dr_progress_hide(void);
void dr_progress_poll(void);

/*
 * A passphrase: the first line of FILE, or, with NULL, from /dev/tty without
 * echo (twice when CONFIRM).  At most MAX - 1 bytes into OUT, which the
 * caller keeps in locked memory and wipes.  -1 also when empty.
 */
int dr_passphrase(const char *file, const char *prompt, bool confirm, char *out,
    size_t max, struct dr_err *);

#endif /* !DR_BASE_TTY_H */
