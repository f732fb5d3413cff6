/* Which etcd, and who we are to it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coord/etcd_int.h"

#define PORT "2379"

static int
bad_spec(const char *spec, const char *why, struct dr_err *err)
{
	/* What follows may be somebody's password. */
	if (strchr(spec, '@') != NULL)
		dr_err_set(err, DR_EUSAGE, "an address of etcd %s", why);
	else
		dr_err_set(err, DR_EUSAGE, "\"%s\": an address of etcd %s",
		    spec, why);
	return dr_err_hint(err,
	    "etcd://HOST:PORT,HOST:PORT,... or etcds://... for TLS");
}

/* HOST, HOST:PORT, [IPV6]:PORT; N characters. */
static int
add_member(struct dr_etcd *e, const char *spec, const char *p, size_t n,
    struct dr_err *err)
{
	const char *colon = n == 0 ? NULL : memrchr(p, ':', n);
	const char *bracket = n == 0 ? NULL : memchr(p, ']', n);
	size_t host = n;

	if (colon != NULL && (bracket == NULL || colon > bracket))
		host = (size_t)(colon - p);
	if (host == 0 || (p[0] == '[') != (bracket == p + host - 1))
		return bad_spec(spec, "names a host, or [an IPv6 address]",
		    err);
	for (size_t i = 0; i < host; i++)
		if (!isalnum((unsigned char)p[i]) &&
		    strchr(p[0] == '[' ? "[:.]%" : ".-_", p[i]) == NULL)
			return bad_spec(spec, "holds a name that is none", err);
	if (host < n) {
		long port = n - host > 6 ? 0 : strtol(p + host + 1, NULL, 10);

		if (strspn(p + host + 1, "0123456789") < n - host - 1 ||
		    port < 1 || port > 65535)
			return bad_spec(spec, "holds a port that is none", err);
	}
	if (e->n == DR_ETCD_MEMBERS)
		return bad_spec(spec, "names too many members", err);
	e->member[e->n] = host < n ? dr_fmt(err, "%.*s", (int)n, p)
	                           : dr_fmt(err, "%.*s:" PORT, (int)n, p);
	return e->member[e->n] == NULL ? -1 : (e->n++, 0);
}

static int
parse_spec(struct dr_etcd *e, const char *spec, struct dr_err *err)
{
	const char *p;
	size_t n;

	e->tls = strncmp(spec, "etcds://", 8) == 0;
	if (!e->tls && strncmp(spec, "etcd://", 7) != 0)
		return bad_spec(spec, "begins with etcd:// or etcds://", err);
	p = spec + (e->tls ? 8 : 7);
	if (strchr(p, '@') != NULL)
		return bad_spec(spec, "holds no user", err);
	for (;; p += n + 1) {
		n = strcspn(p, ",/");
		if (add_member(e, spec, p, n, err) == -1)
			return -1;
		if (p[n] != ',')
			break;
	}
	return p[n] == '\0' || strcmp(p + n, "/") == 0
	           ? 0
	           : bad_spec(spec, "ends with its members", err);
}

static const char *
or_env(const char *given, const char *name)
{
	const char *v = given != NULL ? given : getenv(name);

	return v == NULL || *v == '\0' ? NULL : v;
}

static int
readable(const char *file, const char *what, struct dr_err *err)
{
	if (file == NULL || access(file, R_OK) == 0)
		return 0;
	dr_err_sys(err, "cannot read %s \"%s\"", what, file);
	err->cause = DR_EUSAGE;
	return -1;
}

static int
open_http(struct dr_etcd *e, const struct dr_etcd_opts *o, struct dr_err *err)
{
	const struct dr_http_opts h = {
		.ca_file = or_env(o->ca_file, "ETCDCTL_CACERT"),
		.cert_file = or_env(o->cert_file, "ETCDCTL_CERT"),
		.key_file = or_env(o->key_file, "ETCDCTL_KEY"),
		.direct = true,
	};

	if (!e->tls &&
	    (o->ca_file != NULL || o->cert_file != NULL || o->key_file != NULL))
		return dr_err_set(err, DR_EUSAGE,
		    "certificates are for an address that begins with "
		    "etcds://");
	if (e->tls &&
	    (readable(h.ca_file, "the authorities for etcd", err) == -1 ||
	        readable(h.cert_file, "the certificate for etcd", err) == -1 ||
	        readable(h.key_file, "the key for etcd", err) == -1))
		return -1;
	if (h.key_file != NULL && h.cert_file == NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "a key for etcd is of no use without its certificate");
	e->http = dr_http_new(&h, err);
	return e->http == NULL ? -1 : 0;
}

/* ETCDCTL_USER may be "USER:PASSWORD", as etcdctl has it. */
static int
set_user(struct dr_etcd *e, const struct dr_etcd_opts *o, struct dr_err *err)
{
	const char *user = or_env(o->user, "ETCDCTL_USER");
	const bool given = o->user != NULL;

	if (o->password_file != NULL &&
	    (e->password_file = strdup(o->password_file)) == NULL)
		return dr_err_sys(err, "cannot open etcd");
	if (user == NULL)
		return o->password_file == NULL
		           ? 0
		           : dr_err_set(err, DR_EUSAGE,
		                 "a password for etcd is of no use without "
		                 "its user");
	e->user = given ? strdup(user) : strndup(user, strcspn(user, ":"));
	if (e->user == NULL)
		return dr_err_sys(err, "cannot open etcd");
	if (e->password_file == NULL && getenv("ETCDCTL_PASSWORD") == NULL &&
	    (given || strchr(user, ':') == NULL)) {
		dr_err_set(err, DR_EUSAGE, "no password for etcd's user \"%s\"",
		    e->user);
		return dr_err_hint(err,
		    "put it into a file, or into ETCDCTL_PASSWORD");
	}
	return readable(e->password_file, "the password for etcd", err);
}

struct dr_etcd *
dr_etcd_open(const struct dr_etcd_opts *o, struct dr_err *err)
{
	struct dr_etcd *e = calloc(1, sizeof(*e));

	if (e == NULL) {
		dr_err_sys(err, "cannot open etcd");
		return NULL;
	}
	e->patience = 2000;
	if (parse_spec(e, o->spec, err) == -1 || set_user(e, o, err) == -1 ||
	    open_http(e, o, err) == -1) {
		dr_etcd_free(e);
		return NULL;
	}
	return e;
}

void
dr_etcd_forget_token(struct dr_etcd *e)
{
	if (e->token != NULL)
		explicit_bzero(e->token, strlen(e->token));
	free(e->token);
	e->token = NULL;
}

void
dr_etcd_free(struct dr_etcd *e)
{
	if (e == NULL)
		return;
	dr_http_free(e->http);
	for (size_t i = 0; i < e->n; i++)
		free(e->member[i]);
	dr_etcd_forget_token(e);
	free(e->user);
	free(e->password_file);
	free(e);
}

uint64_t
dr_etcd_patience(struct dr_etcd *e, uint64_t ms)
{
	uint64_t was = e->patience;

	e->patience = ms < 1 ? 1 : ms;
	return was;
}

bool
dr_etcd_insist(struct dr_etcd *e, bool insist)
{
	bool was = e->insist;

	e->insist = insist;
	return was;
}
