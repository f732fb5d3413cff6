/* tmp.h - a temporary directory for unit tests, and removing it. */
#ifndef TESTS_TMP_H
#define TESTS_TMP_H

#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char tmp_dir[] = "/tmp/dr-unit.XXXXXX";

static unsigned tmp_moved;

/* Empty PATH; directories in it move up to tmp_dir, so that none is deep. */
static inline void
tmp_empty(const char *path)
{
	char to[64];
	struct dirent *d;
	DIR *dir;

	(void)chmod(path, 0700);
	if ((dir = opendir(path)) == NULL)
		return;
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 ||
		    strcmp(d->d_name, "..") == 0 ||
		    unlinkat(dirfd(dir), d->d_name, 0) == 0)
			continue;
		(void)snprintf(to, sizeof(to), "%s/.rm%u", tmp_dir,
		    tmp_moved++);
		if (fchmodat(dirfd(dir), d->d_name, 0700, 0) == -1 ||
		    renameat(dirfd(dir), d->d_name, AT_FDCWD, to) == -1)
			perror(d->d_name);
	}
	(void)closedir(dir);
}

/* rm -rf */
static inline void
tmp_rm(const char *path)
{
	char name[64];
	unsigned i = tmp_moved;

	if (unlink(path) == 0)
		return;
	for (tmp_empty(path); i < tmp_moved; i++) {
		(void)snprintf(name, sizeof(name), "%s/.rm%u", tmp_dir, i);
		tmp_empty(name);
		(void)rmdir(name);
	}
	(void)rmdir(path);
}

/* Make it, 0755; tmp_leave removes it. */
static inline void
tmp_make(void)
{
	(void)umask(022);
	if (mkdtemp(tmp_dir) == NULL || chmod(tmp_dir, 0755) == -1)
		abort();
}

/* The same, and go there. */
static inline void
tmp_enter(void)
{
	tmp_make();
	if (chdir(tmp_dir) == -1)
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
