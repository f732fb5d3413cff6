#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "store/s3.h"

#define SECOND 1000000

char *
dr_s3_time(int64_t usec, char out[DR_S3_TIME_LEN])
{
	char text[DR_TIME_LEN];

	usec = (usec + SECOND - 1) / SECOND * SECOND;
	(void)snprintf(out, DR_S3_TIME_LEN, "%s", dr_format_time(usec, text));
	return out;
}

int
dr_s3_lock_ask(struct dr_s3_call *c, struct dr_s3 *s3, const char *name,
    const char *version, const char *which, struct dr_err *err)
{
	if (dr_s3_call(c, s3, "GET", name, "reading back the lock of \"%s\"",
	        err) == -1 ||
	    dr_s3_query(c, which, "", err) == -1 ||
	    (version != NULL && *version != '\0' &&
	        dr_s3_query(c, s3->dialect->version, version, err) == -1))
		return -1;
	/* Of what knows no locks, the object itself may come. */
	return dr_s3_header(c, "range", "bytes=0-4095", err);
}

int
dr_s3_lock_read(const struct dr_s3_call *c, const char *which,
    struct dr_lock *lock, bool *knows, struct dr_err *err)
{
	const struct dr_buf *r = &c->req->reply;
	struct dr_err ignored = { 0 };
	char mode[32], until[64];
	int64_t when;

	if (knows != NULL)
		*knows = false;
	if (dr_s3_is(c, "NoSuchBucket"))
		return dr_s3_refused(c, err);
	/* Nothing is locked, or nothing can be; 206: it sends the object. */
	if (dr_s3_is(c, "NoSuchObjectLockConfiguration") ||
	    dr_s3_is(c, "ObjectLockConfigurationNotFoundError")) {
		if (knows != NULL)
			*knows = true;
		return 0;
	}
	if (c->req->status == 404 || c->req->status == 400 ||
	    c->req->status == 206 || c->req->status == 405 ||
	    c->req->status == 416 || c->req->status == 501)
		return 0;
	if (c->req->status != 200)
		return dr_s3_refused(c, err);
	if (strcmp(which, "legal-hold") == 0) {
		if (dr_s3_element(r->data, r->len, "LegalHold/Status", mode,
		        sizeof(mode), &ignored) == -1 ||
		    mode[0] == '\0')
			return 0;
		lock->hold = strcmp(mode, "ON") == 0;
	} else {
		if (dr_s3_element(r->data, r->len, "Retention/Mode", mode,
		        sizeof(mode), &ignored) == -1 ||
		    dr_s3_element(r->data, r->len, "Retention/RetainUntilDate",
		        until, sizeof(until), &ignored) == -1 ||
		    dr_parse_time(until, &when, &ignored) == -1)
			return 0;
		if (strcmp(mode, "COMPLIANCE") == 0)
			lock->mode = DR_LOCK_COMPLIANCE;
		else if (strcmp(mode, "GOVERNANCE") == 0)
			lock->mode = DR_LOCK_GOVERNANCE;
		lock->until = when;
	}
	if (knows != NULL)
		*knows = true;
	return 0;
}

int
dr_s3_lock_enough(const struct dr_s3 *s3, const char *name,
    const struct dr_lock *have, struct dr_err *err)
{
	const struct dr_lock *want = &s3->store.opts->lock;
	char a[DR_S3_TIME_LEN], b[DR_S3_TIME_LEN];

	if (want->mode != DR_LOCK_NONE && have->mode == DR_LOCK_NONE) {
		dr_err_set(err, DR_EFAIL,
		    "\"%s\" stored \"%s\" but did not lock it", s3->store.url,
		    name);
		return dr_err_hint(err,
		    "the bucket has no object lock, or the store ignores it; "
		    "the object is there, unprotected");
	}
	if (want->mode == DR_LOCK_COMPLIANCE && have->mode != want->mode)
		return dr_err_set(err, DR_EFAIL,
		    "\"%s\" locked \"%s\" in governance mode only",
		    s3->store.url, name);
	if (want->mode != DR_LOCK_NONE && have->until < want->until)
		return dr_err_set(err, DR_EFAIL,
		    "\"%s\" locked \"%s\" until %s only, not until %s",
		    s3->store.url, name, dr_s3_time(have->until, a),
		    dr_s3_time(want->until, b));
	if (want->hold && !have->hold)
		return dr_err_set(err, DR_EFAIL,
		    "\"%s\" stored \"%s\" but put no legal hold on it",
		    s3->store.url, name);
	return 0;
}

int
dr_s3_locked_version(struct dr_s3 *s3, const char *name, const char *version,
    struct dr_lock *lock, bool *knows, struct dr_err *err)
{
	static const char *const which[] = { "retention", "legal-hold" };
	struct dr_s3_call c;
	bool known, all = true;
	int rc = 0;

	memset(lock, 0, sizeof(*lock));
	for (size_t i = 0; i < 2 && rc == 0; i++) {
		rc = dr_s3_lock_ask(&c, s3, name, version, which[i], err);
		if (rc == 0 && (rc = dr_s3_do(&c, err)) == 0) {
			if (dr_s3_is(&c, "NoSuchKey"))
				rc = dr_err_set(err, DR_EDATA,
				    "\"%s\" is missing", name);
			else
				rc = dr_s3_lock_read(&c, which[i], lock, &known,
				    err);
			all = all && known;
		}
		dr_s3_wipe(&c);
	}
	if (knows != NULL)
		*knows = all;
	return rc;
}

int
dr_s3_locked(struct dr_store *store, const char *name, struct dr_lock *lock,
    struct dr_err *err)
{
	return dr_s3_locked_version((struct dr_s3 *)store, name, NULL, lock,
	           NULL, err) == -1
	           ? -1
	           : 1;
}

static int
set(struct dr_s3 *s3, const char *name, const char *version, const char *which,
    const char *xml, struct dr_err *err)
{
	struct dr_s3_call c;
	int rc = -1;

	if (dr_s3_call(&c, s3, "PUT", name, "locking \"%s\"", err) == 0 &&
	    dr_s3_query(&c, which, "", err) == 0 &&
	    (version == NULL || *version == '\0' ||
	        dr_s3_query(&c, s3->dialect->version, version, err) == 0) &&
	    dr_s3_header(&c, "content-type", "application/xml", err) == 0 &&
	    dr_s3_body(&c, xml, strlen(xml), err) == 0 &&
	    dr_s3_md5(&c, err) == 0 && dr_s3_do(&c, err) == 0)
		rc = c.req->status < 300 ? 0 : dr_s3_refused(&c, err);
	dr_s3_wipe(&c);
	return rc;
}

int
dr_s3_lock(struct dr_s3 *s3, const char *name, const char *version,
    struct dr_err *err)
{
	const struct dr_lock *want = &s3->store.opts->lock;
	char until[DR_S3_TIME_LEN], xml[256];

	if (want->mode != DR_LOCK_NONE) {
		(void)snprintf(xml, sizeof(xml),
		    "<Retention><Mode>%s</Mode><RetainUntilDate>%s"
		    "</RetainUntilDate></Retention>",
		    want->mode == DR_LOCK_COMPLIANCE ? "COMPLIANCE"
		                                     : "GOVERNANCE",
		    dr_s3_time(want->until, until));
		if (set(s3, name, version, "retention", xml, err) == -1)
			return -1;
	}
	return want->hold
	           ? set(s3, name, version, "legal-hold",
	                 "<LegalHold><Status>ON</Status></LegalHold>", err)
	           : 0;
}
