#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "store/ask.h"
#include "store/azure.h"

#define TOKEN_MAX 65536
#define EARLY     INT64_C(300000000) /* microseconds */

/* Where a token comes from: one request.  All of it is secret. */
struct question {
	enum dr_az_auth auth;
	struct dr_buf url, form;
	const char *header; /* of app service */
};

static const char *
env(const char *name)
{
	const char *v = getenv(name);

	return v != NULL && *v != '\0' ? v : NULL;
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
ask_here(struct question *a, struct dr_err *err)
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
federated(struct question *a, struct dr_err *err)
{
	const char *file = env("AZURE_FEDERATED_TOKEN_FILE");
	char *jwt;
	int rc = -1;

	if (file == NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "AZURE_FEDERATED_TOKEN_FILE is empty");
	if ((jwt = calloc(1, TOKEN_MAX)) == NULL)
		return dr_err_sys(err, "cannot read \"%s\"", file);
	if (dr_read_line(file, jwt, TOKEN_MAX, err) == 0 &&
	    param(&a->form, "client_assertion_type",
	        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
	        err) == 0)
		rc = param(&a->form, "client_assertion", jwt, err);
	dr_wipe_str(jwt);
	return rc;
}

/* Something of ours, traded for a token. */
static int
ask_there(struct question *a, struct dr_err *err)
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
	json_t *root = dr_answer(text, len);
	const char *value;
	int64_t in, on;
	int rc = -1;

	value = json_string_value(json_object_get(root, "access_token"));
	in = seconds(json_object_get(root, "expires_in"));
	on = seconds(json_object_get(root, "expires_on"));
	if (value == NULL || !dr_plain(value) || (in == -1 && on == -1)) {
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
	dr_answer_free(root);
	return rc;
}

static int
refused(const struct dr_ask *q, enum dr_az_auth auth, struct dr_err *err)
{
	json_t *root = dr_answer(q->reply.data, q->reply.len);
	char why[256];

	if (!dr_answer_str(root, "error_description", why, sizeof(why)) &&
	    !dr_answer_str(root, "error", why, sizeof(why)))
		why[0] = '\0';
	why[strcspn(why, "\r\n")] = '\0';
	dr_err_set(err, q->status >= 500 ? DR_ERETRY : DR_EFAIL,
	    "cannot get a token for Azure: the answer is %d %s", q->status,
	    dr_printable(why));
	dr_answer_free(root);
	if (auth == DR_AZ_MACHINE || auth == DR_AZ_APP)
		return dr_err_hint(err,
		    "give this host a managed identity (with several, name one "
		    "in AZURE_CLIENT_ID), or set AZURE_STORAGE_KEY or "
		    "AZURE_STORAGE_SAS_TOKEN");
	return dr_err_hint(err,
	    "are AZURE_CLIENT_ID, AZURE_TENANT_ID and what goes with them "
	    "right, and the clock?");
}

/* What services of this host say while they are busy with themselves. */
static bool
again(const struct dr_http_req *q)
{
	return q->status == 410;
}

static int
ask(struct dr_az_token *t, struct question *a, struct dr_ask *q,
    struct dr_err *err)
{
	bool here = t->auth == DR_AZ_MACHINE || t->auth == DR_AZ_APP;
	const struct dr_http_opts opts = { .ca_file = here ? NULL : t->ca_file,
		.connect_ms = 3000,
		.stall_ms = 10000,
		.patience_ms = 15000,
		.direct = here };

	if ((here ? ask_here(a, err) : ask_there(a, err)) == -1)
		return -1;
	q->what = "the request for a token of Azure";
	q->method = here ? "GET" : "POST";
	q->url = a->url.data;
	q->again = again;
	if (t->auth == DR_AZ_MACHINE) {
		q->header[0].name = "Metadata";
		q->header[0].value = "true";
	} else if (t->auth == DR_AZ_APP) {
		q->header[0].name = "X-IDENTITY-HEADER";
		q->header[0].value = a->header;
	} else {
		q->header[0].name = "Content-Type";
		q->header[0].value = "application/x-www-form-urlencoded";
		q->body = a->form.data;
		q->len = a->form.len;
	}
	if (dr_ask(&opts, q, err) == 0)
		return 0;
	if (t->auth == DR_AZ_MACHINE)
		dr_err_hint(err,
		    "no credentials for Azure are set, and this host has no "
		    "metadata service: set AZURE_STORAGE_CONNECTION_STRING, "
		    "AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN");
	return -1;
}

static int
fetch(struct dr_az_token *t, struct dr_err *err)
{
	struct question a = { .auth = t->auth,
		.url = { .max = 16384 },
		.form = { .max = 4 * TOKEN_MAX } };
	struct dr_ask q = { 0 };
	int64_t now = dr_now(), expires, left;
	char *value = NULL;
	int rc = -1;

	if (ask(t, &a, &q, err) == -1)
		goto out;
	if (q.status != 200) {
		refused(&q, t->auth, err);
		goto out;
	}
	if (dr_az_token_parse(q.reply.data, q.reply.len, now, &value, &expires,
	        err) == -1)
		goto out;
	dr_wipe_str(t->value);
	t->value = value;
	t->expires = expires;
	left = expires - now;
	t->refresh = expires - (left / 4 < EARLY ? left / 4 : EARLY);
	rc = 0;

out:
	dr_wipe_buf(&a.form);
	dr_wipe_buf(&a.url);
	dr_ask_wipe(&q);
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
