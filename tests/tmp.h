/* tmp.h - a temporary directory for unit tests, and removing it. */
#ifndef TESTS_TMP_H
#define TESTS_TMP_H

#include <sys/stat.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char tmp_dir[] = "/tmp/dr-unit.XXXXXX";

static inline int
tmp_one(const char *path, const struct stat *st, int what, struct FTW *f)
{
	(void)st;
	(void)what;
	(void)f;
	(void)remove(path);
	return 0;
}

static inline int
tmp_open_one(const char *path, const struct stat *st, int what, struct FTW *f)
{
	(void)what;
	(void)f;
	if (S_ISDIR(st->st_mode))
		(void)chmod(path, 0700);
	return 0;
}

static inline void
tmp_rm(const char *path)
{
	(void)nftw(path, tmp_open_one, 32, FTW_PHYS);
	(void)nftw(path, tmp_one, 32, FTW_DEPTH | FTW_PHYS);
}

/* Make it, 0755, and go there; tmp_leave removes it. */
static inline void
tmp_enter(void)
{
	(void)umask(022);
	if (mkdtemp(tmp_dir) == NULL || chmod(tmp_dir, 0755) == -1 ||
	    chdir(tmp_dir) == -1)
		abort();
}

static inline void
tmp_leave(void)
{
	if (chdir("/") == -1)
		abort();
	tmp_rm(tmp_dir);
}

#endif /* !TESTS_TMP_H */
