#include <string.h>

#include "base/msg.h"
#include "store/sftp_int.h"

#define DIR_MODE   0777
#define FILE_MODE  0666
#define FULL_BELOW (256U << 10)
#define READ_STEP  (512U << 10) /* libssh2 asks for four times as much ahead */

/* The connection is of no use any more. */
static enum sftp_rc
lost(struct sftp_conn *c)
{
	char *text = NULL;

	if (c->why.cause == 0) {
		(void)ssh2.session_last_error(c->session, &text, NULL, 0);
		dr_err_set(&c->why, DR_ERETRY,
		    "the connection to %s was lost (%s)", c->store->host,
		    text == NULL || *text == '\0' ? "no reason given" : text);
	}
	return SFTP_LOST;
}

/* What the server answered, after a call that returned RC < 0. */
static enum sftp_rc
answer(struct sftp_conn *c, int rc)
{
	if (rc != LIBSSH2_ERROR_SFTP_PROTOCOL)
		return lost(c);
	switch (ssh2.sftp_last_error(c->sftp)) {
	case LIBSSH2_FX_EOF:
		return SFTP_EOF;
	case LIBSSH2_FX_NO_SUCH_FILE:
	case LIBSSH2_FX_NO_SUCH_PATH:
		return SFTP_NOENT;
	case LIBSSH2_FX_PERMISSION_DENIED:
		return SFTP_DENIED;
	case LIBSSH2_FX_WRITE_PROTECT:
		return SFTP_READONLY;
	case LIBSSH2_FX_FILE_ALREADY_EXISTS:
		return SFTP_EXISTS;
	case LIBSSH2_FX_OP_UNSUPPORTED:
		return SFTP_UNSUPPORTED;
	case LIBSSH2_FX_NO_SPACE_ON_FILESYSTEM:
	case LIBSSH2_FX_QUOTA_EXCEEDED:
		return SFTP_FULL;
	case LIBSSH2_FX_NO_CONNECTION:
	case LIBSSH2_FX_CONNECTION_LOST:
	case LIBSSH2_FX_BAD_MESSAGE:
		return lost(c);
	default:
		return SFTP_REFUSED;
	}
}

/* RC of a call that is to be made again: wait, and -1 where that is over. */
#define AGAIN(c, rc) ((rc) == LIBSSH2_ERROR_EAGAIN && sftp_wait(c) == 0)
#define END(c, rc)                                   \
	((rc) == 0                         ? SFTP_OK \
	    : (rc) == LIBSSH2_ERROR_EAGAIN ? lost(c) \
	                                   : answer(c, (int)(rc)))

enum sftp_rc
sftp_open(struct sftp_conn *c, struct sftp_file *f, const char *path,
    unsigned long flags, bool dir)
{
	int rc;

	sftp_patience(c, SFTP_STALL_MS);
	do {
		f->handle = ssh2.sftp_open_ex(c->sftp, path,
		    (unsigned)strlen(path), flags, FILE_MODE,
		    dir ? LIBSSH2_SFTP_OPENDIR : LIBSSH2_SFTP_OPENFILE);
		rc =
		    f->handle != NULL ? 0 : ssh2.session_last_errno(c->session);
	} while (AGAIN(c, rc));
	if (rc != 0)
		return END(c, rc);
	f->conn = c;
	f->at = 0;
	f->next = c->files;
	c->files = f;
	return SFTP_OK;
}

enum sftp_rc
sftp_close_checked(struct sftp_file *f)
{
	struct sftp_conn *c = f->conn;
	struct sftp_file **p;
	int rc;

	if (f->handle == NULL)
		return SFTP_LOST;
	sftp_patience(c, SFTP_STALL_MS);
	do {
		rc = ssh2.sftp_close_handle(f->handle);
	} while (AGAIN(c, rc));
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return lost(c); /* sftp_hangup frees it */
	for (p = &c->files; *p != NULL && *p != f; p = &(*p)->next)
		;
	if (*p != NULL)
		*p = f->next;
	f->handle = NULL;
	f->next = NULL;
	return END(c, rc);
}

void
sftp_close(struct sftp_file *f)
{
	if (f->handle != NULL)
		(void)sftp_close_checked(f);
}

ssize_t
sftp_write(struct sftp_file *f, const void *buf, size_t len)
{
	struct sftp_conn *c = f->conn;
	ssize_t n;

	if (f->handle == NULL)
		return -SFTP_LOST;
	sftp_patience(c, SFTP_STALL_MS);
	do {
		n = ssh2.sftp_write(f->handle, buf, len);
	} while (n == 0 || AGAIN(c, n));
	return n > 0 ? n : -(ssize_t)END(c, n);
}

ssize_t
sftp_read(struct sftp_file *f, void *buf, size_t len)
{
	struct sftp_conn *c = f->conn;
	ssize_t n;

	if (f->handle == NULL)
		return -SFTP_LOST;
	sftp_patience(c, SFTP_STALL_MS);
	do {
		n = ssh2.sftp_read(f->handle, buf,
		    len < READ_STEP ? len : READ_STEP);
	} while (AGAIN(c, n));
	if (n < 0)
		return -(ssize_t)END(c, n);
	f->at += (uint64_t)n;
	return n;
}

enum sftp_rc
sftp_pread(struct sftp_file *f, void *buf, size_t len, uint64_t off)
{
	ssize_t n;

	if (f->handle == NULL)
		return SFTP_LOST;
	if (f->at != off) {
		ssh2.sftp_seek64(f->handle, off);
		f->at = off;
	}
	for (size_t done = 0; done < len; done += (size_t)n) {
		n = sftp_read(f, (char *)buf + done, len - done);
		if (n < 0)
			return (enum sftp_rc) - n;
		if (n == 0)
			return SFTP_EOF;
	}
	return SFTP_OK;
}

enum sftp_rc
sftp_fsync(struct sftp_file *f)
{
	struct sftp_conn *c = f->conn;
	enum sftp_rc said;
	int rc;

	if (f->handle == NULL)
		return SFTP_LOST;
	/* A slow disk has all that was written to take in. */
	sftp_patience(c, SFTP_PATIENCE);
	do {
		rc = ssh2.sftp_fsync(f->handle);
	} while (AGAIN(c, rc));
	/* A server may have been told not to. */
	said = END(c, rc);
	return said == SFTP_DENIED ? SFTP_UNSUPPORTED : said;
}

enum sftp_rc
sftp_stat(struct sftp_conn *c, const char *path, LIBSSH2_SFTP_ATTRIBUTES *st)
{
	int rc;

	sftp_patience(c, SFTP_STALL_MS);
	do {
		rc = ssh2.sftp_stat_ex(c->sftp, path, (unsigned)strlen(path),
		    LIBSSH2_SFTP_STAT, st);
	} while (AGAIN(c, rc));
	return END(c, rc);
}

int
sftp_readdir(struct sftp_file *f, char *name, size_t cap,
    LIBSSH2_SFTP_ATTRIBUTES *st)
{
	struct sftp_conn *c = f->conn;
	int rc;

	if (f->handle == NULL)
		return -SFTP_LOST;
	sftp_patience(c, SFTP_STALL_MS);
	do {
		rc =
		    ssh2.sftp_readdir_ex(f->handle, name, cap - 1, NULL, 0, st);
	} while (AGAIN(c, rc));
	if (rc < 0)
		return -(int)END(c, rc);
	name[rc] = '\0';
	return rc > 0;
}

enum sftp_rc
sftp_rename(struct sftp_conn *c, const char *from, const char *to)
{
	int rc;

	sftp_patience(c, SFTP_STALL_MS);
	do {
		/* Without leave to overwrite. */
		rc = ssh2.sftp_rename_ex(c->sftp, from, (unsigned)strlen(from),
		    to, (unsigned)strlen(to), 0);
	} while (AGAIN(c, rc));
	return END(c, rc);
}

enum sftp_rc
sftp_unlink(struct sftp_conn *c, const char *path)
{
	int rc;

	sftp_patience(c, SFTP_STALL_MS);
	do {
		rc = ssh2.sftp_unlink_ex(c->sftp, path, (unsigned)strlen(path));
	} while (AGAIN(c, rc));
	return END(c, rc);
}

enum sftp_rc
sftp_mkdir(struct sftp_conn *c, const char *path)
{
	int rc;

	sftp_patience(c, SFTP_STALL_MS);
	do {
		rc = ssh2.sftp_mkdir_ex(c->sftp, path, (unsigned)strlen(path),
		    DIR_MODE);
	} while (AGAIN(c, rc));
	return END(c, rc);
}

static enum sftp_rc
statvfs_of(struct sftp_conn *c, const char *path, LIBSSH2_SFTP_STATVFS *v)
{
	int rc;

	sftp_patience(c, SFTP_STALL_MS);
	do {
		rc = ssh2.sftp_statvfs(c->sftp, path, strlen(path), v);
	} while (AGAIN(c, rc));
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return lost(c);
	return rc != 0 ? SFTP_REFUSED : SFTP_OK;
}

enum sftp_rc
sftp_room(struct sftp_conn *c, const char *path, uint64_t *size, uint64_t *free)
{
	LIBSSH2_SFTP_STATVFS v;
	enum sftp_rc rc = statvfs_of(c, path, &v);

	if (rc == SFTP_OK) {
		*size = v.f_blocks * v.f_frsize;
		*free = v.f_bavail * v.f_frsize;
	}
	return rc;
}

enum sftp_rc
sftp_rmdir(struct sftp_conn *c, const char *path)
{
	int rc;

	sftp_patience(c, SFTP_STALL_MS);
	do {
		rc = ssh2.sftp_rmdir_ex(c->sftp, path, (unsigned)strlen(path));
	} while (AGAIN(c, rc));
	return END(c, rc);
}

enum sftp_rc
sftp_why(struct sftp_conn *c, enum sftp_rc said, const char *path)
{
	LIBSSH2_SFTP_STATVFS v;
	enum sftp_rc rc;

	if (said != SFTP_REFUSED)
		return said;
	if ((rc = statvfs_of(c, path, &v)) != SFTP_OK)
		return rc;
	return v.f_bavail * v.f_frsize < FULL_BELOW || v.f_favail == 0
	           ? SFTP_FULL
	           : said;
}

enum sftp_rc
sftp_sync_dir(struct sftp_conn *c, const char *path)
{
	struct sftp_file f = { .handle = NULL };
	enum sftp_rc rc;

	if (c->store->no_dir_fsync)
		return SFTP_OK;
	rc = sftp_open(c, &f, path, LIBSSH2_FXF_READ, false);
	if (rc == SFTP_OK) {
		rc = sftp_fsync(&f);
		sftp_close(&f);
	}
	if (rc == SFTP_OK || rc == SFTP_LOST || rc == SFTP_NOENT)
		return rc;
	c->store->no_dir_fsync = true;
	return SFTP_OK;
}
