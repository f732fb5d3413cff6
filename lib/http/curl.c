#include "http/curl.h"

#include <pthread.h>

#include "base/dl.h"

static struct dr_curl api;
static struct dr_err failed;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
load(void)
{
	static const struct dr_dl syms[] = {
#define X(name) { "curl_" #name, &api.name },
		DR_CURL_FUNCTIONS(X)
#undef X
	};

	if (dr_dl_load("libcurl.so.4", syms, sizeof(syms) / sizeof(*syms),
	        &failed) == -1) {
		dr_err_hint(&failed, "stores over HTTP need libcurl");
		return;
	}
	if (api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		dr_err_set(&failed, DR_EFAIL, "cannot initialize libcurl");
}

const struct dr_curl *
dr_curl(struct dr_err *err)
{
	int rc = pthread_once(&once, load);

	if (rc == 0 && failed.cause == DR_OK)
		return &api;
	if (err->cause == DR_OK)
		*err = failed;
	return NULL;
}
