#include "flow/garbage.h"

#include <stdlib.h>
#include <string.h>

#include "base/audit.h"
#include "base/json.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/catalogue.h"
#include "flow/garbage_int.h"
#include "flow/walobj.h"
#include "manifest/ledger.h"

#define AUDIT_MAX 49152U

/* --- names ------------------------------------------------------------------- */

enum kind { KNOWN, BODY, INCREMENT, PROBE, UNKNOWN };

/* A file, or its signature? */
static bool
signed_as(const char *rest, const char *suffix)
{
	size_t n = strlen(suffix);

	return rest != NULL && strncmp(rest, suffix, n) == 0 &&
	       (rest[n] == '\0' || strcmp(rest + n, ".minisig") == 0);
}

/* "SYSTEMID/TLI/ledger-...json", or its signature. */
static bool
is_ledger(const char *s)
{
	size_t digits = strspn(s, "0123456789"), len;
	char name[128];
	struct dr_ledger l;

	if (digits == 0 || digits > 20 || s[digits] != '/' ||
	    (s = dr_garbage_shaped(s + digits, "/XXXXXXXX/")) == NULL)
		return false;
	len = strlen(s);
	if (len > 8 && strcmp(s + len - 8, ".minisig") == 0)
		len -= 8;
	if (len >= sizeof(name))
		return false;
	memcpy(name, s, len);
	name[len] = '\0';
	return dr_ledger_name_parse(name, &l) == 1;
}

/* What --check leaves where it may not delete: see check.c. */
static bool
is_probe(const char *s)
{
	if (strncmp(s, "snap/", 5) == 0)
		s += 5;
	else if (strncmp(s, "wal/", 4) == 0)
		s += 4;
	if (strncmp(s, "probe-", 6) != 0)
		return false;
	s += strncmp(s, "probe-lock-", 11) == 0 ? 11 : 6;
	s = dr_garbage_shaped(s, "ddddddddTddddddZ-xxxxxxxxxxxxxxxx");
	return s != NULL && *s == '\0';
}

static enum kind
classify(const char *set, const char *name)
{
	const char *s = name + strlen(set) + 1, *rest;
	enum dr_cipher cipher;
	struct dr_wal_id id;

	if (is_probe(s))
		return PROBE;

	if (strncmp(s, "snap/", 5) == 0) {
		if (dr_body_name_ok(set, name))
			return BODY;
		rest = dr_garbage_shaped(s + 5, "ddddddddTddddddZ-xxxxxx");
		return signed_as(rest, ".json") ||
		               signed_as(rest, ".pruned.json")
		           ? KNOWN
		           : UNKNOWN;
	}
	if (strncmp(s, "rekey/", 6) == 0)
		return signed_as(dr_garbage_shaped(s + 6,
		                     "ddddddddTddddddZ-xxxxxxxxxxxxxxxx"),
		           ".json")
		           ? KNOWN
		           : UNKNOWN;
	if (strncmp(s, "wal/", 4) == 0) {
		if (dr_wal_object_parse(set, name, &id, &cipher) == 1)
			return id.increment ? INCREMENT : KNOWN;
		if (is_ledger(s + 4))
			return KNOWN;
	}
	return UNKNOWN;
}

/* --- what there is ----------------------------------------------------------- */

int
dr_garbage_add(struct dr_garbage_run *r, enum dr_garbage_what what,
    const char *name, const char *id, uint64_t size, int64_t modified,
    const char *why, struct dr_err *err)
{
	struct dr_garbage_item *v = r->item;

	if ((r->n & (r->n - 1)) == 0) {
		v = reallocarray(v, r->n == 0 ? 1 : 2 * r->n, sizeof(*v));
		if (v == NULL)
			return dr_err_sys(err, "cannot note what is garbage");
		r->item = v;
	}
	v = &v[r->n];
	memset(v, 0, sizeof(*v));
	if ((v->name = dr_fmt(err, "%s", name)) == NULL ||
	    (id != NULL && (v->id = dr_fmt(err, "%s", id)) == NULL)) {
		free(v->name);
		return -1;
	}
	v->what = what;
	v->size = size;
	v->modified = modified;
	v->why = why;
	if (what == DR_GARBAGE_UNKNOWN)
		v->result = DR_GARBAGE_KEPT;
	r->n++;
	return 0;
}

bool
dr_garbage_old(const struct dr_garbage_run *r, int64_t modified)
{
	return r->now - modified >= (int64_t)r->o->grace_ms * 1000;
}

/* Bodies that may be garbage, until a manifest names them. */
static int
on_object(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct dr_garbage_run *r = arg;

	switch (classify(r->o->set, obj->name)) {
	case BODY:
		if (!dr_garbage_old(r, obj->mtime))
			return 0;
		return dr_garbage_add(r, DR_GARBAGE_BODY, obj->name, NULL,
		    obj->size, obj->mtime, "no manifest names it", err);
	case PROBE:
		if (!dr_garbage_old(r, obj->mtime))
			return 0;
		return dr_garbage_add(r, DR_GARBAGE_PROBE, obj->name, NULL,
		    obj->size, obj->mtime, "left by --check", err);
	case UNKNOWN:
		return dr_garbage_add(r, DR_GARBAGE_UNKNOWN, obj->name, NULL,
		    obj->size, obj->mtime, "its name is not understood", err);
	case KNOWN:
	case INCREMENT:
		break;
	}
	return 0;
}

static int
on_upload(void *arg, const struct dr_upload *up, struct dr_err *err)
{
	struct dr_garbage_run *r = arg;

	if (classify(r->o->set, up->name) == UNKNOWN)
		return dr_garbage_add(r, DR_GARBAGE_UNKNOWN, up->name, up->id,
		    0, up->started, "an upload whose name is not understood",
		    err);
	if (!dr_garbage_old(r, up->started))
		return 0;
	return dr_garbage_add(r, DR_GARBAGE_UPLOAD, up->name, up->id, 0,
	    up->started, "an upload that was not finished", err);
}

/* --- what manifests name ------------------------------------------------------ */

static int
by_stem(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Let go of the bodies that are named. */
static void
drop_named(struct dr_garbage_run *r)
{
	size_t skip = strlen(r->o->set) + strlen("/snap/"), n = 0;
	char stem[DR_GARBAGE_STEM + 1];

	if (r->named_n > 1)
		qsort(r->named, r->named_n, sizeof(*r->named), by_stem);
	for (size_t i = 0; i < r->n; i++) {
		struct dr_garbage_item *it = &r->item[i];
		bool keep = it->what == DR_GARBAGE_BODY && r->blind;

		if (it->what == DR_GARBAGE_BODY && !keep) {
			memcpy(stem, it->name + skip, DR_GARBAGE_STEM);
			stem[DR_GARBAGE_STEM] = '\0';
			keep = r->named_n > 0 &&
			       bsearch(stem, r->named, r->named_n,
			           sizeof(*r->named), by_stem) != NULL;
		}
		if (keep)
			free(it->name);
		else
			r->item[n++] = *it;
	}
	r->n = n;
}

/*
 * Bodies first and manifests after them, so that what is committed meanwhile
 * is seen.
 */
static int
find(struct dr_garbage_run *r, struct dr_err *err)
{
	char *all = dr_fmt(err, "%s/", r->o->set);
	char *snap = dr_fmt(err, "%s/snap/", r->o->set);
	int rc = -1;

	if (all != NULL && snap != NULL &&
	    dr_store_list(r->store, all, NULL, on_object, r, err) == 0 &&
	    dr_store_list(r->store, snap, NULL, dr_garbage_manifest, r, err) ==
	        0) {
		drop_named(r);
		if (dr_store_uploads(r->store, all, on_upload, r, err) == 0 &&
		    dr_garbage_wal(r, err) == 0)
			rc = 0;
	}
	free(all);
	free(snap);
	return rc;
}

/* --- away with it -------------------------------------------------------------- */

/* What is there now must be what was looked at. */
static int
still(struct dr_garbage_run *r, const struct dr_garbage_item *it,
    struct dr_err *err)
{
	struct dr_object obj;
	int rc = dr_store_stat(r->store, it->name, &obj, err);

	/* A list may tell the time more finely than a look at one object. */
	if (rc == 1 && (obj.size != it->size ||
	                   obj.mtime / 1000000 != it->modified / 1000000))
		return 2;
	return rc;
}

static void
away(struct dr_garbage_run *r, struct dr_garbage_item *it, struct dr_err *err)
{
	int rc;

	if (it->id != NULL)
		rc = dr_store_upload_abort(r->store, it->name, it->id, err);
	else if ((rc = still(r, it, err)) == 1)
		rc = dr_store_delete(r->store, it->name, err);
	switch (rc) {
	case 2:
		it->result = DR_GARBAGE_KEPT;
		it->message = "it has changed since it was found";
		break;
	case 1:
		it->result = DR_GARBAGE_DELETED;
		break;
	case 0:
		it->result = DR_GARBAGE_GONE;
		break;
	default:
		it->result = DR_GARBAGE_FAILED;
		it->message = err->msg;
	}
}

/* Who removed what: as few lines as hold it. */
static int
tell_audit(const struct dr_garbage_run *r, struct dr_buf *names, bool last,
    struct dr_err *err)
{
	struct dr_buf what = { .max = 2 * AUDIT_MAX };
	struct dr_json j;
	int rc = -1;

	if (names->len == 0 || (!last && names->len < AUDIT_MAX))
		return 0;
	dr_json_init(&j, &what);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "store", r->url);
	dr_json_str(&j, "set", r->o->set);
	if (dr_buf_str(names, "]", err) == 0) {
		dr_json_raw(&j, "deleted", names->data);
		dr_json_close(&j, '}');
		if (dr_json_end(&j, err) == 0)
			rc = dr_audit("prune", what.data, "ok", err);
	}
	dr_buf_free(&what);
	dr_buf_free(names);
	return rc;
}

static int
note_audit(const struct dr_garbage_run *r, const struct dr_garbage_item *it,
    struct dr_buf *names, struct dr_err *err)
{
	/* Names need no escapes. */
	if (it->result != DR_GARBAGE_DELETED)
		return 0;
	if (dr_buf_fmt(names, err, "%s\"%s\"", names->len == 0 ? "[" : ",",
	        it->name) == -1)
		return -1;
	return tell_audit(r, names, false, err);
}

static void
count(struct dr_garbage_sum *sum, const struct dr_garbage_item *it)
{
	if (it->what == DR_GARBAGE_UNKNOWN) {
		sum->unknown++;
		return;
	}
	sum->found++;
	sum->found_bytes += it->size;
	if (it->result == DR_GARBAGE_DELETED) {
		sum->deleted++;
		sum->deleted_bytes += it->size;
	}
	sum->failed += it->result == DR_GARBAGE_FAILED;
}

static int
deal(struct dr_garbage_run *r,
    int (*fn)(void *, const char *, const struct dr_garbage_item *,
        struct dr_err *),
    void *arg, struct dr_garbage_sum *sum, struct dr_err *err)
{
	struct dr_buf names = { .max = AUDIT_MAX + 4096 };
	struct dr_err said = { 0 };
	int rc = 0;

	for (size_t i = 0; i < r->n && rc == 0; i++) {
		struct dr_garbage_item *it = &r->item[i];
		struct dr_err why = { 0 };

		if ((rc = dr_check_stop(err)) == -1)
			break;
		if (r->o->act && it->what != DR_GARBAGE_UNKNOWN)
			away(r, it, &why);
		if (why.cause == DR_ESTOP) {
			*err = why;
			rc = -1;
			break;
		}
		count(sum, it);
		rc = note_audit(r, it, &names, err);
		if (rc == 0)
			rc = fn(arg, r->url, it, err);
		it->message = NULL;
	}
	/* What was removed is told in any case. */
	if (tell_audit(r, &names, true, &said) == -1 && rc == 0) {
		*err = said;
		rc = -1;
	}
	dr_buf_free(&names);
	return rc;
}

/* --- the stores, one after the other --------------------------------------------- */

static void
run_free(struct dr_garbage_run *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->item[i].name);
		free(r->item[i].id);
	}
	free(r->item);
	free(r->named);
	dr_store_free(r->store);
}

int
dr_garbage(const struct dr_garbage_opts *o,
    int (*fn)(void *, const char *, const struct dr_garbage_item *,
        struct dr_err *),
    void *arg, struct dr_garbage_sum *sum, struct dr_err *err)
{
	struct dr_verify_keys *keys = NULL;
	struct dr_err first = { 0 };
	bool incomplete = false;
	int rc = 0;

	if (!o->no_signature &&
	    (keys = dr_trust_load(o->verify_key, o->state, err)) == NULL)
		return -1;
	for (size_t i = 0; i < o->nstores && rc == 0; i++) {
		struct dr_garbage_run r = { .o = o,
			.keys = keys,
			.now = dr_now() };
		struct dr_err why = { 0 };

		if ((r.store = dr_store_open(o->stores[i], o->how, &why)) ==
		        NULL ||
		    (r.url = dr_store_url(r.store), find(&r, &why)) == -1) {
			if (why.cause == DR_ESTOP || why.cause == DR_EUSAGE) {
				*err = why;
				rc = -1;
			} else if (o->nstores > 1)
				dr_warn("%s", why.msg);
			if (first.cause == DR_OK)
				first = why;
			sum->stores_failed++;
		} else
			rc = deal(&r, fn, arg, sum, err);
		incomplete |= r.incomplete;
		run_free(&r);
	}
	dr_verify_keys_free(keys);
	if (rc == -1)
		return -1;
	if (sum->stores_failed == o->nstores) {
		*err = first;
		return -1;
	}
	if (sum->stores_failed > 0)
		return dr_err_set(err, DR_EPARTIAL,
		    "%zu of %zu store%s could not be looked through",
		    sum->stores_failed, o->nstores, dr_plural(o->nstores));
	if (sum->failed > 0)
		return dr_err_set(err, DR_EPARTIAL,
		    "%llu object%s could not be deleted",
		    (unsigned long long)sum->failed, dr_plural(sum->failed));
	if (incomplete)
		return dr_err_set(err, DR_EPARTIAL,
		    "not everything could be judged");
	return 0;
}
