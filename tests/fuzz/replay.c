/*
 * replay.c - run a fuzz target over its corpus, as a test.
 *
 * With no operand the corpus is tests/fuzz/corpus/NAME, NAME being the
 * program's own; operands are files or directories to run instead.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool
file(const char *path)
{
	FILE *f;
	uint8_t *buf = NULL, *exact = NULL;
	size_t len = 0, room = 0, got;
	bool good = false;

	if ((f = fopen(path, "rb")) == NULL)
		goto out;
	do {
		if (len == room) {
			room = room == 0 ? 4096 : room * 2;
			exact = realloc(buf, room);
			if (exact == NULL)
				goto out;
			buf = exact;
		}
		got = fread(buf + len, 1, room - len, f);
		len += got;
	} while (got > 0);
	if (ferror(f))
		goto out;

	/* In a block of just that size, so that a sanitizer sees its end. */
	if ((exact = malloc(len == 0 ? 1 : len)) == NULL)
		goto out;
	memcpy(exact, buf, len);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	good = true;

out:
	if (f != NULL)
		fclose(f);
	free(buf);
	return good;
}

static void
path(const char *name)
{
	struct dirent **v;
	char sub[PATH_MAX];
	int n;

	if ((n = scandir(name, &v, NULL, alphasort)) == -1) {
		if (errno == ENOTDIR)
			OK(file(name), name);
		else
			OK(false, name);
		return;
	}
	for (int i = 0; i < n; i++) {
		if (v[i]->d_name[0] != '.') {
			snprintf(sub, sizeof(sub), "%s/%s", name, v[i]->d_name);
			path(sub);
		}
		free(v[i]);
	}
	free(v);
}

int
main(int argc, char **argv)
{
	char corpus[PATH_MAX];
	const char *base = strrchr(argv[0], '/');

	base = base == NULL ? argv[0] : base + 1;
	if (argc == 1) {
		snprintf(corpus, sizeof(corpus), "tests/fuzz/corpus/%s", base);
		path(corpus);
	}
	for (int i = 1; i < argc; i++)
		path(argv[i]);
	OK(tap_ran > 0, "there is a corpus");
	return DONE();
}
