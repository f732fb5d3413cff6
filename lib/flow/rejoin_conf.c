/* What the node keeps of its own, and what makes it a standby. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "flow/delta.h"
#include "flow/rejoin_int.h"
#include "flow/restore_command.h"
#include "flow/restore_conf.h"
#include "pg/node.h"

#define CONF_MAX (4U << 20)
#define SAID_MAX 65536U
#define NOTE_MAX 65536U
#define LARGE    (64 << 20)
#define NOTE     "unfinished"
#define PARKED   "config"
#define REPLACED "replaced"

/* --- what is not the server's ---------------------------------------------- */

/* At the top of a data directory, and of the cluster, not of the node. */
static bool
of_cluster(const char *name)
{
	static const char *const names[] = { "pg_wal", "PG_VERSION",
		"postmaster.pid", "postmaster.opts", "backup_label",
		"backup_label.old", "tablespace_map", "tablespace_map.old",
		"backup_manifest", "standby.signal", "recovery.signal",
		"current_logfiles", DR_NODE_SAVED, DR_RESTORE_MARKER, NULL };

	for (size_t i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return dr_delta_servers(name);
}

static int
run2(struct dr_rejoin_run *run, const char *program, const char *how,
    const char *from, const char *to, struct dr_err *err)
{
	struct dr_buf out = { .max = SAID_MAX };
	char *argv[6] = { NULL };
	int rc = -1;

	argv[0] = dr_fmt(err, "%s", program);
	argv[1] = dr_fmt(err, "%s", how);
	argv[2] = dr_fmt(err, "--");
	argv[3] = dr_fmt(err, "%s", from);
	argv[4] = dr_fmt(err, "%s", to);
	if (err->cause == DR_OK)
		rc = dr_rejoin_command(run, argv, &out, err);
	for (size_t i = 0; i < 5; i++)
		free(argv[i]);
	dr_buf_free(&out);
	return rc;
}

int
dr_rejoin_move(struct dr_rejoin_run *run, const char *from, const char *to,
    struct dr_err *err)
{
	if (rename(from, to) == 0)
		return 0;
	if (errno != EXDEV)
		return dr_err_sys(err, "cannot move \"%s\" to \"%s\"", from,
		    to);
	return run2(run, "mv", "-T", from, to, err);
}

/* Does the server, or pg_rewind, need it where it is? */
static bool
holds_conf(const char *path)
{
	const struct dirent *e;
	bool found = false;
	size_t len;
	DIR *dir;

	if ((dir = opendir(path)) == NULL)
		return false;
	while (!found && (e = readdir(dir)) != NULL) {
		len = strlen(e->d_name);
		found = len > 5 && strcmp(e->d_name + len - 5, ".conf") == 0;
	}
	closedir(dir);
	return found;
}

static int
park_one(struct dr_rejoin_run *run, const char *name, struct dr_err *err)
{
	char *from = dr_fmt(err, "%s/%s", run->pgdata, name);
	char *to = dr_fmt(err, "%s/%s/%s", run->keep, PARKED, name);
	struct stat st;
	int rc = -1;

	if (from == NULL || to == NULL)
		goto out;
	if (lstat(from, &st) == -1)
		dr_err_sys(err, "cannot look at \"%s\"", from);
	else if (S_ISDIR(st.st_mode) ? holds_conf(from) : st.st_size < LARGE)
		rc = run2(run, "cp", "-aT", from, to, err);
	else
		rc = dr_rejoin_move(run, from, to, err);

out:
	free(from);
	free(to);
	return rc;
}

/* FN for each entry of DIR that is the node's own. */
static int
each(struct dr_rejoin_run *run, const char *path,
    int (*fn)(struct dr_rejoin_run *, const char *, struct dr_err *),
    struct dr_err *err)
{
	const struct dirent *e;
	DIR *dir = opendir(path);
	int rc = 0;

	if (dir == NULL)
		return dr_err_sys(err, "cannot read \"%s\"", path);
	while (rc == 0 && (e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 && !of_cluster(e->d_name))
			rc = fn(run, e->d_name, err);
	closedir(dir);
	return rc;
}

static int
note(struct dr_rejoin_run *run, struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/%s", run->state, NOTE);
	char *text = dr_fmt(err, "%s\n%s\n", run->keep, run->pgdata);
	int rc = path == NULL || text == NULL
	             ? -1
	             : dr_file_put(path, 0600, DR_FILE_REPLACE, text,
	                   strlen(text), err);

	free(path);
	free(text);
	return rc;
}

int
dr_rejoin_park(struct dr_rejoin_run *run, struct dr_err *err)
{
	char *dir;
	int rc = -1;

	if (run->parked)
		return 0;
	if (dr_rejoin_keep_dir(run, err) == -1 ||
	    (dir = dr_fmt(err, "%s/%s", run->keep, PARKED)) == NULL)
		return -1;
	if (dr_mkdirs(dir, 0700, err) == 0 && note(run, err) == 0) {
		run->r->changed = true;
		rc = each(run, run->pgdata, park_one, err);
	}
	run->parked = rc == 0;
	free(dir);
	return rc;
}

/* What came from the primary, and this node never had. */
static int
evict_one(struct dr_rejoin_run *run, const char *name, struct dr_err *err)
{
	char *parked = dr_fmt(err, "%s/%s/%s", run->keep, PARKED, name);
	char *from = dr_fmt(err, "%s/%s", run->pgdata, name);
	char *to = dr_fmt(err, "%s/%s/%s", run->keep, REPLACED, name);
	struct stat st;
	int rc = -1;

	if (parked != NULL && from != NULL && to != NULL)
		rc = lstat(parked, &st) == 0 || strcmp(name, DR_BEFORE) == 0
		         ? 0
		         : dr_rejoin_move(run, from, to, err);
	free(parked);
	free(from);
	free(to);
	return rc;
}

/* Has it a configuration of its own, so that it needs nobody else's? */
static bool
has_conf(const struct dr_rejoin_run *run, struct dr_err *err)
{
	char *path;
	bool has;

	if (run->o->config_file != NULL)
		return true;
	path = dr_fmt(err, "%s/%s/postgresql.conf", run->keep, PARKED);
	has = path != NULL && access(path, F_OK) == 0;
	free(path);
	return has;
}

static int
unpark_one(struct dr_rejoin_run *run, const char *name, struct dr_err *err)
{
	char *from = dr_fmt(err, "%s/%s/%s", run->keep, PARKED, name);
	/* What an earlier restore kept need not be in the next backup. */
	char *to = dr_fmt(err, "%s/%s",
	    strcmp(name, DR_BEFORE) == 0 ? run->keep : run->pgdata, name);
	char *old = dr_fmt(err, "%s/%s/%s", run->keep, REPLACED, name);
	struct stat st;
	int rc = -1;

	if (from == NULL || to == NULL || old == NULL)
		goto out;
	if (lstat(to, &st) == 0 && dr_rejoin_move(run, to, old, err) == -1)
		goto out;
	rc = dr_rejoin_move(run, from, to, err);

out:
	free(from);
	free(to);
	free(old);
	return rc;
}

int
dr_rejoin_unpark(struct dr_rejoin_run *run, struct dr_err *err)
{
	char *parked, *replaced, *path;
	int rc = -1;

	if (!run->parked)
		return 0;
	parked = dr_fmt(err, "%s/%s", run->keep, PARKED);
	replaced = dr_fmt(err, "%s/%s", run->keep, REPLACED);
	path = dr_fmt(err, "%s/%s", run->state, NOTE);
	if (parked != NULL && replaced != NULL && path != NULL &&
	    dr_mkdirs(replaced, 0700, err) == 0 &&
	    (!has_conf(run, err) ||
	        each(run, run->pgdata, evict_one, err) == 0) &&
	    each(run, parked, unpark_one, err) == 0) {
		run->parked = false;
		(void)rmdir(parked);
		(void)rmdir(replaced);
		(void)unlink(path);
		rc = dr_sync_dir(run->pgdata, err);
	}
	free(parked);
	free(replaced);
	free(path);
	return rc;
}

int
dr_rejoin_resume(struct dr_rejoin_run *run, struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/%s", run->state, NOTE), *text, *end;
	struct dr_err none = { 0 };
	char *file;
	size_t len;

	if (path == NULL)
		return -1;
	text = dr_file_get(path, NOTE_MAX, &len, &none);
	free(path);
	if (text == NULL)
		return 0;
	if ((end = strchr(text, '\n')) != NULL) {
		*end++ = '\0';
		end[strcspn(end, "\n")] = '\0';
	}
	if (end != NULL && strcmp(end, run->pgdata) == 0 &&
	    access(text, W_OK) == 0) {
		run->keep = text;
		run->parked = true;
		file = dr_fmt(err, "%s/summary", text);
		if (file != NULL && access(file, F_OK) == 0)
			run->r->kept = dr_fmt(err, "%s", text);
		free(file);
		return err->cause == DR_OK ? 0 : -1;
	}
	free(text);
	return 0;
}

/* --- what makes it a standby ----------------------------------------------- */

/* As COPY writes a value. */
static void
unescape(char *s)
{
	char *to = s;

	for (; *s != '\0' && *s != '\n'; s++) {
		if (s[0] == '\\' && s[1] != '\0')
			s++;
		*to++ = *s;
	}
	*to = '\0';
}

/* As we came to the primary, but for a password. */
static char *
as_we(struct dr_rejoin_run *run, struct dr_err *err)
{
	static const char *const names[] = { "user", "dbname", "sslmode",
		"sslrootcert", "sslcert", "sslkey", "passfile",
		"channel_binding", "require_auth", "gssencmode" };
	PQconninfoOption *all = PQconninfo(run->conn), *o;
	struct dr_buf out = { .max = SAID_MAX };
	int rc = all == NULL ? dr_err_sys(err, "cannot pass it on") : 0;

	for (o = all; rc == 0 && o->keyword != NULL; o++) {
		size_t i = 0, n = sizeof(names) / sizeof(names[0]);

		while (i < n && strcmp(names[i], o->keyword) != 0)
			i++;
		/* Nothing that would go without saying. */
		if (i == n || o->val == NULL || *o->val == '\0' ||
		    strcmp(o->val, "prefer") == 0 ||
		    (strcmp(o->keyword, "passfile") == 0 &&
		        access(o->val, R_OK) == -1))
			continue;
		rc = dr_buf_fmt(&out, err, "%s%s='", out.len > 0 ? " " : "",
		    o->keyword);
		for (const char *c = o->val; rc == 0 && *c != '\0'; c++)
			rc = dr_buf_fmt(&out, err, "%s%c",
			    *c == '\\' || *c == '\'' ? "\\" : "", *c);
		if (rc == 0)
			rc = dr_buf_str(&out, "'", err);
	}
	PQconninfoFree(all);
	if (rc == 0)
		return out.data;
	dr_buf_free(&out);
	return NULL;
}

/* What it had, or was saved when it was cut off from its primary. */
static char *
former(struct dr_rejoin_run *run, struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/%s", run->pgdata, DR_NODE_SAVED), *text;
	struct dr_err none = { 0 };
	size_t len = 0;

	if (path == NULL)
		return NULL;
	text = dr_file_get(path, SAID_MAX, &len, &none);
	free(path);
	if (text != NULL)
		unescape(text);
	if (text != NULL && *text != '\0')
		return text;
	free(text);
	dr_err_clear(&none);
	text = dr_rejoin_setting(run, "primary_conninfo", &none);
	if (text == NULL) {
		dr_warn("cannot tell what it followed before: %s", none.msg);
		return as_we(run, err);
	}
	if (*text != '\0')
		return text;
	free(text);
	return as_we(run, err);
}

/* What it has for WAL from the stores stays; else it gets ours. */
static int
command(struct dr_rejoin_run *run, struct dr_err *err)
{
	struct dr_err why = { 0 };
	char *has = dr_rejoin_setting(run, "restore_command", &why);
	bool none = has != NULL && *has == '\0';

	free(has);
	if (!none)
		return 0;
	if (dr_rejoin_plan(run, &why) == -1) {
		dr_warn("it gets no restore_command: %s", why.msg);
		return 0;
	}
	if (run->plan.recovery.command == NULL)
		return 0;
	run->command = dr_fmt(err, "%s", run->plan.recovery.command);
	return run->command == NULL ? -1 : 0;
}

int
dr_rejoin_conninfo(struct dr_rejoin_run *run, struct dr_err *err)
{
	const struct dr_rejoin_opts *o = run->o;
	const char *host = o->host != NULL ? o->host : PQhost(run->conn);
	const char *port = o->port != NULL ? o->port : PQport(run->conn);
	struct dr_buf out = { .max = SAID_MAX };
	char *old;
	int rc;

	run->r->followed = dr_fmt(err, "%s:%s", host, port);
	if (run->r->followed == NULL)
		return -1;
	if (o->follow != NULL) {
		run->conninfo = dr_fmt(err, "%s", o->follow);
		if (run->conninfo == NULL)
			return -1;
	} else {
		if ((old = former(run, err)) == NULL)
			return -1;
		rc = dr_node_conninfo(old, host, port, &out, err);
		explicit_bzero(old, strlen(old));
		free(old);
		run->conninfo = out.data;
		if (rc == -1)
			return -1;
	}
	return o->from == NULL ? 0 : command(run, err);
}

/* TEXT without the lines that set what is ours. */
static int
strip(const struct dr_rejoin_run *run, const char *text, size_t len,
    struct dr_buf *out, struct dr_err *err)
{
	static const char *const names[] = { "primary_conninfo",
		"primary_slot_name", "recovery_target_timeline",
		"recovery_target_action", "recovery_target_inclusive",
		"recovery_target_name", "recovery_target_time",
		"recovery_target_xid", "recovery_target_lsn", "recovery_target",
		"restore_command", NULL };
	const char *value;
	size_t n, vlen;
	int what;

	for (; len > 0; text += n, len -= n) {
		const char *nl = memchr(text, '\n', len);
		size_t line = nl == NULL ? len : (size_t)(nl - text);

		n = nl == NULL ? len : line + 1;
		what = dr_conf_sets(text, line, names, &value, &vlen);
		if (what != -1 &&
		    (strcmp(names[what], "restore_command") != 0 ||
		        run->command != NULL))
			continue;
		if (dr_buf_add(out, text, line, err) == -1 ||
		    dr_buf_str(out, "\n", err) == -1)
			return -1;
	}
	return 0;
}

static int
set(struct dr_buf *out, const char *name, const char *value, struct dr_err *err)
{
	if (dr_buf_fmt(out, err, "%s = ", name) == -1 ||
	    dr_conf_value(out, value, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}

int
dr_rejoin_settings(struct dr_rejoin_run *run, struct dr_err *err)
{
	const char *slot = run->o->slot != NULL ? run->o->slot : "";
	char *path = dr_fmt(err, "%s/postgresql.auto.conf", run->pgdata);
	struct dr_buf out = { .max = CONF_MAX };
	struct dr_err none = { 0 };
	char *text = NULL;
	size_t len = 0;
	int rc = -1;

	if (path == NULL)
		return -1;
	text = dr_file_get(path, CONF_MAX, &len, &none);
	if (text == NULL && errno != ENOENT) {
		*err = none;
		goto out;
	}
	if ((text != NULL && strip(run, text, len, &out, err) == -1) ||
	    set(&out, "primary_conninfo", run->conninfo, err) == -1 ||
	    set(&out, "primary_slot_name", slot, err) == -1 ||
	    set(&out, "recovery_target_timeline", "latest", err) == -1 ||
	    (run->command != NULL &&
	        set(&out, "restore_command", run->command, err) == -1))
		goto out;
	run->r->changed = true;
	rc = dr_file_put(path, 0600, DR_FILE_REPLACE, out.data, out.len, err);

out:
	dr_buf_free(&out);
	free(text);
	free(path);
	return rc;
}

/* One of the small files that decide what a server starts as. */
static int
signal_file(struct dr_rejoin_run *run, const char *name, bool there,
    struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/%s", run->pgdata, name);
	int rc = path == NULL ? -1 : 0;

	if (path != NULL && there)
		rc = dr_file_put(path, 0600, DR_FILE_REPLACE, "", 0, err);
	else if (path != NULL && unlink(path) == -1 && errno != ENOENT)
		rc = dr_err_sys(err, "cannot remove \"%s\"", path);
	free(path);
	return rc;
}

int
dr_rejoin_unsignal(struct dr_rejoin_run *run, struct dr_err *err)
{
	if (signal_file(run, "standby.signal", false, err) == -1)
		return -1;
	return signal_file(run, "recovery.signal", false, err);
}

int
dr_rejoin_configure(struct dr_rejoin_run *run, struct dr_err *err)
{
	if (dr_rejoin_settings(run, err) == -1 ||
	    signal_file(run, "standby.signal", true, err) == -1 ||
	    signal_file(run, "recovery.signal", false, err) == -1 ||
	    signal_file(run, DR_NODE_SAVED, false, err) == -1)
		return -1;
	return dr_sync_dir(run->pgdata, err);
}
