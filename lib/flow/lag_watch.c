/* The terminal view, again and again. */
#include <sys/ioctl.h>

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "flow/lag_int.h"

/* The other screen, without a cursor; and back. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

static int
show(const char *s, size_t n, struct dr_err *err)
{
	return dr_fd_write(1, s, n, "standard output", err);
}

/* As many lines as there is room for, each to the end of its line. */
static int
draw(const struct dr_buf *table, unsigned rows, struct dr_err *err)
{
	struct dr_buf out = { .max = 8U << 20 };
	const char *s = table->data, *nl;
	int rc = dr_buf_str(&out, "\033[H", err);

	for (unsigned n = 1; rc == 0 && (nl = strchr(s, '\n')) != NULL; n++) {
		if (dr_buf_add(&out, s, (size_t)(nl - s), err) == -1 ||
		    dr_buf_str(&out, "\033[K", err) == -1)
			rc = -1;
		s = nl + 1;
		if (n == rows)
			break;
		if (rc == 0)
			rc = dr_buf_str(&out, "\r\n", err);
	}
	if (rc == 0)
		rc = dr_buf_str(&out, "\033[J", err);
	if (rc == 0)
		rc = show(out.data, out.len, err);
	dr_buf_free(&out);
	return rc;
}

static int
turn(const struct dr_lag_opts *o, struct dr_store *const *store, size_t n,
    struct dr_err *err)
{
	struct dr_buf table = { .max = 4U << 20 };
	struct winsize ws = { 0 };
	struct dr_lag lag;
	int rc;

	if (dr_lag_report(o, store, n, &lag, err) == -1)
		return -1;
	if (ioctl(1, TIOCGWINSZ, &ws) == -1)
		ws.ws_row = ws.ws_col = 0;
	rc = dr_lag_table(&lag, true, ws.ws_col, &table, err);
	if (rc == 0)
		rc = draw(&table, ws.ws_row, err);
	dr_buf_free(&table);
	dr_lag_free(&lag);
	return rc;
}

int
dr_lag_watch(const struct dr_lag_opts *o, struct dr_store *const *store,
    size_t n, uint64_t interval_ms, struct dr_err *err)
{
	const bool quiet = dr_quiet;
	int64_t next;
	int rc;

	if (isatty(1) == 0) {
		dr_err_set(err, DR_EUSAGE,
		    "--watch draws on a terminal, and standard output is none");
		return dr_err_hint(err, "without --watch the report is printed "
		                        "once");
	}
	if (show(ENTER, strlen(ENTER), err) == -1)
		return -1;
	dr_quiet = true; /* warnings would be drawn across it */
	do {
		next = dr_monotonic() + (int64_t)interval_ms * 1000;
		rc = turn(o, store, n, err);
		while (rc == 0 && dr_monotonic() < next) {
			struct pollfd p = { dr_stop_fd(), POLLIN, 0 };

			(void)poll(&p, 1,
			    (int)((next - dr_monotonic()) / 1000) + 1);
			rc = dr_check_stop(err);
		}
	} while (rc == 0);
	dr_quiet = quiet;
	/* Not by dr_fd_write, which a stop signal ends. */
	if (write(1, LEAVE, strlen(LEAVE)) == -1)
		dr_err_sys(err, "cannot write standard output");
	return rc;
}
