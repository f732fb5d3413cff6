#include "flow/restore_report.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/audit.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/opt.h"
#include "flow/rates.h"
#include "manifest/manifest.h"

static int
audit(const struct dr_from_opts *from, const struct dr_restore_opts *to,
    struct dr_body *body, const struct dr_err *failed, struct dr_err *err)
{
	struct dr_buf buf = { .max = 16384 };
	const json_t *m = NULL;
	struct dr_json j;
	int rc = -1;

	if (dr_body_known(body))
		m = dr_body_manifest(body, err);
	dr_json_init(&j, &buf);
	dr_json_object(&j, NULL);
	if (m != NULL)
		dr_json_str(&j, "id", dr_manifest_str(m, "id"));
	if (from->file == NULL)
		dr_json_str(&j, "set", from->set);
	dr_json_str(&j, "from", dr_body_name(body));
	dr_json_str(&j, "directory", to->dir);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == 0)
		rc = dr_audit("restore", buf.data,
		    failed == NULL ? "ok" : failed->msg, err);
	dr_buf_free(&buf);
	return rc;
}

static int
metrics(const struct dr_from_opts *from, const struct dr_restore_facts *facts,
    double seconds, struct dr_err *err)
{
	const char *set = from->set != NULL ? from->set : "none";
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf labels = { .max = 1024 };
	char *file = NULL;
	int rc = -1;

	if (dr_metric_label(&labels, "set", set, err) == 0 &&
	    dr_metric(&m, "drtools_restore_seconds", "gauge",
	        "How long the last restore took.", labels.data, seconds,
	        err) == 0 &&
	    dr_metric(&m, "drtools_restore_bytes", "gauge",
	        "Bytes that the last restore wrote.", labels.data,
	        (double)facts->written, err) == 0 &&
	    dr_metric(&m, "drtools_restore_timestamp_seconds", "gauge",
	        "When the last restore was done.", labels.data,
	        (double)dr_now() / 1e6, err) == 0 &&
	    (file = dr_fmt(err, "dr-restore_%s", set)) != NULL)
		rc = dr_metrics_write(&m, file, err);
	dr_buf_free(&m.text);
	dr_buf_free(&labels);
	free(file);
	return rc;
}

/* Of one that failed there is nothing to learn but that it did. */
static int
rate(const struct dr_from_opts *from, struct dr_body *body, int64_t usec,
    const struct dr_err *failed, struct dr_err *err)
{
	struct dr_rate r = { .time = dr_now(),
		.us = usec,
		.status = failed == NULL ? 0 : (int)failed->cause };
	const json_t *m = NULL;

	if (from->file != NULL)
		return 0;
	if (dr_body_known(body) && (m = dr_body_manifest(body, err)) == NULL)
		return -1;
	if (m != NULL) {
		r.bytes = (uint64_t)dr_manifest_int(m, "object.size", 0);
		(void)snprintf(r.id, sizeof(r.id), "%s",
		    dr_manifest_str(m, "id"));
	}
	(void)snprintf(r.store, sizeof(r.store), "%s", dr_body_store(body));
	return dr_rate_note(from->state, from->set, DR_RATE_RESTORE, &r, err);
}

void
dr_restore_report(const struct dr_from_opts *from,
    const struct dr_restore_opts *to, struct dr_body *body,
    const struct dr_restore_facts *facts, int64_t usec,
    const struct dr_err *failed)
{
	double seconds = (double)usec / 1e6;
	char size[DR_SIZE_LEN], per[DR_SIZE_LEN];
	struct dr_err err = { 0 };

	if (failed == NULL) {
		if (to->delta)
			dr_say(1,
			    "%llu file%s were there already; %s written, "
			    "%llu file%s removed",
			    (unsigned long long)facts->kept,
			    dr_plural(facts->kept),
			    dr_format_size(facts->written, size),
			    (unsigned long long)facts->removed,
			    dr_plural(facts->removed));
		dr_say(1, "restored %llu file%s, %s, in %.1f s (%s/s)",
		    (unsigned long long)facts->files, dr_plural(facts->files),
		    dr_format_size(facts->bytes, size), seconds,
		    dr_format_size((uint64_t)((double)facts->bytes /
		                              (seconds > 0 ? seconds : 1)),
		        per));
		/* The restore is done, whatever becomes of these. */
		(void)metrics(from, facts, seconds, &err);
		dr_warn_err(&err);
	}
	(void)rate(from, body, usec, failed, &err);
	dr_warn_err(&err);
	(void)audit(from, to, body, failed, &err);
	dr_warn_err(&err);
}
