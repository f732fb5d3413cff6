/* extract.c - reading a tar for extraction; see extract.h. */
#include "archive/extract.h"

#include <sys/utsname.h>
#include <sys/xattr.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/attrs.h"
#include "archive/extract_int.h"
#include "base/msg.h"

int
dr_extract_path(const char *path, char *out, struct dr_err *e)
{
	size_t n, len = 0;
	const char *p = path;

	if (*p == '\0')
		return dr_err_set(e, DR_EDATA,
		    "the tar has a member without a name");
	if (*p == '/')
		return dr_err_set(e, DR_EDATA,
		    "the tar has an absolute name: \"%s\"", path);
	if (strlen(path) > EXTRACT_PATH_MAX)
		return dr_err_set(e, DR_EDATA,
		    "the tar has a name longer than 64 KiB");
	while (*p != '\0') {
		n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return dr_err_set(e, DR_EDATA,
			    "the tar has a name with \"..\": \"%s\"", path);
		if (n > 0 && !(n == 1 && *p == '.')) {
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

/* --- the reader's input ------------------------------------------------- */

static la_ssize_t
on_read(struct archive *a, void *arg, const void **out)
{
	struct extract *x = arg;
	ssize_t n = dr_source_read(x->in, x->buf, EXTRACT_BUF, x->e);

	if (n > 0 && dr_tarwalk_add(x->walk, x->buf, (size_t)n, x->e) == -1)
		n = -1;
	if (n > 0 && x->heading && (x->head += (size_t)n) > EXTRACT_HEAD_MAX)
		n = dr_err_set(x->e, DR_EDATA,
		    "the tar has a header that is too large");
	if (n == -1)
		archive_set_error(a, EIO, "the source failed");
	*out = x->buf;
	return n;
}

static int
on_member(void *arg, const struct dr_member *m, struct dr_err *e)
{
	struct extract *x = arg;

	(void)e;
	/* Labels of volumes and Solaris's ACLs are no members to the reader. */
	if (m->type != 'V' && m->type != 'A')
		x->walked++;
	return 0;
}

int
dr_extract_failed(struct extract *x, struct dr_err *e)
{
	const char *why = archive_error_string(x->reader);

	/* What the source or the walk said came first and stays. */
	return dr_err_set(e, DR_EDATA, "the tar is damaged: %s",
	    why == NULL ? "unknown reason" : why);
}

/*
 * Names are bytes here; that some of them are no text in this locale is no
 * damage.
 */
static bool
harmless(struct archive *a)
{
	const char *why = archive_error_string(a);

	return why != NULL && strstr(why, "can't be converted") != NULL;
}

static int
next(struct extract *x, struct archive_entry **entry, struct dr_err *e)
{
	int r;

	x->heading = true;
	x->head = 0;
	r = archive_read_next_header(x->reader, entry);
	x->heading = false;
	if (r == ARCHIVE_EOF)
		return 0;
	if (r == ARCHIVE_OK || (r == ARCHIVE_WARN && harmless(x->reader)))
		return 1;
	return dr_extract_failed(x, e);
}

/* What follows the tar's end for the reader, up to the source's own. */
static int
finish_input(struct extract *x, struct dr_err *e)
{
	ssize_t n;

	while ((n = dr_source_read(x->in, x->buf, EXTRACT_BUF, e)) > 0)
		if (dr_tarwalk_add(x->walk, x->buf, (size_t)n, e) == -1)
			return -1;
	if (n == -1 || dr_tarwalk_end(x->walk, e) == -1)
		return -1;
	/* Two readers that disagree: made to mislead one of them. */
	if (x->walked != x->read)
		return dr_err_set(e, DR_EDATA,
		    "the tar is ambiguous: it may be read as %llu members or "
		    "as %llu",
		    (unsigned long long)x->walked, (unsigned long long)x->read);
	return 0;
}

static bool
is_ours(const char *path)
{
	return strncmp(path, ".drtools", 8) == 0 &&
	       (path[8] == '\0' || path[8] == '/');
}

static int
members(struct extract *x, struct dr_err *e)
{
	struct archive_entry *entry;
	const char *path;
	int r;

	while ((r = next(x, &entry, e)) == 1) {
		if (dr_check_stop(e) == -1)
			return -1;
		x->read++;
		if ((path = archive_entry_pathname(entry)) == NULL)
			return dr_err_set(e, DR_EDATA,
			    "the tar has a name that cannot be read");
		if (dr_extract_path(path, x->path, e) == -1)
			return -1;
		if (is_ours(x->path)) {
			x->facts->left_out++;
			if (archive_read_data_skip(x->reader) != ARCHIVE_OK)
				return dr_extract_failed(x, e);
			continue;
		}
		if (dr_extract_member(x, entry, e) == -1)
			return -1;
		x->facts->members++;
	}
	return r == -1 ? -1 : finish_input(x, e);
}

/* Before Linux 5.8 syncfs kept write errors to itself. */
static bool
syncfs_tells(void)
{
	unsigned a = 0, b = 0;
	struct utsname u;

	if (uname(&u) == -1 || sscanf(u.release, "%u.%u", &a, &b) != 2)
		return false;
	return a > 5 || (a == 5 && b >= 8);
}

static int
open_all(struct extract *x, const char *dir, struct dr_err *e)
{
	static const struct dr_tarwalk_ops ops = { .member = on_member };

	x->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->root == -1)
		return dr_err_sys(e, "cannot open the directory \"%s\"", dir);
	x->inherits = fgetxattr(x->root, DR_ACL_DEFAULT, NULL, 0) > 0;
	x->buf = malloc(EXTRACT_BUF);
	x->path = malloc(EXTRACT_PATH_MAX + 1);
	x->link = malloc(EXTRACT_PATH_MAX + 1);
	x->dir_path = malloc(EXTRACT_PATH_MAX + 1);
	x->reader = archive_read_new();
	if (x->buf == NULL || x->path == NULL || x->link == NULL ||
	    x->dir_path == NULL || x->reader == NULL)
		return dr_err_sys(e, "cannot allocate memory");
	if ((x->walk = dr_tarwalk_new(&ops, x, e)) == NULL ||
	    (x->ids = dr_ids_new(e)) == NULL ||
	    (x->late = dr_spool_new(e)) == NULL)
		return -1;
	if (archive_read_support_format_tar(x->reader) != ARCHIVE_OK ||
	    archive_read_open(x->reader, x, NULL, on_read, NULL) != ARCHIVE_OK)
		return dr_extract_failed(x, e);
	return 0;
}

int
dr_extract_tree(struct dr_source *tar, const char *dir,
    const struct dr_extract_opts *o, struct dr_extract_facts *facts,
    struct dr_err *e)
{
	struct extract x = { .opts = o,
		.facts = facts,
		.in = tar,
		.e = e,
		.root = -1,
		.dir = -1,
		.attrs = { .max = 4U << 20 } };
	int r = -1;

	*facts = (struct dr_extract_facts){ 0 };
	x.owners = o->owners && geteuid() == 0;
	x.sync_each = !o->no_sync && !syncfs_tells();
	if (open_all(&x, dir, e) == -1 || members(&x, e) == -1 ||
	    dr_extract_late(&x, e) == -1)
		goto out;
	if (!o->no_sync && syncfs(x.root) == -1) {
		dr_err_sys(e, "cannot make \"%s\" durable", dir);
		goto out;
	}
	r = 0;
out:
	if (x.reader != NULL)
		(void)archive_read_free(x.reader);
	dr_tarwalk_free(x.walk);
	dr_ids_free(x.ids);
	dr_spool_free(x.late);
	dr_buf_free(&x.attrs);
	free(x.buf);
	free(x.path);
	free(x.link);
	free(x.dir_path);
	if (x.dir != -1)
		(void)close(x.dir);
	if (x.root != -1)
		(void)close(x.root);
	return r;
}
