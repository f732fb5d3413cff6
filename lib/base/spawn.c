#include "base/spawn.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

int
dr_spawn(char *const argv[], pid_t *pid, int *out, struct dr_err *err)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t set;
	int p[2], r;

	if (pipe2(p, O_CLOEXEC) == -1)
		return dr_err_sys(err, "cannot make a pipe");
	if ((r = posix_spawn_file_actions_init(&fa)) != 0)
		goto fail;
	if ((r = posix_spawnattr_init(&at)) != 0) {
		(void)posix_spawn_file_actions_destroy(&fa);
		goto fail;
	}
	/* Whatever we do about SIGPIPE, a command expects to die of it. */
	(void)sigemptyset(&set);
	(void)posix_spawnattr_setsigmask(&at, &set);
	(void)sigaddset(&set, SIGPIPE);
	(void)posix_spawnattr_setsigdefault(&at, &set);
	(void)posix_spawnattr_setflags(&at,
	    POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	if ((r = posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY,
	         0)) == 0 &&
	    (r = posix_spawn_file_actions_adddup2(&fa, p[1], 1)) == 0)
		r = posix_spawnp(pid, argv[0], &fa, &at, argv, environ);
	(void)posix_spawnattr_destroy(&at);
	(void)posix_spawn_file_actions_destroy(&fa);
	if (r != 0)
		goto fail;
	(void)close(p[1]);
	*out = p[0];
	return 0;

fail:
	(void)close(p[0]);
	(void)close(p[1]);
	errno = r;
	return dr_err_sys(err, "cannot run \"%s\"", argv[0]);
}

int
dr_spawn_ended(const char *name, int status, struct dr_err *err)
{
	if (WIFSIGNALED(status))
		return dr_err_set(err, DR_EFAIL,
		    "\"%s\" died of signal %d (%s)", name, WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return dr_err_set(err, DR_EFAIL, "\"%s\" ended with status %d",
		    name, WEXITSTATUS(status));
	return 0;
}
