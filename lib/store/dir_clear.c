/*
 * Removing objects of a store in a directory, and what is left of uploads:
 * the temporaries of writers that were killed.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "store/dir_int.h"
#include "store/tmpname.h"

/* Unlink FILE beside the object NAME (NULL: NAME itself).  1, 0, -1. */
static int
drop(struct dr_dir *d, const char *name, const char *file, struct dr_err *err)
{
	struct dr_err none = { 0 };
	const char *base;
	struct stat st;
	int fd, rc = -1;

	if (dr_dir_root(d, err) == -1)
		return -1;
	if ((fd = dr_dir_parent(d, name, false, &base, &none)) == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		*err = none;
		return -1;
	}
	if (file == NULL)
		file = base;
	if (fstatat(fd, file, &st, AT_SYMLINK_NOFOLLOW) == -1)
		rc = errno == ENOENT ? 0 : -1;
	else if (!S_ISREG(st.st_mode))
		rc = 0; /* no object's */
	else if (unlinkat(fd, file, 0) == -1)
		rc = errno == ENOENT ? 0 : -1;
	else if (dr_dir_sync(fd) == 0)
		rc = 1;
	if (rc == -1)
		dr_err_sys(err, "cannot remove \"%s/%s\"", d->store.url, name);
	close(fd);
	return rc;
}

int
dr_dir_delete(struct dr_store *store, const char *name, struct dr_err *err)
{
	return drop((struct dr_dir *)store, name, NULL, err);
}

int
dr_dir_rmdir(struct dr_store *store, const char *name, struct dr_err *err)
{
	struct dr_dir *d = (struct dr_dir *)store;
	const char *base;
	int fd, rc = -1;

	if ((fd = dr_dir_parent(d, name, false, &base, err)) == -1)
		return -1;
	if (unlinkat(fd, base, AT_REMOVEDIR) == 0)
		rc = dr_dir_sync(fd) == 0 ? 1 : -1;
	else if (errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST)
		rc = 0;
	if (rc == -1)
		dr_err_sys(err, "cannot remove \"%s/%s\"", store->url, name);
	close(fd);
	return rc;
}

int
dr_dir_upload_abort(struct dr_store *store, const char *name, const char *id,
    struct dr_err *err)
{
	const char *slash = strrchr(name, '/');
	char tmp[DR_TMP_MAX];

	if (!dr_tmp_of(slash == NULL ? name : slash + 1, id, tmp))
		return dr_err_set(err, DR_EFAIL,
		    "\"%s\" is no upload of \"%s\"", id, name);
	return drop((struct dr_dir *)store, name, tmp, err);
}

struct search {
	struct dr_dir *d;
	int (*fn)(void *, const struct dr_upload *, struct dr_err *);
	void *arg;
	int depth;
};

static int search(struct search *, const char *prefix, struct dr_err *);

static int
search_name(struct search *s, int fd, const char *prefix, const char *name,
    struct dr_err *err)
{
	char base[DR_PART_MAX + 1], id[DR_TMP_ID_LEN], *full;
	bool tmp = dr_tmp_parse(name, base, id);
	struct dr_upload up;
	struct stat st;
	int rc = 0;

	if (!tmp && !dr_object_name_ok(name))
		return 0;
	/* It may have gone since. */
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT
		           ? 0
		           : dr_err_sys(err, "cannot look at \"%s/%s%s\"",
		                 s->d->store.url, prefix, name);
	if (tmp != S_ISREG(st.st_mode) || (!tmp && !S_ISDIR(st.st_mode)))
		return 0;
	if ((full = dr_fmt(err, "%s%s%s", prefix, tmp ? base : name,
	         tmp ? "" : "/")) == NULL)
		return -1;
	if (tmp) {
		up.name = full;
		up.id = id;
		up.started = (int64_t)st.st_mtim.tv_sec * 1000000 +
		             st.st_mtim.tv_nsec / 1000;
		rc = s->fn(s->arg, &up, err);
	} else if (s->depth < DR_DIR_DEPTH_MAX) {
		s->depth++;
		rc = search(s, full, err);
		s->depth--;
	}
	free(full);
	return rc;
}

static int
search(struct search *s, const char *prefix, struct dr_err *err)
{
	struct dirent *e;
	DIR *dir = NULL;
	int fd, rc = 0;

	fd = openat(s->d->root, *prefix == '\0' ? "." : prefix,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd == -1 || (dir = fdopendir(fd)) == NULL) {
		dr_err_sys(err, "cannot read \"%s/%s\"", s->d->store.url,
		    prefix);
		if (fd != -1)
			close(fd);
		return -1;
	}
	while (rc == 0) {
		errno = 0;
		if ((e = readdir(dir)) == NULL) {
			if (errno != 0)
				rc = dr_err_sys(err, "cannot read \"%s/%s\"",
				    s->d->store.url, prefix);
			break;
		}
		rc = search_name(s, dirfd(dir), prefix, e->d_name, err);
	}
	closedir(dir);
	return rc;
}

int
dr_dir_uploads(struct dr_store *store, const char *prefix,
    int (*fn)(void *, const struct dr_upload *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct search s = { (struct dr_dir *)store, fn, arg, 0 };

	if (dr_dir_root(s.d, err) == -1)
		return -1;
	return search(&s, prefix, err);
}

/* Whoever may create may also replace, unless the directory is sticky. */
int
dr_dir_try_replace(struct dr_store *store, const char *name, bool parts,
    const void *data, size_t len, struct dr_err *err)
{
	struct dr_dir *d = (struct dr_dir *)store;
	char tmp[DR_TMP_MAX];
	const char *base;
	int dir, fd = -1, rc = -1;

	(void)parts;
	if ((dir = dr_dir_parent(d, name, false, &base, err)) == -1)
		return -1;
	if (dr_tmp_new(base, tmp, err) == -1)
		goto out;
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd == -1) {
		dr_err_sys(err, "cannot create \"%s/%s\"", store->url, name);
		goto out;
	}
	if (dr_fd_write(fd, data, len, name, err) == -1)
		(void)unlinkat(dir, tmp, 0);
	else if (renameat(dir, tmp, dir, base) == 0)
		rc = 1;
	else {
		rc = errno == EACCES || errno == EPERM
		         ? 0
		         : dr_err_sys(err, "cannot replace \"%s/%s\"",
		               store->url, name);
		(void)unlinkat(dir, tmp, 0);
	}

out:
	if (fd != -1)
		close(fd);
	close(dir);
	return rc;
}
