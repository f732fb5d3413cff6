#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/hash.h"
#include "base/num.h"
#include "store/s3.h"

#define AUTH_MAX    (16U << 10)
#define EMPTY       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DAMAGED_MAX 3 /* so often a body that arrived damaged is sent again */

int
dr_s3_call(struct dr_s3_call *c, struct dr_s3 *s3, const char *method,
    const char *name, const char *what, struct dr_err *err)
{
	struct dr_buf path = { .max = 8192 };
	char *of;

	memset(c, 0, sizeof(*c));
	c->s3 = s3;
	c->req = &c->own;
	c->own.method = method;
	c->own.body_fd = -1;
	memcpy(c->sha256, EMPTY, sizeof(c->sha256));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	of = dr_fmt(err, what, name == NULL ? s3->store.url : name);
#pragma GCC diagnostic pop
	if (of == NULL)
		return -1;
	c->what = of;
	if (name != NULL) {
		c->what = dr_fmt(err, "%s in \"%s\"", of, s3->store.url);
		free(of);
		if (c->what == NULL)
			return -1;
	}
	if (dr_buf_str(&path, s3->base, err) == -1 ||
	    dr_buf_str(&path, "/", err) == -1 ||
	    (name != NULL &&
	        (dr_http_encode(&path, s3->prefix, true, err) == -1 ||
	            dr_http_encode(&path, name, true, err) == -1))) {
		dr_buf_free(&path);
		return -1;
	}
	/* Of a bucket in the path: without "/" at its end. */
	if (name == NULL && path.len > 1)
		path.data[path.len - 1] = '\0';
	c->path = path.data;
	return 0;
}

static int
add(struct dr_pair *v, size_t *n, const char *name, const char *value,
    struct dr_err *err)
{
	char *a, *b;

	if (*n == DR_S3_PAIRS)
		return dr_err_set(err, DR_EFAIL,
		    "a request has too many headers");
	if ((a = dr_fmt(err, "%s", name)) == NULL)
		return -1;
	if ((b = dr_fmt(err, "%s", value)) == NULL) {
		free(a);
		return -1;
	}
	v[*n].name = a;
	v[*n].value = b;
	++*n;
	return 0;
}

int
dr_s3_query(struct dr_s3_call *c, const char *name, const char *value,
    struct dr_err *err)
{
	return add(c->query, &c->queries, name, value, err);
}

int
dr_s3_header(struct dr_s3_call *c, const char *name, const char *value,
    struct dr_err *err)
{
	return add(c->header, &c->headers, name, value, err);
}

int
dr_s3_xheader(struct dr_s3_call *c, const char *name, const char *value,
    struct dr_err *err)
{
	char full[96];

	(void)snprintf(full, sizeof(full), "%s%s", c->s3->dialect->prefix,
	    name);
	return dr_s3_header(c, full, value, err);
}

int
dr_s3_body(struct dr_s3_call *c, const void *data, size_t len,
    struct dr_err *err)
{
	c->own.body = data;
	c->own.len = len;
	return dr_sha256_hex(data, len, c->sha256, err);
}

/* The MD5 of a body in memory or in a file. */
static int
md5(const struct dr_http_req *r, unsigned char out[16], struct dr_err *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char buf[16384];
	uint64_t at = 0;
	ssize_t n;
	int rc = -1;

	if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_md5(), NULL) != 1)
		goto out;
	if (r->body != NULL && EVP_DigestUpdate(ctx, r->body, r->len) != 1)
		goto out;
	while (r->body == NULL && at < r->len) {
		size_t want = r->len - at < sizeof(buf) ? (size_t)(r->len - at)
		                                        : sizeof(buf);

		n = pread(r->body_fd, buf, want, (off_t)(r->body_off + at));
		if (n <= 0 || EVP_DigestUpdate(ctx, buf, (size_t)n) != 1)
			goto out;
		at += (uint64_t)n;
	}
	if (EVP_DigestFinal_ex(ctx, out, NULL) == 1)
		rc = 0;

out:
	EVP_MD_CTX_free(ctx);
	if (rc == -1)
		dr_err_set(err, DR_EFAIL, "cannot compute the MD5 of a body");
	return rc;
}

int
dr_s3_md5(struct dr_s3_call *c, struct dr_err *err)
{
	unsigned char digest[16], text[32];

	if (md5(c->req, digest, err) == -1)
		return -1;
	EVP_EncodeBlock(text, digest, sizeof(digest));
	c->md5 = true;
	return dr_s3_header(c, "content-md5", (const char *)text, err);
}

/* --- one attempt ------------------------------------------------------------- */

/* All headers but the signature: V has room for four more than the call's. */
static size_t
collect(const struct dr_s3_call *c, const struct dr_aws_keys *keys,
    const char *now, char names[3][64], struct dr_pair *v)
{
	const char *prefix = c->s3->dialect->prefix;
	size_t n = c->headers;

	memcpy(v, c->header, n * sizeof(*v));
	v[n++] = (struct dr_pair){ "host", c->s3->host };
	if (keys->access[0] == '\0')
		return n;
	(void)snprintf(names[0], 64, "%sdate", prefix);
	(void)snprintf(names[1], 64, "%scontent-sha256", prefix);
	(void)snprintf(names[2], 64, "%ssecurity-token", prefix);
	v[n++] = (struct dr_pair){ names[0], now };
	v[n++] = (struct dr_pair){ names[1], c->sha256 };
	if (keys->token[0] != '\0')
		v[n++] = (struct dr_pair){ names[2], keys->token };
	return n;
}

static int
authorize(struct dr_s3_call *c, const struct dr_aws_keys *keys, const char *now,
    const char *query, struct dr_pair *v, size_t n, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_s3_sign s = { c->s3->dialect->names, c->s3->region,
		c->s3->dialect->service, keys->access, keys->secret, now,
		c->req->method, c->path, query, v, n, c->sha256 };

	if (keys->access[0] == '\0')
		return dr_buf_fmt(out, err, "Bearer %s", keys->token);
	return dr_s3_sign(&s, out, err);
}

static int
prepare(void *arg, struct dr_http_head *head, struct dr_err *err)
{
	struct dr_s3_call *c = arg;
	struct dr_buf auth = { .max = AUTH_MAX }, query = auth;
	struct dr_pair v[DR_S3_PAIRS + 4];
	char now[DR_TIME_LEN], names[3][64];
	struct dr_aws_keys keys;
	int rc = -1;
	size_t n;

	if (c->s3->keys(c->s3, &keys, false, err) == -1)
		return -1;
	dr_format_stamp(dr_now() / 1000000 * 1000000, now);
	n = collect(c, &keys, now, names, v);
	if (dr_s3_params(c->query, c->queries, &query, err) == -1 ||
	    authorize(c, &keys, now, query.len > 0 ? query.data : "", v, n,
	        &auth, err) == -1 ||
	    dr_buf_fmt(&head->url, err, "%s%s%s%s", c->s3->origin, c->path,
	        query.len > 0 ? "?" : "",
	        query.len > 0 ? query.data : "") == -1)
		goto out;
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].name, "host") != 0 &&
		    dr_http_header(head, v[i].name, v[i].value, err) == -1)
			goto out;
	rc = dr_http_header(head, "authorization", auth.data, err);

out:
	dr_aws_keys_wipe(&keys);
	if (auth.data != NULL)
		OPENSSL_cleanse(auth.data, auth.len);
	dr_buf_free(&auth);
	dr_buf_free(&query);
	return rc;
}

/* Keys whose time is over are fetched again, once. */
static bool
refresh(struct dr_s3_call *c)
{
	struct dr_err ignored = { 0 };
	struct dr_aws_keys keys;
	bool good;

	if (c->refreshed)
		return false;
	c->refreshed = true;
	good = c->s3->keys(c->s3, &keys, true, &ignored) == 0;
	dr_aws_keys_wipe(&keys);
	return good;
}

/* What may be gone the next time. */
static bool
passing(struct dr_s3_call *c, int status)
{
	static const char *const codes[] = { "RequestTimeout", "InternalError",
		"SlowDown", "ServiceUnavailable", "Busy" };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (dr_s3_is(c, codes[i]))
			return true;
	if (c->conditional && status == 409 &&
	    (dr_s3_is(c, "ConditionalRequestConflict") ||
	        dr_s3_is(c, "OperationAborted")))
		return true;
	/* The body did not arrive as it was sent. */
	return (dr_s3_is(c, "BadDigest") ||
	           dr_s3_is(c, "XAmzContentSHA256Mismatch")) &&
	       c->damaged++ < DAMAGED_MAX;
}

static int
judge(void *arg, struct dr_http_req *r, struct dr_err *err)
{
	struct dr_s3_call *c = arg;

	memset(&c->said, 0, sizeof(c->said));
	if (r->status < 300 && !c->error_in_200)
		return 0;
	if (!dr_s3_said(r->reply.data, r->reply.len, &c->said)) {
		/* Of HEAD, or of a proxy. */
		if (r->status == 401)
			return refresh(c) ? 1 : 0;
		return 0;
	}
	if (dr_s3_is(c, "ExpiredToken") ||
	    dr_s3_is(c, "TokenRefreshRequired") ||
	    dr_s3_is(c, "ExpiredTokenException") || r->status == 401)
		return refresh(c) ? 1 : 0;
	if (passing(c, r->status)) {
		dr_err_set(err, DR_ERETRY, "%s%s%s (%d)", c->said.code,
		    c->said.message[0] != '\0' ? ": " : "", c->said.message,
		    r->status);
		return 1;
	}
	/* A bucket whose default is to lock wants one. */
	if (r->status == 400 && !c->md5 && r->len > 0 &&
	    strstr(c->said.message, "Content-MD5") != NULL)
		return dr_s3_md5(c, err) == -1 ? -1 : 1;
	return 0;
}

void
dr_s3_ready(struct dr_s3_call *c, struct dr_http_req *r)
{
	if (r != &c->own)
		r->method = c->own.method;
	c->req = r;
	r->what = c->what;
	r->prepare = prepare;
	r->judge = judge;
	r->arg = c;
}

int
dr_s3_do(struct dr_s3_call *c, struct dr_err *err)
{
	dr_s3_ready(c, &c->own);
	return dr_http_do(c->s3->http, &c->own, err);
}

int
dr_s3_start(struct dr_s3_call *c, struct dr_err *err)
{
	dr_s3_ready(c, &c->own);
	return dr_http_start(c->s3->http, &c->own, err);
}

static void
free_pairs(struct dr_pair *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free((void *)(uintptr_t)v[i].name);
		free((void *)(uintptr_t)v[i].value);
	}
}

void
dr_s3_wipe(struct dr_s3_call *c)
{
	dr_http_wipe(&c->own);
	free(c->what);
	free(c->path);
	free_pairs(c->query, c->queries);
	free_pairs(c->header, c->headers);
	memset(c, 0, sizeof(*c));
}
