#include "base/fd.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"

/*
 * At most so much in one call: for more, a file system takes memory in pages
 * so large that it rarely has warm ones of them.
 */
#define WRITE (512U << 10)

int (*dr_fd_poll)(struct pollfd *, nfds_t, int) = poll;

/* Wait until FD is ready for EVENTS, or fail once stopped. */
static int
wait_for(int fd, short events, struct dr_err *err)
{
	struct pollfd p[2] = { { .fd = fd, .events = events },
		{ .fd = dr_stop_fd(), .events = POLLIN } };

	for (;;) {
		if (dr_check_stop(err) == -1)
			return -1;
		if (dr_fd_poll(p, 2, -1) == -1) {
			if (errno == EINTR) {
				dr_progress_poll();
				continue;
			}
			return dr_err_sys(err, "cannot wait for input");
		}
		if (dr_check_stop(err) == -1)
			return -1;
		if (p[0].revents != 0)
			return 0;
	}
}

ssize_t
dr_fd_read(int fd, void *buf, size_t len, const char *name, struct dr_err *err)
{
	ssize_t n;

	for (;;) {
		if (wait_for(fd, POLLIN, err) == -1)
			return -1;
		if ((n = read(fd, buf, len)) != -1)
			return n;
		if (errno != EINTR && errno != EAGAIN)
			return dr_err_sys(err, "cannot read \"%s\"", name);
	}
}

ssize_t
dr_fd_fill(int fd, void *buf, size_t len, const char *name, struct dr_err *err)
{
	size_t have = 0;
	ssize_t n;

	while (have < len) {
		n = dr_fd_read(fd, (char *)buf + have, len - have, name, err);
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

int
dr_fd_pread(int fd, void *buf, size_t len, uint64_t off, const char *name,
    struct dr_err *err)
{
	char *p = buf;
	ssize_t n;

	if (off > (uint64_t)INT64_MAX || len > (uint64_t)INT64_MAX - off)
		return dr_err_set(err, DR_EDATA, "\"%s\" is truncated", name);
	while (len > 0) {
		if ((n = pread(fd, p, len, (off_t)off)) == -1) {
			if (errno != EINTR)
				return dr_err_sys(err, "cannot read \"%s\"",
				    name);
			if (dr_check_stop(err) == -1)
				return -1;
			continue;
		}
		if (n == 0)
			return dr_err_set(err, DR_EDATA, "\"%s\" is truncated",
			    name);
		p += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

int
dr_fd_write(int fd, const void *buf, size_t len, const char *name,
    struct dr_err *err)
{
	const char *p = buf;
	ssize_t n;

	while (len > 0) {
		if (dr_check_stop(err) == -1)
			return -1;
		if ((n = write(fd, p, len < WRITE ? len : WRITE)) != -1) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EAGAIN) {
			if (wait_for(fd, POLLOUT, err) == -1)
				return -1;
		} else if (errno != EINTR)
			return dr_err_sys(err, "cannot write \"%s\"", name);
	}
	return 0;
}

int
dr_sync_dir(const char *dir, struct dr_err *err)
{
	int fd, rc = 0;

	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return dr_err_sys(err, "cannot open \"%s\"", dir);
	/* Some file systems know no fsync of a directory. */
	if (fsync(fd) == -1 && errno != EINVAL)
		rc = dr_err_sys(err, "cannot sync \"%s\"", dir);
	close(fd);
	return rc;
}

/* The directory part of PATH: "." or "/" where it has none.  Heap. */
static char *
parent_of(const char *path, struct dr_err *err)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	if (n == 0)
		return dr_fmt(err, ".");
	while (n > 1 && path[n - 1] == '/')
		n--;
	return dr_fmt(err, "%.*s", (int)n, path);
}

int
dr_sync_parent(const char *path, struct dr_err *err)
{
	char *dir;
	int rc;

	if ((dir = parent_of(path, err)) == NULL)
		return -1;
	rc = dr_sync_dir(dir, err);
	free(dir);
	return rc;
}

int
dr_mkdirs(const char *path, mode_t mode, struct dr_err *err)
{
	char *p, *s;
	struct stat st;
	int saved, rc = -1;

	if ((p = dr_fmt(err, "%s", path)) == NULL)
		return -1;
	for (s = p; *s == '/'; s++)
		continue;
	for (;;) {
		char was;

		s += strcspn(s, "/");
		was = *s;
		*s = '\0';
		if (mkdir(p, mode) == 0) {
			if (dr_sync_parent(p, err) == -1)
				goto out;
		} else if (saved = errno, stat(p, &st) == -1) {
			errno = saved;
			dr_err_sys(err, "cannot make directory \"%s\"", p);
			goto out;
		} else if (!S_ISDIR(st.st_mode)) {
			dr_err_set(err, DR_EFAIL,
			    "cannot make directory \"%s\": "
			    "\"%s\" is not a directory",
			    path, p);
			goto out;
		}
		*s = was;
		while (*s == '/')
			s++;
		if (*s == '\0')
			break;
	}
	rc = 0;
out:
	free(p);
	return rc;
}

int
dr_file_create(struct dr_file *f, const char *path, mode_t mode,
    struct dr_err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	unsigned char rnd[8];
	char hex[2 * sizeof(rnd) + 1];
	int saved;

	f->fd = -1;
	f->path = f->tmp = NULL;
	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return dr_err_set(err, DR_EFAIL,
		    "cannot create \"%s\": not a file name", path);
	if (dr_random(rnd, sizeof(rnd), err) == -1)
		return -1;
	dr_hex(rnd, sizeof(rnd), hex);
	if ((f->path = dr_fmt(err, "%s", path)) == NULL)
		return -1;
	f->tmp = dr_fmt(err, "%.*s.%.200s.%s.tmp", (int)(name - path), path,
	    name, hex);
	if (f->tmp == NULL)
		goto fail;
	f->fd = open(f->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
	    mode);
	if (f->fd == -1) {
		saved = errno;
		dr_err_sys(err, "cannot create \"%s\"", path);
		free(f->tmp);
		f->tmp = NULL;
		errno = saved;
		goto fail;
	}
	if ((mode & 077) == 0 && fchmod(f->fd, mode) == -1) {
		dr_err_sys(err, "cannot set the mode of \"%s\"", path);
		goto fail;
	}
	return 0;

fail:
	saved = errno;
	dr_file_abandon(f);
	errno = saved;
	return -1;
}

/* Did a link(2) that said EEXIST make the name after all (NFS)? */
static bool
is_ours(const struct stat *ours, const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_dev == ours->st_dev &&
	       st.st_ino == ours->st_ino;
}

/* The name is given last: until then nothing can be wrong with the bytes. */
static int
name_it(struct dr_file *f, enum dr_file_how how, struct dr_err *err)
{
	struct stat st;
	int fd = f->fd;

	if (fsync(fd) == -1 || fstat(fd, &st) == -1)
		return dr_err_sys(err, "cannot sync \"%s\"", f->path);
	f->fd = -1;
	if (close(fd) == -1)
		return dr_err_sys(err, "cannot write \"%s\"", f->path);
	if (how == DR_FILE_REPLACE) {
		if (rename(f->tmp, f->path) == -1)
			return dr_err_sys(err, "cannot create \"%s\"", f->path);
	} else {
		if (link(f->tmp, f->path) == -1 &&
		    (errno != EEXIST || !is_ours(&st, f->path)))
			return dr_err_sys(err, "cannot create \"%s\"", f->path);
		if (unlink(f->tmp) == -1)
			return dr_err_sys(err, "cannot remove \"%s\"", f->tmp);
	}
	free(f->tmp);
	f->tmp = NULL;
	return dr_sync_parent(f->path, err);
}

int
dr_file_commit(struct dr_file *f, enum dr_file_how how, struct dr_err *err)
{
	int rc = name_it(f, how, err), saved = errno;

	dr_file_abandon(f);
	errno = saved;
	return rc;
}

void
dr_file_abandon(struct dr_file *f)
{
	if (f->fd != -1)
		close(f->fd);
	if (f->tmp != NULL)
		unlink(f->tmp);
	free(f->tmp);
	free(f->path);
	f->fd = -1;
	f->tmp = f->path = NULL;
}

int
dr_file_put(const char *path, mode_t mode, enum dr_file_how how,
    const void *data, size_t len, struct dr_err *err)
{
	struct dr_file f = DR_FILE_INIT;

	if (dr_file_create(&f, path, mode, err) == -1)
		return -1;
	if (dr_fd_write(f.fd, data, len, path, err) == -1) {
		int saved = errno;

		dr_file_abandon(&f);
		errno = saved;
		return -1;
	}
	return dr_file_commit(&f, how, err);
}

char *
dr_file_get(const char *path, size_t max, size_t *len, struct dr_err *err)
{
	struct dr_buf b = { .max = max < SIZE_MAX - 2 ? max + 1 : max };
	struct stat st;
	ssize_t n;
	int fd, saved = 0;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1) {
		dr_err_sys(err, "cannot open \"%s\"", path);
		return NULL;
	}
	if (fstat(fd, &st) == -1) {
		dr_err_sys(err, "cannot read \"%s\"", path);
		goto fail;
	}
	if (dr_buf_room(&b, 0, err) == -1)
		goto fail;
	for (;;) {
		size_t want = 65536;

		if (b.len == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
		    st.st_size < 65536)
			want = (size_t)st.st_size + 1;
		if (want > b.max - b.len)
			want = b.max - b.len;
		if (dr_buf_room(&b, want, err) == -1)
			goto fail;
		/* Whoever clears up after a stop signal needs keys, too. */
		if (!S_ISREG(st.st_mode))
			n = dr_fd_read(fd, b.data + b.len, want, path, err);
		else if ((n = read(fd, b.data + b.len, want)) == -1) {
			if (errno == EINTR)
				continue;
			dr_err_sys(err, "cannot read \"%s\"", path);
		}
		if (n == -1)
			goto fail;
		if (n == 0)
			break;
		b.len += (size_t)n;
		if (b.len > max) {
			dr_err_set(err, DR_EDATA,
			    "\"%s\" has more than %zu bytes", path, max);
			errno = EFBIG;
			goto fail;
		}
	}
	b.data[b.len] = '\0';
	if (len != NULL)
		*len = b.len;
	close(fd);
	return b.data;

fail:
	saved = errno;
	close(fd);
	dr_buf_free(&b);
	errno = saved;
	return NULL;
}

int
dr_lock(const char *path, uint64_t ms, struct dr_err *err)
{
	int64_t start = dr_monotonic();
	int fd, pause = 1;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return dr_err_sys(err, "cannot open \"%s\"", path);
	for (;;) {
		struct pollfd p = { .fd = dr_stop_fd(), .events = POLLIN };

		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		if (errno != EWOULDBLOCK && errno != EINTR) {
			dr_err_sys(err, "cannot lock \"%s\"", path);
			break;
		}
		if (dr_check_stop(err) == -1)
			break;
		if ((uint64_t)(dr_monotonic() - start) / 1000 >= ms) {
			dr_err_set(err, DR_ERETRY,
			    "\"%s\" is locked by another process", path);
			break;
		}
		poll(&p, 1, pause);
		pause = pause < 10 ? 2 * pause : 20;
	}
	close(fd);
	return -1;
}
