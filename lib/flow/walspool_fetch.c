/*
 * The fetchers of a spool.  The first is the parent of the others, and the
 * one that cleans up; the Nth of M takes each Mth segment.
 *
 * In a container the server may be process 1, and thereby the new parent of
 * a process that outlives dr-wal.  It takes the death of an unknown child by
 * a signal for a crash of its own: so these always leave by _exit.
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "flow/walspool.h"
#include "flow/walspool_int.h"

#define STALE_S  3600
#define RETRY_US 1000000
#define BUSY_NS  2000000 /* between two looks while segments are asked for */
#define IDLE_NS  20000000
#define BUSY_US  1000000

struct fetcher {
	const struct dr_walspool_job *job;
	struct dr_walfetch f;
	struct dr_buf seg;
	const char *dir; /* absolute */
	int dirfd;
	unsigned me, of;
	uint64_t window;
	char asked[DR_WAL_NAME_MAX];
	uint64_t asked_n; /* its number */
	int64_t since;    /* when that was asked */
	int64_t again;    /* not before: the last fetch failed */
};

/* --- numbers of segments --------------------------------------------------- */

static bool
number(const char *name, uint64_t segsize, uint64_t *n)
{
	struct dr_err ignored = { 0 };
	struct dr_wal_file file;
	uint64_t lsn;

	if (dr_wal_name(name, &file, &ignored) == -1 ||
	    file.kind != DR_WAL_SEGMENT ||
	    !dr_wal_start(&file, (uint32_t)segsize, &lsn))
		return false;
	*n = lsn / segsize;
	return true;
}

static uint64_t
window_of(uint64_t segsize)
{
	uint64_t n = DR_SPOOL_BYTES / segsize;

	return n < 1 ? 1 : n > DR_SPOOL_FILES ? DR_SPOOL_FILES : n;
}

static unsigned
fetchers_of(uint64_t segsize)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	/* One more than can run: one waits for the disk most of the time. */
	uint64_t n = cpus < 1 ? 2 : (uint64_t)cpus + 1;

	if (n > DR_FETCHERS_MAX)
		n = DR_FETCHERS_MAX;
	if (n > window_of(segsize))
		n = window_of(segsize);
	return (unsigned)n;
}

/* --- cleaning -------------------------------------------------------------- */

/* Remove what is not wanted: all of it, or what lies outside the window. */
static void
sweep(int dirfd, const struct fetcher *x)
{
	DIR *d;
	struct dirent *e;
	uint64_t n;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return;
	if ((d = fdopendir(fd)) == NULL) {
		close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		size_t len = strlen(e->d_name);
		bool seg = len == 24,
		     tmp = len > 4 && e->d_name[0] == '.' &&
		           strcmp(e->d_name + len - 4, ".tmp") == 0;

		if (x == NULL) {
			if (seg || tmp || strncmp(e->d_name, "busy.", 5) == 0)
				(void)unlinkat(dirfd, e->d_name, 0);
			continue;
		}
		if (!seg || !number(e->d_name, x->job->segsize, &n))
			continue;
		if (n < x->asked_n || n > x->asked_n + x->window)
			(void)unlinkat(dirfd, e->d_name, 0);
	}
	closedir(d);
}

/* Spools whose fetchers were killed, of recoveries long over. */
static void
sweep_others(const char *dir)
{
	char *parent = strdup(dir), *slash;
	struct dirent *e;
	struct stat st;
	DIR *d = NULL;
	int fd, lock;

	if (parent == NULL || (slash = strrchr(parent, '/')) == NULL)
		goto out;
	*slash = '\0';
	if ((d = opendir(parent)) == NULL)
		goto out;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, slash + 1) == 0)
			continue;
		fd = openat(dirfd(d), e->d_name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd == -1)
			continue;
		lock = openat(fd, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (lock != -1 && flock(lock, LOCK_EX | LOCK_NB) == 0 &&
		    fstatat(fd, "asked", &st, 0) == 0 &&
		    time(NULL) - st.st_mtime > STALE_S) {
			sweep(fd, NULL);
			(void)unlinkat(fd, "asked", 0);
			(void)unlinkat(fd, "pace", 0);
			(void)unlinkat(fd, "lock", 0);
			(void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
		}
		if (lock != -1)
			close(lock);
		close(fd);
	}

out:
	if (d != NULL)
		closedir(d);
	free(parent);
}

/* --- fetching -------------------------------------------------------------- */

static void
leave(int sig)
{
	(void)sig;
	_exit(0);
}

/* A fetch that takes longer ends the fetcher: a store may never answer. */
static void
deadline(uint64_t ms)
{
	const struct itimerval t = { { 0, 0 },
		{ (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) } };

	(void)setitimer(ITIMER_REAL, &t, NULL);
}

static bool
room(const struct fetcher *x)
{
	struct statvfs st;

	return fstatvfs(x->dirfd, &st) == 0 &&
	       (uint64_t)st.f_bavail * st.f_frsize >
	           2 * (x->window + 1) * x->job->segsize;
}

static int
fetch(struct fetcher *x, const char *name)
{
	struct dr_err ignored = { 0 };
	struct dr_wal_id id;
	char busy[16], *path;
	int rc = -1;

	(void)snprintf(busy, sizeof(busy), "busy.%u", x->me);
	dr_walspool_note(x->dirfd, busy, name);
	deadline(x->job->timeout_ms);
	x->seg.len = 0;
	if ((path = dr_fmt(&ignored, "%s/%s", x->dir, name)) != NULL &&
	    dr_walfetch_id(&x->f, name, &id, &ignored) == 0 &&
	    dr_walfetch_whole(&x->f, &id, &x->seg, &ignored) == 1 &&
	    x->seg.len == x->job->segsize)
		rc = dr_file_put(path, 0600, DR_FILE_REPLACE, x->seg.data,
		    x->seg.len, &ignored);
	deadline(0);
	free(path);
	dr_walspool_note(x->dirfd, busy, "");
	return rc;
}

/* False: it is time to end. */
static bool
look(struct fetcher *x)
{
	char asked[DR_WAL_NAME_MAX];
	int64_t now = dr_monotonic();
	uint64_t n;

	if (!dr_walspool_noted(x->dirfd, "asked", asked))
		return false;
	if (strcmp(asked, x->asked) != 0) {
		if (!number(asked, x->job->segsize, &n))
			return false;
		memcpy(x->asked, asked, sizeof(x->asked));
		x->asked_n = n;
		x->since = now;
		x->again = 0;
		if (x->me == 0)
			sweep(x->dirfd, x);
	}
	return now - x->since < (int64_t)DR_SPOOL_IDLE_S * 1000000;
}

/* The next segment of this fetcher that is not there; false: none. */
static bool
next(const struct fetcher *x, char name[DR_WAL_NAME_MAX])
{
	struct dr_err ignored = { 0 };
	struct dr_wal_file file;
	uint64_t n;

	if (dr_wal_name(x->asked, &file, &ignored) == -1)
		return false;
	for (uint64_t k = 1; k <= x->window; k++) {
		n = x->asked_n + k;
		if (n % x->of != x->me || n > UINT64_MAX / x->job->segsize)
			continue;
		(void)dr_wal_segment_at(file.tli, n * x->job->segsize,
		    (uint32_t)x->job->segsize, name);
		if (faccessat(x->dirfd, name, F_OK, 0) == -1)
			return true;
	}
	return false;
}

static void
run(struct fetcher *x)
{
	struct timespec pause = { 0, 0 };
	char name[DR_WAL_NAME_MAX];
	int64_t now;

	while (look(x)) {
		now = dr_monotonic();
		if (now < x->again || !next(x, name) || !room(x)) {
			pause.tv_nsec =
			    now - x->since < BUSY_US ? BUSY_NS : IDLE_NS;
			(void)nanosleep(&pause, NULL);
			continue;
		}
		if (fetch(x, name) == -1)
			x->again = dr_monotonic() + RETRY_US;
	}
}

/*
 * Leave everything of the server's: its session, its descriptors (it waits
 * for whoever holds them), its directory.  Descriptors of our own are all
 * close-on-exec; those that came through execve(2) are not.
 */
static void
detach(void)
{
	static const int fatal[] = { SIGHUP, SIGINT, SIGTERM, SIGALRM };
	struct sigaction sa;
	struct dirent *e;
	int fd, flags;
	DIR *d;

	(void)setsid();
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = leave;
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(*fatal); i++)
		(void)sigaction(fatal[i], &sa, NULL);
	if ((fd = open("/dev/null", O_RDWR)) == -1)
		_exit(0);
	for (int i = 0; i < 3; i++)
		(void)dup2(fd, i);
	if (fd > 2)
		close(fd);
	if ((d = opendir("/proc/self/fd")) == NULL)
		_exit(0);
	while ((e = readdir(d)) != NULL) {
		fd = (int)strtol(e->d_name, NULL, 10);
		if (fd > 2 && (flags = fcntl(fd, F_GETFD)) != -1 &&
		    (flags & FD_CLOEXEC) == 0)
			close(fd);
	}
	closedir(d);
}

static void
fetchers(const struct dr_walspool_job *job)
{
	struct fetcher x = { .job = job, .f = job->fetch, .of = 1 };
	char *dir = realpath(job->dir, NULL);
	struct dr_err ignored = { 0 };

	x.window = window_of(job->segsize);
	x.seg.max = job->segsize;
	x.f.quiet = true;
	x.f.asking = NULL;
	x.f.n = 0;
	x.dir = dir;
	/* What relative paths name is opened before the directory is left. */
	if (dir == NULL || (x.dirfd = dr_walspool_open(job->dir)) == -1 ||
	    job->ready(job->arg, &x.f, &ignored) == -1 ||
	    dr_walfetch_open(&x.f, job->stores, job->nstores, &ignored) == -1 ||
	    chdir("/") == -1)
		_exit(0);
	sweep_others(dir);
	x.of = fetchers_of(job->segsize);
	for (unsigned i = 1; i < x.of; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			x.me = i;
			run(&x);
			_exit(0);
		}
		if (pid == -1)
			break; /* its segments are fetched when asked for */
	}
	run(&x);
	while (wait(NULL) != -1 || errno == EINTR)
		continue;
	sweep(x.dirfd, NULL);
	_exit(0);
}

int
dr_walspool_start(const struct dr_walspool_job *job, struct dr_err *err)
{
	char *lock;
	int fd, dirfd;
	pid_t pid;

	if (job->segsize > DR_SPOOL_BYTES)
		return 0;
	if (dr_mkdirs(job->dir, 0700, err) == -1 ||
	    (lock = dr_fmt(err, "%s/lock", job->dir)) == NULL)
		return -1;
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1) {
		dr_err_sys(err, "cannot open \"%s\"", lock);
		free(lock);
		return -1;
	}
	free(lock);
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		close(fd); /* they run */
		return 0;
	}
	/* A first segment is not asked of a spool that is not there. */
	if ((dirfd = dr_walspool_open(job->dir)) != -1) {
		dr_walspool_note(dirfd, "asked", job->segment);
		close(dirfd);
	}
	if ((pid = fork()) == 0) {
		detach();
		fetchers(job);
	}
	close(fd);
	if (pid == -1)
		return dr_err_sys(err, "cannot start a process");
	return 0;
}
