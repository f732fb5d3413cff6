#include "flow/setconf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"

#define FOLDER    "/etc/dr"
#define TEXT_MAX  65536U
#define VALUE_MAX 16384U

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz_";
static const char name_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz_0123456789";

struct reader {
	const char *s, *end;
	const char *path;
	unsigned line;
	struct dr_buf value;
};

static int
wrong(const struct reader *r, const char *what, struct dr_err *err)
{
	dr_err_set(err, DR_EUSAGE, "\"%s\", line %u: %s", r->path, r->line,
	    what);
	return dr_err_hint(err, "lines are NAME=VALUE, with quotes where there "
	                        "are blanks; see dr-stores(7)");
}

static bool
one_of(char c, const char *chars)
{
	return c != '\0' && strchr(chars, c) != NULL;
}

/* Blanks, and a comment that follows them. */
static void
skip(struct reader *r, bool start)
{
	while (r->s < r->end && (*r->s == ' ' || *r->s == '\t')) {
		r->s++;
		start = true;
	}
	if (start && r->s < r->end && *r->s == '#')
		while (r->s < r->end && *r->s != '\n')
			r->s++;
}

/* What stands in quotes, from behind the first one to behind the last. */
static int
quoted(struct reader *r, char quote, struct dr_err *err)
{
	for (; r->s < r->end && *r->s != quote; r->s++) {
		if (*r->s == '\n')
			break;
		if (quote == '"' && (*r->s == '$' || *r->s == '`'))
			return wrong(r, "$ and ` need a shell", err);
		if (quote == '"' && *r->s == '\\' && r->s + 1 < r->end &&
		    one_of(r->s[1], "\\\"$`"))
			r->s++;
		if (dr_buf_add(&r->value, r->s, 1, err) == -1)
			return -1;
	}
	if (r->s == r->end || *r->s != quote)
		return wrong(r, "a quote that the line does not close", err);
	r->s++;
	return 0;
}

static int
value(struct reader *r, struct dr_err *err)
{
	r->value.len = 0;
	if (dr_buf_str(&r->value, "", err) == -1)
		return -1;
	for (bool first = true; r->s < r->end; first = false) {
		char c = *r->s;

		if (one_of(c, " \t\n"))
			break;
		if (one_of(c, "$`\\;&|<>()*?[") || (c == '~' && first))
			return wrong(r,
			    "a character that stands for itself "
			    "in quotes only",
			    err);
		r->s++;
		if (c == '\'' || c == '"') {
			if (quoted(r, c, err) == -1)
				return -1;
		} else if (dr_buf_add(&r->value, &c, 1, err) == -1)
			return -1;
	}
	return 0;
}

static int
keep(struct dr_setconf *c, const char *name, size_t len, const char *text,
    struct dr_err *err)
{
	char *n = dr_fmt(err, "%.*s", (int)len, name);
	char *v = n == NULL ? NULL : dr_fmt(err, "%s", text);
	size_t i;

	if (v == NULL) {
		free(n);
		return -1;
	}
	for (i = 0; i < c->n && strcmp(c->v[i].name, n) != 0;)
		i++;
	if (i == DR_SETCONF_MAX) {
		free(n);
		free(v);
		return dr_err_set(err, DR_EUSAGE,
		    "\"%s\" has more than %d names", c->path, DR_SETCONF_MAX);
	}
	if (i < c->n) {
		free(c->v[i].name);
		free(c->v[i].value);
	} else
		c->n++;
	c->v[i].name = n;
	c->v[i].value = v;
	return 0;
}

/* One line, up to its newline. */
static int
line(struct reader *r, struct dr_setconf *c, struct dr_err *err)
{
	const char *name;
	size_t len = 0;

	skip(r, true);
	if (r->s == r->end || *r->s == '\n')
		return 0;
	name = r->s;
	if (one_of(*name, letters))
		while (r->s < r->end && one_of(*r->s, name_chars)) {
			r->s++;
			len++;
		}
	if (len == 0 || len > 64 || r->s == r->end || *r->s != '=')
		return wrong(r, "no NAME=VALUE", err);
	r->s++;
	if (value(r, err) == -1)
		return -1;
	skip(r, false);
	if (r->s < r->end && *r->s != '\n')
		return wrong(r, "more than one value", err);
	return keep(c, name, len, r->value.data, err);
}

int
dr_setconf_parse(const char *text, size_t len, const char *path,
    struct dr_setconf *c, struct dr_err *err)
{
	struct reader r = { text, text + len, path, 0, { .max = VALUE_MAX } };
	int rc = 0;

	memset(c, 0, sizeof(*c));
	if ((c->path = dr_fmt(err, "%s", path)) == NULL)
		return -1;
	if (memchr(text, '\0', len) != NULL || len > TEXT_MAX)
		return dr_err_set(err, DR_EUSAGE, "\"%s\" is no text", path);
	while (rc == 0 && r.s < r.end) {
		r.line++;
		rc = line(&r, c, err);
		r.s++;
	}
	dr_buf_free(&r.value);
	return rc;
}

int
dr_setconf_read(const char *set, struct dr_setconf *c, struct dr_err *err)
{
	const char *dir = getenv("DR_CONF_DIR");
	struct dr_err why = { 0 };
	char *path, *text;
	size_t len;
	int rc = -1;

	memset(c, 0, sizeof(*c));
	if (dir == NULL || *dir == '\0')
		dir = FOLDER;
	if ((path = dr_fmt(err, "%s/%s.conf", dir, set)) == NULL)
		return -1;
	if ((text = dr_file_get(path, TEXT_MAX, &len, &why)) != NULL)
		rc = dr_setconf_parse(text, len, path, c, err);
	else if (errno == ENOENT && why.cause == DR_EFAIL)
		rc = dr_setconf_parse("", 0, path, c, err);
	else
		*err = why;
	free(text);
	free(path);
	return rc;
}

void
dr_setconf_wipe(struct dr_setconf *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].name);
		free(c->v[i].value);
	}
	free(c->path);
	memset(c, 0, sizeof(*c));
}

const char *
dr_setconf_get(const struct dr_setconf *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->v[i].name, name) == 0)
			return c->v[i].value;
	return NULL;
}

/* --- regions --------------------------------------------------------------- */

bool
dr_regions_allow(const char *words, const char *url, const char *region)
{
	static const char blank[] = " \t";
	size_t len, skip;

	for (words += strspn(words, blank); *words != '\0';
	     words += len + strspn(words + len, blank)) {
		len = strcspn(words, blank);
		if (region != NULL && strlen(region) == len &&
		    strncmp(words, region, len) == 0)
			return true;
		/* A path, or a URL: it ends where a part of the store's does. */
		skip = len > 5 && strncmp(words, "file:", 5) == 0 ? 5 : 0;
		if (memchr(words, '/', len) == NULL ||
		    strncmp(words + skip, url, len - skip) != 0)
			continue;
		if (words[len - 1] == '/' ||
		    strchr("/?", url[len - skip]) != NULL)
			return true;
	}
	return false;
}

int
dr_regions_check(const char *set, struct dr_store *const *stores, size_t n,
    struct dr_err *err)
{
	struct dr_setconf c;
	const char *words;
	int rc = -1;

	if (dr_setconf_read(set, &c, err) == -1)
		goto out;
	words = dr_setconf_get(&c, "regions");
	for (size_t i = 0; words != NULL && i < n; i++) {
		const char *url = dr_store_url(stores[i]);
		const char *region = dr_store_region(stores[i]);

		if (dr_regions_allow(words, url, region))
			continue;
		dr_err_set(err, DR_EUSAGE,
		    "set \"%s\" may not go into \"%s\" (region %s)", set, url,
		    region != NULL ? region : "unknown");
		dr_err_hint(err, "regions in \"%s\" allows: %s", c.path,
		    *words != '\0' ? words : "nothing");
		goto out;
	}
	rc = 0;

out:
	dr_setconf_wipe(&c);
	return rc;
}
