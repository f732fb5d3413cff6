#include "base/tty.h"

#include <sys/ioctl.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/opt.h"
#include "tests/child.h"
#include "tests/tap.h"

static int
meter(void *arg)
{
	struct dr_err err = { 0 };
	int mode = *(int *)arg;

	dr_main_begin("dr-x");
	dr_common.progress = mode;
	dr_progress_begin("copying", 4 << 20);
	dr_progress(1 << 20);
	usleep(250000);
	dr_progress_note("WAL kept 16 MiB");
	dr_progress(2 << 20);
	dr_warn("in between");
	dr_progress(3 << 20);
	dr_progress_end();
	return dr_main_end(&err);
}

static int
asked(void *arg)
{
	struct dr_err err = { 0 };

	(void)arg;
	dr_main_begin("dr-x");
	dr_common.progress = 2;
	dr_progress_begin("copying", 0);
	dr_progress(1 << 20);
	raise(SIGUSR1);
	dr_progress(2 << 20);
	dr_progress(3 << 20);
	dr_progress_end();
	raise(SIGUSR1);
	return dr_main_end(&err);
}

static int
asked_while_waiting(void *arg)
{
	struct dr_err err = { 0 };
	pid_t self = getpid();
	int p[2];
	char c;

	(void)arg;
	dr_main_begin("dr-x");
	if (pipe(p) == -1)
		return 99;
	dr_progress_begin("waiting", 0);
	dr_progress(5);
	if (fork() == 0) {
		usleep(50000);
		kill(self, SIGUSR1);
		usleep(50000);
		_exit(write(p[1], "x", 1) != 1);
	}
	dr_fd_read(p[0], &c, 1, "p", &err);
	dr_progress_end();
	return dr_main_end(&err);
}

static int
summary(void *arg)
{
	struct dr_err err = { 0 };

	(void)arg;
	dr_main_begin("dr-x");
	dr_verbose = 1;
	dr_progress_begin("copying", 0);
	dr_progress(1536);
	dr_progress_end();
	dr_progress_end();
	return dr_main_end(&err);
}

static void
progress(void)
{
	struct child c;
	int mode = 1;

	child_run(&c, meter, &mode);
	OK(strstr(c.err, "\rcopying: 2.0 MiB of 4.0 MiB, 50%, ") != NULL &&
	        strstr(c.err, "/s, ETA ") != NULL &&
	        strstr(c.err, ", WAL kept 16 MiB") != NULL,
	    "always: drawn");
	OK(strstr(c.err, " \rdr-x: warning: in between\n") != NULL,
	    "erased before a warning");
	OK(c.status == 0 && strstr(c.err, "3.0 MiB") == NULL,
	    "at most five a second");
	mode = 0;
	child_run(&c, meter, &mode);
	OK(strcmp(c.err, "dr-x: warning: in between\n") == 0,
	    "auto: not where there is no terminal");
	mode = 2;
	child_run(&c, meter, &mode);
	OK(strcmp(c.err, "dr-x: warning: in between\n") == 0, "never");
	child_run(&c, asked, NULL);
	OK(c.status == 0 &&
	        strncmp(c.err, "dr-x: copying: 2.0 MiB, ", 24) == 0 &&
	        strchr(c.err, '\n') == c.err + strlen(c.err) - 1,
	    "SIGUSR1 prints one line");
	child_run(&c, asked_while_waiting, NULL);
	OK(c.status == 0 && strncmp(c.err, "dr-x: waiting: 5 B, ", 20) == 0,
	    "also while waiting for input");
	child_run(&c, summary, NULL);
	OK(strncmp(c.err, "dr-x: copying: 1.5 KiB (1536 bytes) in ", 39) == 0,
	    "-v: a summary");
}

/* --- passphrases --------------------------------------------------------- */

static char path[] = "/tmp/drtty.XXXXXX";

static int
from_file(const char *text, size_t max, char *out, struct dr_err *err)
{
	dr_err_clear(err);
	if (dr_file_put(path, 0600, DR_FILE_REPLACE, text, strlen(text), err) ==
	    -1)
		return -2;
	return dr_passphrase(path, "Passphrase", false, out, max, err);
}

struct answer {
	const char *first, *second;
	bool confirm;
	char seen[400]; /* what the terminal showed */
	int status;
	bool echo; /* switched on again at the end */
};

/* In a session of its own whose terminal is the pty. */
static int
asks(const char *pty, bool confirm)
{
	struct dr_err err = { 0 };
	char out[20];

	setsid();
	if (open(pty, O_RDWR) == -1)
		return 90;
	if (dr_passphrase(NULL, "Passphrase", confirm, out, sizeof(out),
	        &err) == 0)
		return strcmp(out, "se cret") == 0 ? 0 : 91;
	for (size_t i = 0; i < sizeof(out); i++)
		if (out[i] != '\0')
			return 92;
	if (strcmp(err.msg, "the two passphrases are not the same") == 0)
		return 1;
	if (strcmp(err.msg, "the passphrase is longer than 19 bytes") == 0)
		return 2;
	if (strcmp(err.msg, "the passphrase is empty") == 0)
		return 3;
	return 93;
}

static bool
until(int fd, struct answer *a, const char *text)
{
	size_t have = strlen(a->seen);
	ssize_t n;

	while (strstr(a->seen, text) == NULL) {
		n = read(fd, a->seen + have, sizeof(a->seen) - 1 - have);
		if (n <= 0)
			return false;
		have += (size_t)n;
		a->seen[have] = '\0';
	}
	return true;
}

static void
dialogue(struct answer *a)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), keep, st = 0;
	struct termios t;
	pid_t pid;

	memset(a->seen, 0, sizeof(a->seen));
	if (master == -1 || grantpt(master) == -1 || unlockpt(master) == -1)
		abort();
	keep = open(ptsname(master), O_RDWR | O_NOCTTY);
	if ((pid = fork()) == 0) {
		const char *pty = ptsname(master);

		close(keep);
		_exit(asks(pty, a->confirm));
	}
	if (until(master, a, "Passphrase: ")) {
		dprintf(master, "%s\n", a->first);
		if (a->confirm && until(master, a, "(again): "))
			dprintf(master, "%s\n", a->second);
	}
	waitpid(pid, &st, 0);
	a->status = WEXITSTATUS(st);
	a->echo = tcgetattr(keep, &t) == 0 && (t.c_lflag & ECHO) != 0;
	close(keep);
	close(master);
}

static void
terminal(void)
{
	struct answer a = { .first = "se cret" };

	dialogue(&a);
	OK(a.status == 0 && strstr(a.seen, "cret") == NULL && a.echo,
	    "asked once, without echo");
	a.confirm = true;
	a.second = "se cret";
	dialogue(&a);
	OK(a.status == 0 && strstr(a.seen, "cret") == NULL, "asked twice");
	a.second = "other";
	dialogue(&a);
	OK(a.status == 1 && a.echo, "not the same twice");
	a.first = "12345678901234567890";
	a.confirm = false;
	dialogue(&a);
	OK(a.status == 2 && a.echo, "too long");
	a.first = "";
	dialogue(&a);
	OK(a.status == 3 && a.echo, "empty");
}

static int
no_terminal(void *arg)
{
	struct dr_err err = { 0 };
	char out[10];

	(void)arg;
	setsid();
	return dr_passphrase(NULL, "P", false, out, sizeof(out), &err) == -1 &&
	               strcmp(err.msg,
	                   "there is no terminal to ask for a passphrase") == 0
	           ? 0
	           : 1;
}

static void
passphrases(void)
{
	struct dr_err e = { 0 };
	struct child c;
	char out[9];
	int fd = mkstemp(path);

	if (fd == -1)
		return;
	close(fd);
	OK(from_file("secret\nmore\n", 9, out, &e) == 0 &&
	        strcmp(out, "secret") == 0,
	    "the first line of a file");
	OK(from_file("secret", 9, out, &e) == 0 && strcmp(out, "secret") == 0,
	    "without its end");
	OK(from_file("secret\r\n", 9, out, &e) == 0 &&
	        strcmp(out, "secret") == 0,
	    "with another end");
	OK(from_file("12345678\n", 9, out, &e) == 0 && strlen(out) == 8,
	    "as long as it may be");
	OK(from_file("123456789\n", 9, out, &e) == -1 && out[0] == '\0' &&
	        strstr(e.msg, "longer than 8 bytes") != NULL,
	    "longer");
	OK(from_file("\nx\n", 9, out, &e) == -1 &&
	        strcmp(e.msg, "the passphrase is empty") == 0,
	    "an empty line");
	OK(from_file("", 9, out, &e) == -1, "an empty file");
	dr_err_clear(&e);
	OK(dr_passphrase("/nonexistent", "P", false, out, 9, &e) == -1 &&
	        strstr(e.msg, "No such file") != NULL,
	    "no file");
	unlink(path);
	child_run(&c, no_terminal, NULL);
	OK(c.status == 0, "no terminal");
	terminal();
}

int
main(void)
{
	progress();
	passphrases();
	return DONE();
}
