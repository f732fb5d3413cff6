#include "base/tty.h"

#include <sys/ioctl.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/opt.h"

/* Microseconds between two drawings. */
#define EVERY 200000

static struct {
	bool begun, draw;
	char what[40], note[80];
	uint64_t total, done;
	int64_t start, drawn;
	int width; /* columns that the line takes now */
} meter;

static volatile sig_atomic_t asked;

static void
on_usr1(int sig)
{
	(void)sig;
	asked = 1;
}

static int
columns(void)
{
	struct winsize ws;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 20)
		return ws.ws_col;
	return 80;
}

static void
describe(char *out, size_t size)
{
	int64_t took = dr_monotonic() - meter.start;
	char done[DR_SIZE_LEN], other[DR_SIZE_LEN];
	double rate = 0;
	size_t n;

	if (took > 0)
		rate = (double)meter.done * 1e6 / (double)took;
	snprintf(out, size, "%s%s%s", meter.what,
	    meter.what[0] != '\0' ? ": " : "",
	    dr_format_size(meter.done, done));
	n = strlen(out);
	if (meter.total > 0) {
		double part = 100.0 * (double)meter.done / (double)meter.total;

		snprintf(out + n, size - n, " of %s, %d%%",
		    dr_format_size(meter.total, other),
		    part > 100 ? 100 : (int)part);
		n = strlen(out);
	}
	snprintf(out + n, size - n, ", %s/s",
	    dr_format_size((uint64_t)rate, other));
	n = strlen(out);
	if (meter.total > meter.done && rate >= 1) {
		double left = (double)(meter.total - meter.done) / rate;

		if (left < 8e9) {
			snprintf(out + n, size - n, ", ETA %s",
			    dr_format_msec((uint64_t)left * 1000, other));
			n = strlen(out);
		}
	}
	if (meter.note[0] != '\0')
		snprintf(out + n, size - n, ", %s", meter.note);
}

static void
draw(int64_t now)
{
	char line[240];
	int most = columns() - 1, len;

	describe(line, sizeof(line));
	len = (int)strlen(line);
	if (len > most)
		len = most;
	/* Blanks over what the longer line before left. */
	fprintf(stderr, "\r%.*s%*s", len, line,
	    meter.width > len ? meter.width - len : 0, "");
	fflush(stderr);
	meter.width = len;
	meter.drawn = now;
}

void
dr_progress_hide(void)
{
	if (meter.width == 0)
		return;
	fprintf(stderr, "\r%*s\r", meter.width, "");
	fflush(stderr);
	meter.width = 0;
}

void
dr_progress_poll(void)
{
	char line[240];

	if (!asked || !meter.begun)
		return;
	asked = 0;
	dr_progress_hide();
	describe(line, sizeof(line));
	fprintf(stderr, "%s: %s\n", dr_tool(), line);
}

void
dr_progress_begin(const char *what, uint64_t total)
{
	struct sigaction sa;

	memset(&meter, 0, sizeof(meter));
	meter.begun = true;
	meter.total = total;
	snprintf(meter.what, sizeof(meter.what), "%s", what);
	meter.start = dr_monotonic();
	if (dr_common.progress == 1)
		meter.draw = true;
	else if (dr_common.progress == 0)
		meter.draw = !dr_quiet && isatty(STDERR_FILENO) == 1;
	if (*dr_tool() == '\0')
		meter.draw = false;
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_usr1;
	sa.sa_flags = SA_RESTART;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGUSR1, &sa, NULL);
}

void
dr_progress(uint64_t done)
{
	int64_t now;

	if (!meter.begun)
		return;
	meter.done = done;
	if (asked)
		dr_progress_poll();
	if (!meter.draw)
		return;
	now = dr_monotonic();
	/* Nothing for what is over at once. */
	if (now - (meter.drawn != 0 ? meter.drawn : meter.start) >= EVERY)
		draw(now);
}

void
dr_progress_total(uint64_t total)
{
	meter.total = total;
}

void
dr_progress_note(const char *note)
{
	snprintf(meter.note, sizeof(meter.note), "%s", note);
}

void
dr_progress_end(void)
{
	char line[240];

	if (!meter.begun)
		return;
	dr_progress_hide();
	meter.begun = false;
	if (dr_verbose > 0) {
		char size[DR_SIZE_LEN], took[DR_SIZE_LEN];
		int64_t us = dr_monotonic() - meter.start;

		snprintf(line, sizeof(line),
		    "%s%s%s (%" PRIu64 " byte%s) in %s", meter.what,
		    meter.what[0] != '\0' ? ": " : "",
		    dr_format_size(meter.done, size), meter.done,
		    dr_plural(meter.done),
		    dr_format_msec((uint64_t)us / 1000, took));
		dr_say(1, "%s", line);
	}
}

/* --- passphrases --------------------------------------------------------- */

/* One line without its end; one byte at a time, to take no more than it. */
static int
read_line(int fd, const char *name, char *out, size_t max, struct dr_err *err)
{
	size_t n = 0;
	ssize_t got;
	char c;

	for (;;) {
		if ((got = dr_fd_read(fd, &c, 1, name, err)) == -1)
			return -1;
		if (got == 0 || c == '\n')
			break;
		if (n + 1 >= max) {
			explicit_bzero(out, max);
			return dr_err_set(err, DR_EFAIL,
			    "the passphrase is longer than %zu bytes", max - 1);
		}
		out[n++] = c;
	}
	if (n > 0 && out[n - 1] == '\r')
		n--;
	out[n] = '\0';
	explicit_bzero(&c, sizeof(c));
	return 0;
}

static int
ask(int fd, const char *prompt, const char *again, char *out, size_t max,
    struct dr_err *err)
{
	int rc;

	if (dprintf(fd, "%s%s: ", prompt, again) < 0)
		return dr_err_sys(err, "cannot write \"/dev/tty\"");
	rc = read_line(fd, "/dev/tty", out, max, err);
	/* Echo is off, so the newline was not seen. */
	dprintf(fd, "\n");
	return rc;
}

static int
from_tty(const char *prompt, bool confirm, char *out, size_t max,
    struct dr_err *err)
{
	struct termios was, quiet;
	char *second = NULL;
	int fd, rc = -1;

	fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd == -1 || tcgetattr(fd, &was) == -1) {
		dr_err_set(err, DR_EFAIL,
		    "there is no terminal to ask for a passphrase");
		if (fd != -1)
			close(fd);
		return -1;
	}
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	dr_progress_hide();
	if (tcsetattr(fd, TCSAFLUSH, &quiet) == -1) {
		dr_err_sys(err, "cannot switch off the terminal's echo");
		goto out;
	}
	if (ask(fd, prompt, "", out, max, err) == -1)
		goto out;
	if (confirm) {
		if ((second = calloc(1, max)) == NULL) {
			dr_err_sys(err, "cannot allocate %zu bytes", max);
			goto out;
		}
		if (ask(fd, prompt, " (again)", second, max, err) == -1)
			goto out;
		if (strcmp(out, second) != 0) {
			dr_err_set(err, DR_EFAIL,
			    "the two passphrases are not the same");
			goto out;
		}
	}
	rc = 0;
out:
	tcsetattr(fd, TCSAFLUSH, &was);
	close(fd);
	if (second != NULL) {
		explicit_bzero(second, max);
		free(second);
	}
	return rc;
}

int
dr_passphrase(const char *file, const char *prompt, bool confirm, char *out,
    size_t max, struct dr_err *err)
{
	int fd, rc;

	out[0] = '\0';
	if (file == NULL) {
		rc = from_tty(prompt, confirm, out, max, err);
	} else {
		if ((fd = open(file, O_RDONLY | O_CLOEXEC)) == -1)
			return dr_err_sys(err, "cannot open \"%s\"", file);
		rc = read_line(fd, file, out, max, err);
		close(fd);
	}
	if (rc == 0 && out[0] == '\0')
		rc = dr_err_set(err, DR_EFAIL, "the passphrase is empty");
	if (rc == -1)
		explicit_bzero(out, max);
	return rc;
}
