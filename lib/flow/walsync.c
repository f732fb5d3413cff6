#include "flow/walsync.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct dr_walsync {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t change;
	pid_t owner; /* of the thread; 0: there is none */
	int fd;      /* to be made durable; -1 */
	int error;   /* what came of it */
	bool stop;
};

static void *
run(void *arg)
{
	struct dr_walsync *w = arg;
	int error;

	(void)pthread_mutex_lock(&w->lock);
	for (;;) {
		while (w->fd == -1 && !w->stop)
			(void)pthread_cond_wait(&w->change, &w->lock);
		if (w->fd == -1)
			break;
		(void)pthread_mutex_unlock(&w->lock);
		error = fdatasync(w->fd) == -1 ? errno : 0;
		(void)pthread_mutex_lock(&w->lock);
		w->error = error;
		w->fd = -1;
		(void)pthread_cond_broadcast(&w->change);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct dr_walsync *
dr_walsync_new(void)
{
	struct dr_walsync *w = calloc(1, sizeof(*w));

	if (w != NULL)
		w->fd = -1;
	return w;
}

/* A thread does not live on in a process that is forked off. */
static bool
started(struct dr_walsync *w)
{
	sigset_t all, before;
	int rc;

	if (w->owner == getpid())
		return true;
	w->owner = 0;
	w->fd = -1;
	if (pthread_mutex_init(&w->lock, NULL) != 0)
		return false;
	if (pthread_cond_init(&w->change, NULL) != 0)
		goto fail;
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&w->thread, NULL, run, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0) {
		w->owner = getpid();
		return true;
	}
	(void)pthread_cond_destroy(&w->change);

fail:
	(void)pthread_mutex_destroy(&w->lock);
	return false;
}

void
dr_walsync_ask(struct dr_walsync *w, int fd)
{
	if (!started(w)) {
		w->error = fdatasync(fd) == -1 ? errno : 0;
		return;
	}
	(void)pthread_mutex_lock(&w->lock);
	w->fd = fd;
	w->error = 0;
	(void)pthread_cond_broadcast(&w->change);
	(void)pthread_mutex_unlock(&w->lock);
}

int
dr_walsync_wait(struct dr_walsync *w)
{
	int error;

	if (w->owner != getpid())
		error = w->error;
	else {
		(void)pthread_mutex_lock(&w->lock);
		while (w->fd != -1)
			(void)pthread_cond_wait(&w->change, &w->lock);
		error = w->error;
		(void)pthread_mutex_unlock(&w->lock);
	}
	errno = error;
	return error == 0 ? 0 : -1;
}

void
dr_walsync_free(struct dr_walsync *w)
{
	if (w == NULL)
		return;
	if (w->owner == getpid()) {
		(void)pthread_mutex_lock(&w->lock);
		w->stop = true;
		(void)pthread_cond_broadcast(&w->change);
		(void)pthread_mutex_unlock(&w->lock);
		(void)pthread_join(w->thread, NULL);
		(void)pthread_cond_destroy(&w->change);
		(void)pthread_mutex_destroy(&w->lock);
	}
	free(w);
}
