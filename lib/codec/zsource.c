#include <stdlib.h>

#include <zstd.h>

#include "codec/table.h"

struct zsource {
	struct dr_source source;
	ZSTD_DCtx *dctx;
	bool single, begun, between; /* between frames: input may end here */
	bool ended;                  /* of next */
	size_t at, have, cap;        /* in buf */
	unsigned char *buf;
};

/* The input is used up: was it whole? */
static ssize_t
at_end(const struct zsource *z, struct dr_err *err)
{
	if (z->begun && z->between)
		return 0;
	return dr_err_set(err, DR_EDATA, "the zstd stream is truncated");
}

static int
more(struct zsource *z, struct dr_err *err)
{
	ssize_t n;

	if (z->at < z->have || z->ended)
		return 0;
	if ((n = dr_source_read(z->source.next, z->buf, z->cap, err)) == -1)
		return -1;
	z->at = 0;
	z->have = (size_t)n;
	z->ended = n == 0;
	return 0;
}

static ssize_t
zsource_read(struct dr_source *source, void *buf, size_t len,
    struct dr_err *err)
{
	struct zsource *z = (struct zsource *)source;
	ZSTD_outBuffer out = { buf, len, 0 };
	size_t rc;

	while (out.pos == 0) {
		if (more(z, err) == -1)
			return -1;
		if (z->ended && z->between)
			return at_end(z, err);
		if (z->begun && z->between && z->single)
			return dr_err_set(err, DR_EDATA,
			    "bytes after the zstd frame");

		/* With no input left this flushes what zstd holds. */
		ZSTD_inBuffer in = { z->buf, z->have, z->at };
		size_t before = in.pos;

		rc = ZSTD_decompressStream(z->dctx, &out, &in);
		if (ZSTD_isError(rc))
			return dr_err_set(err, DR_EDATA,
			    "the zstd stream is damaged: %s",
			    ZSTD_getErrorName(rc));
		z->at = in.pos;
		z->begun = true;
		z->between = rc == 0;
		if (z->ended && out.pos == 0 && in.pos == before && rc != 0)
			return at_end(z, err);
	}
	return (ssize_t)out.pos;
}

static void
zsource_free(struct dr_source *source)
{
	struct zsource *z = (struct zsource *)source;

	ZSTD_freeDCtx(z->dctx);
	free(z->buf);
	free(z);
}

static const struct dr_source_ops zsource_ops = {
	.read = zsource_read,
	.free = zsource_free,
};

struct dr_source *
dr_zsource_new(struct dr_source *next, int window_log, bool single,
    struct dr_err *err)
{
	struct zsource *z;

	if ((z = calloc(1, sizeof(*z))) == NULL)
		goto memory;
	z->source.ops = &zsource_ops;
	z->single = single;
	z->between = true;
	z->cap = ZSTD_DStreamInSize();
	if ((z->buf = malloc(z->cap)) == NULL ||
	    (z->dctx = ZSTD_createDCtx()) == NULL)
		goto memory;
	if (ZSTD_isError(ZSTD_DCtx_setParameter(z->dctx, ZSTD_d_windowLogMax,
	        window_log))) {
		dr_err_set(err, DR_EFAIL, "cannot set up zstd");
		zsource_free(&z->source);
		return NULL;
	}
	z->source.next = next;
	return &z->source;

memory:
	dr_err_sys(err, "cannot allocate a decompressor");
	if (z != NULL)
		zsource_free(&z->source);
	return NULL;
}
