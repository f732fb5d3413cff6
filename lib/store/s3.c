/*
 * A store in a bucket of S3: where it is, and what needs one request.
 */
#include "store/s3.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_MAX   480 /* so that a key has at most 1024 bytes */
#define VERSIONS_MAX 1000

/* --- one request ------------------------------------------------------------- */

/* 1, 0 it was absent, -1. */
static int
delete_one(struct dr_s3 *s3, const char *name, const char *version,
    struct dr_err *err)
{
	struct dr_s3_call c;
	int rc = -1;

	if (dr_s3_call(&c, s3, "DELETE", name, "deletion of \"%s\"", err) ==
	        -1 ||
	    (version != NULL &&
	        dr_s3_query(&c, s3->dialect->version, version, err) == -1) ||
	    dr_s3_do(&c, err) == -1)
		goto out;
	if (c.req->status < 300)
		rc = 1;
	else if (c.req->status == 404 && !dr_s3_is(&c, "NoSuchBucket"))
		rc = 0;
	else
		dr_s3_refused(&c, err);

out:
	dr_s3_wipe(&c);
	return rc;
}

/*
 * In a bucket with versions the latest is deleted for good, so that room is
 * made and locks are asked; then the one that it hid.
 */
static int
s3_del(struct dr_store *store, const char *name, struct dr_err *err)
{
	struct dr_s3 *s3 = (struct dr_s3 *)store;
	struct dr_s3_head h;
	int rc, done = 0;

	for (int i = 0; i < VERSIONS_MAX; i++) {
		if ((rc = dr_s3_look(s3, name, NULL, &h, err)) != 1)
			return rc == -1 ? -1 : done;
		rc = delete_one(s3, name,
		    h.version[0] != '\0' ? h.version : NULL, err);
		if (rc == -1)
			return -1;
		done = 1;
		if (h.version[0] == '\0')
			return 1;
	}
	return dr_err_set(err, DR_EFAIL, "\"%s\" has more than %d versions",
	    name, VERSIONS_MAX);
}

static void
s3_hurry(struct dr_store *store, uint64_t ms)
{
	dr_http_hurry(((struct dr_s3 *)store)->http, ms);
}

static const char *
s3_region(const struct dr_store *store)
{
	return ((const struct dr_s3 *)store)->region;
}

static void
s3_free(struct dr_store *store)
{
	struct dr_s3 *s3 = (struct dr_s3 *)store;

	dr_http_free(s3->http);
	dr_aws_cred_free(s3->cred);
	if (s3->free_own != NULL)
		s3->free_own(s3->own);
	free(s3->bucket);
	free(s3->prefix);
	free(s3->region);
	free(s3->origin);
	free(s3->host);
	free(s3->base);
	free(s3);
}

const struct dr_store_ops dr_s3_ops = {
	.put = dr_s3_put,
	.put_begin = dr_s3_put_begin,
	.put_look = dr_s3_put_look,
	.put_cancel = dr_s3_put_cancel,
	.stat = dr_s3_stat,
	.get = dr_s3_get,
	.get_small = dr_s3_get_small,
	.list = dr_s3_list,
	.dirs = dr_s3_dirs,
	.versions = dr_s3_versions,
	.get_version = dr_s3_get_version,
	.locked = dr_s3_locked,
	.del = s3_del,
	.uploads = dr_s3_uploads,
	.upload_abort = dr_s3_upload_abort,
	.try_replace = dr_s3_try_replace,
	.region = s3_region,
	.hurry = s3_hurry,
	.free = s3_free,
};

/* --- where it is -------------------------------------------------------------- */

static bool
all_of(const char *s, const char *good)
{
	return s[strspn(s, good)] == '\0';
}

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static int
check(const struct dr_url *u, struct dr_err *err)
{
	const char *p = u->path;

	if (u->host[0] == '\0' || strlen(u->host) > 255 ||
	    !all_of(u->host, ALNUM "._-") || u->host[0] == '.')
		return dr_err_set(err, DR_EUSAGE,
		    "\"%s\" cannot be the name of a bucket", u->host);
	if (u->user != NULL || u->port != 0) {
		dr_err_set(err, DR_EUSAGE,
		    "%s://%s has a user or port before the bucket", u->scheme,
		    u->host);
		return dr_err_hint(err,
		    "it is %s://BUCKET/PREFIX?endpoint=https://HOST:PORT",
		    u->scheme);
	}
	if (strlen(p) > PREFIX_MAX)
		return dr_err_set(err, DR_EUSAGE,
		    "the prefix of %s://%s is too long", u->scheme, u->host);
	while (*p != '\0') {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return dr_err_set(err, DR_EUSAGE,
			    "the prefix \"%s\" has an empty part, \".\" or "
			    "\"..\"",
			    u->path);
		p += n;
		p += *p == '/';
	}
	return 0;
}

/* "https://HOST[:PORT][/PATH]" into origin, host and base. */
static int
endpoint(struct dr_s3 *s3, const char *url, bool virtual_host,
    struct dr_err *err)
{
	bool tls = strncmp(url, "https://", 8) == 0;
	const char *host = url + (tls ? 8 : 7), *path, *drop;
	struct dr_buf base = { .max = 4096 };
	size_t n;

	if (!tls && strncmp(url, "http://", 7) != 0)
		goto bad;
	n = strcspn(host, "/");
	path = host + n;
	drop = tls ? ":443" : ":80";
	if (n == 0 || n > 255 || strpbrk(host, "@?# %") != NULL)
		goto bad;
	/* Signed as curl sends it: without a port that goes without saying. */
	if (n > strlen(drop) &&
	    strncmp(host + n - strlen(drop), drop, strlen(drop)) == 0)
		n -= strlen(drop);
	s3->host = virtual_host
	               ? dr_fmt(err, "%s.%.*s", s3->bucket, (int)n, host)
	               : dr_fmt(err, "%.*s", (int)n, host);
	if (s3->host == NULL)
		return -1;
	for (char *c = s3->host; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	s3->origin = dr_fmt(err, "%s://%s", tls ? "https" : "http", s3->host);
	n = strlen(path);
	while (n > 0 && path[n - 1] == '/')
		n--;
	if (s3->origin == NULL || dr_buf_add(&base, path, n, err) == -1 ||
	    (!virtual_host && (dr_buf_str(&base, "/", err) == -1 ||
	                          dr_buf_str(&base, s3->bucket, err) == -1))) {
		dr_buf_free(&base);
		return -1;
	}
	s3->base = base.data != NULL ? base.data : dr_fmt(err, "%s", "");
	return s3->base == NULL ? -1 : 0;

bad:
	dr_err_set(err, DR_EUSAGE, "\"%s\" is no endpoint", url);
	return dr_err_hint(err, "it is http:// or https://, a host, and "
	                        "perhaps a port and a path");
}

/* As it was given, so that it can be opened again. */
static char *
url_of(const struct dr_url *u, struct dr_err *err)
{
	struct dr_buf b = { .max = 8192 };

	if (dr_buf_fmt(&b, err, "%s://%s", u->scheme, u->host) == -1)
		goto fail;
	if (u->path[0] != '\0' &&
	    (dr_buf_str(&b, "/", err) == -1 ||
	        dr_http_encode(&b, u->path, true, err) == -1))
		goto fail;
	for (size_t i = 0; i < u->params; i++) {
		const char *v = u->param[i].value;

		if (dr_buf_fmt(&b, err, "%c%s=", i == 0 ? '?' : '&',
		        u->param[i].name) == -1)
			goto fail;
		/* An endpoint stays legible. */
		if (all_of(v, ALNUM "._-:/")
		        ? dr_buf_str(&b, v, err) == -1
		        : dr_http_encode(&b, v, false, err) == -1)
			goto fail;
	}
	return b.data;

fail:
	dr_buf_free(&b);
	return NULL;
}

static int
from_cred(struct dr_s3 *s3, struct dr_aws_keys *keys, bool force,
    struct dr_err *err)
{
	return dr_aws_cred_get(s3->cred, keys, force, err);
}

struct dr_s3 *
dr_s3_new(const struct dr_url *u, const struct dr_s3_dialect *dialect,
    const char *where, const char *region, bool virtual_host,
    const struct dr_http_opts *http, struct dr_err *err)
{
	struct dr_s3 *s3;

	if (check(u, err) == -1)
		return NULL;
	if ((s3 = calloc(1, sizeof(*s3))) == NULL) {
		dr_err_sys(err, "cannot open store \"%s\"", u->host);
		return NULL;
	}
	s3->store.ops = &dr_s3_ops;
	s3->dialect = dialect;
	s3->keys = from_cred;
	if ((s3->bucket = dr_fmt(err, "%s", u->host)) == NULL ||
	    (s3->prefix = dr_fmt(err, "%s%s", u->path,
	         u->path[0] != '\0' ? "/" : "")) == NULL ||
	    (s3->region = dr_fmt(err, "%s", region)) == NULL ||
	    endpoint(s3, where, virtual_host, err) == -1 ||
	    (s3->http = dr_http_new(http, err)) == NULL ||
	    (s3->store.url = url_of(u, err)) == NULL) {
		s3_free(&s3->store);
		return NULL;
	}
	return s3;
}

/* --- AWS, and what speaks as it does ---------------------------------------------- */

static const struct dr_s3_dialect aws = {
	.who = "S3",
	.names = &dr_s3_aws,
	.service = "s3",
	.prefix = "x-amz-",
	.once = { "if-none-match", "*" },
	.version = "versionId",
	.version_header = "x-amz-version-id",
	.version_marker = { "key-marker", "version-id-marker" },
};

static bool
of_amazon(const char *url)
{
	const char *host = strstr(url, "://");
	static const char *const ends[] = { ".amazonaws.com",
		".amazonaws.com.cn" };
	size_t n, k;

	host = host == NULL ? url : host + 3;
	n = strcspn(host, ":/");
	for (size_t i = 0; i < 2; i++) {
		k = strlen(ends[i]);
		if (n > k && strncasecmp(host + n - k, ends[i], k) == 0)
			return true;
	}
	return false;
}

static int
check_sse(const char *sse, struct dr_err *err)
{
	if (sse == NULL || strcmp(sse, "AES256") == 0 ||
	    strcmp(sse, "aws:kms") == 0 || strcmp(sse, "aws:kms:dsse") == 0 ||
	    (strncmp(sse, "aws:kms:", 8) == 0 && sse[8] != '\0'))
		return 0;
	dr_err_set(err, DR_EUSAGE, "\"%s\" is no encryption of S3", sse);
	return dr_err_hint(err, "it is AES256, aws:kms or aws:kms:KEYID");
}

/* Should the bucket stand before the host's name? */
static int
is_virtual(const struct dr_url *u, const struct dr_aws_cred *cred,
    const char *where, bool *virtual_host, struct dr_err *err)
{
	const char *how = dr_url_param(u, "addressing");

	if (how == NULL)
		how = dr_aws_cred_setting(cred, "addressing_style");
	if (how == NULL || strcmp(how, "auto") == 0)
		*virtual_host =
		    of_amazon(where) && strchr(u->host, '.') == NULL;
	else if (strcmp(how, "path") == 0)
		*virtual_host = false;
	else if (strcmp(how, "virtual") == 0)
		*virtual_host = true;
	else {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is no way to address a "
		    "bucket",
		    how);
		return dr_err_hint(err, "addressing is path or virtual");
	}
	return 0;
}

struct dr_store *
dr_store_s3(const struct dr_url *u, const struct dr_store_opts *o,
    struct dr_err *err)
{
	struct dr_http_opts http = { .ca_file = o->ca_file,
		.limit_rate = o->limit_rate,
		.patience_ms = o->patience_ms };
	const char *where = dr_url_param(u, "endpoint");
	const char *region = dr_url_param(u, "region");
	struct dr_aws_cred *cred = NULL;
	struct dr_s3 *s3 = NULL;
	char *made = NULL;
	bool virtual_host;

	if (dr_url_only(u, "endpoint|region|profile|addressing", err) == -1 ||
	    check_sse(o->sse, err) == -1 ||
	    (cred = dr_aws_cred_new(dr_url_param(u, "profile"), &http, err)) ==
	        NULL)
		return NULL;
	if (where == NULL)
		where = dr_aws_cred_setting(cred, "endpoint_url");
	if (region == NULL)
		region = dr_aws_cred_setting(cred, "region");
	if (region == NULL)
		region = "us-east-1";
	if (http.ca_file == NULL)
		http.ca_file = dr_aws_cred_setting(cred, "ca_bundle");
	if (!all_of(region, ALNUM "-_") || region[0] == '\0' ||
	    strlen(region) > 63) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" is no region", region);
		goto fail;
	}
	if (where == NULL) {
		made = dr_fmt(err, "https://s3.%s.amazonaws.com%s", region,
		    strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
		if (made == NULL)
			goto fail;
		where = made;
	}
	if (is_virtual(u, cred, where, &virtual_host, err) == -1 ||
	    (s3 = dr_s3_new(u, &aws, where, region, virtual_host, &http,
	         err)) == NULL)
		goto fail;
	s3->cred = cred;
	s3->foreign = !of_amazon(where);
	free(made);
	return &s3->store;

fail:
	free(made);
	dr_aws_cred_free(cred);
	return NULL;
}
