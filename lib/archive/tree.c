/* tree.c - walking file trees; see tree.h. */
#include "archive/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/tree_int.h"
#include "base/msg.h"

/* Directories kept open on the way down; those above are opened again. */
#define LIVE 32U

/* A directory on the way down. */
struct level {
	DIR *dir; /* NULL while it is closed */
	long pos; /* where to go on reading it, then */
	dev_t dev;
	ino_t ino;
	size_t path_len; /* of its path, with "/" at the end; 0 for "./" */
};

struct walk {
	struct tree t;
	struct level *v;
	size_t n, cap;
	dev_t dev; /* of the operand */
};

/* The path as stored: no "/" at the beginning, no empty or "." component. */
static int
stored_path(const char *operand, char *out, size_t cap, struct dr_err *e)
{
	const char *p = operand;
	size_t n, len = 0;

	if (*p == '\0')
		return dr_err_set(e, DR_EUSAGE, "an operand is empty");
	while (*p != '\0') {
		n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			dr_err_set(e, DR_EUSAGE, "operand \"%s\" has \"..\"",
			    operand);
			return dr_err_hint(e, "name it by its absolute path");
		}
		if (n > 0 && !(n == 1 && *p == '.')) {
			if (len + n + 2 > cap)
				return dr_err_set(e, DR_EUSAGE,
				    "an operand is longer than %zu bytes", cap);
			if (len > 0)
				out[len++] = '/';
			memcpy(out + len, p, n);
			len += n;
		}
		p += n;
		while (*p == '/')
			p++;
	}
	out[len] = '\0';
	return 0;
}

int
dr_tree_check(const struct dr_tree_opts *o, struct dr_err *e)
{
	char *path = malloc(TREE_PATH_MAX + 1);
	struct stat st;
	size_t i;
	int r = -1;

	if (path == NULL)
		return dr_err_sys(e, "cannot allocate memory");
	if (o->n == 0) {
		dr_err_set(e, DR_EUSAGE, "no path is given");
		goto out;
	}
	for (i = 0; i < o->n; i++)
		if (stored_path(o->paths[i], path, TREE_PATH_MAX, e) == -1)
			goto out;
	for (i = 0; i < o->n; i++)
		if (lstat(o->paths[i], &st) == -1) {
			dr_err_sys(e, "cannot look at \"%s\"", o->paths[i]);
			goto out;
		}
	r = 0;
out:
	free(path);
	return r;
}

static bool
excluded(const struct tree *t)
{
	const struct dr_strs *x = t->opts->excludes;
	const char *last, *pattern;
	size_t i;

	if (x == NULL || x->n == 0)
		return false;
	last = strrchr(t->path, '/');
	last = last == NULL ? t->path : last + 1;
	for (i = 0; i < x->n; i++) {
		pattern = x->v[i];
		while (*pattern == '/')
			pattern++;
		if (fnmatch(pattern, t->path, 0) == 0 ||
		    fnmatch(pattern, last, 0) == 0)
			return true;
	}
	return false;
}

static void
set_path_len(struct tree *t, size_t len)
{
	t->path_len = len;
	t->path[len] = '\0';
}

static int
open_dir(int at, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(at, name, flags | O_NOATIME);

	if (fd == -1 && errno == EPERM)
		fd = openat(at, name, flags);
	return fd;
}

/* Take FD, a directory whose path is the first LEN bytes of t->path. */
static int
push(struct walk *w, int fd, const struct stat *st, size_t len,
    struct dr_err *e)
{
	struct level *l;
	void *p;

	if (w->n == w->cap) {
		w->cap = w->cap == 0 ? 32 : w->cap * 2;
		p = realloc(w->v, w->cap * sizeof(*w->v));
		if (p == NULL) {
			(void)close(fd);
			return dr_err_sys(e, "cannot allocate memory");
		}
		w->v = p;
	}
	l = &w->v[w->n];
	*l = (struct level){ .dev = st->st_dev,
		.ino = st->st_ino,
		.path_len = len };
	if ((l->dir = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return dr_err_sys(e, "cannot read the directory \"%s\"",
		    w->t.path);
	}
	w->n++;
	/* The operand itself stays open: all can be found again from there. */
	if (w->n > LIVE + 1) {
		l = &w->v[w->n - 1 - LIVE];
		if (l->dir != NULL) {
			l->pos = telldir(l->dir);
			(void)closedir(l->dir);
			l->dir = NULL;
		}
	}
	return 0;
}

static bool
is_level(int fd, const struct level *l)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == l->dev &&
	       st.st_ino == l->ino;
}

/* Open level I again, from the one below it (CHILD) or from the operand. */
static int
reopen(struct walk *w, size_t i, int child)
{
	struct level *l = &w->v[i];
	char *p, *end;
	int fd, next;

	fd = open_dir(child, "..");
	if (fd != -1 && !is_level(fd, l)) {
		(void)close(fd);
		fd = -1;
	}
	if (fd == -1) {
		/* Moved away meanwhile: walk down by the names. */
		if ((fd = open_dir(dirfd(w->v[0].dir), ".")) == -1)
			return -1;
		p = w->t.path + w->v[0].path_len;
		end = w->t.path + l->path_len;
		while (p < end) {
			p[strcspn(p, "/")] = '\0';
			next = open_dir(fd, p);
			p += strlen(p);
			*p++ = '/';
			(void)close(fd);
			if ((fd = next) == -1)
				return -1;
		}
		if (!is_level(fd, l)) {
			(void)close(fd);
			return -1;
		}
	}
	if ((l->dir = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return -1;
	}
	seekdir(l->dir, l->pos);
	return 0;
}

/* Leave the directory at the bottom. */
static int
pop(struct walk *w, struct dr_err *e)
{
	DIR *dir = w->v[--w->n].dir;
	int r = 0;

	while (w->n > 0 && w->v[w->n - 1].dir == NULL) {
		set_path_len(&w->t, w->v[w->n - 1].path_len);
		if (reopen(w, w->n - 1, dirfd(dir)) == 0)
			break;
		r = dr_tree_note(&w->t, DR_TREE_VANISHED,
		    "the rest of it was not found again", e);
		w->n--;
		if (r == -1)
			break;
	}
	if (dir != NULL)
		(void)closedir(dir);
	return r;
}

/*
 * The directory NAME of AT, whose path is t->path: store it and go down,
 * unless it lies on another file system and those are left out.
 */
static int
enter(struct walk *w, int at, const char *name, struct stat *st,
    struct dr_err *e)
{
	struct tree *t = &w->t;
	int fd, number;

	fd = open_dir(at, name);
	number = errno;
	if (fd == -1 && (number == ENOENT || number == ESTALE))
		return dr_tree_note(t, DR_TREE_VANISHED, "vanished", e);
	if (fd == -1 && (number == ENOTDIR || number == ELOOP))
		return dr_tree_note(t, DR_TREE_CHANGED,
		    "became another kind of file while it was read", e);
	if (fd == -1 &&
	    (number == EMFILE || number == ENFILE || number == ENOMEM))
		return dr_err_sys(e, "cannot open \"%s\"", t->path);
	if (fd != -1 && fstat(fd, st) == -1) {
		number = errno;
		(void)close(fd);
		fd = -1;
	}
	if (t->path_len == 0) {
		memcpy(t->path, "./", 3);
		t->path_len = 2;
	} else {
		memcpy(t->path + t->path_len, "/", 2);
		t->path_len++;
	}
	if (dr_tree_member(t, at, name, fd, st, e) == -1) {
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	if (fd == -1)
		return dr_tree_note(t, DR_TREE_UNREADABLE, strerror(number), e);
	if (w->n == 0)
		w->dev = st->st_dev;
	if (t->opts->one_file_system && st->st_dev != w->dev) {
		(void)close(fd);
		return 0;
	}
	if (memcmp(t->path, "./", 3) == 0)
		set_path_len(t, 0);
	return push(w, fd, st, t->path_len, e);
}

/* Restoring leaves these out, so storing them would be a promise not kept. */
static bool
reserved(const char *path)
{
	return strcmp(path, ".drtools") == 0 ||
	       strncmp(path, ".drtools/", 9) == 0;
}

/* t->path is set; KIND is what readdir said (DT_UNKNOWN: not known). */
static int
visit(struct walk *w, int at, const char *name, unsigned char kind,
    struct dr_err *e)
{
	struct tree *t = &w->t;
	struct stat st;

	if (excluded(t))
		return 0;
	if (reserved(t->path)) {
		dr_warn("\"%s\" is left out: the name is our own", t->path);
		return dr_tree_note(t, DR_TREE_SKIPPED, "a name of our own", e);
	}
	if (kind == DT_REG)
		return dr_tree_file(t, at, name, e);
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		if (errno == ENOENT)
			return dr_tree_note(t, DR_TREE_VANISHED, "vanished", e);
		return dr_tree_note(t, DR_TREE_UNREADABLE, strerror(errno), e);
	}
	if (S_ISREG(st.st_mode))
		return dr_tree_file(t, at, name, e);
	if (S_ISDIR(st.st_mode))
		return enter(w, at, name, &st, e);
	return dr_tree_member(t, at, name, -1, &st, e);
}

/* One name of the directory at the bottom, or leave it. */
static int
step(struct walk *w, struct dr_err *e)
{
	struct tree *t = &w->t;
	struct level *l = &w->v[w->n - 1];
	const struct dirent *d;
	size_t n;

	if (dr_check_stop(e) == -1)
		return -1;
	set_path_len(t, l->path_len);
	errno = 0;
	d = readdir(l->dir);
	if (d == NULL) {
		if (errno != 0 && dr_tree_note(t, DR_TREE_UNREADABLE,
		                      strerror(errno), e) == -1)
			return -1;
		return pop(w, e);
	}
	if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
		return 0;
	n = strlen(d->d_name);
	/* A directory's path gets a "/" more. */
	if (t->path_len + n + 1 > TREE_PATH_MAX)
		return dr_tree_note(t, DR_TREE_UNREADABLE,
		    "a path below it is longer than 65535 bytes", e);
	memcpy(t->path + t->path_len, d->d_name, n + 1);
	t->path_len += n;
	return visit(w, dirfd(l->dir), d->d_name, d->d_type, e);
}

static int
operand(struct walk *w, const char *path, struct dr_err *e)
{
	struct tree *t = &w->t;

	if (stored_path(path, t->path, TREE_PATH_MAX, e) == -1)
		return -1;
	t->path_len = strlen(t->path);
	if (visit(w, AT_FDCWD, path, DT_UNKNOWN, e) == -1)
		return -1;
	while (w->n > 0)
		if (step(w, e) == -1)
			return -1;
	return 0;
}

int
dr_tree_write(const struct dr_tree_opts *o, struct dr_sink *out,
    int (*note)(void *, enum dr_tree_event, const char *path, const char *why,
        struct dr_err *),
    void *arg, struct dr_tree_facts *facts, struct dr_err *e)
{
	struct walk w = { .t = { .opts = o,
		              .out = out,
		              .note = note,
		              .arg = arg,
		              .facts = facts,
		              .attrs = { .max = 1U << 20 },
		              .head = { .max = 2U << 20 } } };
	struct tree *t = &w.t;
	size_t i;
	int r = -1;

	*facts = (struct dr_tree_facts){ 0 };
	if (dr_tree_check(o, e) == -1)
		return -1;
	t->buf = malloc(TREE_BUF);
	t->path = malloc(TREE_PATH_MAX + 2);
	t->link = malloc(PATH_MAX + 1);
	if (t->buf == NULL || t->path == NULL || t->link == NULL) {
		dr_err_sys(e, "cannot allocate memory");
		goto out;
	}
	if ((t->links = dr_links_new(e)) == NULL ||
	    (t->ids = dr_ids_new(e)) == NULL ||
	    (t->extents = dr_spool_new(e)) == NULL)
		goto out;
	for (i = 0; i < o->n; i++)
		if (operand(&w, o->paths[i], e) == -1)
			goto out;
	r = dr_tree_flush(t, e);
out:
	for (i = 0; i < w.n; i++)
		if (w.v[i].dir != NULL)
			(void)closedir(w.v[i].dir);
	free(w.v);
	dr_spool_free(t->extents);
	dr_ids_free(t->ids);
	dr_links_free(t->links);
	dr_buf_free(&t->attrs);
	dr_buf_free(&t->head);
	free(t->link);
	free(t->path);
	free(t->buf);
	return r;
}
