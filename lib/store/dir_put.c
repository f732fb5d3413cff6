/*
 * Writing into a directory: a file that is durable before it has its name.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "store/dir_int.h"
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

struct dr_sink *
dr_dir_put(struct dr_store *store, const char *name, struct dr_err *err)
{
	struct dirsink *s = sink_new(store, name, false, err);

	return s == NULL ? NULL : &s->sink;
}

enum dr_put_result
dr_dir_put_before(struct dr_small *p, struct dr_err *err)
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
		return dr_dir_put_before(p, err);
	}
	return res;
}

enum dr_put_result
dr_dir_put_small(struct dr_store *store, const char *name, const void *data,
    size_t len, bool *lost, struct dr_err *err)
{
	struct dr_small p = { .store = store,
		.name = name,
		.data = data,
		.len = len };

	(void)lost;
	return dr_dir_put_before(&p, err);
}
