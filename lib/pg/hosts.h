/*
 * hosts.h - the servers that connection strings name, one by one.
 */
#ifndef DR_PG_HOSTS_H
#define DR_PG_HOSTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DR_PG_HOSTS_MAX 256 /* of all strings together */

struct dr_pg_host {
	char *conninfo; /* for it alone; may hold a password */
	char *where;    /* "HOST:PORT", "[ADDRESS]:PORT" or "DIRECTORY:PORT" */
	size_t from;    /* index of the string that named it */
	char *name;     /* to be looked up; NULL: none */
	struct dr_err lost; /* it could not be */
};

/*
 * The servers that the N strings name, in their order; a string that lists
 * several hosts is as many servers.  Services, PG* variables and defaults are
 * looked up here and now.  What would have libpq choose between hosts, or ask
 * for replication, is left out; the database is "postgres" where nothing
 * names one.  Connects to nothing.  DR_EUSAGE: a string that cannot be used
 * (never quoted), too many hosts.
 */
int dr_pg_hosts(const char *const *conninfo, size_t n, struct dr_pg_host **,
    size_t *count, struct dr_err *);
void dr_pg_hosts_free(struct dr_pg_host *, size_t);

/*
 * Look up the addresses of those that go by names, all at once, and put them
 * into their strings: libpq would wait for each as long as the resolver does.
 * One that cannot be found until UNTIL (dr_monotonic) is lost.  Forks.  -1: a
 * stop signal, no process.
 */
int
dr_pg_hosts_find(struct dr_pg_host *, size_t, int64_t until, struct dr_err *);

#endif /* !DR_PG_HOSTS_H */
