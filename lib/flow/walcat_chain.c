#include <stdlib.h>
#include <string.h>

#include "flow/walcat_int.h"

static int
by_number(const void *a, const void *b)
{
	const struct dr_wal_link *x = a, *y = b;
	int c = strcmp(x->signer, y->signer);

	if (c != 0)
		return c;
	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return strcmp(x->name, y->name);
}

static bool
follows(const struct dr_wal_link *l, const struct dr_wal_link *before)
{
	const char *slash = strrchr(before->name, '/');

	return l->prev_name != NULL && slash != NULL &&
	       strcmp(l->prev_name, slash + 1) == 0 &&
	       strcmp(l->prev_sha256, before->sha256) == 0;
}

/* What comes before V[I]: none but V[I] itself must be of its number. */
static int
check_one(struct dr_walcat_run *r, const struct dr_wal_link *v, size_t i,
    struct dr_err *err)
{
	unsigned long long gone, last;
	size_t before = i;

	while (before > 0 && v[before - 1].n == v[i].n)
		before--;
	if (before < i)
		return dr_walcat_fault(r, err,
		    "\"%s\" and \"%s\" have the same number", v[i - 1].name,
		    v[i].name);
	if (i == 0)
		return 0;
	gone = v[i - 1].n + 1;
	last = v[i].n - 1;
	if (gone == last)
		return dr_walcat_fault(r, err, "ledger %llu of %s is missing",
		    gone, v[i].signer);
	if (gone < last)
		return dr_walcat_fault(r, err,
		    "ledgers %llu to %llu of %s are missing", gone, last,
		    v[i].signer);
	for (; before > 0 && v[before - 1].n == v[i - 1].n; before--)
		if (follows(&v[i], &v[before - 1]))
			return 0;
	return dr_walcat_fault(r, err, "\"%s\" follows another than \"%s\"",
	    v[i].name, v[i - 1].name);
}

/*
 * One signer's.  The first that is there may follow one that was removed with
 * the WAL it names.
 */
static int
check(struct dr_walcat_run *r, const struct dr_wal_link *v, size_t n,
    struct dr_err *err)
{
	for (size_t i = 0; i < n; i++)
		if (check_one(r, v, i, err) == -1)
			return -1;
	return 0;
}

int
dr_walcat_chain(struct dr_walcat_run *r, struct dr_err *err)
{
	struct dr_walcat *c = r->out;

	if (c->links > 1)
		qsort(c->link, c->links, sizeof(*c->link), by_number);
	for (size_t i = 0, end; i < c->links; i = end) {
		for (end = i + 1;
		     end < c->links &&
		     strcmp(c->link[end].signer, c->link[i].signer) == 0;)
			end++;
		if (check(r, c->link + i, end - i, err) == -1)
			return -1;
	}
	return 0;
}

/* --- maps ------------------------------------------------------------------------ */

static struct dr_wal_timeline *
timeline(struct dr_walcat *c, uint32_t tli, struct dr_err *err)
{
	struct dr_wal_timeline *t = c->timeline;

	/* Entries come timeline by timeline. */
	if (c->timelines > 0 && t[c->timelines - 1].tli == tli)
		return &t[c->timelines - 1];
	t = reallocarray(t, c->timelines + 1, sizeof(*t));
	if (t == NULL) {
		dr_err_sys(err, "cannot list the timelines");
		return NULL;
	}
	c->timeline = t;
	t += c->timelines++;
	memset(t, 0, sizeof(*t));
	t->tli = tli;
	t->history = tli == 1;
	t->first = UINT64_MAX;
	return t;
}

int
dr_walcat_maps(struct dr_walcat *c, struct dr_err *err)
{
	for (size_t i = 0; i < c->entries; i++) {
		const struct dr_wal_entry *e = &c->entry[i];
		struct dr_wal_timeline *t = timeline(c, e->tli, err);
		uint64_t from, to;

		if (t == NULL)
			return -1;
		if (e->kind == DR_WAL_HISTORY)
			t->history |= e->listed;
		if (e->kind != DR_WAL_SEGMENT)
			continue;
		dr_wal_entry_range(c, e, &from, &to);
		if (e->listed && dr_walmap_add(&t->map, from, to, err) == -1)
			return -1;
		if (e->vouched &&
		    dr_walmap_add(&t->vouched, from, to, err) == -1)
			return -1;
		if (e->listed && from < t->first)
			t->first = from;
	}
	return 0;
}

const struct dr_wal_timeline *
dr_walcat_timeline(const struct dr_walcat *c, uint32_t tli)
{
	for (size_t i = 0; i < c->timelines; i++)
		if (c->timeline[i].tli == tli)
			return &c->timeline[i];
	return NULL;
}

uint64_t
dr_walcat_reach(const struct dr_walcat *c, uint32_t tli, uint64_t lsn)
{
	const struct dr_wal_timeline *t = dr_walcat_timeline(c, tli);

	return t == NULL ? lsn : dr_walmap_reach(&t->map, lsn);
}
