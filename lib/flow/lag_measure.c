/* How far behind a standby is, as far as that can be known. */
#include <string.h>

#include "flow/lag_int.h"

/*
 * Both ends write at the latest after half of their timeouts, 30 s by
 * default: what is older than this says nothing of now.
 */
#define FRESH_US INT64_C(45000000)
#define FAR_US   INT64_C(300000000) /* where clocks may differ */

static bool
fresh(int64_t now, int64_t then)
{
	return dr_known(now) && dr_known(then) && now - then <= FRESH_US;
}

/* Its own word that it streams. */
static bool
self_streams(const struct dr_pg_view *v)
{
	return strcmp(dr_lag_text(v->receiver), "streaming") == 0 &&
	       fresh(v->now, v->last_msg);
}

static bool
streams(const struct dr_lag_standby *s)
{
	const bool asked = s->self != NULL && dr_lag_answers(s->self);

	if (s->row == NULL)
		return asked && self_streams(s->self);
	if (strcmp(dr_lag_text(s->row->state), "streaming") != 0)
		return false;
	if (asked)
		return strcmp(dr_lag_text(s->self->receiver), "streaming") == 0;
	/*
	 * A sender holds on to a dead peer until its timeout.  The time of its
	 * last reply is by its own clock, which may be off by something.
	 */
	if (dr_known(s->row->reply_time) && dr_known(s->sender->now) &&
	    s->sender->now - s->row->reply_time >
	        (s->self != NULL ? FRESH_US : FAR_US))
		return false;
	return true;
}

/*
 * The primary's clock at the moment that V was asked, where there is one: the
 * time of a commit is by that clock, too.
 */
static int64_t
primary_clock(const struct dr_lag *lag, const struct dr_pg_view *v)
{
	const struct dr_pg_view *p = lag->primary;

	if (p == NULL || !dr_known(p->now) || !dr_known(p->asked) ||
	    !dr_known(v->asked))
		return v->now;
	return p->now + (v->asked - p->asked);
}

/* Since the last transaction that it replayed was committed. */
static int64_t
age(const struct dr_lag *lag, const struct dr_pg_view *v)
{
	int64_t now;

	if (v == NULL || !dr_lag_answers(v) || !dr_known(v->replayed_time))
		return DR_UNKNOWN;
	now = primary_clock(lag, v);
	if (!dr_known(now))
		return DR_UNKNOWN;
	return now > v->replayed_time ? now - v->replayed_time : 0;
}

static int64_t
behind(uint64_t head, uint64_t at)
{
	if (head == 0 || at == 0)
		return DR_UNKNOWN;
	return head > at ? (int64_t)(head - at) : 0;
}

static uint64_t
further(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * Where the primary's WAL ends.  Where it was not asked, what the sender told
 * a standby that streams; where it was asked and is silent, nobody knows.
 */
static uint64_t
head_for(const struct dr_lag *lag, const struct dr_lag_standby *s)
{
	if (s->diverged || lag->primaries > 1)
		return 0;
	if (lag->primary != NULL)
		return lag->primary->lsn;
	for (size_t i = 0; i < lag->servers; i++)
		if (!dr_lag_answers(&lag->server[i]))
			return 0;
	if (s->self != NULL && self_streams(s->self))
		return s->self->latest_end;
	return s->sender != NULL && s->streaming ? s->row->sent : 0;
}

static int64_t
seconds(int64_t bytes, const struct dr_lag_standby *s, int64_t said)
{
	if (bytes == 0)
		return 0;
	return s->row != NULL && s->streaming && dr_known(bytes) ? said
	                                                         : DR_UNKNOWN;
}

/*
 * The primary's timeline and another: it may lie on a branch of its own,
 * unless it follows, and its replay only has not come to the switch yet.
 */
static bool
diverged(const struct dr_lag *lag, const struct dr_lag_standby *s)
{
	const struct dr_pg_view *p = lag->primary, *v = s->self;

	if (p == NULL || v == NULL || !dr_lag_answers(v) || p->tli == 0 ||
	    v->tli == 0 || v->tli == p->tli)
		return false;
	return !s->streaming ||
	       (v->received_tli != 0 && v->received_tli != p->tli);
}

void
dr_lag_measure(const struct dr_lag *lag, struct dr_lag_standby *s)
{
	const struct dr_pg_view *v = s->self;
	const bool asked = v != NULL && dr_lag_answers(v);
	uint64_t head, write = 0, flush = 0, replay = 0;
	int64_t since = age(lag, v);

	s->streaming = streams(s);
	s->paused = asked && v->paused;
	s->diverged = diverged(lag, s);
	s->tli = asked ? s->streaming && v->received_tli != 0 ? v->received_tli
	                                                      : v->tli
	               : 0;
	if (s->row != NULL) {
		write = s->row->write;
		flush = s->row->flush;
		replay = s->row->replay;
	}
	if (asked) {
		/* Without streaming it is what was replayed from archives. */
		uint64_t have = further(v->received, v->replayed);

		write = further(write, have);
		flush = further(flush, have);
		replay = further(replay, v->replayed);
	}
	head = head_for(lag, s);
	s->write_bytes = behind(head, write);
	s->flush_bytes = behind(head, flush);
	s->replay_bytes = behind(head, replay);
	s->write_us = seconds(s->write_bytes, s,
	    s->row != NULL ? s->row->write_lag : DR_UNKNOWN);
	s->flush_us = seconds(s->flush_bytes, s,
	    s->row != NULL ? s->row->flush_lag : DR_UNKNOWN);
	/*
	 * A sender repeats the last delay it measured for as long as replay
	 * stands still, so the age goes first: never less than the truth.
	 */
	if (s->replay_bytes == 0)
		s->replay_us = 0;
	else if (dr_known(since) && !s->diverged)
		s->replay_us = since;
	else
		s->replay_us =
		    s->paused || asked
		        ? DR_UNKNOWN
		        : seconds(s->replay_bytes, s,
		              s->row != NULL ? s->row->replay_lag : DR_UNKNOWN);
	s->heartbeat_us = DR_UNKNOWN;
	s->last_msg_us = DR_UNKNOWN;
	if (asked && dr_known(v->now) && dr_known(v->last_msg))
		s->last_msg_us = v->now - v->last_msg;
	else if (!asked && s->row != NULL && dr_known(s->sender->now) &&
	         dr_known(s->row->reply_time))
		s->last_msg_us = s->sender->now - s->row->reply_time;
}
