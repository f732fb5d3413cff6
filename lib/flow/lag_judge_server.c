/* What is wrong with one server: its state, clock, slots and archiver. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flow/lag_int.h"

#define SKEW_US  1000000            /* between clocks */
#define READY_US INT64_C(600000000) /* a .ready file without an RPO */

static void
server_state(struct dr_lag_judging *j, const struct dr_pg_view *v)
{
	const struct dr_probe *p = &v->probe;
	const char *why =
	    p->err.msg[0] != '\0' ? p->err.msg : "no reason given";

	switch (p->state) {
	case DR_PROBE_PRIMARY:
	case DR_PROBE_STANDBY:
		return;
	case DR_PROBE_READONLY:
		dr_lag_say(j, DR_LAG_BAD, "server-readonly", v->name,
		    "is a primary that takes no writes");
		return;
	case DR_PROBE_NOWRITE:
		dr_lag_say(j, DR_LAG_BAD, "server-nowrite", v->name,
		    "a write failed: %s", why);
		return;
	case DR_PROBE_FULL:
		dr_lag_say(j, DR_LAG_BAD, "server-full", v->name,
		    "has no disk space left: %s", why);
		return;
	case DR_PROBE_DENIED:
		dr_lag_say(j, DR_LAG_UNKNOWN, "server-denied", v->name,
		    "does not let us in: %s", why);
		return;
	case DR_PROBE_STARTING:
		dr_lag_say(j, DR_LAG_BAD, "server-starting", v->name, "%s",
		    why);
		return;
	case DR_PROBE_STOPPING:
		dr_lag_say(j, DR_LAG_BAD, "server-stopping", v->name, "%s",
		    why);
		return;
	case DR_PROBE_CROWDED:
		dr_lag_say(j, DR_LAG_BAD, "server-crowded", v->name, "%s", why);
		return;
	case DR_PROBE_HUNG:
	case DR_PROBE_REFUSED:
	case DR_PROBE_UNREACHABLE:
	case DR_PROBE_FAILED:
		break;
	}
	dr_lag_say(j, DR_LAG_BAD, "server-down", v->name, "%s: %s",
	    dr_probe_word(p->state), why);
}

static void
clocks(struct dr_lag_judging *j, const struct dr_pg_view *v)
{
	char text[DR_SIZE_LEN];
	int64_t skew, slack = SKEW_US;

	if (!dr_known(v->now) || !dr_known(v->asked))
		return;
	skew = v->now - v->asked;
	if (dr_known(v->probe.answer_us))
		slack += v->probe.answer_us;
	if (skew <= slack && skew >= -slack)
		return;
	dr_lag_say(j, DR_LAG_WARN, "clock", v->name,
	    "its clock is %s %s ours: delays in seconds are off by as much",
	    dr_lag_seconds(skew < 0 ? -skew : skew, text),
	    skew < 0 ? "behind" : "ahead of");
}

static bool
synced(const struct dr_lag *lag, const char *slot, bool *asked)
{
	bool found = false;

	*asked = false;
	for (size_t i = 0; i < lag->servers; i++) {
		const struct dr_pg_view *v = &lag->server[i];

		if (!dr_lag_answers(v) || !v->in_recovery ||
		    v->version < 170000)
			continue;
		*asked = true;
		for (size_t k = 0; k < v->slots; k++)
			found =
			    found || (v->slot[k].synced &&
			                 strcmp(v->slot[k].name, slot) == 0);
	}
	return found;
}

/* How much of what may be kept for it is left, in per cent; -1 unknown. */
static int
room(const struct dr_pg_view *v, const struct dr_pg_slot *s)
{
	uint64_t head = v->in_recovery ? v->replayed : v->lsn;
	int64_t safe = s->safe_wal_size, kept;

	if (!dr_known(safe) || s->restart == 0 || head < s->restart)
		return -1;
	kept = (int64_t)(head - s->restart);
	if (safe <= 0)
		return 0;
	return (int)((double)safe * 100 / ((double)safe + (double)kept));
}

static void
slot(struct dr_lag_judging *j, const struct dr_pg_view *v,
    const struct dr_pg_slot *s)
{
	char since[DR_TIME_LEN], size[DR_SIZE_LEN], name[192];
	const char *status = dr_lag_text(s->wal_status);
	int left = room(v, s);
	bool asked;

	(void)snprintf(name, sizeof(name), "%.64s/%.64s", v->name, s->name);
	if (strcmp(status, "lost") == 0 || *dr_lag_text(s->invalid) != '\0') {
		dr_lag_say(j, DR_LAG_BAD, "slot-lost", name,
		    "the slot is lost%s%s: who used it must be made anew",
		    *dr_lag_text(s->invalid) != '\0' ? ", " : "",
		    dr_lag_text(s->invalid));
		return;
	}
	(void)dr_lag_bytes(s->safe_wal_size, size);
	if (strcmp(status, "unreserved") == 0)
		dr_lag_say(j, DR_LAG_BAD, "slot-unreserved", name,
		    "the next checkpoint may remove the WAL that it needs");
	else if (left >= 0 && left < 25)
		dr_lag_say(j, left < 10 ? DR_LAG_BAD : DR_LAG_WARN,
		    "slot-near-loss", name,
		    "%s of WAL more, and the slot is lost", size);
	if (!s->active && !s->temporary && !s->synced)
		dr_lag_say(j, DR_LAG_WARN, "slot-inactive", name,
		    "nobody uses the slot%s%s, and WAL is kept for it",
		    dr_known(s->inactive_since) ? " since " : "",
		    dr_known(s->inactive_since)
		        ? dr_format_time(s->inactive_since -
		                             s->inactive_since % 1000000,
		              since)
		        : "");
	if (s->failover && !v->in_recovery &&
	    !synced(j->lag, s->name, &asked) && asked)
		dr_lag_say(j, DR_LAG_WARN, "slot-unsynced", name,
		    "no standby has a copy of this failover slot");
}

static void
archiver(struct dr_lag_judging *j, const struct dr_pg_view *v)
{
	const int64_t rpo = dr_lag_strictest(j->lag), now = v->now;
	char text[DR_SIZE_LEN];
	int64_t age;

	if (!v->archiving)
		return;
	if (dr_known(v->archiver.failed_time) &&
	    (!dr_known(v->archiver.last_time) ||
	        v->archiver.failed_time > v->archiver.last_time))
		dr_lag_say(j, DR_LAG_BAD, "archiver-failing", v->name,
		    "archive_command fails on %s",
		    dr_lag_text(v->archiver.failed_wal));
	if (!dr_known(v->archiver.oldest_ready) || !dr_known(now))
		return;
	age = now - v->archiver.oldest_ready;
	(void)dr_lag_seconds(age, text);
	if (dr_known(rpo) && age > rpo)
		dr_lag_say(j, DR_LAG_BAD, "archiver-behind", v->name,
		    "%" PRId64 " files wait to be archived, the oldest for %s",
		    v->archiver.ready, text);
	else if (!dr_known(rpo) && age > READY_US)
		dr_lag_say(j, DR_LAG_WARN, "archiver-behind", v->name,
		    "%" PRId64 " files wait to be archived, the oldest for %s",
		    v->archiver.ready, text);
}

/* A commit that waits for a standby that is not there waits for ever. */
static void
sync_set(struct dr_lag_judging *j, const struct dr_pg_view *v)
{
	if (*dr_lag_text(v->sync_names) == '\0' || v->hidden)
		return;
	for (size_t i = 0; i < v->standbys; i++) {
		const char *s = dr_lag_text(v->standby[i].sync_state);

		if (strcmp(s, "sync") == 0 || strcmp(s, "quorum") == 0)
			return;
	}
	dr_lag_say(j, DR_LAG_BAD, "sync-missing", v->name,
	    "none of synchronous_standby_names is there: commits wait");
}

void
dr_lag_judge_server(struct dr_lag_judging *j, const struct dr_pg_view *v)
{
	server_state(j, v);
	if (!dr_lag_answers(v))
		return;
	clocks(j, v);
	if (v->hidden)
		dr_lag_say(j, DR_LAG_UNKNOWN, "no-permission", v->name,
		    "hides replication from this role: "
		    "GRANT pg_monitor TO it");
	for (size_t i = 0; i < v->slots; i++)
		slot(j, v, &v->slot[i]);
	archiver(j, v);
	if (!v->in_recovery)
		sync_set(j, v);
	if (v->in_recovery && dr_known(v->conflicts) && v->conflicts > 0)
		dr_lag_say(j, DR_LAG_OK, "conflicts", v->name,
		    "replay has cancelled %" PRId64 " queries", v->conflicts);
}
