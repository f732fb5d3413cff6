/*
 * Names of hosts into addresses, each in a process of its own: there is no
 * other way to give up on a resolver.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/msg.h"
#include "base/num.h"
#include "pg/hosts.h"

#define ADDRESSES 8
#define ANSWER    2048
#define FOUND     '='

struct finding {
	struct dr_pg_host *host;
	pid_t pid;
	int fd;
	char answer[ANSWER]; /* FOUND and addresses, or why not */
	size_t n;
};

/* The child: says what it finds to FD. */
static _Noreturn void
look_up(const char *name, int fd)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL, *a;
	char out[ANSWER] = { FOUND, '\0' }, text[64];
	size_t n = 1, left = ADDRESSES;
	int rc;

	if ((rc = getaddrinfo(name, NULL, &hints, &all)) != 0)
		n = (size_t)snprintf(out, sizeof(out), "%s", gai_strerror(rc));
	for (a = all; a != NULL && left > 0; a = a->ai_next) {
		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text),
		        NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s",
		    left < ADDRESSES ? "," : "", text);
		left--;
	}
	_exit(write(fd, out, n) == (ssize_t)n ? 0 : 1);
}

static int
begin(struct finding *f, struct dr_err *err)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) == -1)
		return dr_err_sys(err, "cannot make a pipe");
	if ((f->pid = fork()) == -1) {
		(void)dr_err_sys(err, "cannot make a process");
		close(p[0]);
		close(p[1]);
		f->pid = 0;
		return -1;
	}
	if (f->pid == 0) {
		dr_stops_ignore();
		look_up(f->host->name, p[1]);
	}
	close(p[1]);
	f->fd = p[0];
	return 0;
}

/* Something came, or the end. */
static void
take(struct finding *f)
{
	ssize_t n = read(f->fd, f->answer + f->n, sizeof(f->answer) - 1 - f->n);

	if (n == -1 && errno == EINTR)
		return;
	if (n > 0) {
		f->n += (size_t)n;
		return;
	}
	close(f->fd);
	f->fd = -1;
}

static int
wait_all(struct finding *f, size_t n, int64_t until, struct dr_err *err)
{
	struct pollfd p[DR_PG_HOSTS_MAX + 1];
	size_t i, left;
	int64_t ms;

	for (;;) {
		for (i = left = 0; i < n; i++) {
			p[i].fd = f[i].fd;
			p[i].events = POLLIN;
			p[i].revents = 0;
			left += f[i].fd != -1;
		}
		p[n].fd = dr_stop_fd();
		p[n].events = POLLIN;
		p[n].revents = 0;
		ms = (until - dr_monotonic()) / 1000;
		if (left == 0 || ms <= 0)
			return 0;
		if (poll(p, n + 1, ms < 60000 ? (int)ms + 1 : 60000) == -1 &&
		    errno != EINTR)
			return dr_err_sys(err, "cannot wait for a name");
		if (dr_check_stop(err) == -1)
			return -1;
		for (i = 0; i < n; i++)
			if (p[i].revents != 0)
				take(&f[i]);
	}
}

/* KEY='VALUE,VALUE,...', N times. */
static int
repeat(struct dr_buf *b, const char *key, const char *value, size_t n,
    struct dr_err *err)
{
	size_t i;

	if (dr_buf_fmt(b, err, " %s='", key) == -1)
		return -1;
	for (i = 0; i < n; i++)
		if (dr_buf_fmt(b, err, "%s%s", i > 0 ? "," : "", value) == -1)
			return -1;
	return dr_buf_str(b, "'", err);
}

/* What was found goes into the string; the last word of a setting counts. */
static int
settle(const struct finding *f, struct dr_err *err)
{
	struct dr_pg_host *h = f->host;
	const char *list = f->answer + 1, *p;
	struct dr_buf b = { .max = 32768 };
	size_t n = 1;

	if (f->n < 2 || f->answer[0] != FOUND) {
		(void)dr_err_set(&h->lost, DR_ERETRY,
		    f->n > 0 ? "cannot look up the host \"%s\": %s"
		             : "cannot look up the host \"%s\" in time",
		    h->name, f->answer);
		return 0;
	}
	for (p = list; (p = strchr(p, ',')) != NULL; p++)
		n++;
	if (strpbrk(h->name, "'\\") != NULL ||
	    dr_buf_str(&b, h->conninfo, err) == -1 ||
	    repeat(&b, "host", h->name, n, err) == -1 ||
	    repeat(&b, "hostaddr", list, 1, err) == -1) {
		dr_buf_free(&b);
		return dr_err_set(err, DR_EUSAGE,
		    "the host's name makes no sense");
	}
	explicit_bzero(h->conninfo, strlen(h->conninfo));
	free(h->conninfo);
	h->conninfo = b.data;
	return 0;
}

int
dr_pg_hosts_find(struct dr_pg_host *v, size_t n, int64_t until,
    struct dr_err *err)
{
	struct finding *f = NULL;
	size_t i, k = 0, begun = 0;
	int rc = -1;

	for (i = 0; i < n; i++)
		k += v[i].name != NULL;
	if (k == 0)
		return 0;
	if ((f = calloc(k, sizeof(*f))) == NULL)
		return dr_err_sys(err, "cannot look up hosts");
	for (i = k = 0; i < n; i++) {
		if (v[i].name == NULL)
			continue;
		f[k].host = &v[i];
		if (begin(&f[k], err) == -1)
			goto out;
		begun = ++k;
	}
	if (wait_all(f, k, until, err) == -1)
		goto out;
	for (i = 0; i < k; i++)
		if (settle(&f[i], err) == -1)
			goto out;
	rc = 0;

out:
	for (i = 0; i < begun; i++) {
		if (f[i].fd != -1) {
			close(f[i].fd);
			(void)kill(f[i].pid, SIGKILL);
		}
		while (waitpid(f[i].pid, NULL, 0) == -1 && errno == EINTR)
			continue;
	}
	free(f);
	return rc;
}
