/* The report as one JSON object, as dr-lag(1) describes it. */
#include <stdio.h>

#include "base/json.h"
#include "flow/lag_int.h"

static void
num(struct dr_json *j, const char *key, int64_t v)
{
	if (dr_known(v))
		dr_json_int(j, key, v);
	else
		dr_json_null(j, key);
}

static void
sec(struct dr_json *j, const char *key, int64_t us)
{
	if (dr_known(us))
		dr_json_real(j, key, (double)us / 1e6);
	else
		dr_json_null(j, key);
}

static void
when(struct dr_json *j, const char *key, int64_t us)
{
	char text[DR_TIME_LEN];

	if (dr_known(us))
		dr_json_str(j, key, dr_format_time(us, text));
	else
		dr_json_null(j, key);
}

static void
lsn(struct dr_json *j, const char *key, uint64_t v)
{
	char text[DR_LSN_LEN];

	if (v != 0)
		dr_json_str(j, key, dr_format_lsn(v, text));
	else
		dr_json_null(j, key);
}

static void
str(struct dr_json *j, const char *key, const char *s)
{
	if (*dr_lag_text(s) != '\0')
		dr_json_str(j, key, s);
	else
		dr_json_null(j, key);
}

static void
tli(struct dr_json *j, const char *key, uint32_t v)
{
	if (v != 0)
		dr_json_uint(j, key, v);
	else
		dr_json_null(j, key);
}

/* Beyond what a double holds exactly. */
static void
system_id(struct dr_json *j, uint64_t id)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
	str(j, "system_id", id != 0 ? text : "");
}

static void
ratio(struct dr_json *j, const char *key, int64_t per_mille)
{
	if (dr_known(per_mille))
		dr_json_real(j, key, (double)per_mille / 1000);
	else
		dr_json_null(j, key);
}

static void
slot(struct dr_json *j, const struct dr_pg_view *v, const struct dr_pg_slot *s)
{
	uint64_t head = v->in_recovery ? v->replayed : v->lsn;

	dr_json_object(j, NULL);
	dr_json_str(j, "name", s->name);
	str(j, "type", s->type);
	str(j, "database", s->database);
	str(j, "wal_status", s->wal_status);
	str(j, "invalidation_reason", s->invalid);
	dr_json_bool(j, "active", s->active);
	dr_json_bool(j, "temporary", s->temporary);
	dr_json_bool(j, "failover", s->failover);
	dr_json_bool(j, "synced", s->synced);
	lsn(j, "restart_lsn", s->restart);
	lsn(j, "confirmed_flush_lsn", s->confirmed);
	num(j, "retained_bytes",
	    s->restart != 0 && head >= s->restart ? (int64_t)(head - s->restart)
	                                          : DR_UNKNOWN);
	num(j, "safe_wal_bytes", s->safe_wal_size);
	when(j, "inactive_since", s->inactive_since);
	dr_json_close(j, '}');
}

static void
archiver(struct dr_json *j, const struct dr_pg_view *v)
{
	if (!v->archiving) {
		dr_json_null(j, "archiver");
		return;
	}
	dr_json_object(j, "archiver");
	num(j, "archived", v->archiver.archived);
	str(j, "last_wal", v->archiver.last_wal);
	when(j, "last_time", v->archiver.last_time);
	num(j, "failed", v->archiver.failed);
	str(j, "failed_wal", v->archiver.failed_wal);
	when(j, "failed_time", v->archiver.failed_time);
	num(j, "ready_files", v->archiver.ready);
	when(j, "oldest_ready", v->archiver.oldest_ready);
	dr_json_close(j, '}');
}

static void
standby_side(struct dr_json *j, const struct dr_pg_view *v)
{
	lsn(j, "received_lsn", v->received);
	lsn(j, "replayed_lsn", v->replayed);
	when(j, "replayed_time", v->replayed_time);
	sec(j, "apply_delay_seconds", v->apply_delay);
	dr_json_bool(j, "replay_paused", v->paused);
	str(j, "receiver", v->receiver);
	str(j, "sender", v->sender);
	tli(j, "received_timeline", v->received_tli);
	when(j, "last_message", v->last_msg);
	num(j, "conflicts", v->conflicts);
}

static void
server(struct dr_json *j, const struct dr_pg_view *v)
{
	const bool up = dr_lag_answers(v);

	dr_json_object(j, NULL);
	dr_json_str(j, "name", v->name);
	dr_json_str(j, "where", dr_lag_text(v->where));
	dr_json_str(j, "state", dr_probe_word(v->probe.state));
	str(j, "error", v->probe.err.msg);
	sec(j, "connect_seconds", v->probe.connect_us);
	sec(j, "answer_seconds", v->probe.answer_us);
	if (up) {
		dr_json_bool(j, "in_recovery", v->in_recovery);
		dr_json_bool(j, "read_only", v->read_only);
		dr_json_bool(j, "hidden", v->hidden);
		dr_json_int(j, "version", v->version);
		system_id(j, v->system_id);
		tli(j, "timeline", v->tli);
		when(j, "started", v->started);
		sec(j, "clock_ahead_seconds",
		    dr_known(v->now) && dr_known(v->asked) ? v->now - v->asked
		                                           : DR_UNKNOWN);
		if (v->in_recovery)
			standby_side(j, v);
		else {
			lsn(j, "lsn", v->lsn);
			str(j, "synchronous_standby_names", v->sync_names);
			str(j, "synchronous_commit", v->sync_commit);
		}
		archiver(j, v);
		dr_json_array(j, "slots");
		for (size_t i = 0; i < v->slots; i++)
			slot(j, v, &v->slot[i]);
		dr_json_close(j, ']');
	}
	dr_json_close(j, '}');
}

static void
standby(struct dr_json *j, const struct dr_lag_standby *s)
{
	dr_json_object(j, NULL);
	dr_json_str(j, "name", s->name);
	str(j, "server", s->self != NULL ? s->self->name : "");
	str(j, "sender", s->sender != NULL ? s->sender->name : "");
	dr_json_bool(j, "expected", s->expected);
	dr_json_str(j, "kind",
	    s->logical    ? "logical"
	    : s->receiver ? "receiver"
	                  : "standby");
	dr_json_bool(j, "streaming", s->streaming);
	str(j, "state", s->row != NULL ? s->row->state : "");
	str(j, "sync_state", s->row != NULL ? s->row->sync_state : "");
	str(j, "slot", s->row != NULL ? s->row->slot : "");
	str(j, "address", s->row != NULL ? s->row->addr : "");
	dr_json_bool(j, "replay_paused", s->paused);
	dr_json_bool(j, "diverged", s->diverged);
	tli(j, "timeline", s->tli);
	num(j, "write_lag_bytes", s->write_bytes);
	num(j, "flush_lag_bytes", s->flush_bytes);
	num(j, "replay_lag_bytes", s->replay_bytes);
	sec(j, "write_lag_seconds", s->write_us);
	sec(j, "flush_lag_seconds", s->flush_us);
	sec(j, "replay_lag_seconds", s->replay_us);
	sec(j, "heartbeat_lag_seconds", s->heartbeat_us);
	sec(j, "last_message_age_seconds", s->last_msg_us);
	dr_json_close(j, '}');
}

static void
backup(struct dr_json *j, const struct dr_lag_store *s)
{
	if (s->id == NULL) {
		dr_json_null(j, "newest");
		return;
	}
	dr_json_object(j, "newest");
	dr_json_str(j, "id", s->id);
	when(j, "started", s->started);
	when(j, "stopped", s->stopped);
	when(j, "committed", s->committed);
	lsn(j, "stop_lsn", s->stop_lsn);
	tli(j, "timeline", s->stop_tli);
	num(j, "stored_bytes", s->stored);
	num(j, "raw_bytes", s->raw);
	sec(j, "duration_seconds", s->duration);
	ratio(j, "size_change", s->size_change);
	ratio(j, "duration_change", s->duration_change);
	ratio(j, "wal_change", s->wal_change);
	dr_json_close(j, '}');
}

static void
store(struct dr_json *j, const struct dr_lag_store *s)
{
	const bool read = s->err.cause == DR_OK;

	dr_json_object(j, NULL);
	dr_json_str(j, "store", s->url);
	str(j, "set", s->set);
	dr_json_bool(j, "readable", read);
	str(j, "error", read ? "" : s->err.msg);
	if (read) {
		system_id(j, s->system_id);
		tli(j, "timeline", s->tli);
		lsn(j, "reach_lsn", s->reach);
		when(j, "reach_time", s->reach_time);
		lsn(j, "newest_lsn", s->newest);
		dr_json_uint(j, "gaps", s->gaps);
		lsn(j, "gap_from", s->gaps > 0 ? s->gap_from : 0);
		lsn(j, "gap_to", s->gaps > 0 ? s->gap_to : 0);
		num(j, "rpo_bytes", s->rpo_bytes);
		sec(j, "rpo_seconds", s->rpo_us);
		dr_json_bool(j, "rpo_is_bound", s->rpo_bound);
		sec(j, "rto_seconds", s->rto_us);
		sec(j, "rto_fetch_seconds", s->fetch_us);
		sec(j, "rto_replay_seconds", s->replay_us);
		dr_json_uint(j, "backups", s->backups);
		backup(j, s);
		when(j, "verified", s->verified);
		when(j, "deep_verified", s->deep_verified);
		when(j, "restored", s->restored);
		str(j, "told", s->told);
	}
	dr_json_close(j, '}');
}

static void
goals(struct dr_json *j, const struct dr_lag *lag)
{
	dr_json_array(j, "objectives");
	for (size_t i = 0; i < lag->goals; i++) {
		const struct dr_lag_goal *g = &lag->goal[i];

		dr_json_object(j, NULL);
		str(j, "set", g->set);
		str(j, "tier", g->tier);
		sec(j, "rpo_seconds", g->rpo);
		sec(j, "rto_seconds", g->rto);
		sec(j, "backup_max_age_seconds", g->backup_max_age);
		sec(j, "verify_max_age_seconds", g->verify_max_age);
		dr_json_close(j, '}');
	}
	dr_json_close(j, ']');
}

int
dr_lag_json(const struct dr_lag *lag, struct dr_buf *out, struct dr_err *err)
{
	struct dr_json j;
	size_t i;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	when(&j, "time", lag->time);
	dr_json_str(&j, "level", dr_lag_word(lag->level));
	dr_json_int(&j, "status", dr_lag_status(lag));
	str(&j, "primary", lag->primary != NULL ? lag->primary->name : "");
	dr_json_uint(&j, "primaries", lag->primaries);
	dr_json_array(&j, "notes");
	for (i = 0; i < lag->notes; i++) {
		const struct dr_lag_note *n = &lag->note[i];

		dr_json_object(&j, NULL);
		dr_json_str(&j, "level", dr_lag_word(n->level));
		dr_json_str(&j, "what", n->what);
		str(&j, "about", n->about);
		dr_json_str(&j, "text", n->text);
		dr_json_close(&j, '}');
	}
	dr_json_close(&j, ']');
	dr_json_array(&j, "servers");
	for (i = 0; i < lag->servers; i++)
		server(&j, &lag->server[i]);
	dr_json_close(&j, ']');
	dr_json_array(&j, "standbys");
	for (i = 0; i < lag->standbys; i++)
		standby(&j, &lag->standby[i]);
	dr_json_close(&j, ']');
	dr_json_array(&j, "stores");
	for (i = 0; i < lag->stores; i++)
		store(&j, &lag->store[i]);
	dr_json_close(&j, ']');
	goals(&j, lag);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}
