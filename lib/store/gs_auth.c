#include "store/gs_auth.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "store/ask.h"
#include "store/fresh.h"
#include "store/gs_int.h"
#include "store/ini.h"

/*
 * Fetched anew that long before they expire: the metadata server hands out
 * the old one until about then.
 */
#define AHEAD (225 * INT64_C(1000000))

struct dr_gs_auth {
	pthread_mutex_t lock;
	struct dr_http_opts http;
	char *ca_file;
	struct dr_aws_keys keys;
	struct dr_fresh fresh;
};

struct look {
	struct dr_gs_auth *auth;
	bool warn;          /* only say of a file of secrets who may read it */
	struct dr_buf seen; /* what was looked at in vain */
};

static void __attribute__((format(printf, 2, 3)))
seen(struct look *l, const char *fmt, ...)
{
	struct dr_err ignored = { 0 };
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	l->seen.max = 2048;
	(void)dr_buf_fmt(&l->seen, &ignored, "%s%s",
	    l->seen.len > 0 ? ", " : "", text);
}

/* A pair in K; WHERE they stand. */
static int
pair(const char *access, const char *secret, const char *where,
    struct dr_aws_keys *k, struct dr_err *err)
{
	dr_aws_keys_wipe(k);
	(void)snprintf(k->source, sizeof(k->source), "%.150s", where);
	if (access == NULL || secret == NULL || !dr_plain(access) ||
	    !dr_plain(secret) ||
	    !dr_copy(k->access, sizeof(k->access), access) ||
	    !dr_copy(k->secret, sizeof(k->secret), secret)) {
		dr_err_set(err, DR_EUSAGE,
		    "the HMAC keys for Google in %s are not an access key and "
		    "its secret",
		    where);
		dr_aws_keys_wipe(k);
		return -1;
	}
	return 1;
}

static int
from_env(struct look *l, struct dr_aws_keys *k, struct dr_err *err)
{
	const char *token = dr_env("GOOGLE_OAUTH_ACCESS_TOKEN");
	const char *access = dr_env("GS_ACCESS_KEY_ID");
	const char *secret = dr_env("GS_SECRET_ACCESS_KEY");

	if (token != NULL) {
		dr_aws_keys_wipe(k);
		(void)snprintf(k->source, sizeof(k->source),
		    "GOOGLE_OAUTH_ACCESS_TOKEN");
		if (dr_plain(token) &&
		    dr_copy(k->token, sizeof(k->token), token))
			return 1;
		return dr_err_set(err, DR_EUSAGE,
		    "GOOGLE_OAUTH_ACCESS_TOKEN is too long, or has a blank or "
		    "a control character in it");
	}
	if (access != NULL || secret != NULL)
		return pair(access, secret, "GS_ACCESS_KEY_ID", k, err);
	seen(l, "GOOGLE_OAUTH_ACCESS_TOKEN, GS_ACCESS_KEY_ID");
	return 0;
}

static int
from_json(struct look *l, const char *path, struct dr_aws_keys *k,
    struct dr_err *err)
{
	if (l->warn) {
		dr_warn_exposed(path);
		return access(path, F_OK) == 0;
	}
	return dr_gs_from_file(path, &l->auth->http, k, err) == -1 ? -1 : 1;
}

static int
in_boto(struct look *l, const struct dr_ini *ini, const char *path,
    struct dr_aws_keys *k, struct dr_err *err)
{
	const char *id =
	    dr_ini_get(ini, "Credentials", NULL, "gs_access_key_id");
	const char *secret =
	    dr_ini_get(ini, "Credentials", NULL, "gs_secret_access_key");
	const char *file =
	    dr_ini_get(ini, "Credentials", NULL, "gs_service_key_file");
	char where[160];

	(void)snprintf(where, sizeof(where), "\"%.150s\"", path);
	if (id != NULL || secret != NULL) {
		if (l->warn)
			dr_warn_exposed(path);
		return pair(id, secret, where, k, err);
	}
	if (file != NULL && *file != '\0')
		return from_json(l, file, k, err);
	seen(l, "%s (no gs_access_key_id or gs_service_key_file in it)", path);
	return 0;
}

static int
from_boto(struct look *l, struct dr_aws_keys *k, struct dr_err *err)
{
	struct dr_ini ini = { 0 };
	char *path, *text;
	size_t len;
	int rc = -1;

	if ((path = dr_home_file("BOTO_CONFIG", ".boto", err)) == NULL)
		return -1;
	if ((text = dr_file_get(path, DR_INI_MAX, &len, err)) == NULL) {
		if (dr_env("BOTO_CONFIG") == NULL &&
		    (errno == ENOENT || errno == ENOTDIR || errno == EACCES)) {
			dr_err_clear(err);
			seen(l, "%s", path);
			rc = 0;
		}
		goto out;
	}
	rc = dr_ini_parse(&ini, text, len, path, err);
	explicit_bzero(text, len);
	free(text);
	if (rc == 0)
		rc = in_boto(l, &ini, path, k, err);
out:
	dr_ini_wipe(&ini);
	free(path);
	return rc;
}

static int
from_gcloud(struct look *l, struct dr_aws_keys *k, struct dr_err *err)
{
	static const char name[] = "application_default_credentials.json";
	const char *dir = dr_env("CLOUDSDK_CONFIG");
	char *path;
	int rc;

	path = dir != NULL ? dr_fmt(err, "%s/%s", dir, name)
	                   : dr_home_file("",
	                         ".config/gcloud/application_"
	                         "default_credentials.json",
	                         err);
	if (path == NULL)
		return -1;
	rc = from_json(l, path, k, err);
	if (rc == -1 &&
	    (errno == ENOENT || errno == ENOTDIR || errno == EACCES) &&
	    strncmp(err->msg, "cannot open", 11) == 0) {
		dr_err_clear(err);
		seen(l, "%s", path);
		rc = 0;
	}
	free(path);
	return rc;
}

static int
look(struct look *l, struct dr_aws_keys *k, struct dr_err *err)
{
	const char *file = dr_env("GOOGLE_APPLICATION_CREDENTIALS");
	int rc;

	if ((rc = from_env(l, k, err)) != 0)
		return rc;
	if (file != NULL) {
		rc = from_json(l, file, k, err);
		if (rc == -1)
			dr_err_hint(err,
			    "GOOGLE_APPLICATION_CREDENTIALS names \"%s\"",
			    file);
		return rc;
	}
	seen(l, "GOOGLE_APPLICATION_CREDENTIALS");
	if ((rc = from_boto(l, k, err)) != 0 ||
	    (rc = from_gcloud(l, k, err)) != 0)
		return rc;
	if (l->warn || dr_env_true("NO_GCE_CHECK")) {
		seen(l, "metadata server (NO_GCE_CHECK)");
		return 0;
	}
	if ((rc = dr_gs_from_metadata(l->auth->fresh.have, k, err)) == 0)
		seen(l, "metadata server (none answers)");
	return rc;
}

static int
fetch(struct dr_gs_auth *a, struct dr_aws_keys *k, struct dr_err *err)
{
	struct look l = { .auth = a };
	int rc = look(&l, k, err);

	if (rc == 0) {
		dr_err_set(err, DR_EFAIL, "no Google credentials are found");
		dr_err_hint(err, "looked at: %s",
		    l.seen.data != NULL ? l.seen.data : "nothing");
	}
	dr_buf_free(&l.seen);
	return rc == 1 ? 0 : -1;
}

static int
renew(struct dr_gs_auth *a, bool force, struct dr_err *err)
{
	struct dr_aws_keys k = { 0 };
	struct dr_err e = { 0 };
	int rc = 0;

	if (!dr_fresh_due(&a->fresh, a->keys.expiry, AHEAD, force))
		return 0;
	dr_fresh_try(&a->fresh);
	if (fetch(a, &k, &e) == -1) {
		/* They serve for a while yet; it is tried again. */
		if (a->fresh.have && !force && e.cause != DR_ESTOP &&
		    a->keys.expiry > dr_now())
			goto out;
		*err = e;
		rc = -1;
		goto out;
	}
	if (force && a->fresh.have && k.expiry == 0 &&
	    strcmp(k.access, a->keys.access) == 0 &&
	    strcmp(k.secret, a->keys.secret) == 0 &&
	    strcmp(k.token, a->keys.token) == 0) {
		rc = dr_err_set(err, DR_EFAIL,
		    "the Google credentials from %s have expired", k.source);
		dr_err_hint(err, "they do not renew themselves: put new ones "
		                 "there");
		goto out;
	}
	dr_fresh_got(&a->fresh, force);
	a->keys = k;
out:
	dr_aws_keys_wipe(&k);
	return rc;
}

struct dr_gs_auth *
dr_gs_auth_new(const struct dr_http_opts *opts, struct dr_err *err)
{
	struct look l = { .warn = true };
	struct dr_aws_keys k = { 0 };
	struct dr_err ignored = { 0 }; /* get tells it */
	struct dr_gs_auth *a;

	if ((a = calloc(1, sizeof(*a))) == NULL) {
		dr_err_sys(err, "cannot look for Google credentials");
		return NULL;
	}
	(void)pthread_mutex_init(&a->lock, NULL);
	if (opts != NULL && opts->ca_file != NULL &&
	    (a->ca_file = dr_fmt(err, "%s", opts->ca_file)) == NULL) {
		dr_gs_auth_free(a);
		return NULL;
	}
	a->http.ca_file = a->ca_file;
	(void)look(&l, &k, &ignored);
	dr_aws_keys_wipe(&k);
	dr_buf_free(&l.seen);
	return a;
}

void
dr_gs_auth_free(struct dr_gs_auth *a)
{
	if (a == NULL)
		return;
	free(a->ca_file);
	(void)pthread_mutex_destroy(&a->lock);
	explicit_bzero(a, sizeof(*a));
	free(a);
}

int
dr_gs_auth_get(struct dr_gs_auth *a, struct dr_aws_keys *out, bool force,
    struct dr_err *err)
{
	int rc;

	(void)pthread_mutex_lock(&a->lock);
	if ((rc = renew(a, force, err)) == 0)
		*out = a->keys;
	(void)pthread_mutex_unlock(&a->lock);
	return rc;
}
