#include "flow/walfetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/through.h"

#define HISTORY_MAX (1U << 20)

int
dr_walfetch_open(struct dr_walfetch *f, const char *const *urls, size_t n,
    struct dr_err *err)
{
	if (n > DR_FETCH_STORES)
		return dr_err_set(err, DR_EUSAGE, "more than %d stores",
		    DR_FETCH_STORES);
	for (; f->n < n; f->n++)
		if ((f->store[f->n] = dr_store_open(urls[f->n], f->how, err)) ==
		    NULL)
			return -1;
	return 0;
}

void
dr_walfetch_close(struct dr_walfetch *f)
{
	while (f->n > 0)
		dr_store_free(f->store[--f->n]);
}

int
dr_walfetch_id(const struct dr_walfetch *f, const char *name,
    struct dr_wal_id *id, struct dr_err *err)
{
	memset(id, 0, sizeof(*id));
	id->set = f->set;
	id->system_id = f->system_id;
	if (dr_wal_name(name, &id->file, err) == -1)
		return -1;
	(void)snprintf(id->name, sizeof(id->name), "%s", name);
	return 0;
}

/* What BLOB holds: WAL that is signed for ID, a segment's by its first page. */
static int
open_blob(const struct dr_walfetch *f, struct dr_blob *blob,
    struct dr_wal_id *id, struct dr_buf *out, struct dr_err *err)
{
	struct dr_wal_page page;
	bool first;
	int rc = 0;

	if (dr_wal_open(blob, f->ids, f->keys, id, out, NULL, err) == -1)
		return -1;
	first = id->file.kind == DR_WAL_PARTIAL ||
	        (id->file.kind == DR_WAL_SEGMENT &&
	            (!id->increment || (id->from == 0 && out->len >= 40)));
	if (!first)
		return 0;
	/* Who signed it saw to that, but nothing else looks before replay. */
	if (dr_wal_page(out->data, out->len, &page, err) == -1 ||
	    dr_wal_check(&id->file, &page, f->system_id, NULL, err) == -1)
		rc = -1;
	else if (out->len > page.segsize ||
	         (id->file.kind == DR_WAL_SEGMENT && !id->increment &&
	             out->len != page.segsize))
		rc = dr_err_set(err, DR_EDATA,
		    "it has %zu bytes, not the %u of a segment", out->len,
		    page.segsize);
	if (rc == -1) {
		dr_err_wrap(err, "\"%s\"", id->name);
		dr_buf_free(out);
	}
	return rc;
}

struct beneath {
	const struct dr_walfetch *f;
	struct dr_wal_id *id;
	struct dr_buf *out;
};

static int
open_version(void *arg, struct dr_blob *blob, struct dr_err *err)
{
	struct beneath *b = arg;
	struct dr_wal_id id = *b->id;
	struct dr_err why = { 0 };

	if (open_blob(b->f, blob, &id, b->out, &why) == 0) {
		*b->id = id;
		return 1;
	}
	dr_buf_free(b->out);
	if (why.cause == DR_EDATA)
		return 0;
	*err = why;
	return -1;
}

/*
 * The same in what the store keeps beneath an overwrite or a deletion: 1, 0
 * there is none that is good, -1.
 */
static int
see_through(const struct dr_walfetch *f, size_t store, const char *object,
    struct dr_wal_id *id, struct dr_buf *out, struct dr_err *err)
{
	struct beneath b = { f, id, out };
	char note[DR_NOTE_MAX];
	int rc;

	/* Without keys nothing tells what was stored first. */
	if (f->keys == NULL)
		return 0;
	rc = dr_through_each(f->store[store], object, UINT64_MAX, open_version,
	    &b, note, err);
	if (rc == 1 && !f->quiet && note[0] != '\0')
		dr_warn("store \"%s\": %s", dr_store_url(f->store[store]),
		    note);
	return rc;
}

int
dr_walfetch_object(const struct dr_walfetch *f, size_t store,
    const char *object, struct dr_wal_id *id, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_blob *blob = dr_store_get(f->store[store], object, err);
	struct dr_err why = { 0 };
	int rc = -1;

	if (blob != NULL)
		rc = open_blob(f, blob, id, out, err);
	dr_blob_free(blob);
	if (rc == 0 || err->cause != DR_EDATA)
		return rc;
	dr_buf_free(out);
	if ((rc = see_through(f, store, object, id, out, &why)) == 1) {
		dr_err_clear(err);
		return 0;
	}
	if (rc == -1)
		*err = why;
	return -1;
}

/* 1, 0 absent, -1. */
static int
from_store(struct dr_walfetch *f, size_t i, struct dr_wal_id *id,
    struct dr_buf *out, struct dr_err *err)
{
	static const enum dr_cipher ciphers[] = { DR_CIPHER_AGE,
		DR_CIPHER_AES };
	struct dr_object obj;
	char *object;
	int rc = 0;

	if (f->asking != NULL)
		f->asking(f->arg, i);
	if (f->skip[i])
		return dr_err_set(err, DR_ERETRY, "it does not answer");
	for (size_t c = 0; c < sizeof(ciphers) / sizeof(*ciphers); c++) {
		struct dr_err why = { 0 };

		if ((object = dr_wal_object_name(id, ciphers[c], err)) == NULL)
			return -1;
		rc = dr_store_stat(f->store[i], object, &obj, &why);
		if (rc == 1 &&
		    dr_walfetch_object(f, i, object, id, out, &why) == -1)
			rc = -1;
		else if (rc == 0)
			rc = see_through(f, i, object, id, out, &why);
		free(object);
		if (rc == 1) {
			dr_err_clear(err);
			return 1;
		}
		if (rc == -1) {
			if (err->cause == DR_OK)
				*err = why;
			if (why.cause == DR_ESTOP)
				return -1;
		}
	}
	return err->cause == DR_OK ? 0 : -1;
}

/* That store failed with WHY: say so; the first is kept. */
static void
note(const struct dr_walfetch *f, size_t i, const struct dr_err *why,
    struct dr_err *first)
{
	if (!f->quiet && f->n > 1)
		dr_warn("store \"%s\": %s", dr_store_url(f->store[i]),
		    why->msg);
	if (first->cause != DR_OK)
		return;
	*first = *why;
	dr_err_wrap(first, "store \"%s\"", dr_store_url(f->store[i]));
}

/* What another store holds under the name of a history, too. */
static int
agree(const struct dr_walfetch *f, size_t i, const struct dr_wal_id *id,
    const struct dr_buf *a, const struct dr_buf *b, struct dr_err *err)
{
	if (a->len == b->len && memcmp(a->data, b->data, a->len) == 0)
		return 0;
	dr_err_set(err, DR_EDATA,
	    "\"%s\" in store \"%s\" is another than in a store before it",
	    id->name, dr_store_url(f->store[i]));
	return dr_err_hint(err,
	    "two servers chose the same timeline: leave out the store whose "
	    "timeline you do not want");
}

int
dr_walfetch_whole(struct dr_walfetch *f, struct dr_wal_id *id,
    struct dr_buf *out, struct dr_err *err)
{
	bool all = id->file.kind == DR_WAL_HISTORY, found = false;
	struct dr_buf more = { .max = out->max };
	struct dr_err first = { 0 };
	int rc = 0;

	for (size_t i = 0; i < f->n && (all || !found); i++) {
		struct dr_err why = { 0 };

		rc = from_store(f, i, id, found ? &more : out, &why);
		if (rc == -1) {
			note(f, i, &why, &first);
			if (why.cause == DR_ESTOP)
				break;
		} else if (rc == 1 && found) {
			rc = agree(f, i, id, out, &more, err);
			dr_buf_free(&more);
			if (rc == -1)
				return -1;
		} else if (rc == 1)
			found = true;
	}
	if (first.cause == DR_ESTOP || (!found && first.cause != DR_OK)) {
		if (err->cause == DR_OK)
			*err = first;
		return -1;
	}
	return found ? 1 : 0;
}

int
dr_walfetch(struct dr_walfetch *f, const char *name, struct dr_buf *out,
    bool *unfinished, struct dr_err *err)
{
	struct dr_wal_id id;
	bool again = false;
	int rc;

	*unfinished = false;
	if (dr_walfetch_id(f, name, &id, err) == -1)
		return -1;
	for (int i = 0; i < 3; i++) {
		if ((rc = dr_walfetch_whole(f, &id, out, err)) != 0 ||
		    id.file.kind != DR_WAL_SEGMENT)
			return rc;
		/* It may come between the question and the listing. */
		rc = dr_walfetch_tail(f, &id, out, unfinished, &again, err);
		if (rc != 0 || !again)
			return rc;
	}
	return dr_err_set(err, DR_EDATA,
	    "\"%s\" is listed, and yet absent when asked for", name);
}

struct systems {
	uint64_t v[2];
	size_t n;
};

static int
add_system(void *arg, const char *name, struct dr_err *err)
{
	struct systems *s = arg;
	struct dr_err ignored = { 0 };
	uint64_t v = 0;

	(void)err;
	(void)ignored;
	if (strspn(name, "0123456789") != strlen(name) || strlen(name) > 20)
		return 0;
	v = strtoull(name, NULL, 10);
	if (v == 0)
		return 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i] == v)
			return 0;
	if (s->n < 2)
		s->v[s->n++] = v;
	return 0;
}

int
dr_walfetch_system(struct dr_walfetch *f, uint64_t *system_id,
    struct dr_err *err)
{
	struct systems s = { .n = 0 };
	struct dr_err first = { 0 };
	char *prefix;

	if ((prefix = dr_fmt(err, "%s/wal/", f->set)) == NULL)
		return -1;
	for (size_t i = 0; i < f->n; i++) {
		struct dr_err why = { 0 };

		if (f->asking != NULL)
			f->asking(f->arg, i);
		if (f->skip[i])
			dr_err_set(&why, DR_ERETRY, "it does not answer");
		else if (dr_store_dirs(f->store[i], prefix, add_system, &s,
		             &why) == 0)
			continue;
		note(f, i, &why, &first);
	}
	free(prefix);
	if (s.n == 1) {
		*system_id = s.v[0];
		return 1;
	}
	if (s.n == 0 && first.cause == DR_OK)
		return 0;
	if (s.n == 0) {
		*err = first;
		return -1;
	}
	dr_err_set(err, DR_EUSAGE,
	    "set \"%s\" holds the WAL of several "
	    "clusters",
	    f->set);
	return dr_err_hint(err,
	    "say which with --system-id, or run in its data directory");
}

bool
dr_walfetch_known(struct dr_walfetch *f)
{
	struct dr_err ignored = { 0 };
	struct systems s;
	char *prefix;
	bool known = false;

	if ((prefix = dr_wal_prefix(f->set, f->system_id, 0, &ignored)) == NULL)
		return false;
	for (size_t i = 0; i < f->n && !known; i++) {
		s.n = 0;
		known = !f->skip[i] &&
		        dr_store_dirs(f->store[i], prefix, add_system, &s,
		            &ignored) == 0 &&
		        s.n > 0;
	}
	free(prefix);
	return known;
}
