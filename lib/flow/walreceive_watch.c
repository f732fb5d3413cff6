/*
 * The process that asks etcd: what it finds goes to the receiver, and what
 * the receiver says of itself into a record of node/NAME.
 */
#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/walreceive_int.h"

#define LOOK_US  250000
#define ASK_MS   1000 /* etcd may take so long */
#define TTL_S    5
#define TAKE_US  1000000 /* between attempts at a record that is another's */
#define REFUSED  (2 * TTL_S) /* so many are no accident */
#define STALE_US 2000000     /* so old may be the end that is recorded */

struct watch {
	int fd;
	struct dr_coord *coord;
	struct dr_held held;
	struct dr_recv_word word; /* as it was said last */
	bool said;
	struct dr_rec_node self, wrote; /* name "": not known, nothing */
	int64_t wrote_at;
	int64_t take_at;  /* not before */
	unsigned refused; /* so often the record was another's */
	bool ended;       /* there is nobody to tell */
};

static void
tell(struct watch *w, const struct dr_recv_word *now)
{
	const struct dr_recv_word *was = &w->word;
	ssize_t n;

	if (w->said && now->away == was->away && now->mute == was->mute &&
	    dr_walepoch_same(&now->epoch, &was->epoch))
		return;
	do
		n = send(w->fd, now, sizeof(*now), MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	w->word = *now;
	w->said = true;
	w->ended = w->ended || n == -1;
}

/* --- our record ------------------------------------------------------------------ */

static bool
is_new(const struct watch *w, int64_t now)
{
	const struct dr_rec_node *a = &w->self, *b = &w->wrote;

	if (strcmp(a->role, b->role) != 0 || strcmp(a->where, b->where) != 0 ||
	    a->epoch != b->epoch || a->token != b->token)
		return true;
	if (a->tli == b->tli && a->lsn == b->lsn)
		return false;
	/* To those who are connected it goes on all the time. */
	return strcmp(a->role, "connected") != 0 ||
	       now - w->wrote_at >= STALE_US;
}

/* One of ours that had ended gives way. */
static int
give_way(struct watch *w, const struct dr_coord_look *look, struct dr_err *err)
{
	const struct dr_coord_key_ *k = dr_coord_find(look, w->held.name);
	const struct dr_coord_op gone = { .name = w->held.name,
		.was = k == NULL ? 0 : k->modified };
	struct dr_rec_node n;
	struct dr_err odd = { 0 };

	if (k == NULL || dr_rec_node_get(k->value, &n, &odd) == -1 ||
	    strcmp(n.kind, "receiver") != 0 || strcmp(n.role, "stopped") != 0)
		return 0;
	return dr_coord_put(w->coord, &gone, 1, NULL, err);
}

/* 1, 0 it is another's, or of a receiver that died: until its lease ends; -1. */
static int
take(struct watch *w, const struct dr_coord_look *look, const char *value,
    struct dr_err *err)
{
	char name[sizeof(w->held.name)], *holder;
	int rc;

	if (dr_monotonic() < w->take_at)
		return 0;
	w->take_at = dr_monotonic() + TAKE_US;
	(void)snprintf(name, sizeof(name), "node/%s", w->self.name);
	rc = dr_coord_take(w->coord, name, value, TTL_S, NULL, 0, &w->held,
	    &holder, err);
	free(holder);
	if (rc == 1)
		w->refused = 0;
	if (rc != 0)
		return rc;
	if (++w->refused > REFUSED)
		return dr_err_set(err, DR_EFAIL,
		    "another holds the record \"%s\" in etcd", name);
	if ((rc = give_way(w, look, err)) == 1)
		w->take_at = 0;
	return rc == -1 ? -1 : 0;
}

/* 1 it is as it should be, 0 not yet, -1. */
static int
record(struct watch *w, const struct dr_coord_look *look, struct dr_err *err)
{
	const int64_t now = dr_monotonic();
	struct dr_buf b = { .max = 8192 };
	struct dr_coord_op op = { .name = w->held.name,
		.leased = true,
		.was = -1 };
	int rc = -1;

	w->self.time = dr_now();
	if (dr_rec_node_put(&w->self, &b, err) == -1)
		goto out;
	op.value = b.data;
	if (w->held.until != 0 && strcmp(w->held.name + 5, w->self.name) != 0 &&
	    dr_coord_release(w->coord, &w->held, err) == -1)
		goto out;
	if (w->held.until == 0 || dr_coord_left(&w->held) <= 0)
		rc = take(w, look, b.data, err);
	else if (is_new(w, now))
		rc = dr_coord_write(w->coord, &w->held, &op, 1, NULL, err);
	else {
		rc = dr_coord_due(&w->held)
		         ? dr_coord_renew(w->coord, &w->held, err)
		         : 1;
		goto out;
	}
	if (rc == 1 && w->held.until != 0) {
		w->wrote = w->self;
		w->wrote_at = now;
	}

out:
	dr_buf_free(&b);
	return rc;
}

/* --- the receiver's word ----------------------------------------------------------- */

/* Wait until UNTIL; true: what it says of itself is new. */
static bool
listen_to(struct watch *w, int64_t until)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	int64_t left = (until - dr_monotonic()) / 1000;
	struct dr_rec_node n;
	bool some = false;
	ssize_t got;

	(void)poll(&p, 1, left > 0 ? (int)left + 1 : 0);
	for (;;) {
		got = recv(w->fd, &n, sizeof(n), MSG_DONTWAIT);
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1 && errno == EAGAIN)
			break;
		if (got != (ssize_t)sizeof(n)) {
			w->ended = true;
			break;
		}
		w->self = n;
		some = true;
	}
	return some && is_new(w, dr_monotonic());
}

static void
look_once(struct watch *w)
{
	struct dr_coord_look look = { 0 };
	struct dr_recv_word now = w->word;
	struct dr_err err = { 0 };

	now.away = dr_coord_look(w->coord, &look, &err) == -1 ||
	           dr_walepoch_get(&look, &now.epoch, &err) == -1;
	if (now.away) {
		now.epoch = w->word.epoch;
		now.err = err;
	}
	/* What there is to be heeded goes first. */
	tell(w, &now);
	if (!now.away && *w->self.name != '\0') {
		now.mute = record(w, &look, &err) == -1;
		if (now.mute)
			now.err = err;
		tell(w, &now);
	}
	dr_coord_look_wipe(&look);
}

_Noreturn void
dr_recv_watch_main(int fd, struct dr_etcd *etcd, struct dr_coord *coord)
{
	static const struct dr_coord_look nothing;
	struct watch w = { .fd = fd, .coord = coord };
	struct dr_err ignored;
	int64_t next = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dr_etcd_patience(etcd, ASK_MS);
	while (!w.ended) {
		if (dr_monotonic() >= next) {
			next = dr_monotonic() + LOOK_US;
			look_once(&w);
		}
		/* What is new of it does not wait for the next look. */
		if (!listen_to(&w, next) || w.held.until == 0)
			continue;
		/* The next look tells of what fails. */
		memset(&ignored, 0, sizeof(ignored));
		(void)record(&w, &nothing, &ignored);
	}
	_exit(0);
}
