/* syncnames.c - synchronous_standby_names, read and written. */
#include "pg/syncnames.h"

#include <stdio.h>
#include <string.h>

#include "tests/tap.h"

/* TEXT read and written again; "!CAUSE": refused. */
static const char *
round_trip(const char *text)
{
	static char out[512];
	struct dr_syncnames sn;
	struct dr_buf b = { .max = sizeof(out) };
	struct dr_err err = { 0 };

	if (dr_syncnames_parse(text, &sn, &err) == -1 ||
	    dr_syncnames_format(&sn, &b, &err) == -1)
		(void)snprintf(out, sizeof(out), "!%d", (int)err.cause);
	else
		(void)snprintf(out, sizeof(out), "%s", b.data);
	dr_buf_free(&b);
	dr_syncnames_free(&sn);
	return out;
}

static void
reads(void)
{
	static const char *const t[][2] = {
		{ "", "" },
		{ "a", "FIRST 1 (a)" },
		{ "a, b", "FIRST 1 (a, b)" },
		{ " a ,\tb\n", "FIRST 1 (a, b)" },
		{ "2 (a, b)", "FIRST 2 (a, b)" },
		{ "2(a,b)", "FIRST 2 (a, b)" },
		{ "FIRST 1 (a)", "FIRST 1 (a)" },
		{ "first 3 (a, b, c, d)", "FIRST 3 (a, b, c, d)" },
		{ "ANY 2 (*, \"x y\")", "ANY 2 (*)" },
		{ "any 2 (\"x y\", *)", "ANY 2 (\"x y\", *)" },
		{ "any 007 (a)", "ANY 7 (a)" },
		{ "*", "FIRST 1 (*)" },
		{ "\"*\"", "FIRST 1 (*)" },
		{ "a, *, b", "FIRST 1 (a, *)" },
		{ "1, 2", "FIRST 1 (1, 2)" },
		{ "1", "FIRST 1 (1)" },
		{ "1, a", "FIRST 1 (1, a)" },
		{ "2 (1, 2, 3)", "FIRST 2 (1, 2, 3)" },
		{ "\"1a\"", "FIRST 1 (\"1a\")" },
		{ "\"any\", \"First\"", "FIRST 1 (\"any\", \"First\")" },
		{ "anyone, firstly", "FIRST 1 (anyone, firstly)" },
		{ "\"a\"\"b\"", "FIRST 1 (\"a\"\"b\")" },
		{ "\"\"", "FIRST 1 (\"\")" },
		{ "\"a-b\", \"a.b\"", "FIRST 1 (\"a-b\", \"a.b\")" },
		{ "Ab, \"Ab\", aB", "FIRST 1 (Ab)" },
		{ "a$1, _b", "FIRST 1 (a$1, _b)" },
		{ "\xc3\xa4, b", "FIRST 1 (\xc3\xa4, b)" },
		{ "\"a,b\", \"c)\"", "FIRST 1 (\"a,b\", \"c)\")" },
		{ " ", "!2" },
		{ ",", "!2" },
		{ "a,", "!2" },
		{ "a b", "!2" },
		{ "a-b", "!2" },
		{ "1a", "!2" },
		{ "2 (a", "!2" },
		{ "2 a)", "!2" },
		{ "2 ()", "!2" },
		{ "(a)", "!2" },
		{ "2 (a) b", "!2" },
		{ "2 (a))", "!2" },
		{ "0 (a)", "!2" },
		{ "99999999999 (a)", "!2" },
		{ "-1 (a)", "!2" },
		{ "any (a)", "!2" },
		{ "any", "!2" },
		{ "first, a", "!2" },
		{ "ANY two (a)", "!2" },
		{ "ANY 1 a", "!2" },
		{ "\"a", "!2" },
		{ "\"a\"\"", "!2" },
		{ "$a", "!2" },
		{ "a;b", "!2" },
	};
	const char *got;
	char what[128];
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		got = round_trip(t[i][0]);
		(void)snprintf(what, sizeof(what), "%zu: it is %s", i, t[i][1]);
		if (!OK(strcmp(got, t[i][1]) == 0, what))
			printf("# got %s\n", got);
		else if (*got != '!')
			OK(strcmp(round_trip(t[i][1]), t[i][1]) == 0,
			    "which is read as the same");
	}
}

static bool
matches(const char *text, const char *name)
{
	struct dr_syncnames sn;
	struct dr_err err = { 0 };
	bool yes = dr_syncnames_parse(text, &sn, &err) == 0 &&
	           dr_syncnames_match(&sn, name);

	dr_syncnames_free(&sn);
	return yes;
}

static bool
held(const char *text, size_t cut)
{
	struct dr_syncnames sn;
	struct dr_err err = { 0 };
	bool yes = dr_syncnames_parse(text, &sn, &err) == 0 &&
	           dr_syncnames_held(&sn, cut);

	dr_syncnames_free(&sn);
	return yes;
}

static const char *
swapped(const char *text, const char *leader, const char *former)
{
	static char out[512];
	struct dr_syncnames sn, other = { 0 };
	struct dr_buf b = { .max = sizeof(out) };
	struct dr_err err = { 0 };

	if (dr_syncnames_parse(text, &sn, &err) == -1 ||
	    dr_syncnames_swap(&sn, leader, former, &other, &err) == -1 ||
	    dr_syncnames_format(&other, &b, &err) == -1)
		(void)snprintf(out, sizeof(out), "!%d", (int)err.cause);
	else
		(void)snprintf(out, sizeof(out), "%s", b.data);
	dr_buf_free(&b);
	dr_syncnames_free(&sn);
	dr_syncnames_free(&other);
	return out;
}

static void
who(void)
{
	OK(matches("a, b", "b"), "one that is named");
	OK(matches("a, B", "b"), "without regard to case");
	OK(matches("a, \"B\"", "b"), "in quotes, too");
	OK(!matches("a, b", "c"), "one that is not");
	OK(!matches("a, b", ""), "none at all");
	OK(matches("ANY 1 (*)", "c"), "\"*\" is anybody");
	OK(!matches("", "a"), "nobody is waited for");
}

/* W of N, and how many are cut off. */
static void
truth(void)
{
	static const struct {
		const char *names;
		unsigned held_from; /* so many have to be cut off; 9: none */
	} t[] = {
		{ "", 9 },
		{ "a", 1 },
		{ "a, b", 2 },
		{ "a, b, c", 3 },
		{ "ANY 1 (a, b, c)", 3 },
		{ "ANY 2 (a, b, c)", 2 },
		{ "ANY 3 (a, b, c)", 1 },
		{ "ANY 2 (a, b, c, d, e)", 4 },
		{ "ANY 3 (a, b, c, d, e)", 3 },
		{ "FIRST 2 (a, b, c)", 2 },
		{ "FIRST 2 (a, b)", 1 },
		{ "2 (a, A)", 0 },
		{ "*", 9 },
		{ "ANY 2 (a, *)", 9 },
	};
	char what[80];
	size_t i, cut;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (cut = 0; cut < 6; cut++) {
			(void)snprintf(what, sizeof(what), "%s, %zu cut off",
			    t[i].names, cut);
			OK(held(t[i].names, cut) == (cut >= t[i].held_from),
			    what);
		}
}

static void
swaps(void)
{
	static const char *const t[][4] = {
		{ "ANY 1 (a, b)", "a", "p", "ANY 1 (p, b)" },
		{ "ANY 1 (a, b)", "A", "p", "ANY 1 (p, b)" },
		{ "a, b", "b", "p q", "FIRST 1 (a, \"p q\")" },
		{ "ANY 2 (a, b, p)", "a", "p", "ANY 2 (p, b, a)" },
		{ "ANY 1 (a, b)", "c", "p", "ANY 1 (a, b)" },
		{ "ANY 1 (b, p)", "a", "p", "ANY 1 (b, p)" },
		{ "ANY 1 (a, *)", "a", "p", "ANY 1 (p, *)" },
		{ "", "a", "p", "" },
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (!OK(strcmp(swapped(t[i][0], t[i][1], t[i][2]), t[i][3]) ==
		            0,
		        t[i][3]))
			printf("# got %s\n",
			    swapped(t[i][0], t[i][1], t[i][2]));
}

int
main(void)
{
	reads();
	who();
	truth();
	swaps();
	return DONE();
}
