#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "store/azure.h"

struct azblob {
	struct dr_blob blob;
	struct dr_azure *a; /* borrowed */
	char *name, *version;
	char etag[128];
};

static void
copy(char *out, size_t size, const char *value)
{
	(void)snprintf(out, size, "%s", value != NULL ? value : "");
}

void
dr_az_facts(const struct dr_http_req *q, struct dr_az_facts *f)
{
	const char *v, *total;
	struct dr_err ignored = { 0 };
	int64_t n;

	memset(f, 0, sizeof(*f));
	v = dr_http_field(q, "content-length");
	total = dr_http_field(q, "content-range");
	if (total != NULL && (total = strrchr(total, '/')) != NULL)
		v = total + 1;
	if (v != NULL && dr_parse_int(v, 0, INT64_MAX, &n, &ignored) == 0)
		f->size = (uint64_t)n;
	if ((v = dr_http_field(q, "last-modified")) != NULL)
		(void)dr_az_parse_date(v, &f->mtime);
	copy(f->etag, sizeof(f->etag), dr_http_field(q, "etag"));
	copy(f->tier, sizeof(f->tier), dr_http_field(q, "x-ms-access-tier"));
	copy(f->rehydrating, sizeof(f->rehydrating),
	    dr_http_field(q, "x-ms-archive-status"));
	copy(f->mark, sizeof(f->mark), dr_http_field(q, "x-ms-meta-drtools"));
	if ((v = dr_http_field(q, "x-ms-immutability-policy-until-date")) !=
	        NULL &&
	    dr_az_parse_date(v, &f->lock.until)) {
		v = dr_http_field(q, "x-ms-immutability-policy-mode");
		f->lock.mode = v != NULL && strcasecmp(v, "locked") == 0
		                   ? DR_LOCK_COMPLIANCE
		                   : DR_LOCK_GOVERNANCE;
	}
	v = dr_http_field(q, "x-ms-legal-hold");
	f->lock.hold = v != NULL && strcasecmp(v, "true") == 0;
}

/* HEAD of NAME, or of a version of it.  FORBIDDEN may be NULL. */
static int
head(struct dr_azure *a, const char *name, const char *version, bool *forbidden,
    struct dr_az_facts *f, struct dr_err *err)
{
	struct dr_az_req r = { 0 };
	enum dr_az_verdict v;
	int rc = -1;

	if (dr_az_req(&r, a, "HEAD", "question about", name, err) == -1 ||
	    (version != NULL &&
	        dr_az_query(&r.call, "versionid", version, err) == -1) ||
	    dr_az_do(&r, err) == -1)
		goto out;
	v = dr_az_req_verdict(&r);
	if (forbidden != NULL)
		*forbidden = v == DR_AZ_FORBIDDEN;
	if (r.http->status == 200) {
		dr_az_facts(r.http, f);
		rc = 1;
	} else if (r.http->status == 404 && v == DR_AZ_ABSENT)
		rc = 0;
	else
		dr_az_fail(&r, err);

out:
	dr_az_wipe(&r);
	return rc;
}

int
dr_az_look(struct dr_azure *a, const char *name, bool list,
    struct dr_az_facts *f, struct dr_err *err)
{
	struct dr_err why = { 0 }, ignored = { 0 };
	bool forbidden = false;
	int rc = head(a, name, NULL, &forbidden, f, &why);

	if (rc != -1)
		return rc;
	if (list && forbidden &&
	    (rc = dr_az_look_list(a, name, f, &ignored)) != -1)
		return rc;
	*err = why;
	return -1;
}

int
dr_az_stat(struct dr_store *store, const char *name, struct dr_object *obj,
    struct dr_err *err)
{
	struct dr_az_facts f;
	int rc = head((struct dr_azure *)store, name, NULL, NULL, &f, err);

	if (rc == 1) {
		obj->name = name;
		obj->size = f.size;
		obj->mtime = f.mtime;
	}
	return rc;
}

static int
missing(struct dr_azure *a, const char *name, struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA, "\"%s\" is missing in \"%s\"", name,
	    a->conf.url);
}

static int
azblob_pread(struct dr_blob *blob, void *buf, size_t len, uint64_t off,
    struct dr_err *err)
{
	struct azblob *b = (struct azblob *)blob;
	struct dr_az_req r = { 0 };
	char range[64];
	int rc = -1;

	if (len == 0)
		return 0;
	(void)snprintf(range, sizeof(range), "bytes=%llu-%llu",
	    (unsigned long long)off, (unsigned long long)(off + len - 1));
	if (dr_az_req(&r, b->a, "GET", "download of", b->name, err) == -1 ||
	    (b->version != NULL &&
	        dr_az_query(&r.call, "versionid", b->version, err) == -1) ||
	    dr_az_head(&r.call, "x-ms-range", range, err) == -1 ||
	    (b->etag[0] != '\0' &&
	        dr_az_head(&r.call, "if-match", b->etag, err) == -1))
		goto out;
	r.http->into = buf;
	r.http->into_len = len;
	if (dr_az_do(&r, err) == -1)
		goto out;
	if (r.http->status == 206 || r.http->status == 200)
		rc = 0;
	else
		dr_az_fail(&r, err);

out:
	dr_az_wipe(&r);
	return rc;
}

static void
azblob_free(struct dr_blob *blob)
{
	struct azblob *b = (struct azblob *)blob;

	free(b->name);
	free(b->version);
	free(b);
}

static const struct dr_blob_ops azblob_ops = { azblob_pread, azblob_free };

struct dr_blob *
dr_az_get_version(struct dr_store *store, const char *name, const char *version,
    struct dr_err *err)
{
	struct dr_azure *a = (struct dr_azure *)store;
	struct dr_az_facts f;
	struct azblob *b;
	int rc = head(a, name, version, NULL, &f, err);

	if (rc == 0)
		missing(a, name, err);
	if (rc != 1)
		return NULL;
	if (strcasecmp(f.tier, "Archive") == 0) {
		dr_az_explain(name, 409,
		    f.rehydrating[0] != '\0' ? "BlobBeingRehydrated"
		                             : "BlobArchived",
		    &a->conf, err);
		return NULL;
	}
	if ((b = calloc(1, sizeof(*b))) == NULL ||
	    (b->name = strdup(name)) == NULL ||
	    (version != NULL && (b->version = strdup(version)) == NULL)) {
		dr_err_sys(err, "cannot read \"%s\"", name);
		if (b != NULL)
			azblob_free(&b->blob);
		return NULL;
	}
	b->blob.ops = &azblob_ops;
	b->blob.size = f.size;
	b->a = a;
	copy(b->etag, sizeof(b->etag), f.etag);
	return &b->blob;
}

struct dr_blob *
dr_az_get(struct dr_store *store, const char *name, struct dr_err *err)
{
	return dr_az_get_version(store, name, NULL, err);
}

/*
 * A range of one byte more than may be tells what is too long; that of an
 * empty object cannot be satisfied.
 */
int
dr_az_get_small(struct dr_store *store, const char *name, size_t max,
    char **out, size_t *len, struct dr_err *err)
{
	struct dr_azure *a = (struct dr_azure *)store;
	struct dr_az_req r = { 0 };
	char range[64], code[64];
	int rc = -1;

	(void)snprintf(range, sizeof(range), "bytes=0-%zu", max);
	if (dr_az_req(&r, a, "GET", "download of", name, err) == -1 ||
	    dr_az_head(&r.call, "x-ms-range", range, err) == -1)
		goto out;
	r.http->reply_max = max < 65536 ? 65536 : max + 1;
	if (dr_az_do(&r, err) == -1)
		goto out;
	dr_az_code(r.http, code);
	if (r.http->status == 404 && dr_az_verdict(404, code) == DR_AZ_ABSENT) {
		rc = 0;
		goto out;
	}
	if (r.http->status == 416 && strcmp(code, "InvalidRange") == 0)
		r.http->reply.len = 0;
	else if (r.http->status != 200 && r.http->status != 206) {
		dr_az_fail(&r, err);
		goto out;
	}
	if (r.http->reply.len > max) {
		dr_err_set(err, DR_EDATA, "\"%s\" is larger than %zu bytes",
		    name, max);
		goto out;
	}
	if ((*out = malloc(r.http->reply.len + 1)) == NULL) {
		dr_err_sys(err, "cannot read \"%s\"", name);
		goto out;
	}
	if (r.http->reply.len > 0)
		memcpy(*out, r.http->reply.data, r.http->reply.len);
	*len = r.http->reply.len;
	(*out)[*len] = '\0';
	rc = 1;

out:
	dr_az_wipe(&r);
	return rc;
}

int
dr_az_locked(struct dr_store *store, const char *name, struct dr_lock *lock,
    struct dr_err *err)
{
	struct dr_azure *a = (struct dr_azure *)store;
	struct dr_az_facts f;
	int rc = dr_az_look(a, name, true, &f, err);

	if (rc == 0)
		return missing(a, name, err);
	if (rc == 1)
		*lock = f.lock;
	return rc;
}

int
dr_az_delete(struct dr_store *store, const char *name, struct dr_err *err)
{
	struct dr_azure *a = (struct dr_azure *)store;
	struct dr_az_req r = { 0 };
	int rc = -1;

	if (dr_az_req(&r, a, "DELETE", "deletion of", name, err) == -1 ||
	    dr_az_do(&r, err) == -1)
		goto out;
	if (r.http->status == 202 || r.http->status == 200)
		rc = 1;
	else if (r.http->status == 404 && dr_az_req_verdict(&r) == DR_AZ_ABSENT)
		rc = r.http->lost ? 1 : 0;
	else
		dr_az_fail(&r, err);

out:
	dr_az_wipe(&r);
	return rc;
}
