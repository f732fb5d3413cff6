#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "store/ask.h"
#include "store/aws_int.h"

#define ECS_HOST      "http://169.254.170.2"
#define INSTANCE      "http://169.254.169.254"
#define INSTANCE_V6   "http://[fd00:ec2::254]"
#define ROLES         "/latest/meta-data/iam/security-credentials/"
#define TOKEN_SECONDS "21600"

int
dr_aws_keys_json(const char *text, size_t len, const char *token,
    const char *what, struct dr_aws_keys *k, struct dr_err *err)
{
	json_t *j = dr_answer(text, len);
	struct dr_err e = { 0 };
	char expiry[64], code[64];
	int rc = -1;

	dr_aws_keys_wipe(k);
	(void)snprintf(k->source, sizeof(k->source), "%s", what);
	if (j == NULL) {
		dr_err_set(err, DR_EDATA, "the answer of %s is no JSON object",
		    what);
		goto out;
	}
	if (dr_answer_str(j, "Code", code, sizeof(code)) &&
	    strcmp(code, "Success") != 0) {
		dr_err_set(err, DR_EFAIL, "%s has no keys: \"%s\"", what,
		    dr_printable(code));
		goto out;
	}
	if (!dr_answer_str(j, "AccessKeyId", k->access, sizeof(k->access)) ||
	    !dr_answer_str(j, "SecretAccessKey", k->secret,
	        sizeof(k->secret))) {
		dr_err_set(err, DR_EDATA,
		    "the answer of %s lacks AccessKeyId or SecretAccessKey",
		    what);
		goto out;
	}
	if (json_is_string(json_object_get(j, token)) &&
	    !dr_answer_str(j, token, k->token, sizeof(k->token))) {
		dr_err_set(err, DR_EDATA, "%s answers with too long a token",
		    what);
		goto out;
	}
	if (dr_answer_str(j, "Expiration", expiry, sizeof(expiry)) &&
	    expiry[0] != '\0' && dr_parse_time(expiry, &k->expiry, &e) == -1) {
		dr_err_set(err, DR_EDATA,
		    "the answer of %s has an Expiration that is no time", what);
		goto out;
	}
	rc = dr_aws_keys_check(k, err);
out:
	dr_answer_free(j);
	if (rc == -1)
		dr_aws_keys_wipe(k);
	return rc;
}

/* --- the container's endpoint ------------------------------------------------- */

/* The value of its Authorization header in OUT, "" for none. */
static int
container_auth(char *out, size_t size, struct dr_err *err)
{
	const char *file = dr_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *text = dr_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");

	out[0] = '\0';
	if (file != NULL)
		return dr_read_line(file, out, size, err);
	if (text == NULL)
		return 0;
	/* "Basic x" is possible; a second line is not. */
	for (const char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			return dr_err_set(err, DR_EUSAGE,
			    "AWS_CONTAINER_AUTHORIZATION_TOKEN has a control "
			    "character in it");
	if (!dr_copy(out, size, text))
		return dr_err_set(err, DR_EUSAGE,
		    "AWS_CONTAINER_AUTHORIZATION_TOKEN is too long");
	return 0;
}

int
dr_aws_from_container(struct dr_aws_look *l, struct dr_aws_keys *k,
    struct dr_err *err)
{
	static const char rel[] = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
	static const char whole[] = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
	const char *relative = dr_env(rel), *full = dr_env(whole);
	const struct dr_http_opts opts = {
		.ca_file = l->http->ca_file,
		.connect_ms = 1000,
		.stall_ms = 2000,
		.patience_ms = 5000,
		/* Only https may be far away. */
		.direct = relative != NULL || full == NULL ||
		          strncasecmp(full, "https:", 6) != 0,
	};
	struct dr_ask a = {
		.what = "the question to the container's credentials endpoint",
		.method = "GET",
	};
	char auth[8192], *url = NULL;
	int rc = -1;

	if (relative == NULL && full == NULL) {
		dr_aws_seen(l, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and "
		               "_FULL_URI");
		return 0;
	}
	if (relative != NULL && (*relative != '/' || !dr_plain(relative)))
		return dr_err_set(err, DR_EUSAGE,
		    "%s does not begin with \"/\"", rel);
	if (relative == NULL && !dr_ask_host_ok(full)) {
		dr_err_set(err, DR_EUSAGE,
		    "%s names a host that must not be "
		    "asked for secrets",
		    whole);
		return dr_err_hint(err,
		    "without https it is this host's loopback, 169.254.170.2, "
		    "169.254.170.23 or [fd00:ec2::23]");
	}
	if (container_auth(auth, sizeof(auth), err) == -1)
		goto out;
	url = relative != NULL ? dr_fmt(err, "%s%s", ECS_HOST, relative)
	                       : dr_fmt(err, "%s", full);
	if (url == NULL)
		goto out;
	a.url = url;
	if (auth[0] != '\0') {
		a.header[0].name = "Authorization";
		a.header[0].value = auth;
	}
	if (dr_ask(&opts, &a, err) == -1)
		goto out;
	if (a.status != 200) {
		dr_err_set(err, DR_EFAIL,
		    "the container's credentials endpoint answers with status "
		    "%d",
		    a.status);
		dr_err_hint(err, "it is what %s names",
		    relative != NULL ? rel : whole);
		goto out;
	}
	if (dr_aws_keys_json(a.reply.data, a.reply.len, "Token",
	        "the container's credentials endpoint", k, err) == -1)
		goto out;
	rc = 1;
out:
	explicit_bzero(auth, sizeof(auth));
	dr_ask_wipe(&a);
	free(url);
	return rc;
}

/* --- the instance's metadata ----------------------------------------------- */

struct instance {
	struct dr_http_opts opts;
	const char *base;
	char token[512];
};

static int
ask_instance(const struct instance *m, struct dr_ask *a, const char *method,
    const char *path, struct dr_err *err)
{
	char *url = dr_fmt(err, "%s%s", m->base, path);
	int rc = -1;

	if (url == NULL)
		return -1;
	a->what = "the question to the instance metadata service";
	a->method = method;
	a->url = url;
	if (m->token[0] == '\0') {
		a->header[0].name = "X-aws-ec2-metadata-token-ttl-seconds";
		a->header[0].value = TOKEN_SECONDS;
	} else {
		a->header[0].name = "X-aws-ec2-metadata-token";
		a->header[0].value = m->token;
	}
	rc = dr_ask(&m->opts, a, err);
	a->url = NULL;
	free(url);
	return rc;
}

/* The first line of an answer, in OUT; false if that is not a word. */
static bool
word(const struct dr_ask *a, char *out, size_t size)
{
	size_t n = a->reply.data != NULL ? strcspn(a->reply.data, "\r\n") : 0;

	if (n >= size)
		return false;
	if (n > 0)
		memcpy(out, a->reply.data, n);
	out[n] = '\0';
	return dr_plain(out);
}

static int
status(const struct dr_ask *a, const char *what, struct dr_err *err)
{
	return dr_err_set(err, DR_EFAIL,
	    "the instance metadata service answers with status %d to the "
	    "question for %s",
	    a->status, what);
}

static const char *
instance_url(const struct dr_aws_look *l, bool *chosen)
{
	const char *url = dr_env("AWS_EC2_METADATA_SERVICE_ENDPOINT"), *mode;

	*chosen = true;
	if (url != NULL || (url = dr_aws_profile_get(l->files, l->profile,
	                        "ec2_metadata_service_endpoint")) != NULL)
		return url;
	*chosen = false;
	if ((mode = dr_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")) == NULL)
		mode = dr_aws_profile_get(l->files, l->profile,
		    "ec2_metadata_service_endpoint_mode");
	return mode != NULL && strcasecmp(mode, "ipv6") == 0 ? INSTANCE_V6
	                                                     : INSTANCE;
}

/* 1, 0 it is not there or has no role for us, -1. */
static int
instance(struct dr_aws_look *l, struct instance *m, bool chosen,
    struct dr_aws_keys *k, struct dr_err *err)
{
	struct dr_ask a = { 0 };
	char role[256], path[512];
	int rc = -1;

	if (ask_instance(m, &a, "PUT", "/latest/api/token", err) == -1) {
		if (err->cause == DR_ERETRY && !chosen && !l->again) {
			dr_err_clear(err);
			dr_aws_seen(l, "instance metadata (no answer; in a "
			               "container its hop limit must be 2)");
			rc = 0;
		}
		goto out;
	}
	if (a.status != 200) {
		status(&a, "a token", err);
		dr_err_hint(err,
		    "version 2 of the service is needed; "
		    "AWS_EC2_METADATA_DISABLED=true leaves it out");
		goto out;
	}
	if (!word(&a, m->token, sizeof(m->token))) {
		dr_err_set(err, DR_EDATA,
		    "the token of the instance metadata service makes no "
		    "sense");
		goto out;
	}
	if (ask_instance(m, &a, "GET", ROLES, err) == -1)
		goto out;
	if (a.status == 404 || (a.status == 200 && a.reply.len == 0)) {
		dr_aws_seen(l, "instance metadata (the instance has no role)");
		rc = 0;
		goto out;
	}
	if (a.status != 200) {
		status(&a, "the role", err);
		goto out;
	}
	if (!word(&a, role, sizeof(role)) || strchr(role, '/') != NULL) {
		dr_err_set(err, DR_EDATA,
		    "the instance metadata service names a role that makes no "
		    "sense");
		goto out;
	}
	(void)snprintf(path, sizeof(path), "%s%s", ROLES, role);
	if (ask_instance(m, &a, "GET", path, err) == -1)
		goto out;
	if (a.status != 200) {
		status(&a, "the role's keys", err);
		goto out;
	}
	if (dr_aws_keys_json(a.reply.data, a.reply.len, "Token",
	        "the instance metadata service", k, err) == -1)
		goto out;
	rc = 1;
out:
	dr_ask_wipe(&a);
	return rc;
}

int
dr_aws_from_instance(struct dr_aws_look *l, struct dr_aws_keys *k,
    struct dr_err *err)
{
	bool chosen;
	struct instance m = { .base = instance_url(l, &chosen) };
	size_t n = strlen(m.base);
	char *base;
	int rc;

	if (dr_env_true("AWS_EC2_METADATA_DISABLED")) {
		dr_aws_seen(l, "instance metadata (AWS_EC2_METADATA_DISABLED)");
		return 0;
	}
	if (!dr_plain(m.base))
		return dr_err_set(err, DR_EUSAGE,
		    "AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL");
	while (n > 0 && m.base[n - 1] == '/')
		n--;
	if ((base = dr_fmt(err, "%.*s", (int)n, m.base)) == NULL)
		return -1;
	m.base = base;
	m.opts.connect_ms = 1000;
	m.opts.stall_ms = 1000;
	m.opts.direct = true;
	/* Not everybody who has no keys is in that cloud: do not wait long. */
	m.opts.patience_ms = chosen || l->again ? 5000 : 2000;
	rc = instance(l, &m, chosen, k, err);
	explicit_bzero(m.token, sizeof(m.token));
	free(base);
	return rc;
}
