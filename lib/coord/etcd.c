#include "coord/etcd.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "coord/etcd_int.h"
#include "coord/etcd_json.h"

#define REPLY_MAX (8U << 20)
#define BODY_MAX  (2U << 20) /* etcd takes 1.5 MiB */
#define SECRET    1024

/* Between two rounds of asking all members, in milliseconds. */
#define FIRST_PAUSE 20
#define LONGEST     250

/* What is not worth asking for any more, in microseconds. */
#define LEAST 5000

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
		dr_etcd_forget_token(e);
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
		dr_etcd_forget_token(e);
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
