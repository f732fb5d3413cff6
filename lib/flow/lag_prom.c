/*
 * The report as samples of Prometheus, dr-metrics(7).  What is not known has
 * no sample; beside what may be absent stands one that says so.
 */
#include <string.h>

#include "flow/lag_int.h"

struct prom {
	const struct dr_lag *lag;
	struct dr_metrics *m;
	struct dr_buf l; /* labels */
	struct dr_err *err;
	bool failed;
};

static void
label(struct prom *p, const char *name, const char *value)
{
	if (!p->failed &&
	    dr_metric_label(&p->l, name, dr_lag_text(value), p->err) == -1)
		p->failed = true;
}

/* Two sets may be told of on one host, and then by two files. */
static void
of_set(struct prom *p)
{
	if (p->lag->goals == 1 && *p->lag->goal[0].set != '\0')
		label(p, "set", p->lag->goal[0].set);
}

/* The labels go with it. */
static void
put(struct prom *p, const char *name, const char *help, double v)
{
	const char *end = strrchr(name, '_');

	if (!p->failed &&
	    dr_metric(p->m, name,
	        end != NULL && strcmp(end, "_total") == 0 ? "counter" : "gauge",
	        help, p->l.len > 0 ? p->l.data : "", v, p->err) == -1)
		p->failed = true;
	p->l.len = 0;
}

static void
skip(struct prom *p)
{
	p->l.len = 0;
}

static void
num(struct prom *p, const char *name, const char *help, int64_t v, double unit)
{
	if (dr_known(v))
		put(p, name, help, (double)v / unit);
	else
		skip(p);
}

/* --- servers --------------------------------------------------------------------- */

static int64_t
lsn(uint64_t v)
{
	return v != 0 ? (int64_t)v : DR_UNKNOWN;
}

struct family {
	const char *name, *help;
	double unit;
};

enum {
	S_RECOVERY,
	S_TLI,
	S_LSN,
	S_START,
	S_CONFLICTS,
	S_SUCCESS,
	S_FAILURE,
	S_FAILURES,
	S_READY,
	S_OLDEST,
	S_CONNECT,
	S_COUNT
};

static const struct family server_families[S_COUNT] = {
	{ "drtools_server_in_recovery", "1 in recovery, 0 a primary.", 1 },
	{ "drtools_server_timeline", "Timeline of its WAL.", 1 },
	{ "drtools_server_wal_lsn_bytes",
	    "End of its WAL: flushed by a primary, replayed by a standby.", 1 },
	{ "drtools_server_start_timestamp_seconds",
	    "When its postmaster was started.", 1e6 },
	{ "drtools_replication_conflicts_total",
	    "Queries that replay has cancelled.", 1 },
	{ "drtools_archiver_last_success_timestamp_seconds",
	    "When archive_command last succeeded.", 1e6 },
	{ "drtools_archiver_last_failure_timestamp_seconds",
	    "When archive_command last failed.", 1e6 },
	{ "drtools_archiver_failures_total",
	    "How often archive_command has failed.", 1 },
	{ "drtools_archiver_ready_files", "Files that wait to be archived.",
	    1 },
	{ "drtools_archiver_oldest_ready_timestamp_seconds",
	    "Since when the oldest of them waits.", 1e6 },
	{ "drtools_probe_connect_seconds", "How long it took to connect.",
	    1e6 },
};

static int64_t
server_value(const struct dr_pg_view *v, int which)
{
	const bool up = dr_lag_answers(v), arch = up && v->archiving;

	switch (which) {
	case S_RECOVERY:
		return up ? v->in_recovery : DR_UNKNOWN;
	case S_TLI:
		return up && v->tli != 0 ? (int64_t)v->tli : DR_UNKNOWN;
	case S_LSN:
		return up ? lsn(v->in_recovery ? v->replayed : v->lsn)
		          : DR_UNKNOWN;
	case S_START:
		return up ? v->started : DR_UNKNOWN;
	case S_CONFLICTS:
		return up && v->in_recovery ? v->conflicts : DR_UNKNOWN;
	case S_SUCCESS:
		return arch ? v->archiver.last_time : DR_UNKNOWN;
	case S_FAILURE:
		return arch ? v->archiver.failed_time : DR_UNKNOWN;
	case S_FAILURES:
		return arch ? v->archiver.failed : DR_UNKNOWN;
	case S_READY:
		return arch ? v->archiver.ready : DR_UNKNOWN;
	case S_OLDEST:
		return arch ? v->archiver.oldest_ready : DR_UNKNOWN;
	case S_CONNECT:
		return v->probe.connect_us > 0 ? v->probe.connect_us
		                               : DR_UNKNOWN;
	default:
		return DR_UNKNOWN;
	}
}

static void
servers(struct prom *p)
{
	const struct dr_lag *lag = p->lag;
	size_t i;

	if (lag->servers > 0) {
		of_set(p);
		put(p, "drtools_primaries",
		    "How many servers say that they are primary.",
		    (double)lag->primaries);
	}
	for (i = 0; i < lag->servers; i++) {
		of_set(p);
		label(p, "server", lag->server[i].name);
		put(p, "drtools_server_up", "1 when the server answers.",
		    dr_lag_answers(&lag->server[i]));
	}
	for (i = 0; i < lag->servers; i++) {
		of_set(p);
		label(p, "server", lag->server[i].name);
		label(p, "state", dr_probe_word(lag->server[i].probe.state));
		put(p, "drtools_server_state", "1, and in what state it is.",
		    1);
	}
	for (int k = 0; k < S_COUNT; k++)
		for (i = 0; i < lag->servers; i++) {
			of_set(p);
			label(p, "server", lag->server[i].name);
			num(p, server_families[k].name, server_families[k].help,
			    server_value(&lag->server[i], k),
			    server_families[k].unit);
		}
}

/* --- slots ------------------------------------------------------------------------ */

enum { L_ACTIVE, L_RETAINED, L_SAFE, L_LOST, L_SINCE, L_SYNCED, L_COUNT };

static const struct family slot_families[L_COUNT] = {
	{ "drtools_slot_active", "1 while somebody uses the slot.", 1 },
	{ "drtools_slot_retained_bytes", "WAL that is kept for the slot.", 1 },
	{ "drtools_slot_safe_wal_bytes",
	    "WAL that may be written before the slot is lost.", 1 },
	{ "drtools_slot_lost", "1 when the slot is lost.", 1 },
	{ "drtools_slot_inactive_since_timestamp_seconds",
	    "Since when nobody uses the slot.", 1e6 },
	{ "drtools_slot_synced", "1 for a copy of the primary's slot.", 1 },
};

static int64_t
slot_value(const struct dr_pg_view *v, const struct dr_pg_slot *s, int which)
{
	const uint64_t head = v->in_recovery ? v->replayed : v->lsn;

	switch (which) {
	case L_ACTIVE:
		return s->active;
	case L_RETAINED:
		return s->restart != 0 && head >= s->restart
		           ? (int64_t)(head - s->restart)
		           : DR_UNKNOWN;
	case L_SAFE:
		return s->safe_wal_size;
	case L_LOST:
		return strcmp(dr_lag_text(s->wal_status), "lost") == 0 ||
		       *dr_lag_text(s->invalid) != '\0';
	case L_SINCE:
		return s->active ? DR_UNKNOWN : s->inactive_since;
	case L_SYNCED:
		return s->synced;
	default:
		return DR_UNKNOWN;
	}
}

static void
slots(struct prom *p)
{
	for (int k = 0; k < L_COUNT; k++)
		for (size_t i = 0; i < p->lag->servers; i++) {
			const struct dr_pg_view *v = &p->lag->server[i];

			for (size_t n = 0; n < v->slots; n++) {
				of_set(p);
				label(p, "slot", v->slot[n].name);
				label(p, "server", v->name);
				num(p, slot_families[k].name,
				    slot_families[k].help,
				    slot_value(v, &v->slot[n], k),
				    slot_families[k].unit);
			}
		}
}

/* --- standbys --------------------------------------------------------------------- */

enum {
	R_UP,
	R_WRITE,
	R_FLUSH,
	R_REPLAY,
	R_WRITE_S,
	R_FLUSH_S,
	R_REPLAY_S,
	R_HEARTBEAT,
	R_MESSAGE,
	R_PAUSED,
	R_DIVERGED,
	R_SYNC,
	R_COUNT
};

static const struct family standby_families[R_COUNT] = {
	{ "drtools_replication_standby_up", "1 while it streams.", 1 },
	{ "drtools_replication_write_lag_bytes",
	    "WAL of the primary that it has not written.", 1 },
	{ "drtools_replication_flush_lag_bytes",
	    "WAL of the primary that is not durable there.", 1 },
	{ "drtools_replication_replay_lag_bytes",
	    "WAL of the primary that it has not replayed.", 1 },
	{ "drtools_replication_write_lag_seconds",
	    "How long its writes are behind.", 1e6 },
	{ "drtools_replication_flush_lag_seconds",
	    "How long its flushes are behind.", 1e6 },
	{ "drtools_replication_replay_lag_seconds",
	    "How long its replay is behind.", 1e6 },
	{ "drtools_replication_heartbeat_lag_seconds",
	    "Delay of a row, measured by one clock.", 1e6 },
	{ "drtools_replication_last_message_timestamp_seconds",
	    "When it and its sender last heard of each other.", 1e6 },
	{ "drtools_replication_replay_paused", "1 while replay is paused.", 1 },
	{ "drtools_replication_diverged",
	    "1 when it is on another branch than the primary.", 1 },
	{ "drtools_replication_sync", "1 when commits wait for it.", 1 },
};

static int64_t
standby_value(const struct dr_lag *lag, const struct dr_lag_standby *s,
    int which)
{
	const bool asked = s->self != NULL && dr_lag_answers(s->self);
	const char *sync;

	switch (which) {
	case R_UP:
		return s->streaming;
	case R_WRITE:
		return s->write_bytes;
	case R_FLUSH:
		return s->flush_bytes;
	case R_REPLAY:
		return s->replay_bytes;
	case R_WRITE_S:
		return s->write_us;
	case R_FLUSH_S:
		return s->flush_us;
	case R_REPLAY_S:
		return s->replay_us;
	case R_HEARTBEAT:
		return s->heartbeat_us;
	case R_MESSAGE:
		return dr_known(s->last_msg_us) ? lag->time - s->last_msg_us
		                                : DR_UNKNOWN;
	case R_PAUSED:
		return asked ? s->paused : DR_UNKNOWN;
	case R_DIVERGED:
		return asked ? s->diverged : DR_UNKNOWN;
	case R_SYNC:
		sync = s->row != NULL ? dr_lag_text(s->row->sync_state) : "";
		return *sync == '\0' ? DR_UNKNOWN
		                     : strcmp(sync, "sync") == 0 ||
		                           strcmp(sync, "quorum") == 0;
	default:
		return DR_UNKNOWN;
	}
}

static void
standbys(struct prom *p)
{
	for (int k = 0; k < R_COUNT; k++)
		for (size_t i = 0; i < p->lag->standbys; i++) {
			of_set(p);
			label(p, "standby", p->lag->standby[i].name);
			num(p, standby_families[k].name,
			    standby_families[k].help,
			    standby_value(p->lag, &p->lag->standby[i], k),
			    standby_families[k].unit);
		}
}

/* --- stores ----------------------------------------------------------------------- */

enum {
	A_READ,
	A_REACH,
	A_TIME,
	A_GAPS,
	A_RPO_BYTES,
	A_RPO,
	A_RTO,
	A_RESTORED,
	A_BACKUPS,
	A_NEWEST,
	A_STORED,
	A_RAW,
	A_DURATION,
	A_SIZE_CHANGE,
	A_DURATION_CHANGE,
	A_WAL_CHANGE,
	A_COUNT
};

static const struct family store_families[A_COUNT] = {
	{ "drtools_archive_readable", "1 when the store could be read.", 1 },
	{ "drtools_archive_reach_lsn_bytes",
	    "End of the WAL there without a gap since the newest backup.", 1 },
	{ "drtools_archive_reach_timestamp_seconds", "When that WAL arrived.",
	    1e6 },
	{ "drtools_archive_gaps", "Gaps in the WAL after the newest backup.",
	    1 },
	{ "drtools_rpo_bytes", "WAL that would be lost now.", 1 },
	{ "drtools_rpo_seconds", "Time of work that would be lost now.", 1e6 },
	{ "drtools_rto_seconds", "How long a restore would take now.", 1e6 },
	{ "drtools_restore_last_timestamp_seconds",
	    "When this host last restored from there.", 1e6 },
	{ "drtools_backups", "Complete backups of the set.", 1 },
	{ "drtools_backup_newest_timestamp_seconds",
	    "When the newest complete backup ended.", 1e6 },
	{ "drtools_backup_newest_bytes", "What the newest takes in the store.",
	    1 },
	{ "drtools_backup_newest_raw_bytes", "What the newest restores.", 1 },
	{ "drtools_backup_newest_duration_seconds", "How long it took.", 1e6 },
	{ "drtools_backup_size_change_ratio",
	    "The newest's size over the median of the last seven days.", 1000 },
	{ "drtools_backup_duration_change_ratio",
	    "The newest's duration over the median of the last seven days.",
	    1000 },
	{ "drtools_wal_change_ratio",
	    "The WAL since then over the median of the last seven days.",
	    1000 },
};

static int64_t
store_value(const struct dr_lag_store *s, int which)
{
	const bool has = s->err.cause == DR_OK;

	if (which == A_READ)
		return has;
	if (!has)
		return DR_UNKNOWN;
	switch (which) {
	case A_REACH:
		return lsn(s->reach);
	case A_TIME:
		return s->reach != 0 ? s->reach_time : DR_UNKNOWN;
	case A_GAPS:
		return (int64_t)s->gaps;
	case A_RPO_BYTES:
		return s->rpo_bytes;
	case A_RPO:
		return s->rpo_us;
	case A_RTO:
		return s->rto_us;
	case A_RESTORED:
		return s->restored;
	case A_BACKUPS:
		return (int64_t)s->backups;
	default:
		break;
	}
	if (s->id == NULL)
		return DR_UNKNOWN;
	switch (which) {
	case A_NEWEST:
		return s->stopped;
	case A_STORED:
		return s->stored;
	case A_RAW:
		return s->raw;
	case A_DURATION:
		return s->duration;
	case A_SIZE_CHANGE:
		return s->size_change;
	case A_DURATION_CHANGE:
		return s->duration_change;
	case A_WAL_CHANGE:
		return s->wal_change;
	default:
		return DR_UNKNOWN;
	}
}

static void
where(struct prom *p, const struct dr_lag_store *s)
{
	label(p, "set", s->set);
	label(p, "store", s->url);
}

static void
stores(struct prom *p)
{
	const struct dr_lag *lag = p->lag;
	size_t i;

	for (int k = 0; k < A_COUNT; k++)
		for (i = 0; i < lag->stores; i++) {
			where(p, &lag->store[i]);
			num(p, store_families[k].name, store_families[k].help,
			    store_value(&lag->store[i], k),
			    store_families[k].unit);
		}
	for (i = 0; i < lag->stores; i++)
		for (int deep = 0; deep < 2; deep++) {
			const struct dr_lag_store *s = &lag->store[i];

			where(p, s);
			label(p, "deep", deep == 1 ? "true" : "false");
			num(p, "drtools_verify_last_timestamp_seconds",
			    "When this host last verified backups there.",
			    s->err.cause != DR_OK ? DR_UNKNOWN
			    : deep == 1           ? s->deep_verified
			                          : s->verified,
			    1e6);
		}
	for (i = 0; i < lag->goals; i++) {
		if (*dr_lag_text(lag->goal[i].tier) == '\0')
			continue;
		label(p, "set", lag->goal[i].set);
		label(p, "tier", lag->goal[i].tier);
		put(p, "drtools_set_info", "1, and its tier.", 1);
	}
	for (int rto = 0; rto < 2; rto++)
		for (i = 0; i < lag->goals; i++) {
			label(p, "set", lag->goal[i].set);
			num(p,
			    rto == 1 ? "drtools_rto_objective_seconds"
			             : "drtools_rpo_objective_seconds",
			    rto == 1 ? "How long a restore may take."
			             : "Time of work that may be lost.",
			    rto == 1 ? lag->goal[i].rto : lag->goal[i].rpo,
			    1e6);
		}
	for (int bad = 0; bad < 2; bad++)
		for (i = 0; i < lag->goals; i++) {
			label(p, "set", lag->goal[i].set);
			num(p,
			    bad == 1 ? "drtools_backup_failures_total"
			             : "drtools_backup_runs_total",
			    bad == 1 ? "Backups that failed on this host."
			             : "Backups that were made on this host, "
			               "or failed.",
			    bad == 1 ? lag->goal[i].failures
			             : lag->goal[i].runs,
			    1);
		}
}

/* One sample for each, however often it was told of. */
static bool
told(const struct dr_lag *lag, size_t i)
{
	const struct dr_lag_note *n = &lag->note[i], *m;

	for (size_t k = 0; k < i; k++) {
		m = &lag->note[k];
		if (m->level == n->level && strcmp(m->what, n->what) == 0 &&
		    strcmp(m->about, n->about) == 0)
			return true;
	}
	return n->level == DR_LAG_OK;
}

/* --- all of it -------------------------------------------------------------------- */

int
dr_lag_metrics(const struct dr_lag *lag, struct dr_metrics *m,
    struct dr_err *err)
{
	struct prom p = { lag, m, { .max = 65536 }, err, false };

	of_set(&p);
	put(&p, "drtools_lag_timestamp_seconds", "When this was found.",
	    (double)lag->time / 1e6);
	of_set(&p);
	put(&p, "drtools_lag_level",
	    "0 within objectives, 1 warning, 2 beyond them, 3 unknown.",
	    (double)lag->level);
	for (size_t i = 0; i < lag->notes; i++) {
		if (told(lag, i))
			continue;
		of_set(&p);
		label(&p, "what", lag->note[i].what);
		label(&p, "about", lag->note[i].about);
		label(&p, "level", dr_lag_word(lag->note[i].level));
		put(&p, "drtools_note", "1 for each thing that is wrong.", 1);
	}
	servers(&p);
	slots(&p);
	standbys(&p);
	stores(&p);
	dr_buf_free(&p.l);
	return p.failed ? -1 : 0;
}

int
dr_lag_prom(const struct dr_lag *lag, struct dr_buf *out, struct dr_err *err)
{
	struct dr_metrics m = DR_METRICS_INIT;
	int rc = dr_lag_metrics(lag, &m, err);

	if (rc == 0)
		rc = dr_buf_add(out, m.text.data, m.text.len, err);
	dr_buf_free(&m.text);
	return rc;
}
