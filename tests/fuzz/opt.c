/*
 * Command lines and numbers.  The input is split at newlines into words:
 * they are parsed as options, as the value of an environment variable, and
 * each by every number parser, whose results must survive being written and
 * read again.
 */
#include "base/opt.h"

#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"

#define MAX_WORDS 64

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool flag;
static unsigned count;
static const char *str;
static int num, choice;
static uint64_t size, msec, lsn;
static int64_t when;
static struct dr_strs list;

static const struct dr_opt opts[] = {
	{ "flag", 'f', DR_OPT_FLAG, &flag, 0, 0, NULL, "", "T_FLAG" },
	{ "count", 'c', DR_OPT_COUNT, &count, 0, 0, NULL, "", NULL },
	{ "str", 's', DR_OPT_STR, &str, 0, 0, "X", "", NULL },
	{ "num", 'n', DR_OPT_INT, &num, -5, 19, "N", "", "T_NUM" },
	{ "size", 'S', DR_OPT_SIZE, &size, 0, 0, "N", "", NULL },
	{ "msec", 0, DR_OPT_MSEC, &msec, 0, 0, "T", "", NULL },
	{ "list", 'L', DR_OPT_LIST, &list, 0, 0, "X", "", "T_LIST" },
	{ "choice", 'C', DR_OPT_CHOICE, &choice, 0, 0, "a|bc|d", "", NULL },
	{ "when", 't', DR_OPT_TIME, &when, 0, 0, "T", "", NULL },
	{ "lsn", 0, DR_OPT_LSN, &lsn, 0, 0, "LSN", "", NULL },
	{ 0 },
};
static const struct dr_cmd cmd = { "fuzz", "", "", NULL, opts };

static void
must(bool good)
{
	if (!good)
		abort();
}

/* A failure has a cause and words; a success has neither. */
static bool
worked(int rc, struct dr_err *err)
{
	must((rc == -1) == (err->cause != DR_OK));
	must(rc != -1 || err->msg[0] != '\0');
	dr_err_clear(err);
	return rc != -1;
}

static void
numbers(const char *s)
{
	struct dr_err err = { 0 };
	char text[DR_TIME_LEN];
	uint64_t u = 0, again = 1;
	int64_t i = 0, back = 1;

	if (worked(dr_parse_int(s, -1000, 1000, &i, &err), &err))
		must(i >= -1000 && i <= 1000 && strtol(s, NULL, 10) == i);
	worked(dr_parse_size(s, &u, &err), &err);
	worked(dr_parse_msec(s, &u, &err), &err);
	if (worked(dr_parse_lsn(s, &u, &err), &err))
		must(worked(dr_parse_lsn(dr_format_lsn(u, text), &again, &err),
		         &err) &&
		     u == again);
	if (worked(dr_parse_time(s, &i, &err), &err) &&
	    i > -62135596800000000 && i < 253402300800000000)
		must(worked(dr_parse_time(dr_format_time(i, text), &back, &err),
		         &err) &&
		     i == back);
	must(!dr_set_name_ok(s) || strpbrk(s, "/ \n") == NULL);
	dr_format_size((uint64_t)i, text);
	dr_format_msec((uint64_t)i, text);
	dr_format_stamp(i, text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct dr_err err = { 0 };
	char *copy, *s, *words[MAX_WORDS + 1];
	const char *one;
	int n = 0, i;

	if (len > 4096 || (copy = malloc(len + 1)) == NULL)
		return 0;
	memcpy(copy, data, len);
	copy[len] = '\0';
	words[n++] = copy;
	for (s = copy; (s = strchr(s, '\n')) != NULL && n < MAX_WORDS;) {
		*s++ = '\0';
		words[n++] = s;
	}
	words[n] = NULL;
	for (i = 0; i < n; i++) {
		numbers(words[i]);
		/* These would leave the process or write files. */
		if (strcmp(words[i], "--help") == 0 ||
		    strcmp(words[i], "--version") == 0 ||
		    strncmp(words[i], "--log", 5) == 0)
			goto out;
	}
	setenv("T_LIST", words[0], 1);
	setenv("T_NUM", words[n - 1], 1);
	i = dr_opt_parse(&cmd, n, words, &err);
	if (worked(i, &err))
		must(i >= 1 && i <= n);
	dr_strs_free(&list);
	worked(dr_opt_operand(&cmd, n, words, &one, &err), &err);
	dr_strs_free(&list);
out:
	free(copy);
	return 0;
}
