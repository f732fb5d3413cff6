#include <stdlib.h>

#include "base/audit.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/verify.h"
#include "manifest/manifest.h"

static const char *const words[] = {
	[DR_VERDICT_OK] = "ok",
	[DR_VERDICT_PRUNED] = "pruned",
	[DR_VERDICT_REMARK] = "remark",
	[DR_VERDICT_UNKNOWN] = "unknown",
	[DR_VERDICT_OLD] = "old",
	[DR_VERDICT_COVERED] = "covered",
	[DR_VERDICT_BAD] = "damaged",
};

static void
put(struct dr_json *j, const char *key, const char *value)
{
	if (value != NULL && *value != '\0')
		dr_json_str(j, key, value);
}

int
dr_finding_json(const struct dr_finding *f, bool deep, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_json j;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "what", f->what);
	dr_json_str(&j, "status", words[f->verdict]);
	put(&j, "store", f->store);
	put(&j, "set", f->set);
	put(&j, "id", f->id);
	put(&j, "signer", f->signer);
	if (f->manifest != NULL) {
		put(&j, "kind", dr_manifest_str(f->manifest, "kind"));
		put(&j, "started", dr_manifest_str(f->manifest, "started"));
		dr_json_bool(&j, "complete",
		    dr_manifest_bool(f->manifest, "complete", true));
		dr_json_int(&j, "size",
		    dr_manifest_int(f->manifest, "object.size", 0));
		dr_json_bool(&j, "deep", deep && f->verdict == DR_VERDICT_OK);
	}
	if (f->members > 0)
		dr_json_uint(&j, "members", f->members);
	put(&j, "message", f->text);
	put(&j, "hint", f->hint);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}

int
dr_finding_text(const struct dr_finding *f, bool where, struct dr_buf *out,
    struct dr_err *err)
{
	char size[DR_SIZE_LEN];

	if (dr_buf_fmt(out, err, "%-12s %-24s %-8s", f->set ? f->set : "-",
	        f->id ? f->id : "-", words[f->verdict]) == -1)
		return -1;
	if (f->manifest != NULL && f->verdict == DR_VERDICT_OK &&
	    dr_buf_fmt(out, err, " %s%s",
	        dr_format_size((uint64_t)dr_manifest_int(f->manifest,
	                           "object.size", 0),
	            size),
	        dr_manifest_bool(f->manifest, "complete", true)
	            ? ""
	            : " (not complete)") == -1)
		return -1;
	if (f->text != NULL && dr_buf_fmt(out, err, " %s", f->text) == -1)
		return -1;
	if (f->store != NULL && (where || f->verdict != DR_VERDICT_OK) &&
	    dr_buf_fmt(out, err, " [%s]", f->store) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}

static int
metrics(const struct dr_verify_opts *o, const struct dr_verify_sum *sum,
    const struct dr_err *failed, struct dr_err *err)
{
	const char *set = o->from->set != NULL ? o->from->set : "all";
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf labels = { .max = 1024 };
	char *file = NULL;
	int rc = -1;

	if (dr_metric_label(&labels, "set", set, err) == -1 ||
	    dr_metric_label(&labels, "deep", o->deep ? "true" : "false", err) ==
	        -1 ||
	    dr_metric(&m, "drtools_verify_timestamp_seconds", "gauge",
	        "When dr-verify last ran.", labels.data, (double)dr_now() / 1e6,
	        err) == -1 ||
	    dr_metric(&m, "drtools_verify_status", "gauge", "Its exit status.",
	        labels.data, failed == NULL ? 0 : (double)failed->cause,
	        err) == -1 ||
	    dr_metric(&m, "drtools_verify_backups", "gauge",
	        "Backups looked at.", labels.data, (double)sum->backups,
	        err) == -1 ||
	    dr_metric(&m, "drtools_verify_damaged", "gauge",
	        "What was found damaged, missing or forged.", labels.data,
	        (double)sum->bad, err) == -1)
		goto out;
	file = dr_fmt(err, "dr-verify_%s%s", set, o->deep ? "_deep" : "");
	if (file != NULL)
		rc = dr_metrics_write(&m, file, err);

out:
	dr_buf_free(&m.text);
	dr_buf_free(&labels);
	free(file);
	return rc;
}

void
dr_verify_report(const struct dr_verify_opts *o,
    const struct dr_verify_sum *sum, const struct dr_err *failed)
{
	struct dr_buf buf = { .max = 65536 };
	struct dr_err err = { 0 };
	struct dr_json j;

	dr_json_init(&j, &buf);
	dr_json_object(&j, NULL);
	put(&j, "set", o->from->set);
	put(&j, "file", o->from->file);
	dr_json_array(&j, "stores");
	for (size_t i = 0; i < o->from->stores.n; i++)
		dr_json_str(&j, NULL, o->from->stores.v[i]);
	dr_json_close(&j, ']');
	dr_json_bool(&j, "deep", o->deep);
	dr_json_uint(&j, "backups", sum->backups);
	dr_json_uint(&j, "damaged", sum->bad);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, &err) == 0)
		(void)dr_audit("verify", buf.data,
		    failed == NULL ? "ok" : failed->msg, &err);
	dr_warn_err(&err);
	(void)metrics(o, sum, failed, &err);
	dr_warn_err(&err);
	dr_buf_free(&buf);
}
