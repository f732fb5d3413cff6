/* What is wrong with one standby. */
#include <inttypes.h>
#include <string.h>

#include "flow/lag_int.h"

static void
not_streaming(struct dr_lag_judging *j, const struct dr_lag_standby *s)
{
	char text[DR_SIZE_LEN];

	if (s->self != NULL && dr_lag_answers(s->self) && s->self->hidden) {
		dr_lag_say(j, DR_LAG_UNKNOWN, "standby-unknown", s->name,
		    "whether it streams is kept from this role");
		return;
	}
	if (s->row != NULL &&
	    strcmp(dr_lag_text(s->row->state), "catchup") == 0)
		dr_lag_say(j, DR_LAG_WARN, "standby-catchup", s->name,
		    "is catching up, %s behind",
		    dr_lag_bytes(s->replay_bytes, text));
	else if (s->row != NULL && s->sender->hidden)
		dr_lag_say(j, DR_LAG_UNKNOWN, "standby-unknown", s->name,
		    "its state is kept from this role");
	else if (s->self == NULL || !dr_lag_answers(s->self))
		dr_lag_say(j, DR_LAG_BAD, "standby-not-streaming", s->name,
		    "does not stream: its sender calls it \"%s\", and last "
		    "heard of it %s ago",
		    s->row != NULL ? dr_lag_text(s->row->state) : "",
		    dr_lag_seconds(s->last_msg_us, text));
	else if (*dr_lag_text(s->self->receiver) == '\0')
		dr_lag_say(j, DR_LAG_BAD, "standby-not-streaming", s->name,
		    "has no WAL receiver: it streams from nobody");
	else
		dr_lag_say(j, DR_LAG_BAD, "standby-not-streaming", s->name,
		    "its WAL receiver is \"%s\", and heard its sender %s ago",
		    s->self->receiver, dr_lag_seconds(s->last_msg_us, text));
}

static void
standby_lag(struct dr_lag_judging *j, const struct dr_lag_standby *s)
{
	const int64_t rpo = dr_lag_strictest(j->lag);
	char us[DR_SIZE_LEN], bytes[DR_SIZE_LEN], goal[DR_SIZE_LEN];

	if (s->self != NULL && dr_lag_answers(s->self) &&
	    dr_known(s->self->apply_delay) && s->self->apply_delay > 0)
		return;
	if (!dr_known(s->replay_bytes))
		dr_lag_say(j, DR_LAG_UNKNOWN, "standby-lag-unknown", s->name,
		    "how far it is behind is not known");
	else if (dr_known(rpo) && dr_known(s->replay_us) && s->replay_us > rpo)
		dr_lag_say(j, s->expected ? DR_LAG_BAD : DR_LAG_WARN,
		    "standby-lag", s->name, "is %s behind, %s: more than %s",
		    dr_lag_seconds(s->replay_us, us),
		    dr_lag_bytes(s->replay_bytes, bytes),
		    dr_lag_seconds(rpo, goal));
}

void
dr_lag_judge_standby(struct dr_lag_judging *j, const struct dr_lag_standby *s)
{
	const struct dr_pg_view *v = s->self, *p = j->lag->primary;
	bool hidden = false;
	size_t i;

	/* A server that is silent was told of; so was what it hides. */
	if (s->row == NULL && (v == NULL || !dr_lag_answers(v))) {
		for (i = 0; i < j->lag->servers; i++)
			hidden = hidden || j->lag->server[i].hidden;
		if (hidden && v == NULL)
			dr_lag_say(j, DR_LAG_UNKNOWN, "standby-unknown",
			    s->name,
			    "whether it is connected is kept from this role");
		else
			dr_lag_say(j, DR_LAG_BAD, "standby-missing", s->name,
			    "is expected, and connected to no server that was "
			    "asked");
		return;
	}
	if (s->diverged) {
		dr_lag_say(j, DR_LAG_BAD, "diverged", s->name,
		    "is on timeline %" PRIu32 ", the primary on %" PRIu32
		    ", and it does not follow",
		    v->tli, p->tli);
		return;
	}
	if (!s->streaming)
		not_streaming(j, s);
	if (s->paused)
		dr_lag_say(j, DR_LAG_BAD, "replay-paused", s->name,
		    "replay is paused");
	if (!s->receiver && !s->logical && s->streaming && !s->paused)
		standby_lag(j, s);
}
