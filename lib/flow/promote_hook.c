/* promote_hook.c - see promote_hook.h. */
#include "flow/promote_hook.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"

#define OUT_MAX  65536U
#define GRACE_US 1000000 /* from TERM to KILL */
#define NAP_MS   20      /* how late its end is seen when a child holds on */

#define NVARS 15

/* The last line with anything in it, as it comes; hints do not count. */
struct last {
	char line[400], hint[320], part[400];
	size_t len;
};

struct run {
	const struct dr_hook *h;
	struct dr_buf *out;
	size_t taken; /* of its output into OUT */
	pid_t pid;
	int fd[2]; /* its stdout and stderr; -1 once closed */
	struct last last[2];
	bool over_time;
};

const char *
dr_hook_word(enum dr_hook_said said)
{
	return said == DR_HOOK_DONE      ? "confirmed"
	       : said == DR_HOOK_REFUSED ? "refused"
	                                 : "unknown";
}

/* --- its environment ------------------------------------------------------ */

struct var {
	const char *name, *value;
};

static bool
is_one_of(const struct var *v, const char *entry)
{
	for (size_t i = 0; i < NVARS; i++) {
		size_t n = strlen(v[i].name);

		if (strncmp(entry, v[i].name, n) == 0 && entry[n] == '=')
			return true;
	}
	return false;
}

/* Ours, then the caller's but for what is ours; the first OURS are owned. */
static int
make_env(const struct dr_hook *h, struct dr_strs *env, size_t *ours,
    struct dr_err *e)
{
	char epoch[24] = "", ms[24] = "";
	const struct var v[NVARS] = {
		{ "DR_HOOK", h->kind },
		{ "DR_ACTION", h->action },
		{ "DR_SET", h->set },
		{ "DR_EPOCH", h->epoch != 0 ? epoch : NULL },
		{ "DR_NODE", h->node },
		{ "DR_HOST", h->host },
		{ "DR_PORT", h->port },
		{ "DR_OLD_NODE", h->old_node },
		{ "DR_OLD_HOST", h->old_host },
		{ "DR_OLD_PORT", h->old_port },
		{ "DR_ROLE", h->role },
		{ "DR_MODE", h->mode },
		{ "DR_PGDATA", h->pgdata },
		{ "DR_REPLICAS", h->replicas },
		{ "DR_TIMEOUT_MS", h->timeout_ms != 0 ? ms : NULL },
	};

	(void)snprintf(epoch, sizeof(epoch), "%lld", (long long)h->epoch);
	(void)snprintf(ms, sizeof(ms), "%llu",
	    (unsigned long long)h->timeout_ms);
	for (size_t i = 0; i < NVARS; i++) {
		char *s;

		if (v[i].value == NULL)
			continue;
		if ((s = dr_fmt(e, "%s=%s", v[i].name, v[i].value)) == NULL)
			return -1;
		if (dr_strs_add(env, s, e) == -1) {
			free(s);
			return -1;
		}
		++*ours;
	}
	for (char **p = environ; *p != NULL; p++)
		if (!is_one_of(v, *p) && dr_strs_add(env, *p, e) == -1)
			return -1;
	return dr_strs_add(env, NULL, e);
}

/* --- its beginning -------------------------------------------------------- */

/* In a process group of its own, so that all of it can be ended. */
static int
spawn(struct run *r, char *const env[], const int w[2])
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t set;
	char sh[] = "sh", c[] = "-c", *command = strdup(r->h->command);
	char *const argv[] = { sh, c, command, NULL };
	int n;

	if (command == NULL)
		return ENOMEM;
	if ((n = posix_spawn_file_actions_init(&fa)) != 0)
		goto out;
	if ((n = posix_spawnattr_init(&at)) != 0) {
		(void)posix_spawn_file_actions_destroy(&fa);
		goto out;
	}
	/* Whatever we do about SIGPIPE, a command expects to die of it. */
	(void)sigemptyset(&set);
	(void)posix_spawnattr_setsigmask(&at, &set);
	(void)sigaddset(&set, SIGPIPE);
	(void)posix_spawnattr_setsigdefault(&at, &set);
	(void)posix_spawnattr_setpgroup(&at, 0);
	(void)posix_spawnattr_setflags(&at, POSIX_SPAWN_SETPGROUP |
	                                        POSIX_SPAWN_SETSIGDEF |
	                                        POSIX_SPAWN_SETSIGMASK);
	if ((n = posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY,
	         0)) == 0 &&
	    (n = posix_spawn_file_actions_adddup2(&fa, w[0], 1)) == 0 &&
	    (n = posix_spawn_file_actions_adddup2(&fa, w[1], 2)) == 0)
		n = posix_spawnp(&r->pid, argv[0], &fa, &at, argv, env);
	(void)posix_spawnattr_destroy(&at);
	(void)posix_spawn_file_actions_destroy(&fa);
out:
	free(command);
	return n;
}

static void
shut(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

static int
begin(struct run *r, struct dr_err *e)
{
	struct dr_strs env = { NULL, 0 };
	int w[2] = { -1, -1 }, n, rc = -1;
	size_t ours = 0;
	char **vars;

	for (int i = 0; i < 2; i++) {
		int p[2];

		if (pipe2(p, O_CLOEXEC) == -1) {
			dr_err_sys(e, "cannot make a pipe");
			goto out;
		}
		r->fd[i] = p[0];
		w[i] = p[1];
		if (fcntl(p[0], F_SETFL, O_NONBLOCK) == -1) {
			dr_err_sys(e, "cannot make a pipe");
			goto out;
		}
	}
	if (make_env(r->h, &env, &ours, e) == -1)
		goto out;
	if ((vars = calloc(env.n, sizeof(*vars))) == NULL) {
		dr_err_sys(e, "cannot allocate an environment");
		goto out;
	}
	memcpy(vars, env.v, env.n * sizeof(*vars));
	if ((n = spawn(r, vars, w)) == 0)
		rc = 0;
	else {
		errno = n;
		dr_err_sys(e, "cannot run the %s hook", r->h->kind);
	}
	for (size_t i = 0; i < ours; i++)
		free(vars[i]);
	free(vars);
	ours = 0;
out:
	for (size_t i = 0; i < ours; i++)
		free((void *)(uintptr_t)env.v[i]);
	dr_strs_free(&env);
	shut(&w[0]);
	shut(&w[1]);
	return rc;
}

/* --- what it says --------------------------------------------------------- */

/* As our tools write them: "NAME: error: WHAT", "NAME: hint: WHAT". */
static void
end_line(struct last *l)
{
	static const char error[] = ": error: ", hint[] = ": hint: ";
	char *p;

	l->part[l->len] = '\0';
	if ((p = strstr(l->part, hint)) != NULL) {
		(void)snprintf(l->hint, sizeof(l->hint), "%s",
		    p + sizeof(hint) - 1);
		return;
	}
	if ((p = strstr(l->part, error)) != NULL)
		memmove(p + 2, p + sizeof(error) - 1,
		    strlen(p + sizeof(error) - 1) + 1);
	(void)snprintf(l->line, sizeof(l->line), "%s", l->part);
}

static void
take_line(struct last *l, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] != '\n') {
			if (l->len < sizeof(l->part) - 1)
				l->part[l->len++] = s[i];
			continue;
		}
		if (l->len > 0)
			end_line(l);
		l->len = 0;
	}
}

/* What there is of one of its outputs; one that never ends has to wait. */
static void
drain(struct run *r, int i)
{
	char buf[4096];
	ssize_t n;

	for (int left = 16; r->fd[i] != -1 && left > 0; left--) {
		n = read(r->fd[i], buf, sizeof(buf));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return;
		if (n <= 0) {
			shut(&r->fd[i]);
			return;
		}
		take_line(&r->last[i], buf, (size_t)n);
		if (i == 1) {
			struct dr_err ignored = { 0 };

			(void)dr_fd_write(2, buf, (size_t)n, "standard error",
			    &ignored);
		} else if (r->out != NULL && r->taken < OUT_MAX) {
			struct dr_err ignored = { 0 };
			size_t take = OUT_MAX - r->taken;

			take = (size_t)n < take ? (size_t)n : take;
			if (dr_buf_add(r->out, buf, take, &ignored) == 0)
				r->taken += take;
			else
				r->taken = OUT_MAX;
		}
	}
}

/* --- its end -------------------------------------------------------------- */

/* It has ended and was not waited for: the group's number is still its. */
static bool
has_ended(pid_t pid)
{
	siginfo_t si;

	memset(&si, 0, sizeof(si));
	return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) ==
	           0 &&
	       si.si_pid == pid;
}

/*
 * Until the command ends or UNTIL (0: never) is past.  With STOPS a stop
 * signal ends it, too.  1 ended, 0 its time is over, -1.
 */
static int
await(struct run *r, int64_t until, bool stops, struct dr_err *e)
{
	int nap = 1;

	for (;;) {
		struct pollfd p[3] = {
			{ .fd = r->fd[0], .events = POLLIN },
			{ .fd = r->fd[1], .events = POLLIN },
			{ .fd = stops ? dr_stop_fd() : -1, .events = POLLIN },
		};

		if (has_ended(r->pid))
			return 1;
		if (until != 0 && dr_monotonic() >= until)
			return 0;
		if (stops && dr_check_stop(e) == -1)
			return -1;
		/* Its outputs may stay open beyond it, or close before. */
		if (poll(p, 3, nap) <= 0 && nap < NAP_MS)
			nap *= 2;
		drain(r, 0);
		drain(r, 1);
	}
}

static void
put_down(struct run *r)
{
	struct dr_err ignored = { 0 };

	(void)kill(-r->pid, SIGTERM);
	/* What it had stopped would not hear it. */
	(void)kill(-r->pid, SIGCONT);
	(void)await(r, dr_monotonic() + GRACE_US, false, &ignored);
	(void)kill(-r->pid, SIGKILL);
}

static enum dr_hook_said
judge(const struct run *r, int status, struct dr_err *why)
{
	const char *kind = r->h->kind, *said = r->last[0].line;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	if (code != 0 && *r->last[1].line != '\0')
		said = r->last[1].line;
	if (r->over_time)
		dr_err_set(why, DR_ERETRY,
		    "the %s hook did not end in %llu ms%s%s", kind,
		    (unsigned long long)r->h->timeout_ms,
		    *said != '\0' ? ": " : "", said);
	else if (code == -1)
		dr_err_set(why, DR_EFAIL, "the %s hook died of signal %d (%s)",
		    kind, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (*said != '\0' && code == 0)
		(void)snprintf(why->msg, sizeof(why->msg), "%s", said);
	else if (*said != '\0')
		dr_err_set(why, code == 3 ? DR_EPARTIAL : DR_EFAIL, "%s", said);
	else if (code != 0)
		dr_err_set(why, code == 3 ? DR_EPARTIAL : DR_EFAIL,
		    "the %s hook ended with status %d", kind, code);
	if (code != 0 && *r->last[1].hint != '\0')
		dr_err_hint(why, "%s", r->last[1].hint);
	if (r->over_time || code == -1)
		return DR_HOOK_UNKNOWN;
	return code == 0   ? DR_HOOK_DONE
	       : code == 3 ? DR_HOOK_REFUSED
	                   : DR_HOOK_UNKNOWN;
}

int
dr_hook_run(const struct dr_hook *h, enum dr_hook_said *said,
    struct dr_buf *out, struct dr_err *why, struct dr_err *e)
{
	struct run r = { .h = h, .out = out, .pid = -1, .fd = { -1, -1 } };
	int64_t until = 0;
	int n, status = 0, rc = -1;

	if (dr_check_stop(e) == -1 || begin(&r, e) == -1)
		goto out;
	if (h->timeout_ms != 0)
		until = dr_monotonic() + (int64_t)h->timeout_ms * 1000;
	if ((n = await(&r, until, true, e)) != 1) {
		r.over_time = n == 0;
		put_down(&r);
	}
	while (waitpid(r.pid, &status, 0) == -1)
		if (errno != EINTR) {
			dr_err_sys(e, "cannot wait for the %s hook", h->kind);
			goto out;
		}
	for (int i = 0; i < 2; i++) {
		drain(&r, i);
		take_line(&r.last[i], "\n", 1);
	}
	if (n == -1)
		goto out;
	*said = judge(&r, status, why);
	rc = 0;
out:
	shut(&r.fd[0]);
	shut(&r.fd[1]);
	return rc;
}
