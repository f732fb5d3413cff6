#include "flow/walspool.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/num.h"
#include "flow/walspool_int.h"

/* --- its path -------------------------------------------------------------- */

/* The directory that DEST lies in. */
static char *
dir_of(const char *dest, struct dr_err *err)
{
	const char *slash = strrchr(dest, '/');

	if (slash == NULL)
		return dr_fmt(err, ".");
	if (slash == dest)
		return dr_fmt(err, "/");
	return dr_fmt(err, "%.*s", (int)(slash - dest), dest);
}

char *
dr_walspool_dir(const struct dr_walspool_key *k, struct dr_err *err)
{
	struct dr_buf text = { .max = 1U << 22 };
	char hash[DR_SHA256_HEX], *dir, *real = NULL, *out = NULL;
	struct stat st;

	if ((dir = dir_of(k->dest, err)) == NULL)
		return NULL;
	if ((real = realpath(dir, NULL)) == NULL || stat(dir, &st) == -1) {
		dr_err_sys(err, "cannot look at \"%s\"", dir);
		goto out;
	}
	if (dr_buf_fmt(&text, err, "%s\n%ju %ju\n%s\n", real,
	        (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, k->trust) == -1)
		goto out;
	for (size_t i = 0; i < k->nstores; i++)
		if (dr_buf_fmt(&text, err, "%s\n", k->stores[i]) == -1)
			goto out;
	if (dr_sha256_hex(text.data, text.len, hash, err) == 0)
		out = dr_fmt(err, "%s/spool/%s-%" PRIu64 "-%08X-%.16s",
		    k->state, k->set, k->system_id, k->tli, hash);

out:
	dr_buf_free(&text);
	free(real);
	free(dir);
	return out;
}

/* --- taking from it -------------------------------------------------------- */

int
dr_walspool_open(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1 || st.st_uid != geteuid() ||
	    (st.st_mode & 022) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Small files of one name, read by others at any time. */
void
dr_walspool_note(int dirfd, const char *file, const char *name)
{
	char text[DR_WAL_NAME_MAX] = "";
	int fd;

	(void)snprintf(text, sizeof(text), "%s", name);
	fd = openat(dirfd, file, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (fd == -1)
		return;
	if (pwrite(fd, text, sizeof(text), 0) == -1)
		(void)unlinkat(dirfd, file, 0);
	close(fd);
}

bool
dr_walspool_noted(int dirfd, const char *file, char name[DR_WAL_NAME_MAX])
{
	int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd == -1)
		return false;
	n = pread(fd, name, DR_WAL_NAME_MAX, 0);
	close(fd);
	return n == DR_WAL_NAME_MAX && name[n - 1] == '\0' && *name != '\0';
}

/* As a new file would have it; who recovers may share it with a group. */
static mode_t
new_mode(void)
{
	mode_t mask = umask(077);

	(void)umask(mask);
	return 0640 & ~mask;
}

static int
copy(int from, const char *dest, uint64_t size, struct dr_err *err)
{
	struct dr_file f = DR_FILE_INIT;
	ssize_t n;

	if (dr_file_create(&f, dest, 0640, err) == -1)
		return -1;
	while (size > 0) {
		n = copy_file_range(from, NULL, f.fd, NULL, size, 0);
		if (n <= 0) {
			dr_file_abandon(&f);
			return dr_err_sys(err, "cannot copy to \"%s\"", dest);
		}
		size -= (uint64_t)n;
	}
	return dr_file_commit(&f, DR_FILE_REPLACE, err);
}

/* 1, or 0. */
static int
deliver(int dirfd, const char *segment, const char *dest, uint64_t *size)
{
	struct dr_err ignored = { 0 };
	struct stat st;
	int fd, rc = 0;

	fd = openat(dirfd, segment, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return 0;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    !dr_wal_segsize_ok((uint64_t)st.st_size))
		goto out;
	*size = (uint64_t)st.st_size;
	/* It is on disk already. */
	if (fchmod(fd, new_mode()) == 0 &&
	    renameat(dirfd, segment, AT_FDCWD, dest) == 0)
		rc = dr_sync_parent(dest, &ignored) == 0;
	else if (errno == EXDEV && copy(fd, dest, *size, &ignored) == 0) {
		(void)unlinkat(dirfd, segment, 0);
		rc = 1;
	}

out:
	close(fd);
	return rc;
}

/* Is a fetcher at it?  Only while the lock is held. */
static bool
being_fetched(int dirfd, const char *segment)
{
	char file[16], name[DR_WAL_NAME_MAX];
	bool held, busy = false;
	int fd;

	if ((fd = openat(dirfd, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW)) == -1)
		return false;
	held = flock(fd, LOCK_SH | LOCK_NB) == -1;
	close(fd);
	for (int i = 0; held && !busy && i < DR_FETCHERS_MAX; i++) {
		(void)snprintf(file, sizeof(file), "busy.%d", i);
		busy = dr_walspool_noted(dirfd, file, name) &&
		       strcmp(name, segment) == 0;
	}
	return held && busy;
}

int
dr_walspool_take(const char *dir, const char *segment, const char *dest,
    uint64_t ms, uint64_t *size)
{
	const struct timespec pause = { 0, 1000000 };
	int64_t end = dr_monotonic() + (int64_t)ms * 1000;
	int fd, rc;

	if ((fd = dr_walspool_open(dir)) == -1)
		return 0;
	dr_walspool_note(fd, "asked", segment);
	while ((rc = deliver(fd, segment, dest, size)) == 0 &&
	       being_fetched(fd, segment) && dr_monotonic() < end)
		(void)nanosleep(&pause, NULL);
	if (rc == 0) /* it may have come between the two questions */
		rc = deliver(fd, segment, dest, size);
	close(fd);
	return rc;
}

/* --- left behind ----------------------------------------------------------- */

/* ".NAME.", 16 hex digits, ".tmp", as dr_file_create has it. */
static bool
is_left(const char *entry, const char *name)
{
	size_t n = strlen(name);

	return entry[0] == '.' && strncmp(entry + 1, name, n) == 0 &&
	       entry[1 + n] == '.' &&
	       strspn(entry + n + 2, "0123456789abcdef") == 16 &&
	       strcmp(entry + n + 18, ".tmp") == 0;
}

void
dr_walget_sweep(const char *dest)
{
	const char *slash = strrchr(dest, '/');
	const char *name = slash == NULL ? dest : slash + 1;
	struct dr_err ignored = { 0 };
	char *dir = dir_of(dest, &ignored);
	struct dirent *e;
	DIR *d = dir == NULL ? NULL : opendir(dir);
	int fd;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (!is_left(e->d_name, name))
			continue;
		fd = openat(dirfd(d), e->d_name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd == -1)
			continue;
		/* Whoever writes it holds the lock. */
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			(void)unlinkat(dirfd(d), e->d_name, 0);
		close(fd);
	}
	if (d != NULL)
		closedir(d);
	free(dir);
}
