/* tree_file.c - members of a tree's tar: headers, data, holes. */
#include <sys/sysmacros.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/attrs.h"
#include "archive/pax.h"
#include "archive/tree_int.h"
#include "base/msg.h"
#include "base/tty.h"

#define BLOCK   512U
/* A longer map is more than readers hold: then holes are stored as zeros. */
#define MAP_MAX (4U << 20)

struct extent {
	uint64_t at, len;
};

int
dr_tree_note(struct tree *t, enum dr_tree_event what, const char *why,
    struct dr_err *e)
{
	t->facts->count[what]++;
	return t->note == NULL ? 0 : t->note(t->arg, what, t->path, why, e);
}

/* ERRNO after a failure to open or look at what its directory named. */
static int
note_errno(struct tree *t, int number, struct dr_err *e)
{
	if (number == ENOENT || number == ESTALE)
		return dr_tree_note(t, DR_TREE_VANISHED, "vanished", e);
	if (number == ENOMEM || number == EMFILE || number == ENFILE) {
		errno = number;
		return dr_err_sys(e, "cannot open \"%s\"", t->path);
	}
	return dr_tree_note(t, DR_TREE_UNREADABLE, strerror(number), e);
}

int
dr_tree_flush(struct tree *t, struct dr_err *e)
{
	size_t n = t->len;

	t->len = 0;
	return n == 0 ? 0 : dr_sink_write(t->out, t->buf, n, e);
}

static int
put(struct tree *t, const void *data, size_t len, struct dr_err *e)
{
	const char *p = data;
	size_t n;

	while (len > 0) {
		if (t->len == TREE_BUF && dr_tree_flush(t, e) == -1)
			return -1;
		n = TREE_BUF - t->len < len ? TREE_BUF - t->len : len;
		if (p != NULL) {
			memcpy(t->buf + t->len, p, n);
			p += n;
		} else {
			memset(t->buf + t->len, 0, n);
		}
		t->len += n;
		len -= n;
	}
	return 0;
}

static int
zeros(struct tree *t, uint64_t len, struct dr_err *e)
{
	size_t n;

	for (; len > 0; len -= n) {
		n = len < TREE_BUF ? (size_t)len : TREE_BUF;
		if (put(t, NULL, n, e) == -1)
			return -1;
	}
	return 0;
}

static int
pad(struct tree *t, uint64_t size, struct dr_err *e)
{
	return zeros(t, (BLOCK - size % BLOCK) % BLOCK, e);
}

static int
header(struct tree *t, const struct stat *st, char type, const char *link,
    uint64_t size, bool sparse, struct dr_err *e)
{
	struct dr_pax m = { 0 };

	m.type = type;
	m.path = t->path;
	m.link = link;
	m.size = size;
	m.sparse = sparse;
	m.real_size = (uint64_t)st->st_size;
	m.mode = st->st_mode & 07777;
	m.uid = st->st_uid;
	m.gid = st->st_gid;
	m.uname = dr_ids_user(t->ids, st->st_uid);
	m.gname = dr_ids_group(t->ids, st->st_gid);
	m.mtime = st->st_mtim.tv_sec;
	m.mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
	if (type == '3' || type == '4') {
		m.dev_major = major(st->st_rdev);
		m.dev_minor = minor(st->st_rdev);
	}
	m.more = &t->attrs;
	t->head.len = 0;
	if (dr_pax_header(&t->head, &m, e) == -1)
		return -1;
	t->facts->members++;
	return put(t, t->head.data, t->head.len, e);
}

/* Attributes of what is open on FD, or of NAME in AT, into t->attrs. */
static int
attributes(struct tree *t, int at, const char *name, int fd, struct dr_err *e)
{
	char path[NAME_MAX + 40];
	const char *why = NULL, *p = name;
	int r;

	t->attrs.len = 0;
	if (fd == -1 && at != AT_FDCWD) {
		/* There is no flistxattr for links and devices. */
		r = snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", at,
		    name);
		if (r < 0 || (size_t)r >= sizeof(path))
			return 0;
		p = path;
	}
	r = dr_attrs_get(fd, p, t->ids, &t->attrs, &why, e);
	if (r == 0)
		r = dr_tree_note(t, DR_TREE_UNREADABLE, why, e);
	return r == -1 ? -1 : 0;
}

/*
 * Find the data of a file with holes.  *STORED is what follows the header:
 * the map and the data.  Leaves t->extents empty where there is no hole.
 */
static int
find_extents(struct tree *t, int fd, uint64_t size, uint64_t *stored,
    uint64_t *map, struct dr_err *e)
{
	struct extent x;
	char line[64];
	uint64_t n = 0, text = 0, data = 0, end = 0;
	off_t at, hole;
	int len;

	dr_spool_reset(t->extents);
	*stored = size;
	*map = 0;
	for (;;) {
		at = end < size ? lseek(fd, (off_t)end, SEEK_DATA) : -1;
		if (at == -1 && end < size && errno != ENXIO)
			goto plain; /* no such question on this file system */
		/* The map ends where the file does, with or without data. */
		x.at = at == -1 || (uint64_t)at >= size ? size : (uint64_t)at;
		x.len = 0;
		if (x.at < size) {
			if ((hole = lseek(fd, at, SEEK_HOLE)) <= at)
				goto plain;
			end = (uint64_t)hole < size ? (uint64_t)hole : size;
			x.len = end - x.at;
		}
		if (x.len == size)
			goto plain;
		len = snprintf(line, sizeof(line), "%" PRIu64 "\n%" PRIu64 "\n",
		    x.at, x.len);
		text += (uint64_t)len;
		data += x.len;
		n++;
		if (text > MAP_MAX)
			goto plain;
		if (dr_spool_add(t->extents, &x, sizeof(x), e) == -1)
			return -1;
		if (x.len == 0)
			break;
	}
	text += (uint64_t)snprintf(line, sizeof(line), "%" PRIu64 "\n", n);
	*map = text + (BLOCK - text % BLOCK) % BLOCK;
	*stored = *map + data;
	return 0;
plain:
	dr_spool_reset(t->extents);
	return 0;
}

static int
put_map(struct tree *t, uint64_t map, struct dr_err *e)
{
	uint64_t at, end = dr_spool_size(t->extents), done;
	struct extent x;
	char line[64];
	int len;

	len = snprintf(line, sizeof(line), "%" PRIu64 "\n", end / sizeof(x));
	done = (uint64_t)len;
	if (put(t, line, (size_t)len, e) == -1)
		return -1;
	for (at = 0; at < end; at += sizeof(x)) {
		if (dr_spool_read(t->extents, at, &x, sizeof(x), e) == -1)
			return -1;
		len = snprintf(line, sizeof(line), "%" PRIu64 "\n%" PRIu64 "\n",
		    x.at, x.len);
		done += (uint64_t)len;
		if (put(t, line, (size_t)len, e) == -1)
			return -1;
	}
	return zeros(t, map - done, e);
}

/*
 * LEN bytes of FD from OFF.  *GOT counts what could be read; zeros stand for
 * the rest, and errno (0: end of file) says why.
 */
static int
put_data(struct tree *t, int fd, uint64_t off, uint64_t len, uint64_t *got,
    int *why, struct dr_err *e)
{
	size_t want;
	ssize_t n;

	for (*got = 0, *why = 0; *got < len; *got += (uint64_t)n) {
		if (t->len == TREE_BUF && dr_tree_flush(t, e) == -1)
			return -1;
		want = TREE_BUF - t->len;
		if (want > len - *got)
			want = (size_t)(len - *got);
		n = pread(fd, t->buf + t->len, want, (off_t)(off + *got));
		if (n == -1 && errno == EINTR) {
			n = 0;
		} else if (n <= 0) {
			*why = n == 0 ? 0 : errno;
			break;
		}
		if (dr_check_stop(e) == -1)
			return -1;
		t->len += (size_t)n;
		t->facts->bytes += (uint64_t)n;
		dr_progress(t->facts->bytes);
	}
	return *got == len ? 0 : zeros(t, len - *got, e);
}

static bool
same(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int
content(struct tree *t, int fd, const struct stat *st, struct dr_err *e)
{
	uint64_t size = (uint64_t)st->st_size, stored = size, map = 0;
	uint64_t at, end, got;
	struct extent x = { 0, size };
	struct stat after;
	bool cut = false;
	int why = 0;

	dr_spool_reset(t->extents);
	if ((uint64_t)st->st_blocks * 512 < size &&
	    find_extents(t, fd, size, &stored, &map, e) == -1)
		return -1;
	if (header(t, st, '0', NULL, stored, map != 0, e) == -1)
		return -1;
	if (map == 0) {
		if (put_data(t, fd, 0, size, &got, &why, e) == -1)
			return -1;
		cut = got < size;
	} else {
		if (put_map(t, map, e) == -1)
			return -1;
		end = dr_spool_size(t->extents);
		for (at = 0; at < end; at += sizeof(x)) {
			if (dr_spool_read(t->extents, at, &x, sizeof(x), e) ==
			    -1)
				return -1;
			if (put_data(t, fd, x.at, x.len, &got, &why, e) == -1)
				return -1;
			if (got < x.len)
				cut = true;
			if (why != 0)
				break;
		}
		/* After an error nothing more is tried: zeros to the end. */
		for (at += sizeof(x); why != 0 && at < end; at += sizeof(x))
			if (dr_spool_read(t->extents, at, &x, sizeof(x), e) ==
			        -1 ||
			    zeros(t, x.len, e) == -1)
				return -1;
	}
	if (pad(t, stored, e) == -1)
		return -1;
	if (why != 0)
		return dr_tree_note(t, DR_TREE_UNREADABLE, strerror(why), e);
	if (fstat(fd, &after) == -1)
		return dr_tree_note(t, DR_TREE_UNREADABLE, strerror(errno), e);
	if (cut || after.st_size < st->st_size)
		return dr_tree_note(t, DR_TREE_CHANGED,
		    "became shorter while it was read", e);
	if (after.st_size > st->st_size)
		return dr_tree_note(t, DR_TREE_CHANGED,
		    "grew while it was read", e);
	if (!same(st, &after))
		return dr_tree_note(t, DR_TREE_CHANGED,
		    "changed while it was read", e);
	return 0;
}

/*
 * 1: it was met before under another name and is stored as a link to that;
 * 0: not so.
 */
static int
hard_link(struct tree *t, const struct stat *st, struct dr_err *e)
{
	const char *first;
	int r;

	if (st->st_nlink < 2)
		return 0;
	r = dr_links_find(t->links, st->st_dev, st->st_ino, &first, e);
	/* The same name again: an operand was given twice. */
	if (r != 1 || strcmp(first, t->path) == 0)
		return r == -1 ? -1 : 0;
	t->attrs.len = 0;
	return header(t, st, '1', first, 0, false, e) == -1 ? -1 : 1;
}

static int
remember(struct tree *t, const struct stat *st, struct dr_err *e)
{
	if (st->st_nlink < 2)
		return 0;
	return dr_links_add(t->links, st->st_dev, st->st_ino, st->st_nlink,
	    t->path, e);
}

int
dr_tree_file(struct tree *t, int at, const char *name, struct dr_err *e)
{
	/* Should it be a fifo by now, opening it must not wait. */
	const int flags =
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat st;
	int fd, r = -1;

	fd = openat(at, name, flags | O_NOATIME);
	if (fd == -1 && errno == EPERM)
		fd = openat(at, name, flags);
	if (fd == -1)
		return note_errno(t, errno, e);
	if (fstat(fd, &st) == -1) {
		r = note_errno(t, errno, e);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		r = dr_tree_note(t, DR_TREE_CHANGED,
		    "became another kind of file while it was read", e);
		goto out;
	}
	if ((r = hard_link(t, &st, e)) != 0) {
		r = r == 1 ? 0 : -1;
		goto out;
	}
	r = -1;
	if (attributes(t, at, name, fd, e) == -1 ||
	    content(t, fd, &st, e) == -1)
		goto out;
	r = remember(t, &st, e);
out:
	(void)close(fd);
	return r;
}

static int
symbolic(struct tree *t, int at, const char *name, const struct stat *st,
    struct dr_err *e)
{
	ssize_t n = readlinkat(at, name, t->link, PATH_MAX);

	if (n == -1)
		return note_errno(t, errno, e);
	if (n >= PATH_MAX)
		return note_errno(t, ENAMETOOLONG, e);
	t->link[n] = '\0';
	return header(t, st, '2', t->link, 0, false, e);
}

int
dr_tree_member(struct tree *t, int at, const char *name, int fd,
    const struct stat *st, struct dr_err *e)
{
	char type;
	int r;

	if (S_ISDIR(st->st_mode)) {
		t->attrs.len = 0;
		if (fd != -1 && attributes(t, at, name, fd, e) == -1)
			return -1;
		return header(t, st, '5', NULL, 0, false, e);
	}
	if (S_ISSOCK(st->st_mode))
		return dr_tree_note(t, DR_TREE_SKIPPED, "a socket", e);
	if ((r = hard_link(t, st, e)) != 0)
		return r == 1 ? 0 : -1;
	if (attributes(t, at, name, -1, e) == -1)
		return -1;
	if (S_ISLNK(st->st_mode)) {
		r = symbolic(t, at, name, st, e);
	} else {
		type = S_ISFIFO(st->st_mode)  ? '6'
		       : S_ISCHR(st->st_mode) ? '3'
		                              : '4';
		r = header(t, st, type, NULL, 0, false, e);
	}
	return r == -1 ? -1 : remember(t, st, e);
}
