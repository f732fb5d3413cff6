/* httpd.h - start tests/httpd.py, and requests to it. */
#ifndef TESTS_HTTPD_H
#define TESTS_HTTPD_H

#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http/http.h"

static pid_t httpd_pid;
static int httpd_in = -1;
static struct {
	char name[16];
	int port;
} httpd_ports[16];

static inline int
httpd_port(const char *name)
{
	for (size_t i = 0; i < 16; i++)
		if (strcmp(httpd_ports[i].name, name) == 0)
			return httpd_ports[i].port;
	return 0;
}

/* False: there is no python3, or with TLS, not what it needs. */
static inline bool
httpd_start(const char *dir, bool tls)
{
	int in[2], out[2];
	char name[16];
	size_t n = 0;
	FILE *f;
	int port;

	if (pipe(in) == -1 || pipe(out) == -1 || (httpd_pid = fork()) == -1)
		abort();
	if (httpd_pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[0]);
		close(in[1]);
		close(out[0]);
		close(out[1]);
		execlp("python3", "python3", "tests/httpd.py", dir,
		    tls ? "tls" : (char *)NULL, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	httpd_in = in[1];
	if ((f = fdopen(out[0], "r")) == NULL)
		abort();
	while (n < 16 && fscanf(f, "%15s", name) == 1 &&
	       strcmp(name, "ready") != 0 && fscanf(f, "%d", &port) == 1) {
		memcpy(httpd_ports[n].name, name, sizeof(name));
		httpd_ports[n++].port = port;
	}
	fclose(f);
	return httpd_port(tls ? "old" : "plain") != 0;
}

static inline void
httpd_stop(void)
{
	int st;

	close(httpd_in);
	if (waitpid(httpd_pid, &st, 0) != httpd_pid)
		abort();
}

/* A request's address, and what its callbacks shall do. */
struct ask {
	char url[256];
	unsigned prepared, judged;
	unsigned again;       /* judge says so this often */
	unsigned fail_at;     /* prepare fails at this attempt */
	bool refuse;          /* judge says it has failed */
	struct dr_http *also; /* prepare asks for something itself */
};

static inline int
ask_prepare(void *arg, struct dr_http_head *head, struct dr_err *err)
{
	struct ask *a = arg;

	if (++a->prepared == a->fail_at)
		return dr_err_set(err, DR_EUSAGE, "no credentials");
	if (a->also != NULL) {
		struct ask b = { .prepared = 0 };
		struct dr_http_req r = { .what = "a token",
			.method = "GET",
			.prepare = ask_prepare,
			.arg = &b };
		int rc;

		snprintf(b.url, sizeof(b.url), "http://127.0.0.1:%d/nest/ok",
		    httpd_port("plain"));
		rc = dr_http_do(a->also, &r, err);
		dr_http_wipe(&r);
		if (rc == -1)
			return -1;
	}
	if (dr_http_header(head, "X-Test", a->again > 0 ? "more" : "", err) ==
	    -1)
		return -1;
	return dr_buf_str(&head->url, a->url, err);
}

static inline int
ask_judge(void *arg, struct dr_http_req *req, struct dr_err *err)
{
	struct ask *a = arg;

	(void)req;
	if (a->refuse)
		return dr_err_set(err, DR_EFAIL, "told off");
	if (++a->judged > a->again)
		return 0;
	dr_err_set(err, DR_ERETRY, "an error inside");
	return 1;
}

/* Set up R to ask METHOD of PATH on the port of that NAME. */
static inline void
ask_set(struct dr_http_req *r, struct ask *a, const char *method,
    const char *name, const char *path)
{
	memset(r, 0, sizeof(*r));
	memset(a, 0, sizeof(*a));
	bool tls = strcmp(name, "plain") != 0 && strcmp(name, "rst") != 0;

	snprintf(a->url, sizeof(a->url), "http%s://127.0.0.1:%d%s",
	    tls ? "s" : "", httpd_port(name), path);
	r->what = "the test";
	r->method = method;
	r->prepare = ask_prepare;
	r->arg = a;
}

#endif /* !TESTS_HTTPD_H */
