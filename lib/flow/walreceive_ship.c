/* The parent's end of the socket to the child. */
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/walreceive_int.h"

int
dr_recv_fork(struct dr_recv_child *c, const struct dr_recv_setup *s,
    struct dr_err *err)
{
	static const int ours[] = { SIGINT, SIGTERM, SIGHUP };
	sigset_t block, before;
	int fd[2];
	size_t i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) == -1)
		return dr_err_sys(err, "cannot make a socket");
	sigemptyset(&block);
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(&block, ours[i]);
	sigprocmask(SIG_BLOCK, &block, &before);
	if ((c->pid = fork()) == 0) {
		/* A stop signal is for the parent, who then tells us. */
		dr_stops_ignore();
		sigprocmask(SIG_SETMASK, &before, NULL);
		close(fd[0]);
		dr_recv_child_main(fd[1], s);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fd[1]);
	if (c->pid == -1) {
		c->pid = 0;
		dr_err_sys(err, "cannot make a process");
		close(fd[0]);
		return -1;
	}
	c->fd = fd[0];
	c->busy = false;
	return 0;
}

static int
gone(struct dr_recv_child *c, struct dr_err *err)
{
	int st = 0;

	close(c->fd);
	(void)kill(c->pid, SIGKILL);
	while (waitpid(c->pid, &st, 0) == -1 && errno == EINTR)
		continue;
	c->pid = 0;
	c->busy = false;
	if (WIFSIGNALED(st))
		return dr_err_set(err, DR_EFAIL,
		    "the process that writes to the stores was killed by "
		    "signal %d",
		    WTERMSIG(st));
	return dr_err_set(err, DR_EFAIL,
	    "the process that writes to the stores ended");
}

int
dr_recv_send(struct dr_recv_child *c, const struct dr_recv_order *o,
    const char *text, size_t len, struct dr_err *err)
{
	/* sendmsg takes what it only reads as not const. */
	union {
		const void *in;
		void *out;
	} head = { .in = o }, body = { .in = text };
	struct iovec v[2] = { { head.out, sizeof(*o) }, { body.out, len } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = len > 0 ? 2 : 1 };
	ssize_t n;

	do
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return gone(c, err);
	c->busy = true;
	return 0;
}

int
dr_recv_take(struct dr_recv_child *c, struct dr_recv_report *rep,
    struct dr_err *err)
{
	ssize_t n;

	do
		n = recv(c->fd, rep, sizeof(*rep), MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n != (ssize_t)sizeof(*rep))
		return gone(c, err);
	return 1;
}

void
dr_recv_end(struct dr_recv_child *c, uint64_t ms)
{
	const int64_t until = dr_monotonic() + (int64_t)ms * 1000;
	struct pollfd p;
	int st, left;
	char byte;

	if (c->pid == 0)
		return;
	/* Our end is closed for writing: the child finishes and goes. */
	(void)shutdown(c->fd, SHUT_WR);
	while ((left = (int)((until - dr_monotonic()) / 1000)) > 0) {
		p = (struct pollfd){ .fd = c->fd, .events = POLLIN };
		if (poll(&p, 1, left) == -1 && errno != EINTR)
			break;
		if (p.revents != 0 && recv(c->fd, &byte, 1, 0) <= 0)
			break;
	}
	if (dr_monotonic() >= until)
		(void)kill(c->pid, SIGKILL);
	while (waitpid(c->pid, &st, 0) == -1 && errno == EINTR)
		continue;
	close(c->fd);
	c->pid = 0;
	c->busy = false;
}
