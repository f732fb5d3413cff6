#include "flow/restore_choose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

/* --- what there is --------------------------------------------------------- */

struct dr_line *
dr_lines_get(struct dr_lines *l, uint32_t tli, struct dr_err *err)
{
	struct dr_line *more;
	size_t i = l->n;

	while (i > 0 && l->v[i - 1].tli >= tli)
		i--;
	if (i < l->n && l->v[i].tli == tli)
		return &l->v[i];
	if ((more = reallocarray(l->v, l->n + 1, sizeof(*more))) == NULL) {
		dr_err_sys(err, "cannot note a timeline");
		return NULL;
	}
	l->v = more;
	memmove(&l->v[i + 1], &l->v[i], (l->n - i) * sizeof(*l->v));
	l->n++;
	memset(&l->v[i], 0, sizeof(l->v[i]));
	l->v[i].tli = l->v[i].h.tli = tli;
	l->v[i].known = tli == 1;
	return &l->v[i];
}

const struct dr_line *
dr_lines_find(const struct dr_lines *l, uint32_t tli)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].tli == tli)
			return &l->v[i];
	return NULL;
}

void
dr_lines_free(struct dr_lines *l)
{
	for (size_t i = 0; i < l->n; i++) {
		dr_history_free(&l->v[i].h);
		dr_walmap_free(&l->v[i].map);
		free(l->v[i].partial);
		free(l->v[i].seen);
	}
	free(l->v);
	l->v = NULL;
	l->n = 0;
}

/* Room for one more after N; it doubles. */
static void *
grow(void *v, size_t n, size_t size, struct dr_err *err)
{
	if (n > 0 && (n & (n - 1)) != 0)
		return v;
	if ((v = reallocarray(v, n == 0 ? 1 : 2 * n, size)) == NULL)
		dr_err_sys(err, "cannot note what WAL there is");
	return v;
}

/* A listing has what belongs to a segment side by side. */
static int
saw(struct dr_line *l, uint64_t segment, int64_t time, struct dr_err *err)
{
	struct dr_seen *s = l->nseen > 0 ? &l->seen[l->nseen - 1] : NULL;

	if (s != NULL && s->at == segment) {
		if (time > s->time)
			s->time = time;
		return 0;
	}
	if ((s = grow(l->seen, l->nseen, sizeof(*s), err)) == NULL)
		return -1;
	l->seen = s;
	l->seen[l->nseen++] = (struct dr_seen){ segment, time };
	return 0;
}

int
dr_line_add(struct dr_line *l, uint64_t from, uint64_t to, uint64_t segment,
    int64_t time, struct dr_err *err)
{
	if (dr_walmap_add(&l->map, from, to, err) == -1)
		return -1;
	return saw(l, segment, time, err);
}

int
dr_line_partial(struct dr_line *l, uint64_t segment, int64_t time,
    struct dr_err *err)
{
	uint64_t *p = grow(l->partial, l->partials, sizeof(*p), err);

	if (p == NULL)
		return -1;
	l->partial = p;
	l->partial[l->partials++] = segment;
	return saw(l, segment, time, err);
}

int
dr_lines_partials(struct dr_lines *lines, struct dr_err *err)
{
	for (size_t i = 0; i < lines->n; i++) {
		struct dr_line *l = &lines->v[i];

		for (size_t k = 0; k < l->partials * lines->n; k++) {
			uint64_t from = l->partial[k / lines->n], end;

			end = dr_history_end(&lines->v[k % lines->n].h, l->tli);
			if (end > from && end - from <= lines->segsize &&
			    dr_walmap_add(&l->map, from, end, err) == -1)
				return -1;
		}
	}
	return 0;
}

uint32_t
dr_lines_latest(const struct dr_lines *l, uint32_t tli)
{
	const struct dr_line *next;

	while ((next = dr_lines_find(l, tli + 1)) != NULL && next->known)
		tli++;
	return tli;
}

/* --- the way to a target --------------------------------------------------- */

struct way {
	const struct dr_lines *lines;
	const struct dr_history *h;
	struct dr_walmap map; /* of all its timelines, each where it counts */
};

/* Where TLI begins to count: the segment in which it was forked off. */
static uint64_t
begins(const struct way *w, uint32_t tli)
{
	uint64_t at = 0;

	for (size_t i = 0; i < w->h->n && w->h->v[i].tli != tli; i++)
		at = w->h->v[i].end;
	return at - at % w->lines->segsize;
}

static int
add_line(struct way *w, uint32_t tli, struct dr_err *err)
{
	const struct dr_line *l = dr_lines_find(w->lines, tli);
	uint64_t lo = begins(w, tli), hi = dr_history_end(w->h, tli);

	for (size_t i = 0; l != NULL && i < l->map.n; i++) {
		uint64_t from = l->map.v[i].from, to = l->map.v[i].to;

		if (from < lo)
			from = lo;
		if (to > hi)
			to = hi;
		if (dr_walmap_add(&w->map, from, to, err) == -1)
			return -1;
	}
	return 0;
}

static int
way_init(struct way *w, const struct dr_lines *lines,
    const struct dr_history *h, struct dr_err *err)
{
	w->lines = lines;
	w->h = h;
	for (size_t i = 0; i < h->n; i++)
		if (add_line(w, h->v[i].tli, err) == -1)
			return -1;
	return add_line(w, h->tli, err);
}

/* When the last WAL before END was stored. */
static int64_t
time_at(const struct way *w, uint64_t end)
{
	int64_t newest = 0;

	for (size_t i = 0; i < w->lines->n; i++) {
		const struct dr_line *l = &w->lines->v[i];
		uint64_t hi = dr_history_end(w->h, l->tli);
		uint64_t lo = begins(w, l->tli);

		for (size_t k = 0; hi > 0 && k < l->nseen; k++) {
			const struct dr_seen *s = &l->seen[k];

			if (s->at >= lo && s->at < hi && s->at < end &&
			    s->time > newest)
				newest = s->time;
		}
	}
	return newest;
}

/* May a recovery along the way start from it? */
static bool
on_way(const struct dr_history *h, const struct dr_candidate *b)
{
	return b->stop <= dr_history_end(h, b->tli);
}

static bool
before(const struct dr_candidate *b, const struct dr_target *t)
{
	if (t->kind == DR_TARGET_TIME)
		return b->stopped <= t->time;
	return t->kind != DR_TARGET_LSN || b->stop <= t->lsn;
}

/* --- what cannot be -------------------------------------------------------- */

static char *
target_text(const struct dr_target *t, char out[64])
{
	char lsn[DR_LSN_LEN], time[DR_TIME_LEN];

	if (t->kind == DR_TARGET_LSN)
		(void)snprintf(out, 64, "LSN %s", dr_format_lsn(t->lsn, lsn));
	else if (t->kind == DR_TARGET_TIME)
		(void)snprintf(out, 64, "%s", dr_format_time(t->time, time));
	else
		(void)snprintf(out, 64, "%s",
		    t->kind == DR_TARGET_LATEST ? "the end of the WAL"
		                                : "the target");
	return out;
}

/* A timeline but TLI that has WAL at LSN; 0: none. */
static uint32_t
elsewhere(const struct dr_lines *lines, uint32_t tli, uint64_t lsn)
{
	for (size_t i = lines->n; i-- > 0;)
		if (lines->v[i].tli != tli &&
		    dr_walmap_reach(&lines->v[i].map, lsn) > lsn)
			return lines->v[i].tli;
	return 0;
}

static int
unknown_timeline(const struct dr_lines *lines, uint32_t tli, struct dr_err *err)
{
	char list[128] = "";
	size_t len = 0;

	dr_err_set(err, DR_EPARTIAL, "nothing is known of timeline %u", tli);
	for (size_t i = 0; i < lines->n && len < sizeof(list) - 16; i++)
		if (lines->v[i].known)
			len += (size_t)snprintf(list + len, sizeof(list) - len,
			    "%s%u", len > 0 ? ", " : "", lines->v[i].tli);
	return dr_err_hint(err, "there are histories of timeline %s", list);
}

/* The backup that was asked for is not on the way. */
static int
not_on_way(const struct dr_history *h, const struct dr_candidate *b,
    struct dr_err *err)
{
	char stop[DR_LSN_LEN], end[DR_LSN_LEN];
	uint64_t left = dr_history_end(h, b->tli);

	if (left == 0)
		dr_err_set(err, DR_EPARTIAL,
		    "backup %s is of timeline %u, which is no ancestor of "
		    "timeline %u",
		    b->id, b->tli, h->tli);
	else
		dr_err_set(err, DR_EPARTIAL,
		    "backup %s ended at %s on timeline %u, which timeline %u "
		    "left at %s: it lies on the abandoned part",
		    b->id, dr_format_lsn(b->stop, stop), b->tli, h->tli,
		    dr_format_lsn(left, end));
	return dr_err_hint(err, "--timeline %u stays on its timeline", b->tli);
}

/* The backup that was asked for ended after the target. */
static int
too_late(const struct dr_candidate *all, size_t n, const struct dr_history *h,
    const struct dr_candidate *b, const struct dr_target *t, struct dr_err *err)
{
	char text[64], lsn[DR_LSN_LEN], time[DR_TIME_LEN];

	dr_err_set(err, DR_EPARTIAL,
	    "%s lies before the end of backup %s, which was at %s, %s",
	    target_text(t, text), b->id, dr_format_lsn(b->stop, lsn),
	    dr_format_time(b->stopped, time));
	for (size_t i = 0; i < n; i++)
		if (on_way(h, &all[i]) && before(&all[i], t))
			return dr_err_hint(err,
			    "without -b an earlier backup is chosen");
	return dr_err_hint(err, "--immediate recovers to its end");
}

/* No backup is both on the way and before the target. */
static int
none_before(const struct dr_candidate *all, size_t n, const struct way *w,
    const struct dr_target *t, struct dr_err *err)
{
	const struct dr_candidate *first = NULL, *off = NULL;
	char text[64], lsn[DR_LSN_LEN], time[DR_TIME_LEN];

	for (size_t i = 0; i < n; i++) {
		if (!on_way(w->h, &all[i])) {
			if (before(&all[i], t))
				off = &all[i];
		} else if (first == NULL || all[i].stop < first->stop)
			first = &all[i];
	}
	if (first == NULL) {
		dr_err_set(err, DR_EPARTIAL,
		    "there is no backup from which timeline %u can be reached",
		    w->h->tli);
		return off == NULL ? -1
		                   : dr_err_hint(err,
		                         "backup %s is on timeline %u: "
		                         "--timeline %u",
		                         off->id, off->tli, off->tli);
	}
	dr_err_set(err, DR_EPARTIAL,
	    "%s lies before the end of the first backup on the way to timeline "
	    "%u, %s, which was at %s, %s",
	    target_text(t, text), w->h->tli, first->id,
	    dr_format_lsn(first->stop, lsn),
	    dr_format_time(first->stopped, time));
	if (off != NULL)
		return dr_err_hint(err,
		    "on timeline %u backup %s is earlier: --timeline %u",
		    off->tli, off->id, off->tli);
	return dr_err_hint(err,
	    "-b %s --immediate recovers to the earliest point there is",
	    first->id);
}

/* The WAL ends, or has a hole, before the target. */
static int
too_short(const struct way *w, const struct dr_target *t,
    const struct dr_choice *c, struct dr_err *err)
{
	char text[64], end[DR_LSN_LEN], hole[DR_LSN_LEN], time[DR_TIME_LEN];
	uint32_t other = 0;

	if (t->kind == DR_TARGET_LSN)
		other =
		    elsewhere(w->lines, dr_history_at(w->h, t->lsn), t->lsn);
	if (other != 0) {
		dr_err_set(err, DR_EPARTIAL,
		    "%s lies on timeline %u, off the way to timeline %u, on "
		    "which the WAL ends at %s",
		    target_text(t, text), other, w->h->tli,
		    dr_format_lsn(c->end, end));
		return dr_err_hint(err, "--timeline %u recovers along it",
		    other);
	}
	dr_format_lsn(c->end, end);
	if (c->hole != 0) {
		dr_err_set(err, DR_EPARTIAL,
		    "WAL is missing between the backup and %s: from %s to %s "
		    "on the way to timeline %u",
		    target_text(t, text), end, dr_format_lsn(c->hole, hole),
		    w->h->tli);
		return dr_err_hint(err,
		    "another store may have it (dr-mirror); --target-lsn %s, "
		    "or less, is before the hole",
		    dr_format_lsn(c->end - 1, hole));
	}
	if (c->end_time != 0)
		dr_err_set(err, DR_EPARTIAL,
		    "the WAL does not reach %s: it ends at %s on timeline %u, "
		    "stored at %s",
		    target_text(t, text), end, c->end_tli,
		    dr_format_time(c->end_time, time));
	else
		dr_err_set(err, DR_EPARTIAL,
		    "the WAL does not reach %s: it ends at %s on timeline %u",
		    target_text(t, text), end, c->end_tli);
	return dr_err_hint(err, "--latest recovers to its end");
}

/*
 * Where timeline CHILD left PARENT: without CHILD's first segment a server
 * reads on in PARENT's, and replays what was abandoned.
 */
static int
check_forks(const struct way *w, const struct dr_choice *c, struct dr_err *err)
{
	for (size_t i = 0; i < w->h->n; i++) {
		uint32_t parent = w->h->v[i].tli, child = w->h->tli;
		uint64_t fork = w->h->v[i].end;
		const struct dr_line *p = dr_lines_find(w->lines, parent);
		char at[DR_LSN_LEN];

		if (fork != c->end || p == NULL ||
		    dr_walmap_reach(&p->map, fork) == fork)
			continue;
		if (i + 1 < w->h->n)
			child = w->h->v[i + 1].tli;
		dr_err_set(err, DR_EPARTIAL,
		    "the first segment of timeline %u, which left timeline %u "
		    "at %s, is missing, and the server would go on in what "
		    "was abandoned",
		    child, parent, dr_format_lsn(fork, at));
		return dr_err_hint(err,
		    "another store may have it; --timeline %u with a target "
		    "stays on that timeline",
		    parent);
	}
	return 0;
}

/* --- choosing --------------------------------------------------------------- */

/* The newest timeline that a backup or a history tells of. */
static uint32_t
newest(const struct dr_candidate *all, size_t n, const struct dr_lines *lines)
{
	uint32_t tli = 0;

	for (size_t i = 0; i < n; i++)
		if (all[i].tli > tli)
			tli = all[i].tli;
	for (size_t i = 0; i < lines->n; i++)
		if (lines->v[i].known && lines->v[i].tli > tli)
			tli = lines->v[i].tli;
	return tli;
}

/* The newest that is on the way and before the target; -1: none. */
static long
pick(const struct dr_candidate *all, size_t n, const struct dr_history *h,
    const struct dr_target *t)
{
	long best = -1;

	for (size_t i = 0; i < n; i++)
		if (on_way(h, &all[i]) && before(&all[i], t) &&
		    (best == -1 || all[i].stop >= all[best].stop))
			best = (long)i;
	return best;
}

/* How far the WAL goes from backup B on. */
static void
measure(const struct way *w, const struct dr_candidate *b, struct dr_choice *c)
{
	uint64_t from = b->wal ? b->stop : b->start;

	c->end = dr_walmap_reach(&w->map, from);
	c->end_tli = dr_history_at(w->h, c->end - 1);
	c->end_time = c->end > from ? time_at(w, c->end) : 0;
	c->hole = 0;
	for (size_t i = w->map.n; i-- > 0 && w->map.v[i].from > c->end;)
		c->hole = w->map.v[i].from;
}

/* Does it reach the target? */
static int
reaches(const struct way *w, const struct dr_candidate *b,
    const struct dr_target *t, struct dr_choice *c, struct dr_err *err)
{
	char lsn[DR_LSN_LEN];

	if (t->kind == DR_TARGET_IMMEDIATE) {
		c->archive = !b->wal;
		if (b->wal || c->end >= b->stop)
			return 0;
		dr_err_set(err, DR_EPARTIAL,
		    "backup %s was taken without its WAL, which is there only "
		    "up to %s",
		    b->id, dr_format_lsn(c->end, lsn));
		return dr_err_hint(err, "choose another one with -b");
	}
	c->archive = true;
	if (w->map.n == 0) {
		dr_err_set(err, DR_EPARTIAL,
		    "the stores hold no WAL on the way to timeline %u",
		    w->h->tli);
		return dr_err_hint(err,
		    "--immediate recovers to the end of the backup");
	}
	if (!b->wal && c->end < b->stop)
		return too_short(w, t, c, err);
	if (t->kind == DR_TARGET_LSN) {
		c->other =
		    elsewhere(w->lines, dr_history_at(w->h, t->lsn), t->lsn);
		return t->lsn >= c->end ? too_short(w, t, c, err) : 0;
	}
	if (t->kind == DR_TARGET_TIME &&
	    t->time > c->end_time + DR_TARGET_SLACK)
		return too_short(w, t, c, err);
	if (t->kind == DR_TARGET_LATEST && c->hole != 0)
		return too_short(w, t, c, err);
	return check_forks(w, c, err);
}

int
dr_restore_choose(const struct dr_candidate *all, size_t n, long fixed,
    const struct dr_lines *lines, const struct dr_target *t,
    struct dr_choice *c, struct dr_err *err)
{
	struct dr_history alone = { 0 };
	const struct dr_line *line;
	struct way w = { 0 };
	int rc = -1;
	long i = fixed;

	memset(c, 0, sizeof(*c));
	c->tli = t->timeline != 0 ? t->timeline : newest(all, n, lines);
	/* The end of a backup is on its own timeline. */
	if (t->kind == DR_TARGET_IMMEDIATE && fixed != -1)
		c->tli = all[fixed].tli;
	line = dr_lines_find(lines, c->tli);
	if (line == NULL && t->timeline != 0) {
		for (size_t k = 0; k < n && c->tli != alone.tli; k++)
			alone.tli = all[k].tli;
		if (alone.tli != c->tli)
			return unknown_timeline(lines, c->tli, err);
	}
	alone.tli = c->tli;
	if (way_init(&w, lines, line != NULL ? &line->h : &alone, err) == -1)
		goto out;
	if (i == -1 && (i = pick(all, n, w.h, t)) == -1) {
		none_before(all, n, &w, t, err);
		goto out;
	}
	if (!on_way(w.h, &all[i])) {
		not_on_way(w.h, &all[i], err);
		goto out;
	}
	if (!before(&all[i], t)) {
		too_late(all, n, w.h, &all[i], t, err);
		goto out;
	}
	c->backup = (size_t)i;
	measure(&w, &all[i], c);
	rc = reaches(&w, &all[i], t, c, err);

out:
	dr_walmap_free(&w.map);
	return rc;
}
