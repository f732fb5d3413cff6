#include "base/opt.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"

struct dr_common dr_common;

static bool want_help, want_version;
static const char *log_to;
static char *default_dir;

static const struct dr_opt common_opts[] = {
	{ "quiet", 'q', DR_OPT_FLAG, &dr_quiet, 0, 0, NULL,
	    "say nothing but errors", NULL },
	{ "verbose", 'v', DR_OPT_COUNT, &dr_verbose, 0, 0, NULL,
	    "say more; may be repeated", NULL },
	{ "help", 0, DR_OPT_FLAG, &want_help, 0, 0, NULL, "show this and exit",
	    NULL },
	{ "version", 0, DR_OPT_FLAG, &want_version, 0, 0, NULL,
	    "show the version and exit", NULL },
	{ "state", 0, DR_OPT_STR, &dr_common.state, 0, 0, "DIR",
	    "keep state in DIR", "DR_STATE" },
	{ "metrics-dir", 0, DR_OPT_STR, &dr_common.metrics_dir, 0, 0, "DIR",
	    "write Prometheus textfiles to DIR", "DR_METRICS_DIR" },
	{ "audit", 0, DR_OPT_STR, &dr_common.audit, 0, 0, "FILE",
	    "append a line for each act to FILE", "DR_AUDIT" },
	{ "log", 0, DR_OPT_STR, &log_to, 0, 0, "FILE",
	    "copy messages to FILE, or to \"syslog\"", "DR_LOG" },
	{ "progress", 0, DR_OPT_CHOICE, &dr_common.progress, 0, 0,
	    "auto|always|never", "show progress (auto)", NULL },
	{ 0 },
};

/* Bits of options seen: the tool's table first, the common one after it. */
#define MAX_OPTS 64

struct parse {
	const struct dr_cmd *cmd;
	bool given[2][MAX_OPTS];
};

static int
usage(const struct dr_cmd *cmd, struct dr_err *err)
{
	return dr_err_hint(err, "try '%s --help'", cmd->name);
}

static bool
takes_value(const struct dr_opt *o)
{
	return o->kind != DR_OPT_FLAG && o->kind != DR_OPT_COUNT;
}

/* How messages call it: "--level", or "-l" where it was written so. */
static void
call(const struct dr_opt *o, bool is_long, char out[64])
{
	if (is_long)
		snprintf(out, 64, "--%s", o->name);
	else
		snprintf(out, 64, "-%c", o->letter);
}

static int
set_choice(const struct dr_opt *o, const char *value, struct dr_err *err)
{
	size_t len = strlen(value);
	const char *s = o->arg;

	for (int i = 0;; i++) {
		size_t n = strcspn(s, "|");

		if (n == len && strncmp(s, value, n) == 0) {
			*(int *)o->to = i;
			return 0;
		}
		if (s[n] == '\0')
			return dr_err_set(err, DR_EUSAGE,
			    "\"%s\" is not one of %s", value, o->arg);
		s += n + 1;
	}
}

static int
set_value(const struct dr_opt *o, const char *value, struct dr_err *err)
{
	int64_t n;

	switch (o->kind) {
	case DR_OPT_FLAG:
		*(bool *)o->to = true;
		return 0;
	case DR_OPT_COUNT:
		if (*(unsigned *)o->to < UINT_MAX)
			++*(unsigned *)o->to;
		return 0;
	case DR_OPT_STR:
		*(const char **)o->to = value;
		return 0;
	case DR_OPT_INT:
		if (dr_parse_int(value, o->min, o->max, &n, err) == -1)
			return -1;
		*(int *)o->to = (int)n;
		return 0;
	case DR_OPT_SIZE:
		return dr_parse_size(value, o->to, err);
	case DR_OPT_MSEC:
		return dr_parse_msec(value, o->to, err);
	case DR_OPT_LIST:
		return dr_strs_add(o->to, value, err);
	case DR_OPT_CHOICE:
		return set_choice(o, value, err);
	case DR_OPT_TIME:
		return dr_parse_time(value, o->to, err);
	case DR_OPT_LSN:
		return dr_parse_lsn(value, o->to, err);
	}
	return dr_err_set(err, DR_EFAIL, "option of no known kind");
}

static const struct dr_opt *
find(struct parse *p, const char *name, size_t len, char letter, bool **given)
{
	const struct dr_opt *tables[2] = { p->cmd->opts, common_opts };

	for (int t = 0; t < 2; t++)
		for (int i = 0; tables[t] != NULL && i < MAX_OPTS &&
		                tables[t][i].name != NULL;
		     i++) {
			const struct dr_opt *o = &tables[t][i];

			if (name == NULL
			        ? o->letter == letter
			        : strlen(o->name) == len &&
			              strncmp(o->name, name, len) == 0) {
				*given = &p->given[t][i];
				return o;
			}
		}
	return NULL;
}

/* One option with its VALUE (NULL: none there). */
static int
apply(struct parse *p, const struct dr_opt *o, bool is_long, bool *given,
    const char *value, struct dr_err *err)
{
	char name[64];

	call(o, is_long, name);
	if (takes_value(o) && value == NULL) {
		dr_err_set(err, DR_EUSAGE, "option %s needs a value", name);
		return usage(p->cmd, err);
	}
	if (set_value(o, value != NULL ? value : "", err) == -1) {
		dr_err_wrap(err, "option %s", name);
		if (err->cause == DR_EUSAGE)
			usage(p->cmd, err);
		return -1;
	}
	*given = true;
	return 0;
}

/* --long at ARGV[*I]; *I moves over a value that stands by itself. */
static int
parse_long(struct parse *p, int argc, char *const argv[], int *i,
    struct dr_err *err)
{
	const char *s = argv[*i] + 2, *eq = strchr(s, '='), *value = NULL;
	size_t len = eq != NULL ? (size_t)(eq - s) : strlen(s);
	const struct dr_opt *o;
	bool *given;

	if ((o = find(p, s, len, 0, &given)) == NULL) {
		dr_err_set(err, DR_EUSAGE, "unknown option --%.*s",
		    len > 100 ? 100 : (int)len, s);
		return usage(p->cmd, err);
	}
	if (!takes_value(o) && eq != NULL) {
		dr_err_set(err, DR_EUSAGE, "option --%s takes no value",
		    o->name);
		return usage(p->cmd, err);
	}
	if (takes_value(o))
		value = eq != NULL ? eq + 1 : *i + 1 < argc ? argv[++*i] : NULL;
	return apply(p, o, true, given, value, err);
}

/* -abc, -ovalue or -o value. */
static int
parse_short(struct parse *p, int argc, char *const argv[], int *i,
    struct dr_err *err)
{
	const char *s = argv[*i] + 1, *value;
	const struct dr_opt *o;
	bool *given;

	for (; *s != '\0'; s++) {
		if ((o = find(p, NULL, 0, *s, &given)) == NULL) {
			if (*s > ' ' && *s < 127)
				dr_err_set(err, DR_EUSAGE, "unknown option -%c",
				    *s);
			else
				dr_err_set(err, DR_EUSAGE,
				    "unknown option -\\%03o",
				    (unsigned)(unsigned char)*s);
			return usage(p->cmd, err);
		}
		if (!takes_value(o)) {
			if (apply(p, o, false, given, NULL, err) == -1)
				return -1;
			continue;
		}
		value = s[1] != '\0'    ? s + 1
		        : *i + 1 < argc ? argv[++*i]
		                        : NULL;
		return apply(p, o, false, given, value, err);
	}
	return 0;
}

/* The words of lists that came from the environment. */
struct words {
	struct words *next;
	char text[];
};
static struct words *kept;

static int
list_from_env(const struct dr_opt *o, const char *value, struct dr_err *err)
{
	size_t size = strlen(value) + 1;
	struct words *w;
	char *s;

	if ((w = malloc(sizeof(*w) + size)) == NULL)
		return dr_err_sys(err, "cannot allocate a list");
	memcpy(w->text, value, size);
	w->next = kept;
	kept = w;
	for (s = w->text + strspn(w->text, " \t\n"); *s != '\0';) {
		char *end = s + strcspn(s, " \t\n");
		bool last = *end == '\0';

		*end = '\0';
		if (dr_strs_add(o->to, s, err) == -1)
			return -1;
		s = last ? end : end + 1 + strspn(end + 1, " \t\n");
	}
	return 0;
}

static int
from_env(const struct dr_cmd *cmd, const struct dr_opt *o, struct dr_err *err)
{
	const char *value = getenv(o->env);

	if (value == NULL || *value == '\0')
		return 0;
	/* A flag's variable set to 0 means no. */
	if (!takes_value(o) && strcmp(value, "0") == 0)
		return 0;
	if (o->kind == DR_OPT_LIST)
		return list_from_env(o, value, err);
	if (set_value(o, value, err) == -1) {
		dr_err_wrap(err, "environment variable %s", o->env);
		if (err->cause == DR_EUSAGE)
			usage(cmd, err);
		return -1;
	}
	return 0;
}

static int
environment(struct parse *p, struct dr_err *err)
{
	const struct dr_opt *tables[2] = { p->cmd->opts, common_opts };

	for (int t = 0; t < 2; t++)
		for (int i = 0; tables[t] != NULL && i < MAX_OPTS &&
		                tables[t][i].name != NULL;
		     i++)
			if (tables[t][i].env != NULL && !p->given[t][i] &&
			    from_env(p->cmd, &tables[t][i], err) == -1)
				return -1;
	return 0;
}

/* --- help ---------------------------------------------------------------- */

static int
left_width(const struct dr_opt *o)
{
	size_t n = 6 + 2 + strlen(o->name);

	if (takes_value(o) && o->arg != NULL)
		n += 1 + strlen(o->arg);
	return (int)n;
}

static void
help_table(const struct dr_opt *opts, int width)
{
	for (const struct dr_opt *o = opts; o->name != NULL; o++) {
		int n;

		if (o->letter != 0)
			n = printf("  -%c, --%s", o->letter, o->name);
		else
			n = printf("      --%s", o->name);
		if (takes_value(o) && o->arg != NULL)
			n += printf(" %s", o->arg);
		if (n > width)
			printf("\n%*s", width + 2, "");
		else
			printf("%*s", width + 2 - n, "");
		printf("%s", o->help);
		if (o->env != NULL)
			printf(" [%s]", o->env);
		putchar('\n');
	}
}

static int
table_width(const struct dr_opt *opts, int width)
{
	for (const struct dr_opt *o = opts; o != NULL && o->name != NULL; o++)
		if (left_width(o) > width && left_width(o) <= 28)
			width = left_width(o);
	return width;
}

static void
help(const struct dr_cmd *cmd)
{
	int width = table_width(common_opts, table_width(cmd->opts, 0));

	printf("%s\n\nusage: %s %s\n", cmd->summary, cmd->name, cmd->synopsis);
	if (cmd->opts != NULL && cmd->opts[0].name != NULL) {
		printf("\nOptions:\n");
		help_table(cmd->opts, width);
	}
	printf("\nCommon options:\n");
	help_table(common_opts, width);
	if (cmd->examples != NULL && *cmd->examples != '\0') {
		const char *s = cmd->examples;

		printf("\nExamples:\n");
		while (*s != '\0') {
			int n = (int)strcspn(s, "\n");

			printf("  %.*s\n", n, s);
			s += n;
			if (*s == '\n')
				s++;
		}
	}
}

static void
help_verbs(const struct dr_cmd *tool, const struct dr_cmd *const verbs[], int n)
{
	int width = 0;

	for (int i = 0; i < n; i++)
		if ((int)strlen(verbs[i]->name) > width)
			width = (int)strlen(verbs[i]->name);
	printf("%s\n\nusage: %s %s\n\nCommands:\n", tool->summary, tool->name,
	    tool->synopsis);
	for (int i = 0; i < n; i++)
		printf("  %-*s  %s\n", width, verbs[i]->name,
		    verbs[i]->summary);
	printf("\n'%s COMMAND --help' shows the options of one.\n", tool->name);
	if (tool->examples != NULL && *tool->examples != '\0')
		printf("\nExamples:\n%s%s", tool->examples,
		    tool->examples[strlen(tool->examples) - 1] == '\n' ? ""
		                                                       : "\n");
}

/* Leave after --help or --version. */
static void
leave(void)
{
	struct dr_err err = { 0 };

	exit(dr_main_end(&err));
}

static void
version(const struct dr_cmd *cmd)
{
	printf("%.*s (drtools) %s\n", (int)strcspn(cmd->name, " "), cmd->name,
	    DR_VERSION);
}

/* --- entry points -------------------------------------------------------- */

static int
default_state(struct dr_err *err)
{
	const char *home;
	char *s;

	if (geteuid() == 0)
		s = dr_fmt(err, "/var/lib/drtools");
	else if ((home = getenv("XDG_STATE_HOME")) != NULL && *home == '/')
		s = dr_fmt(err, "%s/drtools", home);
	else if ((home = getenv("HOME")) != NULL && *home != '\0')
		s = dr_fmt(err, "%s/.local/state/drtools", home);
	else
		s = dr_fmt(err, "/var/lib/drtools");
	free(default_dir);
	dr_common.state = default_dir = s;
	return s == NULL ? -1 : 0;
}

static void
start(void)
{
	memset(&dr_common, 0, sizeof(dr_common));
	want_help = want_version = false;
	log_to = NULL;
}

int
dr_opt_parse(const struct dr_cmd *cmd, int argc, char *const argv[],
    struct dr_err *err)
{
	struct parse p = { .cmd = cmd };
	int i;

	start();
	if (argc < 1)
		return dr_err_set(err, DR_EUSAGE, "no program name given");
	for (i = 1; i < argc; i++) {
		const char *s = argv[i];

		if (s[0] != '-' || s[1] == '\0')
			break;
		if (strcmp(s, "--") == 0) {
			i++;
			break;
		}
		if ((s[1] == '-' ? parse_long(&p, argc, argv, &i, err)
		                 : parse_short(&p, argc, argv, &i, err)) == -1)
			return -1;
		if (want_help || want_version) {
			if (want_help)
				help(cmd);
			else
				version(cmd);
			leave();
		}
	}
	if (environment(&p, err) == -1)
		return -1;
	if (dr_common.state == NULL && default_state(err) == -1)
		return -1;
	if (log_to != NULL && dr_log_open(log_to, err) == -1)
		return -1;
	return i;
}

int
dr_opt_operand(const struct dr_cmd *cmd, int argc, char *const argv[],
    const char **operand, struct dr_err *err)
{
	int i = dr_opt_parse(cmd, argc, argv, err);

	*operand = NULL;
	if (i == -1)
		return -1;
	if (argc - i > 1) {
		dr_err_set(err, DR_EUSAGE, "unexpected operand \"%.200s\"",
		    argv[i + 1]);
		return usage(cmd, err);
	}
	if (i < argc)
		*operand = argv[i];
	return 0;
}

int
dr_opt_verb(const struct dr_cmd *tool, const struct dr_cmd *const verbs[],
    int n, int argc, char *const argv[], struct dr_err *err)
{
	const char *word;

	if (argc < 2) {
		dr_err_set(err, DR_EUSAGE, "which command?");
		return usage(tool, err);
	}
	if (strcmp(argv[1], "--help") == 0) {
		help_verbs(tool, verbs, n);
		leave();
	}
	if (strcmp(argv[1], "--version") == 0) {
		version(tool);
		leave();
	}
	for (int i = 0; i < n; i++) {
		word = strrchr(verbs[i]->name, ' ');
		word = word == NULL ? verbs[i]->name : word + 1;
		if (strcmp(word, argv[1]) == 0)
			return i;
	}
	dr_err_set(err, DR_EUSAGE, "unknown command \"%.100s\"", argv[1]);
	return usage(tool, err);
}
