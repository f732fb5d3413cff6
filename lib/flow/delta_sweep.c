/* What a backup names, and what becomes of all else. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/msg.h"
#include "flow/delta_int.h"

#define DEPTH_MAX 16

/* --- names ----------------------------------------------------------------- */

/* FNV-1a; the names are our own server's, and 0 is "none". */
static uint64_t
hash(const char *path, size_t len)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)path[i]) * 1099511628211ULL;
	h ^= h >> 29;
	return h == 0 ? 1 : h;
}

static uint64_t *
slot(uint64_t *table, size_t cap, uint64_t h)
{
	size_t i = (size_t)h & (cap - 1);

	while (table[i] != 0 && table[i] != h)
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static int
grow(struct dr_delta *d, struct dr_err *err)
{
	size_t cap = d->cap == 0 ? 4096 : d->cap * 2;
	uint64_t *table = calloc(cap, sizeof(*table));

	if (table == NULL)
		return dr_err_sys(err, "cannot note the names of files");
	for (size_t i = 0; i < d->cap; i++)
		if (d->name[i] != 0)
			*slot(table, cap, d->name[i]) = d->name[i];
	free(d->name);
	d->name = table;
	d->cap = cap;
	return 0;
}

int
dr_delta_name(struct dr_delta *d, const char *path, struct dr_err *err)
{
	size_t len = strlen(path);
	uint64_t h, *at;

	while (len > 0 && path[len - 1] == '/')
		len--;
	/* From the whole path to the first of its directories. */
	while (len > 0) {
		if (d->names * 2 >= d->cap && grow(d, err) == -1)
			return -1;
		h = hash(path, len);
		at = slot(d->name, d->cap, h);
		if (*at != 0)
			return 0;
		*at = h;
		d->names++;
		while (len > 0 && path[len - 1] != '/')
			len--;
		while (len > 0 && path[len - 1] == '/')
			len--;
	}
	return 0;
}

static bool
named(const struct dr_delta *d, const char *path)
{
	return d->cap > 0 &&
	       *slot(d->name, d->cap, hash(path, strlen(path))) != 0;
}

/* --- what goes ------------------------------------------------------------- */

static DIR *
open_dir(int fd, const char *rest, struct dr_err *err)
{
	int sub =
	    openat(fd, rest, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = sub == -1 ? NULL : fdopendir(sub);

	if (dir == NULL) {
		dr_err_sys(err, "cannot read \"%s\"", rest);
		if (sub != -1)
			close(sub);
	}
	return dir;
}

static bool
is_dir(int fd, const char *name)
{
	struct stat st;

	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

/*
 * All in REST below FD, which members call PATH, that the backup does not
 * name; with D NULL all of it.
 */
static int
sweep(struct dr_delta *d, int fd, const char *rest, const char *path, int depth,
    struct dr_err *err)
{
	const struct dirent *e;
	char *member = NULL;
	int rc = -1, sub;
	DIR *dir;

	if (depth > DEPTH_MAX)
		return dr_err_set(err, DR_EFAIL, "\"%s\" is too deep", path);
	if ((dir = open_dir(fd, rest, err)) == NULL)
		return -1;
	sub = dirfd(dir);
	for (errno = 0; (e = readdir(dir)) != NULL; errno = 0) {
		const char *name = e->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (dr_check_stop(err) == -1)
			goto out;
		free(member);
		if ((member = dr_fmt(err, "%s/%s", path, name)) == NULL)
			goto out;
		if (is_dir(sub, name)) {
			if (sweep(d, sub, name, member, depth + 1, err) == -1)
				goto out;
			if ((d == NULL || !named(d, member)) &&
			    unlinkat(sub, name, AT_REMOVEDIR) == -1 &&
			    errno != ENOTEMPTY && errno != EEXIST) {
				dr_err_sys(err, "cannot remove \"%s\"", member);
				goto out;
			}
			continue;
		}
		if (d != NULL && named(d, member))
			continue;
		if (unlinkat(sub, name, 0) == -1) {
			dr_err_sys(err, "cannot remove \"%s\"", member);
			goto out;
		}
		if (d != NULL)
			d->removed++;
	}
	if (errno != 0)
		dr_err_sys(err, "cannot read \"%s\"", path);
	else
		rc = 0;

out:
	free(member);
	closedir(dir);
	return rc;
}

int
dr_delta_rmtree(const struct dr_place *p, int fd, const char *rest,
    struct dr_err *err)
{
	(void)p;
	if (sweep(NULL, fd, rest, rest, 0, err) == -1)
		return -1;
	if (unlinkat(fd, rest, AT_REMOVEDIR) == -1)
		return dr_err_sys(err, "cannot remove \"%s\"", rest);
	return 0;
}

/* --- tablespaces ----------------------------------------------------------- */

ssize_t
dr_delta_leads(const struct dr_place *p, const char *oid, char to[PATH_MAX])
{
	char at[32];
	ssize_t n;

	if (strlen(oid) >= DR_OID_LEN)
		return -1;
	(void)snprintf(at, sizeof(at), "pg_tblspc/%s", oid);
	if ((n = readlinkat(p->fd, at, to, PATH_MAX - 1)) >= 0)
		to[n] = '\0';
	return n;
}

bool
dr_delta_linked(const struct dr_place *p, const char *oid, const char *path)
{
	char to[PATH_MAX];

	return dr_delta_leads(p, oid, to) > 0 && strcmp(to, path) == 0;
}

int
dr_delta_link(const struct dr_place *p, const char *oid, const char *path,
    struct dr_err *err)
{
	char at[32], to[PATH_MAX];

	if (dr_delta_linked(p, oid, path))
		return 0;
	(void)snprintf(at, sizeof(at), "pg_tblspc/%s", oid);
	if (dr_delta_leads(p, oid, to) > 0)
		dr_warn("tablespace %s was at \"%s\", and what is there stays",
		    oid, to);
	if (is_dir(p->fd, at) ? dr_delta_rmtree(p, p->fd, at, err) == -1
	                      : dr_delta_clear(p->fd, at, err) == -1)
		return -1;
	if (symlinkat(path, p->fd, at) == -1)
		return dr_err_sys(err, "cannot make the link \"%s/%s\"", p->dir,
		    at);
	if (p->chown &&
	    fchownat(p->fd, at, p->uid, p->gid, AT_SYMLINK_NOFOLLOW) == -1)
		return dr_err_sys(err, "cannot give \"%s\" away", at);
	return 0;
}

int
dr_delta_spaces(struct dr_place *p, struct dr_err *err)
{
	struct dr_buf map = { .max = 1U << 20 };
	const struct dirent *e;
	char to[PATH_MAX];
	DIR *dir;
	int rc = 0;

	if (!is_dir(p->fd, "pg_tblspc"))
		return 0;
	if ((dir = open_dir(p->fd, "pg_tblspc", err)) == NULL)
		return -1;
	while (rc == 0 && (e = readdir(dir)) != NULL) {
		if (e->d_name[strspn(e->d_name, "0123456789")] != '\0' ||
		    dr_delta_leads(p, e->d_name, to) <= 0 ||
		    strpbrk(to, "\\\n\r") != NULL)
			continue;
		rc = dr_buf_fmt(&map, err, "%s %s\n", e->d_name, to);
	}
	closedir(dir);
	if (rc == 0 && map.len > 0)
		rc = dr_place_assume(p, map.data, map.len, err);
	dr_buf_free(&map);
	return rc;
}

static const struct dr_space *
space_of(const struct dr_place *p, const char *oid)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->space[i].oid, oid) == 0)
			return &p->space[i];
	return NULL;
}

/* In a tablespace's directory only what servers made is theirs. */
static int
sweep_space(struct dr_place *p, const struct dr_space *s, struct dr_err *err)
{
	const struct dirent *e;
	char *member;
	DIR *dir;
	int rc = 0;

	if ((dir = open_dir(s->fd, ".", err)) == NULL)
		return -1;
	while (rc == 0 && (e = readdir(dir)) != NULL) {
		if (strncmp(e->d_name, "PG_", 3) != 0 ||
		    !is_dir(s->fd, e->d_name))
			continue;
		member = dr_fmt(err, "pg_tblspc/%s/%s", s->oid, e->d_name);
		/* One of another version of the server is not in the backup. */
		rc = member == NULL ? -1
		     : named(p->delta, member)
		         ? sweep(p->delta, s->fd, e->d_name, member, 0, err)
		         : 0;
		free(member);
	}
	closedir(dir);
	return rc;
}

static int
sweep_spaces(struct dr_place *p, struct dr_err *err)
{
	const struct dirent *e;
	char at[PATH_MAX], to[PATH_MAX];
	DIR *dir;
	int rc = 0;

	if ((dir = open_dir(p->fd, "pg_tblspc", err)) == NULL)
		return -1;
	while (rc == 0 && (e = readdir(dir)) != NULL) {
		const struct dr_space *s = space_of(p, e->d_name);

		if (e->d_name[0] == '.' && strspn(e->d_name, ".") > 0)
			continue;
		(void)snprintf(at, sizeof(at), "pg_tblspc/%s", e->d_name);
		if (s != NULL && !s->assumed)
			rc = sweep_space(p, s, err);
		else if (is_dir(p->fd, at)) {
			rc = sweep(p->delta, p->fd, at, at, 0, err);
			if (rc == 0 && !named(p->delta, at) &&
			    unlinkat(p->fd, at, AT_REMOVEDIR) == -1)
				rc =
				    dr_err_sys(err, "cannot remove \"%s\"", at);
		} else {
			if (dr_delta_leads(p, e->d_name, to) > 0)
				dr_warn("the backup has no tablespace %s: what "
				        "is in \"%s\" stays",
				    e->d_name, to);
			rc = dr_delta_aside(p, at, e->d_name, err);
		}
	}
	closedir(dir);
	return rc;
}

int
dr_delta_sweep(struct dr_place *p, struct dr_err *err)
{
	const struct dirent *e;
	DIR *dir;
	int rc = 0;

	if ((dir = open_dir(p->fd, ".", err)) == NULL)
		return -1;
	while (rc == 0 && (e = readdir(dir)) != NULL) {
		if (!dr_delta_servers(e->d_name))
			continue;
		rc = strcmp(e->d_name, "pg_tblspc") == 0
		         ? sweep_spaces(p, err)
		         : sweep(p->delta, p->fd, e->d_name, e->d_name, 0, err);
	}
	closedir(dir);
	return rc;
}
