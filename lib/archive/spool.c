/* spool.c - see spool.h. */
#include "archive/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"

#define SPOOL_MEM (64U << 10)

struct dr_spool {
	int fd;         /* -1: all of it is in tail */
	uint64_t saved; /* bytes in the file; tail follows them */
	size_t len;
	char tail[SPOOL_MEM];
};

struct dr_spool *
dr_spool_new(struct dr_err *e)
{
	struct dr_spool *s = malloc(sizeof(*s));

	if (s == NULL) {
		dr_err_sys(e, "cannot allocate memory");
		return NULL;
	}
	s->fd = -1;
	s->saved = 0;
	s->len = 0;
	return s;
}

static int
spool_open(struct dr_spool *s, struct dr_err *e)
{
	const char *dir = getenv("TMPDIR");
	char *name;

	if (dir == NULL || *dir != '/')
		dir = "/tmp";
	s->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd != -1)
		return 0;
	if ((name = dr_fmt(e, "%s/dr-XXXXXX", dir)) == NULL)
		return -1;
	s->fd = mkostemp(name, O_CLOEXEC);
	if (s->fd == -1)
		dr_err_sys(e, "cannot create a temporary file in \"%s\"", dir);
	else
		(void)unlink(name);
	free(name);
	return s->fd == -1 ? -1 : 0;
}

static int
spool_flush(struct dr_spool *s, struct dr_err *e)
{
	size_t done = 0;
	ssize_t n;

	if (s->fd == -1 && spool_open(s, e) == -1)
		return -1;
	while (done < s->len) {
		n = pwrite(s->fd, s->tail + done, s->len - done,
		    (off_t)(s->saved + done));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return dr_err_sys(e, "cannot write a temporary file");
		done += (size_t)n;
	}
	s->saved += s->len;
	s->len = 0;
	return 0;
}

int
dr_spool_add(struct dr_spool *s, const void *data, size_t len, struct dr_err *e)
{
	const char *p = data;
	size_t n;

	while (len > 0) {
		if (s->len == sizeof(s->tail) && spool_flush(s, e) == -1)
			return -1;
		n = sizeof(s->tail) - s->len;
		if (n > len)
			n = len;
		memcpy(s->tail + s->len, p, n);
		s->len += n;
		p += n;
		len -= n;
	}
	return 0;
}

uint64_t
dr_spool_size(const struct dr_spool *s)
{
	return s->saved + s->len;
}

int
dr_spool_read(struct dr_spool *s, uint64_t off, void *out, size_t len,
    struct dr_err *e)
{
	char *p = out;
	size_t n;

	if (off > dr_spool_size(s) || len > dr_spool_size(s) - off)
		return dr_err_set(e, DR_EFAIL,
		    "read of a temporary file beyond its end");
	if (off < s->saved) {
		n = len;
		if (n > s->saved - off)
			n = (size_t)(s->saved - off);
		if (dr_fd_pread(s->fd, p, n, off, "temporary file", e) == -1)
			return -1;
		p += n;
		off += n;
		len -= n;
	}
	memcpy(p, s->tail + (off - s->saved), len);
	return 0;
}

void
dr_spool_reset(struct dr_spool *s)
{
	s->saved = 0;
	s->len = 0;
}

void
dr_spool_free(struct dr_spool *s)
{
	if (s == NULL)
		return;
	if (s->fd != -1)
		(void)close(s->fd);
	free(s);
}
