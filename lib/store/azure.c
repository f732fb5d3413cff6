/*
 * A store in a container of Azure Blob Storage.
 *
 * Create-only is a condition of the service (If-None-Match: *) on Put Blob
 * and Put Block List alike, so it holds for bodies in blocks, too.  A shared
 * access signature with the right "c" alone can create and nothing else, and
 * that in one request, since Put Block needs "w".
 */
#include "store/azure.h"

#include <stdlib.h>
#include <string.h>

#include "store/ask.h"

static const char *
region(const struct dr_store *store)
{
	return ((const struct dr_azure *)store)->conf.region;
}

static void
hurry(struct dr_store *store, uint64_t ms)
{
	struct dr_azure *a = (struct dr_azure *)store;

	dr_http_hurry(a->http, ms);
	dr_http_hurry(a->brief, ms);
}

static void
azure_free(struct dr_store *store)
{
	struct dr_azure *a = (struct dr_azure *)store;

	dr_http_free(a->http);
	dr_http_free(a->brief);
	dr_wipe_str(a->token.value);
	free(a->token.ca_file);
	pthread_mutex_destroy(&a->token.lock);
	dr_az_conf_wipe(&a->conf);
	free(a);
}

static const struct dr_store_ops ops = {
	.put = dr_az_put,
	.put_begin = dr_az_put_begin,
	.put_look = dr_az_put_look,
	.put_cancel = dr_az_put_cancel,
	.stat = dr_az_stat,
	.get = dr_az_get,
	.get_small = dr_az_get_small,
	.list = dr_az_list,
	.scans = true,
	.dirs = dr_az_dirs,
	.versions = dr_az_versions,
	.get_version = dr_az_get_version,
	.locked = dr_az_locked,
	.del = dr_az_delete,
	.uploads = dr_az_uploads,
	.upload_abort = dr_az_upload_abort,
	.try_replace = dr_az_try_replace,
	.region = region,
	.hurry = hurry,
	.free = azure_free,
};

struct dr_store *
dr_store_azure(const struct dr_url *u, const struct dr_store_opts *o,
    struct dr_err *err)
{
	const struct dr_http_opts http = { .ca_file = o->ca_file,
		.patience_ms = o->patience_ms,
		.limit_rate = o->limit_rate };
	/* Where it matters little. */
	const struct dr_http_opts brief = { .ca_file = o->ca_file,
		.connect_ms = 3000,
		.stall_ms = 10000,
		.patience_ms = 15000 };
	struct dr_azure *a;

	if (dr_az_opts_ok(o, err) == -1)
		return NULL;
	if ((a = calloc(1, sizeof(*a))) == NULL) {
		dr_err_sys(err, "cannot open a store");
		return NULL;
	}
	if (dr_az_conf(u, &a->conf, err) == -1) {
		free(a);
		return NULL;
	}
	(void)pthread_mutex_init(&a->token.lock, NULL);
	a->store.ops = &ops;
	a->store.opts = o;
	a->token.auth = a->conf.auth;
	if (o->ca_file != NULL &&
	    (a->token.ca_file = strdup(o->ca_file)) == NULL) {
		dr_err_sys(err, "cannot open a store");
		goto fail;
	}
	if ((a->http = dr_http_new(&http, err)) == NULL ||
	    (a->brief = dr_http_new(&brief, err)) == NULL)
		goto fail;
	if ((a->store.url = strdup(a->conf.url)) == NULL) {
		dr_err_sys(err, "cannot open a store");
		goto fail;
	}
	return &a->store;

fail:
	azure_free(&a->store);
	return NULL;
}
