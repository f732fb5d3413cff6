/*
 * What servers are called is known only while they answer, and the name of
 * one that is down must be the same as before: whoever counts on it counts on
 * its label.  STATE/lag/servers remembers: a line for each, WHERE<TAB>NAME,
 * the newest last.  It can be lost.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "flow/lag_int.h"

#define MAX (64U << 10)

static bool
fits(const char *s)
{
	return *dr_lag_text(s) != '\0' && strpbrk(s, "\t\n") == NULL;
}

/* The line of WHERE in TEXT; its name goes from *NAME to the newline. */
static const char *
line_of(const char *text, const char *where, const char **name)
{
	const size_t n = strlen(where);

	for (const char *s = text, *nl; (nl = strchr(s, '\n')) != NULL;
	     s = nl + 1)
		if (strncmp(s, where, n) == 0 && s[n] == '\t') {
			*name = s + n + 1;
			return s;
		}
	return NULL;
}

static int
recall(const char *text, struct dr_pg_view *v, struct dr_err *err)
{
	const char *name;
	char *copy;

	if (!fits(v->where) || line_of(text, v->where, &name) == NULL)
		return 0;
	copy = dr_fmt(err, "%.*s", (int)strcspn(name, "\n"), name);
	if (copy == NULL)
		return -1;
	free(v->name);
	v->name = copy;
	return 0;
}

/* TEXT with V's line, in a buffer of its own; *NEWS: it was not there. */
static int
remember(struct dr_buf *text, const struct dr_pg_view *v, bool *news,
    struct dr_err *err)
{
	const char *name, *line, *end;
	size_t n;

	if (!fits(v->where) || !fits(v->name) ||
	    strlen(v->where) + strlen(v->name) > 1024)
		return 0;
	line = line_of(text->data, v->where, &name);
	if (line != NULL) {
		n = strcspn(name, "\n");
		if (strlen(v->name) == n && strncmp(name, v->name, n) == 0)
			return 0;
		end = name + n + 1;
		memmove(text->data + (line - text->data), end,
		    text->len - (size_t)(end - text->data) + 1);
		text->len -= (size_t)(end - line);
	}
	*news = true;
	/* The oldest go where there are too many. */
	while (
	    text->len > MAX / 2 && (end = strchr(text->data, '\n')) != NULL) {
		n = (size_t)(end + 1 - text->data);
		memmove(text->data, end + 1, text->len - n + 1);
		text->len -= n;
	}
	return dr_buf_fmt(text, err, "%s\t%s\n", v->where, v->name);
}

static int
names(const char *path, struct dr_lag *lag, struct dr_err *err)
{
	struct dr_buf text = { .max = MAX };
	struct dr_err why = { 0 };
	bool news = false;
	char *old;
	size_t len;
	int rc = -1;

	old = dr_file_get(path, MAX, &len, &why);
	if (dr_buf_str(&text, old != NULL && strlen(old) == len ? old : "",
	        err) == -1)
		goto out;
	for (size_t i = 0; i < lag->servers; i++)
		if ((dr_lag_answers(&lag->server[i])
		            ? remember(&text, &lag->server[i], &news, err)
		            : recall(text.data, &lag->server[i], err)) == -1)
			goto out;
	rc = 0;
	if (news)
		rc = dr_file_put(path, 0600, DR_FILE_REPLACE, text.data,
		    text.len, err);

out:
	free(old);
	dr_buf_free(&text);
	return rc;
}

void
dr_lag_names(const char *state, struct dr_lag *lag)
{
	struct dr_err err = { 0 };
	char *dir = dr_fmt(&err, "%s/lag", state), *path = NULL;

	if (dir != NULL)
		path = dr_fmt(&err, "%s/servers", dir);
	if (path == NULL || lag->servers == 0 ||
	    (access(dir, F_OK) == -1 && dr_mkdirs(dir, 0700, &err) == -1) ||
	    names(path, lag, &err) == -1)
		if (err.cause != DR_OK)
			dr_say(1, "%s", err.msg);
	free(path);
	free(dir);
}
