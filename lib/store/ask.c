#include "store/ask.h"

#include <sys/stat.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"

static int
prepare(void *arg, struct dr_http_head *head, struct dr_err *err)
{
	const struct dr_ask *a = arg;

	if (dr_buf_str(&head->url, a->url, err) == -1)
		return -1;
	for (size_t i = 0; i < DR_ASK_HEADERS && a->header[i].name != NULL; i++)
		if (dr_http_header(head, a->header[i].name, a->header[i].value,
		        err) == -1)
			return -1;
	return a->sign != NULL ? a->sign(a->arg, a, head, err) : 0;
}

static int
judge(void *arg, struct dr_http_req *req, struct dr_err *err)
{
	const struct dr_ask *a = arg;

	(void)err;
	return a->again != NULL && req->status != 200 && a->again(req);
}

int
dr_ask(const struct dr_http_opts *opts, struct dr_ask *a, struct dr_err *err)
{
	struct dr_http_req req = {
		.what = a->what,
		.method = a->method,
		.prepare = prepare,
		.judge = judge,
		.arg = a,
		.body = a->body,
		.len = a->len,
		.reply_max = 128U << 10,
	};
	struct dr_http *http;
	int rc;

	dr_wipe_buf(&a->reply);
	if ((http = dr_http_new(opts, err)) == NULL)
		return -1;
	if ((rc = dr_http_do(http, &req, err)) == 0) {
		a->status = req.status;
		a->reply = req.reply; /* ours from here on */
		memset(&req.reply, 0, sizeof(req.reply));
	}
	dr_wipe_buf(&req.reply);
	dr_http_wipe(&req);
	dr_http_free(http);
	return rc;
}

void
dr_ask_wipe(struct dr_ask *a)
{
	dr_wipe_buf(&a->reply);
}

void
dr_wipe_str(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

void
dr_wipe_buf(struct dr_buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	dr_buf_free(b);
}

bool
dr_plain(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

char *
dr_printable(char *s)
{
	for (char *c = s; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return s;
}

json_t *
dr_answer(const char *text, size_t len)
{
	json_t *j = NULL;

	if (text != NULL)
		j = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (j != NULL && !json_is_object(j)) {
		json_decref(j);
		j = NULL;
	}
	return j;
}

void
dr_answer_free(json_t *j)
{
	const char *key;
	json_t *v;

	if (j == NULL)
		return;
	json_object_foreach(j, key, v) {
		/* jansson has no way of its own to write into a string. */
		if (json_is_string(v))
			explicit_bzero((void *)(uintptr_t)json_string_value(v),
			    json_string_length(v));
	}
	json_decref(j);
}

bool
dr_answer_str(const json_t *j, const char *key, char *out, size_t size)
{
	const json_t *v = json_object_get(j, key);
	size_t n;

	if (!json_is_string(v) || (n = json_string_length(v)) >= size)
		return false;
	memcpy(out, json_string_value(v), n + 1);
	return true;
}

int
dr_read_line(const char *path, char *out, size_t size, struct dr_err *err)
{
	char *text;
	size_t len;
	int rc = -1;

	if ((text = dr_file_get(path, size - 1, &len, err)) == NULL)
		return -1;
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		text[--len] = '\0';
	if (!dr_plain(text)) {
		errno = EINVAL;
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" does not hold one word of printable characters",
		    path);
	} else {
		memcpy(out, text, len + 1);
		rc = 0;
	}
	dr_wipe_str(text);
	return rc;
}

void
dr_warn_exposed(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & 077) != 0)
		dr_warn("\"%s\" holds secrets and others may read it: "
		        "chmod 600 it",
		    path);
}

const char *
dr_env(const char *name)
{
	const char *v = getenv(name);

	return v != NULL && *v != '\0' ? v : NULL;
}

bool
dr_env_true(const char *name)
{
	const char *v = getenv(name);

	return v != NULL && strcasecmp(v, "true") == 0;
}

bool
dr_copy(char *to, size_t size, const char *from)
{
	size_t n = strlen(from);

	if (n >= size)
		return false;
	memcpy(to, from, n + 1);
	return true;
}

char *
dr_home_file(const char *variable, const char *name, struct dr_err *err)
{
	const char *set = dr_env(variable), *home = dr_env("HOME");
	char *path = NULL, *buf;
	struct passwd pw, *found;
	size_t size = 16384;

	if (set != NULL && strncmp(set, "~/", 2) == 0)
		name = set + 2;
	else if (set != NULL)
		return dr_fmt(err, "%s", set);
	if (home != NULL)
		return dr_fmt(err, "%s/%s", home, name);
	if ((buf = malloc(size)) == NULL) {
		dr_err_sys(err, "cannot find the home directory");
		return NULL;
	}
	if (getpwuid_r(getuid(), &pw, buf, size, &found) == 0 && found != NULL)
		path = dr_fmt(err, "%s/%s", pw.pw_dir, name);
	else
		path = dr_fmt(err, "/%s", name);
	free(buf);
	return path;
}

/*
 * Without TLS the secret may go only to this host and to the addresses that
 * ECS and EKS have on it; names could be anybody's.
 */
bool
dr_ask_host_ok(const char *url)
{
	static const unsigned char eks[16] = { 0xfd, 0x00, 0x0e,
		0xc2, [15] = 0x23 };
	char host[64];
	struct in_addr v4;
	struct in6_addr v6;
	size_t n;
	uint32_t a;

	if (strncasecmp(url, "https://", 8) == 0)
		return true;
	if (strncasecmp(url, "http://", 7) != 0)
		return false;
	url += 7;
	if (*url == '[') {
		n = strcspn(++url, "]/?#");
		if (url[n] != ']' || strchr(":/?", url[n + 1]) == NULL)
			return false;
	} else
		n = strcspn(url, ":/?#");
	if (n == 0 || n >= sizeof(host))
		return false;
	/* What is before "@" is no host. */
	if (memchr(url, '@', strcspn(url, "/?#")) != NULL)
		return false;
	memcpy(host, url, n);
	host[n] = '\0';
	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6) ||
		       memcmp(&v6, eks, sizeof(eks)) == 0;
	if (inet_pton(AF_INET, host, &v4) != 1)
		return false;
	a = ntohl(v4.s_addr);
	return a >> 24 == 127 || a == 0xa9feaa02 || a == 0xa9feaa17;
}
