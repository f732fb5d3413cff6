/*
 * curl.h - libcurl, loaded at its first use (see base/dl.h).
 */
#ifndef DR_HTTP_CURL_H
#define DR_HTTP_CURL_H

#include <curl/curl.h>

#include "base/err.h"

#define DR_CURL_FUNCTIONS(X)   \
	X(global_init)         \
	X(easy_init)           \
	X(easy_cleanup)        \
	X(easy_reset)          \
	X(easy_setopt)         \
	X(easy_getinfo)        \
	X(easy_pause)          \
	X(easy_strerror)       \
	X(slist_append)        \
	X(slist_free_all)      \
	X(multi_init)          \
	X(multi_cleanup)       \
	X(multi_add_handle)    \
	X(multi_remove_handle) \
	X(multi_perform)       \
	X(multi_fdset)         \
	X(multi_poll)          \
	X(multi_info_read)     \
	X(multi_strerror)

/* The macros of this name check types of calls, which go another way here. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

struct dr_curl {
#define X(name) __typeof__(curl_##name) *name;
	DR_CURL_FUNCTIONS(X)
#undef X
};

/* Load it, once; from any thread.  NULL: it is not there. */
const struct dr_curl *dr_curl(struct dr_err *);

#endif /* !DR_HTTP_CURL_H */
