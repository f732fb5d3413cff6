/*
 * What waits behind the file that was asked for.  To store a segment is to
 * hash and compress, and then to wait for disks and stores: two processes,
 * each with every other one that waits, keep two processors busy.
 */
#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/walpush_int.h"

#define BATCH_FILES 64U
#define BATCH_USEC  INT64_C(10000000)
#define TWO_MAX     (64U << 20) /* each has two files of that size in memory */

/* What was stored; without a name: a failure follows. */
struct stored {
	char name[DR_WAL_NAME_MAX];
	struct stat st;
	bool holds[DR_SHIP_STORES];
};

/* One process's part. */
struct part {
	struct dr_push *p;
	const char *path; /* of the file that was asked for */
	size_t at;        /* in the queue */
	size_t seen;      /* of those behind it, by both */
	size_t me, of;
	pid_t parent; /* of the second process; 0 in the first */
	int tell;     /* what it says */
};

static int
keep(struct dr_push *p, const struct stored *s, struct dr_err *err)
{
	const struct dr_ship_opts *o = &p->o->ship;

	if (dr_ahead_add(p->ahead, s->name, &s->st, o->stores, s->holds,
	        o->nstores, err) == -1)
		return -1;
	p->r->ahead++;
	return 0;
}

static int
put(struct part *t, const char *path, struct dr_walfile *w, struct dr_err *err)
{
	struct dr_ship_result result = { 0 };
	struct stored s;

	if (dr_push_file(t->p, path, w, &result, err) == -1)
		return -1;
	memset(&s, 0, sizeof(s));
	memcpy(s.name, w->id.name, sizeof(s.name));
	s.st = w->st;
	for (size_t i = 0; i < t->p->o->ship.nstores; i++)
		s.holds[i] = result.store[i].done;
	if (t->parent != 0)
		return dr_fd_write(t->tell, &s, sizeof(s), "a pipe", err);
	return keep(t->p, &s, err);
}

/* The next of the queue that is this process's; NULL: none. */
static const char *
next(struct part *t)
{
	const struct dr_push *p = t->p;

	for (; t->at < p->waiting && t->seen < BATCH_FILES; t->at++)
		if (strcmp(p->queue[t->at], p->r->name) != 0 &&
		    t->seen++ % t->of == t->me)
			return p->queue[t->at++];
	return NULL;
}

/*
 * Open the next, and begin to compress it: 1, 0 there is none, or it is time
 * to end, -1.
 */
static int
open_next(struct part *t, struct dr_walfile *w, struct dr_err *err)
{
	const char *slash = strrchr(t->path, '/'), *name;
	int rc, dirlen = slash == NULL ? 0 : (int)(slash - t->path + 1);
	char *file;

	if (dr_monotonic() - t->p->began > BATCH_USEC || dr_stopped() != 0 ||
	    (t->parent != 0 && getppid() != t->parent) ||
	    (name = next(t)) == NULL)
		return 0;
	if ((file = dr_fmt(err, "%.*s%s", dirlen, t->path, name)) == NULL)
		return -1;
	rc =
	    dr_walfile_open(w, file, t->p->o->ship.set, dr_push_workers(), err);
	free(file);
	return rc == 0 ? 1 : -1;
}

/* Store this part, each file while the one behind it is compressed. */
static int
run(struct part *t, struct dr_err *err)
{
	struct dr_walfile w[2] = { { .len = 0 }, { .len = 0 } };
	struct dr_err later = { 0 };
	int more, rc = 0;
	size_t i = 0;

	more = open_next(t, &w[0], &later);
	while (more == 1 && rc == 0) {
		more = open_next(t, &w[1 - i], &later);
		rc = put(t, t->path, &w[i], err);
		dr_walfile_close(&w[i]);
		i = 1 - i;
	}
	dr_walfile_close(&w[0]);
	dr_walfile_close(&w[1]);
	if (rc == 0 && more == -1) {
		*err = later;
		rc = -1;
	}
	return rc;
}

/* --- the second process ---------------------------------------------------- */

static void
second(struct part *t, pid_t parent)
{
	const struct stored none = { .name = "" };
	struct dr_err err = { 0 }, ignored = { 0 };

	/* Nobody would count what it stores. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	t->parent = parent;
	t->me = 1;
	t->p->ship = NULL; /* its connections are the first one's */
	if (run(t, &err) == -1 &&
	    dr_fd_write(t->tell, &none, sizeof(none), "a pipe", &ignored) == 0)
		(void)dr_fd_write(t->tell, &err, sizeof(err), "a pipe",
		    &ignored);
	dr_ship_free(t->p->ship);
}

static bool
two(const struct dr_push *p)
{
	/* Other kinds of file do not tell how large a segment is. */
	return p->waiting > 2 && strlen(p->r->name) == 24 &&
	       p->r->bytes <= TWO_MAX && sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

/* The pipe that it tells by, or -1: this process does all of it. */
static int
start(struct part *t, pid_t *pid)
{
	pid_t parent = getpid();
	int fd[2];

	if (!two(t->p) || pipe2(fd, O_CLOEXEC) == -1)
		return -1;
	t->of = 2;
	if ((*pid = fork()) == 0) {
		close(fd[0]);
		t->tell = fd[1];
		second(t, parent);
		_exit(0);
	}
	close(fd[1]);
	if (*pid != -1)
		return fd[0];
	t->of = 1;
	close(fd[0]);
	return -1;
}

/* 1, 0 that was all, -1. */
static int
hear(struct dr_push *p, int fd, struct dr_err *err)
{
	struct dr_err theirs;
	struct stored s;
	ssize_t n = dr_fd_fill(fd, &s, sizeof(s), "a pipe", err);

	if (n == -1)
		return -1;
	if (n < (ssize_t)sizeof(s))
		return 0;
	if (s.name[0] != '\0')
		return keep(p, &s, err) == 0 ? 1 : -1;
	n = dr_fd_fill(fd, &theirs, sizeof(theirs), "a pipe", err);
	if (n == (ssize_t)sizeof(theirs) && err->cause == DR_OK)
		*err = theirs;
	return n == -1 ? -1 : 0;
}

/* Take what the second process stored, and its failure. */
static void
join(struct dr_push *p, int fd, pid_t pid, struct dr_err *err)
{
	int rc, status;

	while ((rc = hear(p, fd, err)) == 1)
		continue;
	if (rc == -1) /* it is to stop, too */
		(void)kill(pid, SIGTERM);
	close(fd);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	if (!WIFEXITED(status))
		dr_err_set(err, DR_EFAIL, "a process of it was killed");
}

void
dr_push_batch(struct dr_push *p, const char *path)
{
	struct part t = { .p = p, .path = path, .of = 1, .tell = -1 };
	struct dr_err err = { 0 };
	pid_t pid = -1;
	int fd = start(&t, &pid);

	(void)run(&t, &err);
	if (fd != -1)
		join(p, fd, pid, &err);
	if (err.cause != DR_OK)
		dr_warn("storing what waits behind \"%s\": %s", p->r->name,
		    err.msg);
	dr_err_clear(&err);
	if (p->r->ahead > 0 && dr_ahead_save(p->ahead, &err) == -1)
		dr_warn("%s", err.msg);
}
