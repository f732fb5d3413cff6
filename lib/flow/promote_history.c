/* Events of runs that have been, from etcd or from this host's own file. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/grid.h"
#include "flow/lag_int.h"
#include "flow/promote_event.h"

#define TAIL_MAX  (4U << 20) /* of the file: what lies further back is left */
#define RUNS      9          /* that an expectation rests on */
#define LOOK_BACK 64         /* for them */

struct events {
	json_t **v; /* oldest first; objects */
	size_t n;
};

static void
wipe(struct events *e)
{
	while (e->n > 0)
		json_decref(e->v[--e->n]);
	free(e->v);
	e->v = NULL;
}

/* What is no event is passed over, with a warning. */
static int
add(struct events *e, const char *text, size_t len, const char *from,
    struct dr_err *err)
{
	json_t **more, *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(j)) {
		json_decref(j);
		dr_warn("%s: a line is no event of the history", from);
		return 0;
	}
	if ((more = reallocarray(e->v, e->n + 1, sizeof(*more))) == NULL) {
		json_decref(j);
		return dr_err_sys(err, "cannot allocate the history");
	}
	e->v = more;
	e->v[e->n++] = j;
	return 0;
}

static void
keep_last(struct events *e, size_t max)
{
	size_t i, drop = e->n > max ? e->n - max : 0;

	for (i = 0; i < drop; i++)
		json_decref(e->v[i]);
	if (drop > 0)
		memmove(e->v, e->v + drop, (e->n - drop) * sizeof(*e->v));
	e->n -= drop;
}

/* --- where they are ------------------------------------------------------------- */

/* The end of the file, from the beginning of a line; NULL: there is none. */
static char *
tail(const char *path, size_t *len, struct dr_err *err)
{
	char *text = NULL, *line;
	struct stat st;
	uint64_t from, size;
	int fd;

	*len = 0;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1) {
		if (errno != ENOENT)
			dr_err_sys(err, "cannot open \"%s\"", path);
		return NULL;
	}
	if (fstat(fd, &st) == -1) {
		dr_err_sys(err, "cannot look at \"%s\"", path);
		goto out;
	}
	size = (uint64_t)st.st_size;
	from = size > TAIL_MAX ? size - TAIL_MAX : 0;
	if ((text = malloc((size_t)(size - from) + 1)) == NULL) {
		dr_err_sys(err, "cannot allocate the history");
		goto out;
	}
	if (dr_fd_pread(fd, text, (size_t)(size - from), from, path, err) ==
	    -1) {
		free(text);
		text = NULL;
		goto out;
	}
	*len = (size_t)(size - from);
	if (from > 0 && (line = memchr(text, '\n', *len)) != NULL) {
		*len -= (size_t)(line + 1 - text);
		memmove(text, line + 1, *len);
	}
	text[*len] = '\0';

out:
	(void)close(fd);
	return text;
}

static int
from_file(const struct dr_promote_opts *o, struct events *e, struct dr_err *err)
{
	char *path = dr_promote_history_path(o, err), *text = NULL;
	const char *s, *end;
	size_t len, n;
	int rc = -1;

	if (path == NULL)
		return -1;
	if ((text = tail(path, &len, err)) == NULL) {
		rc = err->cause == DR_OK ? 0 : -1;
		goto out;
	}
	for (s = text, end = text + len; s < end; s += n + 1) {
		n = strcspn(s, "\n");
		if (n > 0 && add(e, s, n, path, err) == -1)
			goto out;
	}
	rc = 0;

out:
	free(text);
	free(path);
	return rc;
}

static int
from_etcd(const struct dr_promote_opts *o, size_t max, struct events *e,
    struct dr_err *err)
{
	struct dr_coord_look look = { 0 };
	size_t i;
	int rc;

	rc = dr_coord_history(o->coord, max, &look, err);
	for (i = 0; rc == 0 && i < look.n; i++)
		rc = add(e, look.key[i].value, strlen(look.key[i].value),
		    "etcd", err);
	dr_coord_look_wipe(&look);
	return rc;
}

/* etcd has those of all hosts; where it is away, our own are something. */
static int
events(const struct dr_promote_opts *o, size_t max, struct events *e,
    struct dr_err *err)
{
	struct dr_err away = { 0 };

	if (o->coord != NULL) {
		if (from_etcd(o, max, e, &away) == 0)
			return 0;
		wipe(e);
		if (away.cause != DR_ERETRY) {
			*err = away;
			return -1;
		}
		dr_warn("%s: only what this host did is shown", away.msg);
	}
	if (from_file(o, e, err) == -1)
		return -1;
	keep_last(e, max);
	return 0;
}

/* --- as text ------------------------------------------------------------------- */

static const char *
text_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s != NULL ? s : "";
}

/* DR_UNKNOWN where it is null. */
static int64_t
number_of(const json_t *j, const char *key, double unit)
{
	const json_t *v = json_object_get(j, key);
	double n = json_number_value(v) * unit;

	if (!json_is_number(v) || !(n > -9e18 && n < 9e18))
		return DR_UNKNOWN;
	return (int64_t)(n < 0 ? n - 0.5 : n + 0.5);
}

static void
number(struct dr_grid *g, int64_t n)
{
	if (dr_known(n))
		dr_grid_cell(g, "%lld", (long long)n);
	else
		dr_grid_cell(g, "?");
}

static int
table(const struct events *e, struct dr_buf *out, struct dr_err *err)
{
	static const struct dr_grid_column heads[] = { { "ENDED", false, 9 },
		{ "VERB", false, 9 }, { "RESULT", false, 9 },
		{ "FROM", false, 9 }, { "TO", false, 9 }, { "TOOK", true, 9 },
		{ "LOST", true, 9 }, { "PROTECTED", false, 5 },
		{ "FENCED", false, 5 }, { "EPOCH", true, 6 },
		{ "TLI", true, 4 }, { "WHY", false, 7 } };
	struct dr_grid g = { .column = heads, .columns = 12, .err = err };
	char text[DR_SIZE_LEN];
	size_t i, begin;

	for (i = 0; i < e->n; i++) {
		const json_t *j = e->v[i], *p = json_object_get(j, "protected");
		const char *why = text_of(j, "gave_up");

		dr_grid_row(&g);
		dr_grid_cell(&g, "%.19s", text_of(j, "ended"));
		dr_grid_cell(&g, "%s", text_of(j, "verb"));
		dr_grid_cell(&g, "%s", text_of(j, "result"));
		dr_grid_cell(&g, "%s", text_of(j, "former"));
		dr_grid_cell(&g, "%s", text_of(j, "candidate"));
		dr_grid_cell(&g, "%s",
		    dr_lag_seconds(number_of(j, "rto_seconds", 1e6), text));
		dr_grid_cell(&g, "%s",
		    dr_lag_bytes(number_of(j, "rpo_bytes", 1), text));
		dr_grid_cell(&g, "%s",
		    json_is_true(p)    ? "yes"
		    : json_is_false(p) ? "no"
		                       : "");
		dr_grid_cell(&g, "%s", text_of(j, "fenced_by"));
		number(&g, number_of(j, "epoch", 1));
		number(&g, number_of(j, "timeline", 1));
		dr_grid_cell(&g, "%s",
		    *text_of(j, "why") != '\0' ? text_of(j, "why") : why);
	}
	begin = out->len;
	if (dr_grid_print(&g, 0, out, err) == -1)
		return -1;
	/* Without the empty line before it. */
	if (out->len > begin) {
		memmove(out->data + begin, out->data + begin + 1,
		    out->len - begin);
		out->len--;
	}
	return 0;
}

static int
lines(const struct events *e, struct dr_buf *out, struct dr_err *err)
{
	char *text;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < e->n; i++) {
		text = json_dumps(e->v[i], JSON_COMPACT);
		if (text == NULL)
			return dr_err_set(err, DR_EFAIL,
			    "no memory for the history");
		rc = dr_buf_fmt(out, err, "%s\n", text);
		free(text);
	}
	return rc;
}

int
dr_promote_history(const struct dr_promote_opts *o, size_t max,
    struct dr_buf *out, struct dr_err *err)
{
	struct events e = { 0 };
	int rc = -1;

	if (events(o, max, &e, err) == 0)
		rc = o->json ? lines(&e, out, err) : table(&e, out, err);
	wipe(&e);
	return rc;
}

/* --- what to expect --------------------------------------------------------------- */

static int
rising(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int64_t
dr_promote_rto(const struct dr_promote_opts *o)
{
	struct events e = { 0 };
	struct dr_err no = { 0 };
	int64_t took[RUNS], us;
	size_t i, n = 0;

	if (events(o, LOOK_BACK, &e, &no) == 0)
		for (i = e.n; i > 0 && n < RUNS; i--) {
			us = number_of(e.v[i - 1], "rto_seconds", 1e6);
			if (strcmp(text_of(e.v[i - 1], "result"), "done") ==
			        0 &&
			    dr_known(us))
				took[n++] = us;
		}
	wipe(&e);
	if (n == 0)
		return DR_UNKNOWN;
	qsort(took, n, sizeof(took[0]), rising);
	return took[n / 2];
}
