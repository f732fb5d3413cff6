#include "http/request.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* A part of the head: not terminated. */
struct span {
	const char *s;
	size_t n;
};

static bool
is(struct span a, const char *word)
{
	return a.n == strlen(word) && strncasecmp(a.s, word, a.n) == 0;
}

static bool
is_exactly(struct span a, const char *word)
{
	return a.n == strlen(word) && memcmp(a.s, word, a.n) == 0;
}

/* RFC 9110, 5.6.2. */
static bool
token(struct span a)
{
	static const char more[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < a.n; i++) {
		char c = a.s[i];

		if ((c < '0' || c > '9') && (c < 'A' || c > 'Z') &&
		    (c < 'a' || c > 'z') &&
		    memchr(more, c, sizeof(more) - 1) == NULL)
			return false;
	}
	return a.n > 0;
}

static long
refuse(struct dr_request *r, int status)
{
	r->status = status;
	r->keep = false;
	return -1;
}

/* One line up to its LF, without CR LF; false: there is no LF. */
static bool
line(struct span *rest, struct span *out)
{
	const char *nl = memchr(rest->s, '\n', rest->n);

	if (nl == NULL)
		return false;
	out->s = rest->s;
	out->n = (size_t)(nl - rest->s);
	rest->n -= out->n + 1;
	rest->s = nl + 1;
	if (out->n > 0 && out->s[out->n - 1] == '\r')
		out->n--;
	return true;
}

/* What stands before the next blank. */
static struct span
word(struct span *rest)
{
	const char *blank = memchr(rest->s, ' ', rest->n);
	struct span out = *rest;

	if (blank != NULL)
		out.n = (size_t)(blank - rest->s);
	rest->s += out.n;
	rest->n -= out.n;
	if (rest->n > 0) {
		rest->s++;
		rest->n--;
	}
	return out;
}

/* The target, in origin or absolute form. */
static int
target(struct span t, struct dr_request *r)
{
	const char *q;
	size_t n;

	for (size_t i = 0; i < t.n; i++)
		if (t.s[i] <= 0x20 || t.s[i] >= 0x7f)
			return 400;
	if (t.n > 7 && strncasecmp(t.s, "http://", 7) == 0) {
		const char *slash = memchr(t.s + 7, '/', t.n - 7);

		n = slash == NULL ? t.n : (size_t)(slash - t.s);
		t.s += n;
		t.n -= n;
		if (t.n == 0)
			t = (struct span){ "/", 1 };
	}
	if (is_exactly(t, "*"))
		t = (struct span){ "/", 1 };
	if (t.n == 0 || t.s[0] != '/')
		return 400;
	q = memchr(t.s, '?', t.n);
	n = q == NULL ? t.n : (size_t)(q - t.s);
	if (n >= sizeof(r->path) || t.n - n > sizeof(r->query))
		return 414;
	memcpy(r->path, t.s, n);
	r->path[n] = '\0';
	r->query[0] = '\0';
	if (q != NULL) {
		memcpy(r->query, q + 1, t.n - n - 1);
		r->query[t.n - n - 1] = '\0';
	}
	return 0;
}

/* Only what says whether a body follows, and whether the client stays. */
static int
field(struct span l, struct dr_request *r)
{
	const char *colon = memchr(l.s, ':', l.n);
	struct span name, value;

	if (colon == NULL)
		return 400;
	name = (struct span){ l.s, (size_t)(colon - l.s) };
	value = (struct span){ colon + 1, l.n - name.n - 1 };
	if (!token(name))
		return 400;
	while (value.n > 0 && (*value.s == ' ' || *value.s == '\t')) {
		value.s++;
		value.n--;
	}
	while (value.n > 0 &&
	       (value.s[value.n - 1] == ' ' || value.s[value.n - 1] == '\t'))
		value.n--;
	if (memchr(value.s, '\0', value.n) != NULL)
		return 400;
	if (is(name, "transfer-encoding"))
		return 501;
	if (is(name, "content-length") && !is_exactly(value, "0"))
		return 413;
	if (is(name, "connection")) {
		if (is(value, "close"))
			r->keep = false;
		else if (is(value, "keep-alive"))
			r->keep = true;
	}
	return 0;
}

long
dr_request_parse(const char *buf, size_t len, struct dr_request *r)
{
	struct span rest = { buf, len }, l, method, what;
	int status;

	memset(r, 0, sizeof(*r));
	/* RFC 9112, 2.2: an empty line before it is let pass. */
	while (rest.n > 0 && (*rest.s == '\r' || *rest.s == '\n')) {
		rest.s++;
		rest.n--;
	}
	if (!line(&rest, &l))
		return len >= DR_REQUEST_MAX ? refuse(r, 414) : 0;
	method = word(&l);
	what = word(&l);
	if (!token(method))
		return refuse(r, 400);
	if (is_exactly(l, "HTTP/1.1"))
		r->keep = true;
	else if (l.n < 5 || memcmp(l.s, "HTTP/", 5) != 0)
		return refuse(r, 400);
	else if (!is_exactly(l, "HTTP/1.0"))
		return refuse(r, 505);
	if ((status = target(what, r)) != 0)
		return refuse(r, status);
	for (;;) {
		if (!line(&rest, &l))
			return len >= DR_REQUEST_MAX ? refuse(r, 431) : 0;
		if (l.n == 0)
			break;
		if ((status = field(l, r)) != 0)
			return refuse(r, status);
	}
	/* Health checks of HAProxy are OPTIONS unless told otherwise. */
	r->head = is_exactly(method, "HEAD") || is_exactly(method, "OPTIONS");
	if (!r->head && !is_exactly(method, "GET"))
		return refuse(r, 405);
	return (long)(rest.s - buf);
}

static int
digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

/* -1: it does not fit, or holds what no text does. */
static int
decode(const char *s, size_t n, char *out, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '+')
			c = ' ';
		else if (c == '%') {
			int high = i + 1 < n ? digit(s[i + 1]) : -1;
			int low = i + 2 < n ? digit(s[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -1;
			c = (unsigned char)(high * 16 + low);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f || len + 1 >= size)
			return -1;
		out[len++] = (char)c;
	}
	out[len] = '\0';
	return 0;
}

int
dr_query_get(const char *query, const char *name, char *out, size_t size)
{
	size_t len, eq, want = strlen(name);

	for (;; query += len + 1) {
		len = strcspn(query, "&");
		eq = strcspn(query, "=&");
		if (eq == want && memcmp(query, name, eq) == 0) {
			size_t skip = eq < len ? eq + 1 : eq;

			return decode(query + skip, len - skip, out, size) == 0
			           ? 1
			           : -1;
		}
		if (query[len] == '\0')
			return 0;
	}
}
