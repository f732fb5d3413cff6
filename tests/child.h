/* child.h - run a function in a child and look at what it printed. */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct child {
	char out[16384], err[8192];
	int status; /* exit status, or 128 + signal */
};

static inline void
child_slurp(FILE *f, char *to, size_t size)
{
	size_t n;

	rewind(f);
	n = fread(to, 1, size - 1, f);
	to[n] = '\0';
	fclose(f);
}

/* FN's result is the exit status. */
static inline void
child_run(struct child *c, int (*fn)(void *), void *arg)
{
	FILE *out = tmpfile(), *err = tmpfile();
	int st = 0;
	pid_t pid;

	if (out == NULL || err == NULL)
		abort();
	fflush(NULL);
	if ((pid = fork()) == -1)
		abort();
	if (pid == 0) {
		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(err), STDERR_FILENO);
		st = fn(arg);
		_exit(st);
	}
	if (waitpid(pid, &st, 0) != pid)
		abort();
	c->status = WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
	child_slurp(out, c->out, sizeof(c->out));
	child_slurp(err, c->err, sizeof(c->err));
}

#endif /* !TESTS_CHILD_H */
