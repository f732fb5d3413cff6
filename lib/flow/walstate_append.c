/* Appending to the journal, which is what each object waits for. */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "flow/walstate_int.h"

#define LOCK_MS 60000
#define ROOM    65536 /* of zeros, at a time */
#define LOOK    4096  /* backwards for the end of the lines, at a time */

int
dr_walstate_lock(const struct dr_walstate *s, struct dr_err *err)
{
	char *path = dr_walstate_path(s, "lock", err);
	int fd = path == NULL ? -1 : dr_lock(path, LOCK_MS, err);

	free(path);
	return fd;
}

/* The journal, which another may have written anew meanwhile. */
static int
open_journal(struct dr_walstate *s, const char *path, struct dr_err *err)
{
	struct stat now, held;

	if (s->journal != -1) {
		if (stat(path, &now) == 0 && fstat(s->journal, &held) == 0 &&
		    now.st_dev == held.st_dev && now.st_ino == held.st_ino)
			return 0;
		close(s->journal);
	}
	s->end = 0;
	s->journal = open(path, O_RDWR | O_CLOEXEC);
	if (s->journal != -1)
		return 0;
	if (errno == ENOENT) {
		s->journal = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (s->journal != -1)
			return dr_sync_dir(s->dir, err);
	}
	return dr_err_sys(err, "cannot open \"%s\"", path);
}

/* Where the lines end, and the last byte of them. */
static int
find_end(struct dr_walstate *s, const char *path, char *last,
    struct dr_err *err)
{
	char buf[LOOK + 1];
	struct stat st;
	off_t at;
	size_t n;

	if (fstat(s->journal, &st) == -1)
		return dr_err_sys(err, "cannot look at \"%s\"", path);
	*last = '\n';
	/* Nobody came after us? */
	if (s->end > 0 && s->end < st.st_size) {
		if (dr_fd_pread(s->journal, buf, 2, (uint64_t)s->end - 1, path,
		        err) == -1)
			return -1;
		if (buf[0] == '\n' && buf[1] == '\0')
			return 0;
	}
	for (at = st.st_size; at > 0; at -= (off_t)n) {
		n = at < LOOK ? (size_t)at : LOOK;
		if (dr_fd_pread(s->journal, buf, n, (uint64_t)at - n, path,
		        err) == -1)
			return -1;
		for (size_t i = n; i > 0; i--)
			if (buf[i - 1] != '\0') {
				*last = buf[i - 1];
				s->end = at - (off_t)(n - i);
				return 0;
			}
	}
	s->end = 0;
	return 0;
}

static int
put_at(struct dr_walstate *s, const void *data, size_t len, off_t at,
    const char *path, struct dr_err *err)
{
	const char *p = data;
	ssize_t n;

	while (len > 0) {
		if ((n = pwrite(s->journal, p, len, at)) == -1) {
			if (errno == EINTR)
				continue;
			return dr_err_sys(err, "cannot write \"%s\"", path);
		}
		p += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Room for LEN bytes at the end. */
static int
make_room(struct dr_walstate *s, size_t len, const char *path,
    struct dr_err *err)
{
	static const char zeros[ROOM];
	struct stat st;

	if (fstat(s->journal, &st) == -1)
		return dr_err_sys(err, "cannot look at \"%s\"", path);
	while (st.st_size < s->end + (off_t)len) {
		if (put_at(s, zeros, sizeof(zeros), st.st_size, path, err) ==
		    -1)
			return -1;
		st.st_size += (off_t)sizeof(zeros);
	}
	return 0;
}

/*
 * One write for the whole, so that a kill leaves all of it or none.  After a
 * torn end a newline comes first.
 */
int
dr_walstate_append(struct dr_walstate *s, const struct dr_buf *text, bool sync,
    struct dr_err *err)
{
	char *path = dr_walstate_path(s, "journal", err), last;
	int held = -1, rc = -1;

	if (path == NULL || (held = dr_walstate_lock(s, err)) == -1)
		goto out;
	if (open_journal(s, path, err) == -1 ||
	    find_end(s, path, &last, err) == -1 ||
	    make_room(s, text->len + 1, path, err) == -1)
		goto out;
	if (last != '\n') {
		if (put_at(s, "\n", 1, s->end, path, err) == -1)
			goto out;
		s->end++;
	}
	if (put_at(s, text->data, text->len, s->end, path, err) == -1)
		goto out;
	s->end += (off_t)text->len;
	/* Others need not wait for our disk. */
	close(held);
	held = -1;
	if (sync && fdatasync(s->journal) == -1) {
		dr_err_sys(err, "cannot write \"%s\"", path);
		goto out;
	}
	rc = 0;

out:
	if (held != -1)
		close(held);
	free(path);
	return rc;
}
