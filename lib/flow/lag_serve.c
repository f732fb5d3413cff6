/*
 * The report for scrapes and load balancers.
 *
 * This process only answers, from memory; children look.  One goes on and on
 * with whole reports (and is replaced now and then, so that nothing adds up
 * over days); while a store keeps it waiting, another looks at the servers
 * alone, so that no store decides whether a server is healthy.
 */
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "flow/lag_serve.h"

#define REPORTS  500                /* by one child */
#define STUCK_US INT64_C(600000000) /* without a word: it is killed */
#define TURN_MS  1000               /* at the longest between two looks */
#define BODY_MAX (64U << 20)

/* What a child says, before each of its messages. */
struct frame {
	enum { F_HEALTH, F_JSON, F_PROM, F_FAILED } kind;
	int64_t began; /* monotonic: when it began to look */
	uint64_t len;
};

struct feed {
	pid_t pid; /* 0: none */
	int fd;
	int64_t heard;
	struct dr_buf in;
};

struct serve {
	const struct dr_lag_opts *o;
	struct dr_store *const *store;
	size_t n;
	int64_t interval; /* us */
	struct dr_listen *listen;
	int epoll;
	struct feed whole, quick;
	int64_t forked; /* the quick one, last */
	struct dr_served served;
};

/* --- in a child -------------------------------------------------------------------- */

struct talk {
	int fd;
	int64_t began;
	struct dr_err err;
};

static int
tell(struct talk *t, int kind, const void *data, size_t len)
{
	struct frame f;

	memset(&f, 0, sizeof(f));
	f.kind = (unsigned)kind;
	f.began = t->began;
	f.len = len;
	if (dr_fd_write(t->fd, &f, sizeof(f), "the report", &t->err) == -1)
		return -1;
	return dr_fd_write(t->fd, data, len, "the report", &t->err);
}

static void
tell_health(void *arg, const struct dr_lag *lag)
{
	struct talk *t = arg;
	struct dr_health *h = calloc(lag->servers + 1, sizeof(*h));

	if (h == NULL)
		return;
	for (size_t i = 0; i < lag->servers; i++)
		dr_health_of(lag, i, &h[i]);
	(void)tell(t, F_HEALTH, h, lag->servers * sizeof(*h));
	free(h);
}

static int
tell_rest(struct talk *t, const struct dr_lag *lag)
{
	struct dr_buf out = { .max = BODY_MAX / 2 };
	int rc = dr_lag_json(lag, &out, &t->err);

	if (rc == 0)
		rc = tell(t, F_JSON, out.data, out.len);
	out.len = 0;
	if (rc == 0)
		rc = dr_lag_prom(lag, &out, &t->err);
	if (rc == 0)
		rc = tell(t, F_PROM, out.data, out.len);
	dr_buf_free(&out);
	return rc;
}

/* One look; -1 ends the child. */
static int
look(const struct serve *s, struct talk *t, bool whole)
{
	struct dr_lag_opts o = *s->o;
	struct dr_lag lag;
	int rc = 0;

	o.seen = tell_health;
	o.seen_arg = t;
	t->began = dr_monotonic();
	dr_err_clear(&t->err);
	if (dr_lag_report(&o, s->store, whole ? s->n : 0, &lag, &t->err) == -1)
		return tell(t, F_FAILED, t->err.msg, strlen(t->err.msg));
	if (whole)
		rc = tell_rest(t, &lag);
	dr_lag_free(&lag);
	return rc;
}

static void
child(struct serve *s, int fd, bool whole)
{
	struct talk t = { .fd = fd };
	int64_t next = dr_monotonic(), now;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() == 1)
		_exit(1);
	dr_stops_ignore();
	dr_listen_forget(s->listen);
	dr_quiet = true; /* the same every few seconds; the report has it */
	for (int i = 0; i < (whole ? REPORTS : 1); i++) {
		if (look(s, &t, whole) == -1)
			_exit(1);
		now = dr_monotonic();
		for (next += s->interval; next < now;)
			next = now;
		if (whole && next > now)
			(void)poll(NULL, 0, (int)((next - now) / 1000));
	}
	_exit(0);
}

/* --- in the parent ------------------------------------------------------------------ */

static void
end(struct serve *s, struct feed *f)
{
	if (f->pid == 0)
		return;
	(void)kill(f->pid, SIGKILL);
	while (waitpid(f->pid, NULL, 0) == -1 && errno == EINTR)
		;
	(void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, f->fd, NULL);
	close(f->fd);
	dr_buf_free(&f->in);
	f->pid = 0;
}

static int
start(struct serve *s, struct feed *f, bool whole, struct dr_err *err)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int p[2];

	if (pipe2(p, O_CLOEXEC) == -1)
		return dr_err_sys(err, "cannot make a pipe");
	f->pid = fork();
	if (f->pid == -1) {
		f->pid = 0;
		dr_err_sys(err, "cannot fork");
		close(p[0]);
		close(p[1]);
		return -1;
	}
	if (f->pid == 0) {
		close(p[0]);
		close(s->epoll);
		child(s, p[1], whole);
	}
	close(p[1]);
	f->fd = p[0];
	f->in.max = BODY_MAX;
	f->heard = dr_monotonic();
	if (fcntl(f->fd, F_SETFL, O_NONBLOCK) == -1 ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, f->fd, &ev) == -1)
		return dr_err_sys(err, "cannot watch a child");
	return 0;
}

static void
keep(struct dr_served_body *b, const struct frame *f, const char *data)
{
	char *copy = malloc(f->len + 1);

	if (copy == NULL)
		return; /* the former is still there, and grows old */
	memcpy(copy, data, f->len);
	copy[f->len] = '\0';
	free(b->data);
	b->data = copy;
	b->len = f->len;
	b->began = f->began;
	b->came = dr_monotonic();
}

static void
take(struct serve *s, const struct frame *f, const char *data)
{
	struct dr_served *v = &s->served;

	switch (f->kind) {
	case F_HEALTH:
		/* Two children may look at once. */
		if (v->health.data != NULL && f->began < v->health.began)
			return;
		keep(&v->health, f, data);
		return;
	case F_JSON:
		keep(&v->json, f, data);
		return;
	case F_PROM:
		keep(&v->prom, f, data);
		v->reports++;
		return;
	case F_FAILED:
		v->failures++;
		if (!v->failing)
			dr_warn("%.*s", (int)f->len, data);
		v->failing = true;
		return;
	}
}

/* What has come from it; -1: it has ended. */
static int
hear(struct serve *s, struct feed *f)
{
	struct dr_err err = { 0 };
	struct frame head;
	size_t at = 0;
	ssize_t n;

	for (;;) {
		if (dr_buf_room(&f->in, 65536, &err) == -1)
			return -1;
		n = read(f->fd, f->in.data + f->in.len, 65536);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			break;
		if (n == 0)
			return -1;
		f->in.len += (size_t)n;
	}
	f->heard = dr_monotonic();
	while (f->in.len - at >= sizeof(head)) {
		memcpy(&head, f->in.data + at, sizeof(head));
		if (head.len > BODY_MAX)
			return -1;
		if (f->in.len - at < sizeof(head) + head.len)
			break;
		if (head.kind == F_PROM)
			s->served.failing = false;
		take(s, &head, f->in.data + at + sizeof(head));
		at += sizeof(head) + head.len;
	}
	f->in.len -= at;
	memmove(f->in.data, f->in.data + at, f->in.len);
	return 0;
}

static void
attend(struct serve *s, struct feed *f)
{
	struct pollfd p = { f->fd, POLLIN, 0 };

	if (f->pid == 0)
		return;
	if (poll(&p, 1, 0) == 1 && hear(s, f) == -1) {
		(void)waitpid(f->pid, NULL, 0);
		(void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, f->fd, NULL);
		close(f->fd);
		dr_buf_free(&f->in);
		f->pid = 0;
	}
}

/* Children that are due. */
static int
tend(struct serve *s, struct dr_err *err)
{
	const int64_t now = dr_monotonic();
	const int64_t stuck =
	    10 * s->interval > STUCK_US ? 10 * s->interval : STUCK_US;
	const int64_t began = s->served.health.began;

	if (s->whole.pid != 0 && now - s->whole.heard > stuck) {
		s->served.failures++;
		end(s, &s->whole);
	}
	if (s->quick.pid != 0 && now - s->quick.heard > stuck)
		end(s, &s->quick);
	if (s->whole.pid == 0 &&
	    now - s->whole.heard >= (s->whole.heard == 0 ? 0 : s->interval / 4))
		if (start(s, &s->whole, true, err) == -1)
			return -1;
	/* The whole one is late, so somebody is slow. */
	if (s->n > 0 && s->quick.pid == 0 && now - s->forked >= s->interval &&
	    s->served.health.data != NULL &&
	    now - began >= s->interval + s->interval / 2) {
		s->forked = now;
		return start(s, &s->quick, false, err);
	}
	return 0;
}

int
dr_lag_serve(const struct dr_lag_opts *o, struct dr_store *const *store,
    size_t n, const char *addr, uint64_t interval_ms, struct dr_err *err)
{
	struct serve s = { .o = o,
		.store = store,
		.n = n,
		.interval = (int64_t)interval_ms * 1000,
		.epoll = -1 };
	const int ms = interval_ms / 4 < 1         ? 1
	               : interval_ms / 4 < TURN_MS ? (int)(interval_ms / 4)
	                                           : TURN_MS;
	int rc = -1;

	s.served.interval = s.interval;
	if ((s.epoll = epoll_create1(EPOLL_CLOEXEC)) == -1) {
		dr_err_sys(err, "cannot wait for children");
		goto out;
	}
	s.listen = dr_listen_new(addr, dr_served_answer, &s.served, err);
	if (s.listen == NULL)
		goto out;
	s.served.listen = s.listen;
	dr_say(1, "listening on %s", dr_listen_addr(s.listen));
	do {
		if ((rc = tend(&s, err)) == -1)
			break;
		rc = dr_listen_turn(s.listen, ms, s.epoll, err);
		attend(&s, &s.whole);
		attend(&s, &s.quick);
	} while (rc == 0);

out:
	end(&s, &s.whole);
	end(&s, &s.quick);
	if (s.epoll != -1)
		close(s.epoll);
	dr_listen_free(s.listen);
	free(s.served.health.data);
	free(s.served.json.data);
	free(s.served.prom.data);
	return rc;
}
