#include "http/listen.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "http/request.h"

#define SOCKETS    8           /* to accept from */
#define REQUEST_US 10000000    /* for a request to arrive, an answer to leave */
#define IDLE_US    75000000    /* between two requests */
#define ANSWER_MAX (64U << 20) /* bytes of an answer */
#define ANSWERS    64          /* of one connection in one go */

struct conn {
	int fd;        /* -1: none */
	int64_t since; /* begun to wait for what it waits for */
	bool writing, keep;
	size_t have; /* bytes of request */
	char in[DR_REQUEST_MAX];
	struct dr_buf out;
	size_t sent;
};

struct dr_listen {
	int fd[SOCKETS];
	size_t fds;
	char *addr, *path; /* path: of a socket that is ours to remove */
	struct stat made;  /* what it was when we made it */
	dr_listen_fn *fn;
	void *arg;
	uint64_t count;
	struct conn conn[DR_LISTEN_MAX];
};

/* --- where ------------------------------------------------------------------ */

static int
nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags == -1 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* A socket there that nobody serves is left over, and goes. */
static int
on_path(struct dr_listen *l, const char *path, struct dr_err *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	if (strlen(path) >= sizeof(un.sun_path))
		return dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is too long for a socket's path", path);
	memcpy(un.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return dr_err_sys(err, "cannot make a socket");
	l->fd[l->fds++] = fd;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
			return dr_err_set(err, DR_EFAIL,
			    "somebody listens on \"%s\" already", path);
		if (errno == ECONNREFUSED)
			(void)unlink(path);
		close(fd);
		l->fd[--l->fds] = -1;
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd == -1)
			return dr_err_sys(err, "cannot make a socket");
		l->fd[l->fds++] = fd;
	}
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) == -1)
		return dr_err_sys(err, "cannot listen on \"%s\"", path);
	if ((l->path = dr_fmt(err, "%s", path)) == NULL)
		return -1;
	if (lstat(path, &l->made) == -1 || nonblocking(fd) == -1 ||
	    listen(fd, 128) == -1)
		return dr_err_sys(err, "cannot listen on \"%s\"", path);
	l->addr = dr_fmt(err, "%s", path);
	return l->addr == NULL ? -1 : 0;
}

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage room;
};

static uint16_t
port_of(int fd)
{
	union address a;
	socklen_t len = sizeof(a);

	if (getsockname(fd, &a.any, &len) == -1)
		return 0;
	return ntohs(
	    a.any.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
}

/* One address; the first failure is told where no other works. */
static void
on_address(struct dr_listen *l, const struct addrinfo *ai, uint16_t port,
    const char *addr, struct dr_err *err)
{
	union address a;
	const int on = 1;
	int fd;

	if (l->fds == SOCKETS || ai->ai_addrlen > sizeof(a))
		return;
	memcpy(&a, ai->ai_addr, ai->ai_addrlen);
	if (port != 0 && ai->ai_family == AF_INET6)
		a.in6.sin6_port = htons(port);
	else if (port != 0)
		a.in.sin_port = htons(port);
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		dr_err_sys(err, "cannot make a socket");
		return;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
		    sizeof(on));
	if (nonblocking(fd) == -1 || bind(fd, &a.any, ai->ai_addrlen) == -1 ||
	    listen(fd, 128) == -1) {
		dr_err_sys(err, "cannot listen on \"%s\"", addr);
		close(fd);
		return;
	}
	l->fd[l->fds++] = fd;
}

static int
on_host(struct dr_listen *l, const char *addr, struct dr_err *err)
{
	const char *colon = strrchr(addr, ':');
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE },
	                *found = NULL;
	struct dr_err why = { 0 };
	char host[256];
	size_t n;
	int rc = -1, e;
	int64_t port;

	n = colon == NULL ? 0 : (size_t)(colon - addr);
	if (colon == NULL || n >= sizeof(host) ||
	    dr_parse_int(colon + 1, 0, 65535, &port, &why) == -1) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" is no address to listen on",
		    addr);
		return dr_err_hint(err, "HOST:PORT, :PORT for this host only, "
		                        "*:PORT, or the path of a socket");
	}
	memcpy(host, addr, n);
	host[n] = '\0';
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		memmove(host, host + 1, n - 2);
		host[n - 2] = '\0';
	} else if (strchr(host, ':') != NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "in \"%s\" the address wants brackets", addr);
	if (n == 0)
		(void)snprintf(host, sizeof(host), "localhost");
	e = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, colon + 1, &hints,
	    &found);
	if (e != 0)
		return dr_err_set(err, DR_EFAIL, "cannot listen on \"%s\": %s",
		    addr, gai_strerror(e));
	dr_err_clear(&why);
	for (const struct addrinfo *ai = found; ai != NULL; ai = ai->ai_next)
		if (ai->ai_family == AF_INET || ai->ai_family == AF_INET6)
			on_address(l, ai,
			    port == 0 && l->fds > 0 ? port_of(l->fd[0]) : 0,
			    addr, &why);
	if (l->fds == 0) {
		*err = why;
		if (err->cause == DR_OK)
			dr_err_set(err, DR_EFAIL, "cannot listen on \"%s\"",
			    addr);
		goto out;
	}
	l->addr = dr_fmt(err, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u",
	    host, (unsigned)port_of(l->fd[0]));
	rc = l->addr == NULL ? -1 : 0;

out:
	freeaddrinfo(found);
	return rc;
}

struct dr_listen *
dr_listen_new(const char *addr, dr_listen_fn *fn, void *arg, struct dr_err *err)
{
	struct dr_listen *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		dr_err_sys(err, "cannot listen");
		return NULL;
	}
	l->fn = fn;
	l->arg = arg;
	for (size_t i = 0; i < DR_LISTEN_MAX; i++)
		l->conn[i].fd = -1;
	if ((strchr(addr, '/') != NULL ? on_path(l, addr, err)
	                               : on_host(l, addr, err)) == -1) {
		dr_listen_free(l);
		return NULL;
	}
	return l;
}

const char *
dr_listen_addr(const struct dr_listen *l)
{
	return l->addr;
}

uint64_t
dr_listen_count(const struct dr_listen *l)
{
	return l->count;
}

static void
hang_up(struct conn *c)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	dr_buf_free(&c->out);
}

void
dr_listen_forget(struct dr_listen *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < DR_LISTEN_MAX; i++)
		hang_up(&l->conn[i]);
	for (size_t i = 0; i < l->fds; i++)
		close(l->fd[i]);
	free(l->path);
	free(l->addr);
	free(l);
}

void
dr_listen_free(struct dr_listen *l)
{
	struct stat st;

	/* Another may have taken its place. */
	if (l != NULL && l->path != NULL && lstat(l->path, &st) == 0 &&
	    st.st_ino == l->made.st_ino && st.st_dev == l->made.st_dev)
		(void)unlink(l->path);
	dr_listen_forget(l);
}

/* --- a connection -------------------------------------------------------------- */

static const char *
reason(int status)
{
	static const struct {
		int status;
		const char *words;
	} list[] = { { 200, "OK" }, { 400, "Bad Request" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 413, "Content Too Large" }, { 414, "URI Too Long" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" } };

	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
		if (list[i].status == status)
			return list[i].words;
	return "Unknown";
}

static int
put(struct conn *c, const struct dr_request *r, struct dr_answer *a,
    struct dr_err *err)
{
	c->out.max = ANSWER_MAX;
	if (dr_buf_fmt(&c->out, err,
	        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
	        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
	        "%s%s\r\n",
	        a->status, reason(a->status), a->type, a->body.len,
	        a->status == 405 ? "Allow: GET, HEAD, OPTIONS\r\n" : "",
	        c->keep ? "" : "Connection: close\r\n") == -1)
		return -1;
	return r->head || a->body.len == 0
	           ? 0
	           : dr_buf_add(&c->out, a->body.data, a->body.len, err);
}

static int
answer(struct dr_listen *l, struct conn *c, const struct dr_request *r)
{
	struct dr_answer a = { 0, "text/plain; charset=utf-8",
		{ .max = ANSWER_MAX } };
	struct dr_err err = { 0 };
	int rc;

	c->keep = r->keep;
	if (r->status != 0)
		a.status = r->status;
	else if (l->fn(l->arg, r->path, r->query, &a, &err) == -1) {
		dr_buf_free(&a.body);
		a.status = 500;
		a.type = "text/plain; charset=utf-8";
		dr_say(1, "%s", err.msg);
		dr_err_clear(&err);
	}
	if (a.body.len == 0 && a.status != 200)
		(void)dr_buf_fmt(&a.body, &err, "%s\n", reason(a.status));
	rc = put(c, r, &a, &err);
	dr_buf_free(&a.body);
	l->count++;
	c->writing = true;
	c->since = dr_monotonic();
	c->sent = 0;
	return rc;
}

/* 1 all is gone, 0 the peer takes no more now, -1 it is gone itself. */
static int
flush(struct conn *c)
{
	ssize_t n;

	while (c->sent < c->out.len) {
		n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent,
		    MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno == EAGAIN ? 0 : -1;
		c->sent += (size_t)n;
	}
	dr_buf_free(&c->out);
	c->writing = false;
	c->since = dr_monotonic();
	return c->keep ? 1 : -1;
}

/* 1 some came, 0 none now, -1 the end. */
static int
more(struct conn *c)
{
	ssize_t n;

	do
		n = recv(c->fd, c->in + c->have, sizeof(c->in) - c->have, 0);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0)
		return -1;
	if (c->have == 0)
		c->since = dr_monotonic();
	c->have += (size_t)n;
	return 1;
}

/*
 * Go on with it as far as it goes; -1: it is over.  One client that sends
 * without end gets its turn like others.
 */
static int
serve(struct dr_listen *l, struct conn *c)
{
	struct dr_request r;
	long took;
	int rc;

	for (int i = 0; i < ANSWERS; i++) {
		if (c->writing && (rc = flush(c)) != 1)
			return rc;
		took = c->have > 0 ? dr_request_parse(c->in, c->have, &r) : 0;
		if (took == 0) {
			if ((rc = more(c)) != 1)
				return rc;
			continue;
		}
		if (took > 0) {
			c->have -= (size_t)took;
			memmove(c->in, c->in + took, c->have);
		} else
			c->have = 0;
		if (answer(l, c, &r) == -1)
			return -1;
	}
	return 0;
}

/* --- the loop ------------------------------------------------------------------ */

/* When it has waited long enough. */
static int64_t
limit(const struct conn *c)
{
	return c->since + (c->writing || c->have > 0 ? REQUEST_US : IDLE_US);
}

static void
take(struct dr_listen *l, int fd)
{
	const int on = 1;
	struct conn *c = NULL;

	for (size_t i = 0; i < DR_LISTEN_MAX; i++)
		if (l->conn[i].fd == -1) {
			c = &l->conn[i];
			break;
		} else if (c == NULL || l->conn[i].since < c->since)
			c = &l->conn[i];
	hang_up(c);
	c->fd = fd;
	c->since = dr_monotonic();
	c->writing = false;
	c->have = c->sent = 0;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (serve(l, c) == -1)
		hang_up(c);
}

/* Without a descriptor left, whoever has waited longest makes room. */
static void
drop_oldest(struct dr_listen *l)
{
	struct conn *c = NULL;

	for (size_t i = 0; i < DR_LISTEN_MAX; i++)
		if (l->conn[i].fd != -1 &&
		    (c == NULL || l->conn[i].since < c->since))
			c = &l->conn[i];
	if (c != NULL)
		hang_up(c);
	else
		(void)poll(NULL, 0, 10); /* somebody else's; not in a hurry */
}

static void
accept_all(struct dr_listen *l, int from)
{
	int fd;

	for (int i = 0; i < DR_LISTEN_MAX; i++) {
		fd = accept4(from, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			if (errno == EMFILE || errno == ENFILE)
				drop_oldest(l);
			else if (errno == ECONNABORTED || errno == EINTR)
				continue;
			return;
		}
		take(l, fd);
	}
}

/* Conns that have waited too long go; how long until the next must. */
static int64_t
expire(struct dr_listen *l, int64_t until)
{
	const int64_t now = dr_monotonic();

	for (size_t i = 0; i < DR_LISTEN_MAX; i++) {
		struct conn *c = &l->conn[i];

		if (c->fd == -1)
			continue;
		if (limit(c) <= now)
			hang_up(c);
		else if (limit(c) < until)
			until = limit(c);
	}
	return until - now;
}

/* 1: the watched descriptor is ready; 0: something else was, or nothing. */
static int
once(struct dr_listen *l, int64_t us, int watched, struct dr_err *err)
{
	struct pollfd p[2 + SOCKETS + DR_LISTEN_MAX];
	size_t of[DR_LISTEN_MAX], n = 0, conns = 0;
	const struct pollfd *q;

	p[n++] = (struct pollfd){ dr_stop_fd(), POLLIN, 0 };
	p[n++] = (struct pollfd){ watched, POLLIN, 0 };
	for (size_t i = 0; i < l->fds; i++)
		p[n++] = (struct pollfd){ l->fd[i], POLLIN, 0 };
	for (size_t i = 0; i < DR_LISTEN_MAX; i++)
		if (l->conn[i].fd != -1) {
			of[conns++] = i;
			p[n++] = (struct pollfd){ l->conn[i].fd,
				l->conn[i].writing ? POLLOUT : POLLIN, 0 };
		}
	if (poll(p, (nfds_t)n, us <= 0 ? 0 : (int)(us / 1000) + 1) == -1) {
		if (errno != EINTR)
			return dr_err_sys(err, "cannot wait");
		return dr_check_stop(err);
	}
	if (dr_check_stop(err) == -1)
		return -1;
	q = &p[2 + l->fds];
	for (size_t i = 0; i < conns; i++)
		if (q[i].revents != 0 && serve(l, &l->conn[of[i]]) == -1)
			hang_up(&l->conn[of[i]]);
	for (size_t i = 0; i < l->fds; i++)
		if (p[2 + i].revents != 0)
			accept_all(l, l->fd[i]);
	return p[1].revents != 0;
}

int
dr_listen_turn(struct dr_listen *l, int ms, int fd, struct dr_err *err)
{
	const int64_t forever = INT64_C(3600000000);
	int64_t end = ms < 0 ? INT64_MAX : dr_monotonic() + ms * INT64_C(1000);
	int64_t now, until;
	int rc;

	do {
		now = dr_monotonic();
		until = end - now > forever ? now + forever : end;
		rc = once(l, expire(l, until), fd, err);
	} while (rc == 0 && dr_monotonic() < end);
	return rc == -1 ? -1 : 0;
}
