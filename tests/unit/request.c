/* request.c - heads of requests, and values in a query. */
#include "http/request.h"

#include <stdio.h>
#include <string.h>

#include "tests/tap.h"

static struct dr_request r;

/* The status that TEXT is refused with, 0 not whole, 200 taken. */
static int
parse(const char *text)
{
	long n = dr_request_parse(text, strlen(text), &r);

	return n < 0 ? r.status : n == 0 ? 0 : 200;
}

static bool
is(const char *path, const char *query, bool head, bool keep)
{
	return strcmp(r.path, path) == 0 && strcmp(r.query, query) == 0 &&
	       r.head == head && r.keep == keep;
}

static int
get(const char *query, const char *name)
{
	char out[8];
	int rc = dr_query_get(query, name, out, sizeof(out));

	return rc != 1 ? rc : 100 + (int)strlen(out);
}

int
main(void)
{
	static char big[DR_REQUEST_MAX + 1];
	char out[16];

	OK(parse("GET / HTTP/1.1\r\n\r\n") == 200 && is("/", "", false, true),
	    "a request");
	OK(parse("GET / HTTP/1.0\r\n\r\n") == 200 && is("/", "", false, false),
	    "1.0 does not stay");
	OK(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n") == 200 &&
	        is("/", "", false, true),
	    "unless it says so");
	OK(parse("HEAD /a?b=c&d HTTP/1.1\nconnection:close\n\n") == 200 &&
	        is("/a", "b=c&d", true, false),
	    "HEAD, a query, bare newlines, close");
	OK(parse("OPTIONS /primary HTTP/1.0\r\n\r\n") == 200 &&
	        is("/primary", "", true, false),
	    "as HAProxy asks");
	OK(parse("GET http://h:1/x?y HTTP/1.1\r\n\r\n") == 200 &&
	        is("/x", "y", false, true),
	    "absolute form");
	OK(parse("GET http://h HTTP/1.1\r\n\r\n") == 200 &&
	        is("/", "", false, true),
	    "without a path");
	OK(parse("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n") == 200,
	    "an empty body is none");
	OK(parse("") == 0 && parse("GET") == 0 &&
	        parse("GET / HTTP/1.1\r\n") == 0 &&
	        parse("GET / HTTP/1.1\r\nA: b\r\n\r") == 0,
	    "not whole");
	OK(parse("GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n") == 413 &&
	        parse("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n") ==
	            501,
	    "bodies");
	OK(parse("POST / HTTP/1.1\r\n\r\n") == 405 &&
	        parse("GET / HTTP/2\r\n\r\n") == 505 &&
	        parse("GET / FTP\r\n\r\n") == 400 &&
	        parse("GET\r\n\r\n") == 400 &&
	        parse("G(T / HTTP/1.1\r\n\r\n") == 400,
	    "other methods, versions, protocols");
	OK(parse("GET x HTTP/1.1\r\n\r\n") == 400 &&
	        parse("GET /\x01 HTTP/1.1\r\n\r\n") == 400 &&
	        parse("GET / HTTP/1.1\r\nno colon\r\n\r\n") == 400 &&
	        parse("GET / HTTP/1.1\r\nA : b\r\n\r\n") == 400 &&
	        parse("GET / HTTP/1.1\r\n folded\r\n\r\n") == 400,
	    "damage");
	memset(big, 'a', sizeof(big));
	memcpy(big, "GET /", 5);
	OK(dr_request_parse(big, DR_REQUEST_MAX, &r) == -1 && r.status == 414,
	    "a line without end");
	memcpy(big, "GET / HTTP/1.1\r\nA: ", 19);
	OK(dr_request_parse(big, DR_REQUEST_MAX, &r) == -1 && r.status == 431,
	    "a head without end");
	memset(big, 'a', sizeof(big));
	memcpy(big, "GET /", 5);
	memcpy(big + 3000, " HTTP/1.1\r\n\r\n", 14);
	OK(parse(big) == 414, "a path that is too long");

	OK(dr_query_get("a=1&server=x%2Fy+z&b", "server", out, sizeof(out)) ==
	            1 &&
	        strcmp(out, "x/y z") == 0,
	    "a value");
	OK(get("a=1", "b") == 0 && get("", "a") == 0 && get("ab=1", "a") == 0 &&
	        get("b=a", "a") == 0,
	    "none");
	OK(get("a", "a") == 100 && get("a=", "a") == 100 &&
	        get("&&a=1234567", "a") == 107,
	    "empty, and as long as may be");
	OK(get("a=12345678", "a") == -1 && get("a=%0a", "a") == -1 &&
	        get("a=%4", "a") == -1 && get("a=%zz", "a") == -1,
	    "too long, no text");
	return DONE();
}
