#include "http/http.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "http/loop.h"
#include "http/rate.h"
#include "http/transfer.h"

/* What has to be taken back after a stop signal has so long. */
#define AFTER_STOP 5000000

/* One of the loops that dr_http_do takes when it works by itself. */
struct spare {
	struct dr_loop *loop;
	struct spare *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static size_t clients;
static struct spare *spares;
static struct dr_loop *main_loop;
/* The parent's, in a child: reachable, and never touched. */
static struct spare *old_spares;
static struct dr_loop *old_loop;

/* Connections are their parent's: a child begins with none. */
static void
in_child(void)
{
	pthread_mutex_init(&mutex, NULL);
	old_spares = spares;
	old_loop = main_loop;
	spares = NULL;
	main_loop = NULL;
}

static void
watch_forks(void)
{
	pthread_atfork(NULL, NULL, in_child);
}

static void
use_default(uint64_t *v, uint64_t ms)
{
	if (*v == 0)
		*v = ms;
	/* A year is for ever, and its microseconds can be added up. */
	if (*v > UINT64_C(31536000000))
		*v = UINT64_C(31536000000);
}

static int
copy(const char *from, char **to)
{
	return from != NULL && (*to = strdup(from)) == NULL ? -1 : 0;
}

static void
wipe(struct dr_http *h)
{
	if (h == NULL)
		return;
	free(h->ca_file);
	free(h->cert_file);
	free(h->key_file);
	free(h);
}

struct dr_http *
dr_http_new(const struct dr_http_opts *o, struct dr_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct dr_http *h;

	if ((h = calloc(1, sizeof(*h))) == NULL)
		goto nomem;
	h->opts = *o;
	if (copy(o->ca_file, &h->ca_file) == -1 ||
	    copy(o->cert_file, &h->cert_file) == -1 ||
	    copy(o->key_file, &h->key_file) == -1)
		goto nomem;
	h->opts.ca_file = h->ca_file;
	h->opts.cert_file = h->cert_file;
	h->opts.key_file = h->key_file;
	use_default(&h->opts.connect_ms, 10000);
	use_default(&h->opts.stall_ms, 30000);
	use_default(&h->opts.patience_ms, 120000);
	if (h->opts.connect_ms > h->opts.patience_ms)
		h->opts.connect_ms = h->opts.patience_ms;
	dr_rate_limit(o->limit_rate);
	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&mutex);
	clients++;
	pthread_mutex_unlock(&mutex);
	return h;

nomem:
	dr_err_sys(err, "cannot allocate a client for HTTP");
	wipe(h);
	return NULL;
}

void
dr_http_free(struct dr_http *h)
{
	struct spare *s = NULL;
	struct dr_loop *l = NULL;

	if (h == NULL)
		return;
	pthread_mutex_lock(&mutex);
	if (--clients == 0) {
		s = spares;
		l = main_loop;
		spares = NULL;
		main_loop = NULL;
	}
	pthread_mutex_unlock(&mutex);
	while (s != NULL) {
		struct spare *next = s->next;

		dr_loop_free(s->loop);
		free(s);
		s = next;
	}
	dr_loop_free(l);
	wipe(h);
}

void
dr_http_hurry(struct dr_http *h, uint64_t ms)
{
	h->hurry_ms = ms;
}

int
dr_http_header(struct dr_http_head *head, const char *name, const char *value,
    struct dr_err *err)
{
	char *line;

	for (const char *p = value; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return dr_err_set(err, DR_EFAIL,
			    "the value of header %s holds control characters",
			    name);
	/* curl's way to send a name without a value. */
	line = *value == '\0' ? dr_fmt(err, "%s;", name)
	                      : dr_fmt(err, "%s: %s", name, value);
	if (line == NULL)
		return -1;
	if (dr_strs_add(&head->raw, line, err) == -1) {
		free(line);
		return -1;
	}
	return 0;
}

const char *
dr_http_field(const struct dr_http_req *req, const char *name)
{
	for (size_t i = 0; i < req->fields; i++)
		if (strcmp(req->field[i].name, name) == 0)
			return req->field[i].value;
	return NULL;
}

void
dr_http_wipe(struct dr_http_req *req)
{
	dr_http_cancel(req);
	for (size_t i = 0; i < req->fields; i++) {
		free(req->field[i].name);
		free(req->field[i].value);
	}
	free(req->field);
	req->field = NULL;
	req->fields = 0;
	/* It may hold tokens. */
	if (req->reply.data != NULL)
		explicit_bzero(req->reply.data, req->reply.cap);
	dr_buf_free(&req->reply);
	req->status = 0;
	req->attempts = 0;
	req->lost = req->ended = false;
	dr_err_clear(&req->err);
}

static struct dr_loop *
the_loop(struct dr_err *err)
{
	if (main_loop == NULL)
		main_loop = dr_loop_new(err);
	return main_loop;
}

static struct spare *
take_spare(struct dr_err *err)
{
	struct spare *s;

	pthread_mutex_lock(&mutex);
	if ((s = spares) != NULL)
		spares = s->next;
	pthread_mutex_unlock(&mutex);
	if (s != NULL)
		return s;
	if ((s = calloc(1, sizeof(*s))) == NULL) {
		dr_err_sys(err, "cannot allocate transfers");
		return NULL;
	}
	if ((s->loop = dr_loop_new(err)) == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

static void
leave_spare(struct spare *s)
{
	pthread_mutex_lock(&mutex);
	s->next = spares;
	spares = s;
	pthread_mutex_unlock(&mutex);
}

/* Threads leave what dr_check_stop does besides to the main one. */
static int
check_stop(bool in_main, struct dr_err *err)
{
	if (in_main)
		return dr_check_stop(err);
	if (dr_stopped() == 0)
		return 0;
	return dr_err_set(err, DR_ESTOP, "stopped by signal %d", dr_stopped());
}

/*
 * Drive LOOP until REQ has ended.  A stop signal ends it, unless it takes
 * something back: then it may go on for a little.
 */
static int
finish(struct dr_loop *loop, struct dr_http_req *req, bool in_main,
    struct dr_err *err)
{
	int64_t until = -1, now;

	while (!req->ended) {
		struct dr_err stop = { 0 };
		uint64_t ms = 1000;
		int fd = dr_stop_fd();

		if (check_stop(in_main, &stop) == -1) {
			now = dr_monotonic();
			if (until == -1 && (req->cleanup || strcmp(req->method,
			                                        "DELETE") == 0))
				until = now + AFTER_STOP;
			if (until == -1 || now >= until) {
				dr_loop_cancel(req);
				if (err->cause == DR_OK)
					*err = stop;
				return -1;
			}
			fd = -1;
			ms = 100;
		}
		if (dr_loop_turn(loop, ms, fd, err) == -1) {
			dr_loop_cancel(req);
			return -1;
		}
	}
	if (req->err.cause == DR_OK)
		return 0;
	if (err->cause == DR_OK)
		*err = req->err;
	return -1;
}

int
dr_http_do(struct dr_http *h, struct dr_http_req *req, struct dr_err *err)
{
	bool in_main = getpid() == gettid();
	struct spare *s = NULL;
	struct dr_loop *loop;
	int rc = -1;

	if (in_main && (main_loop == NULL || !dr_loop_busy(main_loop)))
		loop = the_loop(err);
	else
		loop = (s = take_spare(err)) == NULL ? NULL : s->loop;
	if (loop == NULL)
		return -1;
	if (dr_loop_start(loop, h, req, err) == 0)
		rc = finish(loop, req, in_main, err);
	if (s != NULL)
		leave_spare(s);
	else
		dr_loop_news(loop);
	return rc;
}

/* While the main thread waits for input, what it began goes on. */
static int
wait_too(struct pollfd *p, nfds_t n, int ms)
{
	if (getpid() != gettid() || main_loop == NULL)
		return poll(p, n, ms);
	return dr_loop_poll(main_loop, p, n, ms);
}

int
dr_http_start(struct dr_http *h, struct dr_http_req *req, struct dr_err *err)
{
	struct dr_loop *loop = the_loop(err);

	if (loop == NULL)
		return -1;
	dr_fd_poll = wait_too;
	return dr_loop_start(loop, h, req, err);
}

void
dr_http_cancel(struct dr_http_req *req)
{
	dr_loop_cancel(req);
}

uint64_t
dr_http_sent(const struct dr_http_req *req)
{
	const struct dr_transfer *t = req->transfer;

	return t == NULL ? 0 : t->furthest;
}

const char *
dr_http_trouble(const struct dr_http_req *req)
{
	const struct dr_transfer *t = req->transfer;

	return t == NULL || t->why.cause == DR_OK ? NULL : t->why.msg;
}

int
dr_http_turn(uint64_t ms, struct dr_err *err)
{
	struct pollfd p = { .fd = dr_stop_fd(), .events = POLLIN };

	if (dr_check_stop(err) == -1)
		return -1;
	if (main_loop != NULL) {
		if (dr_loop_turn(main_loop, ms, p.fd, err) == -1)
			return -1;
	} else if (poll(&p, 1, ms > 60000 ? 60000 : (int)ms) == -1 &&
	           errno != EINTR)
		return dr_err_sys(err, "cannot wait");
	return dr_check_stop(err);
}

int
dr_http_encode(struct dr_buf *out, const char *s, bool slash,
    struct dr_err *err)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (isalnum(c) || strchr("-._~", c) != NULL ||
		    (slash && c == '/')) {
			if (dr_buf_add(out, s, 1, err) == -1)
				return -1;
		} else if (dr_buf_fmt(out, err, "%%%02X", c) == -1)
			return -1;
	}
	return 0;
}
