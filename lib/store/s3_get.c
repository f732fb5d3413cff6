#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/num.h"
#include "store/s3.h"

#define ERROR_MAX (64U << 10)

bool
dr_s3_date(const char *s, int64_t *usec)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = { 0 };
	char month[4];
	const char *at;
	time_t t;

	if (sscanf(s, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month,
	        &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6 ||
	    strlen(month) != 3 || (at = strstr(months, month)) == NULL ||
	    (at - months) % 3 != 0)
		return false;
	tm.tm_mon = (int)((at - months) / 3);
	tm.tm_year -= 1900;
	if (tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
	    tm.tm_min > 59 || tm.tm_sec > 60 || (t = timegm(&tm)) == -1)
		return false;
	*usec = (int64_t)t * 1000000;
	return true;
}

static int
take(const struct dr_s3_call *c, struct dr_s3_head *h, struct dr_err *err)
{
	const char *len = dr_http_field(c->req, "content-length");
	const char *when = dr_http_field(c->req, "last-modified");
	const char *etag = dr_http_field(c->req, "etag");
	const char *version =
	    dr_http_field(c->req, c->s3->dialect->version_header);
	const char *sse = dr_http_field(c->req, "x-amz-server-side-encryption");
	struct dr_err ignored = { 0 };
	int64_t n;

	memset(h, 0, sizeof(*h));
	if (len == NULL || dr_parse_int(len, 0, INT64_MAX, &n, &ignored) == -1)
		return dr_err_set(err, DR_EDATA,
		    "%s failed: the reply does not tell the size", c->what);
	h->size = (uint64_t)n;
	if (when == NULL || !dr_s3_date(when, &h->mtime))
		return dr_err_set(err, DR_EDATA,
		    "%s failed: the reply does not tell the time", c->what);
	if (etag != NULL)
		(void)snprintf(h->etag, sizeof(h->etag), "%s", etag);
	if (version != NULL)
		(void)snprintf(h->version, sizeof(h->version), "%s", version);
	h->opaque = sse != NULL && strncmp(sse, "aws:kms", 7) == 0;
	return 0;
}

/*
 * Without the right to list the whole bucket what is absent is denied: then a
 * list below a prefix, where that is allowed, tells.
 */
static bool
denied_absent(const struct dr_s3_call *c, const char *name)
{
	struct dr_err ignored = { 0 };

	return c->req->status == 403 && dr_s3_is(c, "AccessDenied") &&
	       dr_s3_listed(c->s3, name, &ignored) == 0;
}

/*
 * HEAD's refusals have no body, so the reason is asked for by a GET of one
 * byte.  1: that is not refused.
 */
static int
reason(struct dr_s3 *s3, const char *name, struct dr_err *err)
{
	struct dr_s3_call c;
	int rc = -1;

	if (dr_s3_call(&c, s3, "GET", name, "reading \"%s\"", err) == -1 ||
	    dr_s3_header(&c, "range", "bytes=0-0", err) == -1 ||
	    dr_s3_do(&c, err) == -1)
		goto out;
	if (c.req->status < 300 || c.req->status == 416)
		rc = 1;
	else if (c.req->status == 404 && !dr_s3_is(&c, "NoSuchBucket")) {
		s3->seen = true;
		rc = 0;
	} else if (denied_absent(&c, name))
		rc = 0;
	else
		rc = dr_s3_refused(&c, err);

out:
	dr_s3_wipe(&c);
	return rc;
}

int
dr_s3_look(struct dr_s3 *s3, const char *name, const char *version,
    struct dr_s3_head *h, struct dr_err *err)
{
	struct dr_s3_call c;
	bool again = true;
	int rc = -1;

	for (;;) {
		if (dr_s3_call(&c, s3, "HEAD", name, "reading \"%s\"", err) ==
		        -1 ||
		    (version != NULL && dr_s3_query(&c, s3->dialect->version,
		                            version, err) == -1) ||
		    dr_s3_do(&c, err) == -1)
			break;
		if (c.req->status == 200) {
			rc = take(&c, h, err) == -1 ? -1 : 1;
			break;
		}
		/* 405: a delete marker.  404 may also be the bucket's. */
		if ((c.req->status == 405 && version != NULL) ||
		    (c.req->status == 404 && s3->seen)) {
			rc = 0;
			break;
		}
		if ((rc = reason(s3, name, err)) != 1)
			break;
		/* Fresh keys, or an object that came in between. */
		if (!again || version != NULL) {
			rc = c.req->status == 404 ? 0 : dr_s3_refused(&c, err);
			break;
		}
		again = false;
		dr_s3_wipe(&c);
	}
	dr_s3_wipe(&c);
	return rc;
}

int
dr_s3_stat(struct dr_store *store, const char *name, struct dr_object *obj,
    struct dr_err *err)
{
	struct dr_s3_head h;
	int rc = dr_s3_look((struct dr_s3 *)store, name, NULL, &h, err);

	if (rc == 1) {
		obj->name = name;
		obj->size = h.size;
		obj->mtime = h.mtime;
	}
	return rc;
}

int
dr_s3_get_small(struct dr_store *store, const char *name, size_t max,
    char **out, size_t *len, struct dr_err *err)
{
	struct dr_s3_call c;
	char range[48];
	int rc = -1;

	/* One byte more tells that there is more. */
	(void)snprintf(range, sizeof(range), "bytes=0-%zu", max);
	if (dr_s3_call(&c, (struct dr_s3 *)store, "GET", name, "reading \"%s\"",
	        err) == -1 ||
	    dr_s3_header(&c, "range", range, err) == -1)
		goto out;
	c.own.reply_max = max + 1 < ERROR_MAX ? ERROR_MAX : max + 1;
	if (dr_s3_do(&c, err) == -1)
		goto out;
	if ((c.req->status == 404 && !dr_s3_is(&c, "NoSuchBucket")) ||
	    denied_absent(&c, name)) {
		rc = 0;
		goto out;
	}
	/* 416: there is no first byte in what is empty. */
	if (c.req->status == 416)
		c.own.reply.len = 0;
	else if (c.req->status != 200 && c.req->status != 206) {
		dr_s3_refused(&c, err);
		goto out;
	}
	if (c.own.reply.len > max) {
		dr_err_set(err, DR_EDATA, "\"%s\" is larger than %zu bytes",
		    name, max);
		goto out;
	}
	if ((*out = malloc(c.own.reply.len + 1)) == NULL) {
		dr_err_sys(err, "cannot read \"%s\"", name);
		goto out;
	}
	if (c.own.reply.len > 0)
		memcpy(*out, c.own.reply.data, c.own.reply.len);
	(*out)[c.own.reply.len] = '\0';
	*len = c.own.reply.len;
	rc = 1;

out:
	dr_s3_wipe(&c);
	return rc;
}

/* --- random access ------------------------------------------------------------- */

struct blob {
	struct dr_blob blob;
	struct dr_s3 *s3; /* borrowed */
	char *name;
	struct dr_s3_head head;
	bool versioned; /* HEAD.version is to be read, not the latest */
};

static int
blob_pread(struct dr_blob *blob, void *buf, size_t len, uint64_t off,
    struct dr_err *err)
{
	struct blob *b = (struct blob *)blob;
	struct dr_s3_call c;
	char range[64];
	int rc = -1;

	(void)snprintf(range, sizeof(range), "bytes=%llu-%llu",
	    (unsigned long long)off, (unsigned long long)(off + len - 1));
	if (dr_s3_call(&c, b->s3, "GET", b->name, "reading \"%s\"", err) ==
	        -1 ||
	    dr_s3_header(&c, "range", range, err) == -1 ||
	    (b->head.etag[0] != '\0' &&
	        dr_s3_header(&c, "if-match", b->head.etag, err) == -1) ||
	    (b->versioned && dr_s3_query(&c, b->s3->dialect->version,
	                         b->head.version, err) == -1))
		goto out;
	c.own.into = buf;
	c.own.into_len = len;
	if (dr_s3_do(&c, err) == -1)
		goto out;
	if (c.req->status == 206 ||
	    (c.req->status == 200 && off == 0 && len == b->blob.size))
		rc = 0;
	else if (c.req->status == 404 && !dr_s3_is(&c, "NoSuchBucket"))
		dr_err_set(err, DR_EDATA, "\"%s\" is missing", b->name);
	else if (c.req->status == 412 || c.req->status == 416)
		dr_err_set(err, DR_EDATA,
		    "\"%s\" was replaced while it was read", b->name);
	else
		dr_s3_refused(&c, err);

out:
	dr_s3_wipe(&c);
	return rc;
}

static void
blob_free(struct dr_blob *blob)
{
	struct blob *b = (struct blob *)blob;

	free(b->name);
	free(b);
}

static const struct dr_blob_ops blob_ops = { blob_pread, blob_free };

static struct dr_blob *
get(struct dr_s3 *s3, const char *name, const char *version, struct dr_err *err)
{
	struct blob *b = calloc(1, sizeof(*b));
	int rc;

	if (b == NULL || (b->name = strdup(name)) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		goto fail;
	}
	if ((rc = dr_s3_look(s3, name, version, &b->head, err)) != 1) {
		if (rc == 0)
			dr_err_set(err, DR_EDATA, "\"%s/%s\" is missing",
			    s3->store.url, name);
		goto fail;
	}
	if (version != NULL) {
		b->versioned = true;
		if (strlen(version) >= sizeof(b->head.version)) {
			dr_err_set(err, DR_EDATA,
			    "\"%s\" has a version whose id is too long", name);
			goto fail;
		}
		memcpy(b->head.version, version, strlen(version) + 1);
	}
	b->blob.ops = &blob_ops;
	b->blob.size = b->head.size;
	b->s3 = s3;
	return &b->blob;

fail:
	if (b != NULL)
		free(b->name);
	free(b);
	return NULL;
}

struct dr_blob *
dr_s3_get(struct dr_store *store, const char *name, struct dr_err *err)
{
	return get((struct dr_s3 *)store, name, NULL, err);
}

struct dr_blob *
dr_s3_get_version(struct dr_store *store, const char *name, const char *id,
    struct dr_err *err)
{
	return get((struct dr_s3 *)store, name, id, err);
}
