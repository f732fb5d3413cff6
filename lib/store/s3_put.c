/*
 * Objects that go up in one request.  A put is a chain of requests, the next
 * begun when the last has ended: the PUT itself; where the store cannot
 * create only, a HEAD and a plain PUT; and the reading back of locks.  A HEAD
 * goes before it also where versions are kept, but at Amazon: radosgw heeds
 * no condition there.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/msg.h"
#include "store/s3.h"

struct put {
	struct dr_s3_call call;
	enum { PUT, GUARD, PLAIN, RETENTION, HOLD } state;
	struct dr_lock lock; /* as read back */
	char version[256];
	bool began; /* there is a call that waits to be wiped */
};

static bool
locks(const struct dr_s3 *s3)
{
	return s3->store.opts->lock.mode != DR_LOCK_NONE ||
	       s3->store.opts->lock.hold;
}

/* What must be asked back before it can be read, hours later. */
static bool
is_archive(const char *class)
{
	return strcasecmp(class, "GLACIER") == 0 ||
	       strcasecmp(class, "DEEP_ARCHIVE") == 0;
}

int
dr_s3_how(struct dr_s3_call *c, bool small, struct dr_err *err)
{
	const struct dr_store_opts *o = c->s3->store.opts;
	char until[DR_S3_TIME_LEN];

	if (o->storage_class != NULL &&
	    (!small || !is_archive(o->storage_class)) &&
	    dr_s3_xheader(c, "storage-class", o->storage_class, err) == -1)
		return -1;
	if (o->sse != NULL && c->s3->dialect->kms != NULL) {
		if (dr_s3_xheader(c, c->s3->dialect->kms, o->sse, err) == -1)
			return -1;
	} else if (o->sse != NULL) {
		bool key = strncmp(o->sse, "aws:kms:", 8) == 0;

		if (dr_s3_xheader(c, "server-side-encryption",
		        key ? "aws:kms" : o->sse, err) == -1 ||
		    (key && dr_s3_xheader(c,
		                "server-side-encryption-aws-kms-key-id",
		                o->sse + 8, err) == -1))
			return -1;
	}
	if (o->lock.mode != DR_LOCK_NONE &&
	    (dr_s3_xheader(c, "object-lock-mode",
	         o->lock.mode == DR_LOCK_COMPLIANCE ? "COMPLIANCE"
	                                            : "GOVERNANCE",
	         err) == -1 ||
	        dr_s3_xheader(c, "object-lock-retain-until-date",
	            dr_s3_time(o->lock.until, until), err) == -1))
		return -1;
	if (o->lock.hold &&
	    dr_s3_xheader(c, "object-lock-legal-hold", "ON", err) == -1)
		return -1;
	return 0;
}

bool
dr_s3_may_replace(struct dr_s3 *s3, const char *name, struct dr_err *err)
{
	if (!s3->store.opts->allow_no_create_only) {
		dr_err_set(err, DR_EFAIL,
		    "cannot store \"%s\": \"%s\" cannot create an object only "
		    "where there is none",
		    name, s3->store.url);
		dr_err_hint(err, "whoever can write there can also overwrite; "
		                 "--allow-no-create-only writes all the same");
		return false;
	}
	if (!s3->no_once)
		dr_warn("\"%s\" cannot create only: two that write the same "
		        "name would overwrite each other",
		    s3->store.url);
	s3->no_once = true;
	return true;
}

/* Begin what STATE says. */
static int
go(struct put *p, const struct dr_small *s, struct dr_err *err)
{
	struct dr_s3 *s3 = (struct dr_s3 *)s->store;
	const struct dr_s3_dialect *d = s3->dialect;
	struct dr_s3_call *c = &p->call;

	if (p->began)
		dr_s3_wipe(c);
	p->began = true;
	switch (p->state) {
	case PUT:
	case PLAIN:
		if (dr_s3_call(c, s3, "PUT", s->name, "upload of \"%s\"",
		        err) == -1 ||
		    dr_s3_body(c, s->data, s->len, err) == -1 ||
		    dr_s3_md5(c, err) == -1 || dr_s3_how(c, true, err) == -1)
			return -1;
		if (p->state == PUT) {
			c->conditional = true;
			if (dr_s3_header(c, d->once[0], d->once[1], err) == -1)
				return -1;
		}
		break;
	case GUARD:
		if (dr_s3_call(c, s3, "HEAD", s->name, "reading \"%s\"", err) ==
		    -1)
			return -1;
		break;
	case RETENTION:
	case HOLD:
		if (dr_s3_lock_ask(c, s3, s->name, p->version,
		        p->state == HOLD ? "legal-hold" : "retention",
		        err) == -1)
			return -1;
		break;
	}
	return dr_s3_start(c, err);
}

static void
put_free(struct put *p)
{
	if (p->began)
		dr_s3_wipe(&p->call);
	free(p);
}

int
dr_s3_put_begin(struct dr_small *s, struct dr_err *err)
{
	struct dr_s3 *s3 = (struct dr_s3 *)s->store;
	struct put *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return dr_err_sys(err, "cannot store \"%s\"", s->name);
	p->state = s3->no_once || (s3->versions && s3->foreign) ||
	                   (locks(s3) && s3->foreign)
	               ? GUARD
	               : PUT;
	if (go(p, s, err) == -1) {
		put_free(p);
		return -1;
	}
	s->op = p;
	return 0;
}

/* It is there: what the locks say comes next. */
static int
stored(struct put *p, const struct dr_small *s)
{
	struct dr_s3 *s3 = (struct dr_s3 *)s->store;
	const char *v = dr_http_field(p->call.req, s3->dialect->version_header);

	if (v != NULL && strlen(v) < sizeof(p->version)) {
		memcpy(p->version, v, strlen(v) + 1);
		s3->versions = true;
	}
	if (!locks(s3))
		return 1;
	p->state = RETENTION;
	return 0;
}

static int
exists(struct dr_small *s)
{
	s->result = DR_PUT_EXISTS;
	return dr_err_set(&s->err, DR_EFAIL,
	    "cannot create \"%s/%s\": it exists", s->store->url, s->name);
}

/* A request was answered.  1: all is done; 0: STATE says what is next. */
static int
answered(struct put *p, struct dr_small *s)
{
	struct dr_s3 *s3 = (struct dr_s3 *)s->store;
	struct dr_s3_call *c = &p->call;
	int status = c->req->status;

	switch (p->state) {
	case PUT:
		s->lost = s->lost || c->req->lost;
		if (status == 412)
			return exists(s);
		if (status == 501 ||
		    (status == 400 && dr_s3_is(c, "NotImplemented"))) {
			if (!dr_s3_may_replace(s3, s->name, &s->err))
				return -1;
			p->state = GUARD;
			return 0;
		}
		break;
	case GUARD:
		if (status == 200)
			return exists(s);
		if (s3->no_once && status != 404)
			return dr_s3_refused(c, &s->err);
		p->state = s3->no_once ? PLAIN : PUT;
		return 0;
	case PLAIN:
		s->lost = s->lost || c->req->lost;
		break;
	case RETENTION:
	case HOLD:
		if (dr_s3_lock_read(c,
		        p->state == HOLD ? "legal-hold" : "retention", &p->lock,
		        NULL, &s->err) == -1)
			return -1;
		if (p->state == RETENTION && s3->store.opts->lock.hold) {
			p->state = HOLD;
			return 0;
		}
		return dr_s3_lock_enough(s3, s->name, &p->lock, &s->err) == -1
		           ? -1
		           : 1;
	}
	if (status < 200 || status > 299)
		return dr_s3_refused(c, &s->err);
	return stored(p, s);
}

void
dr_s3_put_look(struct dr_small *s)
{
	struct put *p = s->op;
	int rc;

	if (!p->call.req->ended)
		return;
	if (p->call.req->err.cause != DR_OK) {
		s->err = p->call.req->err;
		s->lost = s->lost || p->call.req->lost;
		rc = -1;
	} else
		rc = answered(p, s);
	if (rc == 0 && (rc = go(p, s, &s->err)) == 0)
		return;
	if (rc == 1)
		s->result = DR_PUT_OK;
	put_free(p);
	s->op = NULL;
	s->ended = true;
}

void
dr_s3_put_cancel(struct dr_small *s)
{
	struct put *p = s->op;

	if (p->began && !p->call.req->ended)
		dr_http_cancel(p->call.req);
	put_free(p);
	s->op = NULL;
}
