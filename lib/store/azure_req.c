#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "store/ask.h"
#include "store/azure.h"

static int
authorize(struct dr_az_req *r, struct dr_http_head *h, struct dr_err *err)
{
	const struct dr_az_conf *c = &r->a->conf;
	struct dr_buf text = { .max = 65536 }, value = { .max = 65536 };
	int rc = -1;

	if (c->auth == DR_AZ_SAS)
		return 0;
	if (c->auth == DR_AZ_KEY) {
		if (dr_az_to_sign(&r->call, c->account, &text, err) == -1 ||
		    dr_buf_fmt(&value, err, "SharedKey %s:", c->account) ==
		        -1 ||
		    dr_az_sign(c->key, c->key_len, text.data, &value, err) ==
		        -1)
			goto out;
	} else if (dr_az_bearer(&r->a->token, &value, err) == -1)
		goto out;
	rc = dr_http_header(h, "Authorization", value.data, err);

out:
	dr_wipe_buf(&value);
	dr_buf_free(&text);
	return rc;
}

static int
write_url(const struct dr_az_req *r, struct dr_buf *url, struct dr_err *err)
{
	const struct dr_az_conf *c = &r->a->conf;
	const char *sep = "?";

	if (dr_buf_fmt(url, err, "%s%s", c->origin, r->call.path) == -1)
		return -1;
	for (size_t i = 0; i < r->call.queries; i++, sep = "&")
		if (dr_buf_fmt(url, err, "%s%s=", sep, r->call.query[i].name) ==
		        -1 ||
		    dr_http_encode(url, r->call.query[i].value, false, err) ==
		        -1)
			return -1;
	if (c->auth != DR_AZ_SAS)
		return 0;
	return dr_buf_fmt(url, err, "%s%s", sep, c->sas);
}

static int
prepare(void *arg, struct dr_http_head *h, struct dr_err *err)
{
	struct dr_az_req *r = arg;
	char date[DR_AZ_DATE_LEN];

	/* To the second below: one that lies ahead may be refused. */
	if (dr_az_head(&r->call, "x-ms-version", DR_AZ_VERSION, err) == -1 ||
	    dr_az_head(&r->call, "x-ms-date",
	        dr_az_date(dr_now() / 1000000 * 1000000, date), err) == -1 ||
	    write_url(r, &h->url, err) == -1 || authorize(r, h, err) == -1)
		return -1;
	for (size_t i = 0; i < r->call.heads; i++)
		if (dr_http_header(h, r->call.head[i].name,
		        r->call.head[i].value, err) == -1)
			return -1;
	return 0;
}

/* A token may end before its time; once more with another one. */
static int
judge(void *arg, struct dr_http_req *q, struct dr_err *err)
{
	struct dr_az_req *r = arg;
	const struct dr_az_conf *c = &r->a->conf;

	(void)err;
	if (q->status / 100 == 2 || r->renewed || c->auth == DR_AZ_KEY ||
	    c->auth == DR_AZ_SAS || dr_az_req_verdict(r) != DR_AZ_BAD_TOKEN)
		return 0;
	r->renewed = true;
	dr_az_token_stale(&r->a->token);
	return 1;
}

int
dr_az_req(struct dr_az_req *r, struct dr_azure *a, const char *method,
    const char *verb, const char *name, struct dr_err *err)
{
	const struct dr_az_conf *c = &a->conf;
	struct dr_buf path = { .max = 8192 };

	memset(r, 0, sizeof(*r));
	r->a = a;
	r->http = &r->own;
	r->call.method = method;
	if (dr_buf_fmt(&path, err, "%s/%s", c->base, c->container) == -1)
		goto fail;
	if (name != NULL &&
	    (dr_buf_str(&path, "/", err) == -1 ||
	        dr_http_encode(&path, c->prefix, true, err) == -1 ||
	        (*c->prefix != '\0' && dr_buf_str(&path, "/", err) == -1) ||
	        dr_http_encode(&path, name, true, err) == -1))
		goto fail;
	r->call.path = path.data;
	r->what = name == NULL
	              ? dr_fmt(err, "%s \"%s\"", verb, c->url)
	              : dr_fmt(err, "%s \"%s\" in \"%s\"", verb, name, c->url);
	return r->what == NULL ? -1 : 0;

fail:
	dr_buf_free(&path);
	return -1;
}

void
dr_az_ready(struct dr_az_req *r)
{
	r->call.len = r->http->len;
	r->http->what = r->what;
	r->http->method = r->call.method;
	r->http->prepare = prepare;
	r->http->judge = judge;
	r->http->arg = r;
}

int
dr_az_do(struct dr_az_req *r, struct dr_err *err)
{
	dr_az_ready(r);
	return dr_http_do(r->a->http, r->http, err);
}

int
dr_az_wait(struct dr_az_req *r, struct dr_err *err)
{
	dr_az_ready(r);
	if (dr_http_start(r->a->http, r->http, err) == -1)
		return -1;
	while (!r->http->ended)
		if (dr_http_turn(1000, err) == -1) {
			dr_http_cancel(r->http);
			return -1;
		}
	if (r->http->err.cause == DR_OK)
		return 0;
	*err = r->http->err;
	return -1;
}

enum dr_az_verdict
dr_az_req_verdict(const struct dr_az_req *r)
{
	char code[64];

	dr_az_code(r->http, code);
	return dr_az_verdict(r->http->status, code);
}

int
dr_az_fail(const struct dr_az_req *r, struct dr_err *err)
{
	char code[64];

	dr_az_code(r->http, code);
	return dr_az_explain(r->what, r->http->status, code, &r->a->conf, err);
}

void
dr_az_wipe(struct dr_az_req *r)
{
	dr_http_wipe(&r->own);
	dr_az_call_wipe(&r->call);
	free(r->what);
	r->what = NULL;
}
