/*
 * opt.h - command lines, from one table.
 *
 * The table a tool declares is what parses its options and prints its
 * --help, so the two cannot disagree; tests/cli/man.t holds the manual page
 * to the same table.
 *
 * Accepted: -a, -abc, -ovalue, -o value, --long, --long=value, --long value,
 * and -- to end options.  Options come before operands.  Long options are
 * not abbreviated: an abbreviation in a script breaks when we add an option.
 */
#ifndef DR_BASE_OPT_H
#define DR_BASE_OPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum dr_opt_kind {
	DR_OPT_FLAG,   /* bool *: set to true */
	DR_OPT_COUNT,  /* unsigned *: plus one each time */
	DR_OPT_STR,    /* const char **: points into argv */
	DR_OPT_INT,    /* int *: within [min, max] */
	DR_OPT_SIZE,   /* uint64_t *: 4096, 64k, 5M, 1G; powers of 1024 */
	DR_OPT_MSEC,   /* uint64_t *: 500ms, 90s, 15m, 2h, 7d */
	DR_OPT_LIST,   /* struct dr_strs *: one more each time */
	DR_OPT_CHOICE, /* int *: index into "a|b|c", which is arg */
	DR_OPT_TIME,   /* int64_t *: RFC 3339 with zone, microseconds */
	DR_OPT_LSN,    /* uint64_t *: 0/16B3740 */
};

struct dr_opt {
	const char *name; /* "level"; NULL ends the table */
	char letter;      /* 'l', or 0 for none */
	enum dr_opt_kind kind;
	void *to;
	int min, max;     /* DR_OPT_INT only */
	const char *arg;  /* "N", as help prints it; NULL for flags */
	const char *help; /* one line, no capital, no full stop */
	const char *env;  /* variable that stands in for it, or NULL */
};

struct dr_cmd {
	const char *name;     /* "dr-pack", or a verb: "dr-key new" */
	const char *synopsis; /* "[-l N] [-j N] [-o FILE] [FILE]" */
	const char *summary;  /* one sentence for the top of --help */
	const char *examples; /* shown at the end of --help; lines */
	const struct dr_opt *opts;
};

/*
 * What every tool takes besides its own table; filled by dr_opt_parse.
 * -q, -v, --help and --version are answered there too (help and version
 * print to standard output and exit 0).
 */
struct dr_common {
	const char *state;       /* --state, DR_STATE, or the default */
	const char *metrics_dir; /* --metrics-dir, DR_METRICS_DIR, or NULL */
	const char *audit;       /* --audit, DR_AUDIT, or NULL */
	int progress;            /* 0 auto, 1 always, 2 never */
};
extern struct dr_common dr_common;

/*
 * Parse ARGV.  Returns the index of the first operand, or -1 with
 * DR_EUSAGE.  A variable named in env stands in for an option that was not
 * given; a list takes its words (split at white space), which live until
 * the process ends.
 */
int dr_opt_parse(const struct dr_cmd *, int argc, char *const argv[],
    struct dr_err *);

/* The same where at most one operand is allowed: *OPERAND or NULL. */
int dr_opt_operand(const struct dr_cmd *, int argc, char *const argv[],
    const char **operand, struct dr_err *);

/*
 * For tools with verbs: find ARGV[1] in the VERBS (N of them, by the word
 * after the tool's name).  `tool --help` lists them.  Returns its index; then
 * parse with argc - 1, argv + 1.  -1: DR_EUSAGE.
 */
int dr_opt_verb(const struct dr_cmd *tool, const struct dr_cmd *const verbs[],
    int n, int argc, char *const argv[], struct dr_err *);

#endif /* !DR_BASE_OPT_H */
