/* aws_ini.c - the files of AWS's tools, and what stands in them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/ask.h"
#include "store/aws_int.h"
#include "tests/tap.h"

static struct dr_err err;
static struct dr_ini ini;

static bool
parses(const char *text)
{
	dr_ini_wipe(&ini);
	dr_err_clear(&err);
	return dr_ini_parse(&ini, text, strlen(text), "f", &err) == 0;
}

static bool
is(const char *section, const char *outer, const char *key, const char *want)
{
	const char *got = dr_ini_get(&ini, section, outer, key);

	if (got == NULL || want == NULL)
		return got == want;
	return strcmp(got, want) == 0;
}

static bool
refused(const char *text, const char *why)
{
	return !parses(text) && err.cause == DR_EUSAGE &&
	       strstr(err.msg, why) != NULL && ini.text == NULL;
}

static void
test_ini(void)
{
	OK(parses("") && ini.n == 0, "an empty file");
	OK(parses("\n # x\n\t; y\n#[a\n\n") && ini.n == 0, "comments alone");
	OK(parses("[a]\nk=v") && is("a", NULL, "k", "v"),
	    "no newline at the end");
	OK(parses("[ a b\t] ; x\r\nK = v w \r\n") &&
	        is("a b", NULL, "k", "v w"),
	    "blanks and carriage returns");
	OK(parses("\xef\xbb\xbf[a]\nk=v\n") && is("a", NULL, "k", "v"),
	    "a byte order mark");
	OK(parses("[a]\nk = a=b#c ;d\nl = # all\nm=\n") &&
	        is("a", NULL, "k", "a=b#c") && is("a", NULL, "l", "") &&
	        is("a", NULL, "m", ""),
	    "a comment needs a blank before it");
	OK(parses("[a]\nk=1\n[b]\nk=2\n[a]\nl=3\n") && ini.sections == 2 &&
	        is("a", NULL, "l", "3") && is("b", NULL, "k", "2") &&
	        is("a", NULL, "k", "1"),
	    "a section that goes on later");
	OK(parses("[a]\nk=\n") && is("A", NULL, "k", NULL) &&
	        is("a", NULL, "x", NULL) && is("a", "k", "x", NULL),
	    "what is not there");
	OK(parses("[a]\ns3 =\n  url = x\n\n  # c\n  max = 1\nurl = y\n") &&
	        is("a", "s3", "url", "x") && is("a", "S3", "max", "1") &&
	        is("a", NULL, "url", "y"),
	    "keys inside a key");
	OK(parses("[a]\nk = one\n  two # c\n\tthree\nl=1\n") &&
	        is("a", NULL, "k", "one\ntwo # c\nthree") &&
	        is("a", NULL, "l", "1"),
	    "a value that goes on");
	OK(refused("[a]\nk=1\nK=2\n", "line 3: this key stands here a second"),
	    "a key twice");
	OK(refused("k=1\n", "line 1: a key before"), "a key outside");
	OK(refused("[a\n", "without \"]\""), "an open bracket");
	OK(refused("[ ]\n", "without a name"), "a section without a name");
	OK(refused("[a] b\n", "follows"), "text behind a section");
	OK(refused("[a]\nsecret\n", "line 2: neither"), "a word alone");
	OK(strstr(err.msg, "secret") == NULL, "which is not repeated");
	OK(refused("[a]\n=x\n", "without a key"), "no key");
	OK(refused("[a]\n x=1\n", "begins with a blank"), "a blank before it");
	OK(refused("[a]\nk=\x1b[m\n", "control"), "a control character");
	OK(dr_ini_parse(&ini, "a\0b", 3, "f", &err) == -1, "a NUL");
}

static void
test_words(void)
{
	static const struct {
		const char *text, *want;
	} good[] = {
		{ "/bin/x", "/bin/x|" },
		{ "  a  b\tc ", "a|b|c|" },
		{ "'a b' \"c d\"", "a b|c d|" },
		{ "a\\ b 'c\\d' \"e\\\"f\\g\"", "a b|c\\d|e\"f\\g|" },
		{ "x --k='v w'$HOME ''", "x|--k=v w$HOME||" },
	};
	static const char *const bad[] = { "", "  ", "a 'b", "\"", "a\\" };
	char **w, got[128];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		got[0] = '\0';
		if (dr_aws_words(good[i].text, &w, &err) == 0) {
			for (size_t j = 0; w[j] != NULL; j++) {
				size_t n = strlen(got);

				(void)snprintf(got + n, sizeof(got) - n, "%s|",
				    w[j]);
			}
			free(w[0]);
			free(w);
		}
		OK(strcmp(got, good[i].want) == 0, good[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		dr_err_clear(&err);
		OK(dr_aws_words(bad[i], &w, &err) == -1 &&
		        err.cause == DR_EUSAGE,
		    "no command");
	}
}

static void
test_hosts(void)
{
	static const char *const good[] = { "https://example.com/x",
		"http://127.0.0.1:99/", "http://127.9.9.9", "http://localhost/",
		"http://[::1]:80/x", "http://169.254.170.2/v2/x?y",
		"http://169.254.170.23/v1", "http://[fd00:ec2::23]/v1",
		"HTTP://LOCALHOST" };
	static const char *const bad[] = { "http://example.com/",
		"http://169.254.169.254/", "http://10.0.0.1/",
		"ftp://127.0.0.1/", "http://127.0.0.1.example.com/",
		"http://localhost.example.com", "http://127.0.0.1@example.com/",
		"http://127.0.0.1:80@x/", "http://[::2]/", "http://[::1]x/",
		"http://[::1]@x/", "http://", "", "http://2130706433/",
		"http://0x7f.1/", "http://[::ffff:127.0.0.1]/" };

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		OK(dr_ask_host_ok(good[i]), good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		OK(!dr_ask_host_ok(bad[i]), bad[i]);
}

static int
sts(const char *xml, struct dr_aws_keys *k, char code[128])
{
	char message[512];

	dr_err_clear(&err);
	return dr_aws_sts_parse(xml, strlen(xml), k, code, message, &err);
}

static int
json(const char *text, struct dr_aws_keys *k)
{
	dr_err_clear(&err);
	return dr_aws_keys_json(text, strlen(text), "Token", "x", k, &err);
}

static void
test_answers(void)
{
	struct dr_aws_keys k;
	char code[128];

	OK(sts("<R><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>"
	       "s&amp;t</SecretAccessKey><SessionToken>t</SessionToken>"
	       "<Expiration>2026-11-21T06:00:00Z</Expiration></Credentials>"
	       "<AccessKeyId>B</AccessKeyId></R>",
	       &k, code) == 0 &&
	        strcmp(k.access, "A") == 0 && strcmp(k.secret, "s&t") == 0 &&
	        strcmp(k.token, "t") == 0 &&
	        k.expiry == INT64_C(1795240800000000),
	    "the keys in an answer of STS");
	OK(sts("<E><Error><Code>Expired</Code><Message>x</Message></Error></E>",
	       &k, code) == 0 &&
	        k.access[0] == '\0' && strcmp(code, "Expired") == 0,
	    "an error of STS");
	OK(sts("<R><Credentials><AccessKeyId>A</AccessKeyId><AccessKeyId>B"
	       "</AccessKeyId></Credentials></R>",
	       &k, code) == -1 &&
	        err.cause == DR_EDATA,
	    "two of one");
	OK(sts("<R><Credentials><Expiration>soon</Expiration></Credentials></R>",
	       &k, code) == -1,
	    "a time that is none");
	OK(sts("<!DOCTYPE R [<!ENTITY a 'b'>]><R>&a;</R>", &k, code) == -1,
	    "entities");
	OK(sts("<R>", &k, code) == -1 && sts("", &k, code) == -1, "half of it");

	OK(json("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"}", &k) == 0 &&
	        k.token[0] == '\0' && k.expiry == 0,
	    "keys that do not expire");
	OK(json("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"\"}", &k) == -1 &&
	        k.access[0] == '\0',
	    "an empty secret");
	OK(json("[]", &k) == -1 && err.cause == DR_EDATA,
	    "JSON that is no object");
}

int
main(void)
{
	test_ini();
	dr_ini_wipe(&ini);
	test_words();
	test_hosts();
	test_answers();
	return DONE();
}
