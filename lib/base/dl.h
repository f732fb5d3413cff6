/*
 * dl.h - libraries that are loaded when they are first needed.
 *
 * dr-wal runs once for each segment of WAL, and most of its runs talk to no
 * server: to load libpq with all that it needs in turn (Kerberos, LDAP,
 * GnuTLS) would be an eighth of such a run.
 */
#ifndef DR_BASE_DL_H
#define DR_BASE_DL_H

#include <stddef.h>

#include "base/err.h"

/* A function of the library: its name, and where to put its address. */
struct dr_dl {
	const char *name;
	void *to; /* a pointer to a function, of any type */
};

/*
 * Load the library SONAME for as long as the process lives, and find the N
 * functions.  To call it again does no harm.
 */
int
dr_dl_load(const char *soname, const struct dr_dl *, size_t n, struct dr_err *);

#endif /* !DR_BASE_DL_H */
