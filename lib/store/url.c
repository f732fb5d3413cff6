#include "store/url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"

#define URL_MAX 2048

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The LEN bytes at S without percent-encoding; a NUL inside is refused. */
static char *
decode(const char *s, size_t len, struct dr_err *err)
{
	char *out = malloc(len + 1), *to = out;

	if (out == NULL) {
		dr_err_sys(err, "cannot read a store's URL");
		return NULL;
	}
	for (size_t i = 0; i < len; i++) {
		int hi, lo;

		if (s[i] != '%') {
			*to++ = s[i];
			continue;
		}
		if (len - i < 3 || (hi = digit(s[i + 1])) == -1 ||
		    (lo = digit(s[i + 2])) == -1 || (hi | lo) == 0) {
			dr_err_set(err, DR_EUSAGE,
			    "a store's URL has a \"%%\" that is followed by no "
			    "two hex digits");
			free(out);
			return NULL;
		}
		*to++ = (char)(hi << 4 | lo);
		i += 2;
	}
	*to = '\0';
	return out;
}

/* What is before "://", in lower case; what follows it. */
static const char *
scheme(const char *text, struct dr_url *u)
{
	const char *end = strstr(text, "://");
	size_t len;

	if (end == NULL || (len = (size_t)(end - text)) == 0 ||
	    len >= sizeof(u->scheme))
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)text[i]))
			return NULL;
		u->scheme[i] = (char)tolower((unsigned char)text[i]);
	}
	return end + 3;
}

/* [USER@]HOST[:PORT], LEN bytes. */
static int
authority(const char *s, size_t len, struct dr_url *u, struct dr_err *err)
{
	const char *at = memrchr(s, '@', len), *colon;
	char number[8];
	int64_t port;

	if (at != NULL) {
		if (memchr(s, ':', (size_t)(at - s)) != NULL) {
			dr_err_set(err, DR_EUSAGE,
			    "a store's URL has a password in it");
			return dr_err_hint(err,
			    "other users of this host see command lines: see "
			    "dr-stores(7) for where secrets go");
		}
		if ((u->user = decode(s, (size_t)(at - s), err)) == NULL)
			return -1;
		len -= (size_t)(at + 1 - s);
		s = at + 1;
	}
	colon = len > 0 && s[0] == '[' ? memchr(s, ']', len) : s;
	if (colon != NULL)
		colon = memchr(colon, ':', len - (size_t)(colon - s));
	if (colon != NULL) {
		size_t n = len - (size_t)(colon + 1 - s);

		if (n == 0 || n >= sizeof(number))
			return dr_err_set(err, DR_EUSAGE,
			    "a store's URL has a port that is no number");
		memcpy(number, colon + 1, n);
		number[n] = '\0';
		if (dr_parse_int(number, 1, 65535, &port, err) == -1)
			return -1;
		u->port = (uint16_t)port;
		len = (size_t)(colon - s);
	}
	if (len > 2 && s[0] == '[' && s[len - 1] == ']') {
		s++;
		len -= 2;
	}
	if ((u->host = decode(s, len, err)) == NULL)
		return -1;
	return 0;
}

/* NAME=VALUE[&...] */
static int
params(const char *s, struct dr_url *u, struct dr_err *err)
{
	while (*s != '\0') {
		size_t len = strcspn(s, "&");
		const char *eq = memchr(s, '=', len);
		struct dr_url_param *p = &u->param[u->params];
		size_t name = eq != NULL ? (size_t)(eq - s) : len;

		if (name == 0 || eq == NULL)
			return dr_err_set(err, DR_EUSAGE,
			    "after \"?\" a store's URL has NAME=VALUE");
		if (u->params == DR_URL_PARAMS)
			return dr_err_set(err, DR_EUSAGE,
			    "a store's URL has too many parameters");
		u->params++;
		if ((p->name = decode(s, name, err)) == NULL ||
		    (p->value = decode(eq + 1, len - name - 1, err)) == NULL)
			return -1;
		for (size_t i = 0; i + 1 < u->params; i++)
			if (strcmp(u->param[i].name, p->name) == 0)
				return dr_err_set(err, DR_EUSAGE,
				    "a store's URL says \"%s\" twice", p->name);
		s += len;
		s += *s == '&';
	}
	return 0;
}

int
dr_url_parse(const char *text, struct dr_url *u, struct dr_err *err)
{
	const char *s, *query;
	size_t len, host;

	memset(u, 0, sizeof(*u));
	if (strlen(text) > URL_MAX)
		return dr_err_set(err, DR_EUSAGE, "a store's URL is too long");
	if ((s = scheme(text, u)) == NULL)
		return dr_err_set(err, DR_EUSAGE, "\"%s\" is no URL", text);
	query = s + strcspn(s, "?");
	len = (size_t)(query - s);
	host = strcspn(s, "/?");
	if (authority(s, host, u, err) == -1)
		goto fail;
	s += host;
	len -= host;
	while (len > 0 && *s == '/') {
		s++;
		len--;
	}
	while (len > 0 && s[len - 1] == '/')
		len--;
	if ((u->path = decode(s, len, err)) == NULL ||
	    (*query == '?' && params(query + 1, u, err) == -1))
		goto fail;
	return 0;

fail:
	dr_url_wipe(u);
	return -1;
}

void
dr_url_wipe(struct dr_url *u)
{
	free(u->user);
	free(u->host);
	free(u->path);
	for (size_t i = 0; i < u->params; i++) {
		free(u->param[i].name);
		free(u->param[i].value);
	}
	memset(u, 0, sizeof(*u));
}

const char *
dr_url_param(const struct dr_url *u, const char *name)
{
	for (size_t i = 0; i < u->params; i++)
		if (strcmp(u->param[i].name, name) == 0)
			return u->param[i].value;
	return NULL;
}

int
dr_url_only(const struct dr_url *u, const char *known, struct dr_err *err)
{
	for (size_t i = 0; i < u->params; i++) {
		const char *name = u->param[i].name, *k = known;
		size_t n = strlen(name);

		while (*k != '\0' &&
		       (strcspn(k, "|") != n || strncmp(k, name, n) != 0)) {
			k += strcspn(k, "|");
			k += *k == '|';
		}
		if (*k == '\0') {
			dr_err_set(err, DR_EUSAGE,
			    "%s:// knows no parameter \"%s\"", u->scheme, name);
			return dr_err_hint(err, "those it knows are %s",
			    *known != '\0' ? known : "none");
		}
	}
	return 0;
}
