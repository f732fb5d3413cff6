#include "flow/pg_facts.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/tarwalk.h"
#include "base/msg.h"
#include "base/num.h"
#include "manifest/manifest.h"

static int
no_memory(struct dr_err *err)
{
	return dr_err_set(err, DR_EFAIL, "cannot allocate facts");
}

/* KEY: TEXT into OBJ; TEXT that is no UTF-8 becomes null. */
static int
put_text(json_t *obj, const char *key, const char *text, struct dr_err *err)
{
	json_t *v = json_string(text);

	if (v == NULL)
		v = json_null();
	if (json_object_set_new(obj, key, v) == -1)
		return no_memory(err);
	return 0;
}

/* An object or array under KEY, made if need be. */
static json_t *
child(json_t *obj, const char *key, json_t *fresh)
{
	json_t *have = json_object_get(obj, key);

	if (have != NULL) {
		json_decref(fresh);
		return have;
	}
	return json_object_set_new(obj, key, fresh) == -1 ? NULL : fresh;
}

/* --- over the walsender -------------------------------------------------- */

static int
show_size(PGconn *wal, const char *name, const char *path, json_t *manifest,
    struct dr_err *err)
{
	struct dr_err odd = { 0 };
	char text[64];
	uint64_t size;
	int rc = dr_pg_show(wal, name, text, sizeof(text), err);

	if (rc != 1 || dr_parse_size(text, &size, &odd) == -1)
		return rc == -1 ? -1 : 0;
	return dr_manifest_set_int(manifest, path, (int64_t)size, err);
}

static int
show_bool(PGconn *wal, const char *name, const char *yes, const char *path,
    json_t *manifest, struct dr_err *err)
{
	char text[64];
	int rc = dr_pg_show(wal, name, text, sizeof(text), err);

	if (rc != 1)
		return rc;
	return dr_manifest_set_bool(manifest, path, strcmp(text, yes) == 0,
	    err);
}

/* The settings a standby or a recovery must not have lower. */
static int
recovery_settings(PGconn *wal, json_t *manifest, struct dr_err *err)
{
	static const char *const names[] = { "max_connections",
		"max_worker_processes", "max_wal_senders",
		"max_prepared_transactions", "max_locks_per_transaction" };
	struct dr_err odd = { 0 };
	char text[64], path[64];
	int64_t v;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		rc = dr_pg_show(wal, names[i], text, sizeof(text), err);
		if (rc == -1)
			return -1;
		if (rc == 0 || dr_parse_int(text, 0, INT32_MAX, &v, &odd) == -1)
			continue;
		(void)snprintf(path, sizeof(path), "pg.settings.%s", names[i]);
		if (dr_manifest_set_int(manifest, path, v, err) == -1)
			return -1;
	}
	return 0;
}

static int
preloads(PGconn *wal, json_t *report, struct dr_err *err)
{
	static const char *const names[] = { "shared_preload_libraries",
		"session_preload_libraries", "local_preload_libraries" };
	json_t *to = child(report, "preload", json_object());
	char text[1024];
	size_t i;
	int rc;

	if (to == NULL)
		return no_memory(err);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		rc = dr_pg_show(wal, names[i], text, sizeof(text), err);
		if (rc == -1 ||
		    (rc == 1 && put_text(to, names[i], text, err) == -1))
			return -1;
	}
	return 0;
}

int
dr_facts_server(PGconn *wal, json_t *manifest, json_t *report,
    struct dr_err *err)
{
	const char *standby = PQparameterStatus(wal, "in_hot_standby");
	char text[128];
	int rc;

	if ((rc = dr_pg_show(wal, "server_version", text, sizeof(text), err)) ==
	    -1)
		return -1;
	if (rc == 1 &&
	    dr_manifest_set_str(manifest, "pg.version", text, err) == -1)
		return -1;
	if (dr_manifest_set_int(manifest, "pg.version_num",
	        PQserverVersion(wal), err) == -1)
		return -1;
	if (standby != NULL && dr_manifest_set_bool(manifest, "pg.standby",
	                           strcmp(standby, "on") == 0, err) == -1)
		return -1;
	if (show_size(wal, "wal_segment_size", "pg.wal_segment_size", manifest,
	        err) == -1 ||
	    show_bool(wal, "data_checksums", "on", "pg.page_checksums",
	        manifest, err) == -1 ||
	    show_bool(wal, "data_directory_mode", "0750", "pg.group_access",
	        manifest, err) == -1)
		return -1;
	if (recovery_settings(wal, manifest, err) == -1)
		return -1;
	return preloads(wal, report, err);
}

/* --- by SQL -------------------------------------------------------------- */

/*
 * Rows, or NULL without ERR set where the server says no: the fact is then
 * left out.
 */
static PGresult *
ask(PGconn *sql, const char *query, bool *lost, struct dr_err *err)
{
	struct dr_err no = { 0 };
	PGresult *res;

	res = dr_pg_query(sql, query, "ask the server", &no);
	*lost = res == NULL && no.cause != DR_EFAIL;
	if (*lost)
		*err = no;
	else if (res == NULL)
		dr_say(1, "left out: %s", no.msg);
	return res;
}

static int
locale(PGconn *sql, json_t *manifest, struct dr_err *err)
{
	static const char *const paths[] = { "pg.locale.encoding",
		"pg.locale.collate", "pg.locale.ctype", "pg.locale.provider",
		"pg.locale.version", "pg.locale.name" };
	const int v = PQserverVersion(sql);
	char query[512];
	PGresult *res;
	bool lost;
	int i, rc = 0;

	(void)snprintf(query, sizeof(query),
	    "SELECT pg_encoding_to_char(encoding), datcollate, datctype%s%s "
	    "FROM pg_database WHERE datname = current_database()",
	    v >= 150000 ? ", CASE datlocprovider WHEN 'c' THEN 'libc' "
	                  "WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' END, "
	                  "datcollversion"
	                : ", 'libc'",
	    v >= 170000   ? ", datlocale"
	    : v >= 150000 ? ", daticulocale"
	                  : "");
	if ((res = ask(sql, query, &lost, err)) == NULL)
		return lost ? -1 : 0;
	if (PQntuples(res) == 1)
		for (i = 0; i < PQnfields(res) && rc == 0; i++)
			if (!PQgetisnull(res, 0, i))
				rc = dr_manifest_set_str(manifest, paths[i],
				    PQgetvalue(res, 0, i), err);
	PQclear(res);
	return rc;
}

/*
 * A list of the rows under KEY: objects with the columns' names, or, with
 * PLAIN, the first column alone.
 */
static int
rows(PGconn *sql, const char *query, const char *key, bool plain,
    json_t *report, struct dr_err *err)
{
	PGresult *res;
	json_t *list, *row;
	bool lost;
	int i, j, rc = -1;

	if ((res = ask(sql, query, &lost, err)) == NULL)
		return lost ? -1 : 0;
	if ((list = child(report, key, json_array())) == NULL) {
		no_memory(err);
		goto out;
	}
	for (i = 0; i < PQntuples(res); i++) {
		row =
		    plain ? json_string(PQgetvalue(res, i, 0)) : json_object();
		for (j = 0; !plain && j < PQnfields(res); j++)
			if (put_text(row, PQfname(res, j),
			        PQgetvalue(res, i, j), err) == -1) {
				json_decref(row);
				goto out;
			}
		if (row != NULL && json_array_append_new(list, row) == -1) {
			no_memory(err);
			goto out;
		}
	}
	rc = 0;

out:
	PQclear(res);
	return rc;
}

static int
standby(PGconn *sql, json_t *manifest, struct dr_err *err)
{
	PGresult *res;
	bool lost;
	int rc;

	res = ask(sql, "SELECT pg_is_in_recovery()", &lost, err);
	if (res == NULL)
		return lost ? -1 : 0;
	rc = dr_manifest_set_bool(manifest, "pg.standby",
	    PQntuples(res) == 1 && strcmp(PQgetvalue(res, 0, 0), "t") == 0,
	    err);
	PQclear(res);
	return rc;
}

int
dr_facts_sql(PGconn *sql, json_t *manifest, json_t *report, struct dr_err *err)
{
	if (PQserverVersion(sql) < 140000 && standby(sql, manifest, err) == -1)
		return -1;
	if (locale(sql, manifest, err) == -1)
		return -1;
	if (put_text(report, "database", PQdb(sql), err) == -1 ||
	    rows(sql,
	        "SELECT extname AS name, extversion AS version "
	        "FROM pg_extension ORDER BY 1",
	        "extensions", false, report, err) == -1 ||
	    rows(sql,
	        "SELECT DISTINCT probin FROM pg_proc "
	        "WHERE probin IS NOT NULL AND oid >= 16384 ORDER BY 1",
	        "libraries", true, report, err) == -1)
		return -1;
	return rows(sql,
	    "SELECT name, setting AS path FROM pg_settings WHERE name IN "
	    "('data_directory', 'config_file', 'hba_file', 'ident_file') "
	    "ORDER BY 1",
	    "files", false, report, err);
}

/* --- configuration files ------------------------------------------------- */

static int
refused(struct dr_err *err)
{
	if (err->cause == DR_EFAIL)
		dr_err_hint(err,
		    "reading configuration files takes a superuser, or a "
		    "member of pg_read_all_settings and "
		    "pg_read_server_files with EXECUTE on "
		    "pg_show_all_file_settings() and "
		    "pg_read_binary_file(text, bigint, bigint, boolean)");
	return -1;
}

static int
read_one(PGconn *sql, const char *path, struct dr_config *c, struct dr_err *err)
{
	const char *const params[] = { path };
	struct dr_config_file *f, *more;
	unsigned char *raw = NULL;
	PGresult *res;
	size_t n = 0;
	int rc = -1;
	char query[128];

	if (path[0] != '/' || !dr_path_safe(path + 1) ||
	    strlen(path) >= sizeof(f->path))
		return dr_err_set(err, DR_EFAIL,
		    "the server has a configuration file at \"%.200s\", "
		    "which is no plain absolute path",
		    path);
	(void)snprintf(query, sizeof(query),
	    "SELECT pg_read_binary_file($1, 0, %u, true)",
	    DR_CONFIG_FILE_MAX + 1);
	res = dr_pg_query_params(sql, query, 1, params,
	    "read the server's configuration files", err);
	if (res == NULL)
		return refused(err);
	if (PQntuples(res) != 1 || PQgetisnull(res, 0, 0)) {
		dr_warn("the configuration file \"%s\" is not there", path);
		rc = 0;
		goto out;
	}
	raw = PQunescapeBytea((const unsigned char *)PQgetvalue(res, 0, 0), &n);
	if (raw == NULL) {
		no_memory(err);
		goto out;
	}
	if (n > DR_CONFIG_FILE_MAX || n > DR_CONFIG_MAX - c->size) {
		dr_err_set(err, DR_EFAIL,
		    "the configuration file \"%s\" is too large", path);
		goto out;
	}
	more = realloc(c->v, (c->n + 1) * sizeof(*c->v));
	if (more == NULL) {
		no_memory(err);
		goto out;
	}
	c->v = more;
	f = &c->v[c->n];
	memcpy(f->path, path, strlen(path) + 1);
	f->data = raw;
	raw = NULL; /* the list's now */
	f->size = n;
	c->size += n;
	c->n++;
	rc = 0;

out:
	PQfreemem(raw);
	PQclear(res);
	return rc;
}

int
dr_config_read(PGconn *sql, struct dr_config *c, struct dr_err *err)
{
	char query[768];
	PGresult *res;
	int i, rc = 0;

	memset(c, 0, sizeof(*c));
	/* 16 and later can include files in the other two as well. */
	(void)snprintf(query, sizeof(query),
	    "SELECT DISTINCT f FROM (SELECT current_setting(n) FROM "
	    "(VALUES ('config_file'), ('hba_file'), ('ident_file')) AS v(n) "
	    "UNION SELECT sourcefile FROM pg_file_settings%s) AS u(f) "
	    "WHERE f <> '' ORDER BY 1",
	    PQserverVersion(sql) >= 160000
	        ? " UNION SELECT file_name FROM pg_hba_file_rules"
	          " UNION SELECT file_name FROM pg_ident_file_mappings"
	        : "");
	res = dr_pg_query(sql, query, "list the server's configuration files",
	    err);
	if (res == NULL)
		return refused(err);
	for (i = 0; i < PQntuples(res) && rc == 0; i++)
		rc = read_one(sql, PQgetvalue(res, i, 0), c, err);
	PQclear(res);
	return rc;
}

void
dr_config_free(struct dr_config *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		PQfreemem(c->v[i].data);
	free(c->v);
	memset(c, 0, sizeof(*c));
}
