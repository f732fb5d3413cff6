/*
 * view - what servers say of themselves, one field a line, for the tests.
 *
 *	view [-b] TIMEOUT_MS CONNINFO...
 *
 * A line is "N.FIELD VALUE", N the number of the server from 0; of its
 * standbys and slots, "N.standby.NAME.FIELD VALUE" and so on.  "-" is unknown.
 *
 *	-b	write the heartbeat and wait for it: only "N.state", "N.beat"
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/heartbeat.h"
#include "pg/view.h"

static char at[512];

static void
text(const char *field, const char *value)
{
	printf("%s.%s %s\n", at, field, value);
}

static void
number(const char *field, int64_t value)
{
	if (dr_known(value))
		printf("%s.%s %" PRId64 "\n", at, field, value);
	else
		text(field, "-");
}

static void
lsn(const char *field, uint64_t value)
{
	char s[DR_LSN_LEN];

	text(field, dr_format_lsn(value, s));
}

static void
show_standby(size_t n, const struct dr_pg_standby *s)
{
	(void)snprintf(at, sizeof(at), "%zu.standby.%s", n, s->name);
	text("addr", s->addr);
	text("state", s->state);
	text("sync_state", s->sync_state);
	text("slot", s->slot);
	number("pid", s->pid);
	lsn("sent", s->sent);
	lsn("write", s->write);
	lsn("flush", s->flush);
	lsn("replay", s->replay);
	number("write_lag", s->write_lag);
	number("flush_lag", s->flush_lag);
	number("replay_lag", s->replay_lag);
	number("reply_time", s->reply_time);
}

static void
show_slot(size_t n, const struct dr_pg_slot *s)
{
	(void)snprintf(at, sizeof(at), "%zu.slot.%s", n, s->name);
	text("type", s->type);
	text("database", s->database);
	text("wal_status", s->wal_status);
	text("invalid", s->invalid);
	number("active", s->active);
	number("failover", s->failover);
	number("synced", s->synced);
	lsn("restart", s->restart);
	lsn("confirmed", s->confirmed);
	number("safe_wal_size", s->safe_wal_size);
	number("inactive_since", s->inactive_since);
}

static void
show_answers(size_t n, const struct dr_pg_view *v)
{
	size_t i;

	number("version", v->version);
	printf("%s.system_id %" PRIu64 "\n", at, v->system_id);
	number("tli", v->tli);
	number("segsize", v->segsize);
	number("in_recovery", v->in_recovery);
	number("read_only", v->read_only);
	number("hidden", v->hidden);
	number("archiving", v->archiving);
	number("now", v->now);
	number("asked", v->asked);
	number("started", v->started);
	text("sync_names", v->sync_names);
	text("sync_commit", v->sync_commit);
	lsn("lsn", v->lsn);
	lsn("received", v->received);
	lsn("replayed", v->replayed);
	number("replayed_time", v->replayed_time);
	number("apply_delay", v->apply_delay);
	number("paused", v->paused);
	text("receiver", v->receiver);
	text("sender", v->sender);
	number("received_tli", v->received_tli);
	lsn("latest_end", v->latest_end);
	number("last_msg", v->last_msg);
	number("conflicts", v->conflicts);
	number("archived", v->archiver.archived);
	number("failed", v->archiver.failed);
	text("last_wal", v->archiver.last_wal);
	text("failed_wal", v->archiver.failed_wal);
	number("last_time", v->archiver.last_time);
	number("failed_time", v->archiver.failed_time);
	number("ready", v->archiver.ready);
	number("oldest_ready", v->archiver.oldest_ready);
	for (i = 0; i < v->standbys; i++)
		show_standby(n, &v->standby[i]);
	for (i = 0; i < v->slots; i++)
		show_slot(n, &v->slot[i]);
}

static void
show(size_t n, const struct dr_pg_view *v)
{
	(void)snprintf(at, sizeof(at), "%zu", n);
	text("name", v->name);
	text("where", v->where);
	text("state", dr_probe_word(v->probe.state));
	text("error", v->probe.err.msg);
	if (dr_probe_answers(v->probe.state))
		show_answers(n, v);
}

static int
beat(const char *const *conninfo, size_t n, int ms, struct dr_pg_view *v,
    size_t count, struct dr_err *err)
{
	struct dr_beat *b = calloc(count, sizeof(*b));
	size_t i;
	int rc;

	if (b == NULL)
		return dr_err_sys(err, "cannot allocate beats");
	rc = dr_heartbeat(conninfo, n, ms, v, count, b, err);
	for (i = 0; i < count && rc == 0; i++) {
		(void)snprintf(at, sizeof(at), "%zu", i);
		text("state", dr_probe_word(v[i].probe.state));
		number("beat", b[i].us);
		text("error", b[i].err.msg);
	}
	free(b);
	return rc;
}

int
main(int argc, char **argv)
{
	struct dr_pg_view *v = NULL;
	struct dr_err err = { 0 };
	const char **conninfo;
	size_t i, n, count = 0;
	int64_t ms = 0;
	bool beats;

	dr_main_begin("view");
	beats = argc > 1 && strcmp(argv[1], "-b") == 0;
	argc -= 1 + beats;
	argv += 1 + beats;
	if (argc < 2) {
		(void)dr_err_set(&err, DR_EUSAGE,
		    "usage: view [-b] TIMEOUT_MS CONNINFO...");
		return dr_main_end(&err);
	}
	n = (size_t)argc - 1;
	if ((conninfo = calloc(n, sizeof(*conninfo))) == NULL)
		return 1;
	for (i = 0; i < n; i++)
		conninfo[i] = argv[i + 1];
	if (dr_parse_int(argv[0], 1, 600000, &ms, &err) == 0 &&
	    dr_pg_views(conninfo, n, (int)ms, &v, &count, &err) == 0) {
		if (beats)
			(void)beat(conninfo, n, (int)ms, v, count, &err);
		for (i = 0; i < count && !beats; i++)
			show(i, &v[i]);
	}
	dr_pg_views_free(v, count);
	free(conninfo);
	return dr_main_end(&err);
}
