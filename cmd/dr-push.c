/*
 * dr-push - publish a stream in stores (see dr-push(1)).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/audit.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/tty.h"
#include "crypt/secret.h"
#include "flow/push.h"
#include "flow/stores.h"
#include "manifest/manifest.h"

struct options {
	struct dr_push_opts push;
	struct dr_input_opts in;
	struct dr_stores_line line;
	int require;
	bool json;
};

/* What came of it, as one JSON object. */
static int
describe(const struct options *o, const struct dr_push_report *r,
    const struct dr_err *result, struct dr_buf *out, struct dr_err *err)
{
	struct dr_json j;
	size_t i;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "id", r->id);
	dr_json_str(&j, "set", o->push.set);
	dr_json_str(&j, "object", r->object);
	dr_json_uint(&j, "size", r->size);
	dr_json_str(&j, "sha256", r->sha256);
	dr_json_bool(&j, "complete",
	    dr_manifest_bool(r->manifest, "complete", true));
	dr_json_bool(&j, "again", r->again);
	dr_json_array(&j, "stores");
	for (i = 0; i < r->n; i++) {
		const struct dr_target *t = &r->target[i];

		dr_json_object(&j, NULL);
		dr_json_str(&j, "store", dr_store_url(t->store));
		dr_json_bool(&j, "done", t->done);
		if (!t->done)
			dr_json_str(&j, "error",
			    t->err.cause != DR_OK ? t->err.msg : result->msg);
		dr_json_close(&j, '}');
	}
	dr_json_close(&j, ']');
	dr_json_close(&j, '}');
	return dr_json_end(&j, err);
}

static int
labels(const struct options *o, const struct dr_push_report *r,
    const char *store, struct dr_buf *out, struct dr_err *err)
{
	const char *kind = dr_manifest_str(r->manifest, "kind");

	out->len = 0;
	if (dr_metric_label(out, "set", o->push.set, err) == -1 ||
	    (store != NULL && dr_metric_label(out, "store", store, err) == -1))
		return -1;
	return dr_metric_label(out, "kind", kind, err);
}

static int
measure(const struct options *o, const struct dr_push_report *r,
    struct dr_err *err)
{
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf l = { .max = 8192 };
	char file[128];
	int rc = -1;
	size_t i;

	for (i = 0; i < r->n; i++)
		if (r->target[i].done &&
		    (labels(o, r, dr_store_url(r->target[i].store), &l, err) ==
		            -1 ||
		        dr_metric(&m,
		            "drtools_backup_last_success_timestamp_seconds",
		            "gauge", "When a backup was last published.",
		            l.data, (double)dr_now() / 1e6, err) == -1))
			goto out;
	if (labels(o, r, NULL, &l, err) == -1 ||
	    dr_metric(&m, "drtools_backup_stored_bytes", "gauge",
	        "Size of the last backup as stored.", l.data, (double)r->size,
	        err) == -1 ||
	    dr_metric(&m, "drtools_backup_raw_bytes", "gauge",
	        "Size of the last backup before packing.", l.data,
	        (double)dr_manifest_int(r->manifest, "raw_size",
	            (int64_t)r->size),
	        err) == -1 ||
	    dr_metric(&m, "drtools_backup_push_duration_seconds", "gauge",
	        "How long the last push took.", l.data, (double)r->usec / 1e6,
	        err) == -1 ||
	    dr_metric(&m, "drtools_backup_complete", "gauge",
	        "1 when the last backup was complete.", l.data,
	        dr_manifest_bool(r->manifest, "complete", true) ? 1 : 0,
	        err) == -1)
		goto out;
	(void)snprintf(file, sizeof(file), "dr-push_%s", o->push.set);
	rc = dr_metrics_write(&m, file, err);

out:
	dr_buf_free(&m.text);
	dr_buf_free(&l);
	return rc;
}

/* What others are told; a failure here does not undo the backup. */
static void
tell(const struct options *o, const struct dr_push_report *r,
    const struct dr_err *result)
{
	struct dr_buf what = { .max = 1U << 20 };
	struct dr_err err = { 0 };

	if (describe(o, r, result, &what, &err) == 0 && o->json)
		printf("%s\n", what.data);
	if (err.cause == DR_OK)
		(void)dr_audit("publish", what.data,
		    result->cause == DR_OK ? "ok" : result->msg, &err);
	if (err.cause == DR_OK && r->done > 0)
		(void)measure(o, r, &err);
	if (err.cause != DR_OK)
		dr_warn("%s", err.msg);
	dr_buf_free(&what);
}

static int
run(struct options *o, struct dr_err *err)
{
	struct dr_push_report r = { 0 };
	struct dr_input *in;
	char size[DR_SIZE_LEN];
	int rc;

	if (dr_crypt_init(err) == -1 ||
	    (in = dr_input_open(&o->in, err)) == NULL)
		return -1;
	dr_progress_begin("pushing", 0);
	rc = dr_push(in, &o->push, &r, err);
	dr_progress_end();
	if (r.manifest != NULL)
		tell(o, &r, err);
	if (rc == 0)
		dr_say(1, "backup %s, %s, %s %zu store%s", r.id,
		    dr_format_size(r.size, size),
		    r.again ? "was already in" : "is in", r.done,
		    r.done == 1 ? "" : "s");
	dr_push_wipe(&r);
	dr_input_free(in);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o = { .line = DR_STORES_LINE_INIT };
	struct dr_strs stores = { NULL, 0 };
	const struct dr_opt opts[] = {
		{ "set", 'n', DR_OPT_STR, &o.push.set, 0, 0, "SET",
		    "publish in SET", "DR_SET" },
		{ "sign-key", 'k', DR_OPT_STR, &o.push.sign_key, 0, 0, "FILE",
		    "sign with FILE (STATE/sign.key, made at first use)",
		    "DR_SIGN_KEY" },
		{ "input", 0, DR_OPT_STR, &o.in.path, 0, 0, "FILE",
		    "publish FILE and FILE.json, not standard input", NULL },
		{ "require", 0, DR_OPT_INT, &o.require, 1, DR_PUSH_STORES, "N",
		    "succeed when N stores have it (all)", NULL },
		{ "plain", 0, DR_OPT_FLAG, &o.push.plain, 0, 0, NULL,
		    "an unsealed backup is meant", NULL },
		{ "verify-key", 'K', DR_OPT_STR, &o.in.verify_key, 0, 0, "FILE",
		    "verify the signature of --input with FILE",
		    "DR_VERIFY_KEY" },
		{ "no-signature", 0, DR_OPT_FLAG, &o.in.no_signature, 0, 0,
		    NULL, "do not verify the signature of --input", NULL },
		{ "json", 0, DR_OPT_FLAG, &o.json, 0, 0, NULL,
		    "print the result as JSON", NULL },
		DR_OPTS_STORE(&o.line),
		DR_OPTS_LOCK(&o.line),
		DR_OPTS_BODY(&o.line),
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-push",
		"[-n SET] [-k FILE] [--input FILE] [--require N] "
		"[--plain]\n"
		"               [--lock-days N | --lock-until TIME] "
		"[--lock-mode MODE]\n"
		"               [--legal-hold] [--storage-class CLASS] "
		"[--sse KIND]\n"
		"               [--limit-rate SIZE] [--json] STORE...",
		"Publish a backup in one or more stores at once.",
		"dr-snap -d service=main | dr-pack | "
		"dr-seal -R /etc/dr/recipients |\n"
		"    dr-push -n main /backup /mnt/second/backup\n",
		opts };
	struct dr_err err = { 0 };
	int first;

	dr_main_begin(cmd.name);
	if ((first = dr_opt_parse(&cmd, argc, argv, &err)) == -1 ||
	    dr_set_named(o.push.set, &err) == -1 ||
	    dr_stores_how(&o.line, &err) == -1 ||
	    dr_stores_named(argc - first, argv + first, &stores, &err) == -1)
		goto out;
	o.push.stores = stores.v;
	o.push.nstores = stores.n;
	o.push.how = &o.line.how;
	o.push.require = (size_t)o.require;
	o.push.state = o.in.state = dr_common.state;
	(void)run(&o, &err);

out:
	dr_strs_free(&stores);
	return dr_main_end(&err);
}
