/*
 * The backups of a set: one listing of snap/, and the manifests that are new.
 * A manifest is immutable: what was read under a name, a size and a time is
 * not read again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "flow/lag_store_int.h"

#define PAGE_IDS 250              /* so many fill a page of a listing */
#define LATE_US  (2 * DR_LAG_DAY) /* a backup may take so long to commit */

struct body {
	char name[128];
	uint64_t size;
};

struct snap {
	struct dr_lag_look *k;
	const char *prefix, *after;
	struct body *body;
	size_t bodies;
};

/* --- the listing --------------------------------------------------------------- */

static void *
grow(void *v, size_t n, size_t size)
{
	if ((n & (n - 1)) != 0)
		return v;
	return reallocarray(v, n == 0 ? 1 : 2 * n, size);
}

/* Entries are in order of time; a handful comes after the one listed last. */
static struct dr_lag_backup *
find(struct dr_lag_known *known, const char *id)
{
	for (size_t i = known->backups; i-- > 0;)
		if (strcmp(known->backup[i].id, id) == 0)
			return &known->backup[i];
	return NULL;
}

static int
manifest(struct snap *s, const char *id, const struct dr_object *obj,
    struct dr_err *err)
{
	struct dr_lag_known *known = &s->k->known;
	struct dr_lag_backup *b = find(known, id), *more;

	if (b == NULL) {
		more = reallocarray(known->backup, known->backups + 1,
		    sizeof(*more));
		if (more == NULL)
			return dr_err_sys(err, "cannot list the backups");
		known->backup = more;
		b = &more[known->backups++];
		memset(b, 0, sizeof(*b));
		memcpy(b->id, id, sizeof(b->id));
		b->fresh = true;
	}
	b->listed = true;
	if (b->size != obj->size || b->mtime != obj->mtime)
		b->fresh = true;
	b->size = obj->size;
	b->mtime = obj->mtime;
	return 0;
}

static int
object(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct snap *s = arg;
	const char *name = obj->name + strlen(s->prefix), *rest;
	struct dr_lag_backup *b;
	struct body *more;
	char id[DR_ID_LEN] = "";

	if (dr_body_name_ok(s->k->set, obj->name)) {
		more = grow(s->body, s->bodies, sizeof(*more));
		if (more == NULL)
			return dr_err_sys(err, "cannot list the backups");
		s->body = more;
		(void)snprintf(more[s->bodies].name, sizeof(more->name), "%s",
		    name);
		more[s->bodies++].size = obj->size;
		return 0;
	}
	if (strlen(name) < DR_ID_LEN)
		return 0;
	memcpy(id, name, DR_ID_LEN - 1);
	rest = name + DR_ID_LEN - 1;
	if (!dr_id_ok(id))
		return 0;
	if (strcmp(rest, ".json") == 0)
		return manifest(s, id, obj, err);
	if (strcmp(rest, ".pruned.json") == 0 &&
	    (b = find(&s->k->known, id)) != NULL)
		b->tomb = true;
	return 0;
}

/* --- reading ------------------------------------------------------------------- */

static int64_t
time_of(const json_t *m, const char *key)
{
	const char *text = dr_manifest_str(m, key);
	struct dr_err none = { 0 };
	int64_t us;

	return text != NULL && dr_parse_time(text, &us, &none) == 0
	           ? us
	           : DR_UNKNOWN;
}

static uint64_t
lsn_of(const json_t *m, const char *key)
{
	const char *text = dr_manifest_str(m, key);
	struct dr_err none = { 0 };
	uint64_t lsn;

	return text != NULL && dr_parse_lsn(text, &lsn, &none) == 0 ? lsn : 0;
}

static void
fill(struct dr_lag_backup *to, const json_t *m)
{
	const char *kind = dr_manifest_str(m, "kind");
	const char *parent = dr_manifest_str(m, "parent.id");
	const char *object = dr_manifest_str(m, "object.name");
	const char *id = dr_manifest_str(m, "pg.system_id");
	int64_t segsize = dr_manifest_int(m, "pg.wal_segment_size", 16 << 20);
	const char *slash = object == NULL ? NULL : strrchr(object, '/');

	to->trusted = true;
	to->complete = dr_manifest_bool(m, "complete", true);
	to->pg = kind != NULL && strcmp(kind, "pg") == 0;
	to->wal = dr_manifest_bool(m, "pg.wal", false);
	(void)snprintf(to->parent, sizeof(to->parent), "%s",
	    parent == NULL ? "" : parent);
	(void)snprintf(to->object, sizeof(to->object), "%s",
	    slash == NULL ? "" : slash + 1);
	to->started = time_of(m, "started");
	to->stopped = time_of(m, "stopped");
	to->committed = time_of(m, "committed");
	to->stored = dr_manifest_int(m, "object.size", DR_UNKNOWN);
	to->raw = dr_manifest_int(m, "raw_size", DR_UNKNOWN);
	to->system_id = id == NULL ? 0 : strtoull(id, NULL, 10);
	to->start_lsn = lsn_of(m, "pg.start_lsn");
	to->stop_lsn = lsn_of(m, "pg.stop_lsn");
	to->tli = (uint32_t)dr_manifest_int(m, "pg.timeline", 0);
	to->segsize = dr_wal_segsize_ok((uint64_t)segsize) ? (uint32_t)segsize
	                                                   : 16U << 20;
}

static int
read_one(struct dr_lag_look *k, struct dr_lag_backup *b, struct dr_err *err)
{
	const struct dr_catalogue_opts co = { .keys = k->o->keys,
		.quiet = true };
	struct dr_backup full = { .id = b->id };

	if (dr_catalogue_one(k->store, k->set, &co, b->tomb, &full, err) == -1)
		return -1;
	b->trusted = false;
	b->pruned = full.pruned;
	b->started = dr_backup_started(&full);
	if (full.manifest != NULL)
		fill(b, full.manifest);
	else if (full.bad.cause != DR_EDATA)
		b->mtime = DR_UNKNOWN; /* to be tried again */
	json_decref(full.manifest);
	return 0;
}

/* --- what it comes to -------------------------------------------------------------- */

static int
by_body(const void *a, const void *b)
{
	return strcmp(((const struct body *)a)->name,
	    ((const struct body *)b)->name);
}

static int
by_start(const void *a, const void *b)
{
	const struct dr_lag_backup *x = a, *y = b;

	if (x->started != y->started)
		return x->started < y->started ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void
bodies(const struct snap *s)
{
	struct dr_lag_known *known = &s->k->known;

	for (size_t i = 0; i < known->backups; i++) {
		struct dr_lag_backup *b = &known->backup[i];
		struct body key, *is;

		/* Not listed this time. */
		if (s->after != NULL &&
		    strcmp(b->object, s->after + strlen(s->prefix)) <= 0)
			continue;
		(void)snprintf(key.name, sizeof(key.name), "%s", b->object);
		is = s->bodies == 0 ? NULL
		                    : bsearch(&key, s->body, s->bodies,
		                          sizeof(key), by_body);
		b->body = is != NULL && dr_known(b->stored) &&
		          is->size == (uint64_t)b->stored;
	}
}

/* Manifests stay when backups are pruned: one that goes was taken away. */
static void
vanished(const struct snap *s)
{
	struct dr_lag_known *known = &s->k->known;
	size_t n = 0, gone = 0;
	char first[DR_ID_LEN] = "";

	for (size_t i = 0; i < known->backups; i++) {
		const struct dr_lag_backup *b = &known->backup[i];

		if (b->listed ||
		    (s->after != NULL &&
		        strcmp(b->id, s->after + strlen(s->prefix)) <= 0)) {
			known->backup[n++] = *b;
			continue;
		}
		if (gone++ == 0)
			memcpy(first, b->id, sizeof(first));
	}
	known->backups = n;
	if (gone == 0)
		return;
	dr_lag_lost(s->k, "%zu backup%s that %s there %s gone, %s the first",
	    gone, gone == 1 ? "" : "s", gone == 1 ? "was" : "were",
	    gone == 1 ? "is" : "are", first);
	/* Who took them may have taken WAL. */
	dr_lag_lines_free(known);
	known->walked = 0;
}

static int
tell(struct dr_lag_look *k, struct dr_err *err)
{
	const struct dr_lag_known *known = &k->known;
	size_t bad = 0, bare = 0, first = 0;

	for (size_t i = 0; i < known->backups; i++) {
		const struct dr_lag_backup *b = &known->backup[i];

		if (!b->trusted)
			bad++;
		else if (!b->pruned && !b->body && bare++ == 0)
			first = i;
	}
	if (bad > 0 &&
	    dr_lag_tell(k, err,
	        "%zu manifest%s damaged, or not signed by a key that is "
	        "trusted",
	        bad, bad == 1 ? " is" : "s are") == -1)
		return -1;
	if (bare == 0)
		return 0;
	return dr_lag_tell(k, err,
	    "of %zu backup%s, %s the first, the body is missing or of another "
	    "size",
	    bare, bare == 1 ? "" : "s", known->backup[first].id);
}

/* From where to list: all of it where that is one page, and once a day. */
static char *
list_after(const struct dr_lag_look *k, const char *prefix, struct dr_err *err)
{
	const struct dr_lag_known *known = &k->known;
	char stamp[DR_TIME_LEN];

	if (known->backups <= PAGE_IDS || known->listed > k->now.wall ||
	    k->now.wall - known->listed > DR_LAG_DAY)
		return NULL;
	dr_format_stamp(known->backup[known->backups - 1].started - LATE_US,
	    stamp);
	return dr_fmt(err, "%s%s", prefix, stamp);
}

int
dr_lag_snap(struct dr_lag_look *k, struct dr_err *err)
{
	struct dr_lag_known *known = &k->known;
	char *prefix = dr_fmt(err, "%s/snap/", k->set), *after = NULL;
	struct snap s = { .k = k, .prefix = prefix };
	int rc = -1;

	if (prefix == NULL)
		return -1;
	s.after = after = list_after(k, prefix, err);
	if (err->cause != DR_OK ||
	    dr_store_list(k->store, prefix, after, object, &s, err) == -1)
		goto out;
	for (size_t i = 0; i < known->backups; i++) {
		struct dr_lag_backup *b = &known->backup[i];

		if (b->listed && (b->fresh || (b->tomb && !b->pruned)) &&
		    read_one(k, b, err) == -1)
			goto out;
	}
	bodies(&s);
	vanished(&s);
	if (known->backups > 1)
		qsort(known->backup, known->backups, sizeof(*known->backup),
		    by_start);
	if (after == NULL)
		known->listed = k->now.wall;
	rc = tell(k, err);

out:
	free(s.body);
	free(after);
	free(prefix);
	return rc;
}

/* --- what it rests on ------------------------------------------------------------ */

static const struct dr_lag_backup *
parent_of(const struct dr_lag_known *known, const struct dr_lag_backup *b)
{
	for (size_t i = known->backups; i-- > 0;)
		if (strcmp(known->backup[i].id, b->parent) == 0)
			return &known->backup[i];
	return NULL;
}

static bool
whole(const struct dr_lag_known *known, const struct dr_lag_backup *b)
{
	for (size_t n = 0; b != NULL && n <= known->backups; n++) {
		if (!b->trusted || !b->complete || b->pruned || !b->body)
			return false;
		if (b->parent[0] == '\0')
			return true;
		b = parent_of(known, b);
	}
	return false;
}

const struct dr_lag_backup *
dr_lag_usable(const struct dr_lag_known *known, size_t before)
{
	bool pg = false;

	for (size_t i = 0; i < known->backups; i++)
		pg |= known->backup[i].trusted && known->backup[i].pg;
	for (size_t i = before; i-- > 0;)
		if (known->backup[i].pg == pg &&
		    whole(known, &known->backup[i]))
			return &known->backup[i];
	return NULL;
}

uint64_t
dr_lag_chain_bytes(const struct dr_lag_known *known,
    const struct dr_lag_backup *b, bool raw)
{
	uint64_t sum = 0;

	for (size_t n = 0; b != NULL && n <= known->backups; n++) {
		int64_t one = raw ? b->raw : b->stored;

		if (dr_known(one))
			sum += (uint64_t)one;
		b = b->parent[0] == '\0' ? NULL : parent_of(known, b);
	}
	return sum;
}
