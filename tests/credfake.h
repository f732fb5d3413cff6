/*
 * credfake.h - start credfake.py, and look at what was got, for unit tests of
 * credentials.
 */
#ifndef TESTS_CREDFAKE_H
#define TESTS_CREDFAKE_H

#include <sys/stat.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "store/aws_cred.h"

static struct dr_err err;
static struct dr_aws_keys k;
static char credfake_url[64]; /* http://127.0.0.1:PORT */

/* A variable of the environment. */
static inline void
set(const char *name, const char *value)
{
	if (setenv(name, value, 1) == -1)
		abort();
}

static inline void
file(const char *name, mode_t mode, const char *text)
{
	struct dr_err e = { 0 };

	(void)unlink(name);
	if (dr_file_put(name, 0600, DR_FILE_NEW, text, strlen(text), &e) ==
	        -1 ||
	    chmod(name, mode) == -1) {
		fprintf(stderr, "%s\n", e.msg);
		abort();
	}
}

/* Are the keys these? */
static inline bool
is(const char *access, const char *secret, const char *token)
{
	bool good = strcmp(k.access, access) == 0 &&
	            strcmp(k.secret, secret) == 0 &&
	            strcmp(k.token, token) == 0;

	if (!good)
		printf("# %s / %s: %s (%s)\n", k.access, k.token, err.msg,
		    err.hint);
	return good;
}

/* Is that what it failed with? */
static inline bool
fails(int cause, const char *msg, const char *hint)
{
	bool good = (int)err.cause == cause && strstr(err.msg, msg) != NULL &&
	            strstr(err.hint, hint) != NULL;

	if (!good)
		printf("# %d %s (%s)\n", (int)err.cause, err.msg, err.hint);
	return good;
}

/* The program that plays the services; its end of our pipe, -1 for none. */
static inline int
credfake(pid_t *pid, const char *log, const char *pubkey)
{
	int in[2], out[2];
	char port[16] = "";
	size_t len = 0;
	ssize_t n;

	if (pipe(in) == -1 || pipe(out) == -1 || (*pid = fork()) == -1)
		abort();
	if (*pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execlp("python3", "python3", "tests/credfake.py", log, pubkey,
		    (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	do
		n = read(out[0], port + len, sizeof(port) - 1 - len);
	while (n > 0 && port[(len += (size_t)n) - 1] != '\n' &&
	       len < sizeof(port) - 1);
	close(out[0]);
	if (n <= 0) {
		close(in[1]);
		return -1;
	}
	port[strcspn(port, "\n")] = '\0';
	(void)snprintf(credfake_url, sizeof(credfake_url),
	    "http://127.0.0.1:%s", port);
	return in[1];
}

#endif /* !TESTS_CREDFAKE_H */
