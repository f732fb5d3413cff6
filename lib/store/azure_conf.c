#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "store/ask.h"
#include "store/azure.h"

#define URL_MAX 4096

/* What a connection string says, and what stands beside it. */
struct parts {
	char *account, *key, *sas, *endpoint, *suffix;
	bool plain; /* http */
};

static void
parts_wipe(struct parts *p)
{
	free(p->account);
	dr_wipe_str(p->key);
	dr_wipe_str(p->sas);
	free(p->endpoint);
	free(p->suffix);
}

/* VAR_ACCOUNT, for hosts that write to several accounts, else VAR. */
static const char *
setting(const char *var, const char *account, bool *own)
{
	char name[96];
	const char *value = NULL;

	if (account != NULL && strlen(var) + strlen(account) + 2 <= 96) {
		stpcpy(stpcpy(stpcpy(name, var), "_"), account);
		value = getenv(name);
	}
	*own = value != NULL && *value != '\0';
	if (!*own)
		value = getenv(var);
	return value != NULL && *value != '\0' ? value : NULL;
}

static int
keep(char **to, const char *s, size_t len, struct dr_err *err)
{
	dr_wipe_str(*to);
	if ((*to = strndup(s, len)) == NULL)
		return dr_err_sys(err, "cannot read the settings of Azure");
	return 0;
}

static int
connection_string(const char *s, struct parts *p, struct dr_err *err)
{
	const struct {
		const char *name;
		char **to;
	} known[] = {
		{ "AccountName", &p->account },
		{ "AccountKey", &p->key },
		{ "SharedAccessSignature", &p->sas },
		{ "BlobEndpoint", &p->endpoint },
		{ "EndpointSuffix", &p->suffix },
	};
	const size_t n = sizeof(known) / sizeof(known[0]);

	for (size_t len; *s != '\0'; s += len + (s[len] == ';')) {
		const char *eq;
		size_t name, i;

		while (isspace((unsigned char)*s))
			s++;
		len = strcspn(s, ";");
		if (len == 0)
			continue;
		if ((eq = memchr(s, '=', len)) == NULL) {
			dr_err_set(err, DR_EUSAGE,
			    "the connection string of Azure has a part that is "
			    "not NAME=VALUE");
			return dr_err_hint(err,
			    "see AZURE_STORAGE_CONNECTION_STRING");
		}
		name = (size_t)(eq - s);
		if (name == 24 &&
		    strncasecmp(s, "DefaultEndpointsProtocol", 24) == 0)
			p->plain =
			    len == 29 && strncasecmp(eq + 1, "http", 4) == 0;
		for (i = 0; i < n; i++)
			if (strlen(known[i].name) == name &&
			    strncasecmp(s, known[i].name, name) == 0)
				break;
		if (i < n &&
		    keep(known[i].to, eq + 1, len - name - 1, err) == -1)
			return -1;
	}
	return 0;
}

/* A key or SAS beside the name of another account is not this one's. */
static int
belongs(const char *var, const char *account, bool own, struct dr_err *err)
{
	const char *of = getenv("AZURE_STORAGE_ACCOUNT");

	if (own || account == NULL || of == NULL || *of == '\0' ||
	    strcmp(of, account) == 0)
		return 0;
	dr_err_set(err, DR_EUSAGE,
	    "%s is for account \"%s\", and the store is in \"%s\"", var, of,
	    account);
	return dr_err_hint(err, "set %s_%s for that one", var, account);
}

/* How to sign: into P and C->auth. */
static int
credentials(const char *account, struct parts *p, struct dr_az_conf *c,
    struct dr_err *err)
{
	static const char conn[] = "AZURE_STORAGE_CONNECTION_STRING";
	static const char key[] = "AZURE_STORAGE_KEY";
	static const char sas[] = "AZURE_STORAGE_SAS_TOKEN";
	const char *v;
	bool own;

	if ((v = setting(conn, account, &own)) != NULL) {
		if (connection_string(v, p, err) == -1)
			return -1;
		if (account != NULL && p->account != NULL &&
		    strcmp(account, p->account) != 0) {
			dr_err_set(err, DR_EUSAGE,
			    "%s is for account \"%s\", and the store is in "
			    "\"%s\"",
			    conn, p->account, account);
			return dr_err_hint(err, "set %s_%s for that one", conn,
			    account);
		}
	} else if ((v = setting(key, account, &own)) != NULL) {
		if (belongs(key, account, own, err) == -1 ||
		    keep(&p->key, v, strlen(v), err) == -1)
			return -1;
	} else if ((v = setting(sas, account, &own)) != NULL) {
		if (belongs(sas, account, own, err) == -1 ||
		    keep(&p->sas, v, strlen(v), err) == -1)
			return -1;
	}
	if (p->key != NULL)
		c->auth = DR_AZ_KEY;
	else if (p->sas != NULL)
		c->auth = DR_AZ_SAS;
	else if (getenv("AZURE_FEDERATED_TOKEN_FILE") != NULL)
		c->auth = DR_AZ_WORKLOAD;
	else if (getenv("AZURE_CLIENT_SECRET") != NULL)
		c->auth = DR_AZ_SECRET;
	else if (getenv("IDENTITY_ENDPOINT") != NULL)
		c->auth = DR_AZ_APP;
	else
		c->auth = DR_AZ_MACHINE;
	return 0;
}

/* Has it the right to create, and not that to write? */
static bool
create_only(const char *sas)
{
	const char *sp =
	    strncmp(sas, "sp=", 3) == 0 ? sas : strstr(sas, "&sp=");

	if (sp == NULL)
		return false;
	sp = strchr(sp, '=') + 1;
	return memchr(sp, 'c', strcspn(sp, "&")) != NULL &&
	       memchr(sp, 'w', strcspn(sp, "&")) == NULL;
}

/* A key is base64; a SAS goes into URLs as it is. */
static int
secrets(struct parts *p, struct dr_az_conf *c, struct dr_err *err)
{
	ssize_t n;

	if (p->key != NULL) {
		c->key_len = strlen(p->key);
		if ((c->key = malloc(c->key_len + 1)) == NULL)
			return dr_err_sys(err, "cannot read the key of Azure");
		if ((n = dr_unb64(p->key, c->key, c->key_len)) < 1)
			return dr_err_set(err, DR_EUSAGE,
			    "the account's key for Azure is not base64");
		c->key_len = (size_t)n;
	} else if (p->sas != NULL) {
		const char *s = p->sas + (p->sas[0] == '?');

		for (const char *q = s; *q != '\0'; q++)
			if (!isgraph((unsigned char)*q) || *q == '#')
				return dr_err_set(err, DR_EUSAGE,
				    "the shared access signature for Azure has "
				    "characters that none has");
		if (strstr(s, "sig=") == NULL)
			return dr_err_set(err, DR_EUSAGE,
			    "the shared access signature for Azure has no "
			    "\"sig=\" in it");
		if ((c->sas = strdup(s)) == NULL)
			return dr_err_sys(err, "cannot read the SAS of Azure");
		c->once = c->once || create_only(c->sas);
	}
	return 0;
}

static bool
loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 ||
	       strncmp(host, "[::1]", 5) == 0 ||
	       (strncmp(host, "localhost", 9) == 0 &&
	           (host[9] == '\0' || host[9] == ':'));
}

/* "https://HOST[:PORT][/PATH]" into origin and base. */
static int
endpoint(const char *url, struct dr_az_conf *c, struct dr_err *err)
{
	bool plain = strncasecmp(url, "http://", 7) == 0;
	const char *host = url + (plain ? 7 : 8);
	size_t len, path;

	if (!plain && strncasecmp(url, "https://", 8) != 0)
		goto bad;
	len = strcspn(host, "/");
	if (len == 0)
		goto bad;
	for (const char *p = url; *p != '\0'; p++)
		if (!isgraph((unsigned char)*p) ||
		    strchr("?#@\\\"", *p) != NULL)
			goto bad;
	path = strlen(host + len);
	while (path > 0 && host[len + path - 1] == '/')
		path--;
	if ((c->origin = strndup(url, (size_t)(host - url) + len)) == NULL ||
	    (c->base = strndup(host + len, path)) == NULL)
		return dr_err_sys(err, "cannot read an endpoint");
	if (plain && c->auth != DR_AZ_KEY && !loopback(host)) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is not encrypted, and tokens are secret",
		    c->origin);
		return dr_err_hint(err, "use https, or an account's key");
	}
	return 0;

bad:
	return dr_err_set(err, DR_EUSAGE,
	    "an endpoint for Azure is \"https://HOST[:PORT][/PATH]\"");
}

/* 3 to 63 of [a-z0-9-], or one of two special ones. */
static bool
container_ok(const char *s)
{
	size_t len = strlen(s);

	if (strcmp(s, "$root") == 0 || strcmp(s, "$web") == 0)
		return true;
	return len >= 3 && len <= 63 && s[0] != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/*
 * The service turns "\" into "/" and drops dots at the end of parts; what
 * XML cannot hold comes back in another form.
 */
static bool
prefix_ok(const char *s)
{
	size_t len;

	if (strlen(s) > 400)
		return false;
	for (const char *p = s; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '\\')
			return false;
	for (; *s != '\0'; s += len + (s[len] == '/')) {
		len = strcspn(s, "/");
		if (len == 0 || s[len - 1] == '.')
			return false;
	}
	return true;
}

/* Percent-encoded only as far as a list of stores, or the URL, needs it. */
static int
readable(struct dr_buf *out, const char *s, struct dr_err *err)
{
	for (; *s != '\0'; s++) {
		bool plain = strchr("%?&#\"' ", *s) == NULL;

		if ((plain ? dr_buf_add(out, s, 1, err)
		           : dr_buf_fmt(out, err, "%%%02X",
		                 (unsigned char)*s)) == -1)
			return -1;
	}
	return 0;
}

static int
name_it(const struct dr_url *u, struct dr_az_conf *c, struct dr_err *err)
{
	const struct {
		const char *name, *value;
	} param[] = {
		{ "account", c->account },
		{ "endpoint", dr_url_param(u, "endpoint") },
		{ "region", c->region },
	};
	struct dr_buf b = { .max = URL_MAX };
	char sep = '?';

	if (dr_buf_fmt(&b, err, "azblob://%s%s", c->container,
	        *c->prefix != '\0' ? "/" : "") == -1 ||
	    readable(&b, c->prefix, err) == -1)
		goto fail;
	for (size_t i = 0; i < sizeof(param) / sizeof(param[0]); i++) {
		if (param[i].value == NULL)
			continue;
		if (dr_buf_fmt(&b, err, "%c%s=", sep, param[i].name) == -1 ||
		    readable(&b, param[i].value, err) == -1)
			goto fail;
		sep = '&';
	}
	c->url = b.data;
	return 0;

fail:
	dr_buf_free(&b);
	return -1;
}

static int
copy(char **to, const char *s, struct dr_err *err)
{
	if (s != NULL && (*to = strdup(s)) == NULL)
		return dr_err_sys(err, "cannot read the settings of Azure");
	return 0;
}

static int
place(const struct dr_url *u, struct parts *p, struct dr_az_conf *c,
    struct dr_err *err)
{
	const char *url = dr_url_param(u, "endpoint");
	char *made = NULL;
	int rc;

	if (url == NULL)
		url = p->endpoint;
	if (url == NULL && c->account == NULL) {
		dr_err_set(err, DR_EUSAGE,
		    "azblob://%s does not say which account it is in", u->host);
		return dr_err_hint(err,
		    "add \"?account=NAME\", or set AZURE_STORAGE_ACCOUNT");
	}
	if (url == NULL) {
		made = dr_fmt(err, "http%s://%s.blob.%s", p->plain ? "" : "s",
		    c->account,
		    p->suffix != NULL ? p->suffix : "core.windows.net");
		if ((url = made) == NULL)
			return -1;
	}
	rc = endpoint(url, c, err);
	free(made);
	if (rc == 0 && c->auth == DR_AZ_KEY && c->account == NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "a key for Azure is of use with its account's name only");
	return rc;
}

int
dr_az_conf(const struct dr_url *u, struct dr_az_conf *c, struct dr_err *err)
{
	const char *account = dr_url_param(u, "account");
	const char *blocks = dr_url_param(u, "blocks");
	struct parts p = { 0 };

	memset(c, 0, sizeof(*c));
	if (dr_url_only(u, "account|blocks|endpoint|region", err) == -1)
		return -1;
	if (u->user != NULL || u->port != 0)
		return dr_err_set(err, DR_EUSAGE,
		    "azblob:// is followed by a container's name alone");
	if (!container_ok(u->host))
		return dr_err_set(err, DR_EUSAGE,
		    "\"%s\" cannot be the name of a container", u->host);
	if (!prefix_ok(u->path))
		return dr_err_set(err, DR_EUSAGE,
		    "\"%s\" cannot be the beginning of names in Azure",
		    u->path);
	if (blocks != NULL && strcmp(blocks, "no") != 0)
		return dr_err_set(err, DR_EUSAGE,
		    "blocks is \"no\" or is not said");
	c->once = blocks != NULL;
	if (account == NULL)
		account = getenv("AZURE_STORAGE_ACCOUNT");
	if (account != NULL && *account == '\0')
		account = NULL;
	if (account != NULL &&
	    (strlen(account) > 24 ||
	        strspn(account, "abcdefghijklmnopqrstuvwxyz0123456789") !=
	            strlen(account)))
		return dr_err_set(err, DR_EUSAGE,
		    "\"%s\" cannot be the name of an account in Azure",
		    account);
	if (credentials(dr_url_param(u, "account"), &p, c, err) == -1 ||
	    copy(&c->account, p.account != NULL ? p.account : account, err) ==
	        -1 ||
	    copy(&c->container, u->host, err) == -1 ||
	    copy(&c->prefix, u->path, err) == -1 ||
	    copy(&c->region, dr_url_param(u, "region"), err) == -1 ||
	    place(u, &p, c, err) == -1 || secrets(&p, c, err) == -1 ||
	    name_it(u, c, err) == -1)
		goto fail;
	parts_wipe(&p);
	return 0;

fail:
	parts_wipe(&p);
	dr_az_conf_wipe(c);
	return -1;
}

void
dr_az_conf_wipe(struct dr_az_conf *c)
{
	free(c->account);
	free(c->origin);
	free(c->base);
	free(c->container);
	free(c->prefix);
	free(c->region);
	free(c->url);
	if (c->key != NULL)
		explicit_bzero(c->key, c->key_len);
	free(c->key);
	dr_wipe_str(c->sas);
	memset(c, 0, sizeof(*c));
}
