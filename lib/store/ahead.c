#include "store/ahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK   (6U << 20)
#define SLOTS   5U
#define THREADS 4U
#define ORDERLY (128U << 10) /* read in order before we read ahead */

/* A block that is wanted, fetched or here. */
struct slot {
	enum { EMPTY, WANTED, FETCHING, READY, FAILED } state;
	uint64_t block;
	unsigned users; /* who copy from it */
	char *mem;
	struct dr_err err;
};

struct ahead {
	struct dr_blob blob;
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	struct slot slot[SLOTS];
	uint64_t last;  /* where the last read ended */
	uint64_t run;   /* bytes read in order up to LAST */
	uint64_t front; /* where those end that are read ahead of */
	bool orderly;   /* there are such */
	bool quit;
	unsigned idle, threads;
	pthread_t thread[THREADS];
};

static size_t
block_len(const struct ahead *a, uint64_t block)
{
	uint64_t left = a->blob.size - block * BLOCK;

	return left < BLOCK ? (size_t)left : BLOCK;
}

/* --- fetching ------------------------------------------------------------------ */

/* The wanted one that is needed first. */
static struct slot *
next_wanted(struct ahead *a)
{
	struct slot *first = NULL;

	for (size_t i = 0; i < SLOTS; i++)
		if (a->slot[i].state == WANTED &&
		    (first == NULL || a->slot[i].block < first->block))
			first = &a->slot[i];
	return first;
}

static void
fetch(struct ahead *a, struct slot *s)
{
	size_t len = block_len(a, s->block);
	int rc = -1;

	s->state = FETCHING;
	dr_err_clear(&s->err);
	pthread_mutex_unlock(&a->lock);
	if (s->mem == NULL && (s->mem = malloc(BLOCK)) == NULL)
		dr_err_sys(&s->err, "cannot allocate a block");
	else
		rc = dr_blob_pread(a->blob.next, s->mem, len, s->block * BLOCK,
		    &s->err);
	pthread_mutex_lock(&a->lock);
	s->state = rc == 0 ? READY : FAILED;
	pthread_cond_broadcast(&a->done);
}

static void *
work(void *arg)
{
	struct ahead *a = arg;
	struct slot *s;

	pthread_mutex_lock(&a->lock);
	while (!a->quit) {
		if ((s = next_wanted(a)) != NULL) {
			fetch(a, s);
			continue;
		}
		a->idle++;
		pthread_cond_wait(&a->work, &a->lock);
		a->idle--;
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* One more thread, with all signals left to others; or none. */
static void
hire(struct ahead *a)
{
	sigset_t all, old;

	if (a->threads == THREADS || a->idle > 0)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	if (pthread_create(&a->thread[a->threads], NULL, work, a) == 0)
		a->threads++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* --- reading ------------------------------------------------------------------- */

static struct slot *
find(struct ahead *a, uint64_t block)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (a->slot[i].state != EMPTY && a->slot[i].block == block)
			return &a->slot[i];
	return NULL;
}

/*
 * One to take for BLOCK: empty, or of a block that lies before FIRST (in
 * use until all that read side by side have passed it).  Or NULL.
 */
static struct slot *
spare(struct ahead *a, uint64_t first)
{
	struct slot *old = NULL;

	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &a->slot[i];

		if (s->state == EMPTY)
			return s;
		if ((s->state == READY || s->state == FAILED ||
		        s->state == WANTED) &&
		    s->users == 0 && s->block < first &&
		    (old == NULL || s->block < old->block))
			old = s;
	}
	return old;
}

static struct slot *
want(struct ahead *a, uint64_t block, uint64_t first)
{
	struct slot *s = find(a, block);

	if (s != NULL || (s = spare(a, first)) == NULL)
		return s;
	s->state = WANTED;
	s->block = block;
	hire(a);
	pthread_cond_signal(&a->work);
	return s;
}

/*
 * Is this one of those that read in order?  FRONT moves with them.  Reads
 * elsewhere in between (of an index, say) change nothing.
 */
static bool
in_order(struct ahead *a, uint64_t off, size_t len)
{
	uint64_t end = off + len;
	bool is;

	a->run = off == a->last ? a->run : 0;
	is = a->orderly && off <= a->front + BLOCK && end + BLOCK > a->front;
	if (!is && a->run >= ORDERLY) {
		a->orderly = is = true;
		a->front = end;
	}
	a->run += len;
	a->last = end;
	if (is && end > a->front)
		a->front = end;
	return is;
}

/* LEN bytes at OFF, all in one block, which was asked for. */
static int
copy(struct ahead *a, struct slot *s, void *buf, size_t len, uint64_t off,
    struct dr_err *err)
{
	int rc = -1;

	s->users++;
	while (s->state == WANTED || s->state == FETCHING) {
		/* No thread could be had: in this one. */
		if (s->state == WANTED && a->threads == 0)
			fetch(a, s);
		else
			pthread_cond_wait(&a->done, &a->lock);
	}
	if (s->state == READY) {
		pthread_mutex_unlock(&a->lock);
		memcpy(buf, s->mem + off % BLOCK, len);
		pthread_mutex_lock(&a->lock);
		rc = 0;
	} else if (err->cause == DR_OK)
		*err = s->err;
	/* The next who asks tries again. */
	if (--s->users == 0 && s->state == FAILED)
		s->state = EMPTY;
	return rc;
}

static int
ahead_pread(struct dr_blob *blob, void *buf, size_t len, uint64_t off,
    struct dr_err *err)
{
	struct ahead *a = (struct ahead *)blob;
	char *to = buf;
	int rc = 0;

	pthread_mutex_lock(&a->lock);
	if (!in_order(a, off, len)) {
		pthread_mutex_unlock(&a->lock);
		return dr_blob_pread(blob->next, buf, len, off, err);
	}
	while (len > 0 && rc == 0) {
		uint64_t block = off / BLOCK, last = (blob->size - 1) / BLOCK;
		size_t n = BLOCK - (size_t)(off % BLOCK);
		struct slot *s;

		if (n > len)
			n = len;
		/* The one before is kept for those who lag a little. */
		if ((s = want(a, block, block > 0 ? block - 1 : 0)) == NULL)
			s = want(a, block, block);
		for (uint64_t b = block + 1; b < block + SLOTS && b <= last;
		     b++)
			if (want(a, b, block > 0 ? block - 1 : 0) == NULL)
				break;
		if (s != NULL)
			rc = copy(a, s, to, n, off, err);
		else {
			pthread_mutex_unlock(&a->lock);
			rc = dr_blob_pread(blob->next, to, n, off, err);
			pthread_mutex_lock(&a->lock);
		}
		to += n;
		off += n;
		len -= n;
	}
	pthread_mutex_unlock(&a->lock);
	return rc;
}

static void
ahead_free(struct dr_blob *blob)
{
	struct ahead *a = (struct ahead *)blob;

	pthread_mutex_lock(&a->lock);
	a->quit = true;
	pthread_cond_broadcast(&a->work);
	pthread_mutex_unlock(&a->lock);
	for (unsigned i = 0; i < a->threads; i++)
		pthread_join(a->thread[i], NULL);
	for (size_t i = 0; i < SLOTS; i++)
		free(a->slot[i].mem);
	pthread_cond_destroy(&a->work);
	pthread_cond_destroy(&a->done);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static const struct dr_blob_ops ahead_ops = { ahead_pread, ahead_free };

struct dr_blob *
dr_blob_ahead(struct dr_blob *next, struct dr_err *err)
{
	struct ahead *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		return NULL;
	}
	a->blob.ops = &ahead_ops;
	a->blob.next = next;
	a->blob.size = next->size;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->work, NULL);
	pthread_cond_init(&a->done, NULL);
	return &a->blob;
}
