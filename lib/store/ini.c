#include "store/ini.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* More than anybody has; they keep what looks for doubles from crawling. */
#define SECTIONS_MAX 8192U
#define KEYS_MAX     256U /* in a section */

struct reading {
	struct dr_ini *ini;
	const char *name; /* of the file */
	size_t line;
	size_t section;    /* of the keys that follow; SIZE_MAX: none yet */
	size_t room;       /* for keys */
	bool open;         /* there is a key that may go on */
	const char *outer; /* the key with an empty value, or NULL */
};

static bool
blank(char c)
{
	return c == ' ' || c == '\t';
}

/* S from its first byte that is not blank; its end cut off likewise. */
static char *
trim(char *s)
{
	size_t n;

	while (blank(*s))
		s++;
	for (n = strlen(s); n > 0 && blank(s[n - 1]); n--)
		s[n - 1] = '\0';
	return s;
}

static int
bad(const struct reading *r, const char *what, struct dr_err *err)
{
	return dr_err_set(err, DR_EUSAGE, "\"%s\", line %zu: %s", r->name,
	    r->line, what);
}

static size_t
find(const struct dr_ini *ini, const char *section)
{
	for (size_t i = 0; i < ini->sections; i++)
		if (strcmp(ini->section[i], section) == 0)
			return i;
	return SIZE_MAX;
}

/* "[NAME]", LINE after the bracket. */
static int
section(struct reading *r, char *line, struct dr_err *err)
{
	struct dr_ini *ini = r->ini;
	char *end = strchr(line, ']'), *rest;
	const char **more;

	r->open = false;
	r->outer = NULL;
	if (end == NULL)
		return bad(r, "a \"[\" without \"]\"", err);
	*end = '\0';
	rest = trim(end + 1);
	if (*rest != '\0' && *rest != '#' && *rest != ';')
		return bad(r, "something follows \"]\"", err);
	line = trim(line);
	if (*line == '\0')
		return bad(r, "a section without a name", err);
	if ((r->section = find(ini, line)) != SIZE_MAX)
		return 0;
	if (ini->sections == SECTIONS_MAX)
		return bad(r, "too many sections", err);
	if (ini->sections % 64 == 0) {
		more =
		    realloc(ini->section, (ini->sections + 64) * sizeof(*more));
		if (more == NULL)
			return dr_err_sys(err, "cannot read \"%s\"", r->name);
		ini->section = more;
	}
	r->section = ini->sections;
	ini->section[ini->sections++] = line;
	return 0;
}

static int
add(struct reading *r, const char *outer, const char *key, const char *value,
    struct dr_err *err)
{
	struct dr_ini *ini = r->ini;
	struct dr_ini_key *more;
	size_t mine = 0;

	for (size_t i = 0; i < ini->n; i++) {
		const struct dr_ini_key *k = &ini->v[i];

		if (k->section != r->section)
			continue;
		mine++;
		if (strcasecmp(k->key, key) == 0 &&
		    (k->outer == NULL) == (outer == NULL) &&
		    (outer == NULL || strcasecmp(k->outer, outer) == 0))
			return bad(r, "this key stands here a second time",
			    err);
	}
	if (mine == KEYS_MAX)
		return bad(r, "too many keys in a section", err);
	if (ini->n == r->room) {
		size_t room = r->room < 64 ? 64 : r->room * 2;

		if ((more = realloc(ini->v, room * sizeof(*more))) == NULL)
			return dr_err_sys(err, "cannot read \"%s\"", r->name);
		ini->v = more;
		r->room = room;
	}
	ini->v[ini->n].section = r->section;
	ini->v[ini->n].outer = outer;
	ini->v[ini->n].key = key;
	ini->v[ini->n].value = value;
	ini->n++;
	return 0;
}

/* "KEY = VALUE". */
static int
assign(struct reading *r, const char *outer, char *line, struct dr_err *err)
{
	char *eq = strchr(line, '='), *value;

	if (eq == NULL)
		return bad(r, "neither \"[SECTION]\" nor \"KEY = VALUE\"", err);
	if (r->section == SIZE_MAX)
		return bad(r, "a key before the first section", err);
	*eq = '\0';
	value = eq + 1;
	for (char *c = value; *c != '\0'; c++)
		if (blank(*c) && (c[1] == '#' || c[1] == ';')) {
			*c = '\0';
			break;
		}
	line = trim(line);
	value = trim(value);
	if (*line == '\0')
		return bad(r, "a value without a key", err);
	if (add(r, outer, line, value, err) == -1)
		return -1;
	if (outer == NULL) {
		r->open = true;
		r->outer = *value == '\0' ? line : NULL;
	}
	return 0;
}

/* A line that began with a blank. */
static int
more(struct reading *r, char *line, struct dr_err *err)
{
	char *value, *end;

	if (!r->open)
		return bad(r, "begins with a blank, and nothing goes on here",
		    err);
	if (r->outer != NULL)
		return assign(r, r->outer, line, err);
	/* It moves up to the value that it belongs to. */
	value = r->ini->text + (r->ini->v[r->ini->n - 1].value - r->ini->text);
	end = value + strlen(value);
	*end++ = '\n';
	memmove(end, line, strlen(line) + 1);
	return 0;
}

static int
one(struct reading *r, char *line, struct dr_err *err)
{
	bool indented = blank(*line);

	line = trim(line);
	if (*line == '\0' || *line == '#' || *line == ';')
		return 0;
	if (indented)
		return more(r, line, err);
	if (*line == '[')
		return section(r, line + 1, err);
	return assign(r, NULL, line, err);
}

int
dr_ini_parse(struct dr_ini *ini, const char *text, size_t len, const char *name,
    struct dr_err *err)
{
	struct reading r = { .ini = ini, .name = name, .section = SIZE_MAX };
	char *line, *end;

	memset(ini, 0, sizeof(*ini));
	if (len > DR_INI_MAX)
		return dr_err_set(err, DR_EUSAGE,
		    "\"%s\" has more than %u bytes", name, DR_INI_MAX);
	if (memchr(text, '\0', len) != NULL)
		return dr_err_set(err, DR_EUSAGE, "\"%s\" is no text", name);
	if ((ini->text = malloc(len + 1)) == NULL)
		return dr_err_sys(err, "cannot read \"%s\"", name);
	memcpy(ini->text, text, len);
	ini->text[len] = '\0';
	ini->len = len;

	line = ini->text;
	if (strncmp(line, "\xef\xbb\xbf", 3) == 0)
		line += 3;
	for (; line != NULL; line = end) {
		r.line++;
		if ((end = strchr(line, '\n')) != NULL) {
			if (end > line && end[-1] == '\r')
				end[-1] = '\0';
			*end++ = '\0';
		}
		for (const char *c = line; *c != '\0'; c++)
			if (((unsigned char)*c < ' ' && *c != '\t') ||
			    *c == 0x7f) {
				bad(&r, "a control character", err);
				goto fail;
			}
		if (one(&r, line, err) == -1)
			goto fail;
	}
	return 0;

fail:
	dr_ini_wipe(ini);
	return -1;
}

void
dr_ini_wipe(struct dr_ini *ini)
{
	if (ini->text != NULL)
		explicit_bzero(ini->text, ini->len);
	free(ini->text);
	free(ini->section);
	free(ini->v);
	memset(ini, 0, sizeof(*ini));
}

bool
dr_ini_has(const struct dr_ini *ini, const char *section)
{
	return find(ini, section) != SIZE_MAX;
}

const char *
dr_ini_get(const struct dr_ini *ini, const char *section, const char *outer,
    const char *key)
{
	size_t s = find(ini, section);

	for (size_t i = 0; s != SIZE_MAX && i < ini->n; i++) {
		const struct dr_ini_key *k = &ini->v[i];

		if (k->section == s && strcasecmp(k->key, key) == 0 &&
		    (k->outer == NULL) == (outer == NULL) &&
		    (outer == NULL || strcasecmp(k->outer, outer) == 0))
			return k->value;
	}
	return NULL;
}
