/* extract_put.c - members onto the disk, below one directory. */
#include <sys/stat.h>
#include <sys/xattr.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/attrs.h"
#include "archive/extract_int.h"
#include "archive/restattr.h"
#include "base/tty.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
/* Data of a file this large are sent to the disk at once, not at the end. */
#define EARLY     (256U << 10)

struct owner {
	uint32_t uid, gid;
};

/* --- names -------------------------------------------------------------- */

/* Go into NAME of AT, which is made when MAKE and it is missing. */
static int
go_into(int at, const char *name, bool make, const char *path, struct dr_err *e)
{
	int fd = openat(at, name, DIR_FLAGS);

	if (fd == -1 && errno == ENOENT && make) {
		/* What the tar does not say, the umask does. */
		if (mkdirat(at, name, 0777) == -1)
			return dr_err_sys(e,
			    "cannot make the directory \"%s\" for \"%s\"", name,
			    path);
		fd = openat(at, name, DIR_FLAGS);
	}
	if (fd == -1 && (errno == ENOTDIR || errno == ELOOP))
		return dr_err_set(e, DR_EDATA,
		    "the tar has a name that goes through \"%s\", which is no "
		    "directory: \"%s\"",
		    name, path);
	if (fd == -1)
		return dr_err_sys(e, "cannot open the directory of \"%s\"",
		    path);
	return fd;
}

/* The directory that is the first LEN bytes of PATH. */
static int
walk(struct extract *x, const char *path, size_t len, bool make,
    struct dr_err *e)
{
	char name[NAME_MAX + 1];
	const char *p = path, *end = path + len;
	int at = x->root, fd;
	size_t n;

	while (p < end) {
		n = strcspn(p, "/");
		if (n > NAME_MAX) {
			errno = ENAMETOOLONG;
			dr_err_sys(e, "cannot make \"%s\"", path);
			fd = -1;
		} else {
			memcpy(name, p, n);
			name[n] = '\0';
			fd = go_into(at, name, make, path, e);
		}
		if (at != x->root)
			(void)close(at);
		if (fd == -1)
			return -1;
		at = fd;
		p += n + 1;
	}
	return at;
}

int
dr_extract_parent(struct extract *x, const char *path, const char **last,
    struct dr_err *e)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - path);
	int fd;

	*last = slash == NULL ? path : slash + 1;
	if (len == 0)
		return x->root;
	if (x->dir != -1 && strlen(x->dir_path) == len &&
	    memcmp(x->dir_path, path, len) == 0)
		return x->dir;
	if ((fd = walk(x, path, len, true, e)) == -1)
		return -1;
	if (x->dir != -1)
		(void)close(x->dir);
	x->dir = fd;
	memcpy(x->dir_path, path, len);
	x->dir_path[len] = '\0';
	return fd;
}

static void
forget_dir(struct extract *x)
{
	if (x->dir != -1)
		(void)close(x->dir);
	x->dir = -1;
}

/*
 * Take away what an earlier member of the same name left in AT, and forget
 * the directory used last where it may be that.
 */
static int
take_away(struct extract *x, int at, const char *name)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return -1;
	if (!S_ISDIR(st.st_mode))
		return unlinkat(at, name, 0);
	if (at != x->dir)
		forget_dir(x);
	return unlinkat(at, name, AT_REMOVEDIR);
}

static int
cannot_make(struct extract *x, struct dr_err *e)
{
	/* An earlier member stands in the way: the tar contradicts itself. */
	if (errno == ENOTEMPTY || errno == EEXIST)
		return dr_err_set(e, DR_EDATA,
		    "the tar has \"%s\" twice, as a directory and otherwise",
		    x->path);
	return dr_err_sys(e, "cannot make \"%s\"", x->path);
}

/* --- what files have ---------------------------------------------------- */

static int
owner_of(struct extract *x, struct archive_entry *entry, struct owner *o,
    struct dr_err *e)
{
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);

	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return dr_err_set(e, DR_EDATA,
		    "the tar has an owner out of range: \"%s\"", x->path);
	o->uid = (uint32_t)uid;
	o->gid = (uint32_t)gid;
	if (x->owners && !x->opts->numeric) {
		o->uid = dr_ids_uid(x->ids, archive_entry_uname(entry), o->uid);
		o->gid = dr_ids_gid(x->ids, archive_entry_gname(entry), o->gid);
	}
	return 0;
}

static mode_t
mode_of(const struct extract *x, struct archive_entry *entry)
{
	mode_t mode = archive_entry_perm(entry) & 07777;

	return x->owners ? mode : mode & 01777;
}

static void
times_of(struct archive_entry *entry, struct timespec ts[2])
{
	ts[0] = (struct timespec){ .tv_nsec = UTIME_OMIT };
	ts[1] = ts[0];
	if (archive_entry_mtime_is_set(entry)) {
		ts[1].tv_sec = archive_entry_mtime(entry);
		ts[1].tv_nsec = archive_entry_mtime_nsec(entry);
		/* libarchive counts the decimals of "-1.5" upwards. */
		if (ts[1].tv_sec < 0 && ts[1].tv_nsec > 0) {
			ts[1].tv_sec--;
			ts[1].tv_nsec = 1000000000 - ts[1].tv_nsec;
		}
	}
}

static int
take_attrs(struct extract *x, struct archive_entry *entry, struct dr_err *e)
{
	x->attrs.len = 0;
	return dr_restattr_take(entry, x->ids, x->opts->numeric, x->owners,
	    &x->attrs, &x->facts->unset, e);
}

/* Owner, mode, attributes and times of NAME, which is no file or directory. */
static int
finish_other(struct extract *x, int at, const char *name, bool is_link,
    struct archive_entry *entry, struct dr_err *e)
{
	char path[NAME_MAX + 40];
	struct timespec ts[2];
	struct owner o;

	if (owner_of(x, entry, &o, e) == -1 || take_attrs(x, entry, e) == -1)
		return -1;
	if (x->owners &&
	    fchownat(at, name, o.uid, o.gid, AT_SYMLINK_NOFOLLOW) == -1)
		return dr_err_sys(e, "cannot set the owner of \"%s\"", x->path);
	if (!is_link && fchmodat(at, name, mode_of(x, entry), 0) == -1)
		return dr_err_sys(e, "cannot set the mode of \"%s\"", x->path);
	if (x->attrs.len > 0) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", at,
		    name);
		if (dr_restattr_set(-1, path, x->attrs.data, x->attrs.len,
		        x->path, &x->facts->unset, e) == -1)
			return -1;
	}
	times_of(entry, ts);
	if (utimensat(at, name, ts, AT_SYMLINK_NOFOLLOW) == -1)
		return dr_err_sys(e, "cannot set the time of \"%s\"", x->path);
	return 0;
}

static int
finish_file(struct extract *x, int fd, struct archive_entry *entry,
    uint64_t size, struct dr_err *e)
{
	struct timespec ts[2];
	struct owner o;

	if (owner_of(x, entry, &o, e) == -1 || take_attrs(x, entry, e) == -1)
		return -1;
	if (x->owners && fchown(fd, o.uid, o.gid) == -1)
		return dr_err_sys(e, "cannot set the owner of \"%s\"", x->path);
	if (x->inherits)
		(void)fremovexattr(fd, DR_ACL_ACCESS);
	if (fchmod(fd, mode_of(x, entry)) == -1)
		return dr_err_sys(e, "cannot set the mode of \"%s\"", x->path);
	if (x->attrs.len > 0 &&
	    dr_restattr_set(fd, NULL, x->attrs.data, x->attrs.len, x->path,
	        &x->facts->unset, e) == -1)
		return -1;
	times_of(entry, ts);
	if (futimens(fd, ts) == -1)
		return dr_err_sys(e, "cannot set the time of \"%s\"", x->path);
	if (x->sync_each && fsync(fd) == -1)
		return dr_err_sys(e, "cannot make \"%s\" durable", x->path);
	if (!x->sync_each && !x->opts->no_sync && size >= EARLY)
		(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

/* --- kinds -------------------------------------------------------------- */

static int
put_at(int fd, const char *p, size_t len, uint64_t off)
{
	ssize_t n;

	while (len > 0) {
		n = pwrite(fd, p, len, (off_t)off);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		p += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

/* Data blocks of the member at hand, onto FD; -1 as FD: there may be none. */
static int
data(struct extract *x, int fd, uint64_t size, struct dr_err *e)
{
	const void *p;
	int64_t off;
	size_t len;
	int r;

	for (;;) {
		r = archive_read_data_block(x->reader, &p, &len, &off);
		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK)
			return dr_extract_failed(x, e);
		if (len == 0)
			continue;
		if (off < 0 || (uint64_t)off > size ||
		    len > size - (uint64_t)off)
			return dr_err_set(e, DR_EDATA,
			    "the tar has data beyond the end of \"%s\"",
			    x->path);
		if (put_at(fd, p, len, (uint64_t)off) == -1)
			return dr_err_sys(e, "cannot write \"%s\"", x->path);
		x->facts->bytes += len;
		dr_progress(x->facts->bytes);
	}
}

static int
make_file(struct extract *x, int at, const char *name,
    struct archive_entry *entry, struct dr_err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int64_t size = archive_entry_size(entry);
	int fd, r = -1;

	if (size < 0)
		return dr_err_set(e, DR_EDATA, "the tar has a negative size");
	fd = openat(at, name, flags, 0600);
	if (fd == -1 && errno == EEXIST && take_away(x, at, name) == 0)
		fd = openat(at, name, flags, 0600);
	if (fd == -1)
		return cannot_make(x, e);
	if (data(x, fd, (uint64_t)size, e) == -1)
		goto out;
	/* A hole at the end has no data block. */
	if (archive_entry_sparse_count(entry) > 0 &&
	    ftruncate(fd, size) == -1) {
		dr_err_sys(e, "cannot write \"%s\"", x->path);
		goto out;
	}
	r = finish_file(x, fd, entry, (uint64_t)size, e);
out:
	if (close(fd) == -1 && r == 0)
		r = dr_err_sys(e, "cannot write \"%s\"", x->path);
	return r;
}

static int
make_link(struct extract *x, int at, const char *name, const char *target,
    struct dr_err *e)
{
	const char *slash, *last;
	int from, r;

	if (dr_extract_path(target, x->link, e) == -1)
		return -1;
	if (*x->link == '\0' || strcmp(x->link, x->path) == 0)
		return dr_err_set(e, DR_EDATA,
		    "the tar has a link to itself: \"%s\"", x->path);
	slash = strrchr(x->link, '/');
	last = slash == NULL ? x->link : slash + 1;
	from = walk(x, x->link, slash == NULL ? 0 : (size_t)(slash - x->link),
	    false, e);
	if (from == -1)
		return -1;
	/* Without AT_SYMLINK_FOLLOW a link to a symbolic link is just that. */
	r = linkat(from, last, at, name, 0);
	if (r == -1 && errno == EEXIST && take_away(x, at, name) == 0)
		r = linkat(from, last, at, name, 0);
	if (r == -1 && (errno == ENOENT || errno == EPERM))
		dr_err_set(e, DR_EDATA,
		    "the tar has \"%s\" as a link to \"%s\", which is no file "
		    "of it",
		    x->path, x->link);
	else if (r == -1)
		cannot_make(x, e);
	if (from != x->root)
		(void)close(from);
	/* Some old tars repeat the data; ours never do. */
	return r == -1 ? -1 : data(x, -1, 0, e);
}

static int
make_symlink(struct extract *x, int at, const char *name,
    struct archive_entry *entry, struct dr_err *e)
{
	const char *target = archive_entry_symlink(entry);
	int r;

	if (target == NULL || *target == '\0')
		return dr_err_set(e, DR_EDATA,
		    "the tar has a symbolic link to nothing: \"%s\"", x->path);
	r = symlinkat(target, at, name);
	if (r == -1 && errno == EEXIST && take_away(x, at, name) == 0)
		r = symlinkat(target, at, name);
	if (r == -1)
		return cannot_make(x, e);
	return finish_other(x, at, name, true, entry, e);
}

static int
make_node(struct extract *x, int at, const char *name, mode_t kind,
    struct archive_entry *entry, struct dr_err *e)
{
	dev_t dev = kind == S_IFIFO ? 0 : archive_entry_rdev(entry);
	int r;

	if (kind != S_IFIFO && (!x->opts->devices || geteuid() != 0)) {
		dr_err_set(e, DR_EDATA, "the tar has a device node: \"%s\"",
		    x->path);
		return dr_err_hint(e, "where it belongs there, open the backup "
		                      "(dr-seal -d, dr-pack -d --body) and let "
		                      "tar unpack it");
	}
	r = mknodat(at, name, kind | 0600, dev);
	if (r == -1 && errno == EEXIST && take_away(x, at, name) == 0)
		r = mknodat(at, name, kind | 0600, dev);
	if (r == -1)
		return cannot_make(x, e);
	return finish_other(x, at, name, false, entry, e);
}

/* --- directories -------------------------------------------------------- */

static int
put_late(struct extract *x, struct archive_entry *entry, struct dr_err *e)
{
	struct late l;
	struct timespec ts[2];
	struct owner o;
	uint64_t at = dr_spool_size(x->late);

	/* Bytes between its members go to a file: none may be unset. */
	memset(&l, 0, sizeof(l));
	if (owner_of(x, entry, &o, e) == -1 || take_attrs(x, entry, e) == -1)
		return -1;
	times_of(entry, ts);
	l.before = at == 0 ? 0 : x->late_last;
	l.mtime = ts[1].tv_sec;
	l.nsec = (uint32_t)ts[1].tv_nsec;
	l.has_time = ts[1].tv_nsec != UTIME_OMIT;
	l.uid = o.uid;
	l.gid = o.gid;
	l.mode = mode_of(x, entry);
	l.path_len = (uint32_t)strlen(x->path);
	l.attrs_len = (uint32_t)x->attrs.len;
	if ((l.mode & 0700) != 0700)
		x->late_modes = true;
	x->late_last = at;
	if (dr_spool_add(x->late, &l, sizeof(l), e) == -1 ||
	    dr_spool_add(x->late, x->path, l.path_len, e) == -1)
		return -1;
	return dr_spool_add(x->late, x->attrs.data, l.attrs_len, e);
}

static int
make_dir(struct extract *x, int at, const char *name,
    struct archive_entry *entry, struct dr_err *e)
{
	struct stat st;

	if (mkdirat(at, name, 0700) == -1) {
		if (errno != EEXIST)
			return cannot_make(x, e);
		if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
			return cannot_make(x, e);
		if (!S_ISDIR(st.st_mode) && (unlinkat(at, name, 0) == -1 ||
		                                mkdirat(at, name, 0700) == -1))
			return cannot_make(x, e);
	}
	/* What it inherits may keep its owner out. */
	if (x->inherits && fchmodat(at, name, 0700, 0) == -1)
		return cannot_make(x, e);
	return put_late(x, entry, e);
}

/*
 * Everything but, in part, the mode: where it keeps its owner out, what lies
 * below must get its own first.
 */
static int
finish_dir(struct extract *x, const struct late *l, bool keep_in,
    struct dr_err *e)
{
	struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_nsec = UTIME_OMIT } };
	int fd, r = -1;

	fd = walk(x, x->path, l->path_len, false, e);
	if (fd == -1)
		return -1;
	if (l->has_time) {
		ts[1].tv_sec = l->mtime;
		ts[1].tv_nsec = l->nsec;
	}
	if (x->inherits && l->path_len > 0) {
		(void)fremovexattr(fd, DR_ACL_ACCESS);
		(void)fremovexattr(fd, DR_ACL_DEFAULT);
	}
	if (x->owners && fchown(fd, l->uid, l->gid) == -1)
		dr_err_sys(e, "cannot set the owner of \"%s\"", x->path);
	else if (fchmod(fd, l->mode) == -1)
		dr_err_sys(e, "cannot set the mode of \"%s\"", x->path);
	else if (l->attrs_len > 0 &&
	         dr_restattr_set(fd, NULL, x->attrs.data, l->attrs_len, x->path,
	             &x->facts->unset, e) == -1)
		; /* said */
	else if (keep_in && fchmod(fd, l->mode | 0700) == -1)
		dr_err_sys(e, "cannot set the mode of \"%s\"", x->path);
	else if (futimens(fd, ts) == -1)
		dr_err_sys(e, "cannot set the time of \"%s\"", x->path);
	else if (x->sync_each && fsync(fd) == -1)
		dr_err_sys(e, "cannot make \"%s\" durable", x->path);
	else
		r = 0;
	if (fd != x->root)
		(void)close(fd);
	return r;
}

static int
get_late(struct extract *x, uint64_t at, struct late *l, struct dr_err *e)
{
	if (dr_spool_read(x->late, at, l, sizeof(*l), e) == -1)
		return -1;
	at += sizeof(*l);
	if (dr_spool_read(x->late, at, x->path, l->path_len, e) == -1)
		return -1;
	x->path[l->path_len] = '\0';
	x->attrs.len = 0;
	if (dr_buf_room(&x->attrs, l->attrs_len, e) == -1)
		return -1;
	return dr_spool_read(x->late, at + l->path_len, x->attrs.data,
	    l->attrs_len, e);
}

int
dr_extract_late(struct extract *x, struct dr_err *e)
{
	uint64_t at, end = dr_spool_size(x->late);
	bool again = x->late_modes && geteuid() != 0;
	struct late l;
	int fd;

	forget_dir(x);
	/* In order, so that of two that agree in name the later counts. */
	for (at = 0; at < end; at += sizeof(l) + l.path_len + l.attrs_len)
		if (get_late(x, at, &l, e) == -1 ||
		    finish_dir(x, &l, again, e) == -1)
			return -1;
	/* Backwards: what lies below is done before the way there closes. */
	for (at = x->late_last; again && end > 0; at = l.before) {
		if (get_late(x, at, &l, e) == -1)
			return -1;
		if ((l.mode & 0700) != 0700) {
			fd = walk(x, x->path, l.path_len, false, e);
			if (fd == -1)
				return -1;
			if (fchmod(fd, l.mode) == -1)
				dr_err_sys(e, "cannot set the mode of \"%s\"",
				    x->path);
			if (fd != x->root)
				(void)close(fd);
			if (e->cause != DR_OK)
				return -1;
		}
		if (at == 0)
			break;
	}
	return 0;
}

int
dr_extract_member(struct extract *x, struct archive_entry *entry,
    struct dr_err *e)
{
	const char *hard = archive_entry_hardlink(entry), *name;
	mode_t kind = archive_entry_filetype(entry);
	int at;

	if (*x->path == '\0') {
		if (hard == NULL && kind == AE_IFDIR)
			return put_late(x, entry, e);
		return dr_err_set(e, DR_EDATA,
		    "the tar has \".\" as another thing than a directory");
	}
	if ((at = dr_extract_parent(x, x->path, &name, e)) == -1)
		return -1;
	if (hard != NULL)
		return make_link(x, at, name, hard, e);
	switch (kind) {
	case AE_IFREG:
		return make_file(x, at, name, entry, e);
	case AE_IFDIR:
		return make_dir(x, at, name, entry, e);
	case AE_IFLNK:
		return make_symlink(x, at, name, entry, e);
	case AE_IFIFO:
		return make_node(x, at, name, S_IFIFO, entry, e);
	case AE_IFCHR:
		return make_node(x, at, name, S_IFCHR, entry, e);
	case AE_IFBLK:
		return make_node(x, at, name, S_IFBLK, entry, e);
	default:
		return dr_err_set(e, DR_EDATA,
		    "the tar has a member of an unknown kind: \"%s\"", x->path);
	}
}
