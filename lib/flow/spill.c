#include "flow/spill.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"

static const char name[] = "a temporary file";

static int
open_file(struct dr_err *err)
{
	const char *dir = getenv("TMPDIR");
	char *path;
	int fd;

	if (dir == NULL || dir[0] == '\0')
		dir = "/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd != -1)
		return fd;
	/* Not every file system has files without a name. */
	if ((path = dr_fmt(err, "%s/drXXXXXX", dir)) == NULL)
		return -1;
	if ((fd = mkostemp(path, O_CLOEXEC)) == -1)
		dr_err_sys(err, "cannot make a temporary file in \"%s\"", dir);
	else
		(void)unlink(path);
	free(path);
	return fd;
}

static int
flush(struct dr_spill *s, struct dr_err *err)
{
	if (s->fd == -1 && (s->fd = open_file(err)) == -1)
		return -1;
	if (s->buf.len > 0 &&
	    dr_fd_write(s->fd, s->buf.data, s->buf.len, name, err) == -1)
		return -1;
	s->buf.len = 0;
	return 0;
}

int
dr_spill_add(struct dr_spill *s, const void *p, size_t n, struct dr_err *err)
{
	if (n > s->buf.max - s->buf.len && flush(s, err) == -1)
		return -1;
	s->size += n;
	if (n > s->buf.max)
		return dr_fd_write(s->fd, p, n, name, err);
	return dr_buf_add(&s->buf, p, n, err);
}

int
dr_spill_read(struct dr_spill *s,
    int (*fn)(void *, const void *, size_t, struct dr_err *), void *arg,
    struct dr_err *err)
{
	uint64_t at = 0, end = s->size - s->buf.len;
	char piece[65536];
	size_t n;

	while (at < end) {
		n = end - at < sizeof(piece) ? (size_t)(end - at)
		                             : sizeof(piece);
		if (dr_fd_pread(s->fd, piece, n, at, name, err) == -1 ||
		    fn(arg, piece, n, err) == -1)
			return -1;
		at += n;
	}
	if (s->buf.len == 0)
		return 0;
	return fn(arg, s->buf.data, s->buf.len, err);
}

void
dr_spill_free(struct dr_spill *s)
{
	dr_buf_free(&s->buf);
	if (s->fd != -1)
		(void)close(s->fd);
	s->fd = -1;
	s->size = 0;
}
