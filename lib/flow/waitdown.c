#include "flow/waitdown.h"

#include <stdio.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "pg/ask.h"
#include "pg/hosts.h"

/* The held connection is spoken to this often, at most. */
#define PING_US   20000
/* New connections: after a refusal by a server that was killed; else. */
#define QUICK_US  3000
#define SLOW_US   100000
#define STEADY_US 1000000 /* while the held one answers */
/* What passes while we do not run is not the server's silence. */
#define ASLEEP_US 100000
#define FIND_US   10000000
#define FOREVER   (INT64_MAX / 2)

struct watch {
	const struct dr_waitdown_opts *o;
	struct dr_waitdown *w;
	const struct dr_pg_host *host;
	struct dr_ask held, fresh;
	bool trying;  /* fresh is under way */
	bool pinged;  /* held is to answer */
	bool orderly; /* the server said that it shuts down */
	bool warned;
	int64_t next_ping, next_try, tried;
	int64_t good; /* last sign of life; 0: none yet */
	int64_t bad;  /* since when there is none; 0: there is */
	int refused;
};

static void
is_good(struct watch *s, int64_t when)
{
	s->good = when;
	s->bad = 0;
	s->refused = 0;
	s->w->failures = 0;
	s->orderly = false;
}

static void
is_bad(struct watch *s, int64_t since)
{
	if (s->bad == 0)
		s->bad = since;
}

static int64_t
ping_us(const struct watch *s)
{
	int64_t part = s->o->interval_us / 4;

	return part < PING_US ? part : PING_US;
}

/* --- the held connection ------------------------------------------------- */

/*
 * Did the server say that it goes, or that it starts over, as one does that
 * is told to?  A backend whose postmaster was killed says so by the same
 * code; who says it tells them apart.
 */
static bool
said_goodbye(const struct dr_ask *a)
{
	return a->fatal[0] != '\0' && strcmp(a->fatal_by, "secure_read") != 0 &&
	       strcmp(a->fatal_by, "secure_write") != 0;
}

static void
held_broke(struct watch *s, int64_t now)
{
	(void)snprintf(s->w->held_err, sizeof(s->w->held_err), "%s",
	    s->held.probe.err.msg);
	s->w->held = DR_HELD_BROKEN;
	s->orderly = said_goodbye(&s->held);
	is_bad(s, now);
	dr_ask_close(&s->held);
	dr_say(1, "the held connection broke: %s", s->w->held_err);
	s->next_try = now;
}

static void
tend_held(struct watch *s, int64_t now)
{
	if (s->w->held == DR_HELD_NONE || s->w->held == DR_HELD_BROKEN)
		return;
	if (s->held.at == DR_ASK_ENDED) {
		held_broke(s, now);
		return;
	}
	if (s->held.at == DR_ASK_IDLE && s->pinged) {
		s->pinged = false;
		s->w->held = DR_HELD_ANSWERS;
		s->next_ping = s->held.began + ping_us(s);
		is_good(s, s->held.began);
	}
	if (s->held.at == DR_ASK_IDLE && now >= s->next_ping) {
		/* No statement at all: it costs the server next to nothing. */
		dr_ask_send(&s->held, "", FOREVER);
		s->pinged = true;
		s->next_ping = now + ping_us(s);
	} else if (s->held.at == DR_ASK_BUSY && now >= s->next_ping &&
	           s->w->held == DR_HELD_ANSWERS) {
		s->w->held = DR_HELD_SILENT;
		is_bad(s, s->held.began);
		if (!s->trying)
			s->next_try = now;
	}
}

/* --- new ones -------------------------------------------------------------- */

/* The first words of a server that is not one to wait for.  -1: give up. */
static int
first_look(struct watch *s, struct dr_err *err)
{
	const struct dr_probe *p = &s->fresh.probe;

	if (p->state == DR_PROBE_STANDBY)
		return dr_err_set(err, DR_EPARTIAL,
		    "%s is a standby, not a primary", s->w->where);
	if (p->state == DR_PROBE_DENIED)
		return dr_err_set(err, DR_EFAIL, "cannot watch %s: %s",
		    s->w->where, p->err.msg);
	return 0;
}

static void
hold_fresh(struct watch *s, int64_t now)
{
	dr_ask_close(&s->held);
	dr_ask_move(&s->held, &s->fresh);
	s->w->held = DR_HELD_ANSWERS;
	s->pinged = false;
	s->next_ping = now;
	dr_say(1, "holding a new connection to %s", s->w->where);
}

static int64_t
next_after(const struct watch *s, bool failed, int64_t now)
{
	int64_t part = s->o->interval_us / 4;

	if (!failed || s->w->held == DR_HELD_ANSWERS)
		return s->tried + (s->o->interval_us > STEADY_US
		                          ? s->o->interval_us
		                          : STEADY_US);
	if (s->w->held == DR_HELD_BROKEN && !s->orderly &&
	    (s->w->last.state == DR_PROBE_REFUSED ||
	        s->w->last.state == DR_PROBE_FAILED))
		return now + QUICK_US;
	return now + (part < SLOW_US ? part : SLOW_US);
}

/* New ones fail, and the held one does not: worth telling once. */
static void
tell(struct watch *s, bool failed)
{
	if (failed && s->w->held == DR_HELD_ANSWERS && !s->warned)
		dr_warn("%s takes no new connections (%s), and serves the one "
		        "that is held",
		    s->w->where, dr_probe_word(s->w->last.state));
	s->warned = failed && s->w->held == DR_HELD_ANSWERS;
}

/* A new connection came to its end.  -1: there is nothing to wait for. */
static int
fresh_done(struct watch *s, int64_t now, struct dr_err *err)
{
	bool failed = true;

	s->trying = false;
	s->w->last = s->fresh.probe;
	if (s->good == 0 && first_look(s, err) == -1)
		return -1;
	switch (s->fresh.probe.state) {
	case DR_PROBE_PRIMARY:
	case DR_PROBE_READONLY:
		failed = false;
		if (s->w->held != DR_HELD_ANSWERS)
			hold_fresh(s, now);
		is_good(s, s->tried);
		break;
	case DR_PROBE_CROWDED:
	case DR_PROBE_DENIED:
		is_good(s, s->tried);
		break;
	case DR_PROBE_STOPPING:
		s->orderly = true;
		break;
	case DR_PROBE_REFUSED:
		s->refused++;
		break;
	case DR_PROBE_STANDBY:
	case DR_PROBE_NOWRITE:
	case DR_PROBE_FULL:
	case DR_PROBE_STARTING:
	case DR_PROBE_HUNG:
	case DR_PROBE_UNREACHABLE:
	case DR_PROBE_FAILED:
		break;
	}
	if (failed && s->w->held != DR_HELD_ANSWERS) {
		is_bad(s, s->tried);
		s->w->failures++;
	}
	if (failed)
		dr_say(2, "a new connection: %s: %s",
		    dr_probe_word(s->w->last.state), s->w->last.err.msg);
	tell(s, failed);
	s->next_try = next_after(s, failed, now);
	dr_ask_close(&s->fresh);
	return 0;
}

static int
tend_fresh(struct watch *s, int64_t now, struct dr_err *err)
{
	if (s->trying && dr_ask_probed(&s->fresh))
		return fresh_done(s, now, err);
	if (!s->trying && now >= s->next_try) {
		s->trying = true;
		s->tried = now;
		dr_ask_open(&s->fresh, s->host, now + s->o->interval_us);
		/* It may have failed by now. */
		if (dr_ask_probed(&s->fresh))
			return fresh_done(s, now, err);
	}
	return 0;
}

/* --- judging ------------------------------------------------------------- */

static bool
is_down(struct watch *s, int64_t now)
{
	if (s->bad == 0 || s->w->held == DR_HELD_ANSWERS)
		return false;
	s->w->quick = s->w->held == DR_HELD_BROKEN && !s->orderly &&
	              s->refused >= s->o->failures;
	return s->w->quick ||
	       now - s->bad >= s->o->failures * s->o->interval_us;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When there is something to do although nothing comes. */
static int64_t
next_step(const struct watch *s)
{
	int64_t t = s->trying ? FOREVER : s->next_try;

	if ((s->w->held == DR_HELD_ANSWERS || s->held.at == DR_ASK_IDLE) &&
	    s->held.conn != NULL)
		t = earlier(t, s->next_ping);
	if (s->bad != 0)
		t = earlier(t, s->bad + s->o->failures * s->o->interval_us);
	return t;
}

static int
turn(struct watch *s, struct dr_err *err)
{
	struct dr_ask *v[2];
	int64_t until = next_step(s), late;
	size_t n = 0;

	if (s->held.conn != NULL)
		v[n++] = &s->held;
	if (s->trying)
		v[n++] = &s->fresh;
	if (dr_ask_turn(v, n, until, err) == -1)
		return -1;
	late = dr_monotonic() - until;
	if (s->bad != 0 && late > ASLEEP_US)
		s->bad += late;
	return 0;
}

int
dr_wait_down(const struct dr_waitdown_opts *o, struct dr_waitdown *w,
    struct dr_err *err)
{
	struct watch s = { .o = o, .w = w, .held.at = DR_ASK_ENDED };
	struct dr_pg_host *host = NULL;
	size_t hosts = 0;
	int64_t now;
	int rc = -1;

	memset(w, 0, sizeof(*w));
	w->last.state = DR_PROBE_FAILED;
	if (dr_pg_hosts(&o->conninfo, 1, &host, &hosts, err) == -1)
		return -1;
	if (hosts != 1) {
		dr_err_set(err, DR_EUSAGE,
		    "the connection string names %zu hosts: one primary is "
		    "waited for",
		    hosts);
		goto out;
	}
	(void)snprintf(w->where, sizeof(w->where), "%s", host->where);
	/* That no name can be looked up says nothing of the server. */
	if (dr_pg_hosts_find(host, 1, dr_monotonic() + FIND_US, err) == -1)
		goto out;
	if (host->lost.cause != DR_OK) {
		*err = host->lost;
		goto out;
	}
	s.host = host;
	for (;;) {
		now = dr_monotonic();
		tend_held(&s, now);
		if (tend_fresh(&s, now, err) == -1)
			goto out;
		if (is_down(&s, now))
			break;
		if (turn(&s, err) == -1)
			goto out;
	}
	w->down = true;
	w->judged = dr_now();
	w->good_us = s.good != 0 ? now - s.good : DR_UNKNOWN;
	w->since_us = now - s.bad;
	rc = 0;

out:
	dr_ask_close(&s.held);
	dr_ask_close(&s.fresh);
	dr_pg_hosts_free(host, hosts);
	return rc;
}
