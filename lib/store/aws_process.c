#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/spawn.h"
#include "store/ask.h"
#include "store/aws_int.h"

#define PROCESS_MS 60000
#define ANSWER_MAX (64U << 10)
#define WORDS_MAX  256U

/*
 * As shells split words: blanks between them, '...' as it is, "..." and
 * bare words with \ before what is meant as itself.  Nothing is expanded.
 */
int
dr_aws_words(const char *s, char ***v, struct dr_err *err)
{
	size_t n = 0;
	char **w, *to, quote = '\0';
	bool in = false;

	*v = NULL;
	if ((w = calloc(WORDS_MAX + 1, sizeof(*w))) == NULL ||
	    (to = malloc(strlen(s) + 2)) == NULL) {
		free(w);
		return dr_err_sys(err, "cannot read a command");
	}
	w[0] = to;
	for (; *s != '\0'; s++) {
		if (quote == '\0' && strchr(" \t\r\n", *s) != NULL) {
			if (in)
				*to++ = '\0';
			in = false;
			continue;
		}
		if (!in) {
			if (n == WORDS_MAX)
				goto bad;
			w[n++] = to;
			in = true;
		}
		if (*s == quote)
			quote = '\0';
		else if (quote == '\0' && (*s == '"' || *s == '\''))
			quote = *s;
		else if (*s == '\\' && quote != '\'') {
			if (s[1] == '\0')
				goto bad;
			if (quote == '"' && s[1] != '"' && s[1] != '\\')
				*to++ = '\\';
			*to++ = *++s;
		} else
			*to++ = *s;
	}
	*to = '\0';
	if (quote != '\0' || n == 0)
		goto bad;
	*v = w;
	return 0;

bad:
	free(w[0]);
	free(w);
	return dr_err_set(err, DR_EUSAGE,
	    "a credential_process is empty, too long, or has a quote that does "
	    "not end");
}

/* Until the end of its output.  0, or -1. */
static int
slurp(int fd, const char *what, int64_t until, struct dr_buf *b,
    struct dr_err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;
	int64_t left;

	for (;;) {
		if (dr_check_stop(err) == -1)
			return -1;
		if ((left = (until - dr_monotonic()) / 1000) <= 0)
			return dr_err_set(err, DR_ERETRY,
			    "\"%s\" has not ended in %d s", what,
			    PROCESS_MS / 1000);
		if (poll(&p, 1, (int)(left < 200 ? left : 200)) == -1 &&
		    errno != EINTR)
			return dr_err_sys(err, "cannot wait for \"%s\"", what);
		if (p.revents == 0)
			continue;
		if (dr_buf_room(b, 4096, err) == -1)
			return dr_err_wrap(err, "\"%s\" answers", what);
		n = read(fd, b->data + b->len, 4096);
		if (n == 0)
			return 0;
		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return dr_err_sys(err, "cannot read from \"%s\"", what);
		if (n > 0) {
			b->len += (size_t)n;
			b->data[b->len] = '\0';
		}
	}
}

/* It has closed its output: 1 and *STATUS, 0 it goes on all the same. */
static int
await(pid_t pid, int *status, int64_t until)
{
	pid_t got;

	for (;;) {
		got = waitpid(pid, status, WNOHANG);
		if (got == pid)
			return 1;
		if ((got == -1 && errno != EINTR) || dr_monotonic() > until)
			return 0;
		(void)poll(NULL, 0, 5);
	}
}

/* What it said, in B. */
static int
run(char *const argv[], struct dr_buf *b, struct dr_err *err)
{
	int64_t until = dr_monotonic() + PROCESS_MS * INT64_C(1000);
	int fd, rc, status = 0;
	pid_t pid;

	if (dr_spawn(argv, &pid, &fd, err) == -1)
		return -1;
	rc = slurp(fd, argv[0], until, b, err);
	(void)close(fd);
	if (rc == -1 || await(pid, &status, until) == 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
	}
	if (rc == -1)
		return -1;
	return dr_spawn_ended(argv[0], status, err);
}

/* { "Version": 1, ... } */
static int
version(const struct dr_buf *b, const char *what, struct dr_err *err)
{
	json_t *j = dr_answer(b->data, b->len);
	const json_t *v = json_object_get(j, "Version");
	bool good = json_is_integer(v) && json_integer_value(v) == 1;

	dr_answer_free(j);
	if (good)
		return 0;
	return dr_err_set(err, DR_EDATA,
	    "%s did not answer with JSON of \"Version\": 1", what);
}

int
dr_aws_from_process(const char *profile, const char *command,
    struct dr_aws_keys *k, struct dr_err *err)
{
	struct dr_buf b = { .max = ANSWER_MAX };
	char **argv = NULL, what[128];
	int rc = -1;

	(void)snprintf(what, sizeof(what),
	    "the credential_process of profile \"%.64s\"", profile);
	dr_aws_keys_wipe(k);
	if (dr_aws_words(command, &argv, err) == -1 ||
	    run(argv, &b, err) == -1) {
		dr_err_wrap(err, "AWS profile \"%s\"", profile);
		goto out;
	}
	if (version(&b, what, err) == -1 ||
	    dr_aws_keys_json(b.data, b.len, "SessionToken", what, k, err) == -1)
		goto out;
	rc = 1;
out:
	if (argv != NULL)
		free(argv[0]);
	free(argv);
	dr_wipe_buf(&b);
	return rc;
}
