#include "flow/delta.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/delta_int.h"
#include "pg/datadir.h"

#define BLOCK      8192U
#define BLOCKS     8U
#define MARKER_MAX 4096U

static const char marker_text[] =
    "dr-restore --delta is writing this directory, or was interrupted while\n"
    "it did.  What lies here is not whole, and no server can use it.  If no\n"
    "dr-restore is running, restore again with --delta; the files from\n"
    "before that are not in the backup are in " DR_BEFORE ".\n";

static const char id_is[] = "system identifier ";

/* Where a server keeps what only it can read, pg_wal not among them. */
static const char *const servers[] = { "base", "global", "pg_commit_ts",
	"pg_dynshmem", "pg_logical", "pg_multixact", "pg_notify", "pg_replslot",
	"pg_serial", "pg_snapshots", "pg_stat", "pg_stat_tmp", "pg_subtrans",
	"pg_tblspc", "pg_twophase", "pg_xact", NULL };

bool
dr_delta_servers(const char *name)
{
	for (size_t i = 0; servers[i] != NULL; i++)
		if (strcmp(servers[i], name) == 0)
			return true;
	return false;
}

/* --- may it be? ------------------------------------------------------------ */

static bool
is_there(const struct dr_place *p, const char *name)
{
	struct stat st;

	return fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Of a restore that did not finish, whose marker may say of what; 0. */
static uint64_t
marked(const struct dr_place *p)
{
	struct dr_err none = { 0 };
	const char *at;
	uint64_t id = 0;
	size_t len;
	char *text =
	    dr_place_get(p, DR_RESTORE_MARKER, MARKER_MAX, &len, &none);

	if (text != NULL && (at = strstr(text, id_is)) != NULL)
		id = strtoull(at + sizeof(id_is) - 1, NULL, 10);
	free(text);
	return id;
}

static int
ours(const struct dr_place *p, struct dr_err *err)
{
	uint64_t want = p->delta->system_id, id;
	struct dr_control c = { .system_id = 0 };
	bool again = is_there(p, DR_RESTORE_MARKER);

	if (!again && (!is_there(p, "PG_VERSION") || !is_there(p, "global"))) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is not empty, and no data directory", p->dir);
		return dr_err_hint(err,
		    "--delta restores over the data directory of the same "
		    "cluster");
	}
	if (is_there(p, "global/pg_control")) {
		if (dr_control_read(p->dir, &c, err) == -1)
			return -1;
		id = c.system_id;
	} else if (again)
		id = marked(p);
	else {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" has no global/pg_control: it cannot be told of "
		    "which cluster it is",
		    p->dir);
		return dr_err_hint(err, "restore into an empty directory");
	}
	if (id != want && !(again && id == 0)) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is of another cluster: system identifier %llu, "
		    "not %llu",
		    p->dir, (unsigned long long)id, (unsigned long long)want);
		return dr_err_hint(err,
		    "--delta restores over the data directory of the same "
		    "cluster");
	}
	return dr_datadir_idle(p->dir, err);
}

/* --- make ready ------------------------------------------------------------ */

static int
mark(struct dr_place *p, struct dr_err *err)
{
	char text[sizeof(marker_text) + sizeof(id_is) + 32];
	int n = snprintf(text, sizeof(text), "%s%s%llu\n", marker_text, id_is,
	    (unsigned long long)p->delta->system_id);

	if (dr_place_put(p, DR_RESTORE_MARKER, text, (size_t)n, err) == -1)
		return -1;
	if (fsync(p->fd) == -1)
		return dr_err_sys(err, "cannot sync \"%s\"", p->dir);
	return 0;
}

int
dr_delta_aside(const struct dr_place *p, const char *name, const char *as,
    struct dr_err *err)
{
	char *to = dr_fmt(err, "%s/%s", p->delta->before, as);
	int rc = 0;

	if (to == NULL)
		return -1;
	if (renameat(p->fd, name, p->fd, to) == -1)
		rc = dr_err_sys(err, "cannot move \"%s/%s\" aside", p->dir,
		    name);
	free(to);
	return rc;
}

static int
make_before(struct dr_place *p, struct dr_err *err)
{
	struct dr_delta *d = p->delta;
	char stamp[DR_TIME_LEN];

	/* Of two within a second each has its own. */
	for (int i = 0; i < 100; i++) {
		(void)snprintf(d->before, sizeof(d->before), "%s/%s%s%.0d",
		    DR_BEFORE, dr_format_stamp(dr_now(), stamp),
		    i == 0 ? "" : "-", i);
		if (!is_there(p, d->before))
			break;
	}
	return dr_place_mkdir(p, p->fd, d->before, false, err);
}

/* No server starts without it. */
static int
take_control(struct dr_place *p, struct dr_err *err)
{
	static const char name[] = "global/pg_control";
	char to[96];
	int fd, rc;

	if (!is_there(p, name))
		return 0;
	if (dr_delta_aside(p, name, "pg_control", err) == -1)
		return -1;
	/* One may have begun to start meanwhile. */
	if (dr_datadir_idle(p->dir, err) == -1) {
		(void)snprintf(to, sizeof(to), "%s/pg_control",
		    p->delta->before);
		(void)renameat(p->fd, to, p->fd, name);
		(void)unlinkat(p->fd, DR_RESTORE_MARKER, 0);
		(void)unlinkat(p->fd, p->delta->before, AT_REMOVEDIR);
		(void)unlinkat(p->fd, DR_BEFORE, AT_REMOVEDIR);
		return -1;
	}
	fd = openat(p->fd, "global", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fd == -1 || fsync(fd) == -1 || fsync(p->fd) == -1
	         ? dr_err_sys(err, "cannot sync \"%s/global\"", p->dir)
	         : 0;
	if (fd != -1)
		close(fd);
	return rc;
}

/* pg_wal is a link or a mount point: what is in it moves aside there. */
static int
wal_elsewhere(struct dr_place *p, struct dr_err *err)
{
	struct dr_delta *d = p->delta;
	const struct dirent *e;
	DIR *dir = NULL;
	int rc = -1;

	d->wal_path = dr_fmt(err, "%s/pg_wal", p->dir);
	if (d->wal_path == NULL)
		return -1;
	d->wal_fd = open(d->wal_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->wal_fd == -1 || (dir = opendir(d->wal_path)) == NULL) {
		dr_err_sys(err, "cannot read \"%s\"", d->wal_path);
		goto out;
	}
	if (dr_place_mkdir(p, d->wal_fd, d->before, false, err) == -1)
		goto out;
	while ((e = readdir(dir)) != NULL) {
		char *to;
		int r;

		if (strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 ||
		    strcmp(e->d_name, DR_BEFORE) == 0 ||
		    strcmp(e->d_name, "lost+found") == 0)
			continue;
		to = dr_fmt(err, "%s/%s", d->before, e->d_name);
		if (to == NULL)
			goto out;
		r = renameat(d->wal_fd, e->d_name, d->wal_fd, to);
		free(to);
		if (r == -1) {
			dr_err_sys(err, "cannot move \"%s/%s\" aside",
			    d->wal_path, e->d_name);
			goto out;
		}
	}
	rc = 0;

out:
	if (dir != NULL)
		closedir(dir);
	return rc;
}

/* One entry of the top. */
static int
top(struct dr_place *p, const char *name, struct dr_err *err)
{
	struct dr_err why = { 0 };
	struct stat st;
	bool dir;

	if (strcmp(name, DR_RESTORE_MARKER) == 0 ||
	    strcmp(name, DR_BEFORE) == 0)
		return 0;
	if (fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return dr_err_sys(err, "cannot look at \"%s/%s\"", p->dir,
		    name);
	dir = S_ISDIR(st.st_mode);
	if (strcmp(name, "pg_wal") == 0 && !dir)
		return wal_elsewhere(p, err);
	if (dir && dr_delta_servers(name))
		return 0;
	if (dr_delta_aside(p, name, name, &why) == 0)
		return 0;
	if (strcmp(name, "pg_wal") == 0 && errno == EBUSY)
		return wal_elsewhere(p, err);
	/* A mount point, or what is somebody else's. */
	if (dir && !dr_delta_servers(name)) {
		dr_warn_err(&why);
		return 0;
	}
	*err = why;
	return -1;
}

int
dr_delta_take(struct dr_place *p, struct dr_err *err)
{
	const struct dirent *e;
	DIR *dir;
	int rc = -1;

	if (flock(p->fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK)
		return dr_err_set(err, DR_EUSAGE,
		    "another dr-restore is writing \"%s\"", p->dir);
	if (ours(p, err) == -1 || mark(p, err) == -1)
		return -1;
	p->delta->active = true;
	if (make_before(p, err) == -1 || take_control(p, err) == -1)
		return -1;
	if (fchmod(p->fd, p->group ? 0750 : 0700) == -1)
		return dr_err_sys(err, "cannot set the mode of \"%s\"", p->dir);
	if ((dir = opendir(p->dir)) == NULL)
		return dr_err_sys(err, "cannot read \"%s\"", p->dir);
	errno = 0;
	while ((e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 &&
		    top(p, e->d_name, err) == -1)
			goto out;
		errno = 0;
	}
	if (errno != 0) {
		dr_err_sys(err, "cannot read \"%s\"", p->dir);
		goto out;
	}
	dr_say(1, "what the backup does not hold of \"%s\" is kept in %s/%s",
	    p->dir, p->dir, p->delta->before);
	rc = 0;

out:
	closedir(dir);
	return rc;
}

void
dr_delta_free(struct dr_delta *d)
{
	if (d->wal_fd != -1)
		close(d->wal_fd);
	d->wal_fd = -1;
	free(d->wal_path);
	free(d->name);
	d->wal_path = NULL;
	d->name = NULL;
}

/* --- files ----------------------------------------------------------------- */

int
dr_delta_clear(int fd, const char *path, struct dr_err *err)
{
	if (unlinkat(fd, path, 0) == 0 || errno == ENOENT)
		return 0;
	return dr_err_sys(err, "cannot remove \"%s\"", path);
}

/* Nobody else may see what is written into it. */
static bool
usable(const struct dr_place *p, int fd, uint64_t size, uint64_t *old)
{
	mode_t mode = p->group ? 0640 : 0600;
	struct stat st;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_nlink > 1)
		return false;
	if ((st.st_mode & 07777) != mode && fchmod(fd, mode) == -1)
		return false;
	if (p->chown && (st.st_uid != p->uid || st.st_gid != p->gid) &&
	    fchown(fd, p->uid, p->gid) == -1)
		return false;
	*old = (uint64_t)st.st_size;
	if (*old > size) {
		*old = size;
		return ftruncate(fd, (off_t)size) == 0;
	}
	return true;
}

int
dr_delta_open(const struct dr_place *p, int fd, const char *rest, uint64_t size,
    uint64_t *old, struct dr_err *err)
{
	struct stat st;
	int f;

	*old = 0;
	f = openat(fd, rest,
	    O_RDWR | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (f != -1 && usable(p, f, size, old))
		return f;
	*old = 0;
	if (f != -1)
		close(f);
	if (fstatat(fd, rest, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (S_ISDIR(st.st_mode) ? dr_delta_rmtree(p, fd, rest, err)
	                         : dr_delta_clear(fd, rest, err)) == -1)
		return -1;
	return dr_place_create(p, fd, rest, err);
}

static int
put(int fd, const unsigned char *p, size_t len, uint64_t off, const char *name,
    struct dr_err *err)
{
	ssize_t n;

	while (len > 0) {
		if ((n = pwrite(fd, p, len, (off_t)off)) == -1) {
			if (errno == EINTR)
				continue;
			return dr_err_sys(err, "cannot write \"%s\"", name);
		}
		p += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

/* How many bytes at OFF can be read, up to LEN. */
static size_t
get(int fd, unsigned char *buf, size_t len, uint64_t off)
{
	size_t have = 0;
	ssize_t n;

	while (have < len) {
		n = pread(fd, buf + have, len - have, (off_t)(off + have));
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* a bad sector is written anew */
		have += (size_t)n;
	}
	return have;
}

int
dr_delta_write(int fd, const void *data, size_t len, uint64_t off, uint64_t old,
    uint64_t *written, const char *name, struct dr_err *err)
{
	const unsigned char *p = data;
	unsigned char is[BLOCK * BLOCKS];
	size_t n, same, have, run;

	*written = 0;
	while (len > 0) {
		if (off >= old) {
			*written += len;
			return put(fd, p, len, off, name, err);
		}
		n = len < sizeof(is) ? len : sizeof(is);
		if (n > old - off)
			n = (size_t)(old - off);
		have = get(fd, is, n, off);
		/* Runs of blocks that differ, and then of those that do not. */
		for (size_t at = 0; at < n; at = run) {
			for (run = at; run < n; run += same) {
				same = n - run < BLOCK ? n - run : BLOCK;
				if (run + same <= have &&
				    memcmp(is + run, p + run, same) == 0)
					break;
			}
			if (run > at && put(fd, p + at, run - at, off + at,
			                    name, err) == -1)
				return -1;
			*written += run - at;
			for (; run < n; run += same) {
				same = n - run < BLOCK ? n - run : BLOCK;
				if (run + same > have ||
				    memcmp(is + run, p + run, same) != 0)
					break;
			}
		}
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}
