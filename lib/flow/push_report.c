#include "flow/push_report.h"

#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/audit.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/opt.h"
#include "flow/jsonfile.h"
#include "flow/rates.h"
#include "manifest/manifest.h"

#define P         "drtools_backup_"
#define KEPT_MOST 64 /* stores, old ones included, times kinds */

static const struct dr_err *
failure(const struct dr_target *t, const struct dr_err *result)
{
	return t->err.cause != DR_OK ? &t->err : result;
}

int
dr_push_json(const struct dr_push_opts *o, const struct dr_push_report *r,
    const struct dr_err *result, struct dr_buf *out, struct dr_err *err)
{
	struct dr_json j;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "id", r->id);
	dr_json_str(&j, "set", o->set);
	dr_json_str(&j, "object", r->object);
	dr_json_uint(&j, "size", r->size);
	dr_json_str(&j, "sha256", r->sha256);
	dr_json_bool(&j, "complete",
	    dr_manifest_bool(r->manifest, "complete", true));
	dr_json_bool(&j, "again", r->again);
	dr_json_array(&j, "stores");
	for (size_t i = 0; i < r->n; i++) {
		const struct dr_target *t = &r->target[i];

		dr_json_object(&j, NULL);
		dr_json_str(&j, "store", dr_store_url(t->store));
		dr_json_bool(&j, "done", t->done);
		if (!t->done)
			dr_json_str(&j, "error", failure(t, result)->msg);
		dr_json_close(&j, '}');
	}
	dr_json_close(&j, ']');
	dr_json_close(&j, '}');
	return dr_json_end(&j, err);
}

/* --- when each store got its last one ------------------------------------------ */

static char *
kept_path(const struct dr_push_opts *o, struct dr_err *err)
{
	return dr_fmt(err, "%s/sets/%s/published.json", o->state, o->set);
}

/* The entry of a store and kind in LIST, or NULL. */
static json_t *
kept_entry(json_t *list, const char *url, const char *kind)
{
	json_t *e;
	size_t i;

	json_array_foreach(list, i, e) {
		const char *u = json_string_value(json_object_get(e, "url"));
		const char *k = json_string_value(json_object_get(e, "kind"));

		if (u != NULL && k != NULL && strcmp(u, url) == 0 &&
		    strcmp(k, kind) == 0)
			return e;
	}
	return NULL;
}

/*
 * What was remembered, with what this push adds: {"stores": [{"url", "kind",
 * "time"}]}, the newest last.  The caller's, also where ERR says that it
 * could not be written down.
 */
static json_t *
keep(const struct dr_push_opts *o, const struct dr_push_report *r,
    struct dr_err *err)
{
	const char *kind = dr_manifest_str(r->manifest, "kind");
	struct dr_err ignored = { 0 };
	json_t *json = NULL, *list, *e;
	char *path = kept_path(o, err);

	if (path == NULL)
		return NULL;
	/* One that is damaged is made anew. */
	if (dr_jsonfile_get(path, &json, &ignored) != 1)
		json = json_object();
	list = json_object_get(json, "stores");
	if (!json_is_array(list)) {
		list = json_array();
		(void)json_object_set_new(json, "stores", list);
	}
	for (size_t i = 0; i < r->n && !r->again; i++) {
		const char *url = dr_store_url(r->target[i].store);

		if (!r->target[i].done)
			continue;
		if ((e = kept_entry(list, url, kind)) == NULL) {
			e = json_pack("{s:s, s:s}", "url", url, "kind", kind);
			(void)json_array_append_new(list, e);
		}
		(void)json_object_set_new(e, "time", json_integer(dr_now()));
	}
	while (json_array_size(list) > KEPT_MOST)
		(void)json_array_remove(list, 0);
	(void)dr_jsonfile_put(path, json, err);
	free(path);
	return json;
}

/* --- metrics ------------------------------------------------------------------- */

static int
labels(const struct dr_push_opts *o, const char *store, const char *kind,
    struct dr_buf *out, struct dr_err *err)
{
	out->len = 0;
	if (dr_metric_label(out, "set", o->set, err) == -1 ||
	    (store != NULL && dr_metric_label(out, "store", store, err) == -1))
		return -1;
	return kind == NULL ? 0 : dr_metric_label(out, "kind", kind, err);
}

/* Of every store that has a backup, when it got the last. */
static int
successes(const struct dr_push_opts *o, const json_t *kept,
    struct dr_metrics *m, struct dr_buf *l, struct dr_err *err)
{
	const json_t *list = json_object_get(kept, "stores"), *e;
	size_t i;

	json_array_foreach(list, i, e) {
		const char *url = json_string_value(json_object_get(e, "url"));
		const char *kind =
		    json_string_value(json_object_get(e, "kind"));
		json_int_t at = json_integer_value(json_object_get(e, "time"));

		if (url == NULL || kind == NULL || at == 0)
			continue;
		if (labels(o, url, kind, l, err) == -1 ||
		    dr_metric(m, P "last_success_timestamp_seconds", "gauge",
		        "When a backup was last published.", l->data,
		        (double)at / 1e6, err) == -1)
			return -1;
	}
	return 0;
}

/* Of the last backup that got anywhere. */
static int
measure_backup(const struct dr_push_opts *o, const struct dr_push_report *r,
    const json_t *kept, struct dr_err *err)
{
	const char *kind = dr_manifest_str(r->manifest, "kind");
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf l = { .max = 8192 };
	char file[128];
	int rc = -1;

	if (successes(o, kept, &m, &l, err) == -1 ||
	    labels(o, NULL, kind, &l, err) == -1 ||
	    dr_metric(&m, P "stored_bytes", "gauge",
	        "Size of the last backup as stored.", l.data, (double)r->size,
	        err) == -1 ||
	    dr_metric(&m, P "raw_bytes", "gauge",
	        "Size of the last backup before packing.", l.data,
	        (double)dr_manifest_int(r->manifest, "raw_size",
	            (int64_t)r->size),
	        err) == -1 ||
	    dr_metric(&m, P "push_duration_seconds", "gauge",
	        "How long the last push took.", l.data, (double)r->usec / 1e6,
	        err) == -1 ||
	    dr_metric(&m, P "complete", "gauge",
	        "1 when the last backup was complete.", l.data,
	        dr_manifest_bool(r->manifest, "complete", true) ? 1 : 0,
	        err) == -1)
		goto out;
	(void)snprintf(file, sizeof(file), "dr-push_%s", o->set);
	rc = dr_metrics_write(&m, file, err);

out:
	dr_buf_free(&m.text);
	dr_buf_free(&l);
	return rc;
}

/* Of the stores that took it, those that tell: how full they are. */
static int
measure_room(const struct dr_push_opts *o, const struct dr_push_report *r,
    struct dr_metrics *m, struct dr_buf *l, struct dr_err *err)
{
	uint64_t size[DR_PUSH_STORES], avail[DR_PUSH_STORES];
	bool known[DR_PUSH_STORES];
	size_t i;

	for (i = 0; i < r->n; i++)
		known[i] =
		    r->target[i].done &&
		    dr_store_room(r->target[i].store, &size[i], &avail[i]) == 1;
	for (i = 0; i < r->n; i++)
		if (known[i] &&
		    (labels(o, dr_store_url(r->target[i].store), NULL, l,
		         err) == -1 ||
		        dr_metric(m, "drtools_store_size_bytes", "gauge",
		            "Size of what the store lies on.", l->data,
		            (double)size[i], err) == -1))
			return -1;
	for (i = 0; i < r->n; i++)
		if (known[i] && (labels(o, dr_store_url(r->target[i].store),
		                     NULL, l, err) == -1 ||
		                    dr_metric(m, "drtools_store_free_bytes",
		                        "gauge", "What of that is free.",
		                        l->data, (double)avail[i], err) == -1))
			return -1;
	return 0;
}

/* How old the key is that signs. */
static int
measure_key(const struct dr_push_opts *o, struct dr_metrics *m,
    struct dr_buf *l, struct dr_err *err)
{
	char *own = NULL;
	const char *path = o->sign_key;
	struct stat st;
	int rc = 0;

	if (path == NULL &&
	    (path = own = dr_fmt(err, "%s/sign.key", o->state)) == NULL)
		return -1;
	if (stat(path, &st) == 0 &&
	    (labels(o, NULL, NULL, l, err) == -1 ||
	        dr_metric(m, "drtools_sign_key_timestamp_seconds", "gauge",
	            "When the file of the signing key was last changed.",
	            l->data, (double)st.st_mtime, err) == -1))
		rc = -1;
	free(own);
	return rc;
}

/* Of every run: how it ended, and for each store. */
static int
measure_run(const struct dr_push_opts *o, const struct dr_push_report *r,
    const struct dr_err *result, struct dr_err *err)
{
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf l = { .max = 8192 };
	char file[128];
	int rc = -1;

	if (labels(o, NULL, NULL, &l, err) == -1 ||
	    dr_metric(&m, P "push_status", "gauge",
	        "Exit status of the last dr-push.", l.data,
	        (double)result->cause, err) == -1 ||
	    dr_metric(&m, P "push_timestamp_seconds", "gauge",
	        "When dr-push ran last.", l.data, (double)dr_now() / 1e6,
	        err) == -1)
		goto out;
	for (size_t i = 0; i < r->n; i++) {
		const struct dr_target *t = &r->target[i];

		if (labels(o, dr_store_url(t->store), NULL, &l, err) == -1 ||
		    dr_metric(&m, P "store_status", "gauge",
		        "0 when the store took the last backup, else the cause "
		        "as an exit status: 1 failed, 5 away.",
		        l.data,
		        t->done ? 0.0 : (double)failure(t, result)->cause,
		        err) == -1)
			goto out;
	}
	if (measure_room(o, r, &m, &l, err) == -1 ||
	    measure_key(o, &m, &l, err) == -1)
		goto out;
	(void)snprintf(file, sizeof(file), "dr-push-run_%s", o->set);
	rc = dr_metrics_write(&m, file, err);

out:
	dr_buf_free(&m.text);
	dr_buf_free(&l);
	return rc;
}

/* How fast it was; of several stores, first the run, then each. */
static int
rates(const struct dr_push_opts *o, const struct dr_push_report *r,
    const struct dr_err *result, struct dr_err *err)
{
	struct dr_rate rate = { .time = dr_now(),
		.us = r->usec,
		.bytes = r->size,
		.status = (int)result->cause };

	if (r->again)
		return 0;
	(void)snprintf(rate.id, sizeof(rate.id), "%s", r->id);
	if (r->n != 1 &&
	    dr_rate_note(o->state, o->set, DR_RATE_BACKUP, &rate, err) == -1)
		return -1;
	rate.same_run = r->n != 1;
	for (size_t i = 0; i < r->n; i++) {
		const struct dr_target *t = &r->target[i];

		if (!t->done)
			rate.status = (int)failure(t, result)->cause;
		else if (result->cause != DR_EPARTIAL)
			rate.status = DR_OK;
		(void)snprintf(rate.store, sizeof(rate.store), "%s",
		    dr_store_url(t->store));
		if (dr_rate_note(o->state, o->set, DR_RATE_BACKUP, &rate,
		        err) == -1)
			return -1;
	}
	return 0;
}

void
dr_push_tell(const struct dr_push_opts *o, const struct dr_push_report *r,
    const struct dr_err *result)
{
	struct dr_buf what = { .max = 1U << 20 };
	struct dr_err err = { 0 };
	json_t *kept;

	/* One that cannot be written keeps none of the others from it. */
	if (r->manifest != NULL && dr_push_json(o, r, result, &what, &err) == 0)
		(void)dr_audit("publish", what.data,
		    result->cause == DR_OK ? "ok" : result->msg, &err);
	dr_warn_err(&err);
	(void)rates(o, r, result, &err);
	dr_warn_err(&err);
	if (dr_common.metrics_dir != NULL)
		(void)measure_run(o, r, result, &err);
	dr_warn_err(&err);
	if (r->done > 0) {
		kept = keep(o, r, &err);
		dr_warn_err(&err);
		if (dr_common.metrics_dir != NULL)
			(void)measure_backup(o, r, kept, &err);
		dr_warn_err(&err);
		json_decref(kept);
	}
	dr_buf_free(&what);
}
