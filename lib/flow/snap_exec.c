/* snap_exec.c - see snap_exec.h. */
#include "flow/snap_exec.h"

#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/pax.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/spawn.h"
#include "base/tty.h"
#include "manifest/manifest.h"
#include "stream/pipes.h"

#define PIECES_MAX 100000000U /* eight digits */
#define REPORT     ".drtools/report.json"

struct stream {
	const char *name;
	struct dr_sink *out;
	uint64_t members, bytes;
	int64_t started;
};

/* One member; LEN bytes of padding follow it. */
static int
put_member(struct dr_sink *out, const char *path, const void *data, size_t len,
    struct dr_err *e)
{
	static const char zeros[512];
	struct dr_buf head = { .max = 1U << 20 };
	int r = -1;

	if (dr_pax_own(&head, path, len, e) == 0 &&
	    dr_sink_write(out, head.data, head.len, e) == 0 &&
	    (len == 0 || dr_sink_write(out, data, len, e) == 0) &&
	    (len % 512 == 0 ||
	        dr_sink_write(out, zeros, 512 - len % 512, e) == 0))
		r = 0;
	dr_buf_free(&head);
	return r;
}

/* All of FD in pieces. */
static int
put_pieces(struct stream *s, int fd, const char *fd_name, struct dr_err *e)
{
	char *buf = malloc(DR_TAR_PIECE), path[80];
	ssize_t n;
	int r = -1;

	if (buf == NULL)
		return dr_err_sys(e, "cannot allocate memory");
	do {
		n = dr_fd_fill(fd, buf, DR_TAR_PIECE, fd_name, e);
		if (n == -1)
			goto out;
		if (n == 0 && s->members > 0)
			break;
		if (s->members == PIECES_MAX) {
			dr_err_set(e, DR_EFAIL, "%s is too long", fd_name);
			goto out;
		}
		(void)snprintf(path, sizeof(path), "%s/%08u", s->name,
		    (unsigned)s->members);
		if (put_member(s->out, path, buf, (size_t)n, e) == -1)
			goto out;
		s->members++;
		s->bytes += (uint64_t)n;
		dr_progress(s->bytes);
	} while (n == DR_TAR_PIECE);
	r = 0;
out:
	free(buf);
	return r;
}

/* The report, the end of the tar, and what the manifest is to know. */
static int
put_report(struct stream *s, char *const argv[], json_t *manifest,
    struct dr_err *e)
{
	static const char end[DR_TAR_END];
	struct dr_buf text = { .max = 16U << 20 };
	struct dr_json j;
	char when[DR_TIME_LEN];
	int r = -1;

	dr_json_init(&j, &text);
	dr_json_object(&j, NULL);
	dr_json_int(&j, "drtools", 1);
	dr_json_str(&j, "kind", "stream");
	dr_json_str(&j, "name", s->name);
	dr_json_uint(&j, "members", s->members);
	dr_json_uint(&j, "bytes", s->bytes);
	dr_json_str(&j, "started", dr_format_time(s->started, when));
	dr_json_str(&j, "stopped", dr_format_time(dr_now(), when));
	if (argv != NULL) {
		dr_json_array(&j, "argv");
		for (; *argv != NULL; argv++)
			dr_json_str(&j, NULL, *argv);
		dr_json_close(&j, ']');
		dr_json_int(&j, "exit_status", 0);
	}
	dr_json_close(&j, '}');
	if (dr_json_end(&j, e) == -1 || dr_buf_str(&text, "\n", e) == -1 ||
	    put_member(s->out, REPORT, text.data, text.len, e) == -1 ||
	    dr_sink_write(s->out, end, sizeof(end), e) == -1)
		goto out;
	if (dr_manifest_set_int(manifest, "stream.members", (int64_t)s->members,
	        e) == -1 ||
	    dr_manifest_set_int(manifest, "stream.bytes", (int64_t)s->bytes,
	        e) == -1)
		goto out;
	r = 0;
out:
	dr_buf_free(&text);
	return r;
}

static int
check_name(const char *name, struct dr_err *e)
{
	if (dr_set_name_ok(name))
		return 0;
	dr_err_set(e, DR_EUSAGE, "\"%s\" is no name for a stream", name);
	return dr_err_hint(e,
	    "1 to 64 of A-Z a-z 0-9 . _ - with a letter or digit first");
}

/*
 * Wait for the command.  It may close its output long before it ends, so a
 * stop signal must get through; with MS, give up after that time.  1 ended,
 * 0 not in time, -1.
 */
static int
await(pid_t pid, int *status, int ms, struct dr_err *e)
{
	struct pollfd stop = { .fd = dr_stop_fd(), .events = POLLIN };
	int nap = 1, waited = 0;
	pid_t got;

	for (;;) {
		got = waitpid(pid, status, WNOHANG);
		if (got == pid)
			return 1;
		if (got == -1 && errno != EINTR)
			return dr_err_sys(e, "cannot wait for the command");
		if (ms > 0 && waited >= ms)
			return 0;
		if (ms > 0) {
			/* Stopped already: the clock alone decides. */
			(void)poll(NULL, 0, nap);
		} else {
			if (dr_check_stop(e) == -1)
				return -1;
			(void)poll(&stop, 1, nap);
		}
		waited += nap;
		if (nap < 50)
			nap *= 2;
	}
}

/* End a command whose output nobody wants any more. */
static void
put_down(pid_t pid)
{
	struct dr_err ignored = { 0 };
	int status;

	(void)kill(pid, SIGTERM);
	if (await(pid, &status, 2000, &ignored) == 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
	}
}

int
dr_snap_exec(const char *name, char *const argv[], struct dr_sink *out,
    json_t *manifest, struct dr_err *e)
{
	struct stream s = { .name = name, .out = out, .started = dr_now() };
	int fd = -1, status = 0, r = -1;
	pid_t pid = -1;

	if (check_name(name, e) == -1)
		return -1;
	if (argv[0] == NULL || *argv[0] == '\0')
		return dr_err_set(e, DR_EUSAGE, "no command is given");
	if (dr_spawn(argv, &pid, &fd, e) == -1)
		return -1;
	dr_pipe_enlarge(fd);
	if (put_pieces(&s, fd, "the command's output", e) == -1)
		goto out;
	if (await(pid, &status, 0, e) == -1)
		goto out;
	pid = -1;
	if (dr_spawn_ended(argv[0], status, e) == -1)
		goto out;
	r = put_report(&s, argv, manifest, e);
out:
	if (fd != -1)
		(void)close(fd);
	if (pid != -1)
		put_down(pid);
	return r;
}

int
dr_snap_stdin(const char *name, struct dr_sink *out, json_t *manifest,
    struct dr_err *e)
{
	struct stream s = { .name = name, .out = out, .started = dr_now() };

	if (check_name(name, e) == -1)
		return -1;
	if (isatty(0)) {
		dr_err_set(e, DR_EUSAGE,
		    "standard input is a terminal, not a stream");
		return dr_err_hint(e, "pipe something into it");
	}
	dr_pipe_enlarge(0);
	if (put_pieces(&s, 0, "standard input", e) == -1)
		return -1;
	return put_report(&s, NULL, manifest, e);
}
