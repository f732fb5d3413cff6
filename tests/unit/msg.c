#include "base/msg.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/tty.h"
#include "tests/child.h"
#include "tests/tap.h"

static char log_path[] = "/tmp/drmsg.XXXXXX";

static int
ends(void *arg)
{
	struct dr_err err = { 0 };
	int cause = *(int *)arg;

	dr_main_begin("dr-x");
	printf("result\n");
	if (cause != 0) {
		dr_err_set(&err, (enum dr_cause)cause, "cannot do \"%s\"",
		    "it");
		dr_err_hint(&err, "try harder");
	}
	return dr_main_end(&err);
}

static void
causes(void)
{
	static const char want[] = "dr-x: error: cannot do \"it\"\n"
	                           "dr-x: hint: try harder\n";
	static const int plain[] = { DR_EFAIL, DR_EUSAGE, DR_EPARTIAL, DR_EDATA,
		DR_ERETRY };
	bool good = true;
	struct child c;
	int cause = DR_OK;

	child_run(&c, ends, &cause);
	OK(c.status == 0 && strcmp(c.out, "result\n") == 0 && *c.err == '\0',
	    "success says nothing");
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		cause = plain[i];
		child_run(&c, ends, &cause);
		good &= c.status == cause && strcmp(c.err, want) == 0;
	}
	OK(good, "every cause is its status; error and hint once");
	cause = DR_EPIPE;
	child_run(&c, ends, &cause);
	OK(c.status == 128 + SIGPIPE && *c.err == '\0',
	    "DR_EPIPE dies of SIGPIPE and says nothing");
	cause = DR_ESTOP;
	child_run(&c, ends, &cause);
	OK(c.status == 128 + SIGTERM && *c.err == '\0',
	    "DR_ESTOP dies of a signal and says nothing");
}

static int
stdout_full(void *arg)
{
	(void)arg;
	if (freopen("/dev/full", "w", stdout) == NULL)
		return 99;
	return ends(&(int){ 0 });
}

static int
stdout_gone(void *arg)
{
	int p[2];

	(void)arg;
	if (pipe(p) == -1 || dup2(p[1], STDOUT_FILENO) == -1)
		return 99;
	close(p[0]);
	close(p[1]);
	return ends(&(int){ 0 });
}

static int
all_closed(void *arg)
{
	struct dr_err err = { 0 };
	struct stat a, b;

	(void)arg;
	close(0);
	close(1);
	close(2);
	dr_main_begin("dr-x");
	if (stat("/dev/null", &a) == -1)
		return 98;
	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &b) == -1 || a.st_rdev != b.st_rdev)
			return 99;
	/* The next one is not one of them, nor was one lost. */
	if (open("/dev/null", O_RDONLY) <= 2)
		return 97;
	return dr_main_end(&err);
}

static void
streams(void)
{
	struct child c;

	child_run(&c, stdout_full, NULL);
	OK(c.status == DR_EFAIL &&
	        strcmp(c.err,
	            "dr-x: error: cannot write "
	            "standard output: No space left on device\n") == 0,
	    "a full disk under standard output");
	child_run(&c, stdout_gone, NULL);
	OK(c.status == 128 + SIGPIPE && *c.err == '\0',
	    "nobody reads standard output");
	child_run(&c, all_closed, NULL);
	OK(c.status == 0, "closed descriptors are opened on /dev/null");
}

static int
first_signal(void *arg)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	struct pollfd p = { .events = POLLIN };
	struct dr_err err = { 0 };

	/* Under nohup it is ignored, and stays so. */
	sigaction(*(int *)arg, &sa, NULL);
	dr_main_begin("dr-x");
	p.fd = dr_stop_fd();
	if (dr_stopped() != 0 || dr_check_stop(&err) != 0 ||
	    poll(&p, 1, 0) != 0)
		return 99;
	raise(*(int *)arg);
	if (dr_stopped() != *(int *)arg || poll(&p, 1, 0) != 1 ||
	    dr_check_stop(&err) != -1 || err.cause != DR_ESTOP)
		return 98;
	return dr_main_end(&err);
}

static int
second_signal(void *arg)
{
	(void)arg;
	dr_main_begin("dr-x");
	raise(SIGTERM);
	raise(SIGINT);
	return 99;
}

static int
pipe_signal(void *arg)
{
	struct dr_err err = { 0 };

	(void)arg;
	dr_main_begin("dr-x");
	raise(SIGPIPE);
	raise(SIGUSR1);
	/* A child must not inherit that they are harmless. */
	if (fork() == 0) {
		execl("/bin/sh", "sh", "-c", "kill -PIPE $$; exit 0",
		    (char *)NULL);
		_exit(0);
	}
	int st = 0;
	wait(&st);
	if (!WIFSIGNALED(st) || WTERMSIG(st) != SIGPIPE)
		return 99;
	return dr_main_end(&err);
}

static int
ignored(void *arg)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };
	struct dr_err err = { 0 };

	(void)arg;
	sigaction(SIGHUP, &sa, NULL);
	dr_main_begin("dr-x");
	raise(SIGHUP);
	if (dr_stopped() != 0)
		return 99;
	return dr_main_end(&err);
}

static void
signals(void)
{
	static const int stops[] = { SIGINT, SIGTERM, SIGHUP };
	struct child c;
	bool good = true;

	for (size_t i = 0; i < 3; i++) {
		int sig = stops[i];

		child_run(&c, first_signal, &sig);
		good &= c.status == 128 + sig && *c.err == '\0';
	}
	OK(good, "stop signals are noted, then died of");
	child_run(&c, second_signal, NULL);
	OK(c.status == 128 + SIGINT, "a second one kills");
	child_run(&c, pipe_signal, NULL);
	OK(c.status == 0, "SIGPIPE and SIGUSR1 are harmless, not to children");
	child_run(&c, ignored, NULL);
	OK(c.status == 0, "under nohup, SIGHUP stays ignored");
}

static int
talk(void *arg)
{
	struct dr_err err = { 0 };
	unsigned level = *(unsigned *)arg;

	dr_main_begin("dr-x");
	dr_quiet = level == 99;
	dr_verbose = level == 99 ? 0 : level;
	dr_warn("w%d", 1);
	dr_say(0, "zero");
	dr_say(1, "one");
	dr_say(2, "two");
	if (strcmp(dr_last_warning, "w1") != 0)
		return 9;
	return dr_main_end(&err);
}

static int
hostile(void *arg)
{
	struct dr_err err = { 0 };

	(void)arg;
	dr_main_begin("dr-x");
	dr_warn("a\nb\tc\x1b[31m\x7f\r\n\n");
	dr_err_set(&err, DR_EFAIL, "libpq says: no\n\tnever\n");
	return dr_main_end(&err);
}

static int
logs(void *arg)
{
	struct dr_err err = { 0 };

	(void)arg;
	dr_main_begin("dr-x");
	if (dr_log_open(log_path, &err) == -1)
		return 9;
	dr_quiet = true;
	dr_warn("quiet");
	dr_err_set(&err, DR_EDATA, "bad");
	dr_err_hint(&err, "look");
	return dr_main_end(&err);
}

static int
log_full(void *arg)
{
	struct dr_err err = { 0 };

	(void)arg;
	dr_main_begin("dr-x");
	if (dr_log_open("/dev/full", &err) == -1)
		return 9;
	dr_warn("one");
	dr_warn("two");
	return dr_main_end(&err);
}

static void
talking(void)
{
	struct child c;
	struct dr_err e = { 0 };
	unsigned level = 0;
	char *s;
	int fd;

	OK(*dr_tool() == '\0', "no name yet");
	dr_warn("before %s", "begin");
	OK(strcmp(dr_last_warning, "before begin") == 0,
	    "a warning is kept for tests");
	child_run(&c, talk, &level);
	OK(c.status == 0 &&
	        strcmp(c.err, "dr-x: warning: w1\ndr-x: zero\n") == 0,
	    "without options");
	level = 1;
	child_run(&c, talk, &level);
	OK(strcmp(c.err, "dr-x: warning: w1\ndr-x: zero\ndr-x: one\n") == 0,
	    "-v");
	level = 2;
	child_run(&c, talk, &level);
	OK(strcmp(c.err, "dr-x: warning: w1\ndr-x: zero\ndr-x: one\n"
	                 "dr-x: two\n") == 0,
	    "-vv");
	level = 99;
	child_run(&c, talk, &level);
	OK(c.status == 0 && *c.err == '\0', "-q");
	child_run(&c, hostile, NULL);
	OK(strcmp(c.err, "dr-x: warning: a b c?[31m??\n"
	                 "dr-x: error: libpq says: no  never\n") == 0,
	    "one line each, nothing that moves a terminal");

	if ((fd = mkstemp(log_path)) == -1)
		return;
	close(fd);
	child_run(&c, logs, NULL);
	s = dr_file_get(log_path, 10000, NULL, &e);
	OK(c.status == DR_EDATA && s != NULL && s[4] == '-' && s[10] == 'T' &&
	        strstr(s, "Z dr-x[") != NULL &&
	        strstr(s, "]: warning: quiet\n") != NULL &&
	        strstr(s, "]: error: bad\n") != NULL &&
	        strstr(s, "]: hint: look\n") != NULL,
	    "a log has all, even with -q");
	OK(strcmp(c.err, "dr-x: error: bad\ndr-x: hint: look\n") == 0,
	    "-q does not hide errors");
	free(s);
	child_run(&c, log_full, NULL);
	OK(c.status == 0 && strcmp(c.err, "dr-x: warning: one\n"
	                                  "dr-x: warning: two\n") == 0,
	    "a full log stops nothing");
	unlink(log_path);
	OK(dr_log_open("/nonexistent/log", &e) == -1 && e.cause == DR_EFAIL &&
	        strstr(e.msg, "cannot open log") != NULL,
	    "no such log");
}

int
main(void)
{
	causes();
	streams();
	signals();
	talking();
	return DONE();
}
