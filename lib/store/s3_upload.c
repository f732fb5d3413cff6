/*
 * Bodies: in one request where they fit, else as a multipart upload.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "store/parts.h"
#include "store/s3.h"

#define ETAG_MAX     128
#define COMPLETE_MAX (4U << 20)

struct upload {
	struct dr_s3 *s3; /* borrowed */
	char *name;
	bool begin_lost; /* an upload may be there whose id is not known */
	char *id;        /* of the upload, or NULL */
	char **etag;     /* of part N at N - 1 */
	size_t etags;
	uint64_t size;
};

/*
 * Is it locked as was asked for?  radosgw takes no locks from the request
 * that begins an upload in parts; it is locked then.  Not where the question
 * was not understood: such a store would take the lock for the object.
 */
static int
read_back(struct upload *u, const char *version, struct dr_err *err)
{
	const struct dr_lock *want = &u->s3->store.opts->lock;
	struct dr_err ignored = { 0 };
	struct dr_lock have;
	bool knows;

	if (want->mode == DR_LOCK_NONE && !want->hold)
		return 0;
	if (dr_s3_locked_version(u->s3, u->name, version, &have, &knows, err) ==
	    -1)
		return -1;
	if (knows && dr_s3_lock_enough(u->s3, u->name, &have, &ignored) == -1 &&
	    (dr_s3_lock(u->s3, u->name, version, err) == -1 ||
	        dr_s3_locked_version(u->s3, u->name, version, &have, NULL,
	            err) == -1))
		return -1;
	return dr_s3_lock_enough(u->s3, u->name, &have, err);
}

static int
taken(const struct upload *u, struct dr_err *err)
{
	dr_err_set(err, DR_EFAIL, "cannot create \"%s/%s\": it exists",
	    u->s3->store.url, u->name);
	errno = EEXIST;
	return -1;
}

/*
 * There is one of that name, after a reply to us was lost: is it ours?  0;
 * -1, errno EEXIST; errno EALREADY: nothing speaks against it, but what is
 * there cannot be read.
 */
static int
settle(struct upload *u, enum dr_s3_own own, const char *version,
    struct dr_err *err)
{
	if (own == DR_S3_UNKNOWN)
		return -1;
	dr_err_clear(err);
	if (own == DR_S3_OTHER)
		return taken(u, err);
	if (read_back(u, version, err) == -1)
		return -1;
	if (own == DR_S3_OURS)
		return 0;
	(void)taken(u, err);
	dr_err_hint(err, "it may be our own: a reply was lost, and what is "
	                 "there cannot be read");
	errno = EALREADY;
	return -1;
}

static int
upload_whole(void *arg, const void *data, size_t len, struct dr_err *err)
{
	struct upload *u = arg;
	enum dr_put_result res;
	char version[256] = "";
	bool lost;

	res = dr_store_put_small(&u->s3->store, u->name, data, len, &lost, err);
	if (res == DR_PUT_OK)
		return 0;
	if (res == DR_PUT_FAILED || !lost)
		return -1;
	dr_err_clear(err);
	return settle(u,
	    dr_s3_own(u->s3, u->name, "", data, len, version, sizeof(version),
	        err),
	    version, err);
}

static int
on_id(const struct dr_s3_call *c, char **id, struct dr_err *err)
{
	char text[4096];

	if (dr_s3_element(c->req->reply.data, c->req->reply.len,
	        "InitiateMultipartUploadResult/UploadId", text, sizeof(text),
	        err) == -1)
		return -1;
	if (text[0] == '\0')
		return dr_err_set(err, DR_EDATA,
		    "%s failed: the store names no upload", c->what);
	return (*id = dr_fmt(err, "%s", text)) == NULL ? -1 : 0;
}

/* An upload whose id never reached us. */
static int
on_unknown(void *arg, const struct dr_upload *up, struct dr_err *err)
{
	struct upload *u = arg;

	if (strcmp(up->name, u->name) != 0 ||
	    (u->id != NULL && strcmp(up->id, u->id) == 0))
		return 0;
	return dr_s3_upload_abort(&u->s3->store, up->name, up->id, err) == -1
	           ? -1
	           : 0;
}

/* Where the reply to a beginning was lost: nobody else writes this name. */
static void
drop_unknown(struct upload *u)
{
	struct dr_err err = { 0 };

	if (dr_s3_uploads(&u->s3->store, u->name, on_unknown, u, &err) == -1)
		dr_warn("an upload of \"%s\" may stay in \"%s\" until dr-prune "
		        "--garbage: %s",
		    u->name, u->s3->store.url, err.msg);
	u->begin_lost = false;
}

static int
upload_begin(void *arg, struct dr_err *err)
{
	struct upload *u = arg;
	struct dr_s3_call c;
	int rc = -1;

	if (dr_s3_call(&c, u->s3, "POST", u->name, "upload of \"%s\"", err) ==
	        -1 ||
	    dr_s3_query(&c, "uploads", "", err) == -1 ||
	    dr_s3_header(&c, "content-type", "application/octet-stream", err) ==
	        -1 ||
	    dr_s3_how(&c, false, err) == -1)
		goto out;
	u->begin_lost = true;
	rc = dr_s3_do(&c, err);
	u->begin_lost = c.own.lost;
	if (rc == -1)
		goto out;
	rc = c.own.status == 200 ? on_id(&c, &u->id, err)
	                         : dr_s3_refused(&c, err);
	if (rc == 0 && u->begin_lost)
		drop_unknown(u);

out:
	dr_s3_wipe(&c);
	return rc;
}

static int
upload_part(void *arg, unsigned n, const unsigned char sha256[32],
    const unsigned char md5[16], struct dr_http_req *req, struct dr_err *err)
{
	struct upload *u = arg;
	struct dr_s3_call *c;
	char number[16];

	(void)md5;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return dr_err_sys(err, "cannot store \"%s\"", u->name);
	(void)snprintf(number, sizeof(number), "%u", n);
	if (dr_s3_call(c, u->s3, "PUT", u->name, "upload of \"%s\"", err) ==
	        -1 ||
	    dr_s3_query(c, "partNumber", number, err) == -1 ||
	    dr_s3_query(c, "uploadId", u->id, err) == -1)
		goto fail;
	dr_hex(sha256, 32, c->sha256);
	dr_s3_ready(c, req);
	/* AWS wants one where objects are locked. */
	if (u->s3->store.opts->lock.mode != DR_LOCK_NONE &&
	    dr_s3_md5(c, err) == -1)
		goto fail;
	u->size += req->len;
	return 0;

fail:
	dr_s3_wipe(c);
	free(c);
	return -1;
}

static int
keep_etag(struct upload *u, unsigned n, const char *etag, struct dr_err *err)
{
	if (n > u->etags) {
		size_t have = u->etags, cap = (n + 63) / 64 * 64;
		char **v = reallocarray(u->etag, cap, sizeof(*v));

		if (v == NULL)
			return dr_err_sys(err, "cannot store \"%s\"", u->name);
		memset(v + have, 0, (cap - have) * sizeof(*v));
		u->etag = v;
		u->etags = cap;
	}
	free(u->etag[n - 1]);
	u->etag[n - 1] = dr_fmt(err, "%s", etag);
	return u->etag[n - 1] == NULL ? -1 : 0;
}

static int
upload_landed(void *arg, unsigned n, struct dr_http_req *req, bool cancelled,
    struct dr_err *err)
{
	struct upload *u = arg;
	struct dr_s3_call *c = req->arg;
	const char *etag = dr_http_field(req, "etag");
	int rc = -1;

	if (cancelled)
		rc = 0;
	else if (req->status != 200)
		dr_s3_refused(c, err);
	else if (etag == NULL || strlen(etag) > ETAG_MAX ||
	         strpbrk(etag, "<>&") != NULL)
		dr_err_set(err, DR_EDATA,
		    "%s failed: the store does not say what it got", c->what);
	else
		rc = keep_etag(u, n, etag, err);
	dr_s3_wipe(c);
	free(c);
	return rc;
}

static int
manifest(const struct upload *u, unsigned n, struct dr_buf *out,
    struct dr_err *err)
{
	if (dr_buf_str(out, "<CompleteMultipartUpload>", err) == -1)
		return -1;
	for (unsigned i = 0; i < n; i++)
		if (dr_buf_fmt(out, err,
		        "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag>"
		        "</Part>",
		        i + 1, u->etag[i]) == -1)
			return -1;
	return dr_buf_str(out, "</CompleteMultipartUpload>", err);
}

/* The reply tells of how many parts it made the object, where it does. */
static int
parts_used(const struct dr_s3_call *c, unsigned n, struct dr_err *err)
{
	struct dr_err ignored = { 0 };
	char etag[ETAG_MAX] = "";
	unsigned used;

	if (dr_s3_element(c->req->reply.data, c->req->reply.len,
	        "CompleteMultipartUploadResult/ETag", etag, sizeof(etag),
	        &ignored) == -1 ||
	    (used = dr_s3_etag_parts(etag)) == 0 || used == n)
		return 0;
	return dr_err_set(err, DR_EDATA,
	    "%s failed: it was sent in %u parts, and the store made an object "
	    "of %u",
	    c->what, n, used);
}

/* What the store answered to the completion.  1 done; 0 again; -1. */
static int
completed(struct upload *u, const struct dr_s3_call *c, unsigned n, bool lost,
    bool once, struct dr_err *err)
{
	const char *v = dr_http_field(c->req, u->s3->dialect->version_header);
	char version[256] = "", etag[DR_S3_ETAG_LEN] = "";
	int status = c->req->status;
	enum dr_s3_own own;

	if (status == 200 && c->said.code[0] == '\0') {
		if (parts_used(c, n, err) == -1)
			return -1;
		return read_back(u, v == NULL ? "" : v, err) == -1 ? -1 : 1;
	}
	/* The upload is gone, or the name is taken: perhaps by us. */
	if (lost && (status == 412 || status == 404)) {
		(void)dr_s3_whole_etag(u->etag, n, etag);
		own = dr_s3_own(u->s3, u->name, etag, NULL, u->size, version,
		    sizeof(version), err);
		if (status == 404 && own == DR_S3_HIDDEN)
			return -1;
		if (status == 412 || own != DR_S3_OTHER)
			return settle(u, own, version, err) == -1 ? -1 : 1;
	}
	if (status == 412 || dr_s3_is(c, "PreconditionFailed"))
		return taken(u, err);
	if (once && (status == 501 || dr_s3_is(c, "NotImplemented"))) {
		if (!dr_s3_may_replace(u->s3, u->name, err))
			return -1;
		return 0;
	}
	return dr_s3_refused(c, err);
}

/*
 * Where the store cannot create only, look before; and where it may heed no
 * condition at the end of an upload in parts (radosgw), as far as we may.
 */
static int
guard(struct upload *u, struct dr_err *err)
{
	struct dr_err denied = { 0 };
	struct dr_s3_head h;
	int rc;

	if (!u->s3->foreign && !u->s3->no_once)
		return 0;
	if ((rc = dr_s3_look(u->s3, u->name, NULL, &h, &denied)) == 1)
		return taken(u, err);
	if (rc == -1 && (u->s3->no_once || denied.cause != DR_EFAIL)) {
		*err = denied;
		return -1;
	}
	return 0;
}

static int
upload_complete(void *arg, unsigned n, struct dr_err *err)
{
	struct upload *u = arg;
	const char *const *once = u->s3->dialect->once;
	struct dr_buf xml = { .max = COMPLETE_MAX };
	struct dr_s3_call c;
	bool lost = false;
	int rc = 0;

	if (manifest(u, n, &xml, err) == -1)
		return -1;
	do {
		bool cond = !u->s3->no_once;

		if (!lost && (rc = guard(u, err)) == -1)
			break;
		if ((rc = dr_s3_call(&c, u->s3, "POST", u->name,
		         "upload of \"%s\"", err)) == -1 ||
		    (rc = dr_s3_query(&c, "uploadId", u->id, err)) == -1 ||
		    (rc = dr_s3_header(&c, "content-type", "application/xml",
		         err)) == -1 ||
		    (rc = dr_s3_body(&c, xml.data, xml.len, err)) == -1 ||
		    (cond &&
		        (rc = dr_s3_header(&c, once[0], once[1], err)) == -1))
			goto next;
		c.conditional = cond;
		c.error_in_200 = true;
		if ((rc = dr_s3_do(&c, err)) == -1)
			goto next;
		lost = lost || c.own.lost;
		rc = completed(u, &c, n, lost, cond, err);
next:
		dr_s3_wipe(&c);
	} while (rc == 0);
	dr_buf_free(&xml);
	return rc == 1 ? 0 : -1;
}

static void
upload_abandon(void *arg)
{
	struct upload *u = arg;
	struct dr_err err = { 0 };
	int rc = 0;

	if (u->id != NULL)
		rc = dr_s3_upload_abort(&u->s3->store, u->name, u->id, &err);
	if (u->begin_lost)
		drop_unknown(u);
	if (rc == -1)
		dr_warn("parts of \"%s\" stay in \"%s\" until dr-prune "
		        "--garbage: %s",
		    u->name, u->s3->store.url, err.msg);
}

static void
upload_free(void *arg)
{
	struct upload *u = arg;

	for (size_t i = 0; i < u->etags; i++)
		free(u->etag[i]);
	free(u->etag);
	free(u->id);
	free(u->name);
	free(u);
}

static const struct dr_parts_ops upload_ops = { true, upload_whole,
	upload_begin, upload_part, upload_landed, upload_complete,
	upload_abandon, upload_free };

static struct upload *
upload_new(struct dr_s3 *s3, const char *name, struct dr_err *err)
{
	struct upload *u = calloc(1, sizeof(*u));

	if (u == NULL || (u->name = dr_fmt(err, "%s", name)) == NULL) {
		dr_err_sys(err, "cannot store \"%s\"", name);
		free(u);
		return NULL;
	}
	u->s3 = s3;
	return u;
}

struct dr_sink *
dr_s3_put(struct dr_store *store, const char *name, struct dr_err *err)
{
	struct dr_s3 *s3 = (struct dr_s3 *)store;
	struct upload *u = upload_new(s3, name, err);
	struct dr_sink *sink;

	if (u == NULL)
		return NULL;
	if ((sink = dr_parts_sink(s3->http, &upload_ops, u, err)) == NULL)
		upload_free(u);
	return sink;
}

/* --- replacing, as a probe does ---------------------------------------------------- */

static int
refused(const struct dr_s3_call *c)
{
	return c->req->status == 403 || c->req->status == 405 ||
	       c->req->status == 409 || c->req->status == 412;
}

static int
replace_plain(struct dr_s3 *s3, const char *name, const void *data, size_t len,
    struct dr_err *err)
{
	struct dr_s3_call c;
	int rc = -1;

	if (dr_s3_call(&c, s3, "PUT", name, "upload of \"%s\"", err) == -1 ||
	    dr_s3_body(&c, data, len, err) == -1 || dr_s3_md5(&c, err) == -1 ||
	    dr_s3_do(&c, err) == -1)
		goto out;
	rc = c.req->status < 300 ? 1 : refused(&c) ? 0 : dr_s3_refused(&c, err);

out:
	dr_s3_wipe(&c);
	return rc;
}

/* One request of an upload in parts, whose answer *C then holds. */
static int
step(struct dr_s3_call *c, struct dr_s3 *s3, const char *method,
    const char *name, const char *const query[4], const void *data, size_t len,
    struct dr_err *err)
{
	if (dr_s3_call(c, s3, method, name, "upload of \"%s\"", err) == -1)
		return -1;
	for (size_t i = 0; i < 4 && query[i] != NULL; i += 2)
		if (dr_s3_query(c, query[i], query[i + 1], err) == -1)
			return -1;
	c->error_in_200 = data != NULL && strcmp(method, "POST") == 0;
	if (dr_s3_header(c, "content-type", "application/octet-stream", err) ==
	        -1 ||
	    (data != NULL && dr_s3_body(c, data, len, err) == -1) ||
	    dr_s3_do(c, err) == -1)
		return -1;
	if (c->req->status < 300 && c->said.code[0] == '\0')
		return 1;
	return refused(c) ? 0 : dr_s3_refused(c, err);
}

static int
replace_parts(struct dr_s3 *s3, const char *name, const void *data, size_t len,
    struct dr_err *err)
{
	struct upload *u = upload_new(s3, name, err);
	struct dr_buf xml = { .max = 4096 };
	struct dr_s3_call c;
	const char *etag;
	int rc;

	if (u == NULL)
		return -1;
	rc = step(&c, s3, "POST", name,
	    (const char *const[]){ "uploads", "", NULL, NULL }, NULL, 0, err);
	if (rc == 1 && on_id(&c, &u->id, err) == -1)
		rc = -1;
	dr_s3_wipe(&c);
	if (rc != 1)
		goto out;
	rc = step(&c, s3, "PUT", name,
	    (const char *const[]){ "partNumber", "1", "uploadId", u->id }, data,
	    len, err);
	if (rc == 1) {
		etag = dr_http_field(c.req, "etag");
		if (etag == NULL || strlen(etag) > ETAG_MAX ||
		    keep_etag(u, 1, etag, err) == -1)
			rc = -1;
	}
	dr_s3_wipe(&c);
	if (rc == 1 && manifest(u, 1, &xml, err) == -1)
		rc = -1;
	if (rc == 1) {
		rc = step(&c, s3, "POST", name,
		    (const char *const[]){ "uploadId", u->id, NULL, NULL },
		    xml.data, xml.len, err);
		dr_s3_wipe(&c);
	}
	if (rc != 1)
		upload_abandon(u);

out:
	dr_buf_free(&xml);
	upload_free(u);
	return rc;
}

int
dr_s3_try_replace(struct dr_store *store, const char *name, bool parts,
    const void *data, size_t len, struct dr_err *err)
{
	struct dr_s3 *s3 = (struct dr_s3 *)store;

	return parts ? replace_parts(s3, name, data, len, err)
	             : replace_plain(s3, name, data, len, err);
}
