#include "flow/restore_conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/msg.h"

#define CONF_MAX   (4U << 20)
#define DEPTH_MAX_ 10 /* as the server's for nested includes */

int
dr_edits_put(struct dr_edits *e, const struct dr_place *place, const char *name,
    struct dr_buf *text, struct dr_err *err)
{
	const char *data = text->len > 0 ? text->data : "";

	if (e->n == DR_EDITS_MAX)
		return dr_err_set(err, DR_EFAIL, "too many files changed");
	if (dr_place_put(place, name, data, text->len, err) == -1)
		return -1;
	e->v[e->n].path = name;
	e->v[e->n].data = data;
	e->v[e->n].size = text->len;
	e->text[e->n++] = *text;
	/* The list's now. */
	text->data = NULL;
	text->len = text->cap = 0;
	return 0;
}

void
dr_edits_free(struct dr_edits *e)
{
	for (size_t i = 0; i < e->n; i++)
		dr_buf_free(&e->text[i]);
	e->n = 0;
}

/* --- one line ------------------------------------------------------------- */

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

int
dr_conf_sets(const char *line, size_t n, const char *const *names,
    const char **value, size_t *len)
{
	size_t at = 0, from, end, word;

	while (at < n && blank(line[at]))
		at++;
	from = at;
	while (at < n && line[at] != '=' && !blank(line[at]) &&
	       line[at] != '#' && line[at] != '\'')
		at++;
	word = at - from;
	while (at < n && blank(line[at]))
		at++;
	if (at < n && line[at] == '=')
		at++;
	while (at < n && blank(line[at]))
		at++;
	end = at;
	if (end < n && line[end] == '\'') {
		for (end++; end < n; end++) {
			if (line[end] == '\\' && end + 1 < n)
				end++;
			else if (line[end] == '\'' && end + 1 < n &&
			         line[end + 1] == '\'')
				end++;
			else if (line[end] == '\'')
				break;
		}
		if (end < n)
			end++;
	} else {
		while (end < n && !blank(line[end]) && line[end] != '#')
			end++;
	}
	*value = line + at;
	*len = end - at;
	for (int i = 0; names[i] != NULL; i++)
		if (strlen(names[i]) == word &&
		    strncasecmp(names[i], line + from, word) == 0)
			return i;
	return -1;
}

/* --- files that lay elsewhere --------------------------------------------- */

struct conf {
	const struct dr_writer *writer;
	struct dr_buf *out;
	bool follow; /* put what is included in the place of the include */
	bool changed;
};

static int emit(struct conf *, const char *text, size_t len, const char *path,
    int depth, struct dr_err *);

/* VALUE without its quotes, as a path seen from the file FROM. */
static char *
resolve(const char *value, size_t len, const char *from, struct dr_err *err)
{
	const char *slash = strrchr(from, '/');
	char *name, *path;
	size_t n = 0;

	if ((name = malloc(len + 1)) == NULL) {
		dr_err_sys(err, "cannot read a configuration");
		return NULL;
	}
	if (len >= 2 && value[0] == '\'') {
		for (size_t i = 1; i + 1 < len; i++) {
			if ((value[i] == '\\' || value[i] == '\'') &&
			    i + 2 < len)
				i++;
			name[n++] = value[i];
		}
	} else {
		memcpy(name, value, len);
		n = len;
	}
	while (n > 1 && name[n - 1] == '/')
		n--;
	name[n] = '\0';
	if (*name == '/' || slash == NULL)
		return name;
	path = dr_fmt(err, "%.*s/%s", (int)(slash - from), from, name);
	free(name);
	return path;
}

static const char saved[] = ".drtools/config";

static int
emit_kept(struct conf *c, const char *member, int depth, struct dr_err *err)
{
	const char *text;
	size_t len;

	if ((text = dr_writer_kept(c->writer, member, &len)) == NULL)
		return 0;
	return emit(c, text, len, member + sizeof(saved) - 1, depth + 1, err);
}

/* Members come in order of path, which is the server's order here too. */
static int
emit_dir(struct conf *c, const char *dir, int depth, struct dr_err *err)
{
	const char *member, *path;
	size_t len = strlen(dir), n;

	for (size_t i = 0; (member = dr_writer_kept_path(c->writer, i)) != NULL;
	     i++) {
		if (strncmp(member, saved, sizeof(saved) - 1) != 0)
			continue;
		path = member + sizeof(saved) - 1;
		if (strncmp(path, dir, len) != 0 || path[len] != '/' ||
		    strchr(path + len + 1, '/') != NULL || path[len + 1] == '.')
			continue;
		n = strlen(path);
		if (n < 6 || strcmp(path + n - 5, ".conf") != 0)
			continue;
		if (emit_kept(c, member, depth, err) == -1)
			return -1;
	}
	return 0;
}

static int
include(struct conf *c, bool dir, const char *value, size_t len,
    const char *from, int depth, struct dr_err *err)
{
	char *path, *member = NULL;
	int rc = -1;

	if (depth >= DEPTH_MAX_)
		return dr_err_set(err, DR_EDATA,
		    "the saved configuration includes files too deeply");
	if ((path = resolve(value, len, from, err)) == NULL)
		return -1;
	if (dir)
		rc = emit_dir(c, path, depth, err);
	else if ((member = dr_fmt(err, "%s%s", saved, path)) != NULL)
		rc = emit_kept(c, member, depth, err);
	free(member);
	free(path);
	return rc;
}

/*
 * Copy a postgresql.conf.  What would lead out of the new directory becomes
 * a comment.
 */
static int
emit(struct conf *c, const char *text, size_t len, const char *path, int depth,
    struct dr_err *err)
{
	enum { LOG_DIRECTORY = 4, STATS, INCLUDE, IF_EXISTS, DIRECTORY };
	static const char *const names[] = { "data_directory", "hba_file",
		"ident_file", "external_pid_file", "log_directory",
		"stats_temp_directory", "include", "include_if_exists",
		"include_dir", NULL };
	const char *value;
	size_t n, vlen;

	for (; len > 0; text += n, len -= n) {
		const char *nl = memchr(text, '\n', len);
		size_t line = nl == NULL ? len : (size_t)(nl - text);
		int what = dr_conf_sets(text, line, names, &value, &vlen);
		bool absolute = vlen > 0 && (value[0] == '/' ||
		                                (vlen > 1 && value[1] == '/'));

		n = nl == NULL ? len : line + 1;
		if ((what == LOG_DIRECTORY || what == STATS) && !absolute)
			what = -1;
		if (what >= INCLUDE && !c->follow)
			what = -1;
		if ((what != -1 &&
		        dr_buf_str(c->out, "# dr-restore: ", err) == -1) ||
		    dr_buf_add(c->out, text, line, err) == -1 ||
		    dr_buf_str(c->out, "\n", err) == -1)
			return -1;
		if (what == -1)
			continue;
		c->changed = true;
		if (what >= INCLUDE && include(c, what == DIRECTORY, value,
		                           vlen, path, depth, err) == -1)
			return -1;
	}
	return 0;
}

/* The value of the report's "files" entry NAME, or NULL. */
static const char *
file_of(const json_t *report, const char *name)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(report, "files"), i, row) {
		const char *n = json_string_value(json_object_get(row, "name"));

		if (n != NULL && strcmp(n, name) == 0)
			return json_string_value(json_object_get(row, "path"));
	}
	return NULL;
}

/* Does PATH lie in the server's own data directory, under NAME? */
static bool
inside(const json_t *report, const char *path, const char *name)
{
	const char *dir = file_of(report, "data_directory");
	size_t len = dir == NULL ? 0 : strlen(dir);

	return len > 0 && strncmp(path, dir, len) == 0 && path[len] == '/' &&
	       strcmp(path + len + 1, name) == 0;
}

static int
install(const struct dr_place *place, const struct dr_writer *writer,
    const char *from, const char *name, struct dr_edits *edits, bool *found,
    struct dr_err *err)
{
	struct dr_buf out = { .max = CONF_MAX };
	struct conf c = { .writer = writer, .out = &out, .follow = true };
	char *member;
	const char *text;
	size_t len;
	int rc;

	if ((member = dr_fmt(err, "%s%s", saved, from)) == NULL)
		return -1;
	text = dr_writer_kept(writer, member, &len);
	free(member);
	if ((*found = text != NULL) == false) {
		dr_warn("the server's %s was \"%s\", which is not in the "
		        "backup (dr-snap --with-config): put one into \"%s\", "
		        "or name one when you start the server",
		    name, from, place->dir);
		return 0;
	}
	if (strcmp(name, "postgresql.conf") == 0)
		rc = emit(&c, text, len, from, 0, err);
	else
		rc = dr_buf_add(&out, text, len, err);
	if (rc == 0)
		rc = dr_edits_put(edits, place, name, &out, err);
	dr_buf_free(&out);
	return rc;
}

/* The data directory's own postgresql.conf may name another one. */
static int
neutralise(const struct dr_place *place, struct dr_edits *edits,
    struct dr_err *err)
{
	static const char name[] = "postgresql.conf";
	struct dr_buf out = { .max = CONF_MAX };
	struct conf c = { .out = &out };
	struct dr_err none = { 0 };
	char *text;
	size_t len = 0;
	int rc = -1;

	if ((text = dr_place_get(place, name, CONF_MAX / 2, &len, &none)) ==
	    NULL) {
		if (errno != ENOENT) {
			*err = none;
			return -1;
		}
		dr_warn("\"%s\" has no postgresql.conf: start the server with "
		        "-c config_file=FILE",
		    place->dir);
		return 0;
	}
	if (emit(&c, text, len, name, 0, err) == -1)
		goto out;
	rc = c.changed ? dr_edits_put(edits, place, name, &out, err) : 0;

out:
	free(text);
	dr_buf_free(&out);
	return rc;
}

int
dr_restore_files_conf(const struct dr_place *place,
    const struct dr_writer *writer, struct dr_edits *edits, struct dr_err *err)
{
	static const struct {
		const char *setting, *name;
	} files[] = { { "config_file", "postgresql.conf" },
		{ "hba_file", "pg_hba.conf" },
		{ "ident_file", "pg_ident.conf" } };
	json_t *report = NULL;
	json_error_t why;
	const char *text, *path;
	bool outside = false, found = true;
	size_t len;
	int rc = 0;

	text = dr_writer_kept(writer, ".drtools/report.json", &len);
	if (text != NULL && (report = json_loadb(text, len,
	                         JSON_REJECT_DUPLICATES, &why)) == NULL)
		return dr_err_set(err, DR_EDATA,
		    ".drtools/report.json is no JSON: %s", why.text);
	/* Without the first one the others are of no use. */
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		path = file_of(report, files[i].setting);
		if (rc == -1 || !found || path == NULL || *path != '/' ||
		    inside(report, path, files[i].name))
			continue;
		outside |= i == 0;
		rc = install(place, writer, path, files[i].name, edits, &found,
		    err);
		found |= i > 0;
	}
	if (rc == 0 && !outside)
		rc = neutralise(place, edits, err);
	json_decref(report);
	return rc;
}
