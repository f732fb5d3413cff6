#include "coord/etcd.h"

#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "coord/etcd_json.h"
#include "http/http.h"

#define MEMBERS   16
#define PORT      "2379"
#define REPLY_MAX (8U << 20)
#define BODY_MAX  (2U << 20) /* etcd takes 1.5 MiB */
#define SECRET    1024

/* Between two rounds of asking all members, in milliseconds. */
#define FIRST_PAUSE 20
#define LONGEST     250

/* What is not worth asking for any more, in microseconds. */
#define LEAST 5000

struct dr_etcd {
	struct dr_http *http;
	bool tls;
	char *member[MEMBERS]; /* "HOST:PORT" */
	size_t n;
	size_t first; /* who answered last */
	uint64_t patience;
	bool insist;
	char *user;
	char *password_file; /* NULL: ETCDCTL_USER or ETCDCTL_PASSWORD has it */
	char *token;         /* NULL: none yet */
};

/* --- opening ------------------------------------------------------------------ */

static int
bad_spec(const char *spec, const char *why, struct dr_err *err)
{
	/* What follows may be somebody's password. */
	if (strchr(spec, '@') != NULL)
		dr_err_set(err, DR_EUSAGE, "an address of etcd %s", why);
	else
		dr_err_set(err, DR_EUSAGE, "\"%s\": an address of etcd %s",
		    spec, why);
	return dr_err_hint(err,
	    "etcd://HOST:PORT,HOST:PORT,... or etcds://... for TLS");
}

/* HOST, HOST:PORT, [IPV6]:PORT; N characters. */
static int
add_member(struct dr_etcd *e, const char *spec, const char *p, size_t n,
    struct dr_err *err)
{
	const char *colon = n == 0 ? NULL : memrchr(p, ':', n);
	const char *bracket = n == 0 ? NULL : memchr(p, ']', n);
	size_t host = n;

	if (colon != NULL && (bracket == NULL || colon > bracket))
		host = (size_t)(colon - p);
	if (host == 0 || (p[0] == '[') != (bracket == p + host - 1))
		return bad_spec(spec, "names a host, or [an IPv6 address]",
		    err);
	for (size_t i = 0; i < host; i++)
		if (!isalnum((unsigned char)p[i]) &&
		    strchr(p[0] == '[' ? "[:.]%" : ".-_", p[i]) == NULL)
			return bad_spec(spec, "holds a name that is none", err);
	if (host < n) {
		long port = n - host > 6 ? 0 : strtol(p + host + 1, NULL, 10);

		if (strspn(p + host + 1, "0123456789") < n - host - 1 ||
		    port < 1 || port > 65535)
			return bad_spec(spec, "holds a port that is none", err);
	}
	if (e->n == MEMBERS)
		return bad_spec(spec, "names too many members", err);
	e->member[e->n] = host < n ? dr_fmt(err, "%.*s", (int)n, p)
	                           : dr_fmt(err, "%.*s:" PORT, (int)n, p);
	return e->member[e->n] == NULL ? -1 : (e->n++, 0);
}

static int
parse_spec(struct dr_etcd *e, const char *spec, struct dr_err *err)
{
	const char *p;
	size_t n;

	e->tls = strncmp(spec, "etcds://", 8) == 0;
	if (!e->tls && strncmp(spec, "etcd://", 7) != 0)
		return bad_spec(spec, "begins with etcd:// or etcds://", err);
	p = spec + (e->tls ? 8 : 7);
	if (strchr(p, '@') != NULL)
		return bad_spec(spec, "holds no user", err);
	for (;; p += n + 1) {
		n = strcspn(p, ",/");
		if (add_member(e, spec, p, n, err) == -1)
			return -1;
		if (p[n] != ',')
			break;
	}
	return p[n] == '\0' || strcmp(p + n, "/") == 0
	           ? 0
	           : bad_spec(spec, "ends with its members", err);
}

static const char *
or_env(const char *given, const char *name)
{
	const char *v = given != NULL ? given : getenv(name);

	return v == NULL || *v == '\0' ? NULL : v;
}

static int
readable(const char *file, const char *what, struct dr_err *err)
{
	if (file == NULL || access(file, R_OK) == 0)
		return 0;
	dr_err_sys(err, "cannot read %s \"%s\"", what, file);
	err->cause = DR_EUSAGE;
	return -1;
}

static int
open_http(struct dr_etcd *e, const struct dr_etcd_opts *o, struct dr_err *err)
{
	const struct dr_http_opts h = {
		.ca_file = or_env(o->ca_file, "ETCDCTL_CACERT"),
		.cert_file = or_env(o->cert_file, "ETCDCTL_CERT"),
		.key_file = or_env(o->key_file, "ETCDCTL_KEY"),
		.direct = true,
	};

	if (!e->tls &&
	    (o->ca_file != NULL || o->cert_file != NULL || o->key_file != NULL))
		return dr_err_set(err, DR_EUSAGE,
		    "certificates are for an address that begins with "
		    "etcds://");
	if (e->tls &&
	    (readable(h.ca_file, "the authorities for etcd", err) == -1 ||
	        readable(h.cert_file, "the certificate for etcd", err) == -1 ||
	        readable(h.key_file, "the key for etcd", err) == -1))
		return -1;
	if (h.key_file != NULL && h.cert_file == NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "a key for etcd is of no use without its certificate");
	e->http = dr_http_new(&h, err);
	return e->http == NULL ? -1 : 0;
}

/* ETCDCTL_USER may be "USER:PASSWORD", as etcdctl has it. */
static int
set_user(struct dr_etcd *e, const struct dr_etcd_opts *o, struct dr_err *err)
{
	const char *user = or_env(o->user, "ETCDCTL_USER");
	const bool given = o->user != NULL;

	if (o->password_file != NULL &&
	    (e->password_file = strdup(o->password_file)) == NULL)
		return dr_err_sys(err, "cannot open etcd");
	if (user == NULL)
		return o->password_file == NULL
		           ? 0
		           : dr_err_set(err, DR_EUSAGE,
		                 "a password for etcd is of no use without "
		                 "its user");
	e->user = given ? strdup(user) : strndup(user, strcspn(user, ":"));
	if (e->user == NULL)
		return dr_err_sys(err, "cannot open etcd");
	if (e->password_file == NULL && getenv("ETCDCTL_PASSWORD") == NULL &&
	    (given || strchr(user, ':') == NULL)) {
		dr_err_set(err, DR_EUSAGE, "no password for etcd's user \"%s\"",
		    e->user);
		return dr_err_hint(err,
		    "put it into a file, or into ETCDCTL_PASSWORD");
	}
	return readable(e->password_file, "the password for etcd", err);
}

struct dr_etcd *
dr_etcd_open(const struct dr_etcd_opts *o, struct dr_err *err)
{
	struct dr_etcd *e = calloc(1, sizeof(*e));

	if (e == NULL) {
		dr_err_sys(err, "cannot open etcd");
		return NULL;
	}
	e->patience = 2000;
	if (parse_spec(e, o->spec, err) == -1 || set_user(e, o, err) == -1 ||
	    open_http(e, o, err) == -1) {
		dr_etcd_free(e);
		return NULL;
	}
	return e;
}

static void
forget_token(struct dr_etcd *e)
{
	if (e->token != NULL)
		explicit_bzero(e->token, strlen(e->token));
	free(e->token);
	e->token = NULL;
}

void
dr_etcd_free(struct dr_etcd *e)
{
	if (e == NULL)
		return;
	dr_http_free(e->http);
	for (size_t i = 0; i < e->n; i++)
		free(e->member[i]);
	forget_token(e);
	free(e->user);
	free(e->password_file);
	free(e);
}

uint64_t
dr_etcd_patience(struct dr_etcd *e, uint64_t ms)
{
	uint64_t was = e->patience;

	e->patience = ms < 1 ? 1 : ms;
	return was;
}

bool
dr_etcd_insist(struct dr_etcd *e, bool insist)
{
	bool was = e->insist;

	e->insist = insist;
	return was;
}

/* --- one request to one member --------------------------------------------------- */

struct ask {
	struct dr_etcd *e;
	size_t member;
	const char *path;
	bool login; /* it goes without a token */
	struct dr_http_req req;
	struct dr_etcd_fault fault;
};

static int
prepare(void *arg, struct dr_http_head *head, struct dr_err *err)
{
	const struct ask *a = arg;
	const struct dr_etcd *e = a->e;

	if (dr_buf_fmt(&head->url, err, "http%s://%s/v3%s", e->tls ? "s" : "",
	        e->member[a->member], a->path) == -1 ||
	    dr_http_header(head, "Content-Type", "application/json", err) == -1)
		return -1;
	if (a->login || e->token == NULL)
		return 0;
	return dr_http_header(head, "Authorization", e->token, err);
}

/*
 * Send it within what is left until UNTIL.  0: there is an answer, and FAULT
 * says what it is worth; -1: there is none.
 */
static int
send_to(struct ask *a, const struct dr_buf *body, int64_t until,
    struct dr_err *err)
{
	int64_t left = until - dr_monotonic();
	struct dr_http_req *r = &a->req;

	r->what = "etcd";
	r->method = "POST";
	r->prepare = prepare;
	r->arg = a;
	r->body = body->data;
	r->len = body->len;
	r->single = true;
	r->cleanup = a->e->insist;
	r->reply_max = REPLY_MAX;
	dr_http_hurry(a->e->http, left < 1000 ? 1 : (uint64_t)left / 1000);
	if (dr_http_do(a->e->http, r, err) == -1)
		return -1;
	dr_etcd_fault(r->status, r->reply.data == NULL ? "" : r->reply.data,
	    r->reply.len, &a->fault);
	return 0;
}

/* --- who we are ------------------------------------------------------------------- */

/* To be read each time: a password that was changed there is taken up. */
static int
get_password(const struct dr_etcd *e, char out[SECRET], struct dr_err *err)
{
	const char *user = getenv("ETCDCTL_USER"), *p;
	char *file = NULL;
	size_t len, n;

	if (e->password_file != NULL) {
		if ((file = dr_file_get(e->password_file, SECRET, &len, err)) ==
		    NULL)
			return -1;
		p = file;
		n = strcspn(p, "\r\n");
	} else if ((p = getenv("ETCDCTL_PASSWORD")) != NULL)
		n = strlen(p);
	else {
		p = user == NULL ? NULL : strchr(user, ':');
		p = p == NULL ? "" : p + 1;
		n = strlen(p);
	}
	if (n < SECRET) {
		memcpy(out, p, n);
		out[n] = '\0';
	}
	if (file != NULL)
		explicit_bzero(file, len);
	free(file);
	return n < SECRET ? 0
	                  : dr_err_set(err, DR_EUSAGE,
	                        "the password for etcd is too long");
}

static int
login_body(const struct dr_etcd *e, struct dr_buf *body, struct dr_err *err)
{
	char password[SECRET];
	int rc = -1;

	/* At once, so that no copy is left behind while it grows. */
	if (dr_buf_room(body, strlen(e->user) * 6 + sizeof(password) * 6 + 64,
	        err) == 0 &&
	    get_password(e, password, err) == 0)
		rc = dr_etcd_auth_body(e->user, password, body, err);
	explicit_bzero(password, sizeof(password));
	return rc;
}

/* 1 there is a token, or none is needed; 0 FAULT says why not; -1. */
static int
login(struct dr_etcd *e, struct ask *outer, int64_t until, struct dr_err *err)
{
	struct dr_buf body = { .max = 1U << 20 };
	struct ask a = { .e = e,
		.member = outer->member,
		.path = "/auth/authenticate",
		.login = true };
	int rc = -1;

	if (login_body(e, &body, err) == -1 ||
	    send_to(&a, &body, until, err) == -1)
		goto out;
	rc = 0;
	if (a.fault.verdict == DR_ETCD_FINE) {
		forget_token(e);
		e->token =
		    dr_etcd_token_reply(a.req.reply.data, a.req.reply.len, err);
		rc = e->token == NULL ? -1 : 1;
	} else if (a.fault.code == DR_GRPC_PRECONDITION)
		rc = 1; /* authentication is not enabled */
	outer->fault = a.fault;
	outer->fault.open = false;

out:
	if (body.data != NULL)
		explicit_bzero(body.data, body.cap);
	dr_buf_free(&body);
	dr_http_wipe(&a.req);
	return rc;
}

/* --- one request to whoever answers ------------------------------------------------ */

struct call {
	struct dr_etcd *e;
	const char *path;
	const struct dr_buf *body;
	/* What to make of an answer without an error; -1: it makes no sense. */
	int (*read)(void *, const char *, size_t, struct dr_err *);
	void *arg;
	bool gone_ok; /* a lease that is gone is an answer: 0 */
	bool *open;   /* may be NULL */
	int64_t until;
	/* Of the last attempt. */
	bool stuck; /* it would fail again */
	struct dr_err why;
};

enum { OVER = -2, NEXT = -1 };

static void
explain(struct dr_err *err, enum dr_cause cause, const struct ask *a)
{
	const struct dr_etcd *e = a->e;

	dr_err_set(err, cause, "etcd at %s says: %s", e->member[a->member],
	    a->fault.text);
	if (strstr(a->fault.text, "space exceeded") != NULL)
		dr_err_hint(err,
		    "compact and defragment it, then disarm its alarm");
	else if (e->user == NULL &&
	         (strstr(a->fault.text, "user name is empty") != NULL ||
	             a->fault.verdict == DR_ETCD_LOGIN))
		dr_err_hint(err, "it wants to know who asks: name a user, and "
		                 "the file that holds the password");
	else if (a->fault.code == DR_GRPC_NONE)
		dr_err_hint(err, "is there an etcd, of version 3.4 or later?");
}

/* READ's value, NEXT to ask another member, OVER. */
static int
judge(struct call *c, struct ask *a, struct dr_err *err)
{
	int rc;

	if (a->fault.verdict == DR_ETCD_GONE && c->gone_ok)
		return 0;
	switch (a->fault.verdict) {
	case DR_ETCD_FINE:
		rc = c->read(c->arg,
		    a->req.reply.data == NULL ? "" : a->req.reply.data,
		    a->req.reply.len, &c->why);
		if (rc >= 0)
			return rc;
		/* Whatever it is, it was asked. */
		a->req.lost = true;
		return NEXT;
	case DR_ETCD_LATER:
		a->req.lost = a->fault.open;
		explain(&c->why, DR_ERETRY, a);
		return NEXT;
	case DR_ETCD_GONE:
	case DR_ETCD_LOGIN:
	case DR_ETCD_REFUSED:
		explain(err, DR_EFAIL, a);
		break;
	}
	return OVER;
}

static int
try_member(struct call *c, size_t member, int64_t until, struct dr_err *err)
{
	struct dr_etcd *e = c->e;
	struct ask a = { .e = e, .member = member, .path = c->path };
	bool fresh = false;
	int rc;

	dr_err_clear(&c->why);
	c->stuck = false;
	for (;;) {
		if (e->user != NULL && e->token == NULL && !fresh) {
			rc = login(e, &a, until, &c->why);
			if (rc == 0) {
				rc = judge(c, &a, err);
				break;
			}
			fresh = rc == 1;
			if (rc == -1)
				goto silent;
		}
		if (send_to(&a, c->body, until, &c->why) == -1)
			goto silent;
		/* Tokens do not outlive a restart, or five idle minutes. */
		if (a.fault.verdict != DR_ETCD_LOGIN || e->user == NULL ||
		    fresh) {
			rc = judge(c, &a, err);
			break;
		}
		forget_token(e);
		dr_http_wipe(&a.req);
	}
	goto out;

silent:
	rc = NEXT;
	if (c->why.cause == DR_ESTOP || c->why.cause == DR_EUSAGE) {
		*err = c->why;
		rc = OVER;
	}
out:
	c->stuck = c->why.cause != DR_OK && c->why.cause != DR_ERETRY;
	if (c->open != NULL)
		*c->open = *c->open || a.req.lost;
	dr_http_wipe(&a.req);
	return rc;
}

static int
rest(const struct call *c, int64_t ms, struct dr_err *err)
{
	int64_t left = (c->until - dr_monotonic()) / 1000;
	struct pollfd p = { .fd = dr_stop_fd(), .events = POLLIN };

	if (dr_stopped() != 0)
		p.fd = -1;
	(void)dr_fd_poll(&p, 1, (int)(left < ms ? left < 0 ? 0 : left : ms));
	if (dr_stopped() != 0 && !c->e->insist)
		return dr_err_set(err, DR_ESTOP, "stopped by signal %d",
		    dr_stopped());
	return 0;
}

static int
nobody(const struct call *c, uint64_t asked, struct dr_err *err)
{
	char ms[DR_SIZE_LEN];

	dr_err_set(err, c->stuck ? c->why.cause : DR_ERETRY, "%s", c->why.msg);
	if (c->why.hint[0] != '\0')
		dr_err_hint(err, "%s", c->why.hint);
	else if (c->e->tls && strstr(c->why.msg, "broke off") != NULL)
		dr_err_hint(err, "etcd may not take our certificate, or want "
		                 "one");
	if (asked > 1)
		dr_err_wrap(err, "no answer from %zu member%s of etcd in %s",
		    c->e->n, dr_plural(c->e->n),
		    dr_format_msec(c->e->patience, ms));
	return -1;
}

/* READ's value, or -1. */
static int
call(struct call *c, struct dr_err *err)
{
	struct dr_etcd *e = c->e;
	int64_t pause = FIRST_PAUSE, now;
	uint64_t asked = 0;
	size_t stuck = 0;

	if (c->open != NULL)
		*c->open = false;
	c->until = dr_monotonic() + (int64_t)e->patience * 1000;
	for (;;) {
		size_t round = (size_t)(asked % e->n), member;
		int rc;

		now = dr_monotonic();
		if (asked > 0 && now >= c->until - LEAST)
			return nobody(c, asked, err);
		member = (e->first + round) % e->n;
		rc = try_member(c, member,
		    now + (c->until - now) / (int64_t)(e->n - round), err);
		if (rc == OVER)
			return -1;
		if (rc != NEXT) {
			e->first = member;
			return rc;
		}
		asked++;
		stuck = c->stuck ? stuck + 1 : 0;
		if (stuck == e->n)
			return nobody(c, asked, err);
		if (round + 1 < e->n)
			continue;
		if (rest(c, pause, err) == -1)
			return -1;
		pause = pause * 2 > LONGEST ? LONGEST : pause * 2;
	}
}

/* --- what can be asked ---------------------------------------------------------------- */

static int
read_txn(void *arg, const char *json, size_t len, struct dr_err *err)
{
	return dr_etcd_txn_reply(json, len, arg, err);
}

int
dr_etcd_txn(struct dr_etcd *e, const struct dr_etcd_txn *t,
    struct dr_etcd_reply *r, struct dr_err *err)
{
	struct dr_buf body = { .max = BODY_MAX };
	bool open = false;
	struct call c = { .e = e,
		.path = "/kv/txn",
		.body = &body,
		.read = read_txn,
		.arg = r,
		.open = &open };
	int rc;

	dr_etcd_wipe(r);
	if ((rc = dr_etcd_txn_body(t, &body, err)) == 0)
		rc = call(&c, err);
	r->open = open;
	dr_buf_free(&body);
	return rc;
}

struct granted {
	int64_t *lease;
	int *ttl;
};

static int
read_grant(void *arg, const char *json, size_t len, struct dr_err *err)
{
	struct granted *g = arg;

	return dr_etcd_grant_reply(json, len, g->lease, g->ttl, err);
}

int
dr_etcd_grant(struct dr_etcd *e, int ttl, int64_t *lease, int *granted,
    struct dr_err *err)
{
	struct dr_buf body = { .max = 256 };
	struct granted g = { lease, granted };
	struct call c = { .e = e,
		.path = "/lease/grant",
		.body = &body,
		.read = read_grant,
		.arg = &g };
	int rc;

	if ((rc = dr_etcd_ttl_body(ttl, &body, err)) == 0)
		rc = call(&c, err);
	dr_buf_free(&body);
	return rc;
}

static int
read_keepalive(void *arg, const char *json, size_t len, struct dr_err *err)
{
	return dr_etcd_keepalive_reply(json, len, arg, err);
}

static int
read_nothing(void *arg, const char *json, size_t len, struct dr_err *err)
{
	(void)arg;
	(void)json;
	(void)len;
	(void)err;
	return 0;
}

int
dr_etcd_keepalive(struct dr_etcd *e, int64_t lease, int *ttl,
    struct dr_err *err)
{
	struct dr_buf body = { .max = 256 };
	struct call c = { .e = e,
		.path = "/lease/keepalive",
		.body = &body,
		.read = read_keepalive,
		.arg = ttl,
		.gone_ok = true };
	int rc;

	if ((rc = dr_etcd_id_body(lease, &body, err)) == 0)
		rc = call(&c, err);
	dr_buf_free(&body);
	return rc;
}

int
dr_etcd_revoke(struct dr_etcd *e, int64_t lease, struct dr_err *err)
{
	struct dr_buf body = { .max = 256 };
	struct call c = { .e = e,
		.path = "/lease/revoke",
		.body = &body,
		.read = read_nothing,
		.gone_ok = true };
	int rc;

	if ((rc = dr_etcd_id_body(lease, &body, err)) == 0)
		rc = call(&c, err);
	dr_buf_free(&body);
	return rc;
}
