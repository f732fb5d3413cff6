/* The report as one JSON object, as dr-lag(1) describes it. */
#include <stdio.h>

#include "base/json.h"
#include "flow/json_known.h"
#include "flow/lag_int.h"

/* Beyond what a double holds exactly. */
static void
system_id(struct dr_json *j, uint64_t id)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
	dr_json_text(j, "system_id", id != 0 ? text : "");
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
	dr_json_text(j, "type", s->type);
	dr_json_text(j, "database", s->database);
	dr_json_text(j, "wal_status", s->wal_status);
	dr_json_text(j, "invalidation_reason", s->invalid);
	dr_json_bool(j, "active", s->active);
	dr_json_bool(j, "temporary", s->temporary);
	dr_json_bool(j, "failover", s->failover);
	dr_json_bool(j, "synced", s->synced);
	dr_json_lsn(j, "restart_lsn", s->restart);
	dr_json_lsn(j, "confirmed_flush_lsn", s->confirmed);
	dr_json_num(j, "retained_bytes",
	    s->restart != 0 && head >= s->restart ? (int64_t)(head - s->restart)
	                                          : DR_UNKNOWN);
	dr_json_num(j, "safe_wal_bytes", s->safe_wal_size);
	dr_json_when(j, "inactive_since", s->inactive_since);
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
	dr_json_num(j, "archived", v->archiver.archived);
	dr_json_text(j, "last_wal", v->archiver.last_wal);
	dr_json_when(j, "last_time", v->archiver.last_time);
	dr_json_num(j, "failed", v->archiver.failed);
	dr_json_text(j, "failed_wal", v->archiver.failed_wal);
	dr_json_when(j, "failed_time", v->archiver.failed_time);
	dr_json_num(j, "ready_files", v->archiver.ready);
	dr_json_when(j, "oldest_ready", v->archiver.oldest_ready);
	dr_json_close(j, '}');
}

static void
standby_side(struct dr_json *j, const struct dr_pg_view *v)
{
	dr_json_lsn(j, "received_lsn", v->received);
	dr_json_lsn(j, "replayed_lsn", v->replayed);
	dr_json_when(j, "replayed_time", v->replayed_time);
	dr_json_sec(j, "apply_delay_seconds", v->apply_delay);
	dr_json_bool(j, "replay_paused", v->paused);
	dr_json_text(j, "receiver", v->receiver);
	dr_json_text(j, "sender", v->sender);
	dr_json_tli(j, "received_timeline", v->received_tli);
	dr_json_when(j, "last_message", v->last_msg);
	dr_json_num(j, "conflicts", v->conflicts);
}

static void
server(struct dr_json *j, const struct dr_pg_view *v)
{
	const bool up = dr_lag_answers(v);

	dr_json_object(j, NULL);
	dr_json_str(j, "name", v->name);
	dr_json_str(j, "where", dr_lag_text(v->where));
	dr_json_str(j, "state", dr_probe_word(v->probe.state));
	dr_json_text(j, "error", v->probe.err.msg);
	dr_json_sec(j, "connect_seconds", v->probe.connect_us);
	dr_json_sec(j, "answer_seconds", v->probe.answer_us);
	if (up) {
		dr_json_bool(j, "in_recovery", v->in_recovery);
		dr_json_bool(j, "read_only", v->read_only);
		dr_json_bool(j, "hidden", v->hidden);
		dr_json_int(j, "version", v->version);
		system_id(j, v->system_id);
		dr_json_tli(j, "timeline", v->tli);
		dr_json_when(j, "started", v->started);
		dr_json_sec(j, "clock_ahead_seconds",
		    dr_known(v->now) && dr_known(v->asked) ? v->now - v->asked
		                                           : DR_UNKNOWN);
		if (v->in_recovery)
			standby_side(j, v);
		else {
			dr_json_lsn(j, "lsn", v->lsn);
			dr_json_text(j, "synchronous_standby_names",
			    v->sync_names);
			dr_json_text(j, "synchronous_commit", v->sync_commit);
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
	dr_json_text(j, "server", s->self != NULL ? s->self->name : "");
	dr_json_text(j, "sender", s->sender != NULL ? s->sender->name : "");
	dr_json_bool(j, "expected", s->expected);
	dr_json_str(j, "kind",
	    s->logical    ? "logical"
	    : s->receiver ? "receiver"
	                  : "standby");
	dr_json_bool(j, "streaming", s->streaming);
	dr_json_text(j, "state", s->row != NULL ? s->row->state : "");
	dr_json_text(j, "sync_state", s->row != NULL ? s->row->sync_state : "");
	dr_json_text(j, "slot", s->row != NULL ? s->row->slot : "");
	dr_json_text(j, "address", s->row != NULL ? s->row->addr : "");
	dr_json_bool(j, "replay_paused", s->paused);
	dr_json_bool(j, "diverged", s->diverged);
	dr_json_tli(j, "timeline", s->tli);
	dr_json_num(j, "write_lag_bytes", s->write_bytes);
	dr_json_num(j, "flush_lag_bytes", s->flush_bytes);
	dr_json_num(j, "replay_lag_bytes", s->replay_bytes);
	dr_json_sec(j, "write_lag_seconds", s->write_us);
	dr_json_sec(j, "flush_lag_seconds", s->flush_us);
	dr_json_sec(j, "replay_lag_seconds", s->replay_us);
	dr_json_sec(j, "heartbeat_lag_seconds", s->heartbeat_us);
	dr_json_sec(j, "last_message_age_seconds", s->last_msg_us);
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
	dr_json_when(j, "started", s->started);
	dr_json_when(j, "stopped", s->stopped);
	dr_json_when(j, "committed", s->committed);
	dr_json_lsn(j, "stop_lsn", s->stop_lsn);
	dr_json_tli(j, "timeline", s->stop_tli);
	dr_json_num(j, "stored_bytes", s->stored);
	dr_json_num(j, "raw_bytes", s->raw);
	dr_json_sec(j, "duration_seconds", s->duration);
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
	dr_json_text(j, "set", s->set);
	dr_json_bool(j, "readable", read);
	dr_json_text(j, "error", read ? "" : s->err.msg);
	if (read) {
		system_id(j, s->system_id);
		dr_json_tli(j, "timeline", s->tli);
		dr_json_lsn(j, "reach_lsn", s->reach);
		dr_json_when(j, "reach_time", s->reach_time);
		dr_json_lsn(j, "newest_lsn", s->newest);
		dr_json_uint(j, "gaps", s->gaps);
		dr_json_lsn(j, "gap_from", s->gaps > 0 ? s->gap_from : 0);
		dr_json_lsn(j, "gap_to", s->gaps > 0 ? s->gap_to : 0);
		dr_json_num(j, "rpo_bytes", s->rpo_bytes);
		dr_json_sec(j, "rpo_seconds", s->rpo_us);
		dr_json_bool(j, "rpo_is_bound", s->rpo_bound);
		dr_json_sec(j, "rto_seconds", s->rto_us);
		dr_json_sec(j, "rto_fetch_seconds", s->fetch_us);
		dr_json_sec(j, "rto_replay_seconds", s->replay_us);
		dr_json_uint(j, "backups", s->backups);
		backup(j, s);
		dr_json_when(j, "verified", s->verified);
		dr_json_when(j, "deep_verified", s->deep_verified);
		dr_json_when(j, "restored", s->restored);
		dr_json_text(j, "told", s->told);
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
		dr_json_text(j, "set", g->set);
		dr_json_text(j, "tier", g->tier);
		dr_json_sec(j, "rpo_seconds", g->rpo);
		dr_json_sec(j, "rto_seconds", g->rto);
		dr_json_sec(j, "backup_max_age_seconds", g->backup_max_age);
		dr_json_sec(j, "verify_max_age_seconds", g->verify_max_age);
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
	dr_json_when(&j, "time", lag->time);
	dr_json_str(&j, "level", dr_lag_word(lag->level));
	dr_json_int(&j, "status", dr_lag_status(lag));
	dr_json_text(&j, "primary",
	    lag->primary != NULL ? lag->primary->name : "");
	dr_json_uint(&j, "primaries", lag->primaries);
	dr_json_array(&j, "notes");
	for (i = 0; i < lag->notes; i++) {
		const struct dr_lag_note *n = &lag->note[i];

		dr_json_object(&j, NULL);
		dr_json_str(&j, "level", dr_lag_word(n->level));
		dr_json_str(&j, "what", n->what);
		dr_json_text(&j, "about", n->about);
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
