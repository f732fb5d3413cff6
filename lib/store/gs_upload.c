/*
 * Bodies for Google: in one request where they fit, else as a resumable
 * upload.  Two pieces are held: one is on its way, the next is being filled.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "base/hash.h"
#include "base/msg.h"
#include "base/num.h"
#include "store/gs.h"

#define STUCK_MAX 5 /* so often a piece may arrive without a byte of it */

struct piece {
	char *data; /* owned, DR_GS_PIECE */
	size_t len;
	uint64_t off; /* of its first byte, in the body */
};

struct upload {
	struct dr_sink sink;
	struct dr_s3 *s3; /* borrowed */
	char *name, *what;
	struct piece piece[2], *fill, *fly; /* fly: NULL while none does */
	uint64_t total;                     /* bytes that were written to us */
	uint32_t crc;                       /* of them */
	char *session; /* its URL, or NULL; as secret as a key */
	bool lost;     /* an attempt may have made the object */
	/* The request that is under way. */
	struct dr_http_req req;
	char range[80];
	size_t skip; /* bytes of FLY that had arrived before */
	bool last;
	unsigned stuck;
};

/* --- what is said ---------------------------------------------------------------- */

char *
dr_gs_range(uint64_t off, uint64_t len, bool last, char *out)
{
	unsigned long long a = off, b = off + len;

	if (last && len == 0)
		(void)snprintf(out, 80, "bytes */%llu", b);
	else if (last)
		(void)snprintf(out, 80, "bytes %llu-%llu/%llu", a, b - 1, b);
	else
		(void)snprintf(out, 80, "bytes %llu-%llu/*", a, b - 1);
	return out;
}

bool
dr_gs_arrived(const char *range, uint64_t *bytes)
{
	struct dr_err ignored = { 0 };
	int64_t n;

	*bytes = 0;
	if (range == NULL)
		return true;
	if (strncmp(range, "bytes=0-", 8) != 0 ||
	    dr_parse_int(range + 8, 0, INT64_MAX - 1, &n, &ignored) == -1)
		return false;
	*bytes = (uint64_t)n + 1;
	return true;
}

bool
dr_gs_crc(const struct dr_http_req *req, uint32_t *crc)
{
	unsigned char raw[6], text[9];

	for (size_t i = 0; i < req->fields; i++) {
		const char *v = req->field[i].value;

		if (strcmp(req->field[i].name, "x-goog-hash") != 0 ||
		    (v = strstr(v, "crc32c=")) == NULL ||
		    strcspn(v += 7, ", ") != 8)
			continue;
		memcpy(text, v, 8);
		text[8] = '\0';
		if (EVP_DecodeBlock(raw, text, 8) != 6)
			continue;
		*crc = (uint32_t)raw[0] << 24 | (uint32_t)raw[1] << 16 |
		       (uint32_t)raw[2] << 8 | (uint32_t)raw[3];
		return true;
	}
	return false;
}

/* --- beginning ------------------------------------------------------------------- */

/* The session is Google's or, where an endpoint was given, of that. */
static bool
session_ok(const struct dr_s3 *s3, const char *url)
{
	static const char google[] = ".googleapis.com";
	size_t n = strlen(s3->origin), host;

	if (strncmp(url, s3->origin, n) == 0 && url[n] == '/')
		return true;
	if (strncmp(url, "https://", 8) != 0 ||
	    strstr(s3->origin, google) == NULL)
		return false;
	host = strcspn(url + 8, "/?#");
	return host > sizeof(google) - 1 &&
	       memchr(url + 8, '@', host) == NULL &&
	       strncasecmp(url + 8 + host - (sizeof(google) - 1), google,
	           sizeof(google) - 1) == 0;
}

static int
taken(const struct upload *u, struct dr_err *err)
{
	dr_err_set(err, DR_EFAIL, "cannot create \"%s/%s\": it exists",
	    u->s3->store.url, u->name);
	errno = EEXIST;
	return -1;
}

static int
begin(struct upload *u, struct dr_err *err)
{
	const char *const *once = u->s3->dialect->once, *url;
	struct dr_s3_call c;
	int rc = -1;

	if (dr_s3_call(&c, u->s3, "POST", u->name, "upload of \"%s\"", err) ==
	        -1 ||
	    dr_s3_xheader(&c, "resumable", "start", err) == -1 ||
	    dr_s3_header(&c, once[0], once[1], err) == -1 ||
	    dr_s3_header(&c, "content-type", "application/octet-stream", err) ==
	        -1 ||
	    dr_s3_how(&c, false, err) == -1 || dr_s3_do(&c, err) == -1)
		goto out;
	url = dr_http_field(c.req, "location");
	if (c.req->status == 412)
		taken(u, err);
	else if (c.req->status != 200 && c.req->status != 201)
		dr_s3_refused(&c, err);
	else if (url == NULL || !session_ok(u->s3, url))
		dr_err_set(err, DR_EDATA,
		    "%s failed: the store names no place for it", c.what);
	else if ((u->session = dr_fmt(err, "%s", url)) != NULL)
		rc = 0;
out:
	dr_s3_wipe(&c);
	return rc;
}

/* --- pieces ------------------------------------------------------------------------ */

static int
prepare(void *arg, struct dr_http_head *head, struct dr_err *err)
{
	const struct upload *u = arg;

	/* Whoever knows the session's URL may write there: nothing is signed. */
	if (dr_buf_str(&head->url, u->session, err) == -1)
		return -1;
	return u->range[0] == '\0'
	           ? 0
	           : dr_http_header(head, "content-range", u->range, err);
}

/* Send what has not arrived of FLY. */
static int
launch(struct upload *u, struct dr_err *err)
{
	const struct piece *p = u->fly;

	dr_http_wipe(&u->req);
	memset(&u->req, 0, sizeof(u->req));
	dr_gs_range(p->off + u->skip, p->len - u->skip, u->last, u->range);
	u->req.what = u->what;
	u->req.method = "PUT";
	u->req.prepare = prepare;
	u->req.arg = u;
	u->req.body_fd = -1;
	u->req.body = p->data + u->skip;
	u->req.len = p->len - u->skip;
	return dr_http_start(u->s3->http, &u->req, err);
}

/* 308: how far did it get?  1 that piece is there, 0 more is to be sent. */
static int
progress(struct upload *u, struct dr_err *err)
{
	uint64_t got;
	size_t now;

	if (!dr_gs_arrived(dr_http_field(&u->req, "range"), &got) ||
	    got < u->fly->off || got > u->fly->off + u->fly->len)
		return dr_err_set(err, DR_EDATA,
		    "%s failed: the store says that another number of bytes "
		    "has arrived",
		    u->what);
	now = (size_t)(got - u->fly->off);
	if (now == u->fly->len && !u->last)
		return 1;
	if (now > u->skip)
		u->stuck = 0;
	else if (++u->stuck > STUCK_MAX)
		return dr_err_set(err, DR_ERETRY,
		    "%s failed: the store takes no more of it", u->what);
	u->skip = now;
	return 0;
}

/* Wait for FLY.  0: it has landed; u->req holds the answer of the last. */
static int
land(struct upload *u, struct dr_err *err)
{
	int rc;

	while (u->fly != NULL) {
		while (!u->req.ended)
			if (dr_http_turn(1000, err) == -1)
				return -1;
		u->lost = u->lost || (u->last && u->req.lost);
		if (u->req.err.cause != DR_OK) {
			*err = u->req.err;
			return -1;
		}
		if (u->req.status != 308)
			rc = 1; /* finish looks at it */
		else if ((rc = progress(u, err)) == -1)
			return -1;
		if (rc == 1)
			u->fly = NULL;
		else if (launch(u, err) == -1)
			return -1;
	}
	if (!u->last && u->req.status != 308)
		return dr_err_set(err, DR_EFAIL,
		    "%s failed: the store ends it with status %d", u->what,
		    u->req.status);
	return 0;
}

/* FILL goes off, and the other one is filled. */
static int
send(struct upload *u, bool last, struct dr_err *err)
{
	struct piece *other = u->fill == u->piece ? u->piece + 1 : u->piece;

	if (u->session == NULL ? begin(u, err) == -1 : land(u, err) == -1)
		return -1;
	if (!last && other->data == NULL &&
	    (other->data = malloc(DR_GS_PIECE)) == NULL)
		return dr_err_sys(err, "cannot store \"%s\"", u->name);
	u->fly = u->fill;
	u->skip = 0;
	u->stuck = 0;
	u->last = last;
	if (launch(u, err) == -1) {
		u->fly = NULL;
		return -1;
	}
	if (!last) {
		other->off = u->fly->off + u->fly->len;
		other->len = 0;
		u->fill = other;
	}
	return 0;
}

static int
gs_write(struct dr_sink *sink, const void *data, size_t len, struct dr_err *err)
{
	struct upload *u = (struct upload *)sink;
	const char *p = data;

	u->crc = dr_crc32c(u->crc, p, len);
	u->total += len;
	while (len > 0) {
		size_t n = DR_GS_PIECE - u->fill->len;

		/* The last piece has something in it: only more sends it. */
		if (n == 0) {
			if (send(u, false, err) == -1)
				return -1;
			continue;
		}
		if (len < n)
			n = len;
		memcpy(u->fill->data + u->fill->len, p, n);
		u->fill->len += n;
		p += n;
		len -= n;
		if (u->fly != NULL && dr_http_turn(0, err) == -1)
			return -1;
	}
	return 0;
}

/* --- the end ------------------------------------------------------------------------ */

/*
 * There is an object of that name after a reply of ours was lost: is it the
 * one that we sent, and which VERSION?
 */
static enum dr_s3_own
whose(struct upload *u, char *version, size_t size, struct dr_err *err)
{
	const char *length, *v;
	struct dr_s3_call c;
	struct dr_err ignored = { 0 };
	enum dr_s3_own own = DR_S3_OTHER;
	uint32_t crc;
	int64_t n;

	if (dr_s3_call(&c, u->s3, "HEAD", u->name, "reading \"%s\"", err) ==
	        -1 ||
	    dr_s3_do(&c, err) == -1 ||
	    (c.req->status != 200 && c.req->status != 404 &&
	        dr_s3_refused(&c, err) == -1)) {
		own = err->cause == DR_EFAIL ? DR_S3_HIDDEN : DR_S3_UNKNOWN;
		goto out;
	}
	length = dr_http_field(c.req, "content-length");
	v = dr_http_field(c.req, u->s3->dialect->version_header);
	if (c.req->status == 200 && length != NULL &&
	    dr_parse_int(length, 0, INT64_MAX, &n, &ignored) == 0 &&
	    (uint64_t)n == u->total && dr_gs_crc(c.req, &crc) && crc == u->crc)
		own = DR_S3_OURS;
	if (own == DR_S3_OURS && v != NULL)
		(void)snprintf(version, size, "%s", v);
out:
	dr_s3_wipe(&c);
	return own;
}

static int
read_back(struct upload *u, const char *version, struct dr_err *err)
{
	const struct dr_lock *want = &u->s3->store.opts->lock;
	struct dr_lock have;

	if (want->mode == DR_LOCK_NONE)
		return 0;
	if (dr_s3_locked_version(u->s3, u->name,
	        *version != '\0' ? version : NULL, &have, NULL, err) == -1)
		return -1;
	return dr_s3_lock_enough(u->s3, u->name, &have, err);
}

/*
 * The name is taken, and a reply of ours was lost.  0; -1, errno EEXIST, or
 * EALREADY: nothing speaks against its being ours, and it cannot be read.
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

/* What the store answered to the last piece. */
static int
completed(struct upload *u, struct dr_err *err)
{
	const char *v = dr_http_field(&u->req, u->s3->dialect->version_header);
	struct dr_s3_said said;
	char version[256] = "";
	uint32_t crc;
	int status = u->req.status;
	enum dr_s3_own own;

	if (status == 200 || status == 201) {
		if (dr_gs_crc(&u->req, &crc) && crc != u->crc)
			return dr_err_set(err, DR_EDATA,
			    "%s failed: it arrived damaged", u->what);
		if (v != NULL)
			(void)snprintf(version, sizeof(version), "%s", v);
		return read_back(u, version, err);
	}
	if (u->lost && (status == 412 || status == 404 || status == 410)) {
		own = whose(u, version, sizeof(version), err);
		/* Without the session there is nothing that tells. */
		if (status != 412 && own == DR_S3_HIDDEN)
			return -1;
		if (status == 412 || own != DR_S3_OTHER)
			return settle(u, own, version, err);
	}
	if (status == 412)
		return taken(u, err);
	(void)dr_s3_said(u->req.reply.data, u->req.reply.len, &said);
	return dr_err_set(err, DR_EFAIL, "%s failed: %s%s%s (%d)", u->what,
	    said.code[0] != '\0' ? said.code : "the store refuses",
	    said.message[0] != '\0' ? ": " : "", said.message, status);
}

/* Of a body that fits in one request. */
static int
whole(struct upload *u, struct dr_err *err)
{
	enum dr_put_result res;
	char version[256] = "";
	enum dr_s3_own own;
	bool lost;

	res = dr_store_put_small(&u->s3->store, u->name, u->fill->data,
	    u->fill->len, &lost, err);
	if (res == DR_PUT_OK)
		return 0;
	if (res != DR_PUT_EXISTS || !lost)
		return -1;
	dr_err_clear(err);
	own = whose(u, version, sizeof(version), err);
	return settle(u, own, version, err);
}

static int
gs_finish(struct dr_sink *sink, struct dr_err *err)
{
	struct upload *u = (struct upload *)sink;
	int rc, saved;

	if (u->session == NULL && u->total <= DR_GS_PIECE)
		return whole(u, err);
	if (send(u, true, err) == -1 || land(u, err) == -1)
		return -1;
	rc = completed(u, err);
	saved = errno;
	if (rc == 0 || u->req.status == 412) {
		/* There is nothing left of it to be removed. */
		explicit_bzero(u->session, strlen(u->session));
		free(u->session);
		u->session = NULL;
	}
	errno = saved;
	return rc;
}

/* Nothing is left of it; Google drops it by itself after a week. */
static void
abandon(struct upload *u)
{
	struct dr_http_req req = { .what = u->what,
		.method = "DELETE",
		.prepare = prepare,
		.arg = u,
		.body_fd = -1,
		.cleanup = true };
	struct dr_err err = { 0 };

	u->range[0] = '\0';
	if (dr_http_do(u->s3->http, &req, &err) == -1)
		dr_warn("an upload of \"%s\" stays unfinished in \"%s\" for a "
		        "week: %s",
		    u->name, u->s3->store.url, err.msg);
	dr_http_wipe(&req);
}

static void
gs_free(struct dr_sink *sink)
{
	struct upload *u = (struct upload *)sink;

	if (u->fly != NULL && !u->req.ended)
		dr_http_cancel(&u->req);
	dr_http_wipe(&u->req);
	if (u->session != NULL) {
		abandon(u);
		explicit_bzero(u->session, strlen(u->session));
	}
	free(u->session);
	free(u->piece[0].data);
	free(u->piece[1].data);
	free(u->name);
	free(u->what);
	free(u);
}

static const struct dr_sink_ops gs_ops = {
	.write = gs_write,
	.finish = gs_finish,
	.free = gs_free,
};

struct dr_sink *
dr_gs_put(struct dr_store *store, const char *name, struct dr_err *err)
{
	struct upload *u = calloc(1, sizeof(*u));

	if (u == NULL) {
		dr_err_sys(err, "cannot store \"%s\"", name);
		return NULL;
	}
	u->sink.ops = &gs_ops;
	u->s3 = (struct dr_s3 *)store;
	u->fill = u->piece;
	if ((u->name = dr_fmt(err, "%s", name)) == NULL ||
	    (u->what = dr_fmt(err, "upload of \"%s\"", name)) == NULL)
		goto fail;
	if ((u->fill->data = malloc(DR_GS_PIECE)) == NULL) {
		dr_err_sys(err, "cannot store \"%s\"", name);
		goto fail;
	}
	return &u->sink;

fail:
	gs_free(&u->sink);
	return NULL;
}
