#include "flow/snap_pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"
#include "flow/pg_facts.h"
#include "flow/pg_merge.h"
#include "flow/pg_watch.h"
#include "flow/spill.h"
#include "manifest/manifest.h"
#include "pg/basebackup.h"
#include "pg/bbmanifest.h"

#define OLDEST 130000

/* Of what the server has to say, so much is kept and so much is shown. */
#define WARNINGS_KEPT  1000
#define WARNINGS_SHOWN 20

static const char app[] = "dr-snap";

/*
 * A backup of a standby must not come up as a standby of the same primary
 * when somebody starts it.  And a server that runs on what tar unpacked still
 * has the .drtools of the backup that it came from.
 */
static const char *const leave_out[] = { "standby.signal", "recovery.signal",
	".drtools/", NULL };

struct snap {
	const struct dr_snap_pg_opts *opts;
	PGconn *wal, *sql; /* sql NULL: the user may not, or did not ask */
	struct dr_watch *watch;
	struct dr_merge *merge;
	struct dr_bbmanifest *filter;
	struct dr_spill spill; /* the backup_manifest, filtered */
	struct dr_config config;
	struct dr_bb_facts facts;
	json_t *manifest, *report; /* manifest borrowed */
	json_t *warnings;          /* borrowed from report */
	unsigned warned;
};

/* --- what the server says ------------------------------------------------ */

static void
on_notice(void *arg, const PGresult *res)
{
	struct snap *s = arg;
	const char *severity =
	    PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	if (text == NULL || severity == NULL)
		return;
	if (json_array_size(s->warnings) < WARNINGS_KEPT)
		(void)json_array_append_new(s->warnings, json_string(text));
	if (strcmp(severity, "WARNING") != 0)
		dr_say(1, "the server says: %s", text);
	else if (s->warned++ < WARNINGS_SHOWN)
		dr_warn("the server says: %s", text);
}

/* --- events of the base backup ------------------------------------------- */

static int
on_started(void *arg, const struct dr_bb_facts *f, struct dr_err *err)
{
	struct snap *s = arg;
	const struct dr_bb_tablespace *t;
	json_t *list, *row;
	size_t i;

	dr_progress_total(f->size);
	if ((list = json_array()) == NULL ||
	    json_object_set_new(s->report, "tablespaces", list) == -1)
		return dr_err_set(err, DR_EFAIL, "cannot allocate a report");
	for (i = 0; i < f->n; i++) {
		t = &f->tablespaces[i];
		if (t->oid[0] == '\0')
			continue;
		/* A path that is no UTF-8 still stands in tablespace_map. */
		row = json_pack("{s:s, s:s*, s:I}", "oid", t->oid, "path",
		    t->path, "size", (json_int_t)t->size);
		if (row == NULL)
			row = json_pack("{s:s}", "oid", t->oid);
		if (json_array_append_new(list, row) == -1)
			return dr_err_set(err, DR_EFAIL,
			    "cannot allocate a report");
	}
	return dr_manifest_set_int(s->manifest, "pg.tablespaces",
	    (int64_t)json_array_size(list), err);
}

static int
on_archive(void *arg, const char *oid, struct dr_err *err)
{
	struct snap *s = arg;

	return dr_merge_begin(s->merge, oid, err);
}

static int
on_data(void *arg, const void *p, size_t n, struct dr_err *err)
{
	struct snap *s = arg;

	dr_progress(dr_merge_size(s->merge));
	return dr_merge_data(s->merge, p, n, err);
}

static int
on_archive_end(void *arg, struct dr_err *err)
{
	struct snap *s = arg;

	return dr_merge_end(s->merge, err);
}

static int
on_manifest(void *arg, const void *p, size_t n, struct dr_err *err)
{
	struct snap *s = arg;

	return dr_bbmanifest_add(s->filter, p, n, err);
}

static int
to_spill(void *arg, const void *p, size_t n, struct dr_err *err)
{
	return dr_spill_add(arg, p, n, err);
}

static int
on_alarm(void *arg, struct dr_err *err)
{
	return dr_watch_tick(arg, err);
}

static int
on_tick(void *arg, struct dr_err *err)
{
	struct snap *s = arg;

	dr_progress(dr_merge_size(s->merge));
	if (s->watch == NULL || s->opts->max_wal_retained > 0)
		return 0; /* on_alarm does */
	return dr_watch_tick(s->watch, err);
}

/* --- before and after ---------------------------------------------------- */

/*
 * An ordinary connection beside the walsender: needed for some options,
 * welcome for facts.
 */
static int
open_sql(struct snap *s, struct dr_err *err)
{
	const struct dr_snap_pg_opts *o = s->opts;
	bool needed = o->with_config || o->max_wal_retained > 0;
	struct dr_err no = { 0 };

	s->sql = dr_pg_connect(o->conninfo, false, app, s->wal, &no);
	if (s->sql != NULL)
		return 0;
	if (needed || no.cause == DR_ESTOP) {
		*err = no;
		if (no.cause == DR_ESTOP)
			return -1;
		return dr_err_wrap(err, "%s needs an SQL connection",
		    o->with_config ? "--with-config" : "--max-wal-retained");
	}
	dr_say(1, "locale, extensions and retained WAL are not recorded: %s",
	    no.msg);
	return 0;
}

static int
look_around(struct snap *s, struct dr_err *err)
{
	char system_id[21];
	uint32_t timeline;

	if (dr_pg_identify(s->wal, system_id, &timeline, NULL, err) == -1 ||
	    dr_manifest_set_str(s->manifest, "pg.system_id", system_id, err) ==
	        -1 ||
	    dr_facts_server(s->wal, s->manifest, s->report, err) == -1 ||
	    open_sql(s, err) == -1)
		return -1;
	if (s->sql == NULL)
		return 0;
	if (dr_facts_sql(s->sql, s->manifest, s->report, err) == -1)
		return -1;
	if (!s->opts->with_config)
		return 0;
	return dr_config_read(s->sql, &s->config, err);
}

static int
set_positions(struct snap *s, struct dr_err *err)
{
	const struct dr_bb_facts *f = &s->facts;
	json_t *m = s->manifest;

	if (dr_manifest_set_str(m, "pg.start_lsn", f->start_lsn, err) == -1 ||
	    dr_manifest_set_str(m, "pg.stop_lsn", f->stop_lsn, err) == -1 ||
	    dr_manifest_set_int(m, "pg.timeline", f->stop_timeline, err) ==
	        -1 ||
	    dr_manifest_set_bool(m, "pg.wal", !s->opts->no_wal, err) == -1)
		return -1;
	return dr_manifest_set_bool(m, "pg.checksums_verified",
	    dr_manifest_bool(m, "pg.page_checksums", false) &&
	        !s->opts->allow_checksum_failures,
	    err);
}

static int
put_config(struct snap *s, struct dr_err *err)
{
	const struct dr_config_file *f;
	json_t *list;
	char *path;
	size_t i;
	int rc = 0;

	if (s->config.n == 0)
		return 0;
	if ((list = json_array()) == NULL ||
	    json_object_set_new(s->report, "config", list) == -1)
		return dr_err_set(err, DR_EFAIL, "cannot allocate a report");
	for (i = 0; i < s->config.n && rc == 0; i++) {
		f = &s->config.v[i];
		(void)json_array_append_new(list, json_string(f->path));
		path = dr_fmt(err, ".drtools/config%s", f->path);
		if (path == NULL)
			return -1;
		rc = dr_merge_file(s->merge, path, f->size, err);
		free(path);
		if (rc == 0)
			rc = dr_merge_bytes(s->merge, f->data, f->size, err);
		if (rc == 0)
			rc = dr_merge_file_end(s->merge, err);
	}
	return rc;
}

static int
put_report(struct snap *s, struct dr_err *err)
{
	static const char *const same[] = { "id", "kind", "started", "host",
		"labels", "pg" };
	json_t *v;
	char *text;
	size_t i, n;
	int rc = -1;

	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if ((v = json_object_get(s->manifest, same[i])) != NULL &&
		    json_object_set(s->report, same[i], v) == -1)
			return dr_err_set(err, DR_EFAIL,
			    "cannot allocate a report");
	text = json_dumps(s->report, JSON_INDENT(1) | JSON_SORT_KEYS);
	if (text == NULL)
		return dr_err_set(err, DR_EFAIL, "cannot allocate a report");
	n = strlen(text);
	if (dr_merge_file(s->merge, ".drtools/report.json", n + 1, err) == 0 &&
	    dr_merge_bytes(s->merge, text, n, err) == 0 &&
	    dr_merge_bytes(s->merge, "\n", 1, err) == 0 &&
	    dr_merge_file_end(s->merge, err) == 0)
		rc = 0;
	free(text);
	return rc;
}

static int
to_merge(void *arg, const void *p, size_t n, struct dr_err *err)
{
	return dr_merge_bytes(arg, p, n, err);
}

static int
put_manifest(struct snap *s, struct dr_err *err)
{
	if (dr_merge_file(s->merge, "backup_manifest", s->spill.size, err) ==
	        -1 ||
	    dr_spill_read(&s->spill, to_merge, s->merge, err) == -1)
		return -1;
	return dr_merge_file_end(s->merge, err);
}

static int
backup(struct snap *s, struct dr_err *err)
{
	static const struct dr_bb_events events = { on_started, on_archive,
		on_data, on_archive_end, on_manifest, on_tick };
	const struct dr_snap_pg_opts *o = s->opts;
	char slot[DR_SLOT_LEN], label[64];
	const struct dr_bb_opts bb = {
		.label = label,
		.fast = !o->spread,
		.wal = !o->no_wal,
		.verify_checksums = !o->allow_checksum_failures,
		.max_rate = o->max_rate,
		.archive_wait = o->archive_wait,
	};

	(void)snprintf(label, sizeof(label), "dr-snap %s",
	    dr_manifest_str(s->manifest, "id"));
	if (!o->no_wal) {
		if (dr_pg_temp_slot(s->wal, slot, err) == -1)
			return -1;
		if (s->sql != NULL && (s->watch = dr_watch_new(s->sql, slot,
		                           o->max_wal_retained, err)) == NULL)
			return -1;
	}
	/* What reads us may stall: the limit must be watched then, too. */
	if (s->watch != NULL && o->max_wal_retained > 0)
		dr_each_second(on_alarm, s->watch);
	if (dr_bb_run(s->wal, &bb, &events, s, &s->facts, err) == -1)
		return -1;
	dr_each_second(NULL, NULL);
	if (s->warned > WARNINGS_SHOWN)
		dr_warn("the server gave %u more warning%s",
		    s->warned - WARNINGS_SHOWN,
		    dr_plural(s->warned - WARNINGS_SHOWN));
	if (dr_bbmanifest_end(s->filter, err) == -1 ||
	    set_positions(s, err) == -1)
		return -1;
	if (put_config(s, err) == -1 || put_report(s, err) == -1 ||
	    put_manifest(s, err) == -1)
		return -1;
	return dr_merge_finish(s->merge, err);
}

static int
begin(struct snap *s, struct dr_sink *out, struct dr_err *err)
{
	if ((s->report = json_pack("{s:i, s:[]}", "drtools", 1, "warnings")) ==
	    NULL)
		return dr_err_set(err, DR_EFAIL, "cannot allocate a report");
	s->warnings = json_object_get(s->report, "warnings");
	if ((s->merge = dr_merge_new(out, leave_out, err)) == NULL)
		return -1;
	s->filter = dr_bbmanifest_new(leave_out, to_spill, &s->spill, err);
	if (s->filter == NULL)
		return -1;
	s->wal = dr_pg_connect(s->opts->conninfo, true, app, NULL, err);
	if (s->wal == NULL)
		return -1;
	if (PQserverVersion(s->wal) < OLDEST)
		return dr_err_set(err, DR_EFAIL,
		    "servers before PostgreSQL %d are not supported",
		    OLDEST / 10000);
	(void)PQsetNoticeReceiver(s->wal, on_notice, s);
	return 0;
}

int
dr_snap_pg(const struct dr_snap_pg_opts *opts, struct dr_sink *out,
    json_t *manifest, struct dr_err *err)
{
	struct snap s = { .opts = opts,
		.manifest = manifest,
		.spill = DR_SPILL_INIT };
	int rc = -1;

	if (opts->no_wal && opts->max_wal_retained > 0)
		return dr_err_set(err, DR_EUSAGE,
		    "--max-wal-retained has nothing to watch with --no-wal");
	dr_progress_begin("backup", 0);
	if (begin(&s, out, err) == 0 && look_around(&s, err) == 0)
		rc = backup(&s, err);
	dr_each_second(NULL, NULL);
	dr_progress_end();

	dr_watch_free(s.watch);
	PQfinish(s.sql);
	PQfinish(s.wal);
	dr_config_free(&s.config);
	dr_bb_facts_free(&s.facts);
	dr_bbmanifest_free(s.filter);
	dr_spill_free(&s.spill);
	dr_merge_free(s.merge);
	json_decref(s.report);
	return rc;
}
