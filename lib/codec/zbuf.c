#include <stdlib.h>

#include <zstd.h>

#include "codec/pack.h"

#define WINDOW_LOG 18 /* what readers must hold; text repeats itself nearby */

struct dr_zbuf {
	ZSTD_CCtx *cctx;
	struct dr_buf out;
};

struct dr_zbuf *
dr_zbuf_new(int level, size_t max, struct dr_err *err)
{
	struct dr_zbuf *z;

	if ((z = calloc(1, sizeof(*z))) == NULL ||
	    (z->cctx = ZSTD_createCCtx()) == NULL) {
		dr_err_sys(err, "cannot allocate a compressor");
		free(z);
		return NULL;
	}
	z->out.max = max;
	if (ZSTD_isError(ZSTD_CCtx_setParameter(z->cctx,
	        ZSTD_c_compressionLevel, level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(z->cctx, ZSTD_c_windowLog,
	        WINDOW_LOG)) ||
	    ZSTD_isError(
	        ZSTD_CCtx_setParameter(z->cctx, ZSTD_c_checksumFlag, 1))) {
		dr_err_set(err, DR_EFAIL, "cannot set up zstd");
		dr_zbuf_free(z);
		return NULL;
	}
	return z;
}

void
dr_zbuf_free(struct dr_zbuf *z)
{
	if (z == NULL)
		return;
	ZSTD_freeCCtx(z->cctx);
	dr_buf_free(&z->out);
	free(z);
}

/* Run the compressor once; *LEFT is its count of bytes still to come. */
static int
step(struct dr_zbuf *z, ZSTD_inBuffer *in, ZSTD_EndDirective mode, size_t *left,
    struct dr_err *err)
{
	char buf[4096];
	ZSTD_outBuffer out = { buf, sizeof(buf), 0 };

	*left = ZSTD_compressStream2(z->cctx, &out, in, mode);
	if (ZSTD_isError(*left))
		return dr_err_set(err, DR_EFAIL, "cannot compress: %s",
		    ZSTD_getErrorName(*left));
	if (out.pos == 0)
		return 0;
	return dr_buf_add(&z->out, buf, out.pos, err);
}

int
dr_zbuf_add(struct dr_zbuf *z, const void *buf, size_t len, struct dr_err *err)
{
	ZSTD_inBuffer in = { buf, len, 0 };
	size_t left;

	while (in.pos < in.size)
		if (step(z, &in, ZSTD_e_continue, &left, err) == -1)
			return -1;
	return 0;
}

int
dr_zbuf_end(struct dr_zbuf *z, struct dr_buf *out, struct dr_err *err)
{
	ZSTD_inBuffer none = { NULL, 0, 0 };
	struct dr_buf tmp;
	size_t left;

	do {
		if (step(z, &none, ZSTD_e_end, &left, err) == -1)
			return -1;
	} while (left > 0);
	/* A large index is handed over, not copied. */
	if (out->data == NULL && z->out.len <= out->max) {
		tmp = *out;
		*out = z->out;
		out->max = tmp.max;
		z->out.data = NULL;
		z->out.len = z->out.cap = 0;
		return 0;
	}
	return dr_buf_add(out, z->out.data, z->out.len, err);
}
