/* A store in a bucket of Google Cloud Storage. */
#include "store/gs.h"

#include <string.h>

#include "store/gs_auth.h"

#define ENDPOINT "https://storage.googleapis.com"

const struct dr_s3_dialect dr_gs_dialect = {
	.who = "Cloud Storage",
	.names = &dr_s3_google,
	.service = "storage",
	.prefix = "x-goog-",
	.once = { "x-goog-if-generation-match", "0" },
	.version = "generation",
	.version_header = "x-goog-generation",
	.version_marker = { "marker", "generation-marker" },
	.kms = "encryption-kms-key-name",
};

static int
keys(struct dr_s3 *s3, struct dr_aws_keys *out, bool force, struct dr_err *err)
{
	return dr_gs_auth_get(s3->own, out, force, err);
}

static void
free_auth(void *auth)
{
	dr_gs_auth_free(auth);
}

/* Any region signs; what the URL says is for the set's rules. */
static const char *
gs_region(const struct dr_store *store)
{
	const struct dr_s3 *s3 = (const struct dr_s3 *)store;

	return strcmp(s3->region, "auto") == 0 ? NULL : s3->region;
}

static int
check_opts(const struct dr_store_opts *o, struct dr_err *err)
{
	if (o->lock.hold) {
		dr_err_set(err, DR_EUSAGE,
		    "gs:// knows no legal hold on what is being written");
		return dr_err_hint(err,
		    "lock it for a time (--lock-days), or set a hold with "
		    "gcloud storage objects update --temporary-hold");
	}
	if (o->sse != NULL && strncmp(o->sse, "projects/", 9) != 0) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is no key of Google's Cloud KMS", o->sse);
		return dr_err_hint(err,
		    "it is projects/P/locations/L/keyRings/R/cryptoKeys/K; "
		    "without one Google encrypts with keys of its own");
	}
	return 0;
}

struct dr_store *
dr_store_gs(const struct dr_url *u, const struct dr_store_opts *o,
    struct dr_err *err)
{
	static struct dr_store_ops ops;
	const struct dr_http_opts http = { .ca_file = o->ca_file,
		.limit_rate = o->limit_rate,
		.patience_ms = o->patience_ms };
	const char *where = dr_url_param(u, "endpoint");
	const char *region = dr_url_param(u, "region");
	struct dr_gs_auth *auth;
	struct dr_s3 *s3;

	if (dr_url_only(u, "endpoint|region", err) == -1 ||
	    check_opts(o, err) == -1)
		return NULL;
	if (region != NULL &&
	    (*region == '\0' || strlen(region) > 63 ||
	        region[strspn(region,
	            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	            "0123456789-")] != '\0')) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" is no region", region);
		return NULL;
	}
	if ((auth = dr_gs_auth_new(&http, err)) == NULL)
		return NULL;
	if ((s3 = dr_s3_new(u, &dr_gs_dialect, where != NULL ? where : ENDPOINT,
	         region != NULL ? region : "auto", false, &http, err)) ==
	    NULL) {
		dr_gs_auth_free(auth);
		return NULL;
	}
	if (ops.put == NULL) {
		ops = dr_s3_ops;
		ops.put = dr_gs_put;
		ops.region = gs_region;
	}
	s3->store.ops = &ops;
	s3->keys = keys;
	s3->own = auth;
	s3->free_own = free_auth;
	return &s3->store;
}
