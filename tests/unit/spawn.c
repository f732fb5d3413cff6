#include "base/spawn.h"

#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/tap.h"

static struct dr_err e;
static char said[4096];
static bool closes; /* on exec */

/* What `sh -c SCRIPT` says, in SAID; how it ended, or -1. */
static int
shell(const char *script)
{
	char sh[] = "sh", c[] = "-c", *text = strdup(script);
	char *const argv[] = { sh, c, text, NULL };
	int fd, status = -1;
	ssize_t n;
	pid_t pid;

	dr_err_clear(&e);
	if (text == NULL || dr_spawn(argv, &pid, &fd, &e) == -1) {
		free(text);
		return -1;
	}
	closes = fcntl(fd, F_GETFD) == FD_CLOEXEC;
	n = dr_fd_fill(fd, said, sizeof(said) - 1, "it", &e);
	said[n > 0 ? n : 0] = '\0';
	close(fd);
	if (waitpid(pid, &status, 0) != pid)
		status = -1;
	free(text);
	return status;
}

static bool
ended(int status, const char *want)
{
	int rc = dr_spawn_ended("it", status, &e);
	bool good = want == NULL ? rc == 0 && e.cause == DR_OK
	                         : rc == -1 && e.cause == DR_EFAIL &&
	                               strncmp(e.msg, want, strlen(want)) == 0;

	if (!good)
		printf("# %d \"%s\"\n", rc, e.msg);
	dr_err_clear(&e);
	return good;
}

static void
signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	sigset_t term, was;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigaction(SIGPIPE, &ignore, &old);
	sigprocmask(SIG_BLOCK, &term, &was);
	OK(ended(shell("kill -PIPE $$; exit 3"), "\"it\" died of signal 13"),
	    "it dies of SIGPIPE though we ignore it");
	OK(ended(shell("kill -TERM $$; exit 3"), "\"it\" died of signal 15"),
	    "and of a signal that we block");
	sigprocmask(SIG_SETMASK, &was, NULL);
	sigaction(SIGPIPE, &old, NULL);
}

/* How many descriptors are open. */
static int
count(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

int
main(void)
{
	char none[] = "/nonexistent/command";
	char *const argv[] = { none, NULL };
	int before = count(), fd = -7;
	pid_t pid = -7;

	OK(ended(shell("echo said; exit 0"), NULL) &&
	        strcmp(said, "said\n") == 0,
	    "its output is read");
	OK(closes, "which another command would not hold open");
	OK(ended(shell("exit 7"), "\"it\" ended with status 7"), "its status");
	OK(ended(shell("cat; readlink /proc/self/fd/0"), NULL) &&
	        strcmp(said, "/dev/null\n") == 0,
	    "there is nothing to read");
	signals();
	OK(dr_spawn(argv, &pid, &fd, &e) == -1 && e.cause == DR_EFAIL &&
	        strstr(e.msg, "cannot run \"/nonexistent/command\": No such") !=
	            NULL,
	    "one that is not there");
	OK(count() == before, "leaves nothing open");
	return DONE();
}
