/* One attempt at a request: what curl is told, and what it tells us. */
#include <sys/socket.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "http/rate.h"
#include "http/transfer.h"

#define URL_MAX    (64U << 10)
#define REPLY_MAX  (1U << 20)
#define FIELDS_MAX (128U << 10)
#define BUFFER     (128L << 10)

/* Connections that were idle for longer are likely to be closed any moment. */
#define IDLE_SECONDS 15L

static void
moved(struct dr_transfer *t, size_t n)
{
	t->last = dr_monotonic();
	t->moved += n;
}

bool
dr_attempt_arrived(const struct dr_transfer *t)
{
	return t->asked && (t->req->len == 0 || t->whole);
}

/*
 * A connection stands, and the request is about to go out.  When curl calls
 * this again, it has met a connection that was closed while it was idle, and
 * sends the request on another one: the first may have arrived.
 */
static int
on_asking(void *arg, char *ip, char *local, int port, int local_port)
{
	struct dr_transfer *t = arg;

	(void)ip;
	(void)local;
	(void)port;
	(void)local_port;
	if (dr_attempt_arrived(t)) {
		t->req->lost = true;
		if (t->req->once)
			return CURL_PREREQFUNC_ABORT;
	}
	t->asked = true;
	moved(t, 0);
	return CURL_PREREQFUNC_OK;
}

static size_t
on_read(char *to, size_t size, size_t nmemb, void *arg)
{
	struct dr_transfer *t = arg;
	const struct dr_http_req *req = t->req;
	uint64_t left = req->len - t->sent;
	size_t n = size * nmemb;

	if (left < n)
		n = (size_t)left;
	if (n == 0)
		return 0;
	if (!req->single && (n = dr_rate_may(DR_WAY_OUT, n)) == 0) {
		t->paused = true;
		return CURL_READFUNC_PAUSE;
	}
	if (req->body != NULL)
		memcpy(to, (const char *)req->body + t->sent, n);
	else if (dr_fd_pread(req->body_fd, to, n, req->body_off + t->sent,
	             req->what, &t->err) == -1)
		return CURL_READFUNC_ABORT;
	t->sent += n;
	if (t->sent > t->furthest)
		t->furthest = t->sent;
	t->whole = t->whole || t->sent == req->len;
	dr_rate_went(DR_WAY_OUT, n);
	moved(t, n);
	return n;
}

static int
on_seek(void *arg, curl_off_t off, int whence)
{
	struct dr_transfer *t = arg;

	if (whence != SEEK_SET || off < 0 || (uint64_t)off > t->req->len)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)off;
	return CURL_SEEKFUNC_OK;
}

static void
forget_fields(struct dr_http_req *req)
{
	for (size_t i = 0; i < req->fields; i++) {
		free(req->field[i].name);
		free(req->field[i].value);
	}
	req->fields = 0;
}

/* "NAME: VALUE" without its line's end. */
static int
add_field(struct dr_http_req *req, const char *line, size_t len,
    struct dr_err *err)
{
	const char *colon = memchr(line, ':', len), *value;
	struct dr_http_field *f;

	if (colon == NULL)
		return 0;
	if (req->fields % 16 == 0) {
		f = realloc(req->field, (req->fields + 16) * sizeof(*f));
		if (f == NULL)
			return dr_err_sys(err, "cannot keep a reply's headers");
		req->field = f;
	}
	f = &req->field[req->fields];
	for (value = colon + 1; value < line + len && *value == ' ';)
		value++;
	f->name = strndup(line, (size_t)(colon - line));
	f->value = strndup(value, (size_t)(line + len - value));
	if (f->name == NULL || f->value == NULL) {
		free(f->name);
		free(f->value);
		return dr_err_sys(err, "cannot keep a reply's headers");
	}
	for (char *p = f->name; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	req->fields++;
	return 0;
}

/* One line of the reply's head; "100 Continue" has one of its own. */
static size_t
on_head(char *line, size_t size, size_t nmemb, void *arg)
{
	struct dr_transfer *t = arg;
	size_t all = size * nmemb, len = all;

	moved(t, all);
	if ((t->head_bytes += all) > FIELDS_MAX) {
		dr_err_set(&t->err, DR_EFAIL,
		    "%s: the headers of the answer of %s are too long",
		    t->req->what, t->host);
		return 0;
	}
	while (len > 0 && strchr("\r\n \t", line[len - 1]) != NULL)
		len--;
	if (len >= 5 && strncmp(line, "HTTP/", 5) == 0)
		forget_fields(t->req);
	else if (add_field(t->req, line, len, &t->err) == -1)
		return 0;
	return all;
}

static int
status_of(const struct dr_transfer *t, const struct dr_curl *c)
{
	long status = 0;

	c->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

/* Bytes of the reply's body: where they go, the header says. */
static int
take(struct dr_transfer *t, int status, const char *p, size_t n)
{
	struct dr_http_req *req = t->req;
	size_t max = req->reply_max != 0 ? req->reply_max : REPLY_MAX;

	if (req->into != NULL && (status == 200 || status == 206)) {
		if (n > req->into_len - t->got)
			return -1;
		memcpy((char *)req->into + t->got, p, n);
		t->got += n;
		return 0;
	}
	req->reply.max = max + 1;
	if (n > max - req->reply.len) {
		/* Of an error, the beginning is enough. */
		if (status >= 300) {
			t->overlong = true;
			n = max - req->reply.len;
		} else
			return dr_err_set(&t->err, DR_EDATA,
			    "%s: the answer of %s is longer than %zu bytes",
			    req->what, t->host, max);
	}
	if (n > 0 && dr_buf_add(&req->reply, p, n, &t->err) == -1)
		return -1;
	return t->overlong ? -1 : 0;
}

static size_t
on_body(char *p, size_t size, size_t nmemb, void *arg)
{
	struct dr_transfer *t = arg;
	const struct dr_curl *c = dr_curl(&t->err);
	size_t n = size * nmemb;

	/* Smaller pieces cannot be taken here: the bytes have arrived. */
	if (n > 0 && !t->req->single && dr_rate_may(DR_WAY_IN, n) == 0) {
		t->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	dr_rate_went(DR_WAY_IN, n);
	moved(t, n);
	if (c == NULL || take(t, status_of(t, c), p, n) == -1)
		return n == 0 ? 1 : 0;
	return n;
}

/* curl's own sockets would be inherited by what we execute. */
static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)arg;
	(void)purpose;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* HOST and port of a URL, for messages, which shall not hold more of it. */
static void
find_host(const char *url, char *host, size_t size)
{
	const char *p = strstr(url, "://"), *at;
	size_t n;

	p = p == NULL ? url : p + 3;
	n = strcspn(p, "/?#");
	while ((at = memchr(p, '@', n)) != NULL) {
		n -= (size_t)(at + 1 - p);
		p = at + 1;
	}
	if (n >= size)
		n = size - 1;
	memcpy(host, p, n);
	host[n] = '\0';
}

static int
add_header(struct dr_transfer *t, const struct dr_curl *c, const char *line,
    struct dr_err *err)
{
	struct curl_slist *l = c->slist_append(t->headers, line);

	if (l == NULL)
		return dr_err_set(err, DR_EFAIL,
		    "cannot allocate a request's headers");
	t->headers = l;
	return 0;
}

/* curl_easy_setopt, each with the type that the option wants. */
struct set {
	const struct dr_curl *c;
	CURL *easy;
	CURLcode rc;
};

static void
set_long(struct set *s, CURLoption o, long v)
{
	if (s->rc == CURLE_OK)
		s->rc = s->c->easy_setopt(s->easy, o, v);
}

static void
set_off(struct set *s, CURLoption o, curl_off_t v)
{
	if (s->rc == CURLE_OK)
		s->rc = s->c->easy_setopt(s->easy, o, v);
}

static void
set_ptr(struct set *s, CURLoption o, const void *v)
{
	if (s->rc == CURLE_OK)
		s->rc = s->c->easy_setopt(s->easy, o, v);
}

#define SET_FN(s, o, fn)                                                 \
	do {                                                             \
		if ((s)->rc == CURLE_OK)                                 \
			(s)->rc = (s)->c->easy_setopt((s)->easy, o, fn); \
	} while (0)

static void
set_callbacks(struct set *s, struct dr_transfer *t)
{
	SET_FN(s, CURLOPT_PREREQFUNCTION, on_asking);
	set_ptr(s, CURLOPT_PREREQDATA, t);
	SET_FN(s, CURLOPT_HEADERFUNCTION, on_head);
	set_ptr(s, CURLOPT_HEADERDATA, t);
	SET_FN(s, CURLOPT_WRITEFUNCTION, on_body);
	set_ptr(s, CURLOPT_WRITEDATA, t);
	SET_FN(s, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	set_ptr(s, CURLOPT_ERRORBUFFER, t->text);
	set_ptr(s, CURLOPT_PRIVATE, t);
}

/* What holds for every request. */
static void
set_manner(struct set *s, const struct dr_transfer *t)
{
	int64_t left = (t->deadline - dr_monotonic()) / 1000;
	int64_t ms = (int64_t)t->http->opts.connect_ms;

	if (left < ms)
		ms = left < 1 ? 1 : left;
	set_long(s, CURLOPT_NOSIGNAL, 1);
	set_long(s, CURLOPT_CONNECTTIMEOUT_MS, (long)ms);
	set_ptr(s, CURLOPT_PROTOCOLS_STR, "http,https");
	set_long(s, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	set_long(s, CURLOPT_FOLLOWLOCATION, 0);
	set_long(s, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
	set_ptr(s, CURLOPT_USERAGENT, "drtools/" DR_VERSION);
	set_long(s, CURLOPT_TCP_NODELAY, 1);
	set_long(s, CURLOPT_MAXAGE_CONN, IDLE_SECONDS);
	if (t->http->opts.direct)
		set_ptr(s, CURLOPT_PROXY, "");
	set_long(s, CURLOPT_FRESH_CONNECT, t->req->once ? 1 : 0);
	/* A name server that is silent would hold up its end for seconds. */
	if (t->req->single)
		set_long(s, CURLOPT_QUICK_EXIT, 1);
	/* Refused where an attempt that failed early left its buffer. */
	(void)s->c->easy_setopt(s->easy, CURLOPT_BUFFERSIZE, BUFFER);
	(void)s->c->easy_setopt(s->easy, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER);
	set_long(s, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	set_long(s, CURLOPT_SSL_VERIFYPEER, 1);
	set_long(s, CURLOPT_SSL_VERIFYHOST, 2);
	if (t->http->ca_file != NULL) {
		set_ptr(s, CURLOPT_CAINFO, t->http->ca_file);
		set_ptr(s, CURLOPT_CAPATH, NULL);
	}
	if (t->http->cert_file != NULL) {
		set_ptr(s, CURLOPT_SSLCERT, t->http->cert_file);
		set_ptr(s, CURLOPT_SSLKEY,
		    t->http->key_file != NULL ? t->http->key_file
		                              : t->http->cert_file);
	}
}

static void
set_method(struct set *s, struct dr_transfer *t)
{
	const struct dr_http_req *req = t->req;

	if (req->len > 0 || strcmp(req->method, "PUT") == 0 ||
	    strcmp(req->method, "POST") == 0) {
		set_long(s, CURLOPT_UPLOAD, 1);
		set_off(s, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->len);
		SET_FN(s, CURLOPT_READFUNCTION, on_read);
		set_ptr(s, CURLOPT_READDATA, t);
		SET_FN(s, CURLOPT_SEEKFUNCTION, on_seek);
		set_ptr(s, CURLOPT_SEEKDATA, t);
	} else if (strcmp(req->method, "HEAD") == 0)
		set_long(s, CURLOPT_NOBODY, 1);
	else
		set_long(s, CURLOPT_HTTPGET, 1);
	if (strcmp(req->method, "HEAD") != 0)
		set_ptr(s, CURLOPT_CUSTOMREQUEST, req->method);
}

static void
reset(struct dr_transfer *t)
{
	struct dr_http_req *req = t->req;

	forget_fields(req);
	req->status = 0;
	req->reply.len = 0;
	dr_err_clear(&t->err);
	t->text[0] = '\0';
	t->asked = t->whole = t->overlong = t->paused = false;
	t->sent = t->got = t->moved = t->before = 0;
	t->head_bytes = 0;
	t->tried = t->last = t->mark = dr_monotonic();
}

int
dr_attempt_set(struct dr_transfer *t, const struct dr_curl *c,
    struct dr_err *err)
{
	struct set s = { .c = c, .easy = t->easy };
	const struct dr_http_req *req = t->req;

	reset(t);
	t->head.url.max = URL_MAX;
	if (req->prepare(req->arg, &t->head, err) == -1)
		return -1;
	if (t->head.url.len == 0)
		return dr_err_set(err, DR_EFAIL, "%s: it has no address",
		    req->what);
	find_host(t->head.url.data, t->host, sizeof(t->host));
	for (size_t i = 0; i < t->head.raw.n; i++)
		if (add_header(t, c, t->head.raw.v[i], err) == -1)
			return -1;
	/* To wait for leave to send the body costs a round trip. */
	if (add_header(t, c, "Expect:", err) == -1)
		return -1;

	c->easy_reset(t->easy);
	set_callbacks(&s, t);
	set_manner(&s, t);
	set_method(&s, t);
	set_ptr(&s, CURLOPT_URL, t->head.url.data);
	set_ptr(&s, CURLOPT_HTTPHEADER, t->headers);
	if (s.rc != CURLE_OK)
		return dr_err_set(err, DR_EFAIL, "%s: cannot be asked for: %s",
		    req->what, c->easy_strerror(s.rc));
	return 0;
}

void
dr_attempt_wipe(struct dr_transfer *t, const struct dr_curl *c)
{
	struct dr_strs *raw = &t->head.raw;

	c->slist_free_all(t->headers);
	t->headers = NULL;
	/* Signatures and tokens. */
	for (size_t i = 0; i < raw->n; i++) {
		char *line = (char *)(uintptr_t)raw->v[i];

		explicit_bzero(line, strlen(line));
		free(line);
	}
	dr_strs_free(raw);
	if (t->head.url.data != NULL)
		explicit_bzero(t->head.url.data, t->head.url.cap);
	dr_buf_free(&t->head.url);
}
