/* credfake.h - start credfake.py, for unit tests. */
#ifndef TESTS_CREDFAKE_H
#define TESTS_CREDFAKE_H

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char credfake_url[64]; /* http://127.0.0.1:PORT */

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
