/*
 * coordline.h - the options that say where a set's keys in etcd are, and who
 * asks for them (coord/coord.h).
 */
#ifndef DR_FLOW_COORDLINE_H
#define DR_FLOW_COORDLINE_H

#include "base/err.h"
#include "base/opt.h"
#include "coord/coord.h"
#include "coord/etcd.h"

/* Start with { 0 }. */
struct dr_coord_line {
	const char *lock, *ca, *cert, *key, *user, *password_file;
};

/*
 * Entries of a table of options.  DR_OPTS_LOCK (flow/stores.h) is of another
 * kind of lock.
 */
#define DR_OPTS_COORD(line)                                                  \
	{ "lock", 0, DR_OPT_STR, &(line)->lock, 0, 0, "etcd://...|none",     \
		"agree with others in etcd, by its members HOST:PORT,...",   \
		"DR_LOCK" },                                                 \
	    { "lock-ca-file", 0, DR_OPT_STR, &(line)->ca, 0, 0, "FILE",      \
		    "trust the authorities in FILE for etcd, and no others", \
		    NULL },                                                  \
	    { "lock-cert-file", 0, DR_OPT_STR, &(line)->cert, 0, 0, "FILE",  \
		    "who we are to etcd: a certificate", NULL },             \
	    { "lock-key-file", 0, DR_OPT_STR, &(line)->key, 0, 0, "FILE",    \
		    "its key (in the same file)", NULL },                    \
	    { "lock-user", 0, DR_OPT_STR, &(line)->user, 0, 0, "NAME",       \
		    "who we are to etcd: a user", NULL },                    \
	{                                                                    \
		"lock-password-file", 0, DR_OPT_STR, &(line)->password_file, \
		    0, 0, "FILE",                                            \
		    "the user's password, in the first line of FILE", NULL   \
	}

/*
 * Open what they name for SET; the caller frees both, the set's keys first.
 * --lock none, or no --lock: 0, and both are NULL.  Asks nobody yet.
 */
int dr_coord_line_open(const struct dr_coord_line *, const char *set,
    struct dr_etcd **, struct dr_coord **, struct dr_err *);

#endif /* !DR_FLOW_COORDLINE_H */
