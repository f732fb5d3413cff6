#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "store/ask.h"
#include "store/aws_int.h"
#include "store/s3_sign.h"
#include "store/xml.h"

#define BODY_MAX  (64U << 10)
#define TOKEN_MAX (32U << 10)

/* --- answers ------------------------------------------------------------------ */

struct parsing {
	struct dr_aws_keys *k;
	char expiry[64];
	char *code, *message; /* 128, 512 */
};

static int
element(void *arg, const char *place, const char *text, struct dr_err *err)
{
	struct parsing *s = arg;
	const char *name = strrchr(place, '/');
	const struct {
		const char *in, *name;
		char *to;
		size_t size;
	} known[] = {
		{ "/Credentials/", "AccessKeyId", s->k->access,
		    sizeof(s->k->access) },
		{ "/Credentials/", "SecretAccessKey", s->k->secret,
		    sizeof(s->k->secret) },
		{ "/Credentials/", "SessionToken", s->k->token,
		    sizeof(s->k->token) },
		{ "/Credentials/", "Expiration", s->expiry, sizeof(s->expiry) },
		{ "/Error/", "Code", s->code, 128 },
		{ "/Error/", "Message", s->message, 512 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (name == NULL || strcmp(name + 1, known[i].name) != 0 ||
		    strstr(place, known[i].in) == NULL)
			continue;
		if (known[i].to == s->message)
			(void)snprintf(s->message, 512, "%s", text);
		else if (known[i].to[0] != '\0' ||
		         !dr_copy(known[i].to, known[i].size, text))
			return dr_err_set(err, DR_EDATA,
			    "STS answers with two of \"%s\", or too long a one",
			    known[i].name);
	}
	return 0;
}

int
dr_aws_sts_parse(const char *xml, size_t len, struct dr_aws_keys *k,
    char code[128], char message[512], struct dr_err *err)
{
	struct parsing s = { .k = k, .code = code, .message = message };
	struct dr_err e = { 0 };
	int rc = -1;

	code[0] = message[0] = '\0';
	dr_aws_keys_wipe(k);
	if (dr_xml(xml != NULL ? xml : "", xml != NULL ? len : 0, "STS",
	        element, &s, err) == -1)
		goto out;
	(void)dr_printable(code);
	(void)dr_printable(message);
	if (s.expiry[0] != '\0' &&
	    dr_parse_time(s.expiry, &k->expiry, &e) == -1) {
		dr_err_set(err, DR_EDATA,
		    "the answer of STS has an Expiration that is no time");
		goto out;
	}
	rc = 0;
out:
	if (rc == -1)
		dr_aws_keys_wipe(k);
	return rc;
}

/* --- questions ------------------------------------------------------------------ */

/* "&NAME=VALUE", unless there is none. */
static int
field(struct dr_buf *b, const char *name, const char *value, struct dr_err *err)
{
	if (value == NULL)
		return 0;
	if (dr_buf_fmt(b, err, "&%s=", name) == -1)
		return -1;
	return dr_http_encode(b, value, false, err);
}

/* The token itself, TOKEN_MAX bytes at most, in *OUT. */
static int
read_token(const char *path, char **out, struct dr_err *err)
{
	if ((*out = malloc(TOKEN_MAX)) == NULL)
		return dr_err_sys(err, "cannot read \"%s\"", path);
	(*out)[0] = '\0';
	if (dr_read_line(path, *out, TOKEN_MAX, err) == 0)
		return 0;
	return dr_err_hint(err,
	    "the web identity token is what AWS_WEB_IDENTITY_TOKEN_FILE or "
	    "web_identity_token_file names");
}

static int
body(const struct dr_aws_role *r, bool web, struct dr_buf *b,
    struct dr_err *err)
{
	char session[64], *token = NULL;
	int64_t seconds;
	int rc = -1;

	(void)snprintf(session, sizeof(session), "drtools-%lld",
	    (long long)(dr_now() / 1000));
	if (r->duration != NULL &&
	    dr_parse_int(r->duration, 900, 43200, &seconds, err) == -1)
		return dr_err_wrap(err, "AWS profile \"%s\", duration_seconds",
		    r->of != NULL ? r->of : "");
	if (dr_buf_str(b,
	        web ? "Action=AssumeRoleWithWebIdentity" : "Action=AssumeRole",
	        err) == -1 ||
	    field(b, "Version", "2011-06-15", err) == -1 ||
	    field(b, "RoleArn", r->arn, err) == -1 ||
	    field(b, "RoleSessionName",
	        r->session != NULL ? r->session : session, err) == -1 ||
	    field(b, "DurationSeconds", r->duration, err) == -1)
		return -1;
	if (!web)
		return field(b, "ExternalId", r->external_id, err);
	if (read_token(r->token_file, &token, err) == 0)
		rc = field(b, "WebIdentityToken", token, err);
	dr_wipe_str(token);
	return rc;
}

/* That of the region, or one that was set (*OWN). */
static char *
endpoint(const struct dr_aws_look *l, const char *region, bool *own,
    struct dr_err *err)
{
	const char *set = dr_aws_endpoint(l->files, l->profile, "sts");
	size_t n;

	*own = set != NULL;
	if (set != NULL) {
		n = strlen(set);
		while (n > 0 && set[n - 1] == '/')
			n--;
		if (!dr_plain(set) || strchr(set, '?') != NULL) {
			dr_err_set(err, DR_EUSAGE,
			    "the endpoint that is set for STS is no URL");
			return NULL;
		}
		return dr_fmt(err, "%.*s/", (int)n, set);
	}
	for (const char *c = region; *c != '\0'; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') ||
		        *c == '-')) {
			dr_err_set(err, DR_EUSAGE,
			    "the region that is set is no name of a region");
			return NULL;
		}
	return dr_fmt(err, "https://sts.%s.amazonaws.com%s/", region,
	    strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
}

/* HOST[:PORT] of URL, as it goes out; *PATH is what follows. */
static int
host_of(const char *url, struct dr_buf *host, const char **path,
    struct dr_err *err)
{
	bool tls = strncmp(url, "https://", 8) == 0;
	const char *h = strstr(url, "://"), *port = tls ? ":443" : ":80";
	size_t n, cut = strlen(port);

	if (h == NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "the endpoint that is set for STS is no URL");
	h += 3;
	n = strcspn(h, "/");
	*path = h + n;
	if (n > cut && memcmp(h + n - cut, port, cut) == 0)
		n -= cut;
	return dr_buf_add(host, h, n, err);
}

struct signer {
	const struct dr_aws_keys *keys;
	const char *region;
};

static int
sign(void *arg, const struct dr_ask *a, struct dr_http_head *head,
    struct dr_err *err)
{
	const struct signer *with = arg;
	struct dr_buf host = { .max = 1024 }, value = { .max = 16384 };
	char hash[DR_SHA256_HEX], time[DR_TIME_LEN];
	struct dr_pair h[4] = { { "x-amz-date", time } };
	struct dr_s3_sign s = {
		.names = &dr_s3_aws,
		.region = with->region,
		.service = "sts",
		.access = with->keys->access,
		.secret = with->keys->secret,
		.time = dr_format_stamp(dr_now(), time),
		.method = a->method,
		.query = "",
		.header = h,
		.headers = 2,
		.payload = hash,
	};
	int rc = -1;

	if (dr_sha256_hex(a->body, a->len, hash, err) == -1 ||
	    host_of(a->url, &host, &s.path, err) == -1)
		goto out;
	h[1].name = "host";
	h[1].value = host.data != NULL ? host.data : "";
	if (with->keys->token[0] != '\0') {
		h[2].name = "x-amz-security-token";
		h[2].value = with->keys->token;
		s.headers = 3;
	}
	if (dr_s3_sign(&s, &value, err) == -1 ||
	    dr_http_header(head, "Authorization", value.data, err) == -1 ||
	    dr_http_header(head, "X-Amz-Date", time, err) == -1 ||
	    (s.headers == 3 && dr_http_header(head, "X-Amz-Security-Token",
	                           with->keys->token, err) == -1))
		goto out;
	rc = 0;
out:
	dr_buf_free(&host);
	dr_wipe_buf(&value);
	return rc;
}

/* STS could not reach who vouches for the token; the next try may. */
static bool
again(const struct dr_http_req *req)
{
	return req->status == 400 && req->reply.data != NULL &&
	       strstr(req->reply.data, "IDPCommunicationError") != NULL;
}

static int
refused(const struct dr_aws_role *r, int status, const char *code,
    const char *message, struct dr_err *err)
{
	bool away = strcmp(code, "IDPCommunicationError") == 0;

	dr_err_set(err, away ? DR_ERETRY : DR_EFAIL,
	    "STS does not let us take the role \"%s\": %s%s%s (status %d)",
	    r->arn, code[0] != '\0' ? code : "it does not say why",
	    message[0] != '\0' ? ": " : "", message, status);
	if (r->of != NULL)
		return dr_err_hint(err, "AWS profile \"%s\" names the role",
		    r->of);
	return dr_err_hint(err, "AWS_ROLE_ARN names the role");
}

int
dr_aws_assume(struct dr_aws_look *l, const struct dr_aws_role *r,
    const struct dr_aws_keys *keys, struct dr_aws_keys *k, struct dr_err *err)
{
	const char *region = dr_aws_region(l->files, l->profile);
	struct dr_http_opts opts = {
		.connect_ms = 5000,
		.stall_ms = 10000,
		.patience_ms = 30000,
	};
	struct dr_ask a = {
		.what = "the question to STS for a role",
		.method = "POST",
		.header = { { "Content-Type",
		    "application/x-www-form-urlencoded" } },
		.again = again,
	};
	struct signer with = { .keys = keys };
	struct dr_buf b = { .max = BODY_MAX };
	struct dr_err ignored = { 0 }; /* some proxy's answer */
	char code[128], message[512], *url = NULL;
	bool own;
	int rc = -1;

	if (region == NULL)
		region = "us-east-1";
	if ((url = endpoint(l, region, &own, err)) == NULL ||
	    body(r, keys == NULL, &b, err) == -1)
		goto out;
	/* Own authorities are for own servers. */
	opts.ca_file = own ? l->http->ca_file : dr_env("AWS_CA_BUNDLE");
	a.url = url;
	a.body = b.data;
	a.len = b.len;
	if (keys != NULL) {
		with.region = region;
		a.sign = sign;
		a.arg = &with;
	}
	if (dr_ask(&opts, &a, err) == -1)
		goto out;
	if (dr_aws_sts_parse(a.reply.data, a.reply.len, k, code, message,
	        a.status == 200 ? err : &ignored) == -1 &&
	    a.status == 200)
		goto out;
	if (a.status != 200) {
		refused(r, a.status, code, message, err);
		goto out;
	}
	if (k->access[0] == '\0' || k->secret[0] == '\0') {
		dr_err_set(err, DR_EDATA, "the answer of STS holds no keys");
		goto out;
	}
	(void)snprintf(k->source, sizeof(k->source),
	    "STS for the role \"%.120s\"", r->arn);
	rc = dr_aws_keys_check(k, err);
out:
	if (rc == -1)
		dr_aws_keys_wipe(k);
	dr_wipe_buf(&b);
	dr_ask_wipe(&a);
	free(url);
	return rc;
}
