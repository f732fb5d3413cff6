/*
 * request.h - the head of an HTTP/1 request, as a server reads it (RFC 9112),
 * and the values in its query.
 */
#ifndef DR_HTTP_REQUEST_H
#define DR_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define DR_REQUEST_MAX  8192 /* bytes of a head */
#define DR_REQUEST_PATH 2048 /* of a path, and of a query */

struct dr_request {
	bool head;                  /* wants no body: HEAD, OPTIONS */
	bool keep;                  /* the connection may stay */
	char path[DR_REQUEST_PATH]; /* begins with "/", as it was sent */
	char query[DR_REQUEST_PATH];
	int status; /* 0, or what to answer before closing */
};

/*
 * The request at the beginning of BUF.  Returns how many bytes it takes, 0
 * when more must arrive, -1 when it cannot be answered as asked: STATUS says
 * why (400, 405, 413, 414, 431, 501, 505), and nothing more is to be read.
 */
long dr_request_parse(const char *buf, size_t len, struct dr_request *);

/*
 * The value of NAME in a query ("a=1&b=2"), its %XX and + undone, into OUT.
 * 1, 0 there is none, -1 it is longer than SIZE - 1, or no text.
 */
int dr_query_get(const char *query, const char *name, char *out, size_t size);

#endif /* !DR_HTTP_REQUEST_H */
