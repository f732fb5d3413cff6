/* s3_error.c - what a refusal is called, and what is said to do about it. */
#include <stdlib.h>
#include <string.h>

#include "store/s3.h"
#include "tests/tap.h"

static struct dr_err err;

static bool
says(const char *method, int status, const char *code, const char *region,
    enum dr_cause cause, const char *text, const char *hint)
{
	char here[] = "us-east-1", what[] = "upload of \"x\"";
	static const struct dr_store_opts none;
	struct dr_s3 s3 = { .store.opts = &none, .region = here };
	struct dr_s3_call c = { .s3 = &s3, .what = what };

	c.req = &c.own;
	c.own.method = method;
	c.own.status = status;
	(void)snprintf(c.said.code, sizeof(c.said.code), "%s", code);
	(void)snprintf(c.said.region, sizeof(c.said.region), "%s", region);
	dr_err_clear(&err);
	if (dr_s3_refused(&c, &err) == -1 && err.cause == cause &&
	    strncmp(err.msg, "upload of \"x\" failed: ", 22) == 0 &&
	    strstr(err.msg, text) != NULL && strstr(err.hint, hint) != NULL)
		return true;
	printf("# %d %s: %s / %s\n", status, code, err.msg, err.hint);
	return false;
}

static void
test_refusals(void)
{
	static const struct {
		int status;
		const char *code, *region, *text, *hint;
	} v[] = {
		{ 403, "RequestTimeTooSkewed", "", "clock", "15 minutes" },
		{ 400, "ExpiredToken", "", "has expired", "sign in again" },
		{ 403, "InvalidAccessKeyId", "", "access key", "AWS_PROFILE" },
		{ 403, "SignatureDoesNotMatch", "", "secret key", "proxy" },
		{ 404, "NoSuchBucket", "", "does not exist", "by hand" },
		{ 403, "QuotaExceeded", "", "quota", "dr-prune" },
		{ 403, "InvalidObjectState", "", "archive", "up to 48 hours" },
		{ 400, "AuthorizationHeaderMalformed", "eu-west-1",
		    "\"eu-west-1\", not in \"us-east-1\"",
		    "AWS_REGION=eu-west-1" },
		{ 403, "AccessDenied", "", "access is denied", "policies" },
		{ 403, "", "", "access is denied", "" },
		{ 409, "Odd", "", "Odd (409)", "" },
		{ 507, "", "", "the store refuses (507)", "" },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		OK(says("PUT", v[i].status, v[i].code, v[i].region, DR_EFAIL,
		       v[i].text, v[i].hint),
		    v[i].code[0] != '\0' ? v[i].code : "a status alone");
	OK(says("PUT", 400, "InvalidStorageClass", "", DR_EUSAGE,
	       "storage class", ""),
	    "what the command line asked for");
	OK(says("GET", 403, "AccessDenied", "", DR_EFAIL, "denied",
	       "what is absent is denied"),
	    "a read that is denied");
	OK(says("DELETE", 403, "AccessDenied", "", DR_EFAIL, "denied", "lock"),
	    "a deletion that is denied");
}

/* --- where a bucket is ------------------------------------------------------------- */

/* Opened from URL: "ORIGIN BASE", or the cause. */
static const char *
place(const char *url)
{
	static const struct dr_store_opts none;
	static char out[512];
	struct dr_store *s;
	struct dr_url u;

	dr_err_clear(&err);
	if (dr_url_parse(url, &u, &err) == -1)
		return "?";
	s = dr_store_s3(&u, &none, &err);
	dr_url_wipe(&u);
	if (s == NULL)
		return err.cause == DR_EUSAGE ? "usage" : "failed";
	s->opts = &none;
	(void)snprintf(out, sizeof(out), "%s %s %s %s",
	    ((struct dr_s3 *)s)->origin, ((struct dr_s3 *)s)->base,
	    ((struct dr_s3 *)s)->prefix, s->url);
	dr_store_free(s);
	return out;
}

static void
test_places(void)
{
	static const struct {
		const char *url, *is;
	} v[] = {
		{ "s3://b/a/c",
		    "https://b.s3.us-east-1.amazonaws.com  a/c/ s3://b/a/c" },
		{ "s3://b?region=eu-west-1",
		    "https://b.s3.eu-west-1.amazonaws.com   "
		    "s3://b?region=eu-west-1" },
		{ "s3://b?region=cn-north-1",
		    "https://b.s3.cn-north-1.amazonaws.com.cn   "
		    "s3://b?region=cn-north-1" },
		{ "s3://b.c",
		    "https://s3.us-east-1.amazonaws.com /b.c  s3://b.c" },
		{ "s3://b?addressing=path",
		    "https://s3.us-east-1.amazonaws.com /b  "
		    "s3://b?addressing=path" },
		{ "s3://b?endpoint=http://H:80/x/",
		    "http://h /x/b  s3://b?endpoint=http://H:80/x/" },
		{ "s3://b?endpoint=https://h:443",
		    "https://h /b  s3://b?endpoint=https://h:443" },
		{ "s3://b?endpoint=https://h:8443&addressing=virtual",
		    "https://b.h:8443   "
		    "s3://b?endpoint=https://h:8443&addressing=virtual" },
		{ "s3://b/with%20space%c3%a9",
		    "https://b.s3.us-east-1.amazonaws.com  "
		    "with space\xc3\xa9/ s3://b/with%20space%C3%A9" },
		{ "s3://", "usage" },
		{ "s3://u@b", "usage" },
		{ "s3://b:80/x", "usage" },
		{ "s3://b/a//c", "usage" },
		{ "s3://b/../c", "usage" },
		{ "s3://b?endpoint=ftp://h", "usage" },
		{ "s3://b?endpoint=http://u:p@h", "usage" },
		{ "s3://b?addressing=odd", "usage" },
		{ "s3://b?region=a/b", "usage" },
		{ "s3://b?odd=1", "usage" },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		const char *is = place(v[i].url);

		if (!OK(strcmp(is, v[i].is) == 0, v[i].url))
			printf("# %s\n", is);
	}
}

int
main(void)
{
	static const char *const unset[] = { "AWS_PROFILE", "AWS_REGION",
		"AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
		"AWS_CA_BUNDLE" };

	for (size_t i = 0; i < sizeof(unset) / sizeof(unset[0]); i++)
		(void)unsetenv(unset[i]);
	(void)setenv("HOME", "/nonexistent", 1);
	(void)setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
	(void)setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/cred", 1);
	test_refusals();
	test_places();
	return DONE();
}
