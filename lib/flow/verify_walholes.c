/*
 * Is WAL whole from the backups on?
 *
 * Which timeline left which, and where, stands in the .history objects, and
 * these are sealed.  Without opening them this holds: a server that leaves a
 * timeline takes a higher number, and its first segment begins with the old
 * timeline's pages.  So WAL of a timeline must begin no later than where one of
 * a lower number ends, and from there on be without a hole.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "flow/verify_int.h"
#include "manifest/manifest.h"

/* Is it a gap of this store? */
static bool
ours(const struct dr_verify_wal *w, const struct dr_ledger_gap *g, uint32_t tli)
{
	return g->tli == tli &&
	       (*g->store == '\0' || strcmp(g->store, w->v->store) == 0);
}

/* Until where WAL should be there: what nobody vouches for proves nothing. */
static uint64_t
end_of(const struct dr_verify_wal *w, const struct dr_wal_timeline *t)
{
	const struct dr_walmap *m = w->cat.links > 0 ? &t->vouched : &t->map;
	uint64_t end = m->n == 0 ? 0 : m->v[m->n - 1].to;

	for (size_t i = 0; i < w->cat.gaps; i++)
		if (ours(w, &w->cat.gap[i], t->tli) && w->cat.gap[i].to > end)
			end = w->cat.gap[i].to;
	return end;
}

/* Where WAL of the timeline that is or was there begins; 0: none. */
static uint64_t
begin_of(const struct dr_wal_timeline *t)
{
	uint64_t v = t->vouched.n == 0 ? UINT64_MAX : t->vouched.v[0].from;
	uint64_t m = t->map.n == 0 ? UINT64_MAX : t->map.v[0].from;

	return v == UINT64_MAX && m == UINT64_MAX ? 0 : v < m ? v : m;
}

/* Does a ledger admit that this store lacks some of it? */
static bool
admitted(const struct dr_verify_wal *w, uint32_t tli, uint64_t from,
    uint64_t to)
{
	for (size_t i = 0; i < w->cat.gaps; i++) {
		const struct dr_ledger_gap *g = &w->cat.gap[i];

		if (ours(w, g, tli) && g->from < to && g->to > from)
			return true;
	}
	return false;
}

static int
hole(struct dr_verify_wal *w, uint32_t tli, uint64_t from, uint64_t to,
    struct dr_err *err)
{
	char text[160], a[DR_LSN_LEN], b[DR_LSN_LEN];

	(void)snprintf(text, sizeof(text),
	    "gap %s to %s on timeline %" PRIu32 "%s", dr_format_lsn(from, a),
	    dr_format_lsn(to, b), tli,
	    admitted(w, tli, from, to) ? ", which a ledger admits" : "");
	return dr_verify_wal_tell(w, "wal", DR_VERDICT_BAD, text, NULL, err);
}

/* From AT to the end. */
static int
walk(struct dr_verify_wal *w, const struct dr_wal_timeline *t, uint64_t at,
    struct dr_err *err)
{
	const struct dr_walmap *m = &t->map;
	uint64_t end = end_of(w, t), to;

	for (size_t i = 0; at < end; at = to) {
		to = dr_walmap_reach(m, at);
		if (to > at)
			continue;
		while (i < m->n && m->v[i].from <= at)
			i++;
		to = i < m->n && m->v[i].from < end ? m->v[i].from : end;
		if (hole(w, t->tli, at, to, err) == -1)
			return -1;
	}
	return 0;
}

/* The chain's beginning is there: nothing was ever written before. */
static bool
from_the_first(const struct dr_walcat *c)
{
	for (size_t i = 0; i < c->links; i++)
		if (c->link[i].n == 1)
			return true;
	return false;
}

static int
alone(struct dr_verify_wal *w, const struct dr_backup *b, uint64_t begin,
    struct dr_err *err)
{
	char text[200], lsn[DR_LSN_LEN];

	(void)snprintf(text, sizeof(text),
	    "WAL begins at %s, after the end of backup %s: that restores to "
	    "its own end only",
	    dr_format_lsn(begin, lsn), b->id);
	return dr_verify_wal_tell(w, "wal", DR_VERDICT_REMARK, text, NULL, err);
}

/*
 * The first location that a backup of timeline T needs; UINT64_MAX: there is
 * none.  A backup that holds its own WAL needs what follows its end.
 */
static int
first_need(struct dr_verify_wal *w, const struct dr_wal_timeline *t,
    uint64_t *need, struct dr_err *err)
{
	uint64_t from, to, begin = begin_of(t);
	uint32_t tli;

	*need = UINT64_MAX;
	for (size_t i = 0; i < w->all->n; i++) {
		const struct dr_backup *b = &w->all->v[i];

		if ((w->one != NULL && b != w->one) ||
		    !dr_verify_wal_backup(w, b, &tli, &from, &to) ||
		    tli != t->tli)
			continue;
		if (dr_manifest_bool(b->manifest, "pg.wal", false))
			from = to;
		if (from < begin && from_the_first(&w->cat) &&
		    dr_walmap_reach(&t->vouched, from) == from) {
			if (alone(w, b, begin, err) == -1)
				return -1;
			continue;
		}
		if (from < *need)
			*need = from;
	}
	return 0;
}

/* Where the WAL that T goes on from should have come to, on which timeline. */
static int
joined(struct dr_verify_wal *w, size_t at, struct dr_err *err)
{
	const struct dr_wal_timeline *t = &w->cat.timeline[at], *best = NULL;
	uint64_t begin = begin_of(t), reach = 0;

	for (size_t i = at; i-- > 0;) {
		const struct dr_wal_timeline *p = &w->cat.timeline[i];
		uint64_t last = 0;

		/* The end of its last run that begins before. */
		for (size_t k = 0; k < p->map.n; k++)
			if (p->map.v[k].from <= begin)
				last = p->map.v[k].to;
		if (last >= begin)
			return 0;
		if (last > reach || best == NULL) {
			reach = last;
			best = p;
		}
	}
	/* A fork before all that is here, or a gap that walk told of. */
	if (best == NULL || reach == 0 || end_of(w, best) > reach)
		return 0;
	return hole(w, best->tli, reach, begin, err);
}

/* Is there a backup that T would be an end of, were the way to it known? */
static bool
is_awaited(const struct dr_verify_wal *w, const struct dr_wal_timeline *t)
{
	uint64_t from, to;
	uint32_t tli;

	if (w->one != NULL)
		return dr_verify_wal_backup(w, w->one, &tli, &from, &to) &&
		       tli < t->tli;
	for (size_t i = 0; i < w->all->n; i++)
		if (dr_verify_wal_backup(w, &w->all->v[i], &tli, &from, &to) &&
		    tli < t->tli)
			return true;
	return false;
}

/* Timelines that no recovery finds the way to. */
static int
without_history(struct dr_verify_wal *w, struct dr_err *err)
{
	char text[160], hint[160], a[DR_LSN_LEN], b[DR_LSN_LEN];

	for (size_t i = 0; i < w->cat.timelines; i++) {
		const struct dr_wal_timeline *t = &w->cat.timeline[i];
		const struct dr_walmap *m = &t->map;

		if (t->history || m->n == 0 || (w->one && !is_awaited(w, t)))
			continue;
		(void)snprintf(text, sizeof(text),
		    "timeline %" PRIu32 " holds WAL from %s to %s, and its "
		    "history is missing: no recovery finds the way to it",
		    t->tli, dr_format_lsn(m->v[0].from, a),
		    dr_format_lsn(m->v[m->n - 1].to, b));
		(void)snprintf(hint, sizeof(hint),
		    "store %08" PRIX32 ".history from pg_wal of a server on "
		    "it with dr-wal push",
		    t->tli);
		if (dr_verify_wal_tell(w, "wal",
		        is_awaited(w, t) ? DR_VERDICT_UNKNOWN
		                         : DR_VERDICT_REMARK,
		        text, hint, err) == -1)
			return -1;
	}
	return 0;
}

static int
admissions(struct dr_verify_wal *w, struct dr_err *err)
{
	char text[160], a[DR_LSN_LEN], b[DR_LSN_LEN];

	for (size_t i = 0; i < w->cat.gaps && !w->bad; i++) {
		const struct dr_ledger_gap *g = &w->cat.gap[i];
		const struct dr_wal_timeline *t =
		    dr_walcat_timeline(&w->cat, g->tli);

		if (!ours(w, g, g->tli) ||
		    (t != NULL && dr_walmap_reach(&t->map, g->from) >= g->to))
			continue;
		(void)snprintf(text, sizeof(text),
		    "gap %s to %s on timeline %" PRIu32
		    ", which a ledger admits; no backup needs it",
		    dr_format_lsn(g->from, a), dr_format_lsn(g->to, b), g->tli);
		if (dr_verify_wal_tell(w, "wal", DR_VERDICT_REMARK, text, NULL,
		        err) == -1)
			return -1;
	}
	return 0;
}

int
dr_verify_wal_holes(struct dr_verify_wal *w, struct dr_err *err)
{
	uint32_t lowest = 0;
	uint64_t from, to;
	bool any = false;

	if (w->one != NULL &&
	    !dr_verify_wal_backup(w, w->one, &lowest, &from, &to))
		return 0;
	for (size_t i = 0; i < w->cat.timelines; i++) {
		const struct dr_wal_timeline *t = &w->cat.timeline[i];
		uint64_t need;

		if (t->tli < lowest || begin_of(t) == 0)
			continue;
		if (first_need(w, t, &need, err) == -1)
			return -1;
		/* Without a backup on it: from where it begins. */
		if (need == UINT64_MAX)
			need = begin_of(t);
		else
			any = true;
		if (walk(w, t, need, err) == -1 ||
		    (any && joined(w, i, err) == -1))
			return -1;
	}
	if (without_history(w, err) == -1)
		return -1;
	return admissions(w, err);
}
