#include "pg/hosts.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "pg/conn.h"
#include "pg/conn_int.h"
#include "pg/libpq.h"

#define TEXT_MAX 16384

/* What every connection string ends up with, whatever it said. */
static bool
is_ours(const char *key)
{
	static const char *const ours[] = { "replication", "client_encoding",
		"target_session_attrs", "load_balance_hosts",
		"fallback_application_name", "connect_timeout" };
	size_t i;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcmp(key, ours[i]) == 0)
			return true;
	return false;
}

static bool
is_place(const char *key)
{
	return strcmp(key, "host") == 0 || strcmp(key, "hostaddr") == 0 ||
	       strcmp(key, "port") == 0;
}

/* Item I of a list; the last where it has fewer, and only one is for all. */
static const char *
item(const char *list, size_t i, size_t *len)
{
	const char *p = list;

	for (; i > 0 && strchr(p, ',') != NULL; i--)
		p = strchr(p, ',') + 1;
	*len = strcspn(p, ",");
	return p;
}

static size_t
count_hosts(const PQconninfoOption *all)
{
	size_t n = 1, k;
	const char *p;

	for (; all->keyword != NULL; all++) {
		if (all->val == NULL || strncmp(all->keyword, "host", 4) != 0)
			continue;
		for (k = 1, p = all->val; (p = strchr(p, ',')) != NULL; p++)
			k++;
		if (k > n)
			n = k;
	}
	return n;
}

int
dr_pg_add_option(struct dr_buf *b, const char *key, const char *value,
    size_t len, struct dr_err *err)
{
	size_t i;

	if (dr_buf_fmt(b, err, "%s='", key) == -1)
		return -1;
	for (i = 0; i < len; i++)
		if (((value[i] == '\'' || value[i] == '\\') &&
		        dr_buf_add(b, "\\", 1, err) == -1) ||
		    dr_buf_add(b, value + i, 1, err) == -1)
			return -1;
	return dr_buf_str(b, "' ", err);
}

/* A connection string for host I alone. */
static char *
only(const PQconninfoOption *all, size_t i, bool named, struct dr_err *err)
{
	struct dr_buf b = { .max = TEXT_MAX };
	const char *v;
	size_t len;

	for (; all->keyword != NULL; all++) {
		if (all->val == NULL || all->val[0] == '\0' ||
		    is_ours(all->keyword) ||
		    (!named && strcmp(all->keyword, "dbname") == 0))
			continue;
		v = all->val;
		len = strlen(v);
		if (is_place(all->keyword))
			v = item(all->val, i, &len);
		if (len > 0 &&
		    dr_pg_add_option(&b, all->keyword, v, len, err) == -1)
			goto fail;
	}
	if ((!named && dr_buf_str(&b, "dbname='postgres' ", err) == -1) ||
	    dr_buf_str(&b, "client_encoding='UTF8'", err) == -1)
		goto fail;
	return b.data;

fail:
	if (b.data != NULL)
		explicit_bzero(b.data, b.len);
	dr_buf_free(&b);
	return NULL;
}

static const char *
value_of(const PQconninfoOption *all, const char *key)
{
	for (; all->keyword != NULL; all++)
		if (strcmp(all->keyword, key) == 0)
			return all->val != NULL ? all->val : "";
	return "";
}

/* "HOST:PORT" of host I; CONN knows the defaults. */
static char *
place_of(const PQconninfoOption *all, size_t i, PGconn *conn,
    struct dr_err *err)
{
	const char *host, *port;
	size_t hlen, plen;
	bool six;

	host = item(value_of(all, "host"), i, &hlen);
	if (hlen == 0)
		host = item(value_of(all, "hostaddr"), i, &hlen);
	if (hlen == 0 && (host = PQhost(conn)) != NULL)
		hlen = strlen(host);
	port = item(value_of(all, "port"), i, &plen);
	if (plen == 0)
		plen = strlen(port = "5432");
	six = host != NULL && host[0] != '/' && host[0] != '@' &&
	      memchr(host, ':', hlen) != NULL;
	return dr_fmt(err, "%s%.*s%s:%.*s", six ? "[" : "", (int)hlen,
	    host != NULL ? host : "", six ? "]" : "", (int)plen, port);
}

/* What host I has to be looked up by; *NAME stays NULL where nothing. */
static int
name_of(const PQconninfoOption *all, size_t i, char **name, struct dr_err *err)
{
	unsigned char addr[16];
	const char *host;
	char *copy;
	size_t len;

	(void)item(value_of(all, "hostaddr"), i, &len);
	if (len > 0)
		return 0;
	host = item(value_of(all, "host"), i, &len);
	if (len == 0 || host[0] == '/' || host[0] == '@')
		return 0;
	if ((copy = strndup(host, len)) == NULL)
		return dr_err_sys(err, "cannot allocate a name");
	if (strcmp(copy, "localhost") == 0 ||
	    inet_pton(AF_INET, copy, addr) == 1 ||
	    inet_pton(AF_INET6, copy, addr) == 1)
		free(copy);
	else
		*name = copy;
	return 0;
}

/*
 * What libpq makes of GIVEN: it looks up services, variables and defaults
 * only on the way to a server, which a setting that it cannot accept ends
 * before the first step.
 */
static PGconn *
look_up(const PQconninfoOption *given, struct dr_err *err)
{
	const char *keys[64], *values[64];
	size_t n = 0;
	PGconn *conn;
	char line[256];

	for (; given->keyword != NULL; given++)
		if (given->val != NULL && n + 2 < 64) {
			keys[n] = given->keyword;
			values[n++] = given->val;
		}
	keys[n] = "target_session_attrs";
	values[n++] = "none";
	keys[n] = values[n] = NULL;
	if ((conn = PQconnectStartParams(keys, values, 0)) == NULL) {
		dr_err_set(err, DR_EFAIL, "cannot allocate a connection");
		return NULL;
	}
	if (strstr(PQerrorMessage(conn), "target_session_attrs") == NULL) {
		dr_pg_one_line(PQerrorMessage(conn), line, sizeof(line));
		dr_err_set(err, DR_EUSAGE,
		    "the connection string cannot be used: %s", line);
		PQfinish(conn);
		return NULL;
	}
	return conn;
}

static int
expand(const char *conninfo, size_t from, struct dr_pg_host **v, size_t *count,
    struct dr_err *err)
{
	PQconninfoOption *given, *all = NULL;
	PGconn *conn = NULL;
	struct dr_pg_host *more;
	char *why = NULL;
	size_t i, n;
	bool named;
	int rc = -1;

	if ((given = PQconninfoParse(conninfo, &why)) == NULL) {
		PQfreemem(why);
		dr_err_set(err, DR_EUSAGE,
		    "the connection string cannot be understood");
		return dr_err_hint(err, "write it as \"host=... dbname=...\" "
		                        "or \"postgresql://...\"");
	}
	named = value_of(given, "dbname")[0] != '\0' ||
	        value_of(given, "service")[0] != '\0' ||
	        getenv("PGDATABASE") != NULL || getenv("PGSERVICE") != NULL;
	if ((conn = look_up(given, err)) == NULL)
		goto out;
	if ((all = PQconninfo(conn)) == NULL) {
		dr_err_set(err, DR_EFAIL, "cannot look at the hosts");
		goto out;
	}
	n = count_hosts(all);
	if (n > DR_PG_HOSTS_MAX - *count) {
		dr_err_set(err, DR_EUSAGE, "more than %d hosts",
		    DR_PG_HOSTS_MAX);
		goto out;
	}
	if ((more = realloc(*v, (*count + n) * sizeof(*more))) == NULL) {
		dr_err_sys(err, "cannot allocate a list of hosts");
		goto out;
	}
	*v = more;
	for (i = 0; i < n; i++) {
		struct dr_pg_host h = { .from = from };

		h.conninfo = only(all, i, named, err);
		more[(*count)++] = h;
		if (h.conninfo == NULL ||
		    (h.where = place_of(all, i, conn, err)) == NULL ||
		    name_of(all, i, &h.name, err) == -1) {
			more[*count - 1] = h;
			goto out;
		}
		more[*count - 1] = h;
	}
	rc = 0;

out:
	PQconninfoFree(all);
	PQfinish(conn);
	PQconninfoFree(given);
	return rc;
}

int
dr_pg_hosts(const char *const *conninfo, size_t n, struct dr_pg_host **v,
    size_t *count, struct dr_err *err)
{
	struct dr_pg_host *hosts = NULL;
	size_t i, k = 0;

	*v = NULL;
	*count = 0;
	if (dr_libpq(err) == -1)
		return -1;
	for (i = 0; i < n; i++)
		if (expand(conninfo[i], i, &hosts, &k, err) == -1) {
			dr_pg_hosts_free(hosts, k);
			return -1;
		}
	*v = hosts;
	*count = k;
	return 0;
}

void
dr_pg_hosts_free(struct dr_pg_host *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (v[i].conninfo != NULL)
			explicit_bzero(v[i].conninfo, strlen(v[i].conninfo));
		free(v[i].conninfo);
		free(v[i].where);
		free(v[i].name);
	}
	free(v);
}
