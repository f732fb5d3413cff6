#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/msg.h"
#include "base/tty.h"
#include "flow/extents.h"
#include "flow/restore_engine.h"

#define WORKERS_MAX 16
#define BATCH       4U         /* frames in one job, at most */
#define BATCH_BYTES (2U << 20) /* and so many packed bytes, if more than one */
#define PROOF_STEP  (512U << 10) /* hashed between two looks at the queue */
#define MAP_MAX     (1U << 20)   /* of a tablespace_map */

/* A piece of a file that lies in one frame. */
struct seg {
	struct dr_wfile *file;
	uint64_t off;     /* in the file */
	uint32_t at, len; /* in the frame */
	uint32_t frame;   /* of the job's */
};

/* Frames that follow each other in the body, and what to do with them. */
struct job {
	const struct dr_frame *frame;
	unsigned n;
	struct seg *seg;
	size_t nseg, cap;
};

struct pool {
	struct dr_blob *packed;
	pthread_mutex_t lock;
	pthread_cond_t more, room;
	struct job job[2 * WORKERS_MAX];
	unsigned slots, head, count; /* a ring */
	bool closed;
	atomic_bool failed;
	_Atomic uint64_t done; /* raw bytes */
	struct worker {
		pthread_t thread;
		struct pool *pool;
		struct dr_err err;
	} worker[WORKERS_MAX];
	int workers;
};

/* --- workers -------------------------------------------------------------- */

struct buffers {
	unsigned char *packed, *raw;
	size_t packed_cap, raw_cap;
};

static int
grow(unsigned char **p, size_t *cap, size_t need, struct dr_err *err)
{
	if (need <= *cap)
		return 0;
	free(*p);
	*cap = 0;
	if ((*p = malloc(need)) == NULL)
		return dr_err_sys(err, "cannot allocate a frame");
	*cap = need;
	return 0;
}

static int
run(struct pool *pool, const struct job *job, struct dr_unframe *unframe,
    struct buffers *b, struct dr_err *err)
{
	const struct dr_frame *last = &job->frame[job->n - 1];
	uint64_t at = job->frame[0].at;
	size_t size = (size_t)(last->at + last->size - at), s = 0;

	if (grow(&b->packed, &b->packed_cap, size, err) == -1 ||
	    dr_blob_pread(pool->packed, b->packed, size, at, err) == -1)
		return -1;
	for (unsigned i = 0; i < job->n; i++) {
		const struct dr_frame *f = &job->frame[i];

		if (grow(&b->raw, &b->raw_cap, f->raw_size, err) == -1 ||
		    dr_unframe(unframe, b->packed + (f->at - at), f->size,
		        b->raw, f->raw_size, err) == -1)
			return -1;
		for (; s < job->nseg && job->seg[s].frame == i; s++) {
			const struct seg *g = &job->seg[s];

			if (dr_wfile_put(g->file, b->raw + g->at, g->len,
			        g->off, err) == -1)
				return -1;
		}
		pool->done += f->raw_size;
	}
	return 0;
}

static bool
take(struct pool *pool, struct job *job)
{
	bool got = false;

	pthread_mutex_lock(&pool->lock);
	while (pool->count == 0 && !pool->closed)
		pthread_cond_wait(&pool->more, &pool->lock);
	if (pool->count > 0 && !pool->failed) {
		*job = pool->job[pool->head];
		memset(&pool->job[pool->head], 0, sizeof(*job));
		pool->head = (pool->head + 1) % pool->slots;
		pool->count--;
		pthread_cond_signal(&pool->room);
		got = true;
	}
	pthread_mutex_unlock(&pool->lock);
	return got;
}

static void *
work(void *arg)
{
	struct worker *me = arg;
	struct pool *pool = me->pool;
	struct dr_unframe *unframe;
	struct buffers b = { NULL, NULL, 0, 0 };
	struct job job;

	unframe = dr_unframe_new(&me->err);
	while (unframe != NULL && take(pool, &job)) {
		int rc = run(pool, &job, unframe, &b, &me->err);

		free(job.seg);
		if (rc == -1)
			break;
	}
	if (me->err.cause != DR_OK) {
		pthread_mutex_lock(&pool->lock);
		pool->failed = true;
		pthread_cond_broadcast(&pool->more);
		pthread_cond_broadcast(&pool->room);
		pthread_mutex_unlock(&pool->lock);
	}
	dr_unframe_free(unframe);
	free(b.packed);
	free(b.raw);
	return NULL;
}

static int
start(struct pool *pool, int workers, struct dr_err *err)
{
	sigset_t all, old;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (pool->workers < workers && rc == 0) {
		struct worker *w = &pool->worker[pool->workers];

		w->pool = pool;
		if ((rc = pthread_create(&w->thread, NULL, work, w)) == 0)
			pool->workers++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pool->workers == 0)
		return dr_err_set(err, DR_EFAIL, "cannot start a thread: %s",
		    strerror(rc));
	return 0;
}

/* Let the workers finish what is queued, or, with DROP, leave it. */
static int
stop(struct pool *pool, bool drop, struct dr_err *err)
{
	int rc = 0;

	pthread_mutex_lock(&pool->lock);
	pool->closed = true;
	if (drop)
		pool->failed = true;
	pthread_cond_broadcast(&pool->more);
	pthread_mutex_unlock(&pool->lock);
	for (int i = 0; i < pool->workers; i++)
		pthread_join(pool->worker[i].thread, NULL);
	for (int i = 0; i < pool->workers; i++) {
		const struct dr_err *e = &pool->worker[i].err;

		if (e->cause == DR_OK)
			continue;
		rc = dr_err_set(err, e->cause, "%s", e->msg);
		if (e->hint[0] != '\0')
			dr_err_hint(err, "%s", e->hint);
	}
	for (unsigned i = 0; i < pool->slots; i++)
		free(pool->job[i].seg);
	return rc;
}

/* --- planning ------------------------------------------------------------- */

struct plan {
	const struct dr_frames *frames;
	struct dr_extents *extents;
	struct dr_writer *writer;
	size_t next; /* frame */
	struct dr_extent cur;
	struct dr_wfile *file; /* of cur; NULL: nothing to write */
	bool have, named, ended;
};

static int
add(struct job *job, const struct seg *seg, struct dr_err *err)
{
	if (job->nseg == job->cap) {
		size_t cap = job->cap == 0 ? 16 : job->cap * 2;
		struct seg *p = reallocarray(job->seg, cap, sizeof(*p));

		if (p == NULL)
			return dr_err_sys(err, "cannot plan a frame");
		job->seg = p;
		job->cap = cap;
	}
	job->seg[job->nseg++] = *seg;
	return 0;
}

/* Cur is reached: a directory is made, a file gets a writer. */
static int
name(struct plan *p, struct dr_err *err)
{
	struct dr_writer_member m = { .type = p->cur.type,
		.path = p->cur.path,
		.size = p->cur.size,
		.check = true,
		.crc = p->cur.crc };

	p->named = true;
	return dr_writer_member(p->writer, &m, &p->file, err);
}

/* What of the members lies in frame I of JOB. */
static int
plan_frame(struct plan *p, struct job *job, unsigned i, struct dr_err *err)
{
	const struct dr_frame *f = &job->frame[i];
	uint64_t from = f->raw_at, to = f->raw_at + f->raw_size, lo, hi;
	int rc;

	for (;;) {
		if (!p->have && !p->ended) {
			rc = dr_extents_next(p->extents, &p->cur, err);
			if (rc == -1)
				return -1;
			p->have = rc == 1;
			p->ended = rc == 0;
			p->named = false;
		}
		if (p->ended || p->cur.offset >= to)
			return 0;
		if (!p->named && name(p, err) == -1)
			return -1;
		lo = p->cur.data > from ? p->cur.data : from;
		hi = p->cur.data + p->cur.size;
		if (hi > to)
			hi = to;
		if (p->file != NULL && (hi > lo || p->cur.size == 0)) {
			struct seg seg = { p->file, 0, 0, 0, i };

			if (p->cur.size > 0) {
				seg.off = lo - p->cur.data;
				seg.at = (uint32_t)(lo - from);
				seg.len = (uint32_t)(hi - lo);
			}
			if (add(job, &seg, err) == -1)
				return -1;
			if (p->cur.size == 0)
				p->file = NULL;
		}
		if (p->cur.size > 0 && p->cur.data + p->cur.size > to)
			return 0;
		p->have = false;
	}
}

/* The next few frames: 1 and *JOB, 0 at the end, -1. */
static int
plan_job(struct plan *p, struct job *job, struct dr_err *err)
{
	const struct dr_frame *v = p->frames->v;
	uint64_t size = 0;

	memset(job, 0, sizeof(*job));
	if (p->next == p->frames->n)
		return 0;
	job->frame = &v[p->next];
	do {
		if (plan_frame(p, job, job->n, err) == -1) {
			free(job->seg);
			return -1;
		}
		size += v[p->next].size;
		job->n++;
		p->next++;
	} while (job->n < BATCH && p->next < p->frames->n &&
	         size + v[p->next].size <= BATCH_BYTES &&
	         v[p->next].at == v[p->next - 1].at + v[p->next - 1].size);
	return 1;
}

static bool
has_room(struct pool *pool)
{
	bool room;

	pthread_mutex_lock(&pool->lock);
	room = pool->count < pool->slots;
	pthread_mutex_unlock(&pool->lock);
	return room;
}

static void
give(struct pool *pool, const struct job *job)
{
	pthread_mutex_lock(&pool->lock);
	pool->job[(pool->head + pool->count++) % pool->slots] = *job;
	pthread_cond_signal(&pool->more);
	pthread_mutex_unlock(&pool->lock);
}

/* Until there is room, a worker failed, or a fifth of a second passed. */
static void
wait_room(struct pool *pool)
{
	struct timespec till;

	clock_gettime(CLOCK_REALTIME, &till);
	till.tv_nsec += 200000000;
	if (till.tv_nsec >= 1000000000) {
		till.tv_sec++;
		till.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&pool->lock);
	if (pool->count == pool->slots && !pool->failed)
		pthread_cond_timedwait(&pool->room, &pool->lock, &till);
	pthread_mutex_unlock(&pool->lock);
}

/*
 * Keep the queue full; between, take the next bytes of the proof.  Ends when
 * all is queued and proved.
 */
static int
drive(struct pool *pool, struct plan *plan, struct dr_source *proof, void *buf,
    struct dr_err *err)
{
	bool planned = false, proved = false;
	struct job job;
	ssize_t n;
	int rc;

	while (!planned || !proved) {
		if (pool->failed || dr_check_stop(err) == -1)
			return -1;
		dr_progress(pool->done);
		if (!planned && has_room(pool)) {
			if ((rc = plan_job(plan, &job, err)) == -1)
				return -1;
			planned = rc == 0;
			if (rc == 1)
				give(pool, &job);
		} else if (!proved) {
			if ((n = dr_source_read(proof, buf, PROOF_STEP, err)) ==
			    -1)
				return -1;
			proved = n == 0;
		} else {
			wait_room(pool);
		}
	}
	return 0;
}

int
dr_restore_frames(struct dr_blob *packed, const struct dr_frames *frames,
    struct dr_source *proof, struct dr_writer *writer, int workers,
    struct dr_err *err)
{
	struct plan plan = { .frames = frames, .writer = writer };
	struct pool *pool;
	void *buf;
	int rc = -1;

	if (workers > WORKERS_MAX)
		workers = WORKERS_MAX;
	pool = calloc(1, sizeof(*pool));
	buf = malloc(PROOF_STEP);
	if (pool == NULL || buf == NULL) {
		dr_err_sys(err, "cannot allocate the workers");
		goto out;
	}
	pool->packed = packed;
	pool->slots = 2 * (unsigned)workers;
	if (pthread_mutex_init(&pool->lock, NULL) != 0 ||
	    pthread_cond_init(&pool->more, NULL) != 0 ||
	    pthread_cond_init(&pool->room, NULL) != 0) {
		dr_err_set(err, DR_EFAIL, "cannot make a lock");
		goto out;
	}
	if ((plan.extents = dr_extents_new(packed, frames, err)) == NULL ||
	    start(pool, workers, err) == -1)
		goto out;
	rc = drive(pool, &plan, proof, buf, err);
	/* A worker's own words, where there are any, say more. */
	if (stop(pool, rc == -1, err) == -1)
		rc = -1;
	if (rc == 0)
		rc = dr_writer_complete(writer, err);
	dr_progress(pool->done);

out:
	dr_extents_free(plan.extents);
	free(pool);
	free(buf);
	return rc;
}

int
dr_restore_scan(struct dr_blob *packed, const struct dr_frames *frames,
    struct dr_place *place, struct dr_err *err)
{
	struct dr_extents *x;
	struct dr_extent e, map = { .size = 0 };
	char *text = NULL;
	int rc;

	if ((x = dr_extents_new(packed, frames, err)) == NULL)
		return -1;
	while ((rc = dr_extents_next(x, &e, err)) == 1) {
		struct dr_writer_member m = { .type = e.type, .path = e.path };

		if ((rc = dr_writer_allows(&m, err)) == -1)
			break;
		if (e.type == '0' && strcmp(e.path, "tablespace_map") == 0)
			map = e;
	}
	if (rc == -1)
		goto out;
	rc = -1;
	if (map.size > MAP_MAX) {
		dr_err_set(err, DR_EDATA, "tablespace_map is too large");
		goto out;
	}
	if (map.size > 0) {
		if ((text = malloc((size_t)map.size)) == NULL) {
			dr_err_sys(err, "cannot read tablespace_map");
			goto out;
		}
		if (dr_frames_pread(packed, frames, text, (size_t)map.size,
		        map.data, err) == -1 ||
		    dr_place_map(place, text, (size_t)map.size, err) == -1)
			goto out;
	}
	rc = dr_place_moves_used(place, err);

out:
	free(text);
	dr_extents_free(x);
	return rc;
}
