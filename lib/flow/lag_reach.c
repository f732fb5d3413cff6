/* What the WAL that is there comes to. */
#include <string.h>

#include "flow/lag_store_int.h"

static const struct dr_lag_line *
line_of(const struct dr_lag_known *k, uint32_t tli)
{
	for (size_t i = 0; i < k->lines; i++)
		if (k->line[i].tli == tli)
			return &k->line[i];
	return NULL;
}

static void
reach_on(const struct dr_lag_line *l, uint64_t lsn, struct dr_lag_reach *r)
{
	const struct dr_lag_run *run =
	    l == NULL ? NULL : dr_lag_runs_at(&l->runs, lsn);

	r->to = lsn;
	r->time = DR_UNKNOWN;
	if (run != NULL) {
		r->to = run->to;
		r->time = run->time;
	}
}

/* A hole from where the way ends. */
static void
gap(struct dr_lag_reach *r, uint64_t from, uint64_t to)
{
	if (r->gaps++ == 0) {
		r->gap_from = from;
		r->gap_to = to;
	}
}

/* What lies on the way's timeline beyond its end. */
static void
beyond(const struct dr_lag_line *l, struct dr_lag_reach *r)
{
	uint64_t end = r->to;

	for (size_t i = 0; l != NULL && i < l->runs.n; i++) {
		const struct dr_lag_run *run = &l->runs.v[i];

		if (run->from <= end)
			continue;
		gap(r, end, run->from);
		end = run->to;
	}
	if (end > r->newest)
		r->newest = end;
}

void
dr_lag_reach(const struct dr_lag_known *k, uint32_t tli, uint64_t lsn,
    uint64_t stop, uint32_t limit, struct dr_lag_reach *r)
{
	*r = (struct dr_lag_reach){ .tli = tli };
	reach_on(line_of(k, tli), lsn, r);
	/* Short of what the backup needs there is no way on. */
	for (size_t i = 0; i < k->lines && r->to >= stop; i++) {
		const struct dr_lag_line *l = &k->line[i];

		if (l->tli <= r->tli || (limit != 0 && l->tli > limit) ||
		    !l->history || l->first > r->to ||
		    (l->first < stop && stop - l->first > k->segsize))
			continue;
		r->tli = l->tli;
		r->begin = l->first;
		reach_on(l, l->first > lsn ? l->first : lsn, r);
	}
	beyond(line_of(k, r->tli), r);
	/* Timelines after it that nothing leads to. */
	for (size_t i = 0; i < k->lines; i++) {
		const struct dr_lag_line *l = &k->line[i];
		uint64_t end = l->runs.n == 0 ? 0 : l->runs.v[l->runs.n - 1].to;

		if (l->tli <= r->tli || (limit != 0 && l->tli > limit) ||
		    end <= r->newest)
			continue;
		if (l->first > r->to)
			gap(r, r->to, l->first);
		else if (!l->history)
			gap(r, l->first, end);
		else
			continue; /* it left before the backup: another's */
		r->newest = end;
	}
}

/* --- the achieved RPO ---------------------------------------------------------- */

/*
 * Why it is a bound.  A sample says: by that time every commit that had been
 * acknowledged lay before its LSN (the flushed end of WAL was read after that
 * time; only synchronous_commit = off acknowledges what is not flushed).  If
 * the store holds WAL without a hole up to that LSN or beyond, then of those
 * commits none is lost, and whatever is lost was acknowledged later: within
 * the sample's age, by one clock, that of this host.  That the store was
 * looked at after the server takes nothing from it: a store only gains.  So
 * the age of the newest sample that the store reaches bounds the loss as of
 * now, and it is never 0: what was written since the server was asked, some
 * milliseconds ago, nobody has seen.
 *
 * It asks that the sample's WAL is on the way that was found.  On the way's
 * own timeline it is.  One of the timeline before counts while it lies before
 * the segment in which the next one begins, for then it lies before the fork,
 * and what was promoted had received more than that.
 * Where the primary is on a timeline of which the store holds nothing, the
 * fork is not known, and what is told is an estimate.
 */
struct best {
	int64_t age;
	bool bound;
};

static uint32_t
timeline_before(const struct dr_lag_samples *s, uint32_t tli)
{
	uint32_t before = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].tli < tli && s->v[i].tli > before)
			before = s->v[i].tli;
	return before;
}

/* Before this, WAL of timeline TLI is on the way to timeline TO. */
static uint64_t
left_at(const struct dr_lag_known *k, uint32_t tli, uint32_t to)
{
	uint64_t at = UINT64_MAX;

	for (size_t i = 0; i < k->lines; i++) {
		const struct dr_lag_line *l = &k->line[i];

		if (l->tli > tli && l->tli <= to && l->first < at)
			at = l->first;
	}
	return at == UINT64_MAX ? 0 : at;
}

static struct best
youngest(const struct dr_lag_known *k, const struct dr_lag_samples *s,
    const struct dr_lag_reach *r, uint32_t tip, const struct dr_lag_now *now)
{
	uint32_t before = r->begin == 0 ? 0 : timeline_before(s, r->tli);
	struct best b = { DR_UNKNOWN, r->tli == tip };

	for (size_t i = 0; i < s->n; i++) {
		const struct dr_lag_sample *p = &s->v[i];
		int64_t age = dr_lag_sample_age(p, now);

		if (!dr_known(age) || (dr_known(b.age) && age >= b.age))
			continue;
		if ((p->tli == r->tli && p->lsn <= r->to) ||
		    (p->tli == before && before != 0 &&
		        p->lsn < left_at(k, before, r->tli)))
			b.age = age;
	}
	return b;
}

/*
 * Where commits wait for a standby, or for dr-wal receive, those acknowledged
 * lie no further than one of these had written: of all that may be waited for
 * (a potential one may have been a moment ago) the furthest.  If the store
 * reaches that, it holds every commit that had been acknowledged, though the
 * server's own WAL goes on.  False: no commit waits.
 */
static bool
acknowledged(const struct dr_pg_view *p, uint64_t *lsn)
{
	bool waits = false;

	*lsn = 0;
	if (p == NULL || p->sync_names == NULL || *p->sync_names == '\0' ||
	    p->sync_commit == NULL || strcmp(p->sync_commit, "off") == 0 ||
	    strcmp(p->sync_commit, "local") == 0)
		return false;
	for (size_t i = 0; i < p->standbys; i++) {
		const struct dr_pg_standby *s = &p->standby[i];
		bool sync = strcmp(s->sync_state, "sync") == 0 ||
		            strcmp(s->sync_state, "quorum") == 0;

		if (!sync && strcmp(s->sync_state, "potential") != 0)
			continue;
		if (s->write == 0)
			return false;
		waits |= sync;
		if (s->write > *lsn)
			*lsn = s->write;
	}
	return waits;
}

void
dr_lag_rpo(struct dr_lag_look *k, const struct dr_lag_samples *s,
    const struct dr_lag_reach *r)
{
	const struct dr_lag_sample *last = s->n == 0 ? NULL : &s->v[s->n - 1];
	struct dr_lag_store *out = k->out;
	uint32_t tip = r->tli;
	uint64_t acked;
	struct best b;

	if (last != NULL && last->tli > tip)
		tip = last->tli;
	if (last != NULL && last->lsn > r->to && last->tli >= r->tli)
		out->rpo_bytes = (int64_t)(last->lsn - r->to);
	else if (last != NULL && last->tli == r->tli)
		out->rpo_bytes = 0;
	b = youngest(&k->known, s, r, tip, &k->now);
	if (b.bound && last != NULL && last->tli == r->tli &&
	    acknowledged(k->primary, &acked) && acked <= r->to)
		b.age = dr_lag_sample_age(last, &k->now);
	out->rpo_us = b.age;
	out->rpo_bound = b.bound && dr_known(b.age);
	if (dr_known(b.age))
		return;
	/* An estimate: the store's clock may differ from ours. */
	if (dr_known(out->reach_time) && out->reach_time <= k->now.wall)
		out->rpo_us = k->now.wall - out->reach_time;
}
