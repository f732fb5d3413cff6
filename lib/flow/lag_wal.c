/*
 * WAL of one cluster in a store, from the newest backup on.
 *
 * Of each timeline only what comes after the object listed last is listed,
 * and that one with it: if it is gone, the store was put back or exchanged,
 * and all is looked at anew.  Holes are looked into each time, since what
 * fills them comes late.  An object deleted further back is not noticed like
 * that; so once a day the WAL is walked from the newest backup on.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "flow/lag_store_int.h"
#include "flow/walobj.h"
#include "manifest/ledger.h"

#define SEGMENT_NAME 24
#define ASK_US       60000000LL /* then it is listed all the same */
#define ASK_MOST     64

#define HOLES    16   /* looked into in one report */
#define RUNS_MAX 4096 /* kept of a timeline: the newest */
#define WALK_US  DR_LAG_DAY

struct walk {
	struct dr_lag_look *k;
	struct dr_lag_line *l;
	uint64_t to;     /* end there */
	bool ended;      /* by the callback, for nothing more is wanted */
	bool found;      /* what was listed last */
	bool only_first; /* where the timeline begins is all that is asked */
};

/* --- listing ----------------------------------------------------------------------- */

static int
segment(struct walk *w, const struct dr_wal_id *id, const struct dr_object *obj,
    struct dr_err *err)
{
	struct dr_lag_known *known = &w->k->known;
	struct dr_lag_line *l = w->l;
	struct dr_lag_run run = { .time = obj->mtime };
	uint64_t start;
	char *copy;

	if (!dr_wal_start(&id->file, known->segsize, &start) ||
	    (id->increment && id->to > known->segsize))
		return 0;
	run.from = start + id->from;
	run.to = start + (id->increment ? id->to : known->segsize);
	l->parts |= id->increment;
	if (run.from < l->first)
		l->first = run.from;
	if (w->only_first || run.from >= w->to) {
		w->ended = true;
		return -1;
	}
	if (l->last != NULL &&
	    (strcmp(obj->name, l->last) == 0 ||
	        (run.from < l->last_to && run.to >= l->last_to)))
		w->found = true;
	if (dr_lag_runs_add(&l->runs, &run, err) == -1)
		return -1;
	/* Into a hole: what was listed last stays so. */
	if (w->to != UINT64_MAX)
		return 0;
	if ((copy = dr_fmt(err, "%s", obj->name)) == NULL)
		return -1;
	free(l->last);
	l->last = copy;
	l->last_to = run.to;
	return 0;
}

static int
object(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct walk *w = arg;
	const char *slash = strrchr(obj->name, '/');
	struct dr_wal_id id;
	enum dr_cipher cipher;

	if (dr_wal_object_parse(w->k->set, obj->name, &id, &cipher) != 1) {
		/* Ledgers come after all WAL. */
		if (slash != NULL && strncmp(slash + 1, "ledger-", 7) == 0) {
			w->ended = true;
			return -1;
		}
		return 0;
	}
	switch (id.file.kind) {
	case DR_WAL_HISTORY:
		w->l->history = true;
		return 0;
	case DR_WAL_SEGMENT:
		return segment(w, &id, obj, err);
	case DR_WAL_PARTIAL:
	case DR_WAL_BACKUP:
	default:
		return 0;
	}
}

static int
list(struct walk *w, const char *after, struct dr_err *err)
{
	const struct dr_lag_known *known = &w->k->known;
	struct dr_err why = { 0 };
	char *prefix =
	    dr_wal_prefix(w->k->set, known->system_id, w->l->tli, err);
	int rc = -1;

	if (prefix == NULL)
		return -1;
	w->ended = false;
	rc = dr_store_list(w->k->store, prefix, after, object, w, &why);
	free(prefix);
	if (rc == 0 || w->ended)
		return 0;
	*err = why;
	return -1;
}

/* What comes after the segments before that of LSN. */
static char *
before(const struct dr_lag_look *k, uint32_t tli, uint64_t lsn,
    struct dr_err *err)
{
	char *prefix = dr_wal_prefix(k->set, k->known.system_id, tli, err);
	char name[DR_WAL_NAME_MAX], *out = NULL;

	if (prefix != NULL)
		out = dr_fmt(err, "%s%s", prefix,
		    dr_wal_segment_at(tli, lsn, k->known.segsize, name));
	free(prefix);
	return out;
}

/* --- one timeline --------------------------------------------------------------------- */

/* Where it begins, and whether its history is there: once. */
static int
beginning(struct walk *w, struct dr_err *err)
{
	int rc;

	if (w->l->first != UINT64_MAX && w->l->history)
		return 0;
	w->to = UINT64_MAX;
	w->only_first = true;
	rc = list(w, NULL, err);
	w->only_first = false;
	return rc;
}

static int
whole(struct walk *w, struct dr_err *err)
{
	char *after = before(w->k, w->l->tli, w->k->known.base, err);
	int rc = -1;

	w->to = UINT64_MAX;
	w->l->listed = w->k->now.wall;
	if (after != NULL)
		rc = list(w, after, err);
	free(after);
	return rc;
}

/* Where the holes are; LIST in the meantime changes them. */
static int
holes(struct walk *w, struct dr_err *err)
{
	struct dr_lag_runs *runs = &w->l->runs;
	uint64_t from[HOLES], to[HOLES];
	size_t n = 0;

	for (size_t i = runs->n; i-- > 1 && n < HOLES; n++) {
		from[n] = runs->v[i - 1].to;
		to[n] = runs->v[i].from;
	}
	while (n-- > 0) {
		char *after = before(w->k, w->l->tli, from[n], err);
		int rc = -1;

		w->to = to[n];
		if (after != NULL)
			rc = list(w, after, err);
		free(after);
		if (rc == -1)
			return -1;
	}
	return 0;
}

/* Note what follows what was listed last.  1, 0 there is none, -1. */
static int
next(struct walk *w, uint64_t from, const char *ending, struct dr_err *err)
{
	struct dr_lag_line *l = w->l;
	char *name = before(w->k, l->tli, from, err), *object = NULL;
	struct dr_lag_run run = { .from = from,
		.to = from + w->k->known.segsize };
	struct dr_object obj;
	int rc = -1;

	if (name != NULL &&
	    (object = dr_fmt(err, "%s%s", name, ending)) != NULL)
		rc = dr_store_stat(w->k->store, object, &obj, err);
	free(name);
	if (rc == 1) {
		run.time = obj.mtime;
		rc = dr_lag_runs_add(&l->runs, &run, err) == -1 ? -1 : 1;
	}
	if (rc != 1) {
		free(object);
		return rc;
	}
	free(l->last);
	l->last = object;
	l->last_to = run.to;
	return 1;
}

/*
 * Where listing what is new is listing all, and segments come whole, the next
 * ones are asked for by their names: there can be none beyond the first that
 * is missing unless the primary has written more.  1, 0 it has to be listed,
 * -1.
 */
static int
ask(struct walk *w, struct dr_err *err)
{
	const struct dr_pg_view *p = w->k->primary;
	struct dr_lag_line *l = w->l;
	const char *slash = strrchr(l->last, '/');
	struct dr_object obj;
	char ending[32];
	int rc;

	if (!dr_store_scans(w->k->store) || p == NULL || p->tli != l->tli ||
	    l->parts || l->runs.n != 1 || slash == NULL ||
	    strlen(slash + 1) <= SEGMENT_NAME ||
	    strncmp(slash + 1 + SEGMENT_NAME, ".zst", 4) != 0 ||
	    l->listed > w->k->now.wall || w->k->now.wall - l->listed > ASK_US)
		return 0;
	(void)snprintf(ending, sizeof(ending), "%s", slash + 1 + SEGMENT_NAME);
	if ((rc = dr_store_stat(w->k->store, l->last, &obj, err)) != 1)
		return rc;
	for (int i = 0; (rc = next(w, l->last_to, ending, err)) == 1; i++)
		if (i == ASK_MOST)
			return 0;
	if (rc == -1)
		return -1;
	return p->lsn < l->last_to + 2 * (uint64_t)w->k->known.segsize;
}

/* 1: what was listed last is gone. */
static int
newer(struct walk *w, struct dr_err *err)
{
	struct dr_lag_line *l = w->l;
	const char *end;
	char *after;
	int rc;

	if (l->last == NULL)
		return whole(w, err);
	if ((rc = ask(w, err)) != 0)
		return rc == 1 ? 0 : -1;
	l->listed = w->k->now.wall;
	if (holes(w, err) == -1)
		return -1;
	/* "NAME.zst" comes before "NAME.zst.age", and after what is older. */
	end = strstr(l->last, ".zst");
	after = dr_fmt(err, "%.*s.zst", (int)(end - l->last), l->last);
	if (after == NULL)
		return -1;
	w->to = UINT64_MAX;
	w->found = false;
	rc = list(w, after, err);
	free(after);
	if (rc == -1)
		return -1;
	return w->found ? 0 : 1;
}

static void
trim(struct dr_lag_line *l)
{
	size_t over = l->runs.n > RUNS_MAX ? l->runs.n - RUNS_MAX : 0;

	if (over == 0)
		return;
	memmove(l->runs.v, l->runs.v + over,
	    (l->runs.n - over) * sizeof(*l->runs.v));
	l->runs.n -= over;
}

/* --- all -------------------------------------------------------------------------------- */

static int
timeline(void *arg, const char *name, struct dr_err *err)
{
	struct dr_lag_known *known = arg;
	struct dr_lag_line *more;
	uint32_t tli = 0;
	size_t at = 0;

	if (strlen(name) != 8 || strspn(name, "0123456789ABCDEF") != 8)
		return 0;
	tli = (uint32_t)strtoul(name, NULL, 16);
	while (at < known->lines && known->line[at].tli < tli)
		at++;
	if (tli == 0 || (at < known->lines && known->line[at].tli == tli))
		return 0;
	more = reallocarray(known->line, known->lines + 1, sizeof(*more));
	if (more == NULL)
		return dr_err_sys(err, "cannot list the timelines");
	known->line = more;
	memmove(&more[at + 1], &more[at], (known->lines - at) * sizeof(*more));
	known->lines++;
	memset(&more[at], 0, sizeof(*more));
	more[at].tli = tli;
	more[at].history = tli == 1;
	more[at].first = UINT64_MAX;
	return 0;
}

static void
restart(struct dr_lag_look *k, const struct dr_lag_backup *b, uint64_t need)
{
	dr_lag_lines_free(&k->known);
	k->known.system_id = b->system_id;
	k->known.segsize = b->segsize;
	k->known.base = need;
	k->known.walked = k->now.wall;
	k->known.dirs = 0;
}

/* Timelines; what comes after the primary's is another's, and not asked for. */
static int
timelines(struct dr_lag_look *k, struct dr_err *err)
{
	struct dr_lag_known *known = &k->known;
	char *prefix;
	int rc = -1;

	for (size_t i = 0; k->primary != NULL && i < known->lines; i++)
		if (known->line[i].tli == k->primary->tli &&
		    known->dirs <= k->now.wall &&
		    k->now.wall - known->dirs < ASK_US)
			return 0;
	if ((prefix = dr_wal_prefix(k->set, known->system_id, 0, err)) != NULL)
		rc = dr_store_dirs(k->store, prefix, timeline, known, err);
	free(prefix);
	known->dirs = k->now.wall;
	return rc;
}

/* It is over, the next one goes on from it, and it was looked at just now. */
static bool
is_over(const struct dr_lag_look *k, const struct dr_lag_line *l)
{
	const struct dr_lag_line *end = k->known.line + k->known.lines;

	return k->primary != NULL && l->tli < k->primary->tli &&
	       l->runs.n == 1 && l + 1 < end && l[1].history &&
	       l[1].first <= l->last_to && l->listed <= k->now.wall &&
	       k->now.wall - l->listed < ASK_US;
}

/* 1: something that was there is gone. */
static int
lines(struct dr_lag_look *k, uint32_t from, struct dr_err *err)
{
	int rc = timelines(k, err);

	for (size_t i = 0; i < k->known.lines && rc == 0; i++) {
		struct walk w = { .k = k, .l = &k->known.line[i] };

		if (w.l->tli < from || is_over(k, w.l))
			continue;
		if ((w.l->tli > from && beginning(&w, err) == -1) ||
		    (rc = newer(&w, err)) == -1)
			return -1;
		trim(w.l);
	}
	return rc;
}

/* What reached further before a walk than after it? */
struct stand {
	uint32_t tli;
	uint64_t to;
};

static struct stand
stand(const struct dr_lag_look *k, const struct dr_lag_backup *b, uint64_t need)
{
	struct dr_lag_reach r;

	dr_lag_reach(&k->known, b->tli, need, b->stop_lsn, 0, &r);
	return (struct stand){ r.tli, r.to };
}

int
dr_lag_wal(struct dr_lag_look *k, const struct dr_lag_backup *b, uint64_t need,
    struct dr_err *err)
{
	struct dr_lag_known *known = &k->known;
	char lsn[2][DR_LSN_LEN];
	struct stand was, is;
	int rc;

	if (known->system_id != b->system_id || known->segsize != b->segsize ||
	    known->base > need || known->walked == 0)
		restart(k, b, need);
	was = stand(k, b, need);
	if (known->walked > k->now.wall ||
	    k->now.wall - known->walked > WALK_US)
		restart(k, b, need);
	if ((rc = lines(k, b->tli, err)) == -1)
		return -1;
	if (rc == 1) {
		restart(k, b, need);
		if (lines(k, b->tli, err) == -1)
			return -1;
	}
	is = stand(k, b, need);
	if (is.tli < was.tli || (is.tli == was.tli && is.to < was.to))
		dr_lag_lost(k,
		    "WAL reached %s on timeline %" PRIu32
		    " and now ends at %s on timeline %" PRIu32,
		    dr_format_lsn(was.to, lsn[0]), was.tli,
		    dr_format_lsn(is.to, lsn[1]), is.tli);
	else if (rc == 1)
		dr_lag_lost(k, "WAL that was there is gone");
	return 0;
}
