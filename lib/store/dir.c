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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/num.h"
#include "store/dir_int.h"
#include "store/dir_names.h"
#include "store/tmpname.h"

#define WRITEBACK (8U << 20) /* so that the last fsync is short */

struct dirsink {
	struct dr_sink sink;
	struct dr_dir *d; /* borrowed */
	int fd, dirfd;
	uint64_t at, flushed;
	char *name; /* the object's */
	const char *base;
	char tmp[DR_TMP_MAX]; /* "": it has none, or it is gone */
};

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

static int
dirsink_write(struct dr_sink *sink, const void *buf, size_t len,
    struct dr_err *err)
{
	struct dirsink *s = (struct dirsink *)sink;

	if (dr_fd_write(s->fd, buf, len, s->name, err) == -1)
		return -1;
	s->at += len;
	if (s->at - s->flushed >= WRITEBACK) {
		/* Advice: what fails here shows again at fsync. */
		(void)sync_file_range(s->fd, (off_t)s->flushed,
		    (off_t)(s->at - s->flushed), SYNC_FILE_RANGE_WRITE);
		s->flushed = s->at;
	}
	return 0;
}

/* Is the object of that name the file we wrote?  NFS repeats requests. */
static bool
is_ours(const struct dirsink *s)
{
	struct stat mine, there;

	return fstat(s->fd, &mine) == 0 &&
	       fstatat(s->dirfd, s->base, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

/* Give it its name, unless that is taken. */
static int
name_it(struct dirsink *s)
{
	char self[32];

	if (s->tmp[0] == '\0') {
		(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", s->fd);
		if (linkat(AT_FDCWD, self, s->dirfd, s->base,
		        AT_SYMLINK_FOLLOW) == 0)
			return 0;
	} else if (linkat(s->dirfd, s->tmp, s->dirfd, s->base, 0) == 0)
		return 0;
	if (errno == EEXIST) {
		if (is_ours(s))
			return 0;
		errno = EEXIST;
		return -1;
	}
	if (s->tmp[0] == '\0') {
		/* No /proc, or no hard links, or none to such a file. */
		s->d->named = errno == ENOENT || errno == EPERM ||
		              errno == EACCES || errno == EXDEV ||
		              errno == EOPNOTSUPP || errno == ENOSYS;
		return -1;
	}
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		return -1;
	/* A file system without hard links. */
	if (renameat2(s->dirfd, s->tmp, s->dirfd, s->base, RENAME_NOREPLACE) ==
	    -1)
		return -1;
	s->tmp[0] = '\0';
	return 0;
}

static void
drop_tmp(struct dirsink *s)
{
	if (s->tmp[0] != '\0' && s->dirfd != -1)
		(void)unlinkat(s->dirfd, s->tmp, 0);
	s->tmp[0] = '\0';
}

/* Durable, then what must come BEFORE, then named. */
static int
settle(struct dirsink *s, int (*before)(void *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	int saved;

	if (dr_dir_root(s->d, err) == -1)
		return -1;
	if (fsync(s->fd) == -1)
		return dr_err_sys(err, "cannot write \"%s\"", s->name);
	if (before != NULL && before(arg, err) == -1) {
		errno = 0;
		return -1;
	}
	if (name_it(s) == -1) {
		saved = errno;
		dr_err_sys(err, "cannot create \"%s\"", s->name);
		drop_tmp(s);
		errno = saved;
		return -1;
	}
	drop_tmp(s);
	if (dr_dir_sync(s->dirfd) == -1)
		return dr_err_sys(err, "cannot make \"%s\" durable", s->name);
	saved = close(s->fd);
	s->fd = -1;
	if (saved == -1)
		return dr_err_sys(err, "cannot write \"%s\"", s->name);
	return 0;
}

static int
dirsink_finish(struct dr_sink *sink, struct dr_err *err)
{
	return settle((struct dirsink *)sink, NULL, NULL, err);
}

static void
dirsink_free(struct dr_sink *sink)
{
	struct dirsink *s = (struct dirsink *)sink;

	drop_tmp(s);
	if (s->fd != -1)
		close(s->fd);
	if (s->dirfd != -1)
		close(s->dirfd);
	free(s->name);
	free(s);
}

static const struct dr_sink_ops dirsink_ops = {
	.write = dirsink_write,
	.finish = dirsink_finish,
	.free = dirsink_free,
};

/*
 * For what is SMALL without a name until it has its own, where the file system
 * knows that: a kill leaves nothing behind.
 */
static int
open_new(struct dirsink *s, bool small, struct dr_err *err)
{
	if (small && !s->d->named) {
		s->fd = openat(s->dirfd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC,
		    0666);
		if (s->fd != -1)
			return 0;
		if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)
			s->d->named = true;
	}
	if (dr_tmp_new(s->base, s->tmp, err) == -1) {
		s->tmp[0] = '\0';
		return -1;
	}
	s->fd = openat(s->dirfd, s->tmp,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (s->fd != -1)
		return 0;
	dr_err_sys(err, "cannot create \"%s\"", s->name);
	s->tmp[0] = '\0';
	return -1;
}

static struct dirsink *
sink_new(struct dr_store *store, const char *name, bool small,
    struct dr_err *err)
{
	struct dr_dir *d = (struct dr_dir *)store;
	struct dirsink *s;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		dr_err_sys(err, "cannot create \"%s\"", name);
		return NULL;
	}
	s->sink.ops = &dirsink_ops;
	s->d = d;
	s->fd = s->dirfd = -1;
	if ((s->name = dr_fmt(err, "%s/%s", store->url, name)) == NULL)
		goto fail;
	s->dirfd = dr_dir_parent(d, name, true, &s->base, err);
	if (s->dirfd == -1)
		goto fail;
	s->base = s->name + strlen(s->name) - strlen(s->base);
	if (open_new(s, small, err) == -1)
		goto fail;
	return s;

fail:
	dirsink_free(&s->sink);
	return NULL;
}

static struct dr_sink *
dir_put(struct dr_store *store, const char *name, struct dr_err *err)
{
	struct dirsink *s = sink_new(store, name, false, err);

	return s == NULL ? NULL : &s->sink;
}

static enum dr_put_result
dir_put_before(struct dr_small *p, struct dr_err *err)
{
	struct dr_dir *d = (struct dr_dir *)p->store;
	struct dirsink *s = sink_new(p->store, p->name, true, err);
	enum dr_put_result res = DR_PUT_FAILED;
	bool named = d->named;

	if (s == NULL)
		return DR_PUT_FAILED;
	if (dr_sink_write(&s->sink, p->data, p->len, err) == 0) {
		if (settle(s, p->before, p->arg, err) == 0)
			res = DR_PUT_OK;
		else if (errno == EEXIST)
			res = DR_PUT_EXISTS;
	}
	dr_sink_free(&s->sink);
	if (res == DR_PUT_FAILED && d->named != named) {
		/* It would take no name: once more, with one from the start. */
		dr_err_clear(err);
		return dir_put_before(p, err);
	}
	return res;
}

static enum dr_put_result
dir_put_small(struct dr_store *store, const char *name, const void *data,
    size_t len, bool *lost, struct dr_err *err)
{
	struct dr_small p = { .store = store,
		.name = name,
		.data = data,
		.len = len };

	(void)lost;
	return dir_put_before(&p, err);
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
	.put = dir_put,
	.put_small = dir_put_small,
	.put_before = dir_put_before,
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
