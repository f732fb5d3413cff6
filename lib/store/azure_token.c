#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fd.h"
#include "base/num.h"
#include "store/azure.h"

#define TOKEN_MAX 65536
#define EARLY     INT64_C(300000000) /* microseconds */

/* Where a token comes from: one request. */
struct ask {
	enum dr_az_auth auth;
	struct dr_buf url, form;
	const char *header; /* of app service: secret */
};

static const char *
env(const char *name)
{
	const char *v = getenv(name);

	return v != NULL && *v != '\0' ? v : NULL;
}

static int
prepare(void *arg, struct dr_http_head *h, struct dr_err *err)
{
	struct ask *a = arg;

	if (dr_buf_str(&h->url, a->url.data, err) == -1)
		return -1;
	switch (a->auth) {
	case DR_AZ_MACHINE:
		return dr_http_header(h, "Metadata", "true", err);
	case DR_AZ_APP:
		return dr_http_header(h, "X-IDENTITY-HEADER", a->header, err);
	case DR_AZ_KEY:
	case DR_AZ_SAS:
	case DR_AZ_WORKLOAD:
	case DR_AZ_SECRET:
		break;
	}
	return dr_http_header(h, "Content-Type",
	    "application/x-www-form-urlencoded", err);
}

/* "&NAME=VALUE" */
static int
param(struct dr_buf *b, const char *name, const char *value, struct dr_err *err)
{
	if (b->len > 0 && dr_buf_str(b, "&", err) == -1)
		return -1;
	return dr_buf_fmt(b, err, "%s=", name) == -1 ||
	               dr_http_encode(b, value, false, err) == -1
	           ? -1
	           : 0;
}

/* Managed identity: of the machine, or of an app. */
static int
ask_here(struct ask *a, struct dr_err *err)
{
	const char *client = env("AZURE_CLIENT_ID"), *url;
	bool app = a->auth == DR_AZ_APP;

	url = app ? env("IDENTITY_ENDPOINT")
	          : "http://169.254.169.254/metadata/identity/oauth2/token";
	a->header = env("IDENTITY_HEADER");
	if (url == NULL || (app && a->header == NULL))
		return dr_err_set(err, DR_EUSAGE,
		    "IDENTITY_ENDPOINT is of use with IDENTITY_HEADER only");
	if (dr_buf_fmt(&a->url, err, "%s?api-version=%s", url,
	        app ? "2019-08-01" : "2018-02-01") == -1 ||
	    param(&a->url, "resource", "https://storage.azure.com/", err) == -1)
		return -1;
	return client == NULL ? 0 : param(&a->url, "client_id", client, err);
}

/* What Kubernetes gave us, traded for a token. */
static int
federated(struct ask *a, struct dr_err *err)
{
	const char *file = env("AZURE_FEDERATED_TOKEN_FILE");
	char *jwt;
	size_t len;
	int rc = -1;

	if (file == NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "AZURE_FEDERATED_TOKEN_FILE is empty");
	if ((jwt = dr_file_get(file, TOKEN_MAX, &len, err)) == NULL)
		return -1;
	jwt[strcspn(jwt, "\r\n")] = '\0';
	if (param(&a->form, "client_assertion_type",
	        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
	        err) == 0)
		rc = param(&a->form, "client_assertion", jwt, err);
	explicit_bzero(jwt, len);
	free(jwt);
	return rc;
}

/* Something of ours, traded for a token. */
static int
ask_there(struct ask *a, struct dr_err *err)
{
	const char *host = env("AZURE_AUTHORITY_HOST");
	const char *client = env("AZURE_CLIENT_ID");
	const char *tenant = env("AZURE_TENANT_ID");
	const char *secret = env("AZURE_CLIENT_SECRET");
	size_t len;

	if (client == NULL || tenant == NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "AZURE_CLIENT_ID and AZURE_TENANT_ID are not both set");
	if (host == NULL)
		host = "https://login.microsoftonline.com";
	len = strlen(host);
	while (len > 0 && host[len - 1] == '/')
		len--;
	if (dr_buf_fmt(&a->url, err, "%s%.*s/",
	        strstr(host, "://") == NULL ? "https://" : "", (int)len,
	        host) == -1 ||
	    dr_http_encode(&a->url, tenant, false, err) == -1 ||
	    dr_buf_str(&a->url, "/oauth2/v2.0/token", err) == -1 ||
	    param(&a->form, "client_id", client, err) == -1 ||
	    param(&a->form, "scope", "https://storage.azure.com/.default",
	        err) == -1 ||
	    param(&a->form, "grant_type", "client_credentials", err) == -1)
		return -1;
	if (strncmp(a->url.data, "https://", 8) != 0 &&
	    strncmp(a->url.data, "http://127.", 11) != 0)
		return dr_err_set(err, DR_EUSAGE,
		    "AZURE_AUTHORITY_HOST is not https");
	if (a->auth == DR_AZ_WORKLOAD)
		return federated(a, err);
	return param(&a->form, "client_secret", secret != NULL ? secret : "",
	    err);
}

/* Seconds, as a number or in a string; -1. */
static int64_t
seconds(const json_t *v)
{
	struct dr_err ignored = { 0 };
	int64_t n = -1;

	if (json_is_integer(v))
		n = json_integer_value(v);
	else if (json_is_string(v) && dr_parse_int(json_string_value(v), 0,
	                                  INT64_C(1) << 40, &n, &ignored) == -1)
		n = -1;
	return n < 0 || n > INT64_C(1) << 40 ? -1 : n;
}

int
dr_az_token_parse(const char *text, size_t len, int64_t now, char **token,
    int64_t *expires, struct dr_err *err)
{
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const char *value;
	int64_t in, on;
	int rc = -1;

	value = json_string_value(json_object_get(root, "access_token"));
	in = seconds(json_object_get(root, "expires_in"));
	on = seconds(json_object_get(root, "expires_on"));
	if (value == NULL || *value == '\0' ||
	    strpbrk(value, " \t\r\n") != NULL || (in == -1 && on == -1)) {
		dr_err_set(err, DR_EFAIL,
		    "the reply to the request for a token of Azure has none");
		goto out;
	}
	if ((*token = strdup(value)) == NULL) {
		dr_err_sys(err, "cannot keep a token");
		goto out;
	}
	*expires = in != -1 ? now + in * 1000000 : on * 1000000;
	rc = 0;

out:
	json_decref(root);
	return rc;
}

static int
refused(const struct dr_http_req *q, enum dr_az_auth auth, struct dr_err *err)
{
	json_t *root = json_loadb(q->reply.data != NULL ? q->reply.data : "",
	    q->reply.len, 0, NULL);
	const char *why =
	    json_string_value(json_object_get(root, "error_description"));

	if (why == NULL)
		why = json_string_value(json_object_get(root, "error"));
	dr_err_set(err, DR_EFAIL, "cannot get a token for Azure: %d%s%.*s",
	    q->status, why != NULL ? " " : "",
	    why != NULL ? (int)strcspn(why, "\r\n") : 0,
	    why != NULL ? why : "");
	json_decref(root);
	if (auth == DR_AZ_MACHINE || auth == DR_AZ_APP)
		return dr_err_hint(err,
		    "give this host a managed identity (with several, name one "
		    "in AZURE_CLIENT_ID), or set AZURE_STORAGE_KEY or "
		    "AZURE_STORAGE_SAS_TOKEN");
	return dr_err_hint(err,
	    "are AZURE_CLIENT_ID, AZURE_TENANT_ID and what goes with them "
	    "right, and the clock?");
}

static int
fetch(struct dr_az_token *t, struct dr_err *err)
{
	struct ask a = { .auth = t->auth,
		.url = { .max = 16384 },
		.form = { .max = 4 * TOKEN_MAX } };
	bool here = t->auth == DR_AZ_MACHINE || t->auth == DR_AZ_APP;
	struct dr_http_req q = { .what = "request for a token of Azure",
		.method = here ? "GET" : "POST",
		.prepare = prepare,
		.arg = &a,
		.reply_max = 2 * TOKEN_MAX };
	int64_t now = dr_now(), expires, left;
	char *value = NULL;
	int rc = -1;

	if ((here ? ask_here(&a, err) : ask_there(&a, err)) == -1)
		goto out;
	q.body = a.form.data;
	q.len = a.form.len;
	if (dr_http_do(t->http, &q, err) == -1) {
		if (t->auth == DR_AZ_MACHINE)
			dr_err_hint(err,
			    "no credentials for Azure are set, and this host "
			    "has no metadata service: set "
			    "AZURE_STORAGE_CONNECTION_STRING, "
			    "AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN");
		goto out;
	}
	if (q.status != 200) {
		refused(&q, t->auth, err);
		goto out;
	}
	if (dr_az_token_parse(q.reply.data != NULL ? q.reply.data : "",
	        q.reply.len, now, &value, &expires, err) == -1)
		goto out;
	if (t->value != NULL)
		explicit_bzero(t->value, strlen(t->value));
	free(t->value);
	t->value = value;
	t->expires = expires;
	left = expires - now;
	t->refresh = expires - (left / 4 < EARLY ? left / 4 : EARLY);
	rc = 0;

out:
	if (a.form.data != NULL)
		explicit_bzero(a.form.data, a.form.len);
	if (q.reply.data != NULL)
		explicit_bzero(q.reply.data, q.reply.len);
	dr_buf_free(&a.form);
	dr_buf_free(&a.url);
	dr_http_wipe(&q);
	return rc;
}

int
dr_az_bearer(struct dr_az_token *t, struct dr_buf *out, struct dr_err *err)
{
	struct dr_err why = { 0 };
	int64_t now = dr_now();
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	if ((t->value == NULL || now >= t->refresh) && fetch(t, &why) == -1) {
		/* The one we have may do for a while. */
		if (t->value == NULL || now >= t->expires) {
			*err = why;
			rc = -1;
		}
	}
	if (rc == 0)
		rc = dr_buf_fmt(out, err, "Bearer %s", t->value);
	pthread_mutex_unlock(&t->lock);
	return rc;
}

void
dr_az_token_stale(struct dr_az_token *t)
{
	pthread_mutex_lock(&t->lock);
	t->refresh = t->expires = 0;
	pthread_mutex_unlock(&t->lock);
}
