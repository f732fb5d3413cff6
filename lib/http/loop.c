#include "http/loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/select.h>
#include <sys/socket.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "http/rate.h"
#include "http/transfer.h"

#define KEEP_IDLE    16
#define FIRST_PAUSE  200000 /* microseconds, as all times here */
#define LONGEST      10000000
/* When patience is over, an attempt has to move so much in a stall's time. */
#define DECENT_BYTES 4096

struct dr_loop {
	const struct dr_curl *c;
	CURLM *multi;
	struct dr_transfer *first;
	CURL *idle[KEEP_IDLE];
	size_t nidle;
	unsigned turns; /* of those that a rate limit held up */
	unsigned busy;  /* depth of calls to prepare and judge */
	bool news;      /* a transfer has ended */
	pid_t pid;
};

struct dr_loop *
dr_loop_new(struct dr_err *err)
{
	struct dr_loop *l;

	if ((l = calloc(1, sizeof(*l))) == NULL) {
		dr_err_sys(err, "cannot allocate transfers");
		return NULL;
	}
	l->pid = getpid();
	if ((l->c = dr_curl(err)) == NULL)
		goto fail;
	if ((l->multi = l->c->multi_init()) == NULL) {
		dr_err_set(err, DR_EFAIL, "cannot allocate transfers");
		goto fail;
	}
	return l;

fail:
	free(l);
	return NULL;
}

void
dr_loop_free(struct dr_loop *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->nidle; i++)
		l->c->easy_cleanup(l->idle[i]);
	l->c->multi_cleanup(l->multi);
	free(l);
}

void
dr_loop_news(struct dr_loop *l)
{
	l->news = l->first != NULL;
}

bool
dr_loop_busy(const struct dr_loop *l)
{
	return l->busy > 0;
}

/* --- one transfer ------------------------------------------------------------- */

static void
unlink_transfer(struct dr_transfer *t)
{
	struct dr_transfer **p = &t->loop->first;

	while (*p != t)
		p = &(*p)->next;
	*p = t->next;
}

/* The attempt is over; its handle rests. */
static void
detach(struct dr_transfer *t)
{
	struct dr_loop *l = t->loop;

	if (t->easy == NULL)
		return;
	l->c->multi_remove_handle(l->multi, t->easy);
	l->c->easy_reset(t->easy);
	if (l->nidle < KEEP_IDLE)
		l->idle[l->nidle++] = t->easy;
	else
		l->c->easy_cleanup(t->easy);
	t->easy = NULL;
	dr_attempt_wipe(t, l->c);
}

static void
end(struct dr_transfer *t)
{
	struct dr_http_req *req = t->req;

	detach(t);
	unlink_transfer(t);
	t->loop->news = true;
	req->ended = true;
	req->transfer = NULL;
	free(t);
}

/* It has failed for good, because of WHY. */
static void
give_up(struct dr_transfer *t, const struct dr_err *why)
{
	struct dr_http_req *req = t->req;
	char ms[DR_SIZE_LEN];

	dr_err_clear(&req->err);
	if (req->attempts > 1)
		dr_err_set(&req->err, why->cause, "%s: %s (%u attempts in %s)",
		    req->what, why->msg, req->attempts,
		    dr_format_msec((uint64_t)(dr_monotonic() - t->begun) / 1000,
		        ms));
	else
		dr_err_set(&req->err, why->cause, "%s: %s", req->what,
		    why->msg);
	if (why->hint[0] != '\0')
		dr_err_hint(&req->err, "%s", why->hint);
	end(t);
}

static int
begin(struct dr_transfer *t, struct dr_err *err)
{
	struct dr_loop *l = t->loop;
	CURLMcode rc;
	int set;

	if (l->nidle > 0)
		t->easy = l->idle[--l->nidle];
	else if ((t->easy = l->c->easy_init()) == NULL)
		return dr_err_set(err, DR_EFAIL, "cannot allocate a transfer");
	t->due = -1;
	t->req->attempts++;
	l->busy++;
	set = dr_attempt_set(t, l->c, err);
	l->busy--;
	if (set == -1)
		return -1;
	rc = l->c->multi_add_handle(l->multi, t->easy);
	if (rc != CURLM_OK)
		return dr_err_set(err, DR_EFAIL, "%s: cannot begin: %s",
		    t->req->what, l->c->multi_strerror(rc));
	return 0;
}

/*
 * How long to wait before the next attempt; -1: there is no time for one.
 */
static int64_t
next_pause(struct dr_transfer *t, int64_t asked)
{
	int64_t left = t->deadline - dr_monotonic(), pause = FIRST_PAUSE;
	uint32_t rnd = 0;
	struct dr_err odd = { 0 };

	if (asked > 0)
		return asked < left ? asked : -1;
	for (unsigned i = 0; i < t->pauses && pause < LONGEST; i++)
		pause *= 2;
	if (pause > LONGEST)
		pause = LONGEST;
	t->pauses++;
	/* Between half and all of it, so that hosts do not march in step. */
	(void)dr_random(&rnd, sizeof(rnd), &odd);
	pause = pause / 2 + (int64_t)(rnd % (uint32_t)(pause / 2));
	if (pause >= left)
		pause = left / 2;
	return pause < FIRST_PAUSE / 4 ? -1 : pause;
}

/* Another attempt, if there is time for it; WHY the last one was not good. */
static void
again(struct dr_transfer *t, int64_t asked, const struct dr_err *why)
{
	int64_t pause = next_pause(t, asked);

	if (pause == -1) {
		give_up(t, why);
		return;
	}
	t->due = dr_monotonic() + pause;
	t->why = *why;
	detach(t);
}

/* There is no answer, for the reason that CODE stands for. */
static void
unanswered(struct dr_transfer *t, CURLcode code)
{
	bool arrived = dr_attempt_arrived(t), more;
	struct dr_err why = { 0 };

	t->req->status = 0;
	t->req->lost = t->req->lost || arrived;
	if (t->err.cause != DR_OK) {
		t->req->err = t->err;
		end(t);
		return;
	}
	more = dr_fault(t, t->loop->c, code, &why);
	if (t->req->once && t->req->lost) {
		dr_err_hint(&why, "it may have taken effect all the same");
		more = false;
	}
	more = more && !t->req->single;
	if (more)
		again(t, 0, &why);
	else
		give_up(t, &why);
}

static bool
worth_retrying(int status)
{
	/* Not what a server will never do: 501 and 505. */
	return status == 408 || status == 429 ||
	       (status >= 500 && status != 501 && status != 505);
}

static void
answered(struct dr_transfer *t)
{
	struct dr_http_req *req = t->req;
	struct dr_loop *l = t->loop;
	curl_off_t asked = 0;
	struct dr_err why = { 0 };
	int verdict = 0;
	bool over;

	l->c->easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &asked);
	if (req->judge != NULL) {
		l->busy++;
		verdict = req->judge(req->arg, req, &why);
		l->busy--;
	}
	over = verdict == 0 && !worth_retrying(req->status);
	if (!over &&
	    (req->status >= 500 || (verdict == 1 && req->status < 300)))
		req->lost = true;
	if (over || (verdict == 0 && req->single)) {
		end(t);
		return;
	}
	if (why.cause == DR_OK)
		dr_err_set(&why, DR_ERETRY, "%s answers %d", t->host,
		    req->status);
	if (verdict == -1 || req->single || (req->once && req->lost))
		give_up(t, &why);
	else
		again(t, (int64_t)(asked > 86400 ? 86400 : asked) * 1000000,
		    &why);
}

static void
conclude(struct dr_transfer *t, CURLcode code)
{
	struct dr_http_req *req = t->req;
	long status = 0;

	t->loop->c->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	req->status = (int)status;
	if (code == CURLE_WRITE_ERROR && t->overlong)
		code = CURLE_OK;
	if (code == CURLE_WRITE_ERROR && t->err.cause == DR_OK)
		code = CURLE_PARTIAL_FILE;
	if (code == CURLE_OK && req->into != NULL && t->got != req->into_len &&
	    (status == 200 || status == 206))
		code = CURLE_PARTIAL_FILE;
	if (code == CURLE_OK)
		answered(t);
	else
		unanswered(t, code);
}

/* --- all of them ---------------------------------------------------------------- */

/* In flight, and out of patience with it? */
static bool
stalled(struct dr_transfer *t, int64_t now)
{
	int64_t stall = t->stall;

	if (t->due != -1 || !t->asked)
		return false;
	if (t->paused) {
		t->last = t->mark = now;
		return false;
	}
	if (now - t->mark >= stall) {
		t->before = t->moved;
		t->moved = 0;
		t->mark = now;
	}
	if (now - t->last >= stall)
		return true;
	if (now >= t->deadline && t->req->single)
		return true;
	return now >= t->deadline && t->http->opts.limit_rate == 0 &&
	       t->before + t->moved < DECENT_BYTES;
}

/* Callbacks may change the list: begin anew after each. */
static void
start_due(struct dr_loop *l)
{
	struct dr_transfer *t;
	struct dr_err err = { 0 };
	int64_t now = dr_monotonic();

	for (t = l->first; t != NULL;) {
		if (t->due == -1 || t->due > now) {
			t = t->next;
			continue;
		}
		if (begin(t, &err) == -1) {
			t->req->err = err;
			dr_err_clear(&err);
			end(t);
		}
		t = l->first;
	}
}

static void
end_stalled(struct dr_loop *l)
{
	int64_t now = dr_monotonic();
	struct dr_transfer *t;

	for (t = l->first; t != NULL;) {
		if (!stalled(t, now)) {
			t = t->next;
			continue;
		}
		unanswered(t, CURLE_OPERATION_TIMEDOUT);
		t = l->first;
	}
}

/* Who has waited longest comes first. */
static void
resume_paused(struct dr_loop *l)
{
	struct dr_transfer *t, *oldest;

	/* In which way it was held up does not matter: it would ask again. */
	for (size_t i = 0; i < 64; i++) {
		oldest = NULL;
		for (t = l->first; t != NULL; t = t->next)
			if (t->paused && t->resumed <= l->turns &&
			    (oldest == NULL || t->resumed < oldest->resumed))
				oldest = t;
		if (oldest == NULL || (dr_rate_wait(DR_WAY_OUT) > 0 &&
		                          dr_rate_wait(DR_WAY_IN) > 0))
			break;
		oldest->paused = false;
		oldest->resumed = l->turns + 1;
		l->c->easy_pause(oldest->easy, CURLPAUSE_CONT);
	}
	l->turns++;
}

static int
step(struct dr_loop *l, struct dr_err *err)
{
	CURLMcode rc;
	CURLMsg *m;
	char *p;
	int left;

	start_due(l);
	resume_paused(l);
	if ((rc = l->c->multi_perform(l->multi, &left)) != CURLM_OK)
		return dr_err_set(err, DR_EFAIL, "cannot go on: %s",
		    l->c->multi_strerror(rc));
	while ((m = l->c->multi_info_read(l->multi, &left)) != NULL) {
		struct dr_transfer *t;

		if (m->msg != CURLMSG_DONE)
			continue;
		l->c->easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &p);
		for (t = l->first; (char *)t != p;)
			t = t->next;
		conclude(t, m->data.result);
	}
	end_stalled(l);
	return 0;
}

/* Until when nothing is to be done, but for what the sockets say. */
static int64_t
next_event(const struct dr_loop *l, int64_t until)
{
	int64_t out = dr_rate_wait(DR_WAY_OUT), in = dr_rate_wait(DR_WAY_IN);
	int64_t now = dr_monotonic(), at;

	for (const struct dr_transfer *t = l->first; t != NULL; t = t->next) {
		int64_t stall = t->stall;

		if (t->due != -1)
			at = t->due;
		else if (t->paused)
			at = now + (out < in || in == 0 ? out : in) + 1000;
		else {
			at = t->last + stall;
			if (t->deadline > now && t->deadline < at)
				at = t->deadline;
			else if (t->deadline <= now && t->mark + stall < at)
				at = t->mark + stall;
			/* Who connects is told by curl's own clock. */
			if (!t->asked)
				at = now + 1000000;
		}
		if (at < until)
			until = at;
	}
	return until;
}

/*
 * Before a wait: say at once that what came has arrived.  A server that leaves
 * Nagle's algorithm on (radosgw 16 does) holds back each body that follows a
 * head, and the last bytes of each reply, until then: 40 ms, as the kernel
 * would have it.  It falls back to that by itself, so it is told each time.
 */
static void
acknowledge(struct dr_loop *l)
{
#ifdef TCP_QUICKACK
	fd_set in, out, other;
	int last = -1, on = 1;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&other);
	if (l->c->multi_fdset(l->multi, &in, &out, &other, &last) != CURLM_OK)
		return;
	for (int fd = 0; fd <= last && fd < FD_SETSIZE; fd++)
		if (FD_ISSET(fd, &in))
			(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on,
			    sizeof(on));
#else
	(void)l;
#endif
}

int
dr_loop_turn(struct dr_loop *l, uint64_t ms, int stop_fd, struct dr_err *err)
{
	int64_t now = dr_monotonic(), until, at, wait;
	const bool heed = stop_fd != -1;
	struct curl_waitfd stop = { .fd = stop_fd, .events = CURL_WAIT_POLLIN };

	until = now + (int64_t)(ms > 86400000 ? 86400000 : ms) * 1000;
	for (;;) {
		CURLMcode rc;

		if (step(l, err) == -1)
			return -1;
		now = dr_monotonic();
		if (l->news || now >= until)
			break;
		at = next_event(l, until);
		wait = at <= now ? 0 : (at - now + 999) / 1000;
		acknowledge(l);
		rc = l->c->multi_poll(l->multi, &stop, stop_fd == -1 ? 0 : 1,
		    (int)wait, NULL);
		if (rc != CURLM_OK)
			return dr_err_set(err, DR_EFAIL, "cannot wait: %s",
			    l->c->multi_strerror(rc));
		if (heed && dr_stopped() != 0)
			break;
		/* A child of ours was stopped, which has the same pipe. */
		if (stop.revents != 0)
			stop_fd = -1;
	}
	l->news = false;
	return 0;
}

int
dr_loop_poll(struct dr_loop *l, struct pollfd *p, nfds_t n, int ms)
{
	struct curl_waitfd w[4] = { { 0 } };
	struct dr_err ignored = { 0 };
	int64_t now, until, at;
	int rc, wait;

	if (l->first == NULL || l->busy > 0 || n > sizeof(w) / sizeof(w[0]) ||
	    step(l, &ignored) == -1 || l->first == NULL)
		return poll(p, n, ms);
	now = dr_monotonic();
	until = now + (ms < 0 ? 60000 : ms) * INT64_C(1000);
	at = next_event(l, until);
	wait = at <= now ? 0 : (int)((at - now + 999) / 1000);
	for (nfds_t i = 0; i < n; i++) {
		w[i].fd = p[i].fd;
		w[i].events = p[i].events; /* the same bits */
	}
	acknowledge(l);
	if (l->c->multi_poll(l->multi, w, (unsigned)n, wait, NULL) != CURLM_OK)
		return poll(p, n, ms);
	/* curl does not pass on that a pipe was hung up. */
	if ((rc = poll(p, n, 0)) != 0)
		return rc;
	if (ms >= 0 && dr_monotonic() >= until)
		return 0;
	errno = EINTR;
	return -1;
}

int
dr_loop_start(struct dr_loop *l, struct dr_http *http, struct dr_http_req *req,
    struct dr_err *err)
{
	struct dr_transfer *t;
	uint64_t ms = http->opts.patience_ms;
	int left;

	if (!req->steady && http->hurry_ms != 0 && http->hurry_ms < ms)
		ms = http->hurry_ms;
	dr_http_wipe(req);
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return dr_err_sys(err, "%s: cannot begin", req->what);
	t->http = http;
	t->req = req;
	t->loop = l;
	t->begun = dr_monotonic();
	t->stall =
	    (int64_t)(http->opts.stall_ms < ms ? http->opts.stall_ms : ms) *
	    1000;
	t->deadline = t->begun + (int64_t)ms * 1000;
	t->next = l->first;
	l->first = t;
	req->transfer = t;
	if (begin(t, err) == -1) {
		end(t);
		return -1;
	}
	/* Connect now; what comes of it, the next turn says. */
	l->c->multi_perform(l->multi, &left);
	return 0;
}

void
dr_loop_cancel(struct dr_http_req *req)
{
	struct dr_transfer *t = req->transfer;

	if (t == NULL)
		return;
	req->ended = true;
	dr_err_set(&req->err, DR_ERETRY, "%s: given up", req->what);
	/* A child must not close what its parent goes on using. */
	if (t->loop->pid != getpid()) {
		req->transfer = NULL;
		return;
	}
	req->lost = req->lost || (t->due == -1 && dr_attempt_arrived(t));
	end(t);
}
