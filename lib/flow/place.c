#include "flow/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "flow/delta.h"

static const char marker_text[] =
    "dr-restore is writing this directory, or was interrupted while it did.\n"
    "What lies here is not whole, and no server can use it.  If no\n"
    "dr-restore is running, remove the directory (and those of tablespaces)\n"
    "and restore again.\n";

static mode_t
dir_mode(const struct dr_place *p)
{
	return p->group ? 0750 : 0700;
}

/* 1: empty, 0: not, -1. */
static int
is_empty(int fd, const char *path, struct dr_err *err)
{
	const struct dirent *e;
	int copy, empty = 1;
	DIR *d;

	if ((copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return dr_err_sys(err, "cannot read \"%s\"", path);
	if ((d = fdopendir(copy)) == NULL) {
		close(copy);
		return dr_err_sys(err, "cannot read \"%s\"", path);
	}
	errno = 0;
	while (empty == 1 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			empty = 0;
	if (empty == 1 && errno != 0)
		empty = dr_err_sys(err, "cannot read \"%s\"", path);
	closedir(d);
	return empty;
}

int
dr_place_take(const struct dr_place *p, const char *path, const char *what,
    bool over, struct dr_err *err)
{
	int fd, rc;

	if (mkdir(path, dir_mode(p)) == -1 && errno != EEXIST &&
	    (errno != ENOENT || dr_mkdirs(path, dir_mode(p), err) == -1)) {
		if (err->cause == DR_OK)
			dr_err_sys(err, "cannot make \"%s\"", path);
		return -1;
	}
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return dr_err_sys(err, "cannot open \"%s\"", path);
	if ((rc = is_empty(fd, path, err)) == -1)
		goto fail;
	if (rc == 0 && over)
		return fd;
	if (rc == 0) {
		dr_err_set(err, DR_EUSAGE, "%s \"%s\" exists and is not empty",
		    what, path);
		goto fail;
	}
	if (!p->tree && fchmod(fd, dir_mode(p)) == -1) {
		dr_err_sys(err, "cannot set the mode of \"%s\"", path);
		goto fail;
	}
	return fd;

fail:
	close(fd);
	return -1;
}

static int
owner(struct dr_place *p, struct dr_err *err)
{
	struct stat st;

	if (fstat(p->fd, &st) == -1)
		return dr_err_sys(err, "cannot look at \"%s\"", p->dir);
	if (p->tree || geteuid() != 0)
		return 0;
	if (st.st_uid == 0) {
		dr_warn("the files in \"%s\" will belong to root, which "
		        "cannot run a server; give them to the user who does",
		    p->dir);
		return 0;
	}
	p->chown = true;
	p->uid = st.st_uid;
	p->gid = st.st_gid;
	return 0;
}

int
dr_place_open(struct dr_place *p, const char *dir, bool group,
    const struct dr_strs *moves, struct dr_err *err)
{
	char cwd[PATH_MAX];

	p->group = group;
	p->moves = moves;
	if (moves != NULL && moves->n > sizeof(p->moved) * CHAR_BIT)
		return dr_err_set(err, DR_EUSAGE, "too many --tablespace");
	if (*dir == '\0')
		return dr_err_set(err, DR_EUSAGE, "-D needs a directory");
	if (*dir != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		return dr_err_sys(err, "cannot tell the current directory");
	p->dir = *dir == '/' ? dr_fmt(err, "%s", dir)
	                     : dr_fmt(err, "%s/%s", cwd, dir);
	if (p->dir == NULL)
		return -1;
	if ((p->fd = dr_place_take(p, p->dir, "the directory", p->delta != NULL,
	         err)) == -1) {
		char *mark = dr_fmt(err, "%s/%s", p->dir, DR_RESTORE_MARKER);

		if (err->cause == DR_EUSAGE && mark != NULL &&
		    access(mark, F_OK) == 0)
			dr_err_hint(err,
			    "an earlier dr-restore did not finish there: "
			    "remove it and restore again");
		else if (err->cause == DR_EUSAGE)
			dr_err_hint(err,
			    "name a directory that is empty or does not "
			    "exist yet");
		free(mark);
		return -1;
	}
	if (p->delta != NULL) {
		int rc = is_empty(p->fd, p->dir, err);

		if (rc != 1)
			return rc == -1 || owner(p, err) == -1
			           ? -1
			           : dr_delta_take(p, err);
	}
	/* One that restores over it later must know that we are at it. */
	(void)flock(p->fd, LOCK_SH | LOCK_NB);
	if (owner(p, err) == -1 ||
	    dr_place_put(p, DR_RESTORE_MARKER, marker_text,
	        sizeof(marker_text) - 1, err) == -1)
		return -1;
	if (dr_sync_parent(p->dir, err) == -1 || fsync(p->fd) == -1)
		return dr_err_sys(err, "cannot sync \"%s\"", p->dir);
	return 0;
}

void
dr_place_close(struct dr_place *p)
{
	for (size_t i = 0; i < p->n; i++) {
		close(p->space[i].fd);
		free(p->space[i].path);
	}
	free(p->space);
	p->space = NULL;
	p->n = 0;
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
	dr_buf_free(&p->last);
	free(p->dir);
	p->dir = NULL;
}

/* --- files and directories ------------------------------------------------ */

void
dr_place_find(const struct dr_place *p, const char *path, int *fd,
    const char **rest)
{
	static const char top[] = "pg_tblspc/", wal[] = "pg_wal";
	const char *oid = path + sizeof(top) - 1;
	size_t len;

	*fd = p->fd;
	*rest = path;
	if (p->delta != NULL && p->delta->wal_fd != -1 &&
	    strncmp(path, wal, sizeof(wal) - 1) == 0 &&
	    (path[sizeof(wal) - 1] == '/' || path[sizeof(wal) - 1] == '\0')) {
		*fd = p->delta->wal_fd;
		*rest = path + sizeof(wal) - 1;
		*rest += **rest == '/';
		return;
	}
	if (strncmp(path, top, sizeof(top) - 1) != 0)
		return;
	len = strcspn(oid, "/");
	for (size_t i = 0; i < p->n; i++) {
		if (strlen(p->space[i].oid) != len ||
		    memcmp(p->space[i].oid, oid, len) != 0)
			continue;
		*fd = p->space[i].fd;
		*rest = oid[len] == '\0' ? "" : oid + len + 1;
	}
}

/* Hostile names collide with what is there; anything else is the system. */
static int
collides(const char *path, struct dr_err *err)
{
	if (errno == EEXIST || errno == ENOTDIR || errno == ELOOP ||
	    errno == ENAMETOOLONG || errno == EISDIR)
		return dr_err_set(err, DR_EDATA,
		    "the backup holds \"%s\" in a way that cannot be: %s", path,
		    strerror(errno));
	return dr_err_sys(err, "cannot make \"%s\"", path);
}

static int
make_dir(const struct dr_place *p, int fd, const char *path, struct dr_err *err)
{
	struct stat st;

	if (mkdirat(fd, path, dir_mode(p)) == 0) {
		if (p->chown && fchownat(fd, path, p->uid, p->gid,
		                    AT_SYMLINK_NOFOLLOW) == -1)
			return dr_err_sys(err, "cannot give \"%s\" away", path);
		return 0;
	}
	if (errno != EEXIST)
		return collides(path, err);
	if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISDIR(st.st_mode)) {
		if (p->delta != NULL && p->delta->active)
			return dr_delta_clear(fd, path, err) == -1
			           ? -1
			           : make_dir(p, fd, path, err);
		errno = ENOTDIR;
		return collides(path, err);
	}
	return 0;
}

int
dr_place_mkdir(struct dr_place *p, int fd, const char *rest, bool parent,
    struct dr_err *err)
{
	const char *end = rest + strlen(rest), *slash;
	size_t len;

	while (end > rest && end[-1] == '/')
		end--;
	if (parent) {
		slash = memrchr(rest, '/', (size_t)(end - rest));
		end = slash == NULL ? rest : slash;
	}
	len = (size_t)(end - rest);
	if (len == 0 || (fd == p->last_fd && p->last.len == len &&
	                    memcmp(p->last.data, rest, len) == 0))
		return 0;
	p->last.len = 0;
	p->last_fd = -1;
	if (dr_buf_add(&p->last, rest, len, err) == -1)
		return -1;
	for (size_t i = 1; i <= len; i++) {
		if (i < len && rest[i] != '/')
			continue;
		p->last.data[i] = '\0';
		if (make_dir(p, fd, p->last.data, err) == -1)
			return -1;
		p->last.data[i] = i < len ? '/' : '\0';
	}
	p->last_fd = fd;
	return 0;
}

int
dr_place_create(const struct dr_place *p, int fd, const char *rest,
    struct dr_err *err)
{
	int new = openat(fd, rest,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC,
	    p->group ? 0640 : 0600);

	if (new == -1)
		return collides(rest, err);
	if (p->chown && fchown(new, p->uid, p->gid) == -1) {
		close(new);
		return dr_err_sys(err, "cannot give \"%s\" away", rest);
	}
	return new;
}

int
dr_place_put(const struct dr_place *p, const char *name, const void *data,
    size_t len, struct dr_err *err)
{
	int fd, rc;

	if (unlinkat(p->fd, name, 0) == -1 && errno != ENOENT)
		return dr_err_sys(err, "cannot replace \"%s/%s\"", p->dir,
		    name);
	if ((fd = dr_place_create(p, p->fd, name, err)) == -1)
		return -1;
	rc = dr_fd_write(fd, data, len, name, err);
	if (rc == 0 && fsync(fd) == -1)
		rc = dr_err_sys(err, "cannot sync \"%s/%s\"", p->dir, name);
	if (close(fd) == -1 && rc == 0)
		rc = dr_err_sys(err, "cannot write \"%s/%s\"", p->dir, name);
	return rc;
}

char *
dr_place_get(const struct dr_place *p, const char *name, size_t max,
    size_t *len, struct dr_err *err)
{
	char *path, *data;
	int saved;

	if ((path = dr_fmt(err, "%s/%s", p->dir, name)) == NULL)
		return NULL;
	data = dr_file_get(path, max, len, err);
	saved = errno;
	free(path);
	errno = saved;
	return data;
}

/* --- durability ----------------------------------------------------------- */

/*
 * One syncfs a file system: measured against fsync of every file it costs
 * the same for few large files and far less for many small ones, and it
 * reports write errors as fsync does (Linux 5.8).  The descriptors were
 * opened before the first write, so no error is missed.
 */
int
dr_place_sync(const struct dr_place *p, struct dr_err *err)
{
	struct stat st, other;

	if (syncfs(p->fd) == -1)
		return dr_err_sys(err, "cannot sync \"%s\"", p->dir);
	if (p->delta != NULL && p->delta->wal_fd != -1 &&
	    syncfs(p->delta->wal_fd) == -1)
		return dr_err_sys(err, "cannot sync \"%s\"",
		    p->delta->wal_path);
	for (size_t i = 0; i < p->n; i++) {
		bool same = false;

		if (fstat(p->space[i].fd, &st) == -1)
			return dr_err_sys(err, "cannot look at \"%s\"",
			    p->space[i].path);
		same = fstat(p->fd, &other) == 0 && other.st_dev == st.st_dev;
		for (size_t j = 0; j < i && !same; j++)
			same = fstat(p->space[j].fd, &other) == 0 &&
			       other.st_dev == st.st_dev;
		if (!same && syncfs(p->space[i].fd) == -1)
			return dr_err_sys(err, "cannot sync \"%s\"",
			    p->space[i].path);
	}
	return 0;
}

int
dr_place_done(struct dr_place *p, struct dr_err *err)
{
	if (unlinkat(p->fd, DR_RESTORE_MARKER, 0) == -1)
		return dr_err_sys(err, "cannot remove \"%s/%s\"", p->dir,
		    DR_RESTORE_MARKER);
	if (fsync(p->fd) == -1)
		return dr_err_sys(err, "cannot sync \"%s\"", p->dir);
	return 0;
}
