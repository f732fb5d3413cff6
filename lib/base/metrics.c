#include "base/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/opt.h"

static void
format(double v, char *out, size_t size)
{
	if (isnan(v))
		snprintf(out, size, "NaN");
	else if (isinf(v))
		snprintf(out, size, v > 0 ? "+Inf" : "-Inf");
	else
		for (int digits = 15; digits <= 17; digits++) {
			snprintf(out, size, "%.*g", digits, v);
			if (strtod(out, NULL) >= v && strtod(out, NULL) <= v)
				break;
		}
}

int
dr_metric(struct dr_metrics *m, const char *name, const char *type,
    const char *help, const char *labels, double value, struct dr_err *err)
{
	char *head, number[40];
	bool first;

	if ((head = dr_fmt(err, "# TYPE %s %s\n", name, type)) == NULL)
		return -1;
	first = m->text.data == NULL || strstr(m->text.data, head) == NULL;
	if (first && dr_buf_fmt(&m->text, err, "# HELP %s %s\n%s", name, help,
	                 head) == -1) {
		free(head);
		return -1;
	}
	free(head);
	format(value, number, sizeof(number));
	if (*labels == '\0')
		return dr_buf_fmt(&m->text, err, "%s %s\n", name, number);
	return dr_buf_fmt(&m->text, err, "%s{%s} %s\n", name, labels, number);
}

int
dr_metrics_write(struct dr_metrics *m, const char *file, struct dr_err *err)
{
	char *path = NULL, *s;
	int rc = 0;

	if (dr_common.metrics_dir == NULL)
		goto out;
	rc = -1;
	path = dr_fmt(err, "%s/%s.prom", dr_common.metrics_dir, file);
	if (path == NULL)
		goto out;
	s = path + strlen(dr_common.metrics_dir) + 1;
	if (*s == '.')
		*s = '_';
	for (; *s != '\0'; s++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		           "abcdefghijklmnopqrstuvwxyz0123456789._-",
		        *s) == NULL)
			*s = '_';
	rc = dr_file_put(path, 0644, DR_FILE_REPLACE,
	    m->text.data != NULL ? m->text.data : "", m->text.len, err);
out:
	free(path);
	dr_buf_free(&m->text);
	return rc;
}

int
dr_metric_label(struct dr_buf *out, const char *label, const char *value,
    struct dr_err *err)
{
	if (dr_buf_fmt(out, err, "%s%s=\"", out->len > 0 ? "," : "", label) ==
	    -1)
		return -1;
	for (; *value != '\0'; value++) {
		const char *s = *value == '\\'   ? "\\\\"
		                : *value == '"'  ? "\\\""
		                : *value == '\n' ? "\\n"
		                                 : NULL;

		if (s != NULL ? dr_buf_str(out, s, err) == -1
		              : dr_buf_add(out, value, 1, err) == -1)
			return -1;
	}
	return dr_buf_add(out, "\"", 1, err);
}
