/* setconf.c - what is laid down for a set, and where it may go. */
#include "flow/setconf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "tests/tap.h"
#include "tests/tmp.h"

static struct dr_err err;

/* The value of x in TEXT; "-" none, "!" refused. */
static const char *
value_of(const char *text)
{
	static char out[256];
	struct dr_setconf c;
	const char *v;

	dr_err_clear(&err);
	if (dr_setconf_parse(text, strlen(text), "c", &c, &err) == -1)
		(void)snprintf(out, sizeof(out), "!%d", (int)err.cause);
	else {
		v = dr_setconf_get(&c, "x");
		(void)snprintf(out, sizeof(out), "%s", v == NULL ? "-" : v);
	}
	dr_setconf_wipe(&c);
	return out;
}

static void
good(void)
{
	static const char *const t[][2] = {
		{ "", "-" },
		{ "x=1", "1" },
		{ "x=1\n", "1" },
		{ "x=\n", "" },
		{ "  x=1  # one\n", "1" },
		{ "# x=2\n\n\t# more\ny=3\n", "-" },
		{ "x='a b'\n", "a b" },
		{ "x=\"a b\"", "a b" },
		{ "x=a'b c'\"d e\"f", "ab cd ef" },
		{ "x='$HOME `a` \\ \"'", "$HOME `a` \\ \"" },
		{ "x=\"\\$a \\` \\\\ \\\" \\n\"", "$a ` \\ \" \\n" },
		{ "x=a#b", "a#b" },
		{ "x=''", "" },
		{ "x=1\nx=2\n", "2" },
		{ "xx=1\nX=2\n", "-" },
		{ "x=s3://b/p=1,a@b:c%20", "s3://b/p=1,a@b:c%20" },
		{ "x=a~b", "a~b" },
		{ "x='a'#b", "a#b" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		OK(strcmp(value_of(t[i][0]), t[i][1]) == 0,
		    "it is read as a shell reads it");
		if (strcmp(value_of(t[i][0]), t[i][1]) != 0)
			printf("# <%s> is <%s>\n", t[i][0], value_of(t[i][0]));
	}
}

static void
bad(void)
{
	static const char *const t[] = { "x", "x =1", "x= 1 2", "x=a b",
		"x=$HOME", "x=\"$HOME\"", "x=`id`", "x=\"`id`\"", "x=a;b",
		"x=a&", "x=a|b", "x=<f", "x=(a)", "x=*", "x=a?", "x=[a]", "x=~",
		"x=a\\b", "x='a", "x=\"a", "x='a\nb'", "x=a\\\nb", "1x=1", "=1",
		"export x=1", "x+=1", "x-y=1", ". file", "x=\"a\\\"",
		"if x=1" };

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		OK(strcmp(value_of(t[i]), "!2") == 0, "it needs a shell");
		if (strcmp(value_of(t[i]), "!2") != 0)
			printf("# <%s> is <%s>\n", t[i], value_of(t[i]));
	}
	OK(strcmp(value_of("y=1\n\nx=$a\n"), "!2") == 0 &&
	        strstr(err.msg, "line 3") != NULL,
	    "the line is named");
}

static void
allowed(void)
{
	static const struct {
		const char *words, *url, *region;
		bool yes;
	} t[] = {
		{ "eu-west-1", "s3://b/p", "eu-west-1", true },
		{ "eu-west-1", "s3://b/p", "eu-west-10", false },
		{ "eu-west-10", "s3://b/p", "eu-west-1", false },
		{ "eu-west-1", "s3://b/p", NULL, false },
		{ "eu-west-1", "eu-west-1/x", NULL, false },
		{ "a eu-west-1\tb", "s3://b/p", "eu-west-1", true },
		{ "/backup", "/backup", NULL, true },
		{ "/backup", "/backup/x", NULL, true },
		{ "/backup", "/backup2", NULL, false },
		{ "/backup/", "/backup/x", NULL, true },
		{ "file:/backup", "/backup/x", NULL, true },
		{ "file:/backup", "/else", NULL, false },
		{ "/back", "/backup", NULL, false },
		{ "s3://b", "s3://b/p", NULL, true },
		{ "s3://b", "s3://b?endpoint=x", "r", true },
		{ "s3://b", "s3://bb/p", "r", false },
		{ "s3://", "s3://bb/p", "r", true },
		{ "x /backup", "/backup", NULL, true },
		{ "", "/backup", NULL, false },
		{ "  ", "/backup", "", false },
		{ "/", "/backup", NULL, true },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		bool yes = dr_regions_allow(t[i].words, t[i].url, t[i].region);

		OK(yes == t[i].yes, "a store is where it may be, or not");
		if (yes != t[i].yes)
			printf("# \"%s\" \"%s\"\n", t[i].words, t[i].url);
	}
}

static void
files(void)
{
	struct dr_store *s[2] = { NULL, NULL };
	char url[64], text[128];
	struct dr_setconf c;

	(void)setenv("DR_CONF_DIR", tmp_dir, 1);
	dr_err_clear(&err);
	OK(dr_setconf_read("s", &c, &err) == 0 && c.n == 0,
	    "no file is an empty one");
	dr_setconf_wipe(&c);
	(void)snprintf(url, sizeof(url), "%s/a", tmp_dir);
	s[0] = dr_store_open(url, NULL, &err);
	(void)snprintf(url, sizeof(url), "%s/b", tmp_dir);
	s[1] = dr_store_open(url, NULL, &err);
	if (s[0] == NULL || s[1] == NULL)
		abort();
	OK(dr_regions_check("s", s, 2, &err) == 0, "then all stores may be");
	(void)snprintf(text, sizeof(text), "rpo=1h\nregions='x %s/a'\n",
	    tmp_dir);
	(void)snprintf(url, sizeof(url), "%s/s.conf", tmp_dir);
	if (dr_file_put(url, 0644, DR_FILE_NEW, text, strlen(text), &err) == -1)
		abort();
	OK(dr_regions_check("s", s, 1, &err) == 0, "one that is named");
	OK(dr_regions_check("t", s, 2, &err) == 0, "another set");
	OK(dr_regions_check("s", s, 2, &err) == -1 && err.cause == DR_EUSAGE &&
	        strstr(err.msg, "/b\"") != NULL,
	    "one that is not named");
	dr_err_clear(&err);
	(void)snprintf(url, sizeof(url), "%s/d.conf", tmp_dir);
	if (mkdir(url, 0755) == -1)
		abort();
	OK(dr_regions_check("d", s, 1, &err) == -1,
	    "a file that cannot be read allows nothing");
	dr_store_free(s[0]);
	dr_store_free(s[1]);
}

int
main(void)
{
	tmp_make();
	good();
	bad();
	allowed();
	files();
	tmp_leave();
	return DONE();
}
