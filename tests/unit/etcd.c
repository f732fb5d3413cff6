/*
 * What is sent to etcd, to the byte (its gateway ignores names that it does
 * not know), and what its answers are taken for.
 */
#include "coord/etcd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "coord/etcd_json.h"
#include "tests/tap.h"
#include "tests/tmp.h"

static struct dr_err err;

/* "/dr/main/leader" and so on. */
#define LEADER "L2RyL21haW4vbGVhZGVy"
#define INTENT "L2RyL21haW4vaW50ZW50"

static bool
body_is(const struct dr_etcd_txn *t, const char *want)
{
	struct dr_buf b = { .max = 1 << 20 };
	bool good =
	    dr_etcd_txn_body(t, &b, &err) == 0 && strcmp(b.data, want) == 0;

	if (!good)
		printf("# got  %s\n# want %s\n", b.data == NULL ? "" : b.data,
		    want);
	dr_buf_free(&b);
	return good;
}

static void
transactions(void)
{
	const char *leader = "/dr/main/leader", *intent = "/dr/main/intent";
	const struct dr_etcd_if free_[] = { { leader, DR_ETCD_CREATED, 0 } };
	const struct dr_etcd_if held[] = { { leader, DR_ETCD_CREATED, 4 },
		{ leader, DR_ETCD_LEASE, INT64_MAX },
		{ intent, DR_ETCD_MODIFIED, 9 } };
	const struct dr_etcd_op take[] = { { .what = DR_ETCD_PUT,
	    .key = leader,
	    .value = "node1",
	    .lease = 2324035498202171398 } };
	const struct dr_etcd_op get[] = { { .key = leader } };
	const struct dr_etcd_op many[] = {
		{ .what = DR_ETCD_PUT, .key = intent, .value = "" },
		{ .what = DR_ETCD_PUT, .key = leader },
		{ .what = DR_ETCD_DELETE, .key = leader },
		{ .what = DR_ETCD_DELETE, .key = "/dr/a/", .prefix = true },
		{ .key = "/dr/a/", .prefix = true },
		{ .key = "/dr/a/", .prefix = true, .last = 10 },
		{ .key = "a\xff", .prefix = true },
		{ .key = "\xff", .prefix = true },
	};

	OK(body_is(&(const struct dr_etcd_txn){ free_, 1, take, 1, get, 1 },
	       "{\"compare\":[{\"key\":\"" LEADER "\",\"target\":\"CREATE\","
	       "\"result\":\"EQUAL\",\"create_revision\":\"0\"}],"
	       "\"success\":[{\"request_put\":{\"key\":\"" LEADER "\","
	       "\"value\":\"bm9kZTE=\",\"lease\":\"2324035498202171398\"}}],"
	       "\"failure\":[{\"request_range\":{\"key\":\"" LEADER "\"}}]}"),
	    "a key is taken");
	OK(body_is(&(const struct dr_etcd_txn){ held, 3, NULL, 0, NULL, 0 },
	       "{\"compare\":[{\"key\":\"" LEADER "\",\"target\":\"CREATE\","
	       "\"result\":\"EQUAL\",\"create_revision\":\"4\"},"
	       "{\"key\":\"" LEADER "\",\"target\":\"LEASE\","
	       "\"result\":\"EQUAL\",\"lease\":\"9223372036854775807\"},"
	       "{\"key\":\"" INTENT "\",\"target\":\"MOD\","
	       "\"result\":\"EQUAL\",\"mod_revision\":\"9\"}],"
	       "\"success\":[],\"failure\":[]}"),
	    "what a holder demands");
	OK(body_is(&(const struct dr_etcd_txn){ NULL, 0, many, 8, NULL, 0 },
	       "{\"compare\":[],\"success\":["
	       "{\"request_put\":{\"key\":\"" INTENT "\",\"value\":\"\"}},"
	       "{\"request_put\":{\"key\":\"" LEADER "\","
	       "\"ignore_value\":true,\"ignore_lease\":true}},"
	       "{\"request_delete_range\":{\"key\":\"" LEADER "\"}},"
	       "{\"request_delete_range\":{\"key\":\"L2RyL2Ev\","
	       "\"range_end\":\"L2RyL2Ew\"}},"
	       "{\"request_range\":{\"key\":\"L2RyL2Ev\","
	       "\"range_end\":\"L2RyL2Ew\"}},"
	       "{\"request_range\":{\"key\":\"L2RyL2Ev\","
	       "\"range_end\":\"L2RyL2Ew\",\"limit\":\"10\","
	       "\"sort_order\":\"DESCEND\",\"sort_target\":\"CREATE\"}},"
	       "{\"request_range\":{\"key\":\"Yf8=\",\"range_end\":\"Yg==\"}},"
	       "{\"request_range\":{\"key\":\"/w==\",\"range_end\":\"AA==\"}}"
	       "],\"failure\":[]}"),
	    "everything else");
}

static void
others(void)
{
	struct dr_buf b = { .max = 4096 }, small = { .max = 20 };
	const struct dr_etcd_op get = { .key = "/dr/a/" };

	OK(dr_etcd_ttl_body(10, &b, &err) == 0 &&
	        strcmp(b.data, "{\"TTL\":\"10\"}") == 0,
	    "a lease");
	b.len = 0;
	OK(dr_etcd_id_body(777, &b, &err) == 0 &&
	        strcmp(b.data, "{\"ID\":\"777\"}") == 0,
	    "its number");
	b.len = 0;
	OK(dr_etcd_auth_body("dr", "a\"\\b", &b, &err) == 0 &&
	        strcmp(b.data,
	            "{\"name\":\"dr\",\"password\":\"a\\\"\\\\b\"}") == 0,
	    "a user");
	OK(dr_etcd_txn_body(&(const struct dr_etcd_txn){ .then = &get,
	                        .thens = 1 },
	       &small, &err) == -1,
	    "no room");
	dr_err_clear(&err);
	dr_buf_free(&b);
	dr_buf_free(&small);
}

/* --- answers ------------------------------------------------------------------ */

static struct dr_etcd_reply r;

static int
read_(const char *json)
{
	dr_err_clear(&err);
	return dr_etcd_txn_reply(json, strlen(json), &r, &err);
}

static bool
damaged(const char *json)
{
	bool good = read_(json) == -1 && err.cause == DR_EDATA && r.n == 0 &&
	            r.kv == NULL;

	if (!good)
		printf("# %s\n", json);
	return good;
}

#define HEAD "{\"header\":{\"cluster_id\":\"1\",\"revision\":\"7\"}"
#define RANGE(kv)                                               \
	HEAD ",\"responses\":[{\"response_range\":{\"header\":" \
	     "{\"revision\":\"7\"},\"kvs\":[" kv "],\"count\":\"1\"}}]}"
#define KEY "\"key\":\"" LEADER "\","

static void
answers(void)
{
	OK(read_(HEAD ",\"succeeded\":true,\"responses\":[{\"response_put\":"
	              "{\"header\":{\"revision\":\"7\"}}}]}") == 0 &&
	        r.succeeded && r.revision == 7 && r.n == 0,
	    "it was done");
	OK(read_(RANGE("{" KEY "\"create_revision\":\"2\","
	               "\"mod_revision\":\"5\",\"version\":\"1\","
	               "\"value\":\"bm9kZTE=\",\"lease\":\"777\"}")) == 0 &&
	        !r.succeeded && r.n == 1 &&
	        strcmp(r.kv[0].key, "/dr/main/leader") == 0 &&
	        strcmp(r.kv[0].value, "node1") == 0 && r.kv[0].created == 2 &&
	        r.kv[0].modified == 5 && r.kv[0].lease == 777,
	    "it was not, and what is there instead");
	OK(read_(HEAD ",\"responses\":[{\"response_range\":{}}]}") == 0 &&
	        !r.succeeded && r.n == 0,
	    "or nothing is");
	OK(read_(
	       HEAD ",\"responses\":[{\"response_range\":{\"header\":{}}},"
	            "{\"response_delete_range\":{\"deleted\":\"1\"}}]}") == 0 &&
	        r.n == 0,
	    "all that may be left out is");
	OK(read_(RANGE("{" KEY "\"create_revision\":2,"
	               "\"mod_revision\":2}")) == 0 &&
	        r.n == 1 && r.kv[0].value[0] == '\0' && r.kv[0].lease == 0,
	    "an empty value, no lease, and numbers that are numbers");
	OK(read_(HEAD ",\"responses\":[{\"response_range\":{\"kvs\":null}},"
	              "{\"response_range\":null}],\"succeeded\":null}") == 0 &&
	        r.n == 0 && read_(HEAD ",\"responses\":null}") == 0,
	    "or null");
	OK(read_(HEAD ",\"succeeded\":false,\"responses\":[],"
	              "\"what\":[1,{}]}\n") == 0 &&
	        !r.succeeded,
	    "names that nobody knows");

	OK(damaged("") && damaged("{") && damaged("[]") && damaged("true") &&
	        damaged("<html>"),
	    "no JSON, or no object");
	OK(damaged("{}") && damaged("{\"header\":{}}") &&
	        damaged("{\"header\":{\"revision\":\"0\"}}") &&
	        damaged("{\"header\":{\"revision\":\"x\"}}") &&
	        damaged(
	            "{\"header\":{\"revision\":\"9223372036854775808\"}}") &&
	        damaged("{\"header\":{\"revision\":1.5}}"),
	    "no revision");
	OK(damaged(HEAD ",\"succeeded\":\"true\"}") &&
	        damaged(HEAD ",\"succeeded\":1}") &&
	        damaged(HEAD ",\"succeeded\":true,\"succeeded\":false}"),
	    "neither true nor false, or both");
	OK(damaged(HEAD ",\"responses\":{}}") &&
	        damaged(HEAD ",\"responses\":[{\"response_range\":[]}]}") &&
	        damaged(HEAD ",\"responses\":[{\"response_range\":"
	                     "{\"kvs\":{}}}]}"),
	    "no answers");
	OK(damaged(RANGE("1")) && damaged(RANGE("{}")) &&
	        damaged(RANGE("{" KEY "\"mod_revision\":\"5\"}")) &&
	        damaged(RANGE("{" KEY "\"create_revision\":\"5\","
	                      "\"mod_revision\":\"4\"}")),
	    "no key");
	OK(damaged(RANGE("{" KEY "\"create_revision\":\"2\",\"mod_revision\":"
	                 "\"2\",\"value\":\"bm9\"}")) &&
	        damaged(RANGE("{" KEY "\"create_revision\":\"2\","
	                      "\"mod_revision\":\"2\",\"value\":7}")) &&
	        damaged(RANGE("{" KEY "\"create_revision\":\"2\","
	                      "\"mod_revision\":\"2\",\"value\":\"AGEA\"}")),
	    "a value that is no text");
	dr_etcd_wipe(&r);
}

static int
alive(const char *json, int *ttl)
{
	dr_err_clear(&err);
	return dr_etcd_keepalive_reply(json, strlen(json), ttl, &err);
}

static void
leases(void)
{
	const char *grant = "{\"header\":{\"revision\":\"1\"},\"ID\":"
	                    "\"2324035498202171398\",\"TTL\":\"10\"}";
	int64_t id;
	int ttl;

	OK(dr_etcd_grant_reply(grant, strlen(grant), &id, &ttl, &err) == 0 &&
	        id == 2324035498202171398 && ttl == 10,
	    "granted");
	OK(dr_etcd_grant_reply("{}", 2, &id, &ttl, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "granted, but what?");
	OK(alive("{\"result\":{\"header\":{},\"ID\":\"777\",\"TTL\":\"10\"}}\n",
	       &ttl) == 1 &&
	        ttl == 10,
	    "a lease lives");
	OK(alive("{\"result\":{\"ID\":\"999\"}}\n", &ttl) == 0,
	    "one without a time is gone");
	OK(alive("{\"result\":{\"ID\":\"9\",\"TTL\":\"-1\"}}\n", &ttl) == 0 &&
	        alive("{\"result\":{\"ID\":\"9\",\"TTL\":\"0\"}}", &ttl) == 0,
	    "or with none left");
	OK(alive("{}", &ttl) == -1 && alive("{\"result\":[]}", &ttl) == -1 &&
	        alive("{\"result\":{\"TTL\":\"x\"}}", &ttl) == -1 &&
	        alive("", &ttl) == -1 && err.cause == DR_EDATA,
	    "what cannot be understood is not taken for that");
}

static void
tokens(void)
{
	const char *good = "{\"header\":{},\"token\":\"abc.1\"}";
	char *t = dr_etcd_token_reply(good, strlen(good), &err);

	dr_err_clear(&err);
	OK(t != NULL && strcmp(t, "abc.1") == 0, "a token");
	free(t);
	OK(dr_etcd_token_reply("{\"header\":{}}", 13, &err) == NULL &&
	        err.cause == DR_EDATA,
	    "none");
}

/* --- errors -------------------------------------------------------------------- */

static struct dr_etcd_fault f;

static bool
judged(int status, const char *json, enum dr_etcd_verdict want, bool open)
{
	dr_etcd_fault(status, json, strlen(json), &f);
	if (f.verdict == want && f.open == open)
		return true;
	printf("# %d %s: %d, %d\n", status, json, (int)f.verdict, f.open);
	return false;
}

/* As 3.4 has it. */
#define SAYS(text, code)                                                      \
	"{\"error\":\"etcdserver: " text "\",\"message\":\"etcdserver: " text \
	"\",\"code\":" #code "}"

static void
errors(void)
{
	OK(judged(200, "{\"header\":{}}", DR_ETCD_FINE, false), "none");
	OK(judged(404, SAYS("requested lease not found", 5), DR_ETCD_GONE,
	       false) &&
	        strcmp(f.text, "requested lease not found") == 0,
	    "a lease that is gone");
	OK(judged(503, SAYS("request timed out", 14), DR_ETCD_LATER, true),
	    "in time; it may be done yet");
	OK(judged(503, SAYS("no leader", 14), DR_ETCD_LATER, false),
	    "no leader: it is not");
	OK(judged(500, "{\"error\":\"not a primary lessor\",\"code\":2}",
	       DR_ETCD_LATER, true),
	    "a leader that is not yet one");
	OK(judged(429, SAYS("too many requests", 8), DR_ETCD_LATER, false),
	    "too many");
	OK(judged(429, SAYS("mvcc: database space exceeded", 8),
	       DR_ETCD_REFUSED, false),
	    "it is full");
	OK(judged(401, SAYS("invalid auth token", 16), DR_ETCD_LOGIN, false) &&
	        judged(400, SAYS("user name is empty", 3), DR_ETCD_LOGIN,
	            false) &&
	        judged(400, SAYS("revision in header is old", 3), DR_ETCD_LOGIN,
	            false),
	    "it has to know us (again)");
	OK(judged(403, SAYS("permission denied", 7), DR_ETCD_REFUSED, false) &&
	        judged(400, SAYS("duplicate key given in txn request", 3),
	            DR_ETCD_REFUSED, false) &&
	        judged(400, SAYS("authentication is not enabled", 9),
	            DR_ETCD_REFUSED, false),
	    "refused");
	OK(judged(200,
	       "{\"error\":{\"grpc_code\":14,\"http_code\":503,"
	       "\"message\":\"etcdserver: no leader\","
	       "\"http_status\":\"Service Unavailable\"}}",
	       DR_ETCD_LATER, false) &&
	        f.code == 14 && strcmp(f.text, "no leader") == 0,
	    "within a stream");
	OK(judged(200, "{\"error\":{\"grpc_code\":16,\"message\":\"x\"}}",
	       DR_ETCD_LOGIN, false),
	    "another");
	OK(judged(404,
	       "{\"code\":5,\"message\":\"etcdserver: requested lease not "
	       "found\",\"details\":[]}",
	       DR_ETCD_GONE, false),
	    "as later versions have it");
	OK(judged(404, "404 page not found\n", DR_ETCD_REFUSED, false) &&
	        strcmp(f.text, "status 404") == 0,
	    "no etcd, or an older one");
	OK(judged(502, "<html>", DR_ETCD_LATER, true) &&
	        judged(503, "", DR_ETCD_LATER, true) &&
	        judged(401, "", DR_ETCD_LOGIN, false),
	    "somebody in between");
	OK(judged(400, "{\"message\":\"a\\nb\\u00e9\",\"code\":3}",
	       DR_ETCD_REFUSED, false) &&
	        strcmp(f.text, "a?b??") == 0,
	    "its words are made harmless");
	OK(judged(400, "{\"error\":7,\"code\":\"x\"}", DR_ETCD_REFUSED, false),
	    "an error that is none");
}

/* --- opening -------------------------------------------------------------------- */

static bool
opens(const struct dr_etcd_opts *o, const char *why)
{
	struct dr_etcd *e;
	bool good;

	dr_err_clear(&err);
	e = dr_etcd_open(o, &err);
	good = why == NULL ? e != NULL
	                   : e == NULL && err.cause == DR_EUSAGE &&
	                         strstr(err.msg, why) != NULL;
	if (!good)
		printf("# %s: %s\n", o->spec, err.msg);
	dr_etcd_free(e);
	return good;
}

#define O(...) (&(const struct dr_etcd_opts){ .spec = __VA_ARGS__ })

static void
opening(void)
{
	char file[64];
	FILE *p;

	tmp_make();
	(void)snprintf(file, sizeof(file), "%s/password", tmp_dir);
	if ((p = fopen(file, "w")) == NULL)
		abort();
	(void)fputs("secret\n", p);
	(void)fclose(p);
	for (const char *const *v =
	         (const char *const[]){ "ETCDCTL_CACERT", "ETCDCTL_CERT",
	             "ETCDCTL_KEY", "ETCDCTL_USER", "ETCDCTL_PASSWORD", NULL };
	     *v != NULL; v++)
		unsetenv(*v);
	OK(opens(O("etcd://a"), NULL) &&
	        opens(O("etcd://a:1,b_c-d.e:2/"), NULL) &&
	        opens(O("etcds://[::1]:2379,[fe80::1%eth0],10.0.0.1"), NULL),
	    "members");
	OK(opens(O("etcd://u:p@a"), "holds no user") &&
	        strstr(err.msg, "u:p") == NULL,
	    "no user among them, and it is not repeated");
	OK(opens(O("etcd://a", .ca_file = file), "etcds://"),
	    "certificates without TLS");
	OK(opens(O("etcds://a", .ca_file = "/nowhere"), "\"/nowhere\""),
	    "a file that cannot be read");
	OK(opens(O("etcds://a", .key_file = file), "without its certificate"),
	    "a key alone");
	OK(opens(O("etcd://a", .user = "dr"), "no password"),
	    "a user without a password");
	OK(opens(O("etcd://a", .password_file = file), "without its user"),
	    "a password without a user");
	OK(opens(O("etcd://a", .user = "dr", .password_file = file), NULL),
	    "both");
	setenv("ETCDCTL_USER", "dr", 1);
	OK(opens(O("etcd://a"), "no password"), "a user, from the environment");
	setenv("ETCDCTL_USER", "dr:x", 1);
	OK(opens(O("etcd://a"), NULL), "with a password");
	OK(opens(O("etcd://a", .user = "other"), "no password"),
	    "which is not another's");
	setenv("ETCDCTL_PASSWORD", "x", 1);
	OK(opens(O("etcd://a", .user = "other"), NULL),
	    "that has a variable of its own");
	setenv("ETCDCTL_CACERT", "/nowhere", 1);
	OK(opens(O("etcd://a"), NULL), "what is for TLS only");
	OK(opens(O("etcds://a"), "\"/nowhere\""), "and with TLS");
}

int
main(void)
{
	transactions();
	others();
	answers();
	leases();
	tokens();
	errors();
	opening();
	return DONE();
}
