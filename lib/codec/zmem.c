#include "codec/zmem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include <zstd.h>

#define WINDOW_LOG 23           /* what a reader may have to hold */
#define UNTOLD     (256U << 10) /* room where a frame does not say its size */

struct piece {
	void *out;
	size_t len;
	bool done;
};

struct dr_zmem {
	const char *data;
	size_t len;
	int level;
	pthread_mutex_t lock;
	pthread_cond_t ready; /* a piece is done */
	pthread_cond_t more;  /* there is more to do */
	size_t fed;           /* bytes at data */
	struct dr_err err;    /* the first failure of any thread */
	bool quit;
	struct piece *piece;
	size_t pieces, begun;
	pthread_t *thread;
	size_t threads;
};

static ZSTD_CCtx *
context(int level, struct dr_err *err)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();

	if (c == NULL) {
		dr_err_sys(err, "cannot allocate a compressor");
		return NULL;
	}
	if (ZSTD_isError(
	        ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1))) {
		dr_err_set(err, DR_EFAIL, "cannot set up zstd");
		ZSTD_freeCCtx(c);
		return NULL;
	}
	return c;
}

static int
compress(const struct dr_zmem *z, ZSTD_CCtx *c, size_t i, struct piece *p,
    struct dr_err *err)
{
	size_t at = i * DR_ZMEM_FRAME, n = z->len - at, cap, rc;

	if (n > DR_ZMEM_FRAME)
		n = DR_ZMEM_FRAME;
	cap = ZSTD_compressBound(n);
	if ((p->out = malloc(cap)) == NULL)
		return dr_err_sys(err, "cannot allocate %zu bytes", cap);
	rc = ZSTD_compress2(c, p->out, cap, z->data + at, n);
	if (ZSTD_isError(rc))
		return dr_err_set(err, DR_EFAIL, "cannot compress: %s",
		    ZSTD_getErrorName(rc));
	p->len = rc;
	return 0;
}

/* Is piece I there?  With the lock held. */
static bool
there(const struct dr_zmem *z, size_t i)
{
	return z->fed == z->len || (i + 1) * DR_ZMEM_FRAME <= z->fed;
}

/*
 * Take the next piece and compress it; called and left with the lock held.
 * False: nothing is left to take.
 */
static bool
take_one(struct dr_zmem *z, ZSTD_CCtx *c)
{
	struct dr_err err = { 0 };
	struct piece p = { NULL, 0, true };
	size_t i;

	while (!z->quit && z->begun < z->pieces && !there(z, z->begun))
		pthread_cond_wait(&z->more, &z->lock);
	if (z->quit || z->begun == z->pieces)
		return false;
	i = z->begun++;
	pthread_mutex_unlock(&z->lock);
	(void)compress(z, c, i, &p, &err);
	pthread_mutex_lock(&z->lock);
	z->piece[i] = p;
	if (err.cause != DR_OK && z->err.cause == DR_OK)
		z->err = err;
	pthread_cond_signal(&z->ready);
	return true;
}

static void *
run(void *arg)
{
	struct dr_zmem *z = arg;
	struct dr_err err = { 0 };
	ZSTD_CCtx *c = context(z->level, &err);

	/* Without a context the others do this one's share. */
	pthread_mutex_lock(&z->lock);
	while (c != NULL && take_one(z, c))
		;
	pthread_mutex_unlock(&z->lock);
	ZSTD_freeCCtx(c);
	return NULL;
}

static int
start(struct dr_zmem *z, size_t workers, struct dr_err *err)
{
	sigset_t all, old;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (rc == 0 && z->threads < workers)
		if ((rc = pthread_create(&z->thread[z->threads], NULL, run,
		         z)) == 0)
			z->threads++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = rc;
	return rc == 0 ? 0 : dr_err_sys(err, "cannot start a thread");
}

struct dr_zmem *
dr_zmem_start(const void *data, size_t len, int level, int workers,
    struct dr_err *err)
{
	size_t want = workers > 0 ? (size_t)workers : 0;
	struct dr_zmem *z;

	if ((z = calloc(1, sizeof(*z))) == NULL) {
		dr_err_sys(err, "cannot allocate a compressor");
		return NULL;
	}
	pthread_mutex_init(&z->lock, NULL);
	pthread_cond_init(&z->ready, NULL);
	pthread_cond_init(&z->more, NULL);
	z->data = data;
	z->len = len;
	z->level = level;
	z->pieces = len / DR_ZMEM_FRAME + (len % DR_ZMEM_FRAME != 0);
	if (z->pieces == 0)
		z->pieces = 1; /* an empty frame */
	/* One piece is sooner done than a thread has started. */
	if (want >= z->pieces)
		want = z->pieces - 1;
	if ((z->piece = calloc(z->pieces, sizeof(*z->piece))) == NULL ||
	    (z->thread = calloc(want + 1, sizeof(*z->thread))) == NULL) {
		dr_err_sys(err, "cannot allocate a compressor");
		goto fail;
	}
	if (start(z, want, err) == -1)
		goto fail;
	return z;

fail:
	dr_zmem_free(z);
	return NULL;
}

void
dr_zmem_fed(struct dr_zmem *z, size_t n)
{
	pthread_mutex_lock(&z->lock);
	z->fed = n;
	pthread_cond_broadcast(&z->more);
	pthread_mutex_unlock(&z->lock);
}

/* Wait for piece I, compressing others meanwhile. */
static int
wait_for(struct dr_zmem *z, ZSTD_CCtx *c, size_t i, struct dr_err *err)
{
	int rc = 0;

	pthread_mutex_lock(&z->lock);
	while (!z->piece[i].done && z->err.cause == DR_OK)
		if (!take_one(z, c))
			pthread_cond_wait(&z->ready, &z->lock);
	if (z->err.cause != DR_OK)
		rc = dr_err_set(err, z->err.cause, "%s", z->err.msg);
	pthread_mutex_unlock(&z->lock);
	return rc;
}

int
dr_zmem_write(struct dr_zmem *z, struct dr_sink *out, struct dr_err *err)
{
	ZSTD_CCtx *c;
	int rc = 0;

	if ((c = context(z->level, err)) == NULL)
		return -1;
	for (size_t i = 0; i < z->pieces && rc == 0; i++) {
		if ((rc = wait_for(z, c, i, err)) == 0)
			rc = dr_sink_write(out, z->piece[i].out,
			    z->piece[i].len, err);
		free(z->piece[i].out);
		z->piece[i].out = NULL;
	}
	ZSTD_freeCCtx(c);
	return rc;
}

void
dr_zmem_free(struct dr_zmem *z)
{
	if (z == NULL)
		return;
	pthread_mutex_lock(&z->lock);
	z->quit = true;
	pthread_cond_broadcast(&z->more);
	pthread_mutex_unlock(&z->lock);
	for (size_t i = 0; i < z->threads; i++)
		pthread_join(z->thread[i], NULL);
	for (size_t i = 0; z->piece != NULL && i < z->pieces; i++)
		free(z->piece[i].out);
	free(z->piece);
	free(z->thread);
	pthread_cond_destroy(&z->ready);
	pthread_cond_destroy(&z->more);
	pthread_mutex_destroy(&z->lock);
	free(z);
}

/* --- reading ------------------------------------------------------------- */

/* How much room the frame at IN wants. */
static size_t
room_for(const ZSTD_inBuffer *in, size_t left)
{
	unsigned long long n =
	    ZSTD_getFrameContentSize((const char *)in->src + in->pos,
	        in->size - in->pos);

	if (n == ZSTD_CONTENTSIZE_UNKNOWN || n == ZSTD_CONTENTSIZE_ERROR)
		n = UNTOLD;
	return n < left ? (size_t)n : left;
}

int
dr_zmem_read(const void *data, size_t len, size_t max, struct dr_buf *out,
    int (*each)(void *, const void *, size_t, struct dr_err *), void *arg,
    struct dr_err *err)
{
	ZSTD_inBuffer in = { data, len, 0 };
	ZSTD_outBuffer to;
	ZSTD_DCtx *d;
	size_t left = 1, room = 0, got = 1;
	char over;
	int rc = -1;

	if ((d = ZSTD_createDCtx()) == NULL)
		return dr_err_sys(err, "cannot allocate a decompressor");
	if (ZSTD_isError(
	        ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, WINDOW_LOG))) {
		dr_err_set(err, DR_EFAIL, "cannot set up zstd");
		goto out;
	}
	/* LEFT is 0 between frames: there the input may end. */
	for (bool between = true; in.pos < in.size || left != 0;
	     between = left == 0) {
		size_t before = in.pos;

		if (between)
			room = room_for(&in, max - out->len);
		else if (room == 0)
			room =
			    max - out->len < UNTOLD ? max - out->len : UNTOLD;
		if (dr_buf_room(out, room, err) == -1)
			goto out;
		/* Where nothing more may come, zstd may still end a frame. */
		to.dst = room > 0 ? out->data + out->len : &over;
		to.size = room > 0 ? room : sizeof(over);
		to.pos = 0;
		left = ZSTD_decompressStream(d, &to, &in);
		if (ZSTD_isError(left)) {
			dr_err_set(err, DR_EDATA,
			    "the zstd stream is damaged: %s",
			    ZSTD_getErrorName(left));
			goto out;
		}
		got = to.pos;
		if (room == 0 && got > 0) {
			dr_err_set(err, DR_EDATA,
			    "it holds more than the %zu bytes that its name "
			    "allows",
			    max);
			goto out;
		}
		if (got == 0 && in.pos == before && left != 0) {
			dr_err_set(err, DR_EDATA,
			    "the zstd stream is truncated");
			goto out;
		}
		if (got > 0 && each != NULL &&
		    each(arg, to.dst, got, err) == -1)
			goto out;
		out->len += got;
		room -= got;
	}
	if ((rc = dr_buf_room(out, 0, err)) == 0)
		out->data[out->len] = '\0';

out:
	ZSTD_freeDCtx(d);
	return rc;
}
