#include "pg/syncnames.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAMES_MAX 4096
#define TEXT_MAX  (1U << 20)
#define SPACES    " \t\n\r\f\v"
#define DIGITS    "0123456789"
#define LETTERS   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"

enum token { END, NAME, NUMBER, ANY, FIRST, OPEN, CLOSE, COMMA, JUNK };

struct reader {
	const char *s;
	enum token token;
	struct dr_buf text; /* of a NAME or NUMBER */
};

/* --- reading ---------------------------------------------------------------- */

static bool
begins_name(char c)
{
	return c != '\0' && (strchr(LETTERS, c) != NULL || (c & 0x80) != 0);
}

static size_t
name_length(const char *s)
{
	size_t n = 0;

	while (begins_name(s[n]) ||
	       (n > 0 && s[n] != '\0' && strchr(DIGITS "$", s[n]) != NULL))
		n++;
	return n;
}

/* What stands in double quotes, from behind the first one on. */
static int
quoted(struct reader *r, struct dr_err *err)
{
	for (;; r->s++) {
		if (*r->s == '\0') {
			r->token = JUNK;
			return 0;
		}
		if (*r->s == '"' && *++r->s != '"')
			break;
		if (dr_buf_add(&r->text, r->s, 1, err) == -1)
			return -1;
	}
	r->token = NAME;
	/* Even when there is nothing between them. */
	return dr_buf_add(&r->text, "", 0, err);
}

static int
next(struct reader *r, struct dr_err *err)
{
	static const char marks[] = "(),*";
	static const enum token of[] = { OPEN, CLOSE, COMMA, NAME };
	const char *start, *mark;
	size_t n;

	r->s += strspn(r->s, SPACES);
	start = r->s;
	r->text.len = 0;
	if (*start == '\0') {
		r->token = END;
		return 0;
	}
	if (*start == '"') {
		r->s++;
		return quoted(r, err);
	}
	if ((n = strspn(start, DIGITS)) > 0)
		r->token = NUMBER;
	else if ((n = name_length(start)) > 0) {
		r->token = NAME;
		if (n == 3 && strncasecmp(start, "any", n) == 0)
			r->token = ANY;
		else if (n == 5 && strncasecmp(start, "first", n) == 0)
			r->token = FIRST;
	} else {
		n = 1;
		mark = strchr(marks, *start);
		r->token = mark != NULL ? of[mark - marks] : JUNK;
	}
	r->s += n;
	return dr_buf_add(&r->text, start, n, err);
}

static bool
is_among(const struct dr_syncnames *sn, const char *name)
{
	size_t i;

	for (i = 0; i < sn->n; i++)
		if (strcasecmp(sn->name[i], name) == 0)
			return true;
	return false;
}

/* "*" is what it is with quotes, too. */
static int
add(struct dr_syncnames *sn, const char *name, struct dr_err *err)
{
	char **more;

	if (sn->everyone || is_among(sn, name))
		return 0;
	if (strcmp(name, "*") == 0) {
		sn->everyone = true;
		return 0;
	}
	if (sn->n == NAMES_MAX)
		return dr_err_set(err, DR_EUSAGE,
		    "more than %d names of synchronous standbys", NAMES_MAX);
	if ((more = realloc(sn->name, (sn->n + 1) * sizeof(*more))) == NULL)
		return dr_err_sys(err, "cannot allocate names");
	sn->name = more;
	if ((sn->name[sn->n] = strdup(name)) == NULL)
		return dr_err_sys(err, "cannot allocate names");
	sn->n++;
	return 0;
}

static int
wrong(const struct reader *r, const char *what, struct dr_err *err)
{
	if (r->token == END)
		return dr_err_set(err, DR_EUSAGE,
		    "synchronous_standby_names: %s at its end", what);
	return dr_err_set(err, DR_EUSAGE,
	    "synchronous_standby_names: %s before \"%.40s\"", what, r->s);
}

/* NAME [, NAME]..., up to what is none of both. */
static int
read_list(struct reader *r, struct dr_syncnames *sn, struct dr_err *err)
{
	for (;;) {
		if (r->token != NAME && r->token != NUMBER)
			return wrong(r, "a name is missing", err);
		if (add(sn, r->text.data, err) == -1 || next(r, err) == -1)
			return -1;
		if (r->token != COMMA)
			return 0;
		if (next(r, err) == -1)
			return -1;
	}
}

static int
read_count(struct dr_syncnames *sn, const char *digits, struct dr_err *err)
{
	long n = strtol(digits, NULL, 10);

	if (n <= 0 || n > INT_MAX)
		return dr_err_set(err, DR_EUSAGE,
		    "synchronous_standby_names: %.20s is no number of standbys",
		    digits);
	sn->wait = (int)n;
	return 0;
}

/* COUNT ( LIST ), from the parenthesis on; the count is read. */
static int
read_group(struct reader *r, struct dr_syncnames *sn, struct dr_err *err)
{
	if (r->token != OPEN)
		return wrong(r, "\"(\" is missing", err);
	if (next(r, err) == -1 || read_list(r, sn, err) == -1)
		return -1;
	if (r->token != CLOSE)
		return wrong(r, "\")\" is missing", err);
	return next(r, err);
}

static int
read_all(struct reader *r, struct dr_syncnames *sn, struct dr_err *err)
{
	struct reader first;
	int rc;

	if (r->token == ANY || r->token == FIRST) {
		sn->any = r->token == ANY;
		if (next(r, err) == -1)
			return -1;
		if (r->token != NUMBER)
			return wrong(r, "a number is missing", err);
		if (read_count(sn, r->text.data, err) == -1 ||
		    next(r, err) == -1)
			return -1;
		return read_group(r, sn, err);
	}
	sn->wait = 1;
	if (r->token != NUMBER)
		return read_list(r, sn, err);
	/* A number may be a count or a name: see what follows. */
	first = (struct reader){ .s = r->s, .text.max = TEXT_MAX };
	rc = next(&first, err);
	dr_buf_free(&first.text);
	if (rc == -1)
		return -1;
	if (first.token != OPEN)
		return read_list(r, sn, err);
	if (read_count(sn, r->text.data, err) == -1 || next(r, err) == -1)
		return -1;
	return read_group(r, sn, err);
}

int
dr_syncnames_parse(const char *s, struct dr_syncnames *sn, struct dr_err *err)
{
	struct reader r = { .s = s, .text.max = TEXT_MAX };
	int rc = -1;

	memset(sn, 0, sizeof(*sn));
	if (*s == '\0')
		return 0;
	if (next(&r, err) == 0 && read_all(&r, sn, err) == 0) {
		rc = 0;
		if (r.token != END)
			rc = wrong(&r, "something that does not belong there",
			    err);
	}
	dr_buf_free(&r.text);
	if (rc == -1)
		dr_syncnames_free(sn);
	return rc;
}

void
dr_syncnames_free(struct dr_syncnames *sn)
{
	while (sn->n > 0)
		free(sn->name[--sn->n]);
	free(sn->name);
	memset(sn, 0, sizeof(*sn));
}

bool
dr_syncnames_match(const struct dr_syncnames *sn, const char *name)
{
	return sn->wait > 0 && (sn->everyone || is_among(sn, name));
}

/* --- writing ---------------------------------------------------------------- */

/* Would it be read as a name without quotes? */
static bool
is_plain(const char *name)
{
	size_t n = strlen(name);

	if (n > 0 && strspn(name, DIGITS) == n)
		return true;
	return n > 0 && name_length(name) == n &&
	       strcasecmp(name, "any") != 0 && strcasecmp(name, "first") != 0;
}

static int
put_name(const char *name, struct dr_buf *out, struct dr_err *err)
{
	if (is_plain(name))
		return dr_buf_str(out, name, err);
	if (dr_buf_add(out, "\"", 1, err) == -1)
		return -1;
	for (; *name != '\0'; name++)
		if ((*name == '"' && dr_buf_add(out, "\"", 1, err) == -1) ||
		    dr_buf_add(out, name, 1, err) == -1)
			return -1;
	return dr_buf_add(out, "\"", 1, err);
}

int
dr_syncnames_format(const struct dr_syncnames *sn, struct dr_buf *out,
    struct dr_err *err)
{
	size_t i;

	if (sn->wait == 0)
		return dr_buf_add(out, "", 0, err);
	if (dr_buf_fmt(out, err, "%s %d (", sn->any ? "ANY" : "FIRST",
	        sn->wait) == -1)
		return -1;
	for (i = 0; i < sn->n; i++)
		if ((i > 0 && dr_buf_str(out, ", ", err) == -1) ||
		    put_name(sn->name[i], out, err) == -1)
			return -1;
	if (sn->everyone && dr_buf_str(out, sn->n > 0 ? ", *" : "*", err) == -1)
		return -1;
	return dr_buf_add(out, ")", 1, err);
}

int
dr_syncnames_swap(const struct dr_syncnames *sn, const char *leader,
    const char *former, struct dr_syncnames *out, struct dr_err *err)
{
	bool there = is_among(sn, leader);
	const char *name;
	size_t i;

	*out = (struct dr_syncnames){ .wait = sn->wait, .any = sn->any };
	for (i = 0; i < sn->n; i++) {
		name = sn->name[i];
		if (strcasecmp(name, leader) == 0) {
			if (former[0] == '\0')
				continue;
			name = former;
		} else if (there && strcasecmp(name, former) == 0)
			name = leader;
		if (add(out, name, err) == -1) {
			dr_syncnames_free(out);
			return -1;
		}
	}
	out->everyone = sn->everyone;
	return 0;
}

bool
dr_syncnames_held(const struct dr_syncnames *sn, size_t cut)
{
	return sn->wait > 0 && !sn->everyone && cut + (size_t)sn->wait > sn->n;
}
