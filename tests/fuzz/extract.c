/*
 * Extraction of any bytes: done, or damage, or a failure of the file system;
 * and nothing is ever written outside of the directory.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/extract.h"
#include "base/fd.h"
#include "tests/tmp.h"

static char in[64], mine[64];

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* The directory that holds "in" has that and "mine" in it, as made. */
static void
check(void)
{
	struct dr_err e = { 0 };
	struct stat st;
	size_t n = 0, len;
	struct dirent *d;
	DIR *dir = opendir(tmp_dir);
	char *text;

	if (dir == NULL)
		abort();
	while ((d = readdir(dir)) != NULL)
		n++;
	(void)closedir(dir);
	if (n != 4)
		abort();
	if (lstat(mine, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_nlink != 1 || (st.st_mode & 07777) != 0600)
		abort();
	text = dr_file_get(mine, 16, &len, &e);
	if (text == NULL || strcmp(text, "untouched") != 0)
		abort();
	free(text);
}

/* Checksums made right: nothing behind a wrong one would ever be reached. */
static void
mend(uint8_t *p, size_t size)
{
	unsigned sum;
	size_t i;

	for (; size >= 512; p += 512, size -= 512) {
		if (memcmp(p + 257, "ustar", 5) != 0)
			continue;
		memset(p + 148, ' ', 8);
		for (sum = 0, i = 0; i < 512; i++)
			sum += p[i];
		for (i = 6; i-- > 0; sum >>= 3)
			p[148 + i] = (uint8_t)('0' + (sum & 7));
		p[154] = '\0';
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct dr_extract_opts o = { .no_sync = true };
	struct dr_extract_facts f;
	struct dr_err e = { 0 };
	struct dr_source *s;
	uint8_t *copy;
	int r;

	if (!ready) {
		tmp_make();
		(void)snprintf(in, sizeof(in), "%s/in", tmp_dir);
		(void)snprintf(mine, sizeof(mine), "%s/mine", tmp_dir);
		(void)atexit(tmp_leave);
		if (dr_file_put(mine, 0600, DR_FILE_NEW, "untouched", 9, &e) ==
		    -1)
			abort();
		ready = true;
	}
	if (size < 1)
		return 0;
	if (mkdir(in, 0700) == -1)
		abort();
	if ((copy = malloc(size)) == NULL)
		abort();
	memcpy(copy, data, size);
	if ((data[0] & 4) == 0)
		mend(copy + 1, size - 1);
	o.numeric = (data[0] & 1) != 0;
	if ((s = dr_source_mem(copy + 1, size - 1, data[0] >> 3, &e)) == NULL)
		abort();
	if ((data[0] & 2) != 0)
		r = dr_extract_stream(s, in, &o, &f, &e);
	else
		r = dr_extract_tree(s, in, &o, &f, &e);
	if (r == -1 && e.cause != DR_EDATA && e.cause != DR_EFAIL)
		abort();
	dr_source_free(s);
	free(copy);
	check();
	tmp_rm(in);
	return 0;
}
