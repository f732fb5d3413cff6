#include "flow/verify.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"
#include "flow/deep.h"
#include "flow/rates.h"
#include "flow/seen.h"
#include "flow/verify_int.h"
#include "manifest/manifest.h"
#include "store/store.h"

#define STEP (1U << 20)

int
dr_verify_tell(struct dr_verify *v, const struct dr_finding *f,
    struct dr_err *err)
{
	switch (f->verdict) {
	case DR_VERDICT_BAD:
		v->sum->bad++;
		break;
	case DR_VERDICT_UNKNOWN:
		v->sum->unknown++;
		break;
	case DR_VERDICT_OLD:
		v->sum->old++;
		break;
	case DR_VERDICT_COVERED:
		v->sum->covered++;
		break;
	case DR_VERDICT_OK:
	case DR_VERDICT_PRUNED:
		v->sum->ok++;
		break;
	case DR_VERDICT_REMARK:
		break;
	}
	return v->fn(v->arg, f, err);
}

/* What a failure to look says of what was looked at. */
static enum dr_verdict
verdict(const struct dr_err *why)
{
	return why->cause == DR_EDATA ? DR_VERDICT_BAD : DR_VERDICT_UNKNOWN;
}

/* These end the whole run, not the look at one backup. */
static bool
fatal(const struct dr_err *why)
{
	return why->cause == DR_ESTOP || why->cause == DR_EUSAGE;
}

/* --- one body ------------------------------------------------------------- */

static int
look(const struct dr_verify *v, struct dr_body *body, uint64_t *members,
    struct dr_err *err)
{
	struct dr_source *proof = dr_body_proof(body);
	struct dr_deep_facts deep;
	uint64_t done = 0;
	ssize_t n;
	void *buf;

	if (v->o->deep) {
		if (dr_deep(body, v->o->ids, v->o->workers, &deep, err) == -1)
			return -1;
		*members = deep.members;
		v->sum->bytes += deep.bytes;
		return 0;
	}
	if ((buf = malloc(STEP)) == NULL)
		return dr_err_sys(err, "cannot allocate a buffer");
	while ((n = dr_source_read(proof, buf, STEP, err)) > 0) {
		dr_progress(done += (uint64_t)n);
		if (dr_check_stop(err) == -1) {
			n = -1;
			break;
		}
	}
	free(buf);
	v->sum->bytes += done;
	return (int)n;
}

/* OK when its body was proved; else what is wrong. */
static int
one_backup(struct dr_verify *v, struct dr_store *store, const char *set,
    const struct dr_backup *b, enum dr_verdict *was, struct dr_err *err)
{
	struct dr_finding f = { .what = "backup",
		.store = v->store,
		.set = set,
		.id = b->id,
		.signer = b->signer,
		.manifest = b->manifest };
	struct dr_err why = b->bad;
	char note[2 * DR_NOTE_MAX + 4], beneath[DR_NOTE_MAX] = "";
	struct dr_body *body = NULL;
	struct dr_blob *blob;

	v->sum->backups++;
	if (b->manifest == NULL || b->pruned)
		goto told;
	if ((blob = dr_backup_body(store, set, b, beneath, &why)) == NULL)
		goto told;
	body = dr_body_object(blob, b->manifest,
	    dr_manifest_str(b->manifest, "object.name"), &why);
	if (body == NULL) {
		dr_blob_free(blob);
		goto told;
	}
	dr_progress_begin(b->id, v->o->deep ? 0 : blob->size);
	(void)look(v, body, &f.members, &why);
	dr_progress_end();

told:
	dr_body_free(body);
	if (fatal(&why)) {
		*err = why;
		return -1;
	}
	if (why.cause != DR_OK) {
		f.verdict = verdict(&why);
		f.text = why.msg;
		f.hint = why.hint;
	} else if (b->note[0] != '\0' || beneath[0] != '\0') {
		f.verdict = DR_VERDICT_COVERED;
		(void)snprintf(note, sizeof(note), "%s%s%s", b->note,
		    b->note[0] != '\0' && beneath[0] != '\0' ? "; " : "",
		    beneath);
		f.text = note;
		f.hint = "it can be restored; find out who may delete there";
	} else if (b->pruned) {
		f.verdict = DR_VERDICT_PRUNED;
	}
	*was = f.verdict;
	return dr_verify_tell(v, &f, err);
}

/* --- one set -------------------------------------------------------------- */

/* Which of ALL does ID mean?  With NULL each, with "latest" the newest. */
static int
choose(const struct dr_backups *all, const char *id,
    const struct dr_backup **one, size_t *n, struct dr_err *err)
{
	*one = NULL;
	*n = 0;
	if (id == NULL)
		return 0;
	if (strcmp(id, "latest") == 0) {
		*n = all->n > 0;
		*one = *n == 1 ? &all->v[all->n - 1] : NULL;
		return 0;
	}
	for (size_t i = 0; i < all->n; i++)
		if (*id != '\0' && strncmp(all->v[i].id, id, strlen(id)) == 0) {
			*one = &all->v[i];
			++*n;
		}
	if (*n > 1)
		return dr_err_set(err, DR_EUSAGE,
		    "\"%s\" may be more than one backup", id);
	return 0;
}

static int
age(struct dr_verify *v, const char *set, const struct dr_backup *newest,
    struct dr_err *err)
{
	struct dr_finding f = { .what = "set",
		.verdict = DR_VERDICT_OLD,
		.store = v->store,
		.set = set };
	char text[160], old[DR_SIZE_LEN];
	int64_t ms;

	if (v->o->max_age == 0)
		return 0;
	if (newest == NULL) {
		f.text = "no intact and complete backup";
		return dr_verify_tell(v, &f, err);
	}
	ms = (dr_now() - dr_backup_started(newest)) / 1000;
	if (ms <= 0 || (uint64_t)ms <= v->o->max_age)
		return 0;
	(void)snprintf(text, sizeof(text),
	    "the newest intact and complete backup is %s old",
	    dr_format_msec((uint64_t)ms, old));
	f.text = text;
	f.id = newest->id;
	return dr_verify_tell(v, &f, err);
}

struct heads {
	struct dr_verify *v;
	struct dr_store *store;
	const struct dr_catalogue_opts *co;
	struct dr_backups *all;
};

static int
seek_head(void *arg, const struct dr_seen_at *at, struct dr_err *err)
{
	struct heads *h = arg;
	struct dr_heads before = { .n = 0 };

	if (dr_seen_heads(at, &before, err) == -1)
		return -1;
	for (size_t i = 0; i < before.n; i++)
		if (dr_catalogue_seek(h->store, at->set, h->co, before.v[i].id,
		        before.v[i].sha256, h->all, err) == -1)
			return -1;
	return 0;
}

/* The newest that were seen here earlier may lie beneath, too. */
static int
seek_heads(struct dr_verify *v, struct dr_store *store, const char *set,
    const struct dr_catalogue_opts *co, struct dr_backups *all,
    struct dr_err *err)
{
	const struct dr_seen_at at = { .state = v->o->from->state,
		.url = v->store,
		.set = set };
	struct heads h = { v, store, co, all };

	return v->o->from->no_signature
	           ? 0
	           : dr_seen_each_heads(&at, seek_head, &h, err);
}

/* How fast it was, and that it was done: what proves nothing does not count. */
static void
note_rate(const struct dr_verify *v, const char *set,
    const struct dr_verify_sum *before, int64_t began, bool failed)
{
	const struct dr_verify_sum *sum = v->sum;
	const struct dr_from_opts *from = v->o->from;
	struct dr_rate r = { .time = dr_now(),
		.us = dr_monotonic() - began,
		.bytes = sum->bytes - before->bytes };
	struct dr_err why = { 0 };

	if (failed)
		r.status = DR_EFAIL;
	else if (sum->bad > before->bad)
		r.status = DR_EDATA;
	else if (sum->unknown > before->unknown || sum->ok == before->ok)
		r.status = DR_EFAIL;
	if (from->no_signature)
		return;
	(void)snprintf(r.store, sizeof(r.store), "%s", v->store);
	if (from->id != NULL)
		(void)snprintf(r.id, sizeof(r.id), "%s", from->id);
	(void)dr_rate_note(from->state, set,
	    v->o->deep ? DR_RATE_DEEP : DR_RATE_VERIFY, &r, &why);
	dr_warn_err(&why);
}

static int
one_set(struct dr_verify *v, struct dr_store *store, const char *set,
    struct dr_err *err)
{
	const struct dr_verify_sum before = *v->sum;
	int64_t began = dr_monotonic();
	const struct dr_from_opts *from = v->o->from;
	struct dr_catalogue_opts co = { .quiet = true };
	struct dr_verify_keys *keys = NULL;
	struct dr_backups all = { NULL, 0 };
	const struct dr_backup *one, *newest = NULL;
	enum dr_verdict was;
	size_t n;
	int rc = -1;

	if (dr_from_keys(from, &keys, err) == -1)
		return -1;
	co.keys = keys;
	if (dr_catalogue_read(store, set, &co, &all, err) == -1 ||
	    seek_heads(v, store, set, &co, &all, err) == -1 ||
	    choose(&all, from->id, &one, &n, err) == -1)
		goto out;
	if (all.n == 0 || (from->id != NULL && n == 0)) {
		struct dr_finding f = { .what = "set",
			.verdict = DR_VERDICT_UNKNOWN,
			.store = v->store,
			.set = set,
			.text = all.n == 0 ? "no backup" : "no such backup" };

		if (dr_verify_tell(v, &f, err) == -1)
			goto out;
	}
	for (size_t i = 0; i < all.n; i++) {
		const struct dr_backup *b = &all.v[i];

		assert(b != NULL);
		if (from->id != NULL && b != one)
			continue;
		if (one_backup(v, store, set, b, &was, err) == -1)
			goto out;
		if ((was == DR_VERDICT_OK || was == DR_VERDICT_COVERED) &&
		    dr_manifest_bool(b->manifest, "complete", true))
			newest = b;
	}
	if (dr_verify_chains(v, set, &all, err) == -1)
		goto out;
	if (age(v, set, newest, err) == -1)
		goto out;
	rc = from->id != NULL && one == NULL
	         ? 0
	         : dr_verify_wal(v, store, set, keys, &all, one, err);

out:
	if (all.n > 0)
		note_rate(v, set, &before, began, rc == -1);
	dr_backups_free(&all);
	dr_verify_keys_free(keys);
	return rc;
}

/* --- stores --------------------------------------------------------------- */

/* Names of sets, each once. */
struct names {
	char **v;
	size_t n;
};

static int
add_name(void *arg, const char *name, struct dr_err *err)
{
	struct names *names = arg;
	char **v;

	if (!dr_set_name_ok(name))
		return 0;
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i], name) == 0)
			return 0;
	if ((v = reallocarray(names->v, names->n + 1, sizeof(*v))) == NULL)
		return dr_err_sys(err, "cannot list the sets");
	names->v = v;
	if ((v[names->n] = dr_fmt(err, "%s", name)) == NULL)
		return -1;
	names->n++;
	return 0;
}

static int
add_seen(void *arg, const struct dr_seen_at *at, struct dr_err *err)
{
	return add_name(arg, at->set, err);
}

static int
sets_of(const struct dr_verify *v, struct dr_store *store, struct names *names,
    struct dr_err *err)
{
	const struct dr_from_opts *from = v->o->from;
	const struct dr_seen_at at = { .state = from->state, .url = v->store };

	if (from->set != NULL)
		return add_name(names, from->set, err);
	if (dr_store_dirs(store, "", add_name, names, err) == -1)
		return -1;
	/* A set that was here and is gone is looked for too. */
	if (from->no_signature)
		return 0;
	return dr_seen_each_heads(&at, add_seen, names, err) == -1
	           ? -1
	           : dr_seen_each_ledger(&at, add_seen, names, err);
}

static int
one_store(struct dr_verify *v, const char *url, struct dr_err *err)
{
	struct names names = { NULL, 0 };
	struct dr_store *store;
	int rc = -1;

	v->store = url;
	if ((store = dr_store_open(url, v->o->from->how, err)) == NULL)
		return -1;
	v->store = dr_store_url(store);
	if (sets_of(v, store, &names, err) == -1)
		goto out;
	rc = 0;
	if (names.n == 0) {
		struct dr_finding f = { .what = "store",
			.verdict = DR_VERDICT_UNKNOWN,
			.store = v->store,
			.text = "no set" };

		rc = dr_verify_tell(v, &f, err);
	}
	for (size_t i = 0; i < names.n && rc == 0; i++)
		rc = one_set(v, store, names.v[i], err);

out:
	v->store = url;
	for (size_t i = 0; i < names.n; i++)
		free(names.v[i]);
	free(names.v);
	dr_store_free(store);
	return rc;
}

static int
stores(struct dr_verify *v, struct dr_err *err)
{
	const struct dr_strs *s = &v->o->from->stores;

	for (size_t i = 0; i < s->n; i++) {
		struct dr_err why = { 0 };
		struct dr_finding f = { .what = "store",
			.verdict = DR_VERDICT_UNKNOWN,
			.store = s->v[i],
			.text = why.msg,
			.hint = why.hint };

		if (one_store(v, s->v[i], &why) == 0)
			continue;
		if (fatal(&why)) {
			*err = why;
			return -1;
		}
		/* What trying again would not mend comes first. */
		if (v->unread.cause == DR_OK ||
		    (v->unread.cause == DR_ERETRY && why.cause != DR_ERETRY))
			v->unread = why;
		if (dr_verify_tell(v, &f, err) == -1)
			return -1;
	}
	return 0;
}

/* --- a file or a stream --------------------------------------------------- */

static int
one_input(struct dr_verify *v, struct dr_err *err)
{
	struct dr_finding f = { .what = "file" };
	struct dr_err why = { 0 }, none = { 0 };
	struct dr_body *body;
	int rc;

	v->sum->backups++;
	if ((body = dr_from_open(v->o->from, err)) == NULL)
		return -1;
	dr_progress_begin(dr_body_name(body), 0);
	(void)look(v, body, &f.members, &why);
	dr_progress_end();
	if (fatal(&why)) {
		*err = why;
		dr_body_free(body);
		return -1;
	}
	if (why.cause == DR_OK || dr_body_known(body))
		f.manifest = dr_body_manifest(body, &none);
	if (why.cause == DR_OK && f.manifest == NULL)
		why = none;
	if (f.manifest != NULL) {
		f.id = dr_manifest_str(f.manifest, "id");
		f.set = dr_manifest_str(f.manifest, "set");
	}
	f.store = dr_body_name(body);
	if (why.cause != DR_OK) {
		f.verdict = verdict(&why);
		f.text = why.msg;
		f.hint = why.hint;
	}
	rc = dr_verify_tell(v, &f, err);
	dr_body_free(body);
	return rc;
}

int
dr_verify_all(const struct dr_verify_opts *o, dr_verify_fn *fn, void *arg,
    struct dr_verify_sum *sum, struct dr_err *err)
{
	struct dr_verify v = { .o = o, .fn = fn, .arg = arg, .sum = sum };

	memset(sum, 0, sizeof(*sum));
	if ((o->from->file != NULL ? one_input(&v, err) : stores(&v, err)) ==
	    -1)
		return -1;
	if (sum->bad > 0)
		return dr_err_set(err, DR_EDATA,
		    "%llu found damaged, missing or forged",
		    (unsigned long long)sum->bad);
	if (v.unread.cause != DR_OK) {
		dr_err_set(err,
		    v.unread.cause == DR_ERETRY ? DR_ERETRY : DR_EFAIL,
		    "a store could not be read; what could be is intact");
		return dr_err_hint(err, "%s", v.unread.hint);
	}
	if (sum->unknown > 0)
		return dr_err_set(err, DR_EPARTIAL,
		    "not everything could be looked at");
	if (sum->covered > 0)
		return dr_err_set(err, DR_EPARTIAL,
		    "%llu overwritten or deleted in the store, and whole "
		    "beneath: all can be restored",
		    (unsigned long long)sum->covered);
	if (sum->old > 0)
		return dr_err_set(err, DR_EPARTIAL,
		    "the newest is older than it may be");
	return 0;
}
