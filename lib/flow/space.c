/* The tablespaces of a place. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "flow/delta.h"
#include "flow/place.h"

/* Split "OLD=NEW" ("\=" is a "=" in OLD) into *OLD, which is freed, and NEW. */
static char *
split(const char *move, const char **new, struct dr_err *err)
{
	char *old = dr_fmt(err, "%s", move), *to = old;
	const char *p;

	if (old == NULL)
		return NULL;
	for (p = move; *p != '\0' && *p != '='; p++) {
		if (p[0] == '\\' && p[1] == '=')
			p++;
		*to++ = *p;
	}
	if (*p != '=' || to == old || p[1] != '/') {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is not OLD=NEW with an absolute NEW", move);
		free(old);
		return NULL;
	}
	*to = '\0';
	*new = p + 1;
	return old;
}

static bool
in_delta(const struct dr_place *p)
{
	return p->delta != NULL && p->delta->active;
}

/* Where OID, once at OLD, shall go; NULL and ERR set when that is unclear. */
static char *
destination(struct dr_place *p, const char *oid, const char *old, bool *moved,
    struct dr_err *err)
{
	const char *new = NULL, *to;
	char *from, now[PATH_MAX];

	*moved = false;
	for (size_t i = 0; p->moves != NULL && i < p->moves->n; i++) {
		if ((from = split(p->moves->v[i], &to, err)) == NULL)
			return NULL;
		if (strcmp(from, oid) == 0 || strcmp(from, old) == 0) {
			if (new != NULL) {
				dr_err_set(err, DR_EUSAGE,
				    "two --tablespace name tablespace %s", oid);
				free(from);
				return NULL;
			}
			new = to;
			p->moved |= 1ULL << i;
			*moved = true;
		}
		free(from);
	}
	/* It has its place in the directory that is restored over. */
	if (new == NULL && in_delta(p) && dr_delta_leads(p, oid, now) > 0)
		new = now;
	return dr_fmt(err, "%s", new != NULL ? new : old);
}

static int
same_dir(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/*
 * A stream brings tablespaces before it says where they belong; then they
 * were written into pg_tblspc/OID and are moved now.
 */
static int
move_in(const struct dr_place *p, const struct dr_space *s, struct dr_err *err)
{
	struct stat st;
	char at[32];

	(void)snprintf(at, sizeof(at), "pg_tblspc/%s", s->oid);
	if (in_delta(p) &&
	    (fstatat(p->fd, at, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	        !S_ISDIR(st.st_mode)))
		return 0;
	if (renameat(p->fd, at, AT_FDCWD, s->path) == 0)
		return dr_sync_parent(s->path, err);
	if (errno == ENOENT)
		return 0;
	dr_err_sys(err, "cannot move tablespace %s to \"%s\"", s->oid, s->path);
	if (errno == EXDEV)
		dr_err_hint(err,
		    "name it --tablespace %s=%s, and it is written there at "
		    "once",
		    s->oid, s->path);
	return -1;
}

static int
space_open(struct dr_place *p, struct dr_space *s, bool moved,
    struct dr_err *err)
{
	static const char hint[] =
	    "give it another place: --tablespace %s=DIRECTORY";
	int rc;

	if (*s->path != '/')
		return dr_err_set(err, DR_EDATA,
		    "tablespace %s has no absolute path: \"%s\"", s->oid,
		    s->path);
	if ((s->fd = dr_place_take(p, s->path, "the tablespace's directory",
	         in_delta(p) && dr_delta_linked(p, s->oid, s->path), err)) ==
	    -1) {
		if (!moved)
			dr_err_hint(err, hint, s->oid);
		return -1;
	}
	rc = same_dir(s->fd, p->fd);
	for (size_t i = 0; i < p->n && rc == 0; i++)
		rc = same_dir(s->fd, p->space[i].fd);
	if (rc != 0) {
		close(s->fd);
		dr_err_set(err, DR_EUSAGE,
		    "tablespace %s would share \"%s\" with another", s->oid,
		    s->path);
		return dr_err_hint(err, hint, s->oid);
	}
	if (p->chown && fchown(s->fd, p->uid, p->gid) == -1) {
		dr_err_sys(err, "cannot give \"%s\" away", s->path);
		close(s->fd);
		return -1;
	}
	return 0;
}

/* What was assumed of S turns out to be true, or not. */
static int
is_so(struct dr_place *p, struct dr_space *s, const char *old,
    struct dr_err *err)
{
	bool moved, same;
	char *to;

	if (!s->assumed)
		return 0;
	if ((to = destination(p, s->oid, old, &moved, err)) == NULL)
		return -1;
	same = strcmp(to, s->path) == 0;
	free(to);
	if (!same) {
		dr_err_set(err, DR_EUSAGE,
		    "tablespace %s was restored into \"%s\" before its path "
		    "was known",
		    s->oid, s->path);
		return dr_err_hint(err,
		    "name it by its OID: --tablespace %s=DIRECTORY", s->oid);
	}
	s->assumed = false;
	return 0;
}

static int
space_add(struct dr_place *p, const char *oid, const char *old,
    struct dr_err *err)
{
	struct dr_space s = { .fd = -1 }, *v;
	bool moved;

	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->space[i].oid, oid) == 0)
			return is_so(p, &p->space[i], old, err);
	(void)snprintf(s.oid, sizeof(s.oid), "%s", oid);
	if ((s.path = destination(p, oid, old, &moved, err)) == NULL)
		return -1;
	if (space_open(p, &s, moved, err) == -1)
		goto fail;
	if (move_in(p, &s, err) == -1) {
		close(s.fd);
		goto fail;
	}
	/* It may be another directory by now. */
	close(s.fd);
	if ((s.fd = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1) {
		dr_err_sys(err, "cannot open \"%s\"", s.path);
		goto fail;
	}
	/* Killed now, it is known again. */
	if (in_delta(p) && dr_delta_link(p, oid, s.path, err) == -1) {
		close(s.fd);
		goto fail;
	}
	if ((v = reallocarray(p->space, p->n + 1, sizeof(*v))) == NULL) {
		dr_err_sys(err, "cannot keep the tablespaces");
		close(s.fd);
		goto fail;
	}
	p->space = v;
	p->space[p->n++] = s;
	return 0;

fail:
	free(s.path);
	return -1;
}

/*
 * "OID PATH" as basebackup.c of the server writes it.  With LOOK, only which
 * moves it uses is noted.
 */
static int
map_line(struct dr_place *p, char *line, bool look, struct dr_err *err)
{
	char *to;
	bool moved;
	size_t len = strspn(line, "0123456789");

	if (len == 0 || len >= DR_OID_LEN || line[len] != ' ' ||
	    line[len + 1] == '\0')
		return dr_err_set(err, DR_EDATA,
		    "tablespace_map makes no sense: \"%s\"", line);
	line[len] = '\0';
	if (!look)
		return space_add(p, line, line + len + 1, err);
	to = destination(p, line, line + len + 1, &moved, err);
	free(to);
	return to == NULL ? -1 : 0;
}

static int
map_lines(struct dr_place *p, const char *text, size_t len, bool look,
    struct dr_err *err)
{
	struct dr_buf line = { .max = 65536 };
	bool escaped = false;
	int rc = -1;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '\0') {
			dr_err_set(err, DR_EDATA, "tablespace_map holds a NUL");
			goto out;
		}
		if (!escaped && c == '\\') {
			escaped = true;
			continue;
		}
		if (!escaped && (c == '\n' || c == '\r')) {
			if (line.len > 0 &&
			    map_line(p, line.data, look, err) == -1)
				goto out;
			line.len = 0;
			continue;
		}
		escaped = false;
		if (dr_buf_add(&line, &c, 1, err) == -1)
			goto out;
	}
	if (line.len > 0 || escaped) {
		dr_err_set(err, DR_EDATA, "tablespace_map is truncated");
		goto out;
	}
	rc = 0;

out:
	dr_buf_free(&line);
	return rc;
}

int
dr_place_map(struct dr_place *p, const char *text, size_t len,
    struct dr_err *err)
{
	/* A mistake in the options shall leave no directory behind. */
	if (map_lines(p, text, len, true, err) == -1 ||
	    dr_place_moves_used(p, err) == -1)
		return -1;
	return map_lines(p, text, len, false, err);
}

int
dr_place_assume(struct dr_place *p, const char *text, size_t len,
    struct dr_err *err)
{
	if (map_lines(p, text, len, false, err) == -1)
		return -1;
	for (size_t i = 0; i < p->n; i++)
		p->space[i].assumed = true;
	return 0;
}

int
dr_place_moves_used(const struct dr_place *p, struct dr_err *err)
{
	for (size_t i = 0; p->moves != NULL && i < p->moves->n; i++)
		if ((p->moved & 1ULL << i) == 0)
			return dr_err_set(err, DR_EUSAGE,
			    "the backup has no such tablespace: --tablespace "
			    "%s",
			    p->moves->v[i]);
	return 0;
}

/* As do_pg_backup_start of the server escapes paths. */
static int
map_add(const struct dr_space *s, struct dr_buf *out, struct dr_err *err)
{
	if (dr_buf_fmt(out, err, "%s ", s->oid) == -1)
		return -1;
	for (const char *c = s->path; *c != '\0'; c++) {
		if ((*c == '\n' || *c == '\r' || *c == '\\') &&
		    dr_buf_str(out, "\\", err) == -1)
			return -1;
		if (dr_buf_add(out, c, 1, err) == -1)
			return -1;
	}
	return dr_buf_str(out, "\n", err);
}

int
dr_place_links(struct dr_place *p, struct dr_buf *out, struct dr_err *err)
{
	char at[32];

	if (p->n > 0 && dr_place_mkdir(p, p->fd, "pg_tblspc", false, err) == -1)
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		const struct dr_space *s = &p->space[i];

		if (s->assumed)
			continue;
		(void)snprintf(at, sizeof(at), "pg_tblspc/%s", s->oid);
		if (in_delta(p)) {
			if (dr_delta_link(p, s->oid, s->path, err) == -1 ||
			    map_add(s, out, err) == -1)
				return -1;
			continue;
		}
		if (symlinkat(s->path, p->fd, at) == -1)
			return dr_err_sys(err, "cannot make the link \"%s/%s\"",
			    p->dir, at);
		if (p->chown && fchownat(p->fd, at, p->uid, p->gid,
		                    AT_SYMLINK_NOFOLLOW) == -1)
			return dr_err_sys(err, "cannot give \"%s\" away", at);
		if (map_add(s, out, err) == -1)
			return -1;
	}
	return 0;
}
