/*
 * secret.h - the start of a tool that holds keys, and bytes that must not
 * leak: locked, guarded memory, wiped when freed.
 */
#ifndef DR_CRYPT_SECRET_H
#define DR_CRYPT_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * For tools that hold keys, before the first of them: no core dumps, no
 * ptrace by others of the same user, and the library's own start.
 */
int dr_crypt_init(struct dr_err *);

/* The library's start alone; every constructor here calls it. */
int dr_sodium(struct dr_err *);

/* N bytes of locked memory; free them with sodium_free. */
void *dr_secret_new(size_t n, struct dr_err *);

/* What a file that may hold a key contains, followed by a NUL. */
struct dr_secret {
	char *data; /* sodium_malloc */
	size_t len;
	bool exposed; /* a regular file that group or others may use */
};

/*
 * All of PATH ("-": standard input), or of FD, which is not closed; more
 * than MAX bytes is DR_EDATA.
 */
int dr_secret_file(struct dr_secret *, const char *path, size_t max,
    struct dr_err *);
int dr_secret_fd(struct dr_secret *, int fd, const char *name, size_t max,
    struct dr_err *);
void dr_secret_wipe(struct dr_secret *);

#define DR_PASSPHRASE_MAX 1024

/*
 * Ask for the passphrase (base/tty.h): DR_PASSPHRASE_MAX bytes of locked
 * memory with a string in it; free it with sodium_free.  CONFIRM asks twice.
 */
char *dr_passphrase_new(const char *file, const char *prompt, bool confirm,
    struct dr_err *);

#endif /* !DR_CRYPT_SECRET_H */
