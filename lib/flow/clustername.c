#include "flow/clustername.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "flow/restore_conf.h"

#define CONF_MAX (4U << 20)

/* What stands between VALUE's quotes; "" where that does not fit. */
static void
unquote(const char *value, size_t len, char *out, size_t size)
{
	bool quoted = len >= 2 && *value == '\'';
	size_t n = 0, i = quoted ? 1 : 0, end = quoted ? len - 1 : len;

	for (; i < end && n < size; i++) {
		if (quoted && i + 1 < end &&
		    (value[i] == '\\' || value[i] == '\''))
			i++;
		out[n++] = value[i];
	}
	out[n < size ? n : 0] = '\0';
}

/* 1 and *TEXT, the caller's; 0 there is no such file; -1. */
static int
get(const char *dir, const char *name, char **text, struct dr_err *err)
{
	struct dr_err why = { 0 };
	char *path = *name == '/' ? dr_fmt(err, "%s", name)
	                          : dr_fmt(err, "%s/%s", dir, name);
	size_t len;
	int saved;

	if (path == NULL)
		return -1;
	*text = dr_file_get(path, CONF_MAX, &len, &why);
	saved = errno;
	free(path);
	if (*text != NULL)
		return 1;
	if (saved == ENOENT)
		return 0;
	*err = why;
	return -1;
}

/* The last cluster_name of a configuration file. */
static int
from_conf(const char *dir, const char *file, char *out, size_t size,
    struct dr_err *err)
{
	static const char *const names[] = { "cluster_name", NULL };
	const char *value, *line;
	char *text;
	size_t n, len;
	int rc = get(dir, file, &text, err);

	if (rc != 1)
		return rc;
	for (line = text; *line != '\0'; line += line[n] == '\n' ? n + 1 : n) {
		n = strcspn(line, "\n");
		if (dr_conf_sets(line, n, names, &value, &len) == 0)
			unquote(value, len, out, size);
	}
	free(text);
	return 0;
}

/* The last NAME= of a command line whose words stand in double quotes. */
static void
from_words(const char *text, const char *name, char *out, size_t size)
{
	const char *p = text;
	size_t n;

	while ((p = strstr(p, name)) != NULL) {
		p += strlen(name);
		n = strcspn(p, "\"\n");
		if (n > 0 && n < size) {
			memcpy(out, p, n);
			out[n] = '\0';
		}
	}
}

int
dr_cluster_name(const char *dir, char *out, size_t size, struct dr_err *err)
{
	char conf[4096] = "postgresql.conf", *words = NULL;
	int rc = -1;

	*out = '\0';
	if (get(dir, "postmaster.opts", &words, err) == -1)
		return -1;
	if (words != NULL)
		from_words(words, "config_file=", conf, sizeof(conf));
	if (from_conf(dir, conf, out, size, err) == -1 ||
	    from_conf(dir, "postgresql.auto.conf", out, size, err) == -1)
		goto out;
	if (words != NULL)
		from_words(words, "cluster_name=", out, size);
	rc = 0;

out:
	free(words);
	return rc;
}
