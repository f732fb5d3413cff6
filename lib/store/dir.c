/*
 * A store in a directory.  The root is opened once and held: it must exist
 * and stay the same, since its file system may not be mounted, or go away.
 */
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/num.h"
#include "store/dir_int.h"
#include "store/dir_names.h"
#include "store/tmpname.h"

int
dr_dir_sync(int fd)
{
	return fsync(fd) == -1 && errno != EINVAL ? -1 : 0;
}

int
dr_dir_root(struct dr_dir *d, struct dr_err *err)
{
	struct stat now, held;
	const char *path = d->store.url;

	if (d->root == -1) {
		d->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (d->root == -1) {
			dr_err_sys(err, "cannot open store \"%s\"", path);
			if (errno == ENOENT)
				dr_err_hint(err,
				    "is it mounted?  A new store is made by "
				    "hand: mkdir \"%s\"",
				    path);
			return -1;
		}
		return 0;
	}
	if (stat(path, &now) == -1)
		return dr_err_sys(err, "store \"%s\" is gone", path);
	if (fstat(d->root, &held) == -1)
		return dr_err_sys(err, "cannot look at store \"%s\"", path);
	if (now.st_dev != held.st_dev || now.st_ino != held.st_ino)
		return dr_err_set(err, DR_EFAIL,
		    "store \"%s\" is another directory than before", path);
	return 0;
}

int
dr_dir_parent(struct dr_dir *d, const char *name, bool make, const char **base,
    struct dr_err *err)
{
	const char *slash = strrchr(name, '/'), *end;
	size_t len = slash == NULL ? 0 : (size_t)(slash - name);
	bool sync = make && (d->synced == NULL || strlen(d->synced) != len ||
	                        strncmp(d->synced, name, len) != 0);
	char part[DR_PART_MAX + 1], all[512];
	int fd = -1, next = -1, saved;

	*base = slash == NULL ? name : slash + 1;
	if (dr_dir_root(d, err) == -1)
		return -1;
	/* Most often it is there, and its way is durable. */
	if (!sync && len > 0 && len < sizeof(all)) {
		memcpy(all, name, len);
		all[len] = '\0';
		fd = openat(d->root, all, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd != -1)
			return fd;
	}
	if ((fd = openat(d->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) ==
	    -1)
		goto sys;
	for (; slash != NULL && name < slash; name = end + 1) {
		end = memchr(name, '/', (size_t)(slash - name));
		if (end == NULL)
			end = slash;
		if (end - name > DR_PART_MAX) {
			errno = ENAMETOOLONG;
			goto sys;
		}
		memcpy(part, name, (size_t)(end - name));
		part[end - name] = '\0';
		if (make && mkdirat(fd, part, 0777) == -1 && errno != EEXIST)
			goto sys;
		/* It may be another's who has not come to this yet. */
		if (sync && dr_dir_sync(fd) == -1)
			goto sys;
		next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (next == -1)
			goto sys;
		close(fd);
		fd = next;
	}
	if (sync) {
		free(d->synced);
		d->synced = slash == NULL ? NULL : strndup(slash - len, len);
	}
	return fd;

sys:
	saved = errno;
	dr_err_sys(err, "cannot open \"%s/%s\"", d->store.url, *base);
	if (fd != -1)
		close(fd);
	errno = saved;
	return -1;
}

static void
fill(struct dr_object *obj, const char *name, const struct stat *st)
{
	obj->name = name;
	obj->size = (uint64_t)st->st_size;
	obj->mtime =
	    (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000;
}

static int
dir_stat(struct dr_store *store, const char *name, struct dr_object *obj,
    struct dr_err *err)
{
	struct dr_dir *d = (struct dr_dir *)store;
	struct stat st;

	if (dr_dir_root(d, err) == -1)
		return -1;
	if (fstatat(d->root, name, &st, 0) == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return dr_err_sys(err, "cannot look at \"%s/%s\"", store->url,
		    name);
	}
	if (!S_ISREG(st.st_mode))
		return 0;
	fill(obj, name, &st);
	return 1;
}

static struct dr_blob *
dir_get(struct dr_store *store, const char *name, struct dr_err *err)
{
	struct dr_dir *d = (struct dr_dir *)store;
	struct dr_blob *blob = NULL;
	char *path = NULL;
	struct stat st;
	int fd = -1;

	if (dr_dir_root(d, err) == -1 ||
	    (path = dr_fmt(err, "%s/%s", store->url, name)) == NULL)
		return NULL;
	/* Not to wait for a writer should it be a fifo. */
	fd = openat(d->root, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			dr_err_set(err, DR_EDATA, "\"%s\" is missing", path);
		else
			dr_err_sys(err, "cannot open \"%s\"", path);
		goto out;
	}
	if (fstat(fd, &st) == -1) {
		dr_err_sys(err, "cannot look at \"%s\"", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		dr_err_set(err, DR_EDATA, "\"%s\" is not a file", path);
		goto out;
	}
	if ((blob = dr_blob_fd(fd, path, err)) != NULL)
		fd = -1; /* the blob's now */

out:
	if (fd != -1)
		close(fd);
	free(path);
	return blob;
}

struct walk {
	struct dr_dir *d;
	int (*object)(void *, const struct dr_object *, struct dr_err *);
	int (*dir)(void *, const char *, struct dr_err *);
	void *arg;
	const char *after; /* only what comes after it; or NULL */
	int depth;
};

static int walk(struct walk *, const char *prefix, struct dr_err *);

static int
walk_name(struct walk *w, int fd, const char *prefix, const char *name,
    struct dr_err *err)
{
	struct dr_object obj;
	struct stat st;
	char *full;
	int rc = 0;

	if (fstatat(fd, name, &st, 0) == -1) {
		/* It may have gone since; a link may lead nowhere. */
		if (errno == ENOENT || errno == ELOOP)
			return 0;
		return dr_err_sys(err, "cannot look at \"%s/%s%s\"",
		    w->d->store.url, prefix, name);
	}
	full =
	    dr_fmt(err, "%s%s%s", prefix, name, S_ISDIR(st.st_mode) ? "/" : "");
	if (full == NULL)
		return -1;
	if (S_ISDIR(st.st_mode)) {
		if (w->dir != NULL)
			rc = w->dir(w->arg, name, err);
		else if (w->depth < DR_DIR_DEPTH_MAX) {
			w->depth++;
			rc = walk(w, full, err);
			w->depth--;
		}
	} else if (S_ISREG(st.st_mode) && w->object != NULL &&
	           (w->after == NULL || strcmp(full, w->after) > 0) &&
	           dr_object_name_ok(full)) {
		fill(&obj, full, &st);
		rc = w->object(w->arg, &obj, err);
	}
	free(full);
	return rc;
}

static int
walk(struct walk *w, const char *prefix, struct dr_err *err)
{
	struct dr_dir_names names = { .n = 0 };
	const char *last = NULL, *from = NULL;
	size_t len = strlen(prefix);
	int fd = -1, rc = -1;

	if (dr_dir_root(w->d, err) == -1)
		return -1;
	fd = openat(w->d->root, *prefix == '\0' ? "." : prefix,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return dr_err_sys(err, "cannot open \"%s/%s\"", w->d->store.url,
		    prefix);
	}
	if (w->after != NULL && strncmp(w->after, prefix, len) == 0)
		from = w->after + len;
	do {
		if (dr_dir_names(&names, fd, last, from, prefix, err) == -1)
			goto out;
		for (size_t i = 0; i < names.n; i++)
			if (walk_name(w, fd, prefix, names.v[i], err) == -1)
				goto out;
		if (names.n > 0)
			last = names.v[names.n - 1];
	} while (names.more);
	rc = 0;

out:
	dr_dir_names_free(&names);
	close(fd);
	return rc;
}

static int
dir_list(struct dr_store *store, const char *prefix, const char *after,
    int (*fn)(void *, const struct dr_object *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct walk w = { (struct dr_dir *)store, fn, NULL, arg, after, 0 };

	return walk(&w, prefix, err);
}

static int
dir_dirs(struct dr_store *store, const char *prefix,
    int (*fn)(void *, const char *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct walk w = { (struct dr_dir *)store, NULL, fn, arg, NULL, 0 };

	return walk(&w, prefix, err);
}

static int
dir_room(struct dr_store *store, uint64_t *size, uint64_t *free)
{
	struct dr_dir *d = (struct dr_dir *)store;
	struct dr_err err = { 0 };
	struct statvfs v;

	if (dr_dir_root(d, &err) == -1 || fstatvfs(d->root, &v) == -1 ||
	    v.f_blocks == 0)
		return 0;
	*size = (uint64_t)v.f_blocks * v.f_frsize;
	*free = (uint64_t)v.f_bavail * v.f_frsize;
	return 1;
}

static void
dir_free(struct dr_store *store)
{
	struct dr_dir *d = (struct dr_dir *)store;

	if (d->root != -1)
		close(d->root);
	free(d->synced);
	free(d);
}

static const struct dr_store_ops dir_ops = {
	.put = dr_dir_put,
	.put_small = dr_dir_put_small,
	.put_before = dr_dir_put_before,
	.stat = dir_stat,
	.get = dir_get,
	.list = dir_list,
	.scans = true,
	.dirs = dir_dirs,
	.del = dr_dir_delete,
	.rmdir = dr_dir_rmdir,
	.uploads = dr_dir_uploads,
	.upload_abort = dr_dir_upload_abort,
	.try_replace = dr_dir_try_replace,
	.room = dir_room,
	.free = dir_free,
};

/* So that records that name the store hold from any working directory. */
static char *
absolute(const char *path, struct dr_err *err)
{
	char *full = realpath(path, NULL), *cwd, *out;

	if (full != NULL)
		return full;
	if (path[0] == '/')
		return dr_fmt(err, "%s", path);
	if ((cwd = getcwd(NULL, 0)) == NULL) {
		dr_err_sys(err, "cannot find the working directory");
		return NULL;
	}
	out = dr_fmt(err, "%s/%s", cwd, path);
	free(cwd);
	return out;
}

struct dr_store *
dr_store_dir(const char *path, struct dr_err *err)
{
	struct dr_dir *d;

	if ((d = calloc(1, sizeof(*d))) == NULL) {
		dr_err_sys(err, "cannot open store \"%s\"", path);
		return NULL;
	}
	if ((d->store.url = absolute(path, err)) == NULL) {
		free(d);
		return NULL;
	}
	d->store.ops = &dir_ops;
	d->root = -1;
	return &d->store;
}
