/* Gathering WAL, and handing it to the child. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/notify.h"
#include "base/num.h"
#include "flow/walreceive_int.h"

#define THRESHOLD (2U << 20) /* ship when so much has gathered */
#define MOST      (4U << 20) /* in one increment */

#define METRICS_US 5000000
#define LONG_US    10000000 /* an upload that takes longer is told */
#define HIDDEN_US  50000    /* TLS may hold bytes that poll does not see */

static bool
is_stopping(const struct dr_recv *r)
{
	return r->stopping || dr_stopped() != 0;
}

static struct dr_recv_buf *
newest(struct dr_recv *r)
{
	return r->nbufs > 0 ? &r->buf[r->order_of[r->nbufs - 1]] : NULL;
}

static struct dr_recv_buf *
oldest(struct dr_recv *r)
{
	return r->nbufs > 0 ? &r->buf[r->order_of[0]] : NULL;
}

static void
drop_oldest(struct dr_recv *r)
{
	int i;

	oldest(r)->used = false;
	r->nbufs--;
	for (i = 0; i < r->nbufs; i++)
		r->order_of[i] = r->order_of[i + 1];
}

/* NULL: both are taken. */
static struct dr_recv_buf *
add_buf(struct dr_recv *r, uint32_t tli, uint64_t start)
{
	unsigned char *data;
	int i;

	for (i = 0; i < DR_RECV_BUFS; i++)
		if (!r->buf[i].used)
			break;
	if (i == DR_RECV_BUFS)
		return NULL;
	data = r->buf[i].data;
	r->buf[i] = (struct dr_recv_buf){ .used = true,
		.tli = tli,
		.start = start,
		.data = data };
	r->order_of[r->nbufs++] = i;
	return &r->buf[i];
}

/* Nothing in B waits to be shipped. */
static bool
is_done(const struct dr_recv_buf *b)
{
	return b->shipped >= b->have;
}

bool
dr_recv_drained(const struct dr_recv *r)
{
	int i;

	if (r->child.busy || r->history_tli != 0 || r->ngaps > 0)
		return false;
	for (i = 0; i < r->nbufs; i++)
		if (!is_done(&r->buf[r->order_of[i]]))
			return false;
	return true;
}

struct dr_recv_pos
dr_recv_end_of(const struct dr_recv *r)
{
	const struct dr_recv_buf *b;

	if (r->nbufs == 0)
		return r->at;
	b = &r->buf[r->order_of[r->nbufs - 1]];
	return (struct dr_recv_pos){ b->tli, b->start + b->have };
}

void
dr_recv_close_bufs(struct dr_recv *r)
{
	int i;

	for (i = 0; i < r->nbufs; i++)
		r->buf[r->order_of[i]].closed = true;
	memset(&r->held, 0, sizeof(r->held));
}

bool
dr_recv_is_closed(const struct dr_recv *r)
{
	return r->nbufs > 0 && r->buf[r->order_of[r->nbufs - 1]].closed;
}

/* Closed buffers that hold nothing to ship are in the way. */
static void
tidy(struct dr_recv *r)
{
	const struct dr_recv_buf *b;

	while ((b = oldest(r)) != NULL && b->closed && is_done(b) &&
	       !(r->child.busy && r->order.kind == DR_RECV_PUT))
		drop_oldest(r);
}

int
dr_recv_place(struct dr_recv *r, struct dr_recv_pos pos, uint32_t shipped,
    struct dr_err *err)
{
	const struct dr_recv_buf *b = newest(r);
	struct dr_recv_buf *fresh;

	r->at = pos;
	if (b != NULL && !b->closed && b->tli == pos.tli &&
	    b->start + b->have == pos.lsn)
		return 0;
	dr_recv_close_bufs(r);
	tidy(r);
	/* What waits is shipped first; the server has time. */
	while (r->nbufs == DR_RECV_BUFS && !is_stopping(r))
		if (dr_recv_turn(r, dr_monotonic() + DR_RECV_QUERY_US, err) ==
		    -1)
			return -1;
	if (r->nbufs == DR_RECV_BUFS)
		return dr_check_stop(err);
	if (pos.lsn % r->segsize != 0)
		return dr_err_set(err, DR_EFAIL,
		    "WAL cannot be received from within a segment");
	fresh = add_buf(r, pos.tli, pos.lsn);
	fresh->shipped = shipped;
	return 0;
}

/* Take in the message held.  1 all of it, 0 there is no room, -1. */
static int
absorb(struct dr_recv *r, struct dr_err *err)
{
	struct dr_walstream_msg *m = &r->held;
	char is[DR_LSN_LEN], was[DR_LSN_LEN];
	struct dr_recv_buf *b;
	size_t n;

	if (m->len > 0 && m->start != r->at.lsn)
		return dr_err_set(err, DR_ERETRY,
		    "the server sent WAL from %s where %s was next",
		    dr_format_lsn(m->start, is), dr_format_lsn(r->at.lsn, was));
	while (m->len > 0) {
		b = newest(r);
		if ((b == NULL || b->have == r->segsize) &&
		    (b = add_buf(r, r->at.tli, r->at.lsn)) == NULL)
			return 0;
		n = r->segsize - b->have;
		if (n > m->len)
			n = m->len;
		memcpy(b->data + b->have, m->data, n);
		b->have += (uint32_t)n;
		m->data += n;
		m->len -= n;
		m->start += n;
		r->at.lsn += n;
		if (b->since == 0 && b->have > b->shipped)
			b->since = dr_monotonic();
	}
	return 1;
}

/* Take in what the server sent, as far as there is room. */
static int
gather(struct dr_recv *r, struct dr_err *err)
{
	struct dr_walstream_msg m;
	enum dr_walstream_why why;
	int n;

	while (r->stream != NULL && !is_stopping(r)) {
		if ((n = absorb(r, err)) != 1)
			return n;
		if (dr_walstream_next(r->stream, &m, &why, err) == -1)
			return -1;
		if (m.kind == DR_WALSTREAM_NONE)
			return 0;
		r->message_at = dr_now();
		if (m.server_end > r->server_end)
			r->server_end = m.server_end;
		if (m.kind == DR_WALSTREAM_DATA) {
			r->held = m;
			continue;
		}
		if (m.kind == DR_WALSTREAM_KEEPALIVE) {
			/* It may be waiting for us to shut down. */
			if (m.reply)
				r->answer = r->flush_now = true;
			continue;
		}
		if ((n = dr_recv_next_timeline(r, err)) == -1)
			return -1;
		if (n == 0)
			return dr_err_set(err, DR_ERETRY,
			    "the server shut down");
	}
	return 0;
}

static int
give(struct dr_recv *r, const struct dr_recv_order *o, const char *text,
    size_t len, struct dr_err *err)
{
	r->order = *o;
	r->ordered = dr_monotonic();
	if (dr_recv_send(&r->child, o, text, len, err) == -1) {
		r->fatal = true;
		return -1;
	}
	return 0;
}

/* Is it time for an increment of B? */
static bool
is_due(const struct dr_recv *r, const struct dr_recv_buf *b, int64_t now)
{
	if (b->have <= b->shipped)
		return false;
	return b->closed || r->slot.sync || r->flush_now || is_stopping(r) ||
	       b->have - b->shipped >= THRESHOLD ||
	       now - b->since >= (int64_t)r->o->interval * 1000;
}

/* Gaps are recorded after what was before them, and before what is after. */
static bool
gap_is_next(const struct dr_recv_order *gap, const struct dr_recv_buf *b)
{
	struct dr_recv_pos at;

	if (b == NULL || gap->store != -1)
		return true;
	at = (struct dr_recv_pos){ b->tli, b->start };
	return !dr_recv_before(at,
	    (struct dr_recv_pos){ gap->tli, gap->start });
}

/* The child does one thing at a time: what has waited longest. */
static int
give_work(struct dr_recv *r, struct dr_err *err)
{
	struct dr_recv_order o = { .kind = DR_RECV_PUT };
	struct dr_recv_buf *b;

	if (r->child.busy || r->child.pid == 0)
		return 0;
	if (r->history_tli != 0) {
		o.kind = DR_RECV_HISTORY;
		o.tli = r->history_tli;
		return give(r, &o, r->history_text.data, r->history_text.len,
		    err);
	}
	tidy(r);
	b = oldest(r);
	if (r->ngaps > 0 && gap_is_next(&r->gap[0], b))
		return give(r, &r->gap[0], NULL, 0, err);
	if (b != NULL) {
		o.buf = r->order_of[0];
		o.tli = b->tli;
		o.start = b->start;
		o.whole = b->have == r->segsize && b->shipped < r->segsize;
		if (o.whole || is_due(r, b, dr_monotonic())) {
			if (!o.whole)
				o.from = b->shipped;
			o.to = b->have - o.from > MOST && !o.whole
			           ? o.from + MOST
			           : b->have;
			b->since = 0;
			return give(r, &o, NULL, 0, err);
		}
		if (b->have > b->shipped)
			return 0;
	}
	r->flush_now = false;
	return 0;
}

/* An order is done. */
static void
settle(struct dr_recv *r)
{
	struct dr_recv_buf *b;
	size_t i;

	switch (r->order.kind) {
	case DR_RECV_PUT:
		r->puts++;
		b = &r->buf[r->order.buf];
		b->shipped = r->order.to;
		if (b->have > b->shipped && b->since == 0)
			b->since = r->ordered;
		if (r->order.whole) {
			b->closed = true;
			tidy(r);
		}
		break;
	case DR_RECV_HISTORY:
		r->history_shipped = r->history_tli;
		r->history_tli = 0;
		r->history_text.len = 0;
		break;
	case DR_RECV_GAP:
		r->ngaps--;
		for (i = 0; i < r->ngaps; i++)
			r->gap[i] = r->gap[i + 1];
		break;
	case DR_RECV_LEDGER:
		break;
	}
	r->child.busy = false;
}

static int
hear(struct dr_recv *r, struct dr_err *err)
{
	struct dr_recv_report rep;
	int n;

	while (r->child.pid != 0) {
		if ((n = dr_recv_take(&r->child, &rep, err)) == -1) {
			r->fatal = true;
			return -1;
		}
		if (n == 0)
			return 0;
		switch (rep.kind) {
		case DR_RECV_READY:
			r->ready = true;
			r->last = rep;
			break;
		case DR_RECV_DONE:
			r->last = rep;
			atomic_store(&r->shared->durable, rep.durable.lsn);
			settle(r);
			dr_recv_well(r);
			break;
		case DR_RECV_TROUBLE:
			dr_recv_trouble(r, &rep.err);
			break;
		case DR_RECV_FATAL:
			r->fatal = true;
			*err = rep.err;
			return -1;
		}
	}
	return 0;
}

/* What may be said to be durable on the timeline that is streamed. */
static uint64_t
durable_here(const struct dr_recv *r)
{
	if (r->last.durable.tli != r->at.tli)
		return 0;
	/* Never past what this server has sent: it may be behind. */
	return r->last.durable.lsn < r->at.lsn ? r->last.durable.lsn
	                                       : r->at.lsn;
}

static int
tell_server(struct dr_recv *r, int64_t now, struct dr_err *err)
{
	uint64_t lsn = durable_here(r);

	if (r->stream == NULL ||
	    (!r->answer && lsn == r->reported && now < r->status_at))
		return 0;
	if (lsn < r->reported)
		lsn = r->reported;
	r->answer = false;
	r->reported = lsn;
	r->status_at = now + (int64_t)r->status_every;
	return dr_walstream_status(r->stream, lsn, lsn, 0, err) == -1 ? -1 : 0;
}

/* Shutting down, and what is left cannot be stored. */
static int
mind_shutdown(struct dr_recv *r, int64_t now, struct dr_err *err)
{
	char lsn[DR_LSN_LEN];

	if (!r->going || r->stream == NULL)
		return 0;
	r->flush_now = true;
	if (now - r->going_since < (int64_t)r->o->shutdown_timeout * 1000)
		return 0;
	r->going = false;
	if (dr_recv_lag(r) == 0)
		return 0;
	return dr_err_set(err, DR_ERETRY,
	    "the server shuts down and is let go; WAL after %s is not durable "
	    "in the stores",
	    dr_format_lsn(r->last.durable.lsn, lsn));
}

static int
do_timers(struct dr_recv *r, struct dr_err *err)
{
	int64_t now = dr_monotonic();

	if (tell_server(r, now, err) == -1 || mind_shutdown(r, now, err) == -1)
		return -1;
	dr_recv_state(r, NULL);
	if (r->child.busy && now - r->ordered > LONG_US)
		dr_recv_trouble(r, NULL);
	if (now >= r->query_at)
		dr_recv_ask(r);
	if (now >= r->metrics_at) {
		r->metrics_at = now + METRICS_US;
		dr_recv_metrics(r);
	}
	if (r->watchdog_at != 0 && now >= r->watchdog_at) {
		r->watchdog_at = now + (int64_t)dr_notify_watchdog() * 1000;
		dr_notify("WATCHDOG=1");
	}
	return 0;
}

/* The next moment at which there is something to do, unasked. */
static int64_t
next_time(struct dr_recv *r, int64_t until)
{
	const struct dr_recv_buf *b = oldest(r);
	int64_t t = until, due;

	if (r->sql != NULL && r->stream != NULL && !r->asked && r->query_at < t)
		t = r->query_at;
	if (r->metrics_at < t)
		t = r->metrics_at;
	if (r->watchdog_at != 0 && r->watchdog_at < t)
		t = r->watchdog_at;
	if (r->stream != NULL && r->status_at < t)
		t = r->status_at;
	if (!r->child.busy && b != NULL && b->since != 0) {
		due = b->since + (int64_t)r->o->interval * 1000;
		if (due < t)
			t = due;
	}
	return t;
}

static int
ms_until(int64_t t)
{
	int64_t left = t - dr_monotonic();

	return left <= 0 ? 0 : left > 60000000 ? 60000 : (int)(left / 1000) + 1;
}

/* Wait; then take in what the server sent. */
static int
await(struct dr_recv *r, int64_t until, struct dr_err *err)
{
	struct pollfd p[5] = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 },
		{ .fd = -1 }, { .fd = -1 } };
	int64_t t = next_time(r, until);
	/* What is not wanted stays with the server, not in libpq. */
	bool read = r->held.len == 0 && !is_stopping(r);
	bool hidden = false;
	int ms, n;

	if (r->stream != NULL) {
		if ((n = dr_walstream_flush(r->stream, err)) == -1)
			return -1;
		if (read)
			p[0].events |= POLLIN;
		if (n == 1)
			p[0].events |= POLLOUT;
		if (p[0].events != 0)
			p[0].fd = PQsocket(r->wal);
		hidden = read && (PQsslInUse(r->wal) || PQgssEncInUse(r->wal));
	}
	if (r->sql != NULL && r->asked) {
		p[1].fd = PQsocket(r->sql);
		p[1].events = POLLIN;
	}
	if (r->child.pid != 0) {
		p[2].fd = r->child.fd;
		p[2].events = POLLIN;
	}
	if (!is_stopping(r)) {
		p[3].fd = dr_stop_fd();
		p[3].events = POLLIN;
	}
	if (r->watch.pid != 0) {
		p[4].fd = r->watch.fd;
		p[4].events = POLLIN;
	}
	ms = ms_until(t);
	if (hidden && ms > HIDDEN_US / 1000)
		ms = HIDDEN_US / 1000;
	if (poll(p, 5, ms) == -1 && errno != EINTR)
		return dr_err_sys(err, "cannot wait");
	if (p[1].fd != -1 && p[1].revents != 0)
		dr_recv_ask(r);
	if (read && p[0].fd != -1 && (p[0].revents != 0 || hidden) &&
	    !PQconsumeInput(r->wal))
		return dr_pg_failed(r->wal, NULL, "read from the server", err);
	return 0;
}

int
dr_recv_turn(struct dr_recv *r, int64_t until, struct dr_err *err)
{
	if (dr_recv_heed(r, err) == -1 || hear(r, err) == -1 ||
	    gather(r, err) == -1 || give_work(r, err) == -1 ||
	    do_timers(r, err) == -1)
		return -1;
	if (dr_monotonic() >= until)
		return 0;
	return await(r, until, err);
}
