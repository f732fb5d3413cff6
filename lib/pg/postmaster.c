#include "pg/postmaster.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/num.h"

#define PIDFILE_MAX 65536U
#define LOOK_US     5000
#define KILL_MS     2000

/* Does PID run PostgreSQL's executable?  1, 0, -1 it may not be looked at. */
static int
is_postgres(long pid)
{
	char path[64], exe[PATH_MAX], *name, *end;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%ld/exe", pid);
	if ((n = readlink(path, exe, sizeof(exe) - 1)) == -1)
		return errno == EACCES || errno == EPERM ? -1 : 0;
	exe[n] = '\0';
	/* Its package was replaced. */
	if ((end = strstr(exe, " (deleted)")) != NULL)
		*end = '\0';
	name = strrchr(exe, '/');
	name = name != NULL ? name + 1 : exe;
	return strcmp(name, "postgres") == 0 || strcmp(name, "postmaster") == 0;
}

/* Is PID a process of a server in the directory ST? */
static bool
is_of(long pid, const struct stat *dir)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%ld/cwd", pid);
	return stat(path, &st) == 0 && st.st_dev == dir->st_dev &&
	       st.st_ino == dir->st_ino && is_postgres(pid) == 1;
}

/*
 * 1 and the first line of postmaster.pid; 0: there is none, or it is a
 * standalone backend's (pg_rewind runs one), which serves nobody; -1.
 */
static int
written(const char *dir, long *pid, struct dr_err *err)
{
	struct dr_err why = { 0 };
	char *path, *text;
	size_t len = 0;

	*pid = 0;
	if ((path = dr_fmt(err, "%s/postmaster.pid", dir)) == NULL)
		return -1;
	text = dr_file_get(path, PIDFILE_MAX, &len, &why);
	free(path);
	if (text == NULL && errno != ENOENT) {
		*err = why;
		return -1;
	}
	if (text != NULL)
		*pid = strtol(text, NULL, 10);
	free(text);
	return *pid >= 0;
}

/* Send SIG to all of them (0: none); how many there are. */
static int
each(const struct stat *dir, int sig, struct dr_err *err)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	char *end;
	long pid;
	int n = 0;

	if (d == NULL)
		return dr_err_sys(err, "cannot look at processes");
	while ((e = readdir(d)) != NULL) {
		pid = strtol(e->d_name, &end, 10);
		if (pid <= 1 || *end != '\0' || !is_of(pid, dir))
			continue;
		n++;
		if (sig != 0 && kill((pid_t)pid, sig) == -1 && errno != ESRCH) {
			n = dr_err_sys(err, "cannot end process %ld", pid);
			break;
		}
	}
	closedir(d);
	return n;
}

/* 1, 0 there is no server for sure, -1. */
static int
look(const char *dir, struct stat *st, pid_t *pid, struct dr_err *err)
{
	long said;
	int rc;

	*pid = 0;
	if (stat(dir, st) == -1)
		return dr_err_sys(err, "cannot look at \"%s\"", dir);
	/* Others' processes do not say where they work. */
	if (geteuid() != 0 && geteuid() != st->st_uid) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" belongs to another user, whose processes cannot be "
		    "looked at",
		    dir);
		return dr_err_hint(err, "run this as the server's user");
	}
	if ((rc = written(dir, &said, err)) == 1 && said > 1 && is_of(said, st))
		*pid = (pid_t)said;
	return rc;
}

int
dr_postmaster_look(const char *dir, pid_t *pid, struct dr_err *err)
{
	struct stat st;
	int rc = look(dir, &st, pid, err);

	return rc == 1 ? each(&st, 0, err) : rc;
}

static void
nap(void)
{
	const struct timespec ts = { 0, LOOK_US * 1000L };

	(void)nanosleep(&ts, NULL);
}

int
dr_postmaster_end(const char *dir, uint64_t quit_ms, struct dr_err *err)
{
	int64_t began = dr_monotonic(), t;
	struct stat st;
	pid_t pid;
	int n;

	if ((n = look(dir, &st, &pid, err)) != 1)
		return n;
	/* It tells its children, and waits for them. */
	if (pid > 0 && kill(pid, SIGQUIT) == -1 && errno != ESRCH)
		return dr_err_sys(err, "cannot stop process %ld", (long)pid);
	if (pid <= 0)
		quit_ms = 0;
	for (;;) {
		t = (dr_monotonic() - began) / 1000;
		n = each(&st, t < (int64_t)quit_ms ? 0 : SIGKILL, err);
		if (n <= 0)
			return n;
		if (t >= (int64_t)quit_ms + KILL_MS)
			return dr_err_set(err, DR_EFAIL,
			    "%d process%s of the server on \"%s\" will not die",
			    n, n == 1 ? "" : "es", dir);
		nap();
	}
}
