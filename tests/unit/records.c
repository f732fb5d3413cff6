/* The values of a set's keys: written, read again, and what is no such thing. */
#include "coord/records.h"

#include <stdlib.h>
#include <string.h>

#include "base/known.h"
#include "tests/tap.h"

static struct dr_err err;
static struct dr_buf out = { .max = 65536 };

#define T  INT64_C(1795161600000000) /* 2026-11-20T08:00:00Z */
#define TS "2026-11-20T08:00:00Z"

/* It is written as WANT, and read back as it was. */
#define BOTH(name, rec, want)                                           \
	do {                                                            \
		struct dr_rec_##name a_ = rec, b_;                      \
		bool good_;                                             \
                                                                        \
		out.len = 0;                                            \
		dr_err_clear(&err);                                     \
		good_ = dr_rec_##name##_put(&a_, &out, &err) == 0 &&    \
		        strcmp(out.data, want) == 0 &&                  \
		        dr_rec_##name##_get(out.data, &b_, &err) == 0;  \
		if (!good_)                                             \
			printf("# %s\n# %s\n", out.data, err.msg);      \
		out.len = 0;                                            \
		OK(good_ &&dr_rec_##name##_put(&b_, &out, &err) == 0 && \
		        strcmp(out.data, want) == 0,                    \
		    #name);                                             \
	} while (0)

#define R(...)              \
	{                   \
		__VA_ARGS__ \
	}

static void
both_ways(void)
{
	BOTH(epoch,
	    R(.epoch = 3, .leader = "b", .former = "a", .tli = 4,
	        .fork = 0x16B3740, .time = T + 5),
	    "{\"v\":1,\"epoch\":3,\"leader\":\"b\",\"former\":\"a\",\"tli\":4,"
	    "\"fork\":\"0/16B3740\",\"time\":\"2026-11-20T08:00:00.000005Z\"}");
	BOTH(intent,
	    R(.verb = "failover", .token = 7, .epoch = 3, .candidate = "b",
	        .former = "a", .tli = 3, .target = 0x200000000,
	        .step = DR_STEP_PROMOTING, .began = T, .time = T),
	    "{\"v\":1,\"verb\":\"failover\",\"token\":7,\"epoch\":3,"
	    "\"candidate\":\"b\",\"former\":\"a\",\"tli\":3,"
	    "\"target\":\"2/0\",\"step\":\"promoting\",\"began\":\"" TS
	    "\",\"time\":\"" TS "\"}");
	BOTH(sync,
	    R(.names = "ANY 1 (b, \"c d\")", .wait = 1, .any = true,
	        .restart = true, .members = 2, .member = { "b", "c d" },
	        .tli = 1, .leader = "a"),
	    "{\"v\":1,\"names\":\"ANY 1 (b, \\\"c d\\\")\",\"wait\":1,"
	    "\"any\":true,\"restart_after_crash\":true,"
	    "\"members\":[\"b\",\"c d\"],\"tli\":1,\"leader\":\"a\"}");
	BOTH(node,
	    R(.name = "b", .kind = "guard", .role = "standby",
	        .where = "10.0.0.2:5432", .tli = 1, .lsn = UINT64_MAX,
	        .rate = 0, .epoch = 2, .time = T),
	    "{\"v\":1,\"name\":\"b\",\"kind\":\"guard\",\"role\":\"standby\","
	    "\"where\":\"10.0.0.2:5432\",\"tli\":1,"
	    "\"lsn\":\"FFFFFFFF/FFFFFFFF\",\"rate\":0,\"epoch\":2,"
	    "\"time\":\"" TS "\"}");
	BOTH(node,
	    R(.name = "w", .kind = "receiver", .role = "cut", .tli = UINT32_MAX,
	        .rate = DR_UNKNOWN, .time = T),
	    "{\"v\":1,\"name\":\"w\",\"kind\":\"receiver\",\"role\":\"cut\","
	    "\"where\":\"\",\"tli\":4294967295,\"lsn\":\"0/0\",\"epoch\":0,"
	    "\"time\":\"" TS "\"}");
	BOTH(vote,
	    R(.name = "o", .where = "a:5432", .down = true, .since = T,
	        .time = T),
	    "{\"v\":1,\"name\":\"o\",\"where\":\"a:5432\",\"down\":true,"
	    "\"since\":\"" TS "\",\"time\":\"" TS "\"}");
	BOTH(hold, R(.who = "root@a", .why = "\xc3\xa9tude", .since = T),
	    "{\"v\":1,\"who\":\"root@a\",\"why\":\"\xc3\xa9tude\","
	    "\"since\":\"" TS "\"}");
	BOTH(hold, R(.who = "root@a", .why = "", .since = T, .until = T),
	    "{\"v\":1,\"who\":\"root@a\",\"why\":\"\",\"since\":\"" TS
	    "\",\"until\":\"" TS "\"}");
	BOTH(run,
	    R(.who = "root@a:1", .verb = "switchover", .nonce = "00ff",
	        .since = T),
	    "{\"v\":1,\"who\":\"root@a:1\",\"verb\":\"switchover\","
	    "\"nonce\":\"00ff\",\"since\":\"" TS "\"}");
}

#define EPOCH(v, epoch, leader, tli, fork)                                   \
	"{\"v\":" v ",\"epoch\":" epoch ",\"leader\":" leader                \
	",\"former\":\"a\",\"tli\":" tli ",\"fork\":" fork ",\"time\":\"" TS \
	"\"}"

static int
epoch(const char *json)
{
	struct dr_rec_epoch e;

	dr_err_clear(&err);
	return dr_rec_epoch_get(json, &e, &err);
}

static bool
bad(const char *json, const char *why)
{
	if (epoch(json) == -1 && err.cause == DR_EDATA &&
	    strstr(err.msg, why) != NULL)
		return true;
	printf("# %s: %s\n", json, err.msg);
	return false;
}

static void
damaged(void)
{
	char name[80] = "\"";

	OK(epoch(EPOCH("1", "1", "\"b\"", "1", "\"0/0\"")) == 0, "good");
	OK(epoch("{\"more\":[],\"v\":1,\"epoch\":1,\"leader\":\"b\","
	         "\"former\":\"\",\"tli\":1,\"fork\":\"0/0\",\"time\":\"" TS
	         "\"}") == 0,
	    "with what nobody knows");
	OK(bad(EPOCH("2", "1", "\"b\"", "1", "\"0/0\""), "later version"),
	    "of a later version");
	OK(bad("", "damaged") && bad("1", "damaged") && bad("[]", "damaged") &&
	        bad("{}", "damaged") && bad("{\"v\":1}x", "damaged") &&
	        bad("{\"v\":1,\"v\":1}", "damaged") &&
	        bad(EPOCH("0", "1", "\"b\"", "1", "\"0/0\""), "damaged") &&
	        bad(EPOCH("\"1\"", "1", "\"b\"", "1", "\"0/0\""), "damaged"),
	    "no record");
	OK(bad("{\"v\":1}", "\"epoch\"") &&
	        bad(EPOCH("1", "0", "\"b\"", "1", "\"0/0\""), "\"epoch\"") &&
	        bad(EPOCH("1", "1.5", "\"b\"", "1", "\"0/0\""), "\"epoch\"") &&
	        bad(EPOCH("1", "\"1\"", "\"b\"", "1", "\"0/0\""), "\"epoch\""),
	    "a number that is none");
	OK(bad(EPOCH("1", "1", "7", "1", "\"0/0\""), "\"leader\"") &&
	        bad(EPOCH("1", "1", "null", "1", "\"0/0\""), "\"leader\"") &&
	        bad(EPOCH("1", "1", "\"a\\nb\"", "1", "\"0/0\""), "\"leader\""),
	    "a name that is none");
	memset(name + 1, 'x', DR_NODE_NAME);
	(void)snprintf(name + 1 + DR_NODE_NAME, 4, "\"");
	out.len = 0;
	(void)dr_buf_fmt(&out, &err,
	    "{\"v\":1,\"epoch\":1,\"leader\":%s,\"former\":\"\",\"tli\":1,"
	    "\"fork\":\"0/0\",\"time\":\"" TS "\"}",
	    name);
	OK(bad(out.data, "\"leader\""), "too long a name");
	OK(bad(EPOCH("1", "1", "\"b\"", "4294967296", "\"0/0\""), "\"tli\"") &&
	        bad(EPOCH("1", "1", "\"b\"", "-1", "\"0/0\""), "\"tli\""),
	    "no timeline");
	OK(bad(EPOCH("1", "1", "\"b\"", "1", "\"x\""), "\"fork\"") &&
	        bad(EPOCH("1", "1", "\"b\"", "1", "0"), "\"fork\""),
	    "no position");
}

static void
edges(void)
{
	struct dr_rec_hold h = { .who = "a",
		.why = "one\ntwo\x7f",
		.since = T };
	struct dr_rec_sync s = { .members = DR_MEMBERS };
	struct dr_rec_intent i;

	out.len = 0;
	dr_err_clear(&err);
	OK(dr_rec_hold_put(&h, &out, &err) == 0 &&
	        dr_rec_hold_get(out.data, &h, &err) == 0 &&
	        strcmp(h.why, "one two ") == 0,
	    "a reason of two lines can be read again");
	out.len = 0;
	OK(dr_rec_sync_put(&s, &out, &err) == 0 &&
	        dr_rec_sync_get(out.data, &s, &err) == 0 &&
	        s.members == DR_MEMBERS,
	    "a set as large as it may be");
	s.members++;
	OK(dr_rec_sync_put(&s, &out, &err) == -1, "a larger one");
	dr_err_clear(&err);
	out.len = 0;
	(void)dr_buf_str(&out,
	    "{\"v\":1,\"names\":\"\",\"wait\":0,\"any\":false,"
	    "\"restart_after_crash\":false,\"tli\":1,\"leader\":\"a\","
	    "\"members\":[\"a\"",
	    &err);
	for (int n = 0; n < DR_MEMBERS; n++)
		(void)dr_buf_str(&out, ",\"a\"", &err);
	(void)dr_buf_str(&out, "]}", &err);
	OK(dr_rec_sync_get(out.data, &s, &err) == -1 && err.cause == DR_EDATA,
	    "  is not read either");
	dr_err_clear(&err);
	OK(dr_rec_intent_get("{\"v\":1,\"verb\":\"failover\",\"token\":7,"
	                     "\"epoch\":3,\"candidate\":\"b\",\"former\":\"a\","
	                     "\"tli\":3,\"target\":\"2/0\",\"step\":\"undoing\","
	                     "\"began\":\"" TS "\",\"time\":\"" TS "\"}",
	       &i, &err) == -1 &&
	        strstr(err.msg, "\"step\"") != NULL,
	    "a step that nobody knows");
	OK(strcmp(dr_step_word(DR_STEP_CHOSEN), "chosen") == 0 &&
	        strcmp(dr_step_word(DR_STEP_DONE), "done") == 0,
	    "steps by their names");
}

int
main(void)
{
	both_ways();
	damaged();
	edges();
	dr_buf_free(&out);
	return DONE();
}
