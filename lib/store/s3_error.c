#include <stdio.h>
#include <string.h>

#include "store/s3.h"
#include "store/xml.h"

struct parse {
	struct dr_s3_said *said;
	bool found;
};

static int
on_error(void *arg, const char *place, const char *text, struct dr_err *err)
{
	struct parse *p = arg;

	(void)err;
	if (strcmp(place, "Error") == 0)
		p->found = true;
	else if (strcmp(place, "Error/Code") == 0)
		(void)snprintf(p->said->code, sizeof(p->said->code), "%s",
		    text);
	else if (strcmp(place, "Error/Message") == 0)
		(void)snprintf(p->said->message, sizeof(p->said->message), "%s",
		    text);
	else if (strcmp(place, "Error/Region") == 0)
		(void)snprintf(p->said->region, sizeof(p->said->region), "%s",
		    text);
	return 0;
}

bool
dr_s3_said(const char *xml, size_t len, struct dr_s3_said *said)
{
	struct parse p = { said, false };
	struct dr_err ignored = { 0 };

	memset(said, 0, sizeof(*said));
	if (len == 0 || dr_xml(xml, len, "S3", on_error, &p, &ignored) == -1 ||
	    !p.found || said->code[0] == '\0') {
		memset(said, 0, sizeof(*said));
		return false;
	}
	/* It ends up on a terminal. */
	for (char *c = said->code; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	for (char *c = said->message; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	for (char *c = said->region; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 127)
			*c = '?';
	return true;
}

bool
dr_s3_is(const struct dr_s3_call *c, const char *code)
{
	return strcmp(c->said.code, code) == 0;
}

static const struct {
	const char *code;
	enum dr_cause cause;
	const char *text, *hint;
} known[] = {
	{ "RequestTimeTooSkewed", DR_EFAIL,
	    "this host's clock and the store's differ too much",
	    "set the clock (chronyc tracking, timedatectl): requests are signed "
	    "with the time and may be 15 minutes off" },
	{ "ExpiredToken", DR_EFAIL, "the session token has expired",
	    "the keys are of a session that is over: sign in again, or let the "
	    "tool fetch its keys itself (a profile with a role, instance or "
	    "container credentials)" },
	{ "InvalidToken", DR_EFAIL, "the session token is not valid",
	    "AWS_SESSION_TOKEN belongs to one pair of keys: unset it where "
	    "they are not temporary" },
	{ "InvalidAccessKeyId", DR_EFAIL,
	    "the store does not know the access key",
	    "is it this store's?  See AWS_ACCESS_KEY_ID, AWS_PROFILE, and the "
	    "endpoint" },
	/* Google's. */
	{ "InvalidSecurity", DR_EFAIL, "the store does not know the access key",
	    "HMAC keys are made for a service account or a user, in the "
	    "settings of Cloud Storage (Interoperability)" },
	{ "AuthenticationRequired", DR_EFAIL,
	    "the token is not valid, or has expired",
	    "GOOGLE_OAUTH_ACCESS_TOKEN lasts for an hour at most: a file that "
	    "GOOGLE_APPLICATION_CREDENTIALS names renews itself" },
	{ "SignatureDoesNotMatch", DR_EFAIL, "the secret key is wrong",
	    "the secret does not belong to the access key; or a proxy on the "
	    "way changes the Host header or the path" },
	{ "NoSuchBucket", DR_EFAIL, "the bucket does not exist",
	    "buckets are made by hand, with versioning or object lock as it "
	    "shall have; or is the endpoint another?" },
	{ "InvalidBucketName", DR_EUSAGE, "that cannot be the name of a bucket",
	    "" },
	{ "QuotaExceeded", DR_EFAIL, "the store's quota is used up",
	    "dr-prune makes room; or raise the quota" },
	{ "XMinioStorageFull", DR_EFAIL, "the store is full",
	    "dr-prune makes room" },
	{ "UserSuspended", DR_EFAIL, "the user of these keys is suspended",
	    "" },
	{ "InvalidObjectState", DR_EFAIL,
	    "the object lies in an archive storage class",
	    "ask for it first (aws s3api restore-object --restore-request "
	    "Days=7): that takes minutes (Expedited), 3 to 5 hours (Standard) "
	    "or up to 48 hours (Deep Archive), then run this again" },
	{ "InvalidStorageClass", DR_EUSAGE,
	    "the store has no such storage class", "" },
	{ "ObjectLockConfigurationNotFoundError", DR_EFAIL,
	    "the bucket has no object lock",
	    "object lock is chosen when a bucket is made" },
	{ "KMS.NotFoundException", DR_EFAIL, "there is no such KMS key", "" },
	{ "EntityTooLarge", DR_EFAIL, "the object is too large for the store",
	    "" },
};

/* What a status alone tells. */
static const char *
by_status(int status)
{
	switch (status) {
	case 301:
	case 307:
		return "the bucket lies elsewhere";
	case 400:
		return "the request is not understood";
	case 401:
	case 403:
		return "access is denied";
	case 404:
		return "not found";
	case 405:
	case 501:
		return "the store cannot do that";
	case 412:
		return "a condition does not hold";
	default:
		return "the store refuses";
	}
}

static int
elsewhere(const struct dr_s3_call *c, const char *region, struct dr_err *err)
{
	dr_err_set(err, DR_EFAIL,
	    "%s failed: the bucket lies in region \"%s\", not in \"%s\"",
	    c->what, region, c->s3->region);
	return dr_err_hint(err,
	    "set AWS_REGION=%s, or write \"?region=%s\" after the store's URL",
	    region, region);
}

static int
denied(const struct dr_s3_call *c, struct dr_err *err)
{
	const char *method = c->req->method;
	const char *said = c->said.message;

	dr_err_set(err, DR_EFAIL, "%s failed: access is denied%s%s%s", c->what,
	    *said != '\0' ? " (" : "", said, *said != '\0' ? ")" : "");
	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
		return dr_err_hint(err,
		    "the keys lack the right to read or list here; without the "
		    "right to list, what is absent is denied, too");
	if (strcmp(method, "DELETE") == 0)
		return dr_err_hint(err,
		    "the keys lack the right to delete, or a lock forbids it");
	return dr_err_hint(err,
	    "the keys lack the right to write here: dr-stores(7) has the "
	    "policies that are needed; a lock or encryption needs further "
	    "rights");
}

int
dr_s3_refused(const struct dr_s3_call *c, struct dr_err *err)
{
	const char *region = dr_http_field(c->req, "x-amz-bucket-region");
	const struct dr_lock *lock = &c->s3->store.opts->lock;
	const struct dr_s3_said *s = &c->said;
	int status = c->req->status;

	if (s->region[0] != '\0' && strcmp(s->region, c->s3->region) != 0)
		return elsewhere(c, s->region, err);
	if (region != NULL &&
	    (status == 301 || status == 307 || status == 400) &&
	    strcmp(region, c->s3->region) != 0)
		return elsewhere(c, region, err);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(s->code, known[i].code) == 0) {
			dr_err_set(err, known[i].cause, "%s failed: %s",
			    c->what, known[i].text);
			return known[i].hint[0] != '\0'
			           ? dr_err_hint(err, "%s", known[i].hint)
			           : -1;
		}
	if (status == 403 || status == 401)
		return denied(c, err);
	if (s->code[0] == '\0')
		return dr_err_set(err, DR_EFAIL, "%s failed: %s (%d)", c->what,
		    by_status(status), status);
	dr_err_set(err, DR_EFAIL, "%s failed: %s%s%s (%d)", c->what, s->code,
	    s->message[0] != '\0' ? ": " : "", s->message, status);
	if (dr_s3_is(c, "InvalidRequest") &&
	    (lock->mode != DR_LOCK_NONE || lock->hold))
		dr_err_hint(err,
		    "does the bucket lock objects?  That is chosen when a "
		    "bucket is made");
	return -1;
}
