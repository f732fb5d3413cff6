#include "flow/heartbeat.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "pg/ask.h"
#include "pg/beat.h"
#include "pg/hosts.h"

/* Between two looks at a standby: from this, ever more, to that. */
#define PAUSE_MIN_US 500
#define PAUSE_MAX_US 20000
#define ROOM_US      1000000
#define PAUSE_PART   8 /* of the time that has passed */

struct beats {
	struct dr_pg_view *view;
	struct dr_beat *beat;
	struct dr_ask *ask;
	struct standing {
		bool asked, done;
		int64_t next; /* when it is asked again */
	} * standing;
	size_t n;
	size_t primary;
	int64_t until;
	int64_t value;   /* what the row holds */
	int64_t written; /* when that was acknowledged */
};

/* Which one is to be written on; false: none, or several. */
static bool
find_primary(struct beats *b)
{
	size_t i, found = 0;

	for (i = 0; i < b->n; i++) {
		enum dr_probe_state s = b->view[i].probe.state;

		if (s == DR_PROBE_PRIMARY || s == DR_PROBE_READONLY) {
			b->primary = i;
			found++;
		}
	}
	for (i = 0; i < b->n && found != 1; i++)
		(void)dr_err_set(&b->beat[i].err, DR_EPARTIAL,
		    found == 0 ? "there is no primary to write on"
		               : "there is more than one primary");
	return found == 1;
}

/* All that are to be asked, until none is connecting any more. */
static int
connect_all(struct beats *b, const struct dr_pg_host *host, struct dr_err *err)
{
	/* One that hangs now must leave time for the write. */
	int64_t now = dr_monotonic(), half = now + (b->until - now) / 2;
	struct dr_ask **all;
	size_t i, busy = 1, n = 0;
	int rc = 0;

	if ((all = calloc(b->n, sizeof(struct dr_ask *))) == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	for (i = 0; i < b->n; i++) {
		if (i != b->primary &&
		    b->view[i].probe.state != DR_PROBE_STANDBY) {
			b->ask[i].at = DR_ASK_ENDED;
			continue;
		}
		dr_ask_open(&b->ask[i], &host[i], half);
		all[n++] = &b->ask[i];
	}
	while (busy > 0 && rc == 0) {
		for (i = busy = 0; i < n; i++)
			busy += all[i]->at == DR_ASK_CONNECTING;
		if (busy > 0)
			rc = dr_ask_turn(all, n, b->until, err);
	}
	free(all);
	return rc;
}

/* The primary's probe, as a write found it. */
static void
blame(struct beats *b)
{
	const struct dr_ask *a = &b->ask[b->primary];

	b->view[b->primary].probe.state = a->probe.state;
	b->view[b->primary].probe.err = a->probe.err;
	b->beat[b->primary].err = a->probe.err;
}

/* 1 written; 0 not, and the view of the primary says why. */
static int
write_row(struct beats *b, struct dr_err *err)
{
	struct dr_ask *a = &b->ask[b->primary];
	int64_t began = dr_monotonic();
	int rc = 0;

	if (a->at == DR_ASK_IDLE &&
	    (rc = dr_beat_write(a, b->until, &b->value, err)) == -1)
		return -1;
	b->written = dr_monotonic();
	if (rc == 1) {
		b->beat[b->primary].us = b->written - began;
		return 1;
	}
	blame(b);
	return 0;
}

/* No answer but an error, and not that the table itself has yet to come. */
static const PGresult *
bad_answer(const struct dr_ask *a)
{
	const PGresult *bad = dr_ask_error(a, 0);
	const char *code;

	if (bad == NULL)
		return NULL;
	code = PQresultErrorField(bad, PG_DIAG_SQLSTATE);
	return code != NULL && (strcmp(code, "42P01") == 0 ||
	                           strcmp(code, "3F000") == 0)
	           ? NULL
	           : bad;
}

/* What standby I answered.  True: it has the row, or never will. */
static bool
seen(struct beats *b, size_t i)
{
	struct dr_ask *a = &b->ask[i];
	const PGresult *bad, *res;
	struct dr_err no = { 0 };
	int64_t v;

	if (b->view[i].probe.state != DR_PROBE_STANDBY)
		return true;
	if (a->at != DR_ASK_ENDED && (bad = bad_answer(a)) != NULL)
		dr_ask_refuse(a, bad, "ask for the heartbeat");
	if (a->at == DR_ASK_ENDED) {
		b->beat[i].err = a->probe.err;
		return true;
	}
	res = a->results == 1 ? a->result[0] : NULL;
	if (res == NULL || PQresultStatus(res) != PGRES_TUPLES_OK ||
	    PQntuples(res) != 1 ||
	    dr_parse_int(PQgetvalue(res, 0, 0), 0, INT64_MAX, &v, &no) == -1 ||
	    v < b->value)
		return false;
	b->beat[i].us = dr_monotonic() - b->written;
	return true;
}

static int64_t
pause_after(const struct beats *b, int64_t now)
{
	int64_t us = (now - b->written) / PAUSE_PART;

	return us < PAUSE_MIN_US   ? PAUSE_MIN_US
	       : us > PAUSE_MAX_US ? PAUSE_MAX_US
	                           : us;
}

/*
 * Standby I at NOW: ask it, take its answer, or let it rest until WAKE.
 * False: it is done with.
 */
static bool
tend(struct beats *b, size_t i, int64_t now, int64_t *wake)
{
	struct standing *s = &b->standing[i];
	struct dr_ask *a = &b->ask[i];

	if (s->done)
		return false;
	if (a->at != DR_ASK_BUSY && (s->asked || a->at == DR_ASK_ENDED)) {
		if (seen(b, i)) {
			s->done = true;
			return false;
		}
		s->asked = false;
		s->next = now + pause_after(b, now);
	}
	if (a->at == DR_ASK_IDLE && now >= s->next) {
		dr_ask_send(a, dr_beat_look(), b->until);
		s->asked = true;
	} else if (a->at == DR_ASK_IDLE && s->next < *wake)
		*wake = s->next;
	return true;
}

/* Ask all standbys again and again until each has it. */
static int
watch(struct beats *b, struct dr_err *err)
{
	struct dr_ask **wait = calloc(b->n, sizeof(struct dr_ask *));
	int64_t now, wake;
	size_t i, left = 1;
	int rc = 0;

	if (wait == NULL)
		return dr_err_sys(err, "cannot allocate a list of servers");
	for (now = b->written; rc == 0 && left > 0 && now < b->until;
	     now = dr_monotonic()) {
		wake = b->until;
		for (i = left = 0; i < b->n; i++)
			if (tend(b, i, now, &wake))
				wait[left++] = &b->ask[i];
		if (left > 0)
			rc = dr_ask_turn(wait, left, wake, err);
	}
	for (i = 0; i < b->n && rc == 0; i++)
		if (!b->standing[i].done && !seen(b, i))
			(void)dr_err_set(&b->beat[i].err, DR_ERETRY,
			    "it has not shown the heartbeat within %lld ms",
			    (long long)(now - b->written) / 1000);
	free(wait);
	return rc;
}

/* A row written in place says nothing of a full disk. */
static int
check_room(struct beats *b, bool written, struct dr_err *err)
{
	struct dr_ask *a = &b->ask[b->primary];
	int64_t until = dr_monotonic() + ROOM_US;

	if (!written || a->at != DR_ASK_IDLE)
		return 0;
	switch (dr_beat_room(a, until, err)) {
	case -1:
		return -1;
	case 0:
		if (a->probe.state == DR_PROBE_FULL)
			blame(b);
		return 0;
	default:
		return 0;
	}
}

int
dr_heartbeat(const char *const *conninfo, size_t n, int timeout_ms,
    struct dr_pg_view *v, size_t count, struct dr_beat *beat,
    struct dr_err *err)
{
	struct beats b = { .view = v, .beat = beat, .n = count };
	struct dr_pg_host *host = NULL;
	size_t i, hosts = 0;
	int rc = -1;

	for (i = 0; i < count; i++) {
		beat[i].us = DR_UNKNOWN;
		dr_err_clear(&beat[i].err);
	}
	if (!find_primary(&b))
		return 0;
	if (dr_pg_hosts(conninfo, n, &host, &hosts, err) == -1)
		return -1;
	if (hosts != count) {
		dr_err_set(err, DR_EFAIL, "%zu servers, and %zu views", hosts,
		    count);
		goto out;
	}
	b.until = dr_monotonic() + (int64_t)timeout_ms * 1000;
	if ((b.ask = calloc(count, sizeof(*b.ask))) == NULL ||
	    (b.standing = calloc(count, sizeof(*b.standing))) == NULL) {
		dr_err_sys(err, "cannot allocate a list of servers");
		goto out;
	}
	if (dr_pg_hosts_find(host, hosts,
	        dr_monotonic() + (int64_t)timeout_ms * 500, err) == -1 ||
	    connect_all(&b, host, err) == -1 ||
	    (rc = write_row(&b, err)) == -1 ||
	    (rc == 1 && watch(&b, err) == -1))
		rc = -1;
	else
		rc = check_room(&b, rc == 1, err);

out:
	for (i = 0; b.ask != NULL && i < count; i++)
		dr_ask_close(&b.ask[i]);
	free(b.ask);
	free(b.standing);
	dr_pg_hosts_free(host, hosts);
	return rc;
}
