#include "base/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <syslog.h>
#include <unistd.h>

#include "base/num.h"
#include "base/tty.h"

bool dr_quiet;
unsigned dr_verbose;
char dr_last_warning[512];

static const char *tool = "";
static int log_fd = -1;
static bool log_syslog;

static volatile sig_atomic_t stop_signal;
static int stop_pipe[2] = { -1, -1 };

static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP };
#define NSTOP (sizeof(stop_signals) / sizeof(*stop_signals))

static void
on_stop(int sig)
{
	int saved = errno;

	/* SA_RESETHAND resets only this one; let any second one kill. */
	for (size_t i = 0; i < NSTOP; i++) {
		struct sigaction sa;

		memset(&sa, 0, sizeof(sa));
		sa.sa_handler = SIG_DFL;
		sigaction(stop_signals[i], &sa, NULL);
	}
	stop_signal = sig;
	if (write(stop_pipe[1], "", 1) == -1)
		errno = saved;
	errno = saved;
}

static void
on_nothing(int sig)
{
	(void)sig;
}

static void
set_signal(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = handler;
	sa.sa_flags = flags;
	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

/* There is nothing to clean up yet, nor anybody to hand an error to. */
static void
cannot(const char *what)
{
	fprintf(stderr, "%s: error: cannot %s: %s\n", tool, what,
	    strerror(errno));
	_exit(DR_EFAIL);
}

void
dr_main_begin(const char *name)
{
	struct sigaction old;
	int fd;

	tool = name;
	do {
		if ((fd = open("/dev/null", O_RDWR)) == -1)
			cannot("open \"/dev/null\"");
	} while (fd <= 2);
	close(fd);
	/* Unlike SIG_IGN, a handler does not outlive execve(2). */
	set_signal(SIGPIPE, on_nothing, SA_RESTART);
	set_signal(SIGUSR1, on_nothing, SA_RESTART);
	/* Beyond ulimit -f, write(2) says EFBIG then, like a full disk. */
	set_signal(SIGXFSZ, on_nothing, SA_RESTART);
	if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) == -1)
		cannot("make a pipe");
	for (size_t i = 0; i < NSTOP; i++) {
		/* nohup(1) and shells' background jobs ignore some. */
		if (sigaction(stop_signals[i], NULL, &old) == 0 &&
		    old.sa_handler == SIG_IGN)
			continue;
		/* No SA_RESTART: a blocked write must come back. */
		set_signal(stop_signals[i], on_stop, 0);
	}
}

/*
 * TEXT as one line that does nothing to a terminal: names in it come from
 * anywhere, and libpq's messages end in newlines.
 */
static void
one_line(const char *text, char *out, size_t size)
{
	size_t n = strnlen(text, size - 1);

	while (n > 0 && text[n - 1] == '\n')
		n--;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		out[i] = c == '\n' || c == '\t'  ? ' '
		         : c < 0x20 || c == 0x7f ? '?'
		                                 : text[i];
	}
	out[n] = '\0';
}

/* One line: to standard error unless SILENT, and to the log. */
static void
emit(const char *kind, const char *text, int priority, bool silent)
{
	char what[1024], line[1280], when[DR_TIME_LEN];
	int n;

	one_line(text, what, sizeof(what));
	if (!silent) {
		dr_progress_hide();
		fprintf(stderr, "%s: %s%s\n", tool, kind, what);
	}
	if (log_syslog)
		syslog(priority, "%s%s", kind, what);
	if (log_fd == -1)
		return;
	n = snprintf(line, sizeof(line), "%s %s[%d]: %s%s\n",
	    dr_format_time(dr_now(), when), tool, (int)getpid(), kind, what);
	if (n >= (int)sizeof(line)) {
		n = (int)sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	/* A log that cannot be written must not stop a backup. */
	if (n > 0 && write(log_fd, line, (size_t)n) == -1) {
		close(log_fd);
		log_fd = -1;
	}
}

/* Buffered writes after the reader left are not worth a word. */
static void
close_stdout(struct dr_err *err)
{
	bool bad = ferror(stdout) != 0;

	errno = 0;
	if (fclose(stdout) == EOF) {
		if (errno != EBADF)
			dr_err_sys(err, "cannot write standard output");
	} else if (bad)
		dr_err_set(err, DR_EFAIL, "cannot write standard output");
}

int
dr_main_end(struct dr_err *err)
{
	int sig = 0;

	close_stdout(err);
	if (err->cause == DR_EPIPE)
		sig = SIGPIPE;
	else if (err->cause == DR_ESTOP)
		sig = stop_signal != 0 ? stop_signal : SIGTERM;
	if (err->cause != DR_OK && sig == 0) {
		emit("error: ", err->msg, LOG_ERR, false);
		if (err->hint[0] != '\0')
			emit("hint: ", err->hint, LOG_NOTICE, false);
	}
	if (sig != 0) {
		sigset_t set;

		set_signal(sig, SIG_DFL, 0);
		sigemptyset(&set);
		sigaddset(&set, sig);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		raise(sig);
		/* The first process of a container is not killed so. */
		return 128 + sig;
	}
	return (int)err->cause;
}

void
dr_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(dr_last_warning, sizeof(dr_last_warning), fmt, ap);
	va_end(ap);
	if (*tool != '\0')
		emit("warning: ", dr_last_warning, LOG_WARNING, dr_quiet);
}

void
dr_warn_err(struct dr_err *err)
{
	if (err->cause != DR_OK)
		dr_warn("%s", err->msg);
	dr_err_clear(err);
}

void
dr_say(unsigned level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (*tool == '\0' || (level == 0 ? dr_quiet : dr_verbose < level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit("", text, LOG_INFO, false);
}

int
dr_log_open(const char *where, struct dr_err *err)
{
	if (strcmp(where, "syslog") == 0) {
		openlog(*tool != '\0' ? tool : "drtools", LOG_PID, LOG_DAEMON);
		log_syslog = true;
		return 0;
	}
	if (log_fd != -1)
		close(log_fd);
	log_fd = open(where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (log_fd == -1)
		return dr_err_sys(err, "cannot open log \"%s\"", where);
	return 0;
}

const char *
dr_tool(void)
{
	return tool;
}

int
dr_stopped(void)
{
	return stop_signal;
}

int
dr_stop_fd(void)
{
	return stop_pipe[0];
}

void
dr_stop_heard(void)
{
	char byte;

	stop_signal = 0;
	/* Only its end is worth knowing, and it is not for us. */
	if (read(stop_pipe[0], &byte, 1) == -1)
		return;
}

static int (*each_second)(void *, struct dr_err *);
static void *each_second_arg;
static volatile sig_atomic_t second_over;

static void
on_alarm(int sig)
{
	(void)sig;
	second_over = 1;
}

void
dr_each_second(int (*fn)(void *, struct dr_err *), void *arg)
{
	const struct itimerval each = { { 1, 0 }, { 1, 0 } };
	const struct itimerval none = { { 0, 0 }, { 0, 0 } };

	each_second = fn;
	each_second_arg = arg;
	second_over = 0;
	if (fn == NULL) {
		setitimer(ITIMER_REAL, &none, NULL);
		return;
	}
	set_signal(SIGALRM, on_alarm, 0);
	setitimer(ITIMER_REAL, &each, NULL);
}

int
dr_check_stop(struct dr_err *err)
{
	if (second_over != 0 && each_second != NULL) {
		second_over = 0;
		if (each_second(each_second_arg, err) == -1)
			return -1;
	}
	if (stop_signal == 0)
		return 0;
	return dr_err_set(err, DR_ESTOP, "stopped by signal %d",
	    (int)stop_signal);
}

void
dr_stops_ignore(void)
{
	for (size_t i = 0; i < NSTOP; i++)
		set_signal(stop_signals[i], SIG_IGN, 0);
}
