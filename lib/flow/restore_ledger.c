#include "flow/restore_ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/walfetch.h"
#include "manifest/ledger.h"

bool
dr_newest_note(struct dr_newest *w, const char *object)
{
	const char *last = strrchr(object, '/');
	struct dr_ledger l = { .n = 0 };
	size_t at = w->n, oldest = 0;
	char *end;

	if (last == NULL || last - object < 9 ||
	    dr_ledger_name_parse(last + 1, &l) != 1)
		return false;
	for (size_t i = 1; i < w->n; i++)
		if (w->v[i].time < w->v[oldest].time)
			oldest = i;
	if (w->n == DR_NEWEST_LEDGERS) {
		if (w->v[oldest].time >= l.time)
			return true;
		at = oldest;
	} else
		w->n++;
	w->v[at].time = l.time;
	w->v[at].tli = (uint32_t)strtoul(last - 8, &end, 16);
	(void)snprintf(w->v[at].name, sizeof(w->v[at].name), "%s", last + 1);
	return true;
}

struct run {
	const struct dr_restore_wal_opts *o;
	struct dr_lines *lines;
	const char *url;
	uint32_t tli;
	uint64_t missing; /* up to here, 0: nothing is */
	uint64_t from;    /* the first of it */
};

static int
one_object(struct run *r, const char *name, int64_t time, struct dr_err *err)
{
	char *prefix = dr_wal_prefix(r->o->set, r->o->system_id, r->tli, err);
	char *object = NULL;
	uint64_t start, from, to;
	struct dr_line *line;
	enum dr_cipher cipher;
	struct dr_wal_id id;
	int rc = -1;

	if (prefix != NULL)
		object = dr_fmt(err, "%s%s", prefix, name);
	free(prefix);
	if (object == NULL)
		return -1;
	rc = 0;
	if (dr_wal_object_parse(r->o->set, object, &id, &cipher) != 1 ||
	    id.file.kind != DR_WAL_SEGMENT ||
	    !dr_wal_start(&id.file, r->lines->segsize, &start))
		goto out;
	from = start + id.from;
	to = start + (id.increment ? id.to : r->lines->segsize);
	if ((line = dr_lines_get(r->lines, r->tli, err)) == NULL) {
		rc = -1;
		goto out;
	}
	if (dr_walmap_reach(&line->map, from) < to) {
		if (r->missing == 0 || from < r->from)
			r->from = from;
		if (to > r->missing)
			r->missing = to;
	} else if (!id.increment)
		for (size_t i = 0; i < line->nseen; i++)
			if (line->seen[i].at == start &&
			    line->seen[i].time > time)
				line->seen[i].time = time;

out:
	free(object);
	return rc;
}

static int
one_ledger(struct run *r, const struct dr_ledger *l, struct dr_err *err)
{
	char a[DR_LSN_LEN], b[DR_LSN_LEN], t[DR_TIME_LEN];

	r->missing = 0;
	for (size_t i = 0; i < l->objects; i++)
		if (one_object(r, l->object[i].name, l->time, err) == -1)
			return -1;
	if (r->missing != 0)
		dr_warn("a ledger of %s in \"%s\" names WAL from %s to %s on "
		        "timeline %u, and not all of it is in the stores",
		    dr_format_time(l->time, t), r->url,
		    dr_format_lsn(r->from, a), dr_format_lsn(r->missing, b),
		    r->tli);
	return 0;
}

int
dr_newest_read(const struct dr_newest *w, const struct dr_restore_wal_opts *o,
    size_t store, struct dr_lines *lines, struct dr_err *err)
{
	struct dr_walfetch f = { .set = o->set,
		.system_id = o->system_id,
		.keys = o->keys,
		.quiet = true,
		.n = 1 };
	struct run r = { .o = o,
		.lines = lines,
		.url = dr_store_url(o->stores[store]) };
	int rc = 0;

	f.store[0] = o->stores[store];
	for (size_t i = 0; i < w->n && rc == 0; i++) {
		struct dr_ledger l = { .n = 0 };
		struct dr_err why = { 0 };

		r.tli = w->v[i].tli;
		if (dr_walfetch_ledger(&f, 0, r.tli, w->v[i].name, &l, &why) ==
		    0)
			rc = one_ledger(&r, &l, err);
		else if (why.cause == DR_ESTOP) {
			*err = why;
			rc = -1;
		} else
			dr_warn("store \"%s\": %s", r.url, why.msg);
		dr_ledger_wipe(&l);
	}
	return rc;
}
