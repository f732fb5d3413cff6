/*
 * The unfinished end of a timeline: what stores list of a segment that is
 * nowhere whole, and whether anything later is known there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/walfetch.h"
#include "manifest/ledger.h"

#define PIECES_MAX (1U << 20)
#define PAGE_ADDR  8 /* of xlp_pageaddr in a page's header */

/* An increment, or the .partial, of the segment. */
struct piece {
	struct dr_wal_id id;
	char *object;
	size_t store;
};

struct survey {
	struct dr_walfetch *f;
	const struct dr_wal_id *want;
	size_t store; /* being listed */
	struct piece *v;
	size_t n;
	struct dr_strs ledgers[DR_FETCH_STORES]; /* names, on the heap */
	bool whole;                              /* it is there after all */
	char later[DR_WAL_NAME_MAX];             /* a later one, or "" */
	char *later_object;
	size_t later_store;
	bool earlier; /* so is one before it */
};

static int
add_piece(struct survey *s, const struct dr_wal_id *id, const char *object,
    struct dr_err *err)
{
	struct piece *more;

	if (s->n == PIECES_MAX)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is in more than %u pieces", s->want->name,
		    PIECES_MAX);
	if (s->n == 0 || (s->n & (s->n - 1)) == 0) {
		more =
		    reallocarray(s->v, s->n == 0 ? 1 : 2 * s->n, sizeof(*s->v));
		if (more == NULL)
			return dr_err_sys(err, "cannot allocate memory");
		s->v = more;
	}
	s->v[s->n] = (struct piece){ .id = *id, .store = s->store };
	if ((s->v[s->n].object = dr_fmt(err, "%s", object)) == NULL)
		return -1;
	s->n++;
	return 0;
}

static int
on_object(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct survey *s = arg;
	const char *base = strrchr(obj->name, '/');
	struct dr_ledger l = { 0 };
	struct dr_wal_id id;
	enum dr_cipher c;
	uint64_t at, want;
	char *copy;

	if (base != NULL && dr_ledger_name_parse(base + 1, &l) == 1) {
		if ((copy = dr_fmt(err, "%s", base + 1)) == NULL)
			return -1;
		if (dr_strs_add(&s->ledgers[s->store], copy, err) == -1) {
			free(copy);
			return -1;
		}
		return 0;
	}
	if (!dr_wal_object_parse(s->f->set, obj->name, &id, &c) ||
	    id.system_id != s->want->system_id ||
	    id.file.tli != s->want->file.tli ||
	    (id.file.kind != DR_WAL_SEGMENT && id.file.kind != DR_WAL_PARTIAL))
		return 0;
	at = (uint64_t)id.file.log << 32 | id.file.seg;
	want = (uint64_t)s->want->file.log << 32 | s->want->file.seg;
	if (at < want) {
		s->earlier = true;
		return 0;
	}
	if (at == want) {
		if (id.file.kind == DR_WAL_SEGMENT && !id.increment) {
			s->whole = true;
			return 0;
		}
		return add_piece(s, &id, obj->name, err);
	}
	if (s->later[0] == '\0') {
		memcpy(s->later, id.name, sizeof(s->later));
		if ((s->later_object = dr_fmt(err, "%s", obj->name)) == NULL)
			return -1;
		s->later_store = s->store;
	}
	return 0;
}

static int
list(struct survey *s, struct dr_err *err)
{
	struct dr_walfetch *f = s->f;
	char *prefix;
	int rc = 0;

	if ((prefix = dr_wal_prefix(f->set, f->system_id, s->want->file.tli,
	         err)) == NULL)
		return -1;
	for (s->store = 0; s->store < f->n && rc == 0; s->store++) {
		if (f->asking != NULL)
			f->asking(f->arg, s->store);
		rc = dr_store_list(f->store[s->store], prefix, NULL, on_object,
		    s, err);
		if (rc == -1)
			dr_err_wrap(err, "store \"%s\"",
			    dr_store_url(f->store[s->store]));
	}
	free(prefix);
	return rc;
}

static void
survey_free(struct survey *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].object);
	free(s->v);
	free(s->later_object);
	for (size_t i = 0; i < DR_FETCH_STORES; i++) {
		for (size_t k = 0; k < s->ledgers[i].n; k++)
			free((void *)(uintptr_t)s->ledgers[i].v[k]);
		dr_strs_free(&s->ledgers[i]);
	}
}

/* Increments by where they begin, the longer first; then the .partial. */
static int
by_place(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->id.increment != y->id.increment)
		return x->id.increment ? -1 : 1;
	if (x->id.from != y->id.from)
		return x->id.from < y->id.from ? -1 : 1;
	if (x->id.to != y->id.to)
		return x->id.to > y->id.to ? -1 : 1;
	return x->store < y->store ? -1 : x->store > y->store;
}

/* The next of equal pieces, of several stores or ciphers, that opens. */
static int
open_piece(struct survey *s, size_t *at, struct dr_buf *out, struct dr_err *err)
{
	const struct piece *p = &s->v[*at];
	struct dr_err first = { 0 };
	bool done = false;
	size_t i;

	for (i = *at; i < s->n; i++) {
		struct piece *q = &s->v[i];
		struct dr_err why = { 0 };

		if (q->id.increment != p->id.increment ||
		    (q->id.increment &&
		        (q->id.from != p->id.from || q->id.to != p->id.to)))
			break;
		if (done)
			continue;
		if (s->f->asking != NULL)
			s->f->asking(s->f->arg, q->store);
		if (dr_walfetch_object(s->f, q->store, q->object, &q->id, out,
		        &why) == 0) {
			done = true;
			continue;
		}
		dr_err_wrap(&why, "store \"%s\"",
		    dr_store_url(s->f->store[q->store]));
		if (!s->f->quiet && s->f->n > 1)
			dr_warn("%s", why.msg);
		if (first.cause == DR_OK)
			first = why;
		if (why.cause == DR_ESTOP)
			break;
	}
	*at = i;
	if (!done)
		*err = first;
	return done ? 0 : -1;
}

/* Increments from the segment's first byte on, into OUT. */
static int
join(struct survey *s, size_t *at, struct dr_buf *out, struct dr_err *err)
{
	struct dr_buf b = { .max = out->max };
	size_t same;
	int rc = -1;

	while (*at < s->n && s->v[*at].id.increment) {
		uint32_t from = s->v[*at].id.from, to = s->v[*at].id.to;

		if (from > out->len) {
			dr_err_set(err, DR_EDATA,
			    "\"%s\" is missing from byte %zu to %u",
			    s->want->name, out->len, from);
			goto out;
		}
		if (open_piece(s, at, &b, err) == -1)
			goto out;
		same = (to < out->len ? to : out->len) - from;
		if (same > 0 && memcmp(out->data + from, b.data, same) != 0) {
			dr_err_set(err, DR_EDATA,
			    "increments of \"%s\" differ between byte %u and "
			    "%zu",
			    s->want->name, from, from + same);
			dr_err_hint(err, "two servers wrote this timeline");
			goto out;
		}
		if (dr_buf_add(out, b.data + same, b.len - same, err) == -1)
			goto out;
		dr_buf_free(&b);
	}
	rc = 0;

out:
	dr_buf_free(&b);
	return rc;
}

/* How many pages from the first on are this segment's. */
static size_t
pages(const struct dr_buf *b, const struct dr_wal_page *w)
{
	size_t n, at;
	uint64_t addr;

	for (n = 0; (at = n * w->blcksz) + PAGE_ADDR + 8 <= b->len; n++) {
		memcpy(&addr, b->data + at + PAGE_ADDR, sizeof(addr));
		if (memcmp(b->data + at, b->data, 2) != 0 ||
		    addr != w->addr + at)
			break;
	}
	return n;
}

/*
 * Both a .partial, PARTIAL, and increments, OUT: which goes further?  A
 * server that is promoted archives its last segment as a .partial, whole,
 * with nothing or leftovers of older segments behind its end.
 */
static int
choose(const struct dr_wal_id *id, struct dr_buf *out, struct dr_buf *partial,
    struct dr_err *err)
{
	size_t n = out->len < partial->len ? out->len : partial->len, last;
	struct dr_wal_page w;
	struct dr_buf tmp;

	if (dr_wal_page(partial->data, partial->len, &w, err) == -1)
		return -1;
	if (n == out->len && memcmp(out->data, partial->data, n) == 0) {
		tmp = *out;
		*out = *partial;
		*partial = tmp;
		return 0;
	}
	if ((last = pages(partial, &w)) > 0)
		last = (last - 1) * w.blcksz;
	if (memcmp(out->data, partial->data, n < last ? n : last) == 0 &&
	    out->len > last)
		return 0;
	dr_err_set(err, DR_EDATA,
	    "\"%s\" differs between its increments and its .partial", id->name);
	return dr_err_hint(err, "two servers wrote this timeline");
}

/* What there is of the segment; empty when there is nothing. */
static int
assemble(struct survey *s, struct dr_buf *out, uint32_t *segsize,
    struct dr_err *err)
{
	struct dr_buf partial = { .max = out->max };
	struct dr_wal_page w;
	size_t at = 0;
	int rc = -1;

	if (s->n == 0)
		return 0;
	qsort(s->v, s->n, sizeof(*s->v), by_place);
	if (join(s, &at, out, err) == -1)
		goto out;
	if (at < s->n && open_piece(s, &at, &partial, err) == -1)
		goto out;
	if (out->len == 0) {
		*out = partial;
		partial = (struct dr_buf){ .max = 0 };
	} else if (partial.len > 0 && choose(s->want, out, &partial, err) == -1)
		goto out;
	if (dr_wal_page(out->data, out->len, &w, err) == -1 ||
	    dr_wal_check(&s->want->file, &w, s->f->system_id, NULL, err) == -1)
		goto out;
	*segsize = w.segsize;
	if (out->len > w.segsize) {
		dr_err_set(err, DR_EDATA,
		    "\"%s\" has %zu bytes, more than a segment", s->want->name,
		    out->len);
		goto out;
	}
	rc = 0;

out:
	dr_buf_free(&partial);
	return rc;
}

/*
 * Did the timeline only begin after this segment?  By its history, where
 * nothing of it lies before.
 */
static bool
before_timeline(struct survey *s)
{
	struct dr_history h = { 0 };
	struct dr_buf b = { .max = 1U << 30 };
	struct dr_err ignored = { 0 };
	struct dr_wal_page w;
	struct dr_wal_id id;
	enum dr_cipher c;
	uint64_t start;
	bool before = false;
	char name[DR_WAL_NAME_MAX];

	if (s->earlier || s->want->file.tli == 1)
		return false;
	(void)snprintf(name, sizeof(name), "%08X.history", s->want->file.tli);
	if (dr_walfetch_id(s->f, name, &id, &ignored) == -1 ||
	    dr_walfetch_whole(s->f, &id, &b, &ignored) != 1 ||
	    dr_history_parse(b.data, b.len, s->want->file.tli, &h, &ignored) ==
	        -1)
		goto out;
	dr_buf_free(&b);
	/* The size of segments is in the one that is there. */
	if (dr_wal_object_parse(s->f->set, s->later_object, &id, &c) == 1 &&
	    dr_walfetch_object(s->f, s->later_store, s->later_object, &id, &b,
	        &ignored) == 0 &&
	    dr_wal_page(b.data, b.len, &w, &ignored) == 0 &&
	    dr_wal_start(&s->want->file, w.segsize, &start))
		before = start + w.segsize <= h.v[h.n - 1].end;

out:
	dr_buf_free(&b);
	dr_history_free(&h);
	return before;
}

static int
hole(const struct survey *s, const char *later, struct dr_err *err)
{
	dr_err_set(err, DR_EDATA,
	    "\"%s\" is missing, and \"%s\" of its timeline exists",
	    s->want->name, later);
	return dr_err_hint(err,
	    "another store may hold it; dr-verify names what is missing");
}

/* Do ledgers know of more than the listings? */
static int
ask_ledgers(struct survey *s, size_t reach, struct dr_err *err)
{
	char what[DR_WAL_NAME_MAX];
	int rc = 0;

	for (size_t i = 0; i < s->f->n && rc == 0; i++) {
		if (s->f->asking != NULL)
			s->f->asking(s->f->arg, i);
		rc = dr_walfetch_ledgers(s->f, i, s->want, &s->ledgers[i],
		    (uint32_t)reach, what, err);
		if (rc == -1)
			dr_err_wrap(err, "store \"%s\"",
			    dr_store_url(s->f->store[i]));
	}
	if (rc <= 0)
		return rc;
	if (strcmp(what, s->want->name) != 0)
		return hole(s, what, err);
	dr_err_set(err, DR_EDATA,
	    "\"%s\" is missing from byte %zu on, and a ledger names more",
	    s->want->name, reach);
	return dr_err_hint(err,
	    "another store may hold it; dr-verify names what is missing");
}

int
dr_walfetch_tail(struct dr_walfetch *f, const struct dr_wal_id *want,
    struct dr_buf *out, bool *unfinished, bool *again, struct dr_err *err)
{
	struct survey s = { .f = f, .want = want };
	uint32_t segsize = 0;
	int rc = -1;

	if (list(&s, err) == -1)
		goto out;
	if ((*again = s.whole) == true) {
		rc = 0;
		goto out;
	}
	if (assemble(&s, out, &segsize, err) == -1)
		goto out;
	if (segsize != 0 && out->len == segsize) {
		rc = 1;
		goto out;
	}
	if (s.later[0] != '\0') {
		if (segsize == 0 && before_timeline(&s))
			rc = 0;
		else
			hole(&s, s.later, err);
		goto out;
	}
	if (ask_ledgers(&s, out->len, err) == -1)
		goto out;
	if (segsize == 0) {
		rc = 0;
		goto out;
	}
	if (dr_buf_room(out, segsize - out->len, err) == -1)
		goto out;
	memset(out->data + out->len, 0, segsize - out->len + 1);
	out->len = segsize;
	*unfinished = true;
	rc = 1;

out:
	if (rc != 1)
		dr_buf_free(out);
	survey_free(&s);
	return rc;
}
