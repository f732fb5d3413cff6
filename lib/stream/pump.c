#include "stream/pump.h"

#include <stdlib.h>

#include "base/fd.h"
#include "base/tty.h"

int
dr_pump(struct dr_source *in, struct dr_sink *out, size_t size,
    struct dr_err *err)
{
	uint64_t done = 0;
	char *buf;
	ssize_t n;
	int rc = -1;

	if (size == 0)
		size = 256U << 10;
	if ((buf = malloc(size)) == NULL)
		return dr_err_sys(err, "cannot allocate a buffer");
	while ((n = dr_source_read(in, buf, size, err)) > 0) {
		if (dr_sink_write(out, buf, (size_t)n, err) == -1)
			goto out;
		done += (uint64_t)n;
		dr_progress(done);
	}
	if (n == 0)
		rc = dr_sink_finish(out, err);
out:
	free(buf);
	return rc;
}

/* --- into a buffer ------------------------------------------------------- */

struct bufsink {
	struct dr_sink sink;
	struct dr_buf *buf;
};

static int
buf_write(struct dr_sink *sink, const void *data, size_t len,
    struct dr_err *err)
{
	return dr_buf_add(((struct bufsink *)sink)->buf, data, len, err);
}

static int
nothing_more(struct dr_sink *sink, struct dr_err *err)
{
	(void)sink;
	(void)err;
	return 0;
}

static void
plain_free(struct dr_sink *sink)
{
	free(sink);
}

static const struct dr_sink_ops buf_ops = { .write = buf_write,
	.finish = nothing_more,
	.free = plain_free };

struct dr_sink *
dr_sink_buf(struct dr_buf *buf, struct dr_err *err)
{
	struct bufsink *b;

	if ((b = calloc(1, sizeof(*b))) == NULL) {
		dr_err_sys(err, "cannot allocate a writer");
		return NULL;
	}
	b->sink.ops = &buf_ops;
	b->buf = buf;
	return &b->sink;
}

/* --- into a descriptor --------------------------------------------------- */

struct fdsink {
	struct dr_sink sink;
	int fd;
	const char *name;
};

static int
fd_write(struct dr_sink *sink, const void *data, size_t len, struct dr_err *err)
{
	struct fdsink *f = (struct fdsink *)sink;

	return dr_fd_write(f->fd, data, len, f->name, err);
}

static const struct dr_sink_ops fd_ops = { .write = fd_write,
	.finish = nothing_more,
	.free = plain_free };

struct dr_sink *
dr_sink_fd(int fd, const char *name, struct dr_err *err)
{
	struct fdsink *f;

	if ((f = calloc(1, sizeof(*f))) == NULL) {
		dr_err_sys(err, "cannot allocate a writer");
		return NULL;
	}
	f->sink.ops = &fd_ops;
	f->fd = fd;
	f->name = name;
	return &f->sink;
}
