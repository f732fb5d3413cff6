/* What can be said of connections without a server. */
#include "pg/conn.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "tests/tap.h"

static struct dr_err e;

static bool
fails(const char *conninfo, enum dr_cause cause)
{
	PGconn *c;

	memset(&e, 0, sizeof(e));
	c = dr_pg_connect(conninfo, true, "test", NULL, &e);
	PQfinish(c);
	return c == NULL && e.cause == cause;
}

/* A port that takes connections and never says a word; -1. */
static int
silent_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/* Never closed: it must stay silent until the process ends. */
	if (fd == -1 || bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(fd, 5) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) == -1)
		return -1;
	return ntohs(a.sin_port);
}

static void
silence(void)
{
	int64_t before = dr_monotonic();
	char text[128];
	int port = silent_port();

	snprintf(text, sizeof(text),
	    "host=127.0.0.1 port=%d user=u connect_timeout=1", port);
	OK(port != -1 && fails(text, DR_ERETRY) &&
	        strstr(e.msg, "connect_timeout") != NULL,
	    "a server that says nothing: try later");
	OK(dr_monotonic() - before < 5000000, "without waiting for long");
	snprintf(text, sizeof(text),
	    "host=127.0.0.1,127.0.0.1 port=%d,1 user=u connect_timeout=1",
	    port);
	OK(fails(text, DR_ERETRY) && strstr(e.msg, "refused") != NULL,
	    "the host after it has its turn");
}

int
main(void)
{
	/* The caller's own settings are not our subject. */
	unsetenv("PGHOST");
	unsetenv("PGSERVICE");

	OK(dr_pg_cause("57P03") == DR_ERETRY, "starting up is temporary");
	OK(dr_pg_cause("57P01") == DR_ERETRY, "so is shutting down");
	OK(dr_pg_cause("53300") == DR_ERETRY, "and too many connections");
	OK(dr_pg_cause("08006") == DR_ERETRY, "and a lost connection");
	OK(dr_pg_cause("XX001") == DR_EDATA, "damage is damage");
	OK(dr_pg_cause("XX000") == DR_EFAIL, "an internal error is not");
	OK(dr_pg_cause("28P01") == DR_EFAIL, "a password is no matter of time");
	OK(dr_pg_cause("") == DR_EFAIL && dr_pg_cause(NULL) == DR_EFAIL &&
	        dr_pg_cause("x") == DR_EFAIL,
	    "no code is a plain failure");

	OK(fails("host=/nonexistent/dir port=5599 user=u", DR_ERETRY),
	    "a socket that is not there: try later");
	OK(fails("host=127.0.0.1 port=1 user=u", DR_ERETRY),
	    "a port that refuses: try later");
	OK(strstr(e.msg, "cannot connect: ") == e.msg &&
	        strchr(e.msg, '\n') == NULL,
	    "and it is said in one line");
	OK(fails("host=x password=hush hush", DR_EUSAGE),
	    "a string that is none");
	OK(strstr(e.msg, "hush") == NULL && strstr(e.hint, "hush") == NULL,
	    "is not quoted");
	OK(fails("nosuchkey=1", DR_EUSAGE), "nor is an unknown setting taken");
	OK(fails("service=no_such_service_here", DR_EFAIL),
	    "a service that nobody defined");
	OK(fails("host=127.0.0.1 port=99999999", DR_EFAIL),
	    "a port that is none");
	silence();
	return DONE();
}
