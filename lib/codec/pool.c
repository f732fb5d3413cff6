#include "codec/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct worker {
	struct dr_pool *pool;
	void *ctx;
	pthread_t thread;
	bool running;
};

struct dr_pool {
	const struct dr_pool_ops *ops;
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	bool quit;
	/* Counts since the start; a slot's number is its count % nslots. */
	uint64_t submitted, begun, released;
	size_t nslots, nworkers;
	struct dr_slot *slots;
	struct worker *workers;
};

int
dr_slot_room(unsigned char **buf, size_t *cap, size_t n, struct dr_err *err)
{
	unsigned char *p;

	if (n <= *cap)
		return 0;
	if ((p = realloc(*buf, n)) == NULL)
		return dr_err_sys(err, "cannot allocate %zu bytes", n);
	*buf = p;
	*cap = n;
	return 0;
}

static void *
run(void *arg)
{
	struct worker *w = arg;
	struct dr_pool *p = w->pool;
	struct dr_slot *slot;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->quit && p->begun == p->submitted)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->quit)
			break;
		slot = &p->slots[p->begun++ % p->nslots];
		pthread_mutex_unlock(&p->lock);
		p->ops->work(w->ctx, slot, &slot->err);
		pthread_mutex_lock(&p->lock);
		slot->done = true;
		pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Start the threads; they inherit a mask that blocks every signal. */
static int
start(struct dr_pool *p, struct dr_err *err)
{
	sigset_t all, old;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (size_t i = 0; i < p->nworkers && rc == 0; i++) {
		p->workers[i].pool = p;
		rc = pthread_create(&p->workers[i].thread, NULL, run,
		    &p->workers[i]);
		p->workers[i].running = rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0) {
		errno = rc;
		return dr_err_sys(err, "cannot start a thread");
	}
	return 0;
}

struct dr_pool *
dr_pool_new(int workers, const struct dr_pool_ops *ops, void *arg,
    struct dr_err *err)
{
	struct dr_pool *p;

	if ((p = calloc(1, sizeof(*p))) == NULL) {
		dr_err_sys(err, "cannot allocate a pool of threads");
		return NULL;
	}
	p->ops = ops;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->done, NULL);
	p->nworkers = (size_t)workers;
	p->nslots = p->nworkers + 1;
	if ((p->slots = calloc(p->nslots, sizeof(*p->slots))) == NULL ||
	    (p->workers = calloc(p->nworkers, sizeof(*p->workers))) == NULL) {
		dr_err_sys(err, "cannot allocate a pool of threads");
		goto fail;
	}
	for (size_t i = 0; i < p->nworkers; i++)
		if ((p->workers[i].ctx = ops->open(arg, err)) == NULL)
			goto fail;
	if (start(p, err) == -1)
		goto fail;
	return p;

fail:
	dr_pool_free(p);
	return NULL;
}

struct dr_slot *
dr_pool_take(struct dr_pool *p)
{
	struct dr_slot *slot;

	/* Only this thread writes these two counts. */
	if (p->submitted - p->released == p->nslots)
		return NULL;
	slot = &p->slots[p->submitted % p->nslots];
	slot->in_len = slot->out_len = slot->extra = 0;
	slot->done = false;
	dr_err_clear(&slot->err);
	return slot;
}

void
dr_pool_submit(struct dr_pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->submitted++;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
}

struct dr_slot *
dr_pool_oldest(struct dr_pool *p, bool wait)
{
	struct dr_slot *slot;
	bool done;

	if (p->submitted == p->released)
		return NULL;
	slot = &p->slots[p->released % p->nslots];
	pthread_mutex_lock(&p->lock);
	while (wait && !slot->done)
		pthread_cond_wait(&p->done, &p->lock);
	done = slot->done;
	pthread_mutex_unlock(&p->lock);
	return done ? slot : NULL;
}

void
dr_pool_release(struct dr_pool *p)
{
	p->released++;
}

void
dr_pool_free(struct dr_pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; p->workers != NULL && i < p->nworkers; i++) {
		if (p->workers[i].running)
			pthread_join(p->workers[i].thread, NULL);
		if (p->workers[i].ctx != NULL)
			p->ops->close(p->workers[i].ctx);
	}
	for (size_t i = 0; p->slots != NULL && i < p->nslots; i++) {
		free(p->slots[i].in);
		free(p->slots[i].out);
	}
	free(p->slots);
	free(p->workers);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
