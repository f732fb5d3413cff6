#include "stream/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "base/msg.h"

#define RING (4U << 20)
#define RUN  (256U << 10)

struct dr_pipe_out {
	int fd;
	const char *name;
	bool map;
	char *ring;
	size_t at, sent; /* sent <= at <= RING, both within one round */
};

struct dr_pipe_out *
dr_pipe_out_new(int fd, const char *name, bool map, struct dr_err *err)
{
	struct dr_pipe_out *p;
	void *ring;

	if ((p = calloc(1, sizeof(*p))) == NULL) {
		dr_err_sys(err, "cannot allocate a writer");
		return NULL;
	}
	ring = mmap(NULL, RING, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ring == MAP_FAILED) {
		dr_err_sys(err, "cannot allocate a writer");
		free(p);
		return NULL;
	}
	p->fd = fd;
	p->name = name;
	p->map = map && fcntl(fd, F_GETPIPE_SZ) > 0;
	p->ring = ring;
	return p;
}

/* Give the kernel [sent, at) of the ring. */
static int
hand_over(struct dr_pipe_out *p, struct dr_err *err)
{
	while (p->map && p->sent < p->at) {
		struct iovec v = { p->ring + p->sent, p->at - p->sent };
		struct pollfd w = { .fd = p->fd, .events = POLLOUT };
		ssize_t n;

		if (dr_check_stop(err) == -1)
			return -1;
		if ((n = vmsplice(p->fd, &v, 1, 0)) > 0)
			p->sent += (size_t)n;
		else if (errno == EPIPE)
			return dr_err_sys(err, "cannot write \"%s\"", p->name);
		else if (errno == EAGAIN)
			(void)poll(&w, 1, 1000);
		else if (errno != EINTR)
			p->map = false; /* not here: copy */
	}
	if (p->sent < p->at && dr_fd_write(p->fd, p->ring + p->sent,
	                           p->at - p->sent, p->name, err) == -1)
		return -1;
	p->sent = p->at;
	if (p->at == RING)
		p->at = p->sent = 0;
	return 0;
}

int
dr_pipe_out_write(struct dr_pipe_out *p, const void *data, size_t len,
    struct dr_err *err)
{
	const char *from = data;
	size_t n;

	while (len > 0) {
		n = RUN - p->at % RUN;
		if (n > len)
			n = len;
		memcpy(p->ring + p->at, from, n);
		p->at += n;
		from += n;
		len -= n;
		if (p->at % RUN == 0 && hand_over(p, err) == -1)
			return -1;
	}
	return 0;
}

int
dr_pipe_out_flush(struct dr_pipe_out *p, struct dr_err *err)
{
	return hand_over(p, err);
}

void
dr_pipe_out_free(struct dr_pipe_out *p)
{
	if (p == NULL)
		return;
	munmap(p->ring, RING);
	free(p);
}

void
dr_pipe_enlarge(int fd)
{
	int size = fcntl(fd, F_GETPIPE_SZ);

	if (size > 0 && size < 1 << 20)
		(void)fcntl(fd, F_SETPIPE_SZ, 1 << 20);
}
