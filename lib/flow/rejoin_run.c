/* The server's programs, and how they come to the new primary. */
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/spawn.h"
#include "flow/rejoin_int.h"

#define OUTPUT_MAX  (4U << 20)
#define SERVICE_MAX 65536U

static const char service_name[] = "dr-rejoin";

/* DIR/NAME, if it can be run; NULL with or without ERR. */
static char *
in_dir(const char *dir, size_t len, const char *name, struct dr_err *err)
{
	char *file = dr_fmt(err, "%.*s/%s", (int)len, dir, name);

	if (file != NULL && access(file, X_OK) == 0)
		return file;
	free(file);
	return NULL;
}

/* Where the last server here was: the first word of postmaster.opts. */
static char *
beside_server(const struct dr_rejoin_run *run, const char *name,
    struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/postmaster.opts", run->pgdata), *text;
	char *file = NULL, *slash;
	struct dr_err none = { 0 };
	size_t len;

	if (path == NULL)
		return NULL;
	text = dr_file_get(path, 65536, &len, &none);
	free(path);
	if (text == NULL)
		return NULL;
	text[strcspn(text, " \n")] = '\0';
	if (*text == '/' && (slash = strrchr(text, '/')) != NULL)
		file = in_dir(text, (size_t)(slash - text), name, err);
	free(text);
	return file;
}

/* Is FILE of the major version that is wanted? */
static bool
right_version(struct dr_rejoin_run *run, char *file)
{
	struct dr_buf out = { .max = 4096 };
	struct dr_err none = { 0 };
	char flag[] = "--version";
	char *argv[] = { file, flag, NULL };
	const char *at;
	bool right;

	if (dr_rejoin_command(run, argv, &out, &none) == -1 ||
	    (at = strstr(out.data, "(PostgreSQL) ")) == NULL)
		right = false;
	else
		right = strtol(at + strlen("(PostgreSQL) "), NULL, 10) ==
		        run->version;
	dr_buf_free(&out);
	return right;
}

char *
dr_rejoin_program(struct dr_rejoin_run *run, const char *name,
    struct dr_err *err)
{
	const char *path = getenv("PATH"), *end;
	char debian[64], *file;

	if (run->o->bindir != NULL) {
		file =
		    in_dir(run->o->bindir, strlen(run->o->bindir), name, err);
		if (file == NULL)
			dr_err_set(err, DR_EFAIL,
			    "there is no \"%s\" in \"%s\"", name,
			    run->o->bindir);
		return file;
	}
	(void)snprintf(debian, sizeof(debian), "/usr/lib/postgresql/%ld/bin",
	    run->version);
	if ((file = beside_server(run, name, err)) != NULL ||
	    (file = in_dir(debian, strlen(debian), name, err)) != NULL)
		return file;
	for (; path != NULL && *path != '\0';
	     path = *end == ':' ? end + 1 : end) {
		end = strchrnul(path, ':');
		file = in_dir(path, (size_t)(end - path), name, err);
		if (file != NULL && right_version(run, file))
			return file;
		free(file);
	}
	dr_err_set(err, DR_EFAIL, "there is no \"%s\" of PostgreSQL %ld", name,
	    run->version);
	dr_err_hint(err, "say where the server's programs are (--bindir)");
	return NULL;
}

/* The line of OUT that says why, or else its last one. */
static const char *
last_line(struct dr_buf *out)
{
	static const char *const words[] = { "error: ", "fatal: ", "FATAL: " };
	char *at;

	while (out->len > 0 && (out->data[out->len - 1] == '\n' ||
	                           out->data[out->len - 1] == ' '))
		out->data[--out->len] = '\0';
	if (out->len == 0)
		return "it said nothing";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if ((at = strstr(out->data, words[i])) != NULL) {
			at += strlen(words[i]);
			at[strcspn(at, "\n")] = '\0';
			return at;
		}
	at = memrchr(out->data, '\n', out->len);
	return at == NULL ? out->data : at + 1;
}

static int
drain(int fd, struct dr_buf *out, struct dr_err *err)
{
	struct dr_err full = { 0 };
	char buf[4096];
	ssize_t n;

	while ((n = dr_fd_read(fd, buf, sizeof(buf), "a pipe", err)) > 0)
		(void)dr_buf_add(out, buf, (size_t)n, &full);
	return n == 0 ? 0 : -1;
}

int
dr_rejoin_command(struct dr_rejoin_run *run, char *const argv[],
    struct dr_buf *out, struct dr_err *err)
{
	/* Both outputs are one. */
	static const char script[] = "exec \"$@\" 2>&1";
	char *words[32] = { NULL };
	size_t n = 0;
	struct dr_err why = { 0 };
	int fd, status = 0, rc;
	pid_t pid;

	words[n++] = dr_fmt(err, "sh");
	words[n++] = dr_fmt(err, "-c");
	words[n++] = dr_fmt(err, "%s", script);
	words[n++] = dr_fmt(err, "sh");
	for (size_t i = 0; argv[i] != NULL && n < 31; i++)
		words[n++] = dr_fmt(err, "%s", argv[i]);
	if (run->service != NULL)
		(void)setenv("PGSERVICEFILE", run->service, 1);
	if (run->password != NULL)
		(void)setenv("PGPASSWORD", run->password, 1);
	(void)setenv("LC_ALL", "C", 1);
	rc = err->cause != DR_OK ? -1 : dr_spawn(words, &pid, &fd, err);
	if (run->service != NULL)
		(void)unsetenv("PGSERVICEFILE");
	if (run->password != NULL)
		(void)unsetenv("PGPASSWORD");
	while (n > 0)
		free(words[--n]);
	if (rc == -1)
		return -1;
	rc = drain(fd, out, err);
	close(fd);
	if (rc == -1)
		(void)kill(pid, SIGTERM);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	if (rc == -1)
		return -1;
	if (dr_spawn_ended(argv[0], status, &why) == -1)
		return dr_err_set(err, DR_EFAIL, "%s: %s", why.msg,
		    last_line(out));
	return 0;
}

char *
dr_rejoin_setting(struct dr_rejoin_run *run, const char *name,
    struct dr_err *err)
{
	struct dr_buf out = { .max = OUTPUT_MAX };
	char *program = dr_rejoin_program(run, "postgres", err), *value = NULL;
	char *file = NULL;
	const char *line;
	char *argv[8] = { program, NULL };
	char d[] = "-D", c[] = "-c", what[] = "-C";
	char *word = dr_fmt(err, "%s", name);
	int n = 1;

	if (run->o->config_file != NULL)
		file = dr_fmt(err, "config_file=%s", run->o->config_file);
	if (program == NULL || word == NULL || err->cause != DR_OK)
		goto out;
	argv[n++] = d;
	argv[n++] = run->pgdata;
	if (file != NULL) {
		argv[n++] = c;
		argv[n++] = file;
	}
	argv[n++] = what;
	argv[n++] = word;
	argv[n] = NULL;
	if (dr_rejoin_command(run, argv, &out, err) == -1)
		goto out;
	if (out.len > 0 && out.data[out.len - 1] == '\n')
		out.data[--out.len] = '\0';
	/* Before the value it may have complained of something. */
	line = out.len == 0 ? NULL : memrchr(out.data, '\n', out.len);
	value = dr_fmt(err, "%s",
	    line != NULL   ? line + 1
	    : out.len == 0 ? ""
	                   : out.data);

out:
	dr_buf_free(&out);
	free(program);
	free(word);
	free(file);
	return value;
}

/* --- the connection, for programs ------------------------------------------ */

static const char *
default_of(const PQconninfoOption *defaults, const char *keyword)
{
	for (; defaults != NULL && defaults->keyword != NULL; defaults++)
		if (strcmp(defaults->keyword, keyword) == 0)
			return defaults->val;
	return NULL;
}

static int
service_line(struct dr_buf *out, const char *keyword, const char *value,
    struct dr_err *err)
{
	size_t len = strlen(value);

	if (strpbrk(value, "\r\n") != NULL ||
	    (len > 0 && value[len - 1] == ' '))
		return dr_err_set(err, DR_EUSAGE,
		    "the connection string's %s cannot be passed on", keyword);
	return dr_buf_fmt(out, err, "%s=%s\n", keyword, value);
}

static int
service_text(struct dr_rejoin_run *run, struct dr_buf *out, struct dr_err *err)
{
	static const char *const ours[] = { "host", "hostaddr", "port",
		"password", "service", "servicefile", "options", "replication",
		"target_session_attrs", "fallback_application_name", "dbname",
		NULL };
	PQconninfoOption *all = PQconninfo(run->conn), *defaults;
	const char *options = NULL, *addr = PQhostaddr(run->conn);
	int rc = -1;

	defaults = PQconndefaults();
	if (all == NULL || defaults == NULL) {
		dr_err_sys(err, "cannot pass a connection on");
		goto out;
	}
	if (dr_buf_fmt(out, err, "[%s]\n", service_name) == -1 ||
	    service_line(out, "host", PQhost(run->conn), err) == -1 ||
	    (addr != NULL && *addr != '\0' && *PQhost(run->conn) != '/' &&
	        service_line(out, "hostaddr", addr, err) == -1) ||
	    service_line(out, "port", PQport(run->conn), err) == -1 ||
	    service_line(out, "dbname", PQdb(run->conn), err) == -1)
		goto out;
	for (PQconninfoOption *o = all; o->keyword != NULL; o++) {
		const char *def = default_of(defaults, o->keyword);
		size_t i = 0;

		if (strcmp(o->keyword, "options") == 0)
			options = o->val;
		while (ours[i] != NULL && strcmp(ours[i], o->keyword) != 0)
			i++;
		if (ours[i] != NULL || o->val == NULL || *o->val == '\0' ||
		    (def != NULL && strcmp(def, o->val) == 0))
			continue;
		if (service_line(out, o->keyword, o->val, err) == -1)
			goto out;
	}
	/* A timeout meant for queries would end pg_rewind's long ones. */
	rc = dr_buf_fmt(out, err, "options=%s%s-c statement_timeout=0\n",
	    options != NULL ? options : "",
	    options != NULL && *options != '\0' ? " " : "");

out:
	PQconninfoFree(all);
	PQconninfoFree(defaults);
	return rc;
}

int
dr_rejoin_service(struct dr_rejoin_run *run, struct dr_err *err)
{
	struct dr_buf text = { .max = SERVICE_MAX };
	const char *pass = PQpass(run->conn);
	char *path = NULL;
	int rc = -1;

	if (service_text(run, &text, err) == -1 ||
	    (path = dr_fmt(err, "%s/service", run->state)) == NULL ||
	    dr_file_put(path, 0600, DR_FILE_REPLACE, text.data, text.len,
	        err) == -1)
		goto out;
	if (pass != NULL && *pass != '\0' &&
	    (run->password = dr_fmt(err, "%s", pass)) == NULL)
		goto out;
	run->service = path;
	path = NULL;
	rc = 0;

out:
	dr_buf_free(&text);
	free(path);
	return rc;
}

int
dr_rejoin_slot(struct dr_rejoin_run *run, struct dr_err *err)
{
	static const char sql[] =
	    "SELECT pg_catalog.pg_create_physical_replication_slot($1, true)"
	    " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots"
	    " WHERE slot_name = $1)";
	PGresult *res;

	if (run->o->slot == NULL || *run->o->slot == '\0')
		return 0;
	res = dr_pg_query_params(run->conn, sql, 1,
	    (const char *const[]){ run->o->slot },
	    "make a slot on the new primary", err);
	if (res == NULL)
		return -1;
	PQclear(res);
	return 0;
}
