#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"
#include "flow/through.h"
#include "flow/verify_int.h"
#include "flow/walobj.h"
#include "manifest/manifest.h"

#define SEGSIZE  (16U << 20) /* where no manifest says */
#define OPEN_MAX ((size_t)1 << 30)
/*
 * Who writes WAL writes a ledger once an hour at the least: by then at the
 * second one nobody will vouch for what it left out.
 */
#define LATE     ((int64_t)2 * 3600 * 1000000)

int
dr_verify_wal_tell(struct dr_verify_wal *w, const char *what,
    enum dr_verdict verdict, const char *text, const char *hint,
    struct dr_err *err)
{
	struct dr_finding f = { .what = what,
		.verdict = verdict,
		.store = w->v->store,
		.set = w->set,
		.id = w->id,
		.text = text,
		.hint = hint };

	w->bad |= verdict == DR_VERDICT_BAD;
	return dr_verify_tell(w->v, &f, err);
}

bool
dr_verify_wal_backup(const struct dr_verify_wal *w, const struct dr_backup *b,
    uint32_t *tli, uint64_t *from, uint64_t *to)
{
	struct dr_err ignored = { 0 };
	const char *id, *start, *stop;
	int64_t t;

	if (b->manifest == NULL || b->pruned)
		return false;
	id = dr_manifest_str(b->manifest, "pg.system_id");
	start = dr_manifest_str(b->manifest, "pg.start_lsn");
	stop = dr_manifest_str(b->manifest, "pg.stop_lsn");
	t = dr_manifest_int(b->manifest, "pg.timeline", 0);
	if (id == NULL || strcmp(id, w->id) != 0 || start == NULL || t < 1 ||
	    t > UINT32_MAX || dr_parse_lsn(start, from, &ignored) == -1)
		return false;
	if (stop == NULL || dr_parse_lsn(stop, to, &ignored) == -1)
		*to = *from;
	*tli = (uint32_t)t;
	return true;
}

/* What a manifest of that system id says WAL segments have. */
static uint32_t
segsize(const struct dr_verify_wal *w)
{
	uint32_t tli;
	uint64_t from, to;
	int64_t n;

	for (size_t i = w->all->n; i-- > 0;) {
		const struct dr_backup *b = &w->all->v[i];

		if (!dr_verify_wal_backup(w, b, &tli, &from, &to))
			continue;
		n = dr_manifest_int(b->manifest, "pg.wal_segment_size", 0);
		if (n > 0 && dr_wal_segsize_ok((uint64_t)n))
			return (uint32_t)n;
	}
	return SEGSIZE;
}

/* --- objects ------------------------------------------------------------------ */

/* Is it of the WAL that recovery from that backup may need? */
static bool
wanted(const struct dr_verify_wal *w, const struct dr_wal_entry *e)
{
	uint32_t tli;
	uint64_t from, to, e_from, e_to;

	if (w->one == NULL)
		return true;
	if (!dr_verify_wal_backup(w, w->one, &tli, &from, &to) || e->tli < tli)
		return false;
	dr_wal_entry_range(&w->cat, e, &e_from, &e_to);
	return e->tli > tli || e->kind == DR_WAL_HISTORY || e_to > from;
}

/* It opens, and is signed for its name. */
static int
open_it(struct dr_verify_wal *w, struct dr_blob *blob, const char *object,
    struct dr_err *err)
{
	struct dr_buf out = { .max = OPEN_MAX };
	enum dr_cipher cipher;
	struct dr_wal_id id;
	int rc;

	if (dr_wal_object_parse(w->set, object, &id, &cipher) == 0)
		return dr_err_set(err, DR_EDATA, "it is no WAL");
	rc = dr_wal_open(blob, w->v->o->ids, w->keys, &id, &out, NULL, err);
	dr_buf_free(&out);
	return rc;
}

/* Its bytes are those a ledger names; with --deep they open. */
static int
look(struct dr_verify_wal *w, const struct dr_wal_entry *e, const char *object,
    char note[DR_NOTE_MAX], struct dr_err *err)
{
	bool deep = w->v->o->deep && w->v->o->ids != NULL;
	char hex[DR_SHA256_HEX];
	struct dr_blob *blob;
	int rc = 0;

	if (!e->vouched && !deep)
		return 0;
	dr_hex(e->sha256, sizeof(e->sha256), hex);
	blob = e->vouched
	           ? dr_through_get(w->store, object, e->size, hex, note, err)
	           : dr_store_get(w->store, object, err);
	if (blob == NULL)
		return -1;
	w->v->sum->bytes += blob->size;
	w->v->sum->wal++;
	if (e->vouched && (rc = dr_blob_sha256(blob, hex, err)) == 0 &&
	    !dr_wal_entry_is(&w->cat, e, blob->size, hex))
		rc = blob->size == e->size
		         ? dr_err_set(err, DR_EDATA,
		               "it has another SHA-256 than its ledger says")
		         : dr_err_set(err, DR_EDATA,
		               "it has %" PRIu64
		               " bytes, its ledger says %" PRIu32,
		               blob->size, e->size);
	if (rc == 0 && deep)
		rc = open_it(w, blob, object, err);
	dr_blob_free(blob);
	return rc;
}

static int
tell_of(struct dr_verify_wal *w, const char *object, enum dr_verdict verdict,
    const char *why, struct dr_err *err)
{
	char text[1280];

	(void)snprintf(text, sizeof(text), "\"%s\": %s", object, why);
	return dr_verify_wal_tell(w, "wal", verdict, text, NULL, err);
}

static int
judge(struct dr_verify_wal *w, const struct dr_wal_entry *e, const char *object,
    struct dr_err *err)
{
	char note[DR_NOTE_MAX] = "";
	struct dr_err why = { 0 };

	if (!e->listed) {
		/* Increments go once their segment is there. */
		if (dr_walcat_whole(&w->cat, e) != NULL)
			return 0;
		return tell_of(w, object, DR_VERDICT_BAD, "it is missing", err);
	}
	if (look(w, e, object, note, &why) == -1) {
		if (why.cause == DR_ESTOP || why.cause == DR_EUSAGE) {
			*err = why;
			return -1;
		}
		return tell_of(w, object,
		    why.cause == DR_EDATA ? DR_VERDICT_BAD : DR_VERDICT_UNKNOWN,
		    why.msg, err);
	}
	if (note[0] != '\0')
		return dr_verify_wal_tell(w, "wal", DR_VERDICT_COVERED, note,
		    NULL, err);
	if (e->vouched || w->keys == NULL)
		return 0;
	if (w->v->o->deep && w->v->o->ids != NULL)
		return tell_of(w, object, DR_VERDICT_REMARK,
		    "not vouched for by a ledger, but signed for its place",
		    err);
	return tell_of(w, object,
	    dr_now() - e->time > LATE ? DR_VERDICT_UNKNOWN : DR_VERDICT_REMARK,
	    "not vouched for by a ledger", err);
}

static int
one_object(struct dr_verify_wal *w, const struct dr_wal_entry *e,
    struct dr_err *err)
{
	char *object;
	int rc;

	if (dr_check_stop(err) == -1 ||
	    (object = dr_wal_entry_name(&w->cat, e, err)) == NULL)
		return -1;
	rc = judge(w, e, object, err);
	free(object);
	return rc;
}

static int
objects(struct dr_verify_wal *w, uint64_t *n, uint64_t *bytes,
    struct dr_err *err)
{
	uint64_t total = 0, done = 0;
	int rc = 0;

	*n = 0;
	for (size_t i = 0; i < w->cat.entries; i++)
		if (wanted(w, &w->cat.entry[i]))
			total += w->cat.entry[i].size;
	dr_progress_begin("WAL", total);
	for (size_t i = 0; i < w->cat.entries && rc == 0; i++) {
		const struct dr_wal_entry *e = &w->cat.entry[i];

		if (!wanted(w, e))
			continue;
		rc = one_object(w, e, err);
		dr_progress(done += e->size);
		++*n;
	}
	dr_progress_end();
	*bytes = done;
	return rc;
}

/* --- one system id -------------------------------------------------------------- */

static int
ledger_fault(void *arg, const char *text, struct dr_err *err)
{
	return dr_verify_wal_tell(arg, "ledger", DR_VERDICT_BAD, text, NULL,
	    err);
}

static int
summary(struct dr_verify_wal *w, uint64_t n, uint64_t bytes, struct dr_err *err)
{
	char text[256], from[DR_LSN_LEN], to[DR_LSN_LEN], size[DR_SIZE_LEN];
	const struct dr_wal_timeline *t;
	const struct dr_walmap *m;

	if (w->bad || w->cat.timelines == 0)
		return 0;
	t = &w->cat.timeline[w->cat.timelines - 1];
	m = &t->map;
	(void)snprintf(text, sizeof(text), "%" PRIu64 " object%s, %s", n,
	    dr_plural(n), dr_format_size(bytes, size));
	if (m->n > 0)
		(void)snprintf(text, sizeof(text),
		    "WAL from %s to %s on timeline %" PRIu32 ", %" PRIu64
		    " object%s, %s",
		    dr_format_lsn(m->v[0].from, from),
		    dr_format_lsn(m->v[m->n - 1].to, to), t->tli, n,
		    dr_plural(n), size);
	return dr_verify_wal_tell(w, "wal", DR_VERDICT_OK, text, NULL, err);
}

static int
one_system(void *arg, uint64_t system_id, struct dr_err *err)
{
	const struct dr_verify_wal *proto = arg;
	struct dr_verify_wal w = *proto;
	uint64_t n, bytes, from, to;
	uint32_t tli;
	int rc = -1;

	(void)snprintf(w.id, sizeof(w.id), "%" PRIu64, system_id);
	if (w.one != NULL && !dr_verify_wal_backup(&w, w.one, &tli, &from, &to))
		return 0;
	if (dr_walcat_read(w.store, w.set, system_id, segsize(&w), w.keys,
	        ledger_fault, &w, &w.cat, err) == -1)
		return -1;
	if (dr_verify_wal_met(&w, err) == -1)
		goto out;
	if (w.cat.covered > 0 &&
	    dr_verify_wal_tell(&w, "ledger", DR_VERDICT_COVERED, w.cat.note,
	        NULL, err) == -1)
		goto out;
	if (w.v->o->deep && w.v->o->ids == NULL && w.cat.entries > 0 &&
	    dr_verify_wal_tell(&w, "wal", DR_VERDICT_UNKNOWN,
	        "WAL cannot be opened without an identity",
	        "name one with -i, or with DR_IDENTITY", err) == -1)
		goto out;
	if (objects(&w, &n, &bytes, err) == 0 &&
	    dr_verify_wal_holes(&w, err) == 0 &&
	    dr_verify_wal_heads(&w, err) == 0)
		rc = summary(&w, n, bytes, err);

out:
	dr_walcat_free(&w.cat);
	return rc;
}

int
dr_verify_wal(struct dr_verify *v, struct dr_store *store, const char *set,
    const struct dr_verify_keys *keys, const struct dr_backups *all,
    const struct dr_backup *one, struct dr_err *err)
{
	struct dr_verify_met met = { NULL, 0 };
	struct dr_verify_wal w = { .v = v,
		.store = store,
		.set = set,
		.keys = keys,
		.all = all,
		.one = one,
		.met = &met };
	int rc = dr_walcat_systems(store, set, one_system, &w, err);

	/* With one backup, only its own system was looked at. */
	if (rc == 0 && keys != NULL && one == NULL)
		rc = dr_verify_wal_vanished(&w, err);
	free(met.v);
	return rc;
}
