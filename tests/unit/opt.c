#include "base/opt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "tests/child.h"
#include "tests/tap.h"

static bool flag;
static unsigned count;
static const char *str;
static int num, choice;
static uint64_t size, msec, lsn;
static int64_t when;
static struct dr_strs list;
static struct dr_err e;

static const struct dr_opt opts[] = {
	{ "flag", 'f', DR_OPT_FLAG, &flag, 0, 0, NULL, "a flag", "T_FLAG" },
	{ "count", 'c', DR_OPT_COUNT, &count, 0, 0, NULL, "more", NULL },
	{ "str", 's', DR_OPT_STR, &str, 0, 0, "TEXT", "a string", "T_STR" },
	{ "num", 'n', DR_OPT_INT, &num, -5, 19, "N", "a number (3)", "T_NUM" },
	{ "size", 'S', DR_OPT_SIZE, &size, 0, 0, "BYTES", "a size", NULL },
	{ "msec", 0, DR_OPT_MSEC, &msec, 0, 0, "TIME", "a time", NULL },
	{ "list", 'L', DR_OPT_LIST, &list, 0, 0, "X", "a list", "T_LIST" },
	{ "choice", 'C', DR_OPT_CHOICE, &choice, 0, 0, "age|aes-256-gcm|a",
	    "one of them", "T_CHOICE" },
	{ "when", 't', DR_OPT_TIME, &when, 0, 0, "TIME", "a time", NULL },
	{ "lsn", 0, DR_OPT_LSN, &lsn, 0, 0, "LSN", "a place", NULL },
	{ 0 },
};
static const struct dr_cmd cmd = { "dr-test", "[-f] [FILE]",
	"Test the options.", "dr-test -f x\ndr-test -s 1 | cat", opts };
static const struct dr_cmd verb_new = { "dr-test new", "[NAME]", "Make one.",
	NULL, NULL };
static const struct dr_cmd verb_old = { "dr-test old", "NAME", "Take one.",
	NULL, opts };
static const struct dr_cmd *const verbs[] = { &verb_new, &verb_old };

static char *args[32];
static int nargs;

/* WORDS, split at blanks, behind a name; "''" is an empty one. */
static void
set_args(const char *words)
{
	static char copy[512];
	char *s = copy;

	snprintf(copy, sizeof(copy), "t %s", words);
	for (nargs = 0; *s != '\0' && nargs < 31;) {
		args[nargs++] = s;
		s += strcspn(s, " ");
		if (*s != '\0')
			*s++ = '\0';
		if (strcmp(args[nargs - 1], "''") == 0)
			args[nargs - 1][0] = '\0';
	}
	args[nargs] = NULL;
	flag = false;
	count = 0;
	str = NULL;
	num = choice = -99;
	size = msec = lsn = 0;
	when = 0;
	dr_strs_free(&list);
	dr_quiet = false;
	dr_verbose = 0;
	dr_err_clear(&e);
}

static int
parse(const char *words)
{
	int i;

	set_args(words);
	i = dr_opt_parse(&cmd, nargs, args, &e);
	if (i == -1)
		printf("# %s\n", e.msg);
	return i;
}

static bool
fails(const char *words, const char *text)
{
	return parse(words) == -1 && e.cause == DR_EUSAGE &&
	       strcmp(e.msg, text) == 0 &&
	       strcmp(e.hint, "try 'dr-test --help'") == 0;
}

static void
forms(void)
{
	OK(parse("") == 1 && !flag && num == -99, "nothing");
	OK(parse("-f") == 2 && flag, "-f");
	OK(parse("--flag") == 2 && flag, "--flag");
	OK(parse("-ccc -c --count") == 4 && count == 5, "counts add up");
	OK(parse("-s x") == 3 && strcmp(str, "x") == 0, "-s x");
	OK(parse("-sx") == 2 && strcmp(str, "x") == 0, "-sx");
	OK(parse("-s=x") == 2 && strcmp(str, "=x") == 0, "-s=x is \"=x\"");
	OK(parse("--str x") == 3 && strcmp(str, "x") == 0, "--str x");
	OK(parse("--str=x") == 2 && strcmp(str, "x") == 0, "--str=x");
	OK(parse("--str=a=b") == 2 && strcmp(str, "a=b") == 0, "--str=a=b");
	OK(parse("--str=") == 2 && *str == '\0', "--str= is empty");
	OK(parse("--str ''") == 3 && *str == '\0', "and so is --str ''");
	OK(parse("-s --flag") == 3 && strcmp(str, "--flag") == 0 && !flag,
	    "a value may look like an option");
	OK(parse("-s --") == 3 && strcmp(str, "--") == 0, "or like --");
	OK(parse("-fcs x") == 3 && flag && count == 1 && *str == 'x', "-fcs x");
	OK(parse("-fsx") == 2 && flag && strcmp(str, "x") == 0, "-fsx");
	OK(parse("-s a -s b --str=c") == 6 && strcmp(str, "c") == 0,
	    "the last one wins");
	OK(parse("-n 19 -n -5") == 5 && num == -5, "numbers");
	OK(parse("-S 64k --msec 2h --lsn 0/16B3740 -t 1970-01-01T00:00:01Z") ==
	            9 &&
	        size == 65536 && msec == 7200000 && lsn == 0x16b3740 &&
	        when == 1000000,
	    "sizes, times, places");
	OK(parse("-C age") == 3 && choice == 0 &&
	        parse("-C aes-256-gcm") == 3 && choice == 1 &&
	        parse("-C a") == 3 && choice == 2,
	    "choices");
	OK(parse("-L a -Lb --list=c") == 5 && list.n == 3 &&
	        strcmp(list.v[0], "a") == 0 && strcmp(list.v[2], "c") == 0,
	    "lists");
}

static void
operands(void)
{
	const char *one = "?";

	OK(parse("file -f") == 1 && !flag, "options stop at an operand");
	OK(parse("-f -- -c") == 3 && flag && count == 0 &&
	        strcmp(args[3], "-c") == 0,
	    "-- ends them");
	OK(parse("-f -") == 2 && flag, "- is an operand");
	OK(parse("-- --") == 2 && strcmp(args[2], "--") == 0, "-- -- ");
	OK(parse("''") == 1, "an empty operand");
	set_args("-f x");
	OK(dr_opt_operand(&cmd, nargs, args, &one, &e) == 0 &&
	        strcmp(one, "x") == 0,
	    "one operand");
	set_args("-f");
	OK(dr_opt_operand(&cmd, nargs, args, &one, &e) == 0 && one == NULL,
	    "none");
	set_args("a b");
	OK(dr_opt_operand(&cmd, nargs, args, &one, &e) == -1 &&
	        e.cause == DR_EUSAGE &&
	        strcmp(e.msg, "unexpected operand \"b\"") == 0,
	    "two");
}

static void
errors(void)
{
	OK(fails("-x", "unknown option -x"), "unknown letter");
	OK(fails("-fx", "unknown option -x"), "unknown letter in a bundle");
	OK(fails("-\x01", "unknown option -\\001"), "one not printable");
	OK(fails("--nope", "unknown option --nope"), "unknown name");
	OK(fails("--nope=1", "unknown option --nope"), "with a value");
	OK(fails("--fla", "unknown option --fla"), "no abbreviations");
	OK(fails("--flags", "unknown option --flags"), "no more than it");
	OK(fails("--=x", "unknown option --"), "no name");
	OK(fails("---", "unknown option ---"), "three dashes");
	OK(fails("--flag=1", "option --flag takes no value"), "flag = value");
	OK(fails("-s", "option -s needs a value"), "no value");
	OK(fails("--str", "option --str needs a value"), "no value, long");
	OK(fails("-fs", "option -s needs a value"), "no value in a bundle");
	OK(fails("-n 20", "option -n: \"20\" is not a whole number from "
	                  "-5 to 19"),
	    "too large");
	OK(fails("--num=x", "option --num: \"x\" is not a whole number from "
	                    "-5 to 19"),
	    "no number");
	OK(fails("-n ''", "option -n: \"\" is not a whole number from "
	                  "-5 to 19"),
	    "an empty number");
	OK(fails("-S 1x", "option -S: \"1x\" is not a size such as 4096, 64k, "
	                  "5M or 1G"),
	    "no size");
	OK(fails("--msec 5", "option --msec: \"5\" is not a time such as "
	                     "500ms, 90s, 15m, 2h or 7d"),
	    "no unit");
	OK(fails("--lsn 5", "option --lsn: \"5\" is not an LSN such as "
	                    "0/16B3740"),
	    "no LSN");
	OK(fails("-C ag", "option -C: \"ag\" is not one of "
	                  "age|aes-256-gcm|a"),
	    "no such choice");
	OK(fails("-C ''", "option -C: \"\" is not one of "
	                  "age|aes-256-gcm|a"),
	    "an empty choice");
	OK(fails("-C age|a", "option -C: \"age|a\" is not one of "
	                     "age|aes-256-gcm|a"),
	    "two choices");
	OK(parse("-t 2026-11-20T12:00:00") == -1 &&
	        strstr(e.hint, "UTC") != NULL,
	    "the parser's own hint stays");
	OK(dr_opt_parse(&cmd, 0, args, &e) == -1, "no program name");
}

static void
common(void)
{
	OK(parse("-qv -v --verbose --quiet") == 5 && dr_quiet &&
	        dr_verbose == 3,
	    "-q and -v");
	OK(parse("--state /s --metrics-dir=/m --audit /a --progress never") ==
	            8 &&
	        strcmp(dr_common.state, "/s") == 0 &&
	        strcmp(dr_common.metrics_dir, "/m") == 0 &&
	        strcmp(dr_common.audit, "/a") == 0 && dr_common.progress == 2,
	    "common options");
	OK(parse("") == 1 && dr_common.metrics_dir == NULL &&
	        dr_common.audit == NULL && dr_common.progress == 0,
	    "nothing stays from before");
	OK(fails("--progress on", "option --progress: \"on\" is not one of "
	                          "auto|always|never"),
	    "--progress on");
	OK(parse("--log /nonexistent/x") == -1 && e.cause == DR_EFAIL,
	    "a log that cannot be opened");
}

static int
state_of_user(void *arg)
{
	(void)arg;
	if (geteuid() == 0 && setuid(65534) == -1)
		return 9;
	if (dr_opt_parse(&cmd, nargs, args, &e) != 1)
		return 8;
	printf("%s\n", dr_common.state);
	fflush(stdout);
	return 0;
}

static void
environment(void)
{
	struct child c;

	setenv("T_STR", "env", 1);
	setenv("T_NUM", "7", 1);
	setenv("T_FLAG", "1", 1);
	setenv("T_LIST", "  a b\tc\n", 1);
	setenv("T_CHOICE", "a", 1);
	OK(parse("") == 1 && strcmp(str, "env") == 0 && num == 7 && flag &&
	        choice == 2,
	    "variables stand in");
	OK(list.n == 3 && strcmp(list.v[0], "a") == 0 &&
	        strcmp(list.v[1], "b") == 0 && strcmp(list.v[2], "c") == 0,
	    "a list takes the words");
	OK(parse("-s x -n 1 -L z -C age") == 9 && strcmp(str, "x") == 0 &&
	        num == 1 && list.n == 1 && *list.v[0] == 'z' && choice == 0,
	    "options win");
	setenv("T_NUM", "x", 1);
	OK(fails("", "environment variable T_NUM: \"x\" is not a whole "
	             "number from -5 to 19"),
	    "a bad variable is named");
	OK(parse("-n 1") == 3, "unless it is not needed");
	setenv("T_NUM", "", 1);
	setenv("T_STR", "", 1);
	setenv("T_LIST", " ", 1);
	setenv("T_FLAG", "0", 1);
	OK(parse("") == 1 && num == -99 && str == NULL && list.n == 0 && !flag,
	    "empty is not set; a flag's 0 is no");
	unsetenv("T_STR");
	unsetenv("T_NUM");
	unsetenv("T_FLAG");
	unsetenv("T_LIST");
	unsetenv("T_CHOICE");

	setenv("DR_STATE", "/st", 1);
	setenv("DR_METRICS_DIR", "/me", 1);
	setenv("DR_AUDIT", "/au", 1);
	OK(parse("") == 1 && strcmp(dr_common.state, "/st") == 0 &&
	        strcmp(dr_common.metrics_dir, "/me") == 0 &&
	        strcmp(dr_common.audit, "/au") == 0,
	    "common variables");
	OK(parse("--state=/x") == 2 && strcmp(dr_common.state, "/x") == 0,
	    "and options over them");
	unsetenv("DR_STATE");
	unsetenv("DR_METRICS_DIR");
	unsetenv("DR_AUDIT");

	set_args("");
	setenv("XDG_STATE_HOME", "/xdg", 1);
	setenv("HOME", "/home/x", 1);
	child_run(&c, state_of_user, NULL);
	OK(strcmp(c.out, "/xdg/drtools\n") == 0, "state in XDG_STATE_HOME");
	setenv("XDG_STATE_HOME", "relative", 1);
	child_run(&c, state_of_user, NULL);
	OK(strcmp(c.out, "/home/x/.local/state/drtools\n") == 0,
	    "which must be absolute");
	unsetenv("XDG_STATE_HOME");
	child_run(&c, state_of_user, NULL);
	OK(strcmp(c.out, "/home/x/.local/state/drtools\n") == 0,
	    "state under HOME");
	if (geteuid() == 0)
		OK(parse("") == 1 &&
		        strcmp(dr_common.state, "/var/lib/drtools") == 0,
		    "state of root");
}

static int
run_parse(void *arg)
{
	struct dr_err err = { 0 };

	(void)arg;
	dr_main_begin("dr-test");
	dr_opt_parse(&cmd, nargs, args, &err);
	return dr_main_end(&err);
}

static int
run_verb(void *arg)
{
	struct dr_err err = { 0 };
	int i;

	(void)arg;
	dr_main_begin("dr-test");
	i = dr_opt_verb(&cmd, verbs, 2, nargs, args, &err);
	if (i != -1)
		dr_opt_parse(verbs[i], nargs - 1, args + 1, &err);
	return dr_main_end(&err);
}

static int
run_full(void *arg)
{
	(void)arg;
	if (freopen("/dev/full", "w", stdout) == NULL)
		return 99;
	return run_parse(NULL);
}

static void
helping(void)
{
	static const char want[] =
	    "Test the options.\n"
	    "\n"
	    "usage: dr-test [-f] [FILE]\n"
	    "\n"
	    "Options:\n"
	    "  -f, --flag             a flag [T_FLAG]\n"
	    "  -c, --count            more\n"
	    "  -s, --str TEXT         a string [T_STR]\n"
	    "  -n, --num N            a number (3) [T_NUM]\n"
	    "  -S, --size BYTES       a size\n"
	    "      --msec TIME        a time\n"
	    "  -L, --list X           a list [T_LIST]\n"
	    "  -C, --choice age|aes-256-gcm|a\n"
	    "                         one of them [T_CHOICE]\n"
	    "  -t, --when TIME        a time\n"
	    "      --lsn LSN          a place\n"
	    "\n"
	    "Common options:\n";
	struct child c;

	set_args("--help");
	child_run(&c, run_parse, NULL);
	OK(c.status == 0 && c.err[0] == '\0', "--help");
	if (!OK(strncmp(c.out, want, strlen(want)) == 0, "as it should look"))
		printf("# %s\n", c.out);
	OK(strstr(c.out, "\n      --state DIR        keep state in DIR "
	                 "[DR_STATE]\n") != NULL &&
	        strstr(c.out, "\n  -q, --quiet  ") != NULL,
	    "common options are listed");
	OK(strstr(c.out,
	       "\nExamples:\n  dr-test -f x\n  dr-test -s 1 | cat\n") != NULL,
	    "and examples");
	set_args("-f --version --nonsense");
	child_run(&c, run_parse, NULL);
	OK(c.status == 0 &&
	        strcmp(c.out, "dr-test (drtools) " DR_VERSION "\n") == 0,
	    "--version");
	set_args("--help");
	child_run(&c, run_full, NULL);
	OK(c.status == DR_EFAIL &&
	        strstr(c.err,
	            "dr-test: error: cannot write standard output: No space") !=
	            NULL,
	    "help on a full disk fails");
	set_args("--nonsense");
	child_run(&c, run_parse, NULL);
	OK(c.status == DR_EUSAGE && c.out[0] == '\0' &&
	        strcmp(c.err, "dr-test: error: unknown option --nonsense\n"
	                      "dr-test: hint: try 'dr-test --help'\n") == 0,
	    "usage error");
}

static void
verbing(void)
{
	struct child c;

	set_args("new");
	OK(dr_opt_verb(&cmd, verbs, 2, nargs, args, &e) == 0, "a verb");
	set_args("old -f");
	OK(dr_opt_verb(&cmd, verbs, 2, nargs, args, &e) == 1 &&
	        dr_opt_parse(verbs[1], nargs - 1, args + 1, &e) == 2 && flag,
	    "and its options");
	set_args("ol");
	OK(dr_opt_verb(&cmd, verbs, 2, nargs, args, &e) == -1 &&
	        e.cause == DR_EUSAGE &&
	        strcmp(e.msg, "unknown command \"ol\"") == 0,
	    "no such verb");
	set_args("");
	OK(dr_opt_verb(&cmd, verbs, 2, 1, args, &e) == -1 &&
	        e.cause == DR_EUSAGE,
	    "no verb");
	set_args("--help");
	child_run(&c, run_verb, NULL);
	OK(c.status == 0 && strstr(c.out, "\nCommands:\n"
	                                  "  dr-test new  Make one.\n"
	                                  "  dr-test old  Take one.\n") != NULL,
	    "--help lists them");
	set_args("--version");
	child_run(&c, run_verb, NULL);
	OK(c.status == 0 &&
	        strcmp(c.out, "dr-test (drtools) " DR_VERSION "\n") == 0,
	    "--version");
	set_args("new --help");
	child_run(&c, run_verb, NULL);
	OK(c.status == 0 &&
	        strncmp(c.out,
	            "Make one.\n\nusage: dr-test new [NAME]\n\nCommon options:\n",
	            54) == 0,
	    "help of a verb without options");
	set_args("new --version");
	child_run(&c, run_verb, NULL);
	OK(strcmp(c.out, "dr-test (drtools) " DR_VERSION "\n") == 0,
	    "version of a verb");
	set_args("new -f");
	child_run(&c, run_verb, NULL);
	OK(c.status == DR_EUSAGE &&
	        strstr(c.err, "hint: try 'dr-test new --help'") != NULL,
	    "hint of a verb");
}

int
main(void)
{
	unsetenv("DR_STATE");
	unsetenv("DR_METRICS_DIR");
	unsetenv("DR_AUDIT");
	unsetenv("DR_LOG");
	forms();
	operands();
	errors();
	common();
	environment();
	helping();
	verbing();
	dr_strs_free(&list);
	return DONE();
}
