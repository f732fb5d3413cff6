#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "store/sftp_int.h"

#define FIRST_TRIES 3 /* of a store that never answered */

/* WANT, or an idle one, best one that is connected; waits. */
static struct sftp_conn *
take(struct sftp *s, struct sftp_conn *want, bool must)
{
	struct sftp_conn *c = NULL;

	pthread_mutex_lock(&s->mutex);
	for (;;) {
		if (want != NULL && !want->busy)
			c = want;
		for (size_t i = 0;
		     !(want != NULL && must) && c == NULL && i < SFTP_CONNS;
		     i++)
			if (!s->conn[i].busy && s->conn[i].fd != -1)
				c = &s->conn[i];
		for (size_t i = 0;
		     !(want != NULL && must) && c == NULL && i < SFTP_CONNS;
		     i++)
			if (!s->conn[i].busy)
				c = &s->conn[i];
		if (c != NULL)
			break;
		pthread_cond_wait(&s->idle, &s->mutex);
	}
	c->busy = true;
	pthread_mutex_unlock(&s->mutex);
	/* A connection of the process that we are a child of. */
	if (c->fd != -1 && c->pid != getpid())
		sftp_hangup(c);
	dr_err_clear(&c->why);
	return c;
}

static void
give(struct sftp_conn *c)
{
	struct sftp *s = c->store;

	pthread_mutex_lock(&s->mutex);
	c->busy = false;
	pthread_cond_broadcast(&s->idle);
	pthread_mutex_unlock(&s->mutex);
}

/* Sleep; a stop signal ends it. */
static int
rest(struct sftp *s, int64_t us, struct dr_err *err)
{
	int64_t until = dr_monotonic() + us, left;
	struct pollfd p = { .fd = dr_stop_fd(), .events = POLLIN };

	while ((left = until - dr_monotonic()) > 0) {
		if (dr_stopped() != 0)
			return dr_err_set(err, DR_ESTOP, "stopped by signal %d",
			    dr_stopped());
		if (pthread_equal(s->main, pthread_self()) &&
		    dr_check_stop(err) == -1)
			return -1;
		if (sftp_cancelled())
			return dr_err_set(err, DR_ERETRY,
			    "given up while others went on");
		if (left > (sftp_in_job() ? 100000 : 1000000))
			left = sftp_in_job() ? 100000 : 1000000;
		(void)poll(&p, 1, (int)(left / 1000) + 1);
	}
	return 0;
}

enum sftp_rc
sftp_run(struct sftp *s, struct sftp_conn *want, bool must,
    enum sftp_rc (*fn)(struct sftp_conn *, void *), void *arg,
    struct dr_err *err)
{
	int64_t until = dr_monotonic() + (int64_t)sftp_limit(s) * 1000;
	unsigned char dice = 0;

	for (unsigned n = 1;; n++) {
		struct sftp_conn *c = take(s, want, must);
		enum sftp_rc rc = SFTP_LOST;
		struct dr_err e = { 0 };
		int64_t pause;

		if (c->fd == -1 && sftp_connect(c, &e) == -1) {
			/* Told below. */
		} else {
			s->ever = true;
			rc = fn(c, arg);
			if (rc == SFTP_LOST) {
				e = c->why;
				if (e.cause == 0)
					dr_err_set(&e, DR_ERETRY,
					    "the connection to %s was lost",
					    s->host);
				sftp_hangup(c);
			}
		}
		give(c);
		if (rc != SFTP_LOST)
			return rc;
		pause = (n > 5 ? 32 : 1 << n) * INT64_C(100000);
		if (dr_random(&dice, 1, &e) == 0)
			pause += pause * dice / 512;
		if (e.cause != DR_ERETRY || sftp_cancelled() ||
		    (!s->ever && n >= FIRST_TRIES) ||
		    dr_monotonic() + pause > until) {
			*err = e;
			return SFTP_FATAL;
		}
		if (rest(s, pause, err) == -1)
			return SFTP_FATAL;
	}
}

void
sftp_try(struct sftp *s, enum sftp_rc (*fn)(struct sftp_conn *, void *),
    void *arg)
{
	struct sftp_conn *c = take(s, NULL, false);
	struct dr_err e = { 0 };

	c->cleanup = true;
	/* One that was left in the middle of a request takes no other. */
	for (int tries = 0; tries < 2; tries++) {
		enum sftp_rc rc;

		if (c->fd == -1 && sftp_connect(c, &e) == -1)
			break;
		if ((rc = fn(c, arg)) == SFTP_OK || rc == SFTP_NOENT)
			break;
		sftp_hangup(c);
	}
	c->cleanup = false;
	give(c);
}

void
sftp_give_up(struct sftp *s, struct sftp_file *f)
{
	struct sftp_conn *c;

	if (f->conn == NULL)
		return;
	c = take(s, f->conn, true);
	c->cleanup = true;
	if (f->handle != NULL && sftp_close_checked(f) == SFTP_LOST)
		sftp_hangup(c);
	c->cleanup = false;
	give(c);
	f->conn = NULL;
}

int
sftp_pace(struct sftp *s, size_t n, struct dr_err *err)
{
	uint64_t rate = s->store.opts->limit_rate;
	int64_t now, due;

	if (rate == 0)
		return 0;
	now = dr_monotonic();
	pthread_mutex_lock(&s->mutex);
	/* What was not used a second ago is gone. */
	if (s->rate_due < now - 1000000)
		s->rate_due = now - 1000000;
	s->rate_due += (int64_t)((double)n * 1e6 / (double)rate);
	due = s->rate_due;
	pthread_mutex_unlock(&s->mutex);
	return due > now ? rest(s, due - now, err) : 0;
}

int
sftp_fail(const struct sftp *s, enum sftp_rc rc, const char *what,
    const char *name, struct dr_err *err)
{
	const char *why = "the server refuses it";

	switch (rc) {
	case SFTP_FATAL:
	case SFTP_LOST:
		return dr_err_wrap(err, "cannot %s \"%s/%s\"", what, s->label,
		    name);
	case SFTP_NOENT:
		why = "no such file or directory";
		break;
	case SFTP_EXISTS:
		why = "it exists";
		break;
	case SFTP_DENIED:
		why = "permission denied";
		break;
	case SFTP_READONLY:
		why = "read-only file system";
		break;
	case SFTP_UNSUPPORTED:
		why = "the server cannot do that";
		break;
	case SFTP_FULL:
		why = "no space left on the server's disk";
		break;
	case SFTP_EOF:
		why = "what lies there is not what was sent or seen before";
		break;
	case SFTP_OK:
	case SFTP_REFUSED:
		break;
	}
	dr_err_set(err, rc == SFTP_EOF ? DR_EDATA : DR_EFAIL,
	    "cannot %s \"%s/%s\": %s", what, s->label, name, why);
	if (rc == SFTP_REFUSED)
		dr_err_hint(err,
		    "sftp has no words for most reasons: a full disk, a quota, "
		    "a read-only file system; the server's log may tell");
	return -1;
}
