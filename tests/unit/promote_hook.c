#include "flow/promote_hook.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "tests/tap.h"

static struct dr_err e, why;
static struct dr_buf out;
static enum dr_hook_said said;

/* What it says of itself, in OUT; 0 or -1. */
static int
run(const struct dr_hook *h)
{
	dr_err_clear(&e);
	dr_err_clear(&why);
	memset(&why, 0, sizeof(why));
	dr_buf_free(&out);
	out.max = 1U << 20;
	said = (enum dr_hook_said)99;
	return dr_hook_run(h, &said, &out, &why, &e);
}

static int
shell(const char *command, uint64_t ms)
{
	struct dr_hook h = { .kind = "fence",
		.command = command,
		.timeout_ms = ms };

	return run(&h);
}

static bool
has(const char *line)
{
	const char *p = out.data;
	size_t n = strlen(line);

	for (; p != NULL && *p != '\0'; p = strchr(p, '\n') + 1)
		if (strncmp(p, line, n) == 0 && p[n] == '\n')
			return true;
	return false;
}

static void
environment(void)
{
	const struct dr_hook all = {
		.kind = "route",
		.command = "env",
		.action = "switch",
		.set = "a set",
		.epoch = 9007199254740993,
		.node = "b",
		.host = "h",
		.port = "1",
		.old_node = "o",
		.old_host = "oh",
		.old_port = "2",
		.role = "primary",
		.mode = "fast",
		.pgdata = "/d $x 'y'",
		.replicas = "r:1 s:2",
		.timeout_ms = 20000,
	};
	const struct dr_hook none = { .kind = "stop", .command = "env" };
	const char *want[] = { "DR_HOOK=route", "DR_ACTION=switch",
		"DR_SET=a set", "DR_EPOCH=9007199254740993", "DR_NODE=b",
		"DR_HOST=h", "DR_PORT=1", "DR_OLD_NODE=o", "DR_OLD_HOST=oh",
		"DR_OLD_PORT=2", "DR_ROLE=primary", "DR_MODE=fast",
		"DR_PGDATA=/d $x 'y'", "DR_REPLICAS=r:1 s:2",
		"DR_TIMEOUT_MS=20000", "DR_STORE=kept", "OTHER=1" };
	bool good = true;

	setenv("DR_EPOCH", "1", 1);
	setenv("DR_SET", "stale", 1);
	setenv("DR_STORE", "kept", 1);
	setenv("OTHER", "1", 1);
	OK(run(&all) == 0 && said == DR_HOOK_DONE, "env runs");
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++)
		if (!has(want[i])) {
			printf("# %s\n", want[i]);
			good = false;
		}
	OK(good, "it is told all there is");
	OK(strstr(out.data, "stale") == NULL && !has("DR_EPOCH=1"),
	    "what it is told takes the place of the caller's");
	OK(run(&none) == 0 && has("DR_HOOK=stop") && has("DR_STORE=kept"),
	    "little is told");
	OK(strstr(out.data, "DR_EPOCH") == NULL &&
	        strstr(out.data, "DR_SET") == NULL &&
	        strstr(out.data, "DR_HOST") == NULL,
	    "what is not there is not inherited either");
}

static void
statuses(void)
{
	OK(shell("exit 0", 0) == 0 && said == DR_HOOK_DONE && *why.msg == '\0',
	    "0: done");
	OK(shell("exit 3", 0) == 0 && said == DR_HOOK_REFUSED &&
	        why.cause == DR_EPARTIAL &&
	        strcmp(why.msg, "the fence hook ended with status 3") == 0,
	    "3: refused");
	OK(shell("exit 1", 0) == 0 && said == DR_HOOK_UNKNOWN &&
	        why.cause == DR_EFAIL,
	    "1: unknown");
	OK(shell("exec /nowhere/to/be/found 2>/dev/null", 0) == 0 &&
	        said == DR_HOOK_UNKNOWN,
	    "no such command: unknown");
	OK(shell("kill -9 $$", 0) == 0 && said == DR_HOOK_UNKNOWN &&
	        strstr(why.msg, "died of signal 9") != NULL,
	    "a signal: unknown");
	OK(strcmp(dr_hook_word(DR_HOOK_DONE), "confirmed") == 0 &&
	        strcmp(dr_hook_word(DR_HOOK_REFUSED), "refused") == 0 &&
	        strcmp(dr_hook_word(DR_HOOK_UNKNOWN), "unknown") == 0,
	    "in words");
}

static void
words(void)
{
	OK(shell("echo first; printf 'it is dead\\n\\n'", 0) == 0 &&
	        strcmp(why.msg, "it is dead") == 0 && why.cause == DR_OK &&
	        strcmp(out.data, "first\nit is dead\n\n") == 0,
	    "its last line says why");
	OK(shell("echo out; echo oh >&2; printf 'no end' >&2; exit 3", 0) ==
	            0 &&
	        strcmp(why.msg, "no end") == 0 &&
	        strcmp(out.data, "out\n") == 0,
	    "on standard error when it fails");
	OK(shell("echo 'a: error: no: error: b' >&2; echo 'a: hint: try' >&2; "
	         "exit 3",
	       0) == 0 &&
	        strcmp(why.msg, "a: no: error: b") == 0 &&
	        strcmp(why.hint, "try") == 0,
	    "an error and a hint of our tools");
	OK(shell("echo out; exit 1", 0) == 0 && strcmp(why.msg, "out") == 0,
	    "else on standard output");
	OK(shell("yes 'a line that is long enough' | head -c 300000", 20000) ==
	            0 &&
	        said == DR_HOOK_DONE && out.len == 65536,
	    "much output is cut short, and read on");
	OK(shell("exec cat", 20000) == 0 && said == DR_HOOK_DONE,
	    "it has nothing to read");
	OK(dr_hook_run(&(struct dr_hook){ .kind = "stop", .command = "echo a" },
	       &said, NULL, &why, &e) == 0 &&
	        said == DR_HOOK_DONE && strcmp(why.msg, "a") == 0,
	    "its output need not be wanted");
}

/* Is it gone, or at least a zombie of somebody else's? */
static bool
gone(const char *pid)
{
	char path[64], text[512] = "", *p;
	int fd, left = 200;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat",
	    strtol(pid, NULL, 10));
	for (; left > 0; left--) {
		if ((fd = open(path, O_RDONLY)) == -1)
			return true;
		if (read(fd, text, sizeof(text) - 1) <= 0) {
			close(fd);
			return true;
		}
		close(fd);
		p = strrchr(text, ')');
		if (p != NULL && p[1] == ' ' && p[2] == 'Z')
			return true;
		usleep(10000);
	}
	return false;
}

static void
times(void)
{
	int64_t t = dr_monotonic();
	char pid[64] = "";

	OK(shell("sleep 60 & echo $!; echo waiting >&2; wait", 200) == 0 &&
	        said == DR_HOOK_UNKNOWN && why.cause == DR_ERETRY &&
	        strcmp(why.msg,
	            "the fence hook did not end in 200 ms: waiting") == 0,
	    "its time is over: unknown");
	OK(dr_monotonic() - t < 30000000, "and that is soon");
	if (out.data != NULL)
		(void)snprintf(pid, sizeof(pid), "%s", out.data);
	OK(gone(pid), "its children end with it");

	t = dr_monotonic();
	OK(shell("trap '' TERM; (trap '' TERM; exec sleep 60) & echo $!; "
	         "while :; do sleep 1; done",
	       200) == 0 &&
	        said == DR_HOOK_UNKNOWN,
	    "one that hears no TERM is killed");
	OK(dr_monotonic() - t < 30000000, "a second later");
	if (out.data != NULL)
		(void)snprintf(pid, sizeof(pid), "%s", out.data);
	OK(gone(pid), "with its children");

	OK(shell("kill -STOP $$", 200) == 0 && said == DR_HOOK_UNKNOWN,
	    "so does one that was stopped");

	t = dr_monotonic();
	OK(shell("sleep 60 & echo $!; echo started", 40000) == 0 &&
	        said == DR_HOOK_DONE && strcmp(why.msg, "started") == 0,
	    "a child that goes on is not waited for");
	OK(dr_monotonic() - t < 20000000, "though it holds the output");
	if (out.data != NULL) {
		pid_t p = (pid_t)strtol(out.data, NULL, 10);

		OK(p > 1 && kill(p, SIGKILL) == 0, "and lives on");
	}
	OK(shell("yes", 300) == 0 && said == DR_HOOK_UNKNOWN &&
	        out.len == 65536,
	    "output without end ends");
}

/* In a child, which dr_main_begin must not change us. */
static void
stops(void)
{
	int p[2], status;
	int64_t t = dr_monotonic();
	char pid[32] = "";
	pid_t child;

	if (pipe(p) == -1)
		return;
	fflush(NULL);
	if ((child = fork()) == 0) {
		char command[128];
		int rc;

		dr_main_begin("test");
		(void)snprintf(command, sizeof(command),
		    "sleep 60 & echo $! >&%d; kill -TERM $PPID; wait", p[1]);
		rc = shell(command, 40000);
		_exit(rc == -1 && e.cause == DR_ESTOP ? 7 : 8);
	}
	close(p[1]);
	OK(waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	        WEXITSTATUS(status) == 7,
	    "a stop signal ends it");
	OK(dr_monotonic() - t < 20000000, "soon");
	(void)!read(p[0], pid, sizeof(pid) - 1);
	close(p[0]);
	OK(*pid != '\0' && gone(pid), "and its children");
}

int
main(void)
{
	environment();
	statuses();
	words();
	times();
	stops();
	dr_buf_free(&out);
	return DONE();
}
