#include "store/aws_cred.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "store/ask.h"
#include "store/aws_int.h"
#include "store/fresh.h"

#define SECOND INT64_C(1000000)
/* Fetched anew that long before they expire. */
#define AHEAD  (300 * SECOND)

struct setting {
	const char *name;
	char *value; /* owned, or NULL */
};

struct dr_aws_cred {
	pthread_mutex_t lock;
	char *profile; /* named by the caller, or NULL */
	char *ca_file;
	struct dr_http_opts http;
	struct dr_aws_files files;
	struct setting set[4];
	/* Guarded by lock from here on. */
	struct dr_aws_keys keys;
	struct dr_fresh fresh;
};

void
dr_aws_keys_wipe(struct dr_aws_keys *k)
{
	explicit_bzero(k, sizeof(*k));
}

/* The profile that is meant at this moment. */
static const char *
profile(const struct dr_aws_cred *c)
{
	const char *v;

	if (c->profile != NULL)
		return c->profile;
	if ((v = dr_env("AWS_PROFILE")) != NULL)
		return v;
	return "default";
}

static int
keep(struct setting *s, const char *name, const char *value, struct dr_err *err)
{
	s->name = name;
	if (value == NULL)
		return 0;
	return (s->value = dr_fmt(err, "%s", value)) == NULL ? -1 : 0;
}

static int
settings(struct dr_aws_cred *c, struct dr_err *err)
{
	const struct dr_aws_files *f = &c->files;
	const char *p = profile(c), *ca = dr_env("AWS_CA_BUNDLE");

	if (ca == NULL)
		ca = dr_aws_profile_get(f, p, "ca_bundle");
	if (keep(&c->set[0], "region", dr_aws_region(f, p), err) == -1 ||
	    keep(&c->set[1], "endpoint_url", dr_aws_endpoint(f, p, "s3"),
	        err) == -1 ||
	    keep(&c->set[2], "ca_bundle", ca, err) == -1 ||
	    keep(&c->set[3], "addressing_style",
	        dr_aws_profile_sub(f, p, "s3", "addressing_style"), err) == -1)
		return -1;
	return 0;
}

struct dr_aws_cred *
dr_aws_cred_new(const char *name, const struct dr_http_opts *opts,
    struct dr_err *err)
{
	struct dr_aws_cred *c;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		dr_err_sys(err, "cannot look for AWS credentials");
		return NULL;
	}
	(void)pthread_mutex_init(&c->lock, NULL);
	if (opts != NULL)
		c->http = *opts;
	if (c->http.ca_file != NULL &&
	    (c->ca_file = dr_fmt(err, "%s", c->http.ca_file)) == NULL)
		goto fail;
	c->http.ca_file = c->ca_file;
	/* Bodies are limited, not questions. */
	c->http.limit_rate = 0;
	if (name != NULL && (c->profile = dr_fmt(err, "%s", name)) == NULL)
		goto fail;
	if (dr_aws_files_read(&c->files, true, err) == -1 ||
	    settings(c, err) == -1)
		goto fail;
	if ((name != NULL || dr_env("AWS_PROFILE") != NULL) &&
	    !dr_aws_profile_has(&c->files, profile(c))) {
		dr_aws_no_profile(&c->files, profile(c), err);
		goto fail;
	}
	return c;

fail:
	dr_aws_cred_free(c);
	return NULL;
}

void
dr_aws_cred_free(struct dr_aws_cred *c)
{
	if (c == NULL)
		return;
	dr_aws_files_wipe(&c->files);
	for (size_t i = 0; i < sizeof(c->set) / sizeof(*c->set); i++)
		free(c->set[i].value);
	free(c->profile);
	free(c->ca_file);
	(void)pthread_mutex_destroy(&c->lock);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

const char *
dr_aws_cred_setting(const struct dr_aws_cred *c, const char *name)
{
	for (size_t i = 0; i < sizeof(c->set) / sizeof(*c->set); i++)
		if (strcmp(c->set[i].name, name) == 0)
			return c->set[i].value;
	return NULL;
}

/* Look everywhere, in the files as they are now. */
static int
fetch(const struct dr_aws_cred *c, struct dr_aws_keys *k, struct dr_err *err)
{
	struct dr_aws_files files = { 0 };
	struct dr_aws_look l = {
		.files = &files,
		.http = &c->http,
		.profile = profile(c),
		.named = c->profile != NULL,
		.again = c->fresh.have,
	};
	int rc;

	if (dr_aws_files_read(&files, false, err) == -1)
		return -1;
	if ((rc = dr_aws_look(&l, k, err)) == 0) {
		dr_err_set(err, DR_EFAIL, "no AWS credentials are found");
		dr_err_hint(err, "looked at: %s",
		    l.seen.data != NULL ? l.seen.data : "nothing");
	}
	dr_buf_free(&l.seen);
	dr_aws_files_wipe(&files);
	return rc == 1 ? 0 : -1;
}

/* The keys that a server calls expired are all that can be had. */
static int
stale(const struct dr_aws_keys *k, struct dr_err *err)
{
	dr_err_set(err, DR_EFAIL, "the AWS credentials from %s have expired",
	    k->source);
	return dr_err_hint(err, "they do not renew themselves: put new ones "
	                        "there");
}

static int
renew(struct dr_aws_cred *c, bool force, struct dr_err *err)
{
	struct dr_aws_keys k = { 0 };
	struct dr_err e = { 0 };
	int rc = 0;

	if (!dr_fresh_due(&c->fresh, c->keys.expiry, AHEAD, force))
		return 0;
	dr_fresh_try(&c->fresh);
	if (fetch(c, &k, &e) == -1) {
		/* They serve for a while yet; it is tried again. */
		if (c->fresh.have && !force && e.cause != DR_ESTOP &&
		    c->keys.expiry > dr_now())
			goto out;
		*err = e;
		rc = -1;
		goto out;
	}
	if (force && c->fresh.have && k.expiry == 0 &&
	    strcmp(k.access, c->keys.access) == 0 &&
	    strcmp(k.secret, c->keys.secret) == 0 &&
	    strcmp(k.token, c->keys.token) == 0) {
		rc = stale(&k, err);
		goto out;
	}
	dr_fresh_got(&c->fresh, force);
	c->keys = k;
out:
	dr_aws_keys_wipe(&k);
	return rc;
}

int
dr_aws_cred_get(struct dr_aws_cred *c, struct dr_aws_keys *out, bool force,
    struct dr_err *err)
{
	int rc;

	(void)pthread_mutex_lock(&c->lock);
	if ((rc = renew(c, force, err)) == 0)
		*out = c->keys;
	(void)pthread_mutex_unlock(&c->lock);
	return rc;
}
