#include <stdlib.h>
#include <string.h>

#include "archive/tarwalk.h"
#include "base/msg.h"
#include "base/tty.h"
#include "flow/restore_engine.h"

#define STEP (1U << 20)

struct stream {
	struct dr_writer *writer;
	struct dr_wfile *file; /* NULL: nothing to write */
	uint64_t off, size;
};

static int
member(void *arg, const struct dr_member *m, struct dr_err *err)
{
	struct stream *s = arg;
	struct dr_writer_member w = { .type = m->type,
		.path = m->path,
		.size = m->size };

	s->off = 0;
	s->size = m->size;
	if (dr_writer_member(s->writer, &w, &s->file, err) == -1)
		return -1;
	if (s->file == NULL || m->size > 0)
		return 0;
	return dr_wfile_put(s->file, "", 0, 0, err);
}

static int
data(void *arg, const void *p, size_t len, struct dr_err *err)
{
	struct stream *s = arg;
	uint64_t off = s->off;

	s->off += len;
	return s->file == NULL ? 0 : dr_wfile_put(s->file, p, len, off, err);
}

static int
end(void *arg, struct dr_err *err)
{
	struct stream *s = arg;

	(void)err;
	s->file = NULL;
	return 0;
}

int
dr_restore_stream(struct dr_source *tar, struct dr_writer *writer,
    struct dr_err *err)
{
	static const struct dr_tarwalk_ops ops = { member, data, end };
	struct stream s = { .writer = writer };
	struct dr_tarwalk *walk = NULL;
	uint64_t done = 0;
	ssize_t n;
	void *buf;
	int rc = -1;

	if ((buf = malloc(STEP)) == NULL)
		return dr_err_sys(err, "cannot allocate a buffer");
	if ((walk = dr_tarwalk_new(&ops, &s, err)) == NULL)
		goto out;
	/* Large pieces: small ones would become many small writes. */
	while ((n = dr_source_fill(tar, buf, STEP, err)) > 0) {
		if (dr_check_stop(err) == -1 ||
		    dr_tarwalk_add(walk, buf, (size_t)n, err) == -1)
			goto out;
		dr_progress(done += (uint64_t)n);
	}
	if (n == -1 || dr_tarwalk_end(walk, err) == -1)
		goto out;
	rc = dr_writer_complete(writer, err);

out:
	dr_tarwalk_free(walk);
	free(buf);
	return rc;
}
