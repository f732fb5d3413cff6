/* Connection strings, and the servers that they name. */
#include "pg/hosts.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "tests/tap.h"

static struct dr_err e;
static struct dr_pg_host *v;
static size_t n;

static bool
parse(const char *conninfo)
{
	dr_pg_hosts_free(v, n);
	memset(&e, 0, sizeof(e));
	return dr_pg_hosts(&conninfo, 1, &v, &n, &e) == 0;
}

static bool
where(size_t i, const char *want)
{
	return i < n && strcmp(v[i].where, want) == 0;
}

static bool
holds(size_t i, const char *what)
{
	return i < n && strstr(v[i].conninfo, what) != NULL;
}

static void
lists(void)
{
	OK(parse("host=a port=1") && n == 1 && where(0, "a:1"), "one host");
	OK(parse("host=a,/run/pg,10.0.0.1,::1 port=1,2,3,4") && n == 4 &&
	        where(0, "a:1") && where(1, "/run/pg:2") &&
	        where(2, "10.0.0.1:3") && where(3, "[::1]:4"),
	    "four hosts");
	OK(holds(0, "host='a'") && holds(0, "port='1'") &&
	        !holds(0, "10.0.0.1"),
	    "each by itself");
	OK(strcmp(v[0].name, "a") == 0 && v[1].name == NULL &&
	        v[2].name == NULL && v[3].name == NULL,
	    "names are to be looked up");
	OK(parse("postgresql://u:s%27x@a,b:2/db?sslmode=require") && n == 2 &&
	        where(0, "a:5432") && where(1, "b:2"),
	    "an address of that form");
	OK(holds(1, "password='s\\'x'") && holds(1, "user='u'") &&
	        holds(1, "dbname='db'") && holds(1, "sslmode='require'"),
	    "what it says is for all");
	OK(parse("host=a,b hostaddr=127.0.0.1,127.0.0.2") && n == 2 &&
	        holds(1, "hostaddr='127.0.0.2'") && v[1].name == NULL,
	    "addresses beside names");
	OK(parse("hostaddr=127.0.0.9") && where(0, "127.0.0.9:5432"),
	    "addresses alone");
	OK(parse("") && n == 1 && v[0].where[0] == '/', "nothing: a socket");
	OK(holds(0, "dbname='postgres'"), "of the database postgres");
}

static void
environment(void)
{
	OK(setenv("PGHOST", "x,y", 1) == 0 && setenv("PGPORT", "7", 1) == 0 &&
	        setenv("PGDATABASE", "mine", 1) == 0 && parse("") && n == 2 &&
	        where(1, "y:7") && holds(1, "dbname='mine'"),
	    "the environment");
	OK(setenv("PGTARGETSESSIONATTRS", "read-write", 1) == 0 &&
	        parse("target_session_attrs=primary") &&
	        !holds(0, "target_session_attrs"),
	    "nothing chooses between them");
	unsetenv("PGHOST");
	unsetenv("PGPORT");
	unsetenv("PGDATABASE");
	unsetenv("PGTARGETSESSIONATTRS");
}

static void
mistakes(void)
{
	char many[700] = "host=";
	size_t i;

	OK(!parse("hoost=a password=secret") && e.cause == DR_EUSAGE &&
	        strstr(e.msg, "secret") == NULL,
	    "a setting that is not one");
	OK(!parse("host=a,b port=1,2,3") && e.cause == DR_EUSAGE,
	    "more ports than hosts");
	OK(!parse("host=a sslmode=sometimes") && e.cause == DR_EUSAGE,
	    "a value that is not one");
	OK(!parse("service=none_of_that_name") && e.cause == DR_EUSAGE,
	    "a service that is not there");
	for (i = 0; i < 300; i++)
		memcpy(many + 5 + 2 * i, "a,", 3);
	OK(!parse(many) && e.cause == DR_EUSAGE, "300 hosts");
}

static void
names(void)
{
	const int64_t soon = dr_monotonic() + 20000000;

	OK(parse("host=127.0.0.1,/run") &&
	        dr_pg_hosts_find(v, n, soon, &e) == 0 &&
	        v[0].lost.cause == DR_OK && !holds(0, "hostaddr="),
	    "nothing to look up");
	OK(parse("host=name-that-is-not-there.invalid") &&
	        dr_pg_hosts_find(v, n, soon, &e) == 0 &&
	        v[0].lost.cause == DR_ERETRY &&
	        strstr(v[0].lost.msg, "name-that-is-not-there") != NULL,
	    "a name that is not there");
	OK(parse("host=ip6-localhost,name-that-is-not-there.invalid") &&
	        dr_pg_hosts_find(v, n, dr_monotonic(), &e) == 0 &&
	        v[1].lost.cause == DR_ERETRY,
	    "no time for it");
}

int
main(void)
{
	unsetenv("PGHOST");
	unsetenv("PGPORT");
	unsetenv("PGDATABASE");
	unsetenv("PGSERVICE");
	lists();
	environment();
	mistakes();
	names();
	dr_pg_hosts_free(v, n);
	return DONE();
}
