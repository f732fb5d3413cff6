/* manifest.c - manifests parsed, written and changed. */
#include "manifest/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

#define ID     "20261120T120000Z-3f9a1c"
#define HASH16 "0123456789abcdef"
#define SHA    HASH16 HASH16 HASH16 HASH16
#define MUST                                                                 \
	"\"drtools\":1,\"id\":\"" ID "\",\"kind\":\"pg\",\"mode\":\"full\"," \
	"\"complete\":true,\"started\":\"2026-11-20T12:00:00Z\""

static struct dr_err err;

/* Is {MUST, MORE} taken?  MORE is "" or begins with a comma. */
static bool
taken(const char *more)
{
	char text[8192];
	json_t *m;

	(void)snprintf(text, sizeof(text), "{%s%s}", MUST, more);
	dr_err_clear(&err);
	m = dr_manifest_parse(text, strlen(text), "x", &err);
	json_decref(m);
	return m != NULL;
}

static bool
refused(const char *more, const char *field)
{
	char want[128];

	(void)snprintf(want, sizeof(want), "has a bad \"%s\"", field);
	return !taken(more) && err.cause == DR_EDATA &&
	       strstr(err.msg, want) != NULL;
}

/* Is TEXT refused, with words of WHY in the message? */
static bool
wrong(const char *text, const char *why)
{
	json_t *m;

	dr_err_clear(&err);
	m = dr_manifest_parse(text, strlen(text), "x", &err);
	json_decref(m);
	if (m != NULL || err.cause != DR_EDATA ||
	    strstr(err.msg, why) == NULL) {
		printf("# %s\n", err.msg);
		return false;
	}
	return true;
}

static void
test_fields(void)
{
	static const struct {
		const char *field, *good, *bad;
	} cases[] = {
		{ "seq", "7", "-1" },
		{ "seq", "0", "1.5" },
		{ "seq", "9223372036854775807", "\"7\"" },
		{ "signer", "\"" HASH16 "\"", "\"0123456789ABCDEF\"" },
		{ "signer", "\"" HASH16 "\"", "\"" HASH16 "0\"" },
		{ "set", "\"a.b-c_1\"", "\"../x\"" },
		{ "set", "\"a\"", "\"\"" },
		{ "parent", "null", "{}" },
		{ "parent", "{\"id\":\"" ID "\",\"sha256\":\"" SHA "\"}",
		    "{\"id\":\"" ID "\",\"sha256\":\"\"}" },
		{ "previous", "{\"id\":\"" ID "\",\"sha256\":\"" SHA "\"}",
		    "{\"id\":\"x\",\"sha256\":\"" SHA "\"}" },
		{ "previous", "null", "true" },
		{ "stopped", "\"2026-11-20T12:00:00.123456Z\"",
		    "\"2026-11-20T12:00:00+01:00\"" },
		{ "stopped", "\"2026-11-20T12:00:00Z\"",
		    "\"2026-11-20 12:00\"" },
		{ "host", "\"h\\u00f6st\"", "\"a\\u001b[2J\"" },
		{ "host", "\"\"", "\"a\\u009b2J\"" },
		{ "labels", "{\"a.b\":\"c\"}", "{\"A\":\"c\"}" },
		{ "labels", "{}", "[]" },
		{ "labels", "{\"a\":\"\"}", "{\"a\":1}" },
		{ "raw_size", "12", "true" },
		{ "start", "\"first\"", "1" },
		{ "abandoned",
		    "[{\"id\":\"" ID "\",\"seq\":3,\"sha256\":\"" SHA "\"}]",
		    "[null]" },
		{ "abandoned", "[]", "{}" },
		{ "pg", "{}", "1" },
		{ "seal", "{}", "null" },
		{ "object", "{}", "\"x\"" },
	};
	static const struct {
		const char *object, *name, *good, *bad;
	} nested[] = {
		{ "pg", "system_id", "\"18446744073709551615\"",
		    "\"18446744073709551616\"" },
		{ "pg", "system_id", "\"0\"", "\"01\"" },
		{ "pg", "system_id", "\"7\"", "7" },
		{ "pg", "start_lsn", "\"16/B374D848\"", "\"16\"" },
		{ "pg", "stop_lsn", "\"0/0\"", "\"0/123456789\"" },
		{ "pg", "wal", "false", "0" },
		{ "object", "sha256", "\"" SHA "\"", "\"" SHA "0\"" },
		{ "object", "size", "0", "-1" },
		{ "seal", "recipients", "[\"" HASH16 "\"]", "[\"x\"]" },
		{ "pack", "frames", "1", "\"1\"" },
	};
	char good[512], bad[512], path[64];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(good, sizeof(good), ",\"%s\":%s", cases[i].field,
		    cases[i].good);
		(void)snprintf(bad, sizeof(bad), ",\"%s\":%s", cases[i].field,
		    cases[i].bad);
		OK(taken(good), good);
		OK(refused(bad, cases[i].field), bad);
	}
	for (i = 0; i < sizeof(nested) / sizeof(nested[0]); i++) {
		(void)snprintf(good, sizeof(good), ",\"%s\":{\"%s\":%s}",
		    nested[i].object, nested[i].name, nested[i].good);
		(void)snprintf(bad, sizeof(bad), ",\"%s\":{\"%s\":%s}",
		    nested[i].object, nested[i].name, nested[i].bad);
		(void)snprintf(path, sizeof(path), "%s.%s", nested[i].object,
		    nested[i].name);
		OK(taken(good), good);
		OK(refused(bad, path), bad);
	}
}

static void
add(char *text, size_t size, const char *more)
{
	size_t len = strlen(text);

	(void)snprintf(text + len, size - len, "%s", more);
}

static void
test_lists(void)
{
	char text[4096] = ",\"news\":[";
	int i;

	for (i = 0; i < 16; i++)
		add(text, sizeof(text), i == 0 ? "1" : ",1");
	add(text, sizeof(text), "]");
	OK(taken(text), "an unknown list of 16 is let pass");
	text[strlen(text) - 1] = '\0';
	add(text, sizeof(text), ",1]");
	OK(!taken(text) && err.cause == DR_EDATA, "one of 17 is not");
	(void)snprintf(text, sizeof(text), ",\"deep\":");
	for (i = 0; i < 40; i++)
		add(text, sizeof(text), "[");
	for (i = 0; i < 40; i++)
		add(text, sizeof(text), "]");
	OK(!taken(text), "nor is what lies too deep");
	(void)snprintf(text, sizeof(text), ",\"labels\":{");
	for (i = 0; i < 17; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "%s\"k%d\":\"\"", i == 0 ? "" : ",", i);
	add(text, sizeof(text), "}");
	OK(refused(text, "labels"), "nor are 17 labels");
}

static void
test_form(void)
{
	char *big;
	json_t *m;

	OK(taken(""), "the least there can be");
	OK(wrong("", "not valid JSON"), "nothing");
	OK(wrong("{" MUST, "not valid JSON"), "cut off");
	OK(wrong("{" MUST "} x", "not valid JSON"), "something after it");
	OK(wrong("{" MUST "}\n\n", "not one line"), "two lines");
	OK(wrong("[1]", "not a JSON object"), "not an object");
	OK(wrong("{" MUST ",\"id\":\"" ID "\"}", "twice"), "a field twice");
	OK(wrong("{\"id\":1}", "no format version"), "no version");
	OK(wrong("{\"drtools\":2}", "of version 2"), "another version");
	OK(err.hint[0] != '\0', "which has a hint");
	OK(wrong("{\"drtools\":1}", "no \"id\""), "no id");
	OK(wrong("{" MUST ",\"a\":\"\xff\"}", "not valid JSON"),
	    "bytes that are not UTF-8");
	OK(wrong("{" MUST ",\"a\":\"\\u0000\"}", "not valid JSON"),
	    "a NUL in a string");
	OK(wrong("{" MUST ",\"a\":99999999999999999999}", "not valid JSON"),
	    "a number too large");

	if ((big = malloc(70000)) == NULL)
		return;
	(void)snprintf(big, 70000, "{%s,\"a\":\"%65000d\"}", MUST, 1);
	m = dr_manifest_parse(big, strlen(big), "x", &err);
	OK(m != NULL, "nearly 64 KiB");
	json_decref(m);
	(void)snprintf(big, 70000, "{%s,\"a\":\"%66000d\"}", MUST, 1);
	OK(wrong(big, "longer than 64 KiB"), "more than 64 KiB");
	free(big);
}

static void
test_ids(void)
{
	OK(dr_id_ok(ID), "an id");
	OK(!dr_id_ok(""), "no id: empty");
	OK(!dr_id_ok(ID "0"), "no id: longer");
	OK(!dr_id_ok("20261120T120000Z-3f9a1"), "no id: shorter");
	OK(!dr_id_ok("20261120T120000Z-3F9A1C"), "no id: capitals");
	OK(!dr_id_ok("2026112/T120000Z-3f9a1c"), "no id: a slash");
}

static void
test_changes(void)
{
	struct dr_buf line = { .max = 70000 };
	json_t *m, *again;

	dr_err_clear(&err);
	m = dr_manifest_new("files", INT64_C(1795176000000000), &err);
	OK(m != NULL, "a new one");
	OK(strncmp(dr_manifest_str(m, "id"), "20261120T120000Z-", 17) == 0,
	    "its id tells the start");
	OK(dr_id_ok(dr_manifest_str(m, "id")), "and is an id");
	OK(dr_manifest_label(m, "a.b=c=d", &err) == 0, "a label");
	OK(dr_manifest_label(m, "A=b", &err) == -1 && err.cause == DR_EUSAGE,
	    "not a label: capitals");
	dr_err_clear(&err);
	OK(dr_manifest_label(m, "ab", &err) == -1 && err.cause == DR_EUSAGE,
	    "not a label: no =");
	dr_err_clear(&err);
	OK(dr_manifest_label(m, "a=\x1b", &err) == -1, "not a label: ESC");
	dr_err_clear(&err);
	OK(dr_manifest_label(m, "a=\xff", &err) == -1,
	    "not a label: not UTF-8");
	dr_err_clear(&err);
	OK(dr_manifest_set_int(m, "pg.timeline", 3, &err) == 0 &&
	        dr_manifest_set_str(m, "pg.start_lsn", "0/1", &err) == 0 &&
	        dr_manifest_set_bool(m, "pg.wal", true, &err) == 0 &&
	        dr_manifest_set_str(m, "previous", NULL, &err) == 0,
	    "values by path");
	OK(dr_manifest_int(m, "pg.timeline", -1) == 3, "a number");
	OK(dr_manifest_bool(m, "pg.wal", false), "a truth");
	OK(strcmp(dr_manifest_str(m, "pg.start_lsn"), "0/1") == 0, "a text");
	OK(dr_manifest_str(m, "pg.none") == NULL &&
	        dr_manifest_str(m, "none.none") == NULL &&
	        dr_manifest_int(m, "id", -7) == -7,
	    "what is absent or of another kind");
	OK(dr_manifest_set_str(m, "host", "\xff", &err) == -1,
	    "a text that is not UTF-8 is refused");
	dr_err_clear(&err);
	OK(dr_manifest_line(m, &line, &err) == 0, "as a line");
	again = dr_manifest_parse(line.data, line.len, "x", &err);
	OK(again != NULL && json_equal(m, again), "which reads the same");
	json_decref(again);
	dr_manifest_unset(m, "pg.wal");
	dr_manifest_unset(m, "pg.none.none");
	OK(json_object_size(json_object_get(m, "pg")) == 2, "one taken out");
	dr_manifest_unset(m, "pg");
	OK(json_object_get(m, "pg") == NULL, "all taken out");
	OK(dr_manifest_set(m, "x", json_sprintf("%66000d", 1), &err) == 0,
	    "a long text");
	line.len = 0;
	OK(dr_manifest_line(m, &line, &err) == -1 && err.cause == DR_EDATA,
	    "makes a line too long");
	dr_buf_free(&line);
	json_decref(m);
}

int
main(void)
{
	test_form();
	test_fields();
	test_lists();
	test_ids();
	test_changes();
	return DONE();
}
