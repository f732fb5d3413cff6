/* Connection strings of standbys, taken apart and put together again. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pg/conn_int.h"
#include "pg/node_int.h"

#define OPTIONS_MAX 64
#define TEXT_MAX    65536
#define SPACES      " \t\n\r\f\v"
#define KEY         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

struct option {
	char *key, *value;
};

struct options {
	struct option v[OPTIONS_MAX];
	size_t n;
};

static void
drop(struct option *o)
{
	if (o->value != NULL)
		explicit_bzero(o->value, strlen(o->value));
	free(o->value);
	free(o->key);
}

static void
wipe(struct options *o)
{
	while (o->n > 0)
		drop(&o->v[--o->n]);
}

static int
wrong(struct dr_err *err)
{
	return dr_err_set(err, DR_EUSAGE,
	    "primary_conninfo cannot be understood");
}

/* What says where to go. */
static bool
is_place(const char *key)
{
	static const char *const places[] = { "host", "hostaddr", "port",
		"target_session_attrs", "load_balance_hosts" };
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strcmp(key, places[i]) == 0)
			return true;
	return false;
}

/* The last one of a name counts; places are not wanted. */
static int
keep(struct options *o, const char *key, size_t klen, const char *value,
    size_t vlen, struct dr_err *err)
{
	struct option new;
	size_t i;

	if (klen == 0 || strspn(key, KEY) < klen)
		return wrong(err);
	new.key = strndup(key, klen);
	new.value = strndup(value, vlen);
	if (new.key == NULL || new.value == NULL) {
		drop(&new);
		return dr_err_sys(err, "cannot allocate a connection string");
	}
	if (is_place(new.key)) {
		drop(&new);
		return 0;
	}
	for (i = 0; i < o->n; i++)
		if (strcmp(o->v[i].key, new.key) == 0) {
			drop(&o->v[i]);
			o->v[i] = new;
			return 0;
		}
	if (o->n == OPTIONS_MAX) {
		drop(&new);
		return wrong(err);
	}
	o->v[o->n++] = new;
	return 0;
}

/* --- "key=value key='value'" ------------------------------------------------ */

/* The value at *S, into B. */
static int
read_value(const char **s, struct dr_buf *b, struct dr_err *err)
{
	const char *p = *s;
	bool quoted = *p == '\'';

	b->len = 0;
	if (dr_buf_add(b, "", 0, err) == -1)
		return -1;
	for (p += quoted; *p != '\0'; p++) {
		if (quoted ? *p == '\'' : strchr(SPACES, *p) != NULL)
			break;
		if (*p == '\\' && *++p == '\0')
			break;
		if (dr_buf_add(b, p, 1, err) == -1)
			return -1;
	}
	if (quoted && *p++ != '\'')
		return wrong(err);
	*s = p;
	return 0;
}

static int
read_pairs(const char *s, struct options *o, struct dr_err *err)
{
	struct dr_buf b = { .max = TEXT_MAX };
	const char *key;
	size_t klen;
	int rc = -1;

	for (;;) {
		s += strspn(s, SPACES);
		if (*s == '\0')
			break;
		key = s;
		klen = strcspn(s, "=" SPACES);
		s += klen;
		s += strspn(s, SPACES);
		if (*s++ != '=') {
			wrong(err);
			goto out;
		}
		s += strspn(s, SPACES);
		if (read_value(&s, &b, err) == -1 ||
		    keep(o, key, klen, b.data, b.len, err) == -1)
			goto out;
	}
	rc = 0;

out:
	if (b.data != NULL)
		explicit_bzero(b.data, b.len);
	dr_buf_free(&b);
	return rc;
}

/* --- "postgresql://..." ----------------------------------------------------- */

/* KEY=VALUE with what is written as %XX decoded; KEY NULL: from the text. */
static int
keep_decoded(struct options *o, const char *key, const char *text, size_t len,
    struct dr_err *err)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	struct dr_buf b = { .max = TEXT_MAX };
	const char *hi, *lo;
	size_t i;
	char c;
	int rc = -1;

	if (dr_buf_add(&b, "", 0, err) == -1)
		return -1;
	for (i = 0; i < len; i++) {
		c = text[i];
		if (c == '%') {
			if (len - i < 3 ||
			    (hi = strchr(digits, text[i + 1])) == NULL ||
			    (lo = strchr(digits, text[i + 2])) == NULL)
				goto bad;
			c = (char)(((hi - digits) % 16) * 16 +
			           (lo - digits) % 16);
			if (c == '\0')
				goto bad;
			i += 2;
		}
		if (dr_buf_add(&b, &c, 1, err) == -1)
			goto out;
	}
	rc = keep(o, key, strlen(key), b.data, b.len, err);
	goto out;

bad:
	wrong(err);
out:
	if (b.data != NULL)
		explicit_bzero(b.data, b.len);
	dr_buf_free(&b);
	return rc;
}

/* "key=value&key=value"; JDBC's ssl=true is sslmode=require to libpq. */
static int
read_query(const char *s, struct options *o, struct dr_err *err)
{
	char key[64];
	size_t klen, vlen;

	while (*s != '\0') {
		klen = strcspn(s, "=&");
		if (s[klen] != '=' || klen >= sizeof(key))
			return wrong(err);
		memcpy(key, s, klen);
		key[klen] = '\0';
		s += klen + 1;
		vlen = strcspn(s, "&");
		if (strcmp(key, "ssl") == 0 && vlen == 4 &&
		    strncmp(s, "true", vlen) == 0) {
			if (keep(o, "sslmode", 7, "require", 7, err) == -1)
				return -1;
		} else if (keep_decoded(o, key, s, vlen, err) == -1)
			return -1;
		s += vlen;
		if (*s == '&')
			s++;
	}
	return 0;
}

/* What stands behind "//"; the hosts are not wanted. */
static int
read_uri(const char *s, struct options *o, struct dr_err *err)
{
	size_t len = strcspn(s, "@/"), user;

	if (s[len] == '@') {
		user = strcspn(s, ":@");
		if (user > 0 && keep_decoded(o, "user", s, user, err) == -1)
			return -1;
		if (s[user] == ':' && len > user + 1 &&
		    keep_decoded(o, "password", s + user + 1, len - user - 1,
		        err) == -1)
			return -1;
		s += len + 1;
	}
	s += strcspn(s, "/?");
	if (*s == '/') {
		s++;
		len = strcspn(s, "?");
		if (len > 0 && keep_decoded(o, "dbname", s, len, err) == -1)
			return -1;
		s += len;
	}
	return *s == '?' ? read_query(s + 1, o, err) : 0;
}

/* --- together ---------------------------------------------------------------- */

static int
put(const struct options *o, const char *host, const char *port, bool named,
    struct dr_buf *out, struct dr_err *err)
{
	const char *key;
	size_t i;

	if ((*host != '\0' &&
	        dr_pg_add_option(out, "host", host, strlen(host), err) == -1) ||
	    (*port != '\0' &&
	        dr_pg_add_option(out, "port", port, strlen(port), err) == -1))
		return -1;
	for (i = 0; i < o->n; i++) {
		key = o->v[i].key;
		if (!named && strcmp(key, "application_name") == 0)
			continue;
		/* A service may name an address, which would win. */
		if ((strcmp(key, "service") == 0 &&
		        dr_pg_add_option(out, "hostaddr", "", 0, err) == -1) ||
		    dr_pg_add_option(out, key, o->v[i].value,
		        strlen(o->v[i].value), err) == -1)
			return -1;
	}
	if (out->len > 0 && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
	return 0;
}

int
dr_node_conninfo_as(const char *old, const char *host, const char *port,
    bool named, struct dr_buf *out, struct dr_err *err)
{
	static const char *const schemes[] = { "postgresql://", "postgres://" };
	struct options o = { .n = 0 };
	const char *uri = NULL;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncmp(old, schemes[i], strlen(schemes[i])) == 0)
			uri = old + strlen(schemes[i]);
	rc = uri != NULL ? read_uri(uri, &o, err) : read_pairs(old, &o, err);
	if (rc == 0)
		rc = put(&o, host, port, named, out, err);
	wipe(&o);
	return rc;
}

int
dr_node_conninfo(const char *old, const char *host, const char *port,
    struct dr_buf *out, struct dr_err *err)
{
	return dr_node_conninfo_as(old, host, port, true, out, err);
}
