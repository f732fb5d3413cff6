#include <stdio.h>

#include "base/audit.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/opt.h"
#include "flow/walpush.h"

#define P "drtools_wal_push_"

static int
labels(const struct dr_walpush_opts *o, const char *store, struct dr_buf *out,
    struct dr_err *err)
{
	out->len = 0;
	if (dr_metric_label(out, "set", o->ship.set, err) == -1)
		return -1;
	return store == NULL ? 0 : dr_metric_label(out, "store", store, err);
}

/* Of every run: how it went, and what waits. */
static int
measure_run(const struct dr_walpush_opts *o, const struct dr_walpush_report *r,
    const struct dr_err *result, struct dr_err *err)
{
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf l = { .max = 8192 };
	char file[128];
	int rc = -1;

	if (labels(o, NULL, &l, err) == -1 ||
	    dr_metric(&m, P "status", "gauge",
	        "Exit status of the last dr-wal push.", l.data,
	        (double)result->cause, err) == -1 ||
	    dr_metric(&m, P "timestamp_seconds", "gauge",
	        "When dr-wal push ran last.", l.data, (double)dr_now() / 1e6,
	        err) == -1)
		goto out;
	if (r->queue && (dr_metric(&m, P "waiting_files", "gauge",
	                     "Files that wait to be archived.", l.data,
	                     (double)r->waiting_n, err) == -1 ||
	                    dr_metric(&m, P "waiting_bytes", "gauge",
	                        "WAL that waits to be archived.", l.data,
	                        (double)r->waiting, err) == -1 ||
	                    dr_metric(&m, P "waiting_over_limit", "gauge",
	                        "1 when more waits than --queue-max.", l.data,
	                        r->over, err) == -1))
		goto out;
	if (o->lock != NULL && o->lock->lock != NULL &&
	    dr_metric(&m, P "refused", "gauge",
	        "1 when the last file is of WAL that another server has taken "
	        "over from.",
	        l.data, r->refused, err) == -1)
		goto out;
	(void)snprintf(file, sizeof(file), "dr-wal-push-run_%s", o->ship.set);
	rc = dr_metrics_write(&m, file, err);

out:
	dr_buf_free(&m.text);
	dr_buf_free(&l);
	return rc;
}

/* Of what was stored, and by which stores. */
static int
measure_file(const struct dr_walpush_opts *o, const struct dr_walpush_report *r,
    struct dr_err *err)
{
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf l = { .max = 8192 };
	char file[128];
	int rc = -1;

	if (labels(o, NULL, &l, err) == -1 ||
	    dr_metric(&m, P "last_success_timestamp_seconds", "gauge",
	        "When WAL was last stored in the required stores.", l.data,
	        (double)dr_now() / 1e6, err) == -1 ||
	    dr_metric(&m, P "duration_seconds", "gauge",
	        "How long the last push took.", l.data, (double)r->usec / 1e6,
	        err) == -1 ||
	    dr_metric(&m, P "ahead_files", "gauge",
	        "Files that the last push stored before their turn.", l.data,
	        (double)r->ahead, err) == -1)
		goto out;
	for (size_t i = 0; i < o->ship.nstores; i++)
		if (labels(o, dr_ship_url(r->ship, i), &l, err) == -1 ||
		    dr_metric(&m, P "store_failed", "gauge",
		        "1 when the last push did not reach the store.", l.data,
		        !r->result.store[i].done, err) == -1)
			goto out;
	(void)snprintf(file, sizeof(file), "dr-wal-push_%s", o->ship.set);
	rc = dr_metrics_write(&m, file, err);

out:
	dr_buf_free(&m.text);
	dr_buf_free(&l);
	return rc;
}

static int
audit(const struct dr_walpush_opts *o, const struct dr_walpush_report *r,
    const struct dr_err *result, struct dr_err *err)
{
	struct dr_buf what = { .max = 1U << 20 };
	struct dr_json j;
	int rc;

	dr_json_init(&j, &what);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "set", o->ship.set);
	dr_json_str(&j, "file", r->name);
	dr_json_bool(&j, "again", r->again);
	dr_json_uint(&j, "ahead", r->ahead);
	dr_json_array(&j, "stores");
	for (size_t i = 0; r->ship != NULL && i < o->ship.nstores; i++) {
		dr_json_object(&j, NULL);
		dr_json_str(&j, "store", dr_ship_url(r->ship, i));
		dr_json_bool(&j, "done", r->result.store[i].done);
		if (!r->result.store[i].done)
			dr_json_str(&j, "error",
			    r->result.store[i].err.cause != DR_OK
			        ? r->result.store[i].err.msg
			        : result->msg);
		dr_json_close(&j, '}');
	}
	dr_json_close(&j, ']');
	dr_json_close(&j, '}');
	if ((rc = dr_json_end(&j, err)) == 0)
		rc = dr_audit("archive", what.data,
		    result->cause == DR_OK ? "ok" : result->msg, err);
	dr_buf_free(&what);
	return rc;
}

void
dr_walpush_tell(const struct dr_walpush_opts *o,
    const struct dr_walpush_report *r, const struct dr_err *result)
{
	struct dr_err err = { 0 };

	if (dr_common.audit != NULL)
		(void)audit(o, r, result, &err);
	dr_warn_err(&err);
	if (dr_common.metrics_dir != NULL) {
		(void)measure_run(o, r, result, &err);
		dr_warn_err(&err);
		if (r->ship != NULL && result->cause == DR_OK)
			(void)measure_file(o, r, &err);
		dr_warn_err(&err);
	}
}
