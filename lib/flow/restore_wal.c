#include "flow/restore_wal.h"

#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "flow/restore_ledger.h"
#include "flow/walobj.h"

#define HISTORY_MAX (1U << 20)

/* A .history object somewhere. */
struct found {
	uint32_t tli;
	size_t store;
	char *object;
};

struct listing {
	const struct dr_restore_wal_opts *o;
	struct dr_lines *lines;
	size_t store;
	struct dr_newest *ledgers; /* of each store */
	struct found *found;
	size_t n;
};

static int
found_history(struct listing *l, uint32_t tli, const char *object,
    struct dr_err *err)
{
	struct found *more = reallocarray(l->found, l->n + 1, sizeof(*more));
	char *copy;

	if (more == NULL)
		return dr_err_sys(err, "cannot note a history");
	l->found = more;
	if ((copy = dr_fmt(err, "%s", object)) == NULL)
		return -1;
	l->found[l->n++] = (struct found){ tli, l->store, copy };
	return 0;
}

static int
add(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct listing *l = arg;
	uint64_t start, from, to;
	struct dr_line *line;
	enum dr_cipher cipher;
	struct dr_wal_id id;

	if (dr_newest_note(&l->ledgers[l->store], obj->name))
		return 0;
	if (dr_wal_object_parse(l->o->set, obj->name, &id, &cipher) != 1 ||
	    id.system_id != l->o->system_id || id.file.kind == DR_WAL_BACKUP)
		return 0;
	if (id.file.kind == DR_WAL_HISTORY)
		return found_history(l, id.file.tli, obj->name, err);
	if (!dr_wal_start(&id.file, l->lines->segsize, &start))
		return 0;
	if ((line = dr_lines_get(l->lines, id.file.tli, err)) == NULL)
		return -1;
	if (id.file.kind == DR_WAL_PARTIAL)
		return dr_line_partial(line, start, obj->mtime, err);
	from = start;
	to = start + l->lines->segsize;
	if (id.increment) {
		if (id.to > l->lines->segsize)
			return 0;
		from = start + id.from;
		to = start + id.to;
	}
	return dr_line_add(line, from, to, start, obj->mtime, err);
}

/* The first of a timeline's objects that opens and makes sense. */
static int
read_one(const struct listing *l, const struct found *f, struct dr_history *h,
    struct dr_err *err)
{
	struct dr_buf text = { .max = HISTORY_MAX };
	char signer[DR_KEYID_HEX];
	struct dr_blob *object;
	enum dr_cipher cipher;
	struct dr_wal_id id;
	int rc = -1;

	if (dr_wal_object_parse(l->o->set, f->object, &id, &cipher) != 1)
		return dr_err_set(err, DR_EDATA, "\"%s\" is no WAL object",
		    f->object);
	object = dr_store_get(l->o->stores[f->store], f->object, err);
	if (object == NULL)
		return -1;
	if (dr_wal_open(object, l->o->ids, l->o->keys, &id, &text, signer,
	        err) == 0)
		rc = dr_history_parse(text.len > 0 ? text.data : "", text.len,
		    f->tli, h, err);
	if (rc == -1)
		dr_err_wrap(err, "\"%s\"", f->object);
	dr_blob_free(object);
	dr_buf_free(&text);
	return rc;
}

static int
histories(const struct listing *l, struct dr_err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct found *f = &l->found[i];
		struct dr_err why = { 0 };
		struct dr_history h = { 0 };
		struct dr_line *line;

		if ((line = dr_lines_get(l->lines, f->tli, err)) == NULL)
			return -1;
		if (line->known)
			continue;
		if (read_one(l, f, &h, &why) == 0) {
			line->h = h;
			line->known = true;
		} else if (why.cause == DR_ESTOP) {
			*err = why;
			return -1;
		} else
			dr_warn("passing over the history of timeline %u, on "
			        "which a server that asks for it will fail: %s",
			    f->tli, why.msg);
	}
	return 0;
}

int
dr_restore_wal(const struct dr_restore_wal_opts *o, struct dr_lines *lines,
    struct dr_err *err)
{
	struct listing l = { .o = o, .lines = lines };
	struct dr_err first = { 0 };
	size_t good = 0;
	char *prefix;
	int rc = -1;

	if ((prefix = dr_wal_prefix(o->set, o->system_id, 0, err)) == NULL)
		return -1;
	l.ledgers = calloc(o->nstores + 1, sizeof(*l.ledgers));
	if (l.ledgers == NULL) {
		dr_err_sys(err, "cannot list the WAL");
		goto out;
	}
	for (l.store = 0; l.store < o->nstores; l.store++) {
		struct dr_err why = { 0 };

		if (dr_store_list(o->stores[l.store], prefix, NULL, add, &l,
		        &why) == 0) {
			good++;
			continue;
		}
		if (first.cause == DR_OK)
			first = why;
		if (why.cause == DR_ESTOP)
			break;
		if (o->nstores > 1)
			dr_warn("store \"%s\": %s",
			    dr_store_url(o->stores[l.store]), why.msg);
	}
	if (good == 0 || first.cause == DR_ESTOP) {
		*err = first;
		goto out;
	}
	for (size_t i = 0; i < o->nstores; i++)
		if (dr_newest_read(&l.ledgers[i], o, i, lines, err) == -1)
			goto out;
	if (o->ids == NULL || histories(&l, err) == 0)
		rc = dr_lines_partials(lines, err);

out:
	for (size_t i = 0; i < l.n; i++)
		free(l.found[i].object);
	free(l.found);
	free(l.ledgers);
	free(prefix);
	return rc;
}
