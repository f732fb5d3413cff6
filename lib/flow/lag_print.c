/* The report on standard output, and as a textfile. */
#include <sys/ioctl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/opt.h"
#include "flow/lag_int.h"

static bool
coloured(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(1) == 1 && (no == NULL || *no == '\0') &&
	       (term == NULL || strcmp(term, "dumb") != 0);
}

static unsigned
columns(void)
{
	struct winsize ws = { 0 };

	if (isatty(1) == 0 || ioctl(1, TIOCGWINSZ, &ws) == -1)
		return 0;
	return ws.ws_col;
}

static void
textfile(const struct dr_lag *lag, const char *set)
{
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_err why = { 0 };
	char file[80];

	(void)snprintf(file, sizeof(file), "dr-lag%s%s", set != NULL ? "_" : "",
	    set != NULL ? set : "");
	if (dr_lag_metrics(lag, &m, &why) == -1 ||
	    dr_metrics_write(&m, file, &why) == -1)
		dr_warn("%s", why.msg);
	dr_buf_free(&m.text);
}

int
dr_lag_print(const struct dr_lag *lag, enum dr_lag_form form, const char *set,
    struct dr_err *err)
{
	struct dr_buf out = { .max = 64U << 20 };
	int rc = -1, status = dr_lag_status(lag);

	switch (form) {
	case DR_LAG_TABLE:
		rc = dr_lag_table(lag, coloured(), columns(), &out, err);
		break;
	case DR_LAG_JSON:
		rc = dr_lag_json(lag, &out, err);
		break;
	case DR_LAG_PROMETHEUS:
		rc = dr_lag_prom(lag, &out, err);
		break;
	case DR_LAG_NAGIOS:
		rc = status = dr_lag_nagios(lag, &out, err);
		break;
	}
	if (rc != -1)
		rc = dr_fd_write(1, out.data, out.len, "standard output", err);
	dr_buf_free(&out);
	if (dr_common.metrics_dir != NULL)
		textfile(lag, set);
	return rc == -1 ? -1 : status;
}
