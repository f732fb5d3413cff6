#include "base/json.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "base/num.h"
#include "tests/tap.h"

static struct dr_buf out = { .max = 65536 };
static struct dr_json j;
static struct dr_err e;

static void
begin(void)
{
	dr_buf_free(&out);
	dr_json_init(&j, &out);
}

static bool
is(const char *want)
{
	bool good = dr_json_end(&j, &e) == 0 && out.data != NULL &&
	            strcmp(out.data, want) == 0;

	if (!good)
		printf("# %s\n", out.data != NULL ? out.data : "nothing");
	return good;
}

static bool
str_is(const char *s, const char *want)
{
	begin();
	dr_json_str(&j, NULL, s);
	return is(want);
}

int
main(void)
{
	unsigned char rnd[400];
	json_t *doc;
	bool good = true;

	begin();
	dr_json_object(&j, NULL);
	dr_json_str(&j, "a", "b");
	dr_json_int(&j, "min", INT64_MIN);
	dr_json_uint(&j, "max", UINT64_MAX);
	dr_json_bool(&j, "t", true);
	dr_json_bool(&j, "f", false);
	dr_json_null(&j, "n");
	dr_json_array(&j, "list");
	dr_json_int(&j, NULL, 1);
	dr_json_object(&j, NULL);
	dr_json_close(&j, '}');
	dr_json_array(&j, NULL);
	dr_json_close(&j, ']');
	dr_json_raw(&j, NULL, "{\"x\":1}");
	dr_json_close(&j, ']');
	dr_json_real(&j, "r", 0.1);
	dr_json_close(&j, '}');
	OK(is("{\"a\":\"b\",\"min\":-9223372036854775808,"
	      "\"max\":18446744073709551615,\"t\":true,\"f\":false,\"n\":null,"
	      "\"list\":[1,{},[],{\"x\":1}],\"r\":0.1}"),
	    "every kind of value");

	OK(str_is("", "\"\"") && str_is(NULL, "null"), "empty and NULL");
	OK(str_is("\"\\/\b\f\n\r\t\x01\x1f\x7f",
	       "\"\\\"\\\\/\\u0008\\u000c\\n\\r\\t\\u0001\\u001f\\u007f\""),
	    "escapes");
	OK(str_is("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x98",
	       "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x98\""),
	    "UTF-8 goes through");
#define BAD "\xef\xbf\xbd"
	OK(str_is("a\xff"
	          "b",
	       "\"a" BAD "b\"") &&
	        str_is("\x80", "\"" BAD "\"") &&
	        str_is("\xc3", "\"" BAD "\"") &&
	        str_is("\xc0\xaf", "\"" BAD BAD "\"") &&
	        str_is("\xe0\x80\xaf", "\"" BAD BAD BAD "\"") &&
	        str_is("\xed\xa0\x80", "\"" BAD BAD BAD "\"") &&
	        str_is("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\"") &&
	        str_is("\xf8\x88\x80\x80\x80", "\"" BAD BAD BAD BAD BAD "\"") &&
	        str_is("\xe2\x82", "\"" BAD BAD "\"") &&
	        str_is("\xe2\x82"
	               "a",
	            "\"" BAD BAD "a\""),
	    "what is not UTF-8 becomes U+FFFD, byte by byte");
	OK(str_is("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf",
	       "\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\""),
	    "borders of UTF-8");
	begin();
	dr_json_strn(&j, NULL, "a\0b", 3);
	OK(is("\"a\\u0000b\""), "a NUL inside");
	begin();
	dr_json_object(&j, NULL);
	dr_json_int(&j, "k\"\xff", 1);
	dr_json_close(&j, '}');
	OK(is("{\"k\\\"" BAD "\":1}"), "keys are escaped too");

	begin();
	dr_json_array(&j, NULL);
	dr_json_real(&j, NULL, 1.5);
	dr_json_real(&j, NULL, 3);
	dr_json_real(&j, NULL, 1e300);
	dr_json_real(&j, NULL, (double)NAN);
	dr_json_real(&j, NULL, (double)INFINITY);
	dr_json_real(&j, NULL, 1795176000.123456);
	dr_json_close(&j, ']');
	OK(is("[1.5,3,1e+300,null,null,1795176000.123456]"), "reals");

	for (int i = 0; i < 300; i++) {
		if (dr_random(rnd, sizeof(rnd), &e) == -1)
			break;
		begin();
		dr_json_array(&j, NULL);
		dr_json_strn(&j, NULL, (char *)rnd, sizeof(rnd));
		dr_json_close(&j, ']');
		doc = json_loadb(out.data, out.len, JSON_ALLOW_NUL, NULL);
		if (dr_json_end(&j, &e) == -1 || doc == NULL)
			good = false;
		json_decref(doc);
	}
	OK(good, "random bytes make valid JSON");

	dr_buf_free(&out);
	out.max = 8;
	dr_json_init(&j, &out);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "key", "value");
	dr_json_close(&j, '}');
	OK(dr_json_end(&j, &e) == -1 && e.cause == DR_EFAIL && out.len <= 8,
	    "a full buffer is told at the end");
	dr_buf_free(&out);
	return DONE();
}
