/* What etcd answers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/base64.h"
#include "base/num.h"
#include "coord/etcd.h"
#include "coord/etcd_json.h"

/* The first value of TEXT: of a stream, its first message.  NULL: none. */
static json_t *
parse(const char *text, size_t len)
{
	json_t *j = json_loadb(text, len,
	    JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, NULL);

	if (json_is_object(j))
		return j;
	json_decref(j);
	return NULL;
}

static int
damaged(struct dr_err *err, const char *what)
{
	return dr_err_set(err, DR_EDATA, "an answer of etcd makes no sense: %s",
	    what);
}

/* NULL also where it is null. */
static json_t *
field(const json_t *of, const char *name)
{
	json_t *v = json_object_get(of, name);

	return json_is_null(v) ? NULL : v;
}

/* A number, which is a string, or 0 where it is left out. */
static int
num(const json_t *of, const char *name, int64_t *out, struct dr_err *err)
{
	const json_t *v = field(of, name);
	const char *s = json_string_value(v);
	struct dr_err odd = { 0 };

	*out = 0;
	if (v == NULL)
		return 0;
	if (json_is_integer(v))
		*out = json_integer_value(v);
	else if (s == NULL ||
	         dr_parse_int(s, INT64_MIN, INT64_MAX, out, &odd) == -1)
		return damaged(err, name);
	return 0;
}

/* Text in base64; "" where it is left out. */
static char *
text(const json_t *of, const char *name, struct dr_err *err)
{
	const json_t *v = field(of, name);
	const char *s = v == NULL ? "" : json_string_value(v);
	char *out = NULL;
	size_t size;
	ssize_t n;

	if (s == NULL) {
		damaged(err, name);
		return NULL;
	}
	size = strlen(s) / 4 * 3;
	if ((out = malloc(size + 1)) == NULL) {
		dr_err_sys(err, "cannot read an answer of etcd");
		return NULL;
	}
	n = dr_unb64(s, (unsigned char *)out, size);
	if (n == -1 || memchr(out, '\0', (size_t)n) != NULL) {
		damaged(err, name);
		free(out);
		return NULL;
	}
	out[n] = '\0';
	return out;
}

void
dr_etcd_wipe(struct dr_etcd_reply *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->kv[i].key);
		free(r->kv[i].value);
	}
	free(r->kv);
	memset(r, 0, sizeof(*r));
}

static int
get_kv(const json_t *j, struct dr_etcd_kv *kv, struct dr_err *err)
{
	if (!json_is_object(j))
		return damaged(err, "kvs");
	if ((kv->key = text(j, "key", err)) == NULL ||
	    (kv->value = text(j, "value", err)) == NULL ||
	    num(j, "create_revision", &kv->created, err) == -1 ||
	    num(j, "mod_revision", &kv->modified, err) == -1 ||
	    num(j, "lease", &kv->lease, err) == -1)
		return -1;
	if (kv->key[0] == '\0' || kv->created < 1 || kv->modified < kv->created)
		return damaged(err, "kvs");
	return 0;
}

static int
get_kvs(const json_t *kvs, struct dr_etcd_reply *r, struct dr_err *err)
{
	size_t n = json_array_size(kvs);
	struct dr_etcd_kv *kv;

	if (kvs == NULL)
		return 0;
	if (!json_is_array(kvs))
		return damaged(err, "kvs");
	if (n == 0)
		return 0;
	if ((kv = realloc(r->kv, (r->n + n) * sizeof(*kv))) == NULL)
		return dr_err_sys(err, "cannot read an answer of etcd");
	r->kv = kv;
	memset(kv + r->n, 0, n * sizeof(*kv));
	for (size_t i = 0; i < n; i++)
		if (get_kv(json_array_get(kvs, i), &r->kv[r->n++], err) == -1)
			return -1;
	return 0;
}

static int
get_txn(const json_t *j, struct dr_etcd_reply *r, struct dr_err *err)
{
	const json_t *all = field(j, "responses"), *one, *range;
	const json_t *yes = field(j, "succeeded");
	size_t i;

	if (num(field(j, "header"), "revision", &r->revision, err) == -1)
		return -1;
	if (r->revision < 1)
		return damaged(err, "revision");
	if (yes != NULL && !json_is_boolean(yes))
		return damaged(err, "succeeded");
	r->succeeded = json_is_true(yes);
	if (all != NULL && !json_is_array(all))
		return damaged(err, "responses");
	json_array_foreach(all, i, one) {
		range = field(one, "response_range");
		if (range != NULL && !json_is_object(range))
			return damaged(err, "response_range");
		if (get_kvs(field(range, "kvs"), r, err) == -1)
			return -1;
	}
	return 0;
}

int
dr_etcd_txn_reply(const char *json, size_t len, struct dr_etcd_reply *r,
    struct dr_err *err)
{
	json_t *j = parse(json, len);
	int rc;

	dr_etcd_wipe(r);
	rc = j == NULL ? damaged(err, "no JSON") : get_txn(j, r, err);
	json_decref(j);
	if (rc == -1)
		dr_etcd_wipe(r);
	return rc;
}

/* Seconds of a lease. */
static int
seconds(const json_t *of, int *ttl, struct dr_err *err)
{
	int64_t v;

	if (num(of, "TTL", &v, err) == -1)
		return -1;
	if (v < -1 || v > 1000000000)
		return damaged(err, "TTL");
	*ttl = (int)v;
	return 0;
}

int
dr_etcd_grant_reply(const char *json, size_t len, int64_t *lease, int *ttl,
    struct dr_err *err)
{
	json_t *j = parse(json, len);
	int rc;

	rc = j == NULL ? damaged(err, "no JSON") : num(j, "ID", lease, err);
	if (rc == 0)
		rc = seconds(j, ttl, err);
	if (rc == 0 && (*lease == 0 || *ttl < 1))
		rc = damaged(err, "a lease without a number or time");
	json_decref(j);
	return rc;
}

int
dr_etcd_keepalive_reply(const char *json, size_t len, int *ttl,
    struct dr_err *err)
{
	json_t *j = parse(json, len);
	const json_t *result = field(j, "result");
	int rc = -1;

	if (j == NULL || !json_is_object(result))
		damaged(err, "no result");
	else if (seconds(result, ttl, err) == 0)
		rc = *ttl > 0;
	json_decref(j);
	return rc;
}

char *
dr_etcd_token_reply(const char *json, size_t len, struct dr_err *err)
{
	json_t *j = parse(json, len), *v = field(j, "token");
	const char *s = json_string_value(v);
	char *out = NULL;

	if (s == NULL || *s == '\0')
		damaged(err, "no token");
	else if ((out = strdup(s)) == NULL)
		dr_err_sys(err, "cannot keep etcd's token");
	if (s != NULL)
		explicit_bzero((char *)(uintptr_t)s, strlen(s));
	json_decref(j);
	return out;
}

/* --- errors ------------------------------------------------------------------- */

static void
set_text(struct dr_etcd_fault *f, const char *s)
{
	size_t n = 0;

	if (strncmp(s, "etcdserver: ", 12) == 0)
		s += 12;
	for (; *s != '\0' && n < sizeof(f->text) - 1; s++)
		f->text[n++] = *s >= ' ' && *s <= '~' ? *s : '?';
	f->text[n] = '\0';
}

/*
 * 3.4: {"error":TEXT,"message":TEXT,"code":N}, in a stream
 * {"error":{"grpc_code":N,"message":TEXT}}; since 3.6 {"code":N,"message":TEXT}.
 */
static void
find_error(const json_t *j, struct dr_etcd_fault *f)
{
	const json_t *e = field(j, "error"), *code, *msg;

	if (json_is_object(e)) {
		code = field(e, "grpc_code");
		msg = field(e, "message");
		j = e;
	} else {
		code = field(j, "code");
		msg = field(j, "message");
		if (msg == NULL)
			msg = e;
	}
	if (code == NULL)
		code = field(j, "code");
	if (json_is_integer(code) && json_integer_value(code) > 0 &&
	    json_integer_value(code) < 1000)
		f->code = (int)json_integer_value(code);
	if (json_is_string(msg))
		set_text(f, json_string_value(msg));
}

static bool
says(const struct dr_etcd_fault *f, const char *what)
{
	return strstr(f->text, what) != NULL;
}

static enum dr_etcd_verdict
by_status(int status)
{
	if (status == 401)
		return DR_ETCD_LOGIN;
	return status == 408 || status == 429 || status >= 500
	           ? DR_ETCD_LATER
	           : DR_ETCD_REFUSED;
}

static enum dr_etcd_verdict
judge(int status, const struct dr_etcd_fault *f)
{
	switch (f->code) {
	case DR_GRPC_NONE:
		return by_status(status);
	case DR_GRPC_UNAUTHENTICATED:
		return DR_ETCD_LOGIN;
	case DR_GRPC_INVALID:
		/* After rights were changed, and when there was no token. */
		return says(f, "revision in header is old") ||
		               says(f, "user name is empty") ||
		               says(f, "invalid auth token")
		           ? DR_ETCD_LOGIN
		           : DR_ETCD_REFUSED;
	case DR_GRPC_NOT_FOUND:
		return says(f, "lease not found") ? DR_ETCD_GONE
		                                  : DR_ETCD_REFUSED;
	case DR_GRPC_EXHAUSTED:
		return says(f, "space exceeded") ? DR_ETCD_REFUSED
		                                 : DR_ETCD_LATER;
	case DR_GRPC_CANCELED:
	case DR_GRPC_UNKNOWN:
	case DR_GRPC_DEADLINE:
	case DR_GRPC_ABORTED:
	case DR_GRPC_INTERNAL:
	case DR_GRPC_UNAVAILABLE:
		return DR_ETCD_LATER;
	default:
		return DR_ETCD_REFUSED;
	}
}

void
dr_etcd_fault(int status, const char *json, size_t len, struct dr_etcd_fault *f)
{
	json_t *j = len == 0 ? NULL : parse(json, len);

	memset(f, 0, sizeof(*f));
	f->code = DR_GRPC_NONE;
	if (status != 200 || field(j, "error") != NULL) {
		(void)snprintf(f->text, sizeof(f->text), "status %d", status);
		find_error(j, f);
		f->verdict = judge(status, f);
		f->open = f->verdict == DR_ETCD_LATER &&
		          f->code != DR_GRPC_EXHAUSTED &&
		          !says(f, "no leader") && !says(f, "proposal dropped");
	}
	json_decref(j);
}
