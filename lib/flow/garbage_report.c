#include <stdlib.h>

#include "base/json.h"
#include "base/metrics.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/garbage.h"

static const char *const whats[] = { "body", "upload", "increment", "probe",
	"unknown" };
static const char *const results[] = { "planned", "deleted", "gone", "kept",
	"failed" };

static char *
age(int64_t modified, char out[DR_SIZE_LEN])
{
	int64_t us = dr_now() - modified;

	return dr_format_msec(us < 0 ? 0 : (uint64_t)us / 1000, out);
}

int
dr_garbage_text(const char *store, const struct dr_garbage_item *it,
    struct dr_buf *out, struct dr_err *err)
{
	char size[DR_SIZE_LEN], old[DR_SIZE_LEN];

	if (dr_buf_fmt(out, err, "%-9s %-8s %11s %12s  %s  %s", whats[it->what],
	        results[it->result],
	        it->id != NULL ? "-" : dr_format_size(it->size, size),
	        age(it->modified, old), it->name, it->why) == -1)
		return -1;
	if (it->message != NULL &&
	    dr_buf_fmt(out, err, ": %s", it->message) == -1)
		return -1;
	return dr_buf_fmt(out, err, " [%s]\n", store);
}

int
dr_garbage_json(const char *store, const char *set,
    const struct dr_garbage_item *it, struct dr_buf *out, struct dr_err *err)
{
	char when[DR_TIME_LEN];
	struct dr_json j;

	dr_json_init(&j, out);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "what", whats[it->what]);
	dr_json_str(&j, "status", results[it->result]);
	dr_json_str(&j, "store", store);
	dr_json_str(&j, "set", set);
	dr_json_str(&j, "name", it->name);
	if (it->id != NULL)
		dr_json_str(&j, "upload", it->id);
	else
		dr_json_uint(&j, "size", it->size);
	dr_json_str(&j, "modified", dr_format_time(it->modified, when));
	dr_json_str(&j, "why", it->why);
	if (it->message != NULL)
		dr_json_str(&j, "message", it->message);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, err) == -1)
		return -1;
	return dr_buf_str(out, "\n", err);
}

static int
write_metrics(const struct dr_garbage_opts *o, const struct dr_garbage_sum *s,
    const struct dr_err *failed, struct dr_err *err)
{
	const struct {
		const char *name, *help;
		double value;
	} v[] = {
		{ "drtools_prune_timestamp_seconds", "When dr-prune last ran.",
		    (double)dr_now() / 1e6 },
		{ "drtools_prune_status", "Its exit status.",
		    failed == NULL ? 0 : (double)failed->cause },
		{ "drtools_prune_garbage_objects", "What was found garbage.",
		    (double)s->found },
		{ "drtools_prune_garbage_bytes", "The size of that.",
		    (double)s->found_bytes },
		{ "drtools_prune_deleted_objects", "What was deleted of it.",
		    (double)s->deleted },
		{ "drtools_prune_deleted_bytes", "The size of that.",
		    (double)s->deleted_bytes },
		{ "drtools_prune_unknown_objects",
		    "Objects whose names are not understood.",
		    (double)s->unknown },
	};
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf labels = { .max = 1024 };
	char *file = NULL;
	int rc = -1;

	if (dr_metric_label(&labels, "set", o->set, err) == -1)
		goto out;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		if (dr_metric(&m, v[i].name, "gauge", v[i].help, labels.data,
		        v[i].value, err) == -1)
			goto out;
	if ((file = dr_fmt(err, "dr-prune_%s", o->set)) != NULL)
		rc = dr_metrics_write(&m, file, err);

out:
	dr_buf_free(&m.text);
	dr_buf_free(&labels);
	free(file);
	return rc;
}

void
dr_garbage_metrics(const struct dr_garbage_opts *o,
    const struct dr_garbage_sum *sum, const struct dr_err *failed)
{
	struct dr_err err = { 0 };

	(void)write_metrics(o, sum, failed, &err);
	dr_warn_err(&err);
}
