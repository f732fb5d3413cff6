/*
 * Uploads: an exclusively opened temporary, fsync, and a rename that does not
 * replace (OpenSSH makes a link and removes the old name).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "store/sftp_int.h"
#include "store/tmpname.h"

#define WINDOW (2U << 20)   /* sent and not acknowledged, or not yet sent */
#define SYNCED (256U << 20) /* how much is read back at most after a loss */
#define STEP   (256U << 10)

struct putsink {
	struct dr_sink sink;
	struct sftp *s;
	struct sftp_conn *conn; /* always the same, however often it is lost */
	struct sftp_file file;
	char *name, *dir, *tmp, *path;
	char *buf;
	size_t from, to; /* of BUF: not acknowledged */
	size_t goal;     /* of push: at most that much may stay so */
	uint64_t at;     /* acknowledged */
	uint64_t safe;   /* of which that much was durable */
	uint32_t crc;    /* of [SAFE, AT) */
	bool created, closed, renamed;
	bool opening, renaming; /* that was asked, and no answer came */
};

static enum sftp_rc
create(struct sftp_conn *c, struct putsink *p)
{
	unsigned long flags =
	    LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT |
	    (p->opening ? LIBSSH2_FXF_TRUNC : LIBSSH2_FXF_EXCL);
	enum sftp_rc rc = sftp_open(c, &p->file, p->tmp, flags, false);

	p->conn = c;
	p->opening = rc == SFTP_LOST;
	if (rc == SFTP_OK)
		p->created = true;
	return rc;
}

static enum sftp_rc
do_create(struct sftp_conn *c, void *arg)
{
	return create(c, arg);
}

/*
 * After a connection was lost: is there what the server had acknowledged?  It
 * may have lost that in a crash.
 */
static enum sftp_rc
resume(struct sftp_conn *c, struct putsink *p)
{
	char *buf;
	uint32_t crc = 0;
	enum sftp_rc rc;

	rc = sftp_open(c, &p->file, p->tmp,
	    LIBSSH2_FXF_READ | LIBSSH2_FXF_WRITE, false);
	if (rc != SFTP_OK)
		return rc;
	if ((buf = malloc(STEP)) == NULL)
		return SFTP_REFUSED;
	for (uint64_t off = p->safe, n; off < p->at; off += n) {
		n = p->at - off < STEP ? p->at - off : STEP;
		rc = sftp_pread(&p->file, buf, (size_t)n, off);
		if (rc != SFTP_OK) {
			free(buf);
			return rc;
		}
		crc = dr_crc32c(crc, buf, (size_t)n);
	}
	free(buf);
	if (crc != p->crc)
		return SFTP_EOF;
	ssh2.sftp_seek64(p->file.handle, p->at);
	return SFTP_OK;
}

/* Send until no more than GOAL bytes wait for an answer. */
static enum sftp_rc
push(struct sftp_conn *c, struct putsink *p)
{
	enum sftp_rc rc;
	ssize_t n;

	if (p->file.handle == NULL && (rc = resume(c, p)) != SFTP_OK)
		return rc;
	while (p->to - p->from > p->goal) {
		n = sftp_write(&p->file, p->buf + p->from, p->to - p->from);
		if (n < 0)
			return sftp_why(c, (enum sftp_rc) - n, p->dir);
		p->crc = dr_crc32c(p->crc, p->buf + p->from, (size_t)n);
		p->from += (size_t)n;
		p->at += (uint64_t)n;
		if (p->at - p->safe >= SYNCED &&
		    (rc = sftp_fsync(&p->file)) != SFTP_UNSUPPORTED) {
			if (rc != SFTP_OK)
				return sftp_why(c, rc, p->dir);
			p->safe = p->at;
			p->crc = 0;
		}
	}
	return SFTP_OK;
}

static enum sftp_rc
do_push(struct sftp_conn *c, void *arg)
{
	return push(c, arg);
}

static int
put_write(struct dr_sink *sink, const void *buf, size_t len, struct dr_err *err)
{
	struct putsink *p = (struct putsink *)sink;
	const char *from = buf;
	enum sftp_rc rc;
	size_t n;

	while (len > 0) {
		if (p->to == WINDOW) {
			p->goal = WINDOW / 2;
			rc = sftp_run(p->s, p->conn, true, do_push, p, err);
			if (rc != SFTP_OK)
				return sftp_fail(p->s, rc, "write", p->name,
				    err);
			memmove(p->buf, p->buf + p->from, p->to - p->from);
			p->to -= p->from;
			p->from = 0;
		}
		n = WINDOW - p->to < len ? WINDOW - p->to : len;
		memcpy(p->buf + p->to, from, n);
		p->to += n;
		from += n;
		len -= n;
		if (sftp_pace(p->s, n, err) == -1)
			return -1;
	}
	return 0;
}

/*
 * Give it its name.  Where an answer to that was lost, our temporary tells:
 * it is gone when it became the object.
 */
static enum sftp_rc
rename_it(struct sftp_conn *c, struct putsink *p)
{
	LIBSSH2_SFTP_ATTRIBUTES st;
	enum sftp_rc rc, is;

	if (p->renaming) {
		rc = sftp_stat(c, p->tmp, &st);
		if (rc == SFTP_NOENT) {
			rc = sftp_stat(c, p->path, &st);
			if (rc == SFTP_OK && st.filesize == p->at)
				return SFTP_OK;
			return rc == SFTP_OK ? SFTP_EXISTS : rc;
		}
		if (rc != SFTP_OK)
			return rc;
	}
	rc = sftp_rename(c, p->tmp, p->path);
	if (rc == SFTP_LOST)
		p->renaming = true;
	if (rc == SFTP_OK || rc == SFTP_LOST)
		return rc;
	is = sftp_stat(c, p->path, &st);
	if (is == SFTP_OK)
		return SFTP_EXISTS;
	return is == SFTP_LOST ? is : sftp_why(c, rc, p->dir);
}

static enum sftp_rc
do_finish(struct sftp_conn *c, void *arg)
{
	struct putsink *p = arg;
	enum sftp_rc rc;

	if (!p->closed) {
		p->goal = 0;
		if ((rc = push(c, p)) != SFTP_OK)
			return rc;
		rc = sftp_fsync(&p->file);
		if (rc != SFTP_OK &&
		    (rc != SFTP_UNSUPPORTED || p->s->need_fsync))
			return sftp_why(c, rc, p->dir);
		if ((rc = sftp_close_checked(&p->file)) != SFTP_OK)
			return sftp_why(c, rc, p->dir);
		p->closed = true;
	}
	if (!p->renamed) {
		if ((rc = rename_it(c, p)) != SFTP_OK)
			return rc;
		p->renamed = true;
	}
	return sftp_sync_dir(c, p->dir);
}

static int
put_finish(struct dr_sink *sink, struct dr_err *err)
{
	struct putsink *p = (struct putsink *)sink;
	enum sftp_rc rc = sftp_run(p->s, p->conn, true, do_finish, p, err);

	if (rc == SFTP_OK)
		return 0;
	if (rc == SFTP_UNSUPPORTED) {
		dr_err_set(err, DR_EFAIL,
		    "cannot create \"%s/%s\": the server has no "
		    "fsync@openssh.com, so nothing can be promised of it",
		    p->s->label, p->name);
		return dr_err_hint(err,
		    "?fsync=no after the store's URL goes without");
	}
	sftp_fail(p->s, rc, "create", p->name, err);
	errno = rc == SFTP_EXISTS ? EEXIST : EIO;
	return -1;
}

static enum sftp_rc
do_drop(struct sftp_conn *c, void *arg)
{
	struct putsink *p = arg;
	enum sftp_rc rc = sftp_unlink(c, p->tmp);

	/* What was asked of a connection that is gone may yet be done. */
	for (int n = 0; rc == SFTP_NOENT && p->opening && !p->created && n < 5;
	     n++) {
		(void)poll(NULL, 0, 100);
		rc = sftp_unlink(c, p->tmp);
	}
	return rc;
}

static void
put_free(struct dr_sink *sink)
{
	struct putsink *p = (struct putsink *)sink;

	sftp_give_up(p->s, &p->file);
	if ((p->created || p->opening) && !p->renamed)
		sftp_try(p->s, do_drop, p);
	free(p->name);
	free(p->dir);
	free(p->tmp);
	free(p->path);
	free(p->buf);
	free(p);
}

static const struct dr_sink_ops put_ops = {
	.write = put_write,
	.finish = put_finish,
	.free = put_free,
};

struct dr_sink *
sftp_put(struct dr_store *store, const char *name, struct dr_err *err)
{
	struct sftp *s = (struct sftp *)store;
	const char *base = strrchr(name, '/');
	char tmp[DR_TMP_MAX];
	struct putsink *p;
	enum sftp_rc rc;

	base = base == NULL ? name : base + 1;
	if ((p = calloc(1, sizeof(*p))) == NULL) {
		dr_err_sys(err, "cannot create \"%s\"", name);
		return NULL;
	}
	p->sink.ops = &put_ops;
	p->s = s;
	if (dr_tmp_new(base, tmp, err) == -1 ||
	    (p->name = dr_fmt(err, "%s", name)) == NULL ||
	    (p->path = sftp_path(s, name, err)) == NULL ||
	    (p->dir = dr_fmt(err, "%.*s", (int)(strlen(p->path) - strlen(base)),
	         p->path)) == NULL ||
	    (p->tmp = dr_fmt(err, "%s%s", p->dir, tmp)) == NULL)
		goto fail;
	if ((p->buf = malloc(WINDOW)) == NULL) {
		dr_err_sys(err, "cannot create \"%s\"", name);
		goto fail;
	}
	rc = sftp_run(s, NULL, false, do_create, p, err);
	if (rc == SFTP_NOENT) {
		if (sftp_parents(s, name, err) == -1)
			goto fail;
		rc = sftp_run(s, NULL, false, do_create, p, err);
	}
	if (rc != SFTP_OK) {
		sftp_fail(s, rc, "create", name, err);
		goto fail;
	}
	return &p->sink;

fail:
	put_free(&p->sink);
	return NULL;
}

enum dr_put_result
sftp_put_small(struct dr_store *store, const char *name, const void *data,
    size_t len, bool *lost, struct dr_err *err)
{
	struct dr_sink *sink = sftp_put(store, name, err);
	enum dr_put_result res = DR_PUT_FAILED;

	if (sink == NULL)
		return DR_PUT_FAILED;
	if (dr_sink_write(sink, data, len, err) == 0) {
		if (dr_sink_finish(sink, err) == 0)
			res = DR_PUT_OK;
		else if (errno == EEXIST)
			res = DR_PUT_EXISTS;
		*lost = ((struct putsink *)sink)->renaming;
	}
	dr_sink_free(sink);
	return res;
}

/* --- what a host that only writes should not be able to do ------------------------ */

struct replace {
	const char *path, *tmp;
	const void *data;
	size_t len;
};

static enum sftp_rc
write_all(struct sftp_conn *c, const char *path, unsigned long flags,
    const struct replace *r)
{
	struct sftp_file f = { .handle = NULL };
	enum sftp_rc rc = sftp_open(c, &f, path, flags, false);
	ssize_t n = 0;

	for (size_t at = 0; rc == SFTP_OK && at < r->len; at += (size_t)n)
		if ((n = sftp_write(&f, (const char *)r->data + at,
		         r->len - at)) < 0)
			rc = (enum sftp_rc) - n;
	if (rc == SFTP_OK)
		rc = sftp_close_checked(&f);
	else
		sftp_close(&f);
	return rc;
}

/* In place, else by removing what is there. */
static enum sftp_rc
do_replace(struct sftp_conn *c, void *arg)
{
	struct replace *r = arg;
	enum sftp_rc rc;

	rc = write_all(c, r->path, LIBSSH2_FXF_WRITE | LIBSSH2_FXF_TRUNC, r);
	if (rc == SFTP_OK || rc == SFTP_LOST)
		return rc;
	rc = write_all(c, r->tmp,
	    LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_TRUNC, r);
	if (rc == SFTP_OK)
		rc = sftp_unlink(c, r->path);
	if (rc == SFTP_OK)
		rc = sftp_rename(c, r->tmp, r->path);
	if (rc != SFTP_OK && rc != SFTP_LOST)
		(void)sftp_unlink(c, r->tmp);
	return rc;
}

int
sftp_try_replace(struct dr_store *store, const char *name, bool parts,
    const void *data, size_t len, struct dr_err *err)
{
	struct sftp *s = (struct sftp *)store;
	struct replace r = { .data = data, .len = len };
	char *path = sftp_path(s, name, err), *tmp = NULL;
	const char *base = strrchr(name, '/');
	char file[DR_TMP_MAX];
	enum sftp_rc rc;
	int res = -1;

	(void)parts; /* sftp knows one way of writing */
	base = base == NULL ? name : base + 1;
	if (path == NULL || dr_tmp_new(base, file, err) == -1 ||
	    (tmp = dr_fmt(err, "%.*s%s", (int)(strlen(path) - strlen(base)),
	         path, file)) == NULL)
		goto out;
	r.path = path;
	r.tmp = tmp;
	rc = sftp_run(s, NULL, false, do_replace, &r, err);
	if (rc == SFTP_OK)
		res = 1;
	else if (rc == SFTP_DENIED || rc == SFTP_READONLY ||
	         rc == SFTP_REFUSED || rc == SFTP_UNSUPPORTED ||
	         rc == SFTP_EXISTS)
		res = 0;
	else
		sftp_fail(s, rc, "replace", name, err);

out:
	free(tmp);
	free(path);
	return res;
}
