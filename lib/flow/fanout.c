#include "flow/fanout.h"

#include "base/msg.h"
#include "base/num.h"
#include "http/http.h"
#include "stream/sink.h"

#define ABANDON_MS 5000 /* to take back what a dropped store has of it */
#define DECENT     4096 /* bytes that count as some */

static size_t
needed(const struct dr_push_opts *o, const struct dr_push_report *r)
{
	return o->require > 0 ? o->require : r->n;
}

uint64_t
dr_fan_grace(const struct dr_push_opts *o)
{
	uint64_t ms = o->how != NULL ? o->how->patience_ms : 0;

	return ms != 0 && ms < DR_GRACE_MS ? ms : DR_GRACE_MS;
}

void
dr_fan_hurry(const struct dr_push_opts *o, struct dr_push_report *r)
{
	size_t alive = 0, i;

	for (i = 0; i < r->n; i++)
		alive += r->target[i].err.cause == DR_OK;
	for (i = 0; i < r->n; i++)
		if (r->target[i].err.cause == DR_OK)
			dr_store_hurry(r->target[i].store,
			    alive > needed(o, r) ? DR_GRACE_MS : 0);
}

void
dr_fan_hurry_these(const struct dr_push_opts *o, const struct dr_push_report *r,
    const struct dr_publish *v, size_t n)
{
	size_t others = 0, i, j;

	for (i = 0; i < r->n; i++) {
		for (j = 0; j < n && v[j].store != r->target[i].store;)
			j++;
		others += j == n && r->target[i].err.cause == DR_OK;
	}
	for (j = 0; j < n; j++) {
		for (i = 0; i < r->n && v[j].store != r->target[i].store;)
			i++;
		dr_store_hurry(v[j].store,
		    i == r->n || others >= needed(o, r) ? DR_GRACE_MS : 0);
	}
}

void
dr_fan_drop(const struct dr_push_opts *o, struct dr_push_report *r,
    struct dr_target *t, const struct dr_err *why)
{
	dr_store_hurry(t->store, ABANDON_MS);
	dr_sink_free(t->sink);
	t->sink = NULL;
	t->body = false;
	t->err = *why;
	if (r->n > 1)
		dr_warn("going on without store \"%s\": %s",
		    dr_store_url(t->store), why->msg);
	dr_fan_hurry(o, r);
}

/* What was found at one look at all sinks. */
struct look {
	struct dr_target *ready; /* one of those that take bytes */
	size_t nready;
	uint64_t room; /* of all that do */
	struct dr_target *late;
	const char *why; /* LATE is late, as far as is known */
};

/*
 * LATE is the one that has taken nothing for longest; that time begins when
 * the others could have gone on, so that no store is dropped for what befell
 * all of them.
 */
static void
look(const struct dr_push_opts *o, struct dr_push_report *r, struct look *l)
{
	struct dr_target *late[DR_PUSH_STORES];
	const char *why[DR_PUSH_STORES];
	int64_t now = dr_monotonic();
	size_t n = 0, good = 0;

	*l = (struct look){ .room = UINT64_MAX };
	for (size_t i = 0; i < r->n; i++) {
		struct dr_target *t = &r->target[i];
		uint64_t room, moved;

		good += t->body;
		if (t->sink == NULL)
			continue;
		room = dr_sink_room(t->sink, &moved, &why[n]);
		if (room > 0) {
			good++;
			t->since = 0;
			l->nready++;
			if (l->ready == NULL)
				l->ready = t;
			if (room < l->room)
				l->room = room;
			continue;
		}
		if (t->since == 0 || moved >= t->moved + DECENT) {
			t->since = now;
			t->moved = moved;
		}
		late[n++] = t;
	}
	for (size_t i = 0; i < n; i++) {
		if (good < needed(o, r))
			late[i]->since = now;
		if (l->late == NULL || late[i]->since < l->late->since) {
			l->late = late[i];
			l->why = why[i];
		}
	}
}

/* For what is late; it may be dropped. */
static int
wait_for(const struct dr_push_opts *o, struct dr_push_report *r,
    const struct look *l, struct dr_err *err)
{
	int64_t left =
	    l->late->since + (int64_t)dr_fan_grace(o) * 1000 - dr_monotonic();
	struct dr_err why = { 0 };
	char ms[DR_SIZE_LEN];

	if (left > 0)
		return dr_http_turn(left > 1000000 ? 1000
		                                   : (uint64_t)left / 1000 + 1,
		    err);
	dr_err_set(&why, DR_ERETRY,
	    "it took nothing for %s, and the others waited%s%s",
	    dr_format_msec(dr_fan_grace(o), ms), l->why != NULL ? ": " : "",
	    l->why != NULL ? l->why : "");
	dr_fan_drop(o, r, l->late, &why);
	return 0;
}

ssize_t
dr_fan_room(const struct dr_push_opts *o, struct dr_push_report *r, size_t max,
    struct dr_err *err)
{
	struct look l;

	for (;;) {
		look(o, r, &l);
		if (l.late == NULL)
			return l.nready == 0  ? 0
			       : l.room < max ? (ssize_t)l.room
			                      : (ssize_t)max;
		if (wait_for(o, r, &l, err) == -1)
			return -1;
	}
}

struct dr_target *
dr_fan_ended(const struct dr_push_opts *o, struct dr_push_report *r,
    struct dr_err *err)
{
	struct look l;

	for (;;) {
		look(o, r, &l);
		if (l.ready != NULL || l.late == NULL)
			return l.ready;
		if (wait_for(o, r, &l, err) == -1)
			return NULL;
	}
}
