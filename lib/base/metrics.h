/*
 * metrics.h - Prometheus textfiles, written atomically where
 * dr_common.metrics_dir says; without one, nothing is done.
 */
#ifndef DR_BASE_METRICS_H
#define DR_BASE_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct dr_metrics {
	struct dr_buf text;
};

#define DR_METRICS_INIT                 \
	{                               \
		{                       \
			.max = 4U << 20 \
		}                       \
	}

/*
 * One sample.  NAME is "drtools_..." in base units; TYPE "gauge" or
 * "counter"; LABELS is "set=\"prod\",store=\"/b\"" or "".  Equal names must
 * follow each other: HELP and TYPE are written before the first.
 */
int dr_metric(struct dr_metrics *, const char *name, const char *type,
    const char *help, const char *labels, double value, struct dr_err *);

/*
 * Write DIR/FILE.prom, where FILE is e.g. "dr-push_prod" (other characters
 * than [A-Za-z0-9._-] become '_'), replacing the former, and free the text.
 */
int dr_metrics_write(struct dr_metrics *, const char *file, struct dr_err *);

/* LABEL="VALUE" with VALUE escaped, appended to OUT after a comma if need be. */
int dr_metric_label(struct dr_buf *out, const char *label, const char *value,
    struct dr_err *);

#endif /* !DR_BASE_METRICS_H */
