/* What is sent to etcd. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "coord/etcd.h"
#include "coord/etcd_json.h"

struct body {
	struct dr_json j;
	struct dr_err err; /* of what JSON's writer does not see */
};

/* Numbers of 64 bits are strings. */
static void
num(struct body *b, const char *name, int64_t v)
{
	char s[24];

	(void)snprintf(s, sizeof(s), "%" PRId64, v);
	dr_json_str(&b->j, name, s);
}

static void
bytes(struct body *b, const char *name, const char *data, size_t n)
{
	struct dr_buf s = { .max = SIZE_MAX / 4 };

	if (dr_b64(&s, data, n, &b->err) == 0)
		dr_json_str(&b->j, name, s.data);
	dr_buf_free(&s);
}

/* The first key behind all that begin with KEY: its last byte, plus one. */
static void
range_end(struct body *b, const char *key)
{
	size_t n = strlen(key);
	char *end = strdup(key);

	if (end == NULL) {
		dr_err_sys(&b->err, "cannot make a request to etcd");
		return;
	}
	while (n > 0 && (unsigned char)end[n - 1] == 0xff)
		n--;
	if (n > 0) {
		end[n - 1] = (char)((unsigned char)end[n - 1] + 1);
		bytes(b, "range_end", end, n);
	} else
		bytes(b, "range_end", "", 1); /* all there are */
	free(end);
}

static void
key(struct body *b, const char *k, bool prefix)
{
	bytes(b, "key", k, strlen(k));
	if (prefix)
		range_end(b, k);
}

static void
cond(struct body *b, const struct dr_etcd_if *c)
{
	static const char *const name[][2] = {
		[DR_ETCD_CREATED] = { "CREATE", "create_revision" },
		[DR_ETCD_MODIFIED] = { "MOD", "mod_revision" },
		[DR_ETCD_LEASE] = { "LEASE", "lease" },
	};

	dr_json_object(&b->j, NULL);
	key(b, c->key, false);
	dr_json_str(&b->j, "target", name[c->target][0]);
	dr_json_str(&b->j, "result", "EQUAL");
	num(b, name[c->target][1], c->number);
	dr_json_close(&b->j, '}');
}

static void
put(struct body *b, const struct dr_etcd_op *op)
{
	dr_json_object(&b->j, "request_put");
	key(b, op->key, false);
	if (op->value != NULL) {
		bytes(b, "value", op->value, strlen(op->value));
		if (op->lease != 0)
			num(b, "lease", op->lease);
	} else {
		dr_json_bool(&b->j, "ignore_value", true);
		dr_json_bool(&b->j, "ignore_lease", true);
	}
}

static void
ops(struct body *b, const char *name, const struct dr_etcd_op *op, size_t n)
{
	dr_json_array(&b->j, name);
	for (; n > 0; n--, op++) {
		dr_json_object(&b->j, NULL);
		switch (op->what) {
		case DR_ETCD_GET:
			dr_json_object(&b->j, "request_range");
			key(b, op->key, op->prefix);
			if (op->last > 0) {
				num(b, "limit", (int64_t)op->last);
				dr_json_str(&b->j, "sort_order", "DESCEND");
				dr_json_str(&b->j, "sort_target", "CREATE");
			}
			break;
		case DR_ETCD_PUT:
			put(b, op);
			break;
		case DR_ETCD_DELETE:
			dr_json_object(&b->j, "request_delete_range");
			key(b, op->key, op->prefix);
			break;
		}
		dr_json_close(&b->j, '}');
		dr_json_close(&b->j, '}');
	}
	dr_json_close(&b->j, ']');
}

static void
begin(struct body *b, struct dr_buf *out)
{
	memset(b, 0, sizeof(*b));
	dr_json_init(&b->j, out);
	dr_json_object(&b->j, NULL);
}

static int
end(struct body *b, struct dr_err *err)
{
	dr_json_close(&b->j, '}');
	if (b->err.cause == DR_OK)
		return dr_json_end(&b->j, err);
	if (err->cause == DR_OK)
		*err = b->err;
	return -1;
}

int
dr_etcd_txn_body(const struct dr_etcd_txn *t, struct dr_buf *out,
    struct dr_err *err)
{
	struct body b;

	begin(&b, out);
	dr_json_array(&b.j, "compare");
	for (size_t i = 0; i < t->n; i++)
		cond(&b, &t->conds[i]);
	dr_json_close(&b.j, ']');
	ops(&b, "success", t->then, t->thens);
	ops(&b, "failure", t->other, t->others);
	return end(&b, err);
}

int
dr_etcd_ttl_body(int ttl, struct dr_buf *out, struct dr_err *err)
{
	struct body b;

	begin(&b, out);
	num(&b, "TTL", ttl);
	return end(&b, err);
}

int
dr_etcd_id_body(int64_t lease, struct dr_buf *out, struct dr_err *err)
{
	struct body b;

	begin(&b, out);
	num(&b, "ID", lease);
	return end(&b, err);
}

int
dr_etcd_auth_body(const char *user, const char *password, struct dr_buf *out,
    struct dr_err *err)
{
	struct body b;

	begin(&b, out);
	dr_json_str(&b.j, "name", user);
	dr_json_str(&b.j, "password", password);
	return end(&b, err);
}
