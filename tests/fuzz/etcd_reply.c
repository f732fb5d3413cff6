/* etcd_reply.c - any bytes as what etcd answers, and as what is kept in it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coord/etcd.h"
#include "coord/etcd_json.h"
#include "coord/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What was read can be written, and read again as the same. */
#define RECORD(name)                                                          \
	do {                                                                  \
		struct dr_rec_##name a, b;                                    \
		struct dr_buf one = { .max = 1 << 20 }, two = one;            \
                                                                              \
		if (dr_rec_##name##_get(text, &a, &err) == 0) {               \
			assert(dr_rec_##name##_put(&a, &one, &err) == 0);     \
			assert(dr_rec_##name##_get(one.data, &b, &err) == 0); \
			assert(dr_rec_##name##_put(&b, &two, &err) == 0);     \
			assert(strcmp(one.data, two.data) == 0);              \
		} else                                                        \
			assert(err.cause == DR_EDATA);                        \
		dr_err_clear(&err);                                           \
		dr_buf_free(&one);                                            \
		dr_buf_free(&two);                                            \
	} while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *json = (const char *)data;
	char *text = strndup(json, size), *token;
	struct dr_etcd_reply r = { 0 };
	struct dr_err err = { 0 };
	struct dr_etcd_fault f;
	int64_t lease;
	int ttl;

	if (text == NULL)
		return 0;
	if (dr_etcd_txn_reply(json, size, &r, &err) == -1)
		assert(err.cause == DR_EDATA && r.n == 0);
	else
		assert(r.revision > 0);
	for (size_t i = 0; i < r.n; i++)
		assert(r.kv[i].key[0] != '\0' && r.kv[i].value != NULL &&
		       r.kv[i].created > 0);
	dr_etcd_wipe(&r);
	dr_err_clear(&err);
	if (dr_etcd_grant_reply(json, size, &lease, &ttl, &err) == 0)
		assert(lease != 0 && ttl > 0);
	dr_err_clear(&err);
	if (dr_etcd_keepalive_reply(json, size, &ttl, &err) == 1)
		assert(ttl > 0);
	dr_err_clear(&err);
	if ((token = dr_etcd_token_reply(json, size, &err)) != NULL)
		assert(*token != '\0');
	free(token);
	dr_err_clear(&err);
	for (int status = 200; status < 600; status += 101) {
		dr_etcd_fault(status, json, size, &f);
		assert(status == 200 || f.verdict != DR_ETCD_FINE);
		for (const char *p = f.text; *p != '\0'; p++)
			assert(*p >= ' ' && *p <= '~');
	}
	RECORD(epoch);
	RECORD(intent);
	RECORD(sync);
	RECORD(node);
	RECORD(vote);
	RECORD(hold);
	RECORD(run);
	free(text);
	return 0;
}
