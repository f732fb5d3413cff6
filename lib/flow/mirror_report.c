#include "flow/mirror_report.h"

#include <stdio.h>

#include "base/audit.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/msg.h"
#include "base/num.h"

#define P "drtools_mirror_"

int
dr_mirror_json(const struct dr_mirror_opts *o, const struct dr_mirror_sum *s,
    struct dr_buf *out, struct dr_err *err)
{
	struct dr_json j;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "set", s->set);
	dr_json_str(&j, "source", s->src);
	dr_json_str(&j, "target", s->dst);
	dr_json_bool(&j, "dry_run", o->dry_run);
	dr_json_uint(&j, "lacking", s->lacking);
	dr_json_uint(&j, "lacking_bytes", s->lacking_bytes);
	dr_json_uint(&j, "copied", s->copied);
	dr_json_uint(&j, "copied_bytes", s->copied_bytes);
	dr_json_uint(&j, "failed", s->failed);
	dr_json_uint(&j, "damaged", s->damaged);
	dr_json_uint(&j, "unknown", s->unknown);
	dr_json_real(&j, "seconds", (double)s->usec / 1e6);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}

static int
measure(const struct dr_mirror_sum *s, struct dr_err *err)
{
	const struct {
		const char *name, *help;
		double value;
	} v[] = {
		{ P "copied_objects", "What the last run copied.",
		    (double)s->copied },
		{ P "copied_bytes", "The size of that.",
		    (double)s->copied_bytes },
		{ P "failed_objects", "What the last run could not copy.",
		    (double)s->failed },
		{ P "damaged_objects",
		    "What it would not copy: damaged, or "
		    "not signed for.",
		    (double)s->damaged },
		{ P "duration_seconds", "How long it took.",
		    (double)s->usec / 1e6 },
		{ P "last_success_timestamp_seconds",
		    "When the target had all that the source has.",
		    (double)dr_now() / 1e6 },
	};
	/* The last one is only true of a success. */
	size_t n = sizeof(v) / sizeof(*v) - (s->failed + s->damaged > 0);
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf l = { .max = 8192 };
	char file[256];
	int rc = -1;

	if (dr_metric_label(&l, "set", s->set, err) == -1 ||
	    dr_metric_label(&l, "source", s->src, err) == -1 ||
	    dr_metric_label(&l, "target", s->dst, err) == -1)
		goto out;
	for (size_t i = 0; i < n; i++)
		if (dr_metric(&m, v[i].name, "gauge", v[i].help, l.data,
		        v[i].value, err) == -1)
			goto out;
	(void)snprintf(file, sizeof(file), "dr-mirror%s_%s_%s",
	    s->failed + s->damaged > 0 ? "-run" : "", s->set, s->dst);
	rc = dr_metrics_write(&m, file, err);

out:
	dr_buf_free(&m.text);
	dr_buf_free(&l);
	return rc;
}

void
dr_mirror_tell(const struct dr_mirror_opts *o, const struct dr_mirror_sum *s)
{
	struct dr_buf what = { .max = 65536 };
	struct dr_err err = { 0 };

	if (dr_mirror_json(o, s, &what, &err) == 0)
		(void)dr_audit("mirror", what.data,
		    s->failed + s->damaged == 0 ? "ok" : "not all was copied",
		    &err);
	dr_warn_err(&err);
	(void)measure(s, &err);
	dr_warn_err(&err);
	dr_buf_free(&what);
}
