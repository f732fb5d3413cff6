#include <sys/socket.h>
#include <sys/types.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "store/knownhosts.h"
#include "store/sftp_int.h"

uint64_t
sftp_limit(const struct sftp *s)
{
	uint64_t ms = s->store.opts->patience_ms, hurry = s->hurry_ms;

	if (ms == 0)
		ms = SFTP_PATIENCE;
	return hurry != 0 && hurry < ms ? hurry : ms;
}

void
sftp_patience(struct sftp_conn *c, uint64_t ms)
{
	uint64_t most = sftp_limit(c->store);

	if (ms > most)
		ms = most;
	if (c->cleanup && ms > SFTP_CLEANUP_MS)
		ms = SFTP_CLEANUP_MS;
	c->until = dr_monotonic() + (int64_t)ms * 1000;
}

int
sftp_wait_fd(struct sftp_conn *c, int fd, short events)
{
	struct pollfd p[2] = { { .fd = fd, .events = events },
		{ .fd = c->cleanup ? -1 : dr_stop_fd(), .events = POLLIN } };
	int64_t left;

	for (;;) {
		if (!c->cleanup) {
			if (dr_stopped() != 0)
				return dr_err_set(&c->why, DR_ESTOP,
				    "stopped by signal %d", dr_stopped());
			if (pthread_equal(c->store->main, pthread_self()) &&
			    dr_check_stop(&c->why) == -1)
				return -1;
			if (sftp_cancelled())
				return dr_err_set(&c->why, DR_ERETRY,
				    "given up while others went on");
		}
		if ((left = c->until - dr_monotonic()) <= 0)
			return dr_err_set(&c->why, DR_ERETRY,
			    "no answer from %s in time", c->store->host);
		if (left > (sftp_in_job() ? 100000 : 1000000))
			left = sftp_in_job() ? 100000 : 1000000;
		switch (poll(p, 2, (int)(left / 1000) + 1)) {
		case -1:
			if (errno != EINTR)
				return dr_err_sys(&c->why, "cannot wait");
			break;
		case 0:
			break;
		default:
			if (p[0].revents != 0)
				return 0;
		}
	}
}

int
sftp_wait(struct sftp_conn *c)
{
	int dir = ssh2.session_block_directions(c->session);
	short events = 0;

	if (dir & LIBSSH2_SESSION_BLOCK_INBOUND)
		events |= POLLIN;
	if (dir & LIBSSH2_SESSION_BLOCK_OUTBOUND)
		events |= POLLOUT;
	return sftp_wait_fd(c, c->fd, events == 0 ? POLLIN : events);
}

/* A socket to one address; -1: ERR. */
static int
dial(struct sftp_conn *c, const struct addrinfo *ai, struct dr_err *err)
{
	int fd, on = 1, idle = 15, soon = (int)SFTP_STALL_MS, e = 0;
	socklen_t len = sizeof(e);

	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    ai->ai_protocol);
	if (fd == -1)
		return dr_err_sys(err, "cannot connect to %s", c->store->host);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &soon,
	    sizeof(soon));
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) == -1) {
		if (errno != EINPROGRESS)
			e = errno;
		else if (sftp_wait_fd(c, fd, POLLOUT) == -1) {
			*err = c->why;
			close(fd);
			return -1;
		} else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) == -1)
			e = errno;
	}
	if (e != 0) {
		close(fd);
		return dr_err_set(err, DR_ERETRY,
		    "cannot connect to %s port %u: %s", c->store->host,
		    c->store->port, strerror(e));
	}
	return fd;
}

static int
dial_any(struct sftp_conn *c, struct dr_err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };
	struct addrinfo *list, *ai;
	char port[8];
	int rc, fd = -1;

	(void)snprintf(port, sizeof(port), "%u", c->store->port);
	if ((rc = getaddrinfo(c->store->host, port, &hints, &list)) != 0)
		return dr_err_set(err, rc == EAI_NONAME ? DR_EFAIL : DR_ERETRY,
		    "cannot find host \"%s\": %s", c->store->host,
		    rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	for (ai = list; ai != NULL && fd == -1; ai = ai->ai_next) {
		dr_err_clear(err);
		dr_err_clear(&c->why);
		if ((fd = dial(c, ai, err)) == -1 && err->cause == DR_ESTOP)
			break;
	}
	freeaddrinfo(list);
	return fd;
}

/* What libssh2 says of its last failure. */
static const char *
last(struct sftp_conn *c)
{
	char *text = NULL;

	(void)ssh2.session_last_error(c->session, &text, NULL, 0);
	return text == NULL || *text == '\0' ? "it hung up" : text;
}

static int
handshake(struct sftp_conn *c, const char *methods, struct dr_err *err)
{
	int rc;

	while ((rc = ssh2.session_handshake(c->session, c->fd)) ==
	       LIBSSH2_ERROR_EAGAIN)
		if (sftp_wait(c) == -1) {
			*err = c->why;
			return dr_err_wrap(err, "cannot connect to %s",
			    c->store->host);
		}
	if (rc == 0)
		return 0;
	/* It may be too busy, or about to stop. */
	dr_err_set(err, DR_ERETRY, "cannot begin SSH with %s port %u: %s",
	    c->store->host, c->store->port, last(c));
	if (rc == LIBSSH2_ERROR_KEX_FAILURE ||
	    rc == LIBSSH2_ERROR_METHOD_NONE) {
		err->cause = DR_EFAIL;
		if (*methods != '\0')
			dr_err_hint(err,
			    "the host is known by %s alone: learn its other "
			    "keys by ssh-keyscan -p %u %s, and compare them",
			    methods, c->store->port, c->store->host);
	}
	return -1;
}

static int
subsystem(struct sftp_conn *c, struct dr_err *err)
{
	for (;;) {
		if ((c->sftp = ssh2.sftp_init(c->session)) != NULL)
			return 0;
		if (ssh2.session_last_errno(c->session) !=
		    LIBSSH2_ERROR_EAGAIN) {
			dr_err_set(err, DR_EFAIL,
			    "%s does not offer sftp to \"%s\": %s",
			    c->store->host, c->store->user, last(c));
			return -1;
		}
		if (sftp_wait(c) == -1) {
			*err = c->why;
			return dr_err_wrap(err, "cannot begin sftp with %s",
			    c->store->host);
		}
	}
}

/* A store is made by hand: where it should be may not be mounted. */
static int
root(struct sftp_conn *c, struct dr_err *err)
{
	const struct sftp *s = c->store;
	LIBSSH2_SFTP_ATTRIBUTES st;

	switch (sftp_stat(c, s->root, &st)) {
	case SFTP_OK:
		if (!(st.flags & LIBSSH2_SFTP_ATTR_PERMISSIONS) ||
		    LIBSSH2_SFTP_S_ISDIR(st.permissions))
			return 0;
		return dr_err_set(err, DR_EFAIL,
		    "store \"%s\" is not a directory", s->label);
	case SFTP_NOENT:
		dr_err_set(err, DR_EFAIL,
		    "cannot open store \"%s\": no such directory", s->label);
		return dr_err_hint(err,
		    "is it mounted there?  A new store is made by hand: mkdir "
		    "\"%s\" on %s",
		    s->root, s->host);
	case SFTP_DENIED:
		return dr_err_set(err, DR_EFAIL,
		    "cannot open store \"%s\": permission denied", s->label);
	case SFTP_LOST:
		*err = c->why;
		return -1;
	case SFTP_EXISTS:
	case SFTP_READONLY:
	case SFTP_UNSUPPORTED:
	case SFTP_FULL:
	case SFTP_REFUSED:
	case SFTP_EOF:
	case SFTP_FATAL:
		break;
	}
	return dr_err_set(err, DR_EFAIL,
	    "cannot open store \"%s\": the server refuses it", s->label);
}

int
sftp_connect(struct sftp_conn *c, struct dr_err *err)
{
	struct dr_host_keys keys = { 0 };
	char methods[160];
	int rc = -1;

	if (sftp_load(err) == -1)
		return -1;
	dr_err_clear(&c->why);
	sftp_patience(c, SFTP_CONNECT_MS);
	if (sftp_hosts(c->store, &keys, err) == -1)
		goto out;
	if ((c->fd = dial_any(c, err)) == -1)
		goto out;
	c->pid = getpid();
	if ((c->session = ssh2.session_init_ex(NULL, NULL, NULL, NULL)) ==
	    NULL) {
		dr_err_set(err, DR_EFAIL, "cannot allocate a session");
		goto out;
	}
	ssh2.session_set_blocking(c->session, 0);
	sftp_host_methods(&keys, methods, sizeof(methods));
	if (*methods != '\0' && ssh2.session_method_pref(c->session,
	                            LIBSSH2_METHOD_HOSTKEY, methods) != 0) {
		dr_err_set(err, DR_EFAIL,
		    "host %s is known by keys of a kind that is not supported "
		    "here (%s)",
		    c->store->host, methods);
		goto out;
	}
	if (handshake(c, methods, err) == -1 ||
	    sftp_host_ok(c, &keys, err) == -1)
		goto out;
	sftp_patience(c, SFTP_STALL_MS);
	if (sftp_auth(c, err) == -1 || subsystem(c, err) == -1 ||
	    root(c, err) == -1)
		goto out;
	rc = 0;

out:
	dr_host_keys_wipe(&keys);
	if (rc == -1)
		sftp_hangup(c);
	return rc;
}

void
sftp_hangup(struct sftp_conn *c)
{
	struct sftp_file *f, *next;
	/* In a child the connection is still the parent's. */
	bool ours = c->pid == getpid();

	if (c->fd != -1 && ours)
		(void)shutdown(c->fd, SHUT_RDWR);
	for (f = c->files; f != NULL; f = next) {
		next = f->next;
		if (ours && f->handle != NULL)
			for (int i = 0;
			     i < 8 && ssh2.sftp_close_handle(f->handle) ==
			                  LIBSSH2_ERROR_EAGAIN;)
				i++;
		f->handle = NULL;
		f->next = NULL;
	}
	c->files = NULL;
	if (ours && c->session != NULL) {
		if (c->sftp != NULL)
			(void)ssh2.sftp_shutdown(c->sftp);
		for (int i = 0; i < 8 && ssh2.session_free(c->session) ==
		                             LIBSSH2_ERROR_EAGAIN;)
			i++;
	}
	c->sftp = NULL;
	c->session = NULL;
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
}
