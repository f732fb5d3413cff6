#include "flow/walwindow.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "manifest/manifest.h"

#define SEGSIZE (16U << 20) /* where the manifest does not say */

void
dr_windows_free(struct dr_windows *w)
{
	for (size_t i = 0; i < w->n; i++)
		dr_walcat_free(&w->cat[i]);
	free(w->cat);
	w->cat = NULL;
	w->n = 0;
}

/* A segment size that does not fit its names would locate nothing. */
static const struct dr_walcat *
catalogue(struct dr_windows *w, uint64_t system_id, uint32_t segsize,
    struct dr_err *err)
{
	struct dr_walcat *more;

	for (size_t i = 0; i < w->n; i++)
		if (w->cat[i].system_id == system_id &&
		    w->cat[i].segsize == segsize)
			return &w->cat[i];
	if ((more = reallocarray(w->cat, w->n + 1, sizeof(*more))) == NULL) {
		dr_err_sys(err, "cannot list the WAL");
		return NULL;
	}
	w->cat = more;
	if (dr_walcat_read(w->store, w->set, system_id, segsize, w->keys, NULL,
	        NULL, &more[w->n], err) == -1)
		return NULL;
	return &w->cat[w->n++];
}

static bool
lsn_of(const json_t *m, const char *field, uint64_t *lsn)
{
	const char *s = dr_manifest_str(m, field);
	struct dr_err ignored = { 0 };

	return s != NULL && dr_parse_lsn(s, lsn, &ignored) == 0;
}

/*
 * Can a server that replayed timeline W->tli up to W->to have gone over to T?
 * Where T forked off stands in sealed objects; it was in its first segment.
 */
static bool
follows(const struct dr_walcat *c, const struct dr_wal_timeline *t,
    const struct dr_window *w, uint64_t lsn)
{
	uint64_t begin = t->map.n == 0 ? UINT64_MAX : t->map.v[0].from;

	return t->tli > w->tli && t->history && begin <= w->to &&
	       lsn < begin + c->segsize;
}

/* When the WAL up to W->to was there. */
static void
date(const struct dr_walcat *c, struct dr_window *w)
{
	for (size_t i = 0; i < c->entries; i++) {
		const struct dr_wal_entry *e = &c->entry[i];
		uint64_t from, to;

		if (!e->listed || e->tli != w->tli || e->kind != DR_WAL_SEGMENT)
			continue;
		dr_wal_entry_range(c, e, &from, &to);
		if (to != w->to)
			continue;
		if (w->time == 0 || e->time < w->time) {
			w->time = e->time;
			w->by_store = !e->vouched;
		}
	}
}

static void
find_gaps(const struct dr_wal_timeline *t, uint64_t lsn, struct dr_window *w)
{
	for (size_t i = 0; i < t->map.n && w->gaps < DR_WINDOW_GAPS; i++) {
		uint64_t from = i == 0 ? lsn : t->map.v[i - 1].to;

		if (from < lsn)
			from = lsn;
		if (t->map.v[i].from <= from)
			continue;
		w->gap[w->gaps].tli = t->tli;
		w->gap[w->gaps].from = from;
		w->gap[w->gaps++].to = t->map.v[i].from;
	}
}

int
dr_window_of(struct dr_windows *windows, const json_t *m, struct dr_window *w,
    struct dr_err *err)
{
	int64_t tli = dr_manifest_int(m, "pg.timeline", 0);
	int64_t size = dr_manifest_int(m, "pg.wal_segment_size", SEGSIZE);
	const char *id = dr_manifest_str(m, "pg.system_id"), *stopped;
	const struct dr_walcat *c;
	const struct dr_wal_timeline *t;
	uint64_t start, stop, need;
	struct dr_err ignored = { 0 };

	memset(w, 0, sizeof(*w));
	if (id == NULL || tli < 1 || tli > UINT32_MAX || size < 1 ||
	    !dr_wal_segsize_ok((uint64_t)size) ||
	    !lsn_of(m, "pg.start_lsn", &start) ||
	    !lsn_of(m, "pg.stop_lsn", &stop))
		return 0;
	c = catalogue(windows, strtoull(id, NULL, 10), (uint32_t)size, err);
	if (c == NULL)
		return -1;
	w->tli = (uint32_t)tli;
	need = dr_manifest_bool(m, "pg.wal", false) ? stop : start;
	w->to = dr_walcat_reach(c, w->tli, need);
	w->whole = w->to >= stop;
	if (w->whole && (t = dr_walcat_timeline(c, w->tli)) != NULL)
		find_gaps(t, w->to, w);
	for (size_t i = 0; w->whole && i < c->timelines; i++) {
		t = &c->timeline[i];
		if (!follows(c, t, w, stop))
			continue;
		w->tli = t->tli;
		w->to = dr_walmap_reach(&t->map, t->map.v[0].from);
	}
	for (size_t i = 0; i < c->timelines; i++) {
		t = &c->timeline[i];
		if (t->tli > (uint32_t)tli && !t->history && t->map.n > 0 &&
		    t->map.v[t->map.n - 1].to > stop)
			w->lost = t->tli;
	}
	w->wal = w->whole && (w->to > stop || w->tli != (uint32_t)tli);
	if (w->wal)
		date(c, w);
	stopped = dr_manifest_str(m, "stopped");
	if (w->whole && !w->wal && stopped != NULL)
		(void)dr_parse_time(stopped, &w->time, &ignored);
	return 1;
}
