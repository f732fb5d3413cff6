#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/evp.h>

#include "base/base64.h"
#include "base/num.h"
#include "store/azure.h"
#include "store/parts.h"

int
dr_az_opts_ok(const struct dr_store_opts *o, struct dr_err *err)
{
	static const char *const tiers[] = { "Hot", "Cool", "Cold", "Archive" };
	const size_t n = sizeof(tiers) / sizeof(tiers[0]);
	size_t i = 0;

	if (o->storage_class != NULL) {
		while (i < n && strcasecmp(tiers[i], o->storage_class) != 0)
			i++;
		if (i == n) {
			dr_err_set(err, DR_EUSAGE,
			    "Azure has no storage class \"%s\"",
			    o->storage_class);
			return dr_err_hint(err,
			    "it has Hot, Cool, Cold and Archive");
		}
	}
	if (o->sse != NULL && strcasecmp(o->sse, "AES256") != 0 &&
	    (strncmp(o->sse, "scope:", 6) != 0 || o->sse[6] == '\0')) {
		dr_err_set(err, DR_EUSAGE, "Azure cannot encrypt by \"%s\"",
		    o->sse);
		return dr_err_hint(err,
		    "it always encrypts by AES-256; \"scope:NAME\" names one "
		    "of the account's encryption scopes");
	}
	return 0;
}

/* The encryption scope that was asked for, or NULL. */
static const char *
scope(const struct dr_azure *a)
{
	const char *sse = a->store.opts->sse;

	return sse != NULL && strncmp(sse, "scope:", 6) == 0 ? sse + 6 : NULL;
}

static int
scope_head(struct dr_az_req *r, struct dr_err *err)
{
	const char *s = scope(r->a);

	return s == NULL
	           ? 0
	           : dr_az_head(&r->call, "x-ms-encryption-scope", s, err);
}

/* MD5 is missing where a policy forbids it; then TLS alone guards. */
int
dr_az_md5(struct dr_az_req *r, const unsigned char md5[16], struct dr_err *err)
{
	struct dr_buf b = { .max = 64 };
	int rc = -1;

	if (dr_b64(&b, md5, 16, err) == 0)
		rc = dr_az_head(&r->call, "content-md5", b.data, err);
	dr_buf_free(&b);
	return rc;
}

static int
body(struct dr_az_req *r, const void *data, size_t len, struct dr_err *err)
{
	unsigned char md5[EVP_MAX_MD_SIZE];

	r->http->body = data;
	r->http->len = len;
	if (EVP_Digest(data, len, md5, NULL, EVP_md5(), NULL) != 1)
		return 0;
	return dr_az_md5(r, md5, err);
}

/*
 * How the object is to be kept.  SMALL ones are what tells of the others: it
 * is of no use where it cannot be read.
 */
static int
keep_heads(struct dr_az_req *r, bool small, struct dr_err *err)
{
	const struct dr_store_opts *o = r->a->store.opts;
	struct dr_az_call *c = &r->call;
	char date[DR_AZ_DATE_LEN];

	/* It may grow from object to object. */
	r->lock = o->lock;
	if (o->storage_class != NULL &&
	    (!small || strcasecmp(o->storage_class, "Archive") != 0)) {
		char tier[8] = { 0 };

		for (size_t i = 0; o->storage_class[i] != '\0' && i < 7; i++)
			tier[i] = (char)((o->storage_class[i] & 0x5f) |
			                 (i == 0 ? 0 : 0x20));
		if (dr_az_head(c, "x-ms-access-tier", tier, err) == -1)
			return -1;
	}
	if (r->lock.mode != DR_LOCK_NONE &&
	    (dr_az_head(c, "x-ms-immutability-policy-until-date",
	         dr_az_date(r->lock.until, date), err) == -1 ||
	        dr_az_head(c, "x-ms-immutability-policy-mode",
	            r->lock.mode == DR_LOCK_COMPLIANCE ? "Locked" : "Unlocked",
	            err) == -1))
		return -1;
	if (r->lock.hold && dr_az_head(c, "x-ms-legal-hold", "true", err) == -1)
		return -1;
	return scope_head(r, err);
}

static int
mark_head(struct dr_az_req *r, const struct dr_az_mark *m, struct dr_err *err)
{
	char mark[DR_AZ_MARK_LEN];

	return m == NULL ? 0
	                 : dr_az_head(&r->call, "x-ms-meta-drtools",
	                       dr_az_mark_hex(m, mark), err);
}

int
dr_az_put_blob(struct dr_az_req *r, struct dr_azure *a, const char *name,
    const struct dr_az_mark *m, bool replace, struct dr_err *err)
{
	if (dr_az_req(r, a, "PUT", "upload of", name, err) == -1 ||
	    dr_az_head(&r->call, "x-ms-blob-type", "BlockBlob", err) == -1 ||
	    dr_az_head(&r->call, "content-type", "application/octet-stream",
	        err) == -1 ||
	    (!replace &&
	        dr_az_head(&r->call, "if-none-match", "*", err) == -1) ||
	    mark_head(r, m, err) == -1)
		return -1;
	return keep_heads(r, m == NULL, err);
}

/* --- locks ---------------------------------------------------------------------- */

static bool
lock_asked(const struct dr_az_req *r)
{
	return r->lock.mode != DR_LOCK_NONE || r->lock.hold;
}

/* Stores that know nothing of locks accept them, and ignore them. */
static int
lock_holds(const struct dr_az_req *r, const char *name,
    const struct dr_lock *got, struct dr_err *err)
{
	const struct dr_lock *want = &r->lock;

	if ((want->mode == DR_LOCK_NONE ||
	        (got->mode == want->mode && got->until >= want->until)) &&
	    (!want->hold || got->hold))
		return 0;
	dr_err_set(err, DR_EFAIL,
	    "\"%s\" is stored in \"%s\", but not locked as was asked", name,
	    r->a->conf.url);
	return dr_err_hint(err,
	    "the store ignored the lock: the container needs version-level "
	    "immutability, the credentials the right to set it (i)");
}

/* The reply to an upload names the scope, if it was heeded. */
static int
scope_holds(const struct dr_azure *a, const char *name,
    const struct dr_http_req *q, struct dr_err *err)
{
	const char *want = scope(a);
	const char *got = dr_http_field(q, "x-ms-encryption-scope");

	if (want == NULL || (got != NULL && strcmp(want, got) == 0))
		return 0;
	return dr_err_set(err, DR_EFAIL,
	    "\"%s\" is stored in \"%s\", but not in encryption scope \"%s\": "
	    "the store ignored it",
	    name, a->conf.url, want);
}

static int
kept(const struct dr_az_req *r, const char *name, struct dr_err *err)
{
	struct dr_azure *a = r->a;
	struct dr_az_facts f;
	int rc;

	if (scope_holds(a, name, r->http, err) == -1)
		return -1;
	if (!lock_asked(r))
		return 0;
	if ((rc = dr_az_look(a, name, true, &f, err)) == 1)
		return lock_holds(r, name, &f.lock, err);
	if (rc == 0)
		dr_err_set(err, DR_EFAIL,
		    "\"%s\" was stored in \"%s\" and is gone", name,
		    a->conf.url);
	return dr_err_wrap(err, "cannot read back the lock");
}

/* --- of unknown length ---------------------------------------------------------------- */

/*
 * There is one of that name.  It is ours where the reply to our own request
 * was lost: its mark says so, to those who may read it.  errno EALREADY:
 * nothing speaks against it, and we may not.
 */
static int
exists(struct dr_az_upload *u, const struct dr_az_req *r, struct dr_err *err)
{
	struct dr_err why = { 0 };
	char mark[DR_AZ_MARK_LEN];
	struct dr_az_facts f;
	int rc = 0;

	if (r->http->lost)
		rc = dr_az_look(u->a, u->name, true, &f, &why);
	if (rc == 1 && strcmp(f.mark, dr_az_mark_hex(&u->mark, mark)) == 0)
		return lock_asked(r) ? lock_holds(r, u->name, &f.lock, err) : 0;
	if (rc == -1 && (why.cause != DR_EFAIL || lock_asked(r))) {
		*err = why;
		return why.cause != DR_EFAIL
		           ? -1
		           : dr_err_wrap(err, "cannot read back the lock");
	}
	dr_az_fail(r, err);
	if (rc == -1)
		dr_err_hint(err, "it may be our own: a reply was lost, and "
		                 "what is there cannot be read");
	errno = rc == -1 ? EALREADY : EEXIST;
	return -1;
}

/* What came of Put Blob or Put Block List. */
int
dr_az_settle(struct dr_az_upload *u, struct dr_az_req *r, struct dr_err *err)
{
	enum dr_az_verdict v;
	struct dr_az_facts f;
	struct dr_err ignored = { 0 };
	char code[64];

	if (r->http->status == 201)
		return kept(r, u->name, err);
	dr_az_code(r->http, code);
	v = dr_az_verdict(r->http->status, code);
	if (v == DR_AZ_EXISTS || v == DR_AZ_CHANGED)
		return exists(u, r, err);
	/*
	 * A lock or a lease keeps it from being replaced: it exists.  When
	 * another upload of that name was quicker, our blocks are gone.
	 */
	if ((r->http->status == 409 || r->http->status == 412 ||
	        strcmp(code, "InvalidBlockList") == 0) &&
	    dr_az_look(u->a, u->name, true, &f, &ignored) == 1)
		return exists(u, r, err);
	return dr_az_fail(r, err);
}

static int
up_whole(void *arg, const void *data, size_t len, struct dr_err *err)
{
	struct dr_az_upload *u = arg;
	struct dr_az_req r = { 0 };
	int rc = -1, saved;

	errno = 0;
	if (dr_az_put_blob(&r, u->a, u->name, &u->mark, false, err) == 0 &&
	    body(&r, data, len, err) == 0 && dr_az_wait(&r, err) == 0)
		rc = dr_az_settle(u, &r, err);
	saved = errno;
	dr_az_wipe(&r);
	errno = saved;
	return rc;
}

static int
up_begin(void *arg, struct dr_err *err)
{
	(void)arg;
	(void)err;
	return 0;
}

static int
put_block(struct dr_az_req *r, struct dr_azure *a, const char *name,
    const struct dr_az_mark *m, unsigned n, struct dr_err *err)
{
	char id[DR_AZ_ID_LEN];

	if (dr_az_req(r, a, "PUT", "upload of a part of", name, err) == -1 ||
	    dr_az_query(&r->call, "comp", "block", err) == -1 ||
	    dr_az_query(&r->call, "blockid", dr_az_block_id(m, n, id), err) ==
	        -1 ||
	    dr_az_head(&r->call, "content-type", "application/octet-stream",
	        err) == -1)
		return -1;
	return scope_head(r, err);
}

static void
req_free(struct dr_az_req *r)
{
	dr_az_wipe(r);
	free(r);
}

static int
up_part(void *arg, unsigned n, const unsigned char sha256[32],
    const unsigned char md5[16], struct dr_http_req *q, struct dr_err *err)
{
	struct dr_az_upload *u = arg;
	struct dr_az_req *r = calloc(1, sizeof(*r));

	(void)sha256;
	if (r == NULL)
		return dr_err_sys(err, "cannot upload \"%s\"", u->name);
	if (put_block(r, u->a, u->name, &u->mark, n, err) == -1 ||
	    (md5 != NULL && dr_az_md5(r, md5, err) == -1)) {
		req_free(r);
		return -1;
	}
	r->http = q;
	dr_az_ready(r);
	u->sent = n;
	return 0;
}

static int
up_landed(void *arg, unsigned n, struct dr_http_req *q, bool cancelled,
    struct dr_err *err)
{
	struct dr_az_upload *u = arg;
	struct dr_az_req *r = q->arg;
	int rc = 0;

	(void)n;
	if (!cancelled && q->status != 201)
		rc = dr_az_fail(r, err);
	u->late = u->late || cancelled;
	req_free(r);
	return rc;
}

/* Put Block List. */
static int
put_list(struct dr_az_req *r, struct dr_azure *a, const char *name,
    const struct dr_az_mark *m, unsigned n, struct dr_buf *xml, bool replace,
    struct dr_err *err)
{
	char id[DR_AZ_ID_LEN];

	if (dr_buf_str(xml,
	        "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>",
	        err) == -1)
		return -1;
	for (unsigned i = 1; i <= n; i++)
		if (dr_buf_fmt(xml, err, "<Uncommitted>%s</Uncommitted>",
		        dr_az_block_id(m, i, id)) == -1)
			return -1;
	if (dr_buf_str(xml, "</BlockList>", err) == -1 ||
	    dr_az_req(r, a, "PUT", "upload of", name, err) == -1 ||
	    dr_az_query(&r->call, "comp", "blocklist", err) == -1 ||
	    dr_az_head(&r->call, "content-type", "application/xml", err) ==
	        -1 ||
	    dr_az_head(&r->call, "x-ms-blob-content-type",
	        "application/octet-stream", err) == -1 ||
	    (!replace &&
	        dr_az_head(&r->call, "if-none-match", "*", err) == -1) ||
	    mark_head(r, m, err) == -1 || keep_heads(r, false, err) == -1)
		return -1;
	return body(r, xml->data, xml->len, err);
}

static int
up_complete(void *arg, unsigned n, struct dr_err *err)
{
	struct dr_az_upload *u = arg;
	struct dr_buf xml = { .max = 1U << 20 };
	struct dr_az_req r = { 0 };
	int rc = -1, saved;

	errno = 0;
	if (put_list(&r, u->a, u->name, &u->mark, n, &xml, false, err) == 0 &&
	    dr_az_wait(&r, err) == 0)
		rc = dr_az_settle(u, &r, err);
	saved = errno;
	dr_az_wipe(&r);
	dr_buf_free(&xml);
	errno = saved;
	return rc;
}

/*
 * Blocks belong to a name, not to an upload.  They are dropped where all of
 * them are ours; else, and without the rights, the service forgets them a
 * week after the last one.  Those whose requests were cancelled may still be
 * on their way there.
 */
static void
up_abandon(void *arg)
{
	static const struct timespec pause = { .tv_nsec = 150000000 };
	struct dr_az_upload *u = arg;
	struct dr_err ignored = { 0 };
	struct dr_az_blocks b;
	int rc;

	for (unsigned left = u->late ? 6 : 1; u->sent > 0 && left > 0; left--) {
		rc = dr_az_blocks(u->a, u->a->brief, u->name, &b, &ignored);
		if (rc == -1 ||
		    (rc == 1 && (b.marks != 1 || b.foreign > 0 ||
		                    memcmp(b.mark.random, u->mark.random,
		                        sizeof(b.mark.random)) != 0)))
			return;
		if (rc == 1 && dr_az_drop_blocks(u->a, u->a->brief, u->name,
		                   &ignored) == -1)
			return;
		if (left > 1)
			(void)nanosleep(&pause, NULL);
	}
}

void
dr_az_upload_free(void *arg)
{
	struct dr_az_upload *u = arg;

	free(u->name);
	free(u);
}

static const struct dr_parts_ops up_ops = {
	.whole = up_whole,
	.begin = up_begin,
	.part = up_part,
	.landed = up_landed,
	.complete = up_complete,
	.abandon = up_abandon,
	.free = dr_az_upload_free,
};

struct dr_az_upload *
dr_az_upload_new(struct dr_azure *a, const char *name, struct dr_err *err)
{
	struct dr_az_upload *u = calloc(1, sizeof(*u));

	if (u == NULL || (u->name = strdup(name)) == NULL) {
		dr_err_sys(err, "cannot upload \"%s\"", name);
		free(u);
		return NULL;
	}
	u->a = a;
	if (dr_az_mark_new(&u->mark, err) == -1) {
		dr_az_upload_free(u);
		return NULL;
	}
	return u;
}

struct dr_sink *
dr_az_put(struct dr_store *store, const char *name, struct dr_err *err)
{
	struct dr_azure *a = (struct dr_azure *)store;
	struct dr_az_upload *u;
	struct dr_sink *sink;

	if (a->conf.once)
		return dr_az_once(a, name, err);
	if ((u = dr_az_upload_new(a, name, err)) == NULL)
		return NULL;
	if ((sink = dr_parts_sink(a->http, &up_ops, u, err)) == NULL)
		dr_az_upload_free(u);
	return sink;
}

/* --- small ones ------------------------------------------------------------------------ */

int
dr_az_put_begin(struct dr_small *p, struct dr_err *err)
{
	struct dr_azure *a = (struct dr_azure *)p->store;
	struct dr_az_req *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return dr_err_sys(err, "cannot upload \"%s\"", p->name);
	if (dr_az_put_blob(r, a, p->name, NULL, false, err) == -1 ||
	    body(r, p->data, p->len, err) == -1)
		goto fail;
	dr_az_ready(r);
	if (dr_http_start(a->http, r->http, err) == -1)
		goto fail;
	p->op = r;
	return 0;

fail:
	req_free(r);
	return -1;
}

void
dr_az_put_look(struct dr_small *p)
{
	struct dr_az_req *r = p->op;
	enum dr_az_verdict v;

	if (!r->http->ended)
		return;
	p->lost = r->http->lost;
	p->result = DR_PUT_FAILED;
	if (r->http->err.cause != DR_OK)
		p->err = r->http->err;
	else if (r->http->status == 201) {
		if (kept(r, p->name, &p->err) == 0)
			p->result = DR_PUT_OK;
	} else {
		v = dr_az_req_verdict(r);
		if (v == DR_AZ_EXISTS || v == DR_AZ_CHANGED ||
		    (v == DR_AZ_FORBIDDEN && r->http->status != 403))
			p->result = DR_PUT_EXISTS;
		dr_az_fail(r, &p->err);
	}
	req_free(r);
	p->op = NULL;
	p->ended = true;
}

void
dr_az_put_cancel(struct dr_small *p)
{
	struct dr_az_req *r = p->op;

	if (!r->http->ended)
		dr_http_cancel(r->http);
	req_free(r);
	p->op = NULL;
}

/* --- probing ------------------------------------------------------------------------------ */

/* 1 done, 0 refused, -1. */
static int
tried(const struct dr_az_req *r, struct dr_err *err)
{
	enum dr_az_verdict v = dr_az_req_verdict(r);

	if (r->http->status == 201)
		return 1;
	if (v == DR_AZ_FORBIDDEN || v == DR_AZ_EXISTS || v == DR_AZ_CHANGED)
		return 0;
	return dr_az_fail(r, err);
}

int
dr_az_try_replace(struct dr_store *store, const char *name, bool parts,
    const void *data, size_t len, struct dr_err *err)
{
	struct dr_azure *a = (struct dr_azure *)store;
	struct dr_buf xml = { .max = 1024 };
	struct dr_az_req r = { 0 };
	struct dr_az_mark m;
	int rc = -1;

	if (!parts) {
		if (dr_az_put_blob(&r, a, name, NULL, true, err) == 0 &&
		    body(&r, data, len, err) == 0 && dr_az_wait(&r, err) == 0)
			rc = tried(&r, err);
		goto out;
	}
	if (dr_az_mark_new(&m, err) == -1 ||
	    put_block(&r, a, name, &m, 1, err) == -1 ||
	    body(&r, data, len, err) == -1 || dr_az_wait(&r, err) == -1 ||
	    (rc = tried(&r, err)) != 1)
		goto out;
	dr_az_wipe(&r);
	rc = -1;
	if (put_list(&r, a, name, &m, 1, &xml, true, err) == 0 &&
	    dr_az_wait(&r, err) == 0)
		rc = tried(&r, err);

out:
	dr_az_wipe(&r);
	dr_buf_free(&xml);
	return rc;
}
