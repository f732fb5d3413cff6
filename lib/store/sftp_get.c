/* Reading: objects, and lists of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/sftp_int.h"
#include "store/tmpname.h"

#define DEPTH_MAX 8

struct sftpblob {
	struct dr_blob blob;
	struct sftp *s;
	char *name, *path;
	struct sftp_file file[SFTP_CONNS]; /* each its connection's holder's */
	pthread_mutex_t mutex;
	uint64_t at[SFTP_CONNS]; /* where each is to read next */
};

struct pread {
	struct sftpblob *b;
	char *buf;
	size_t len, done;
	uint64_t off;
};

static enum sftp_rc
do_pread(struct sftp_conn *c, void *arg)
{
	struct pread *r = arg;
	struct sftpblob *b = r->b;
	size_t i = (size_t)(c - b->s->conn);
	struct sftp_file *f = &b->file[i];
	enum sftp_rc rc;

	if (f->handle == NULL &&
	    (rc = sftp_open(c, f, b->path, LIBSSH2_FXF_READ, false)) != SFTP_OK)
		return rc;
	rc = sftp_pread(f, r->buf, r->len, r->off);
	pthread_mutex_lock(&b->mutex);
	b->at[i] = rc == SFTP_OK ? r->off + r->len : UINT64_MAX;
	pthread_mutex_unlock(&b->mutex);
	return rc;
}

static int
blob_pread(struct dr_blob *blob, void *buf, size_t len, uint64_t off,
    struct dr_err *err)
{
	struct sftpblob *b = (struct sftpblob *)blob;
	struct pread r = { .b = b, .buf = buf, .len = len, .off = off };
	struct sftp_conn *want = NULL;
	enum sftp_rc rc;

	/* Where the next bytes may be on their way already. */
	pthread_mutex_lock(&b->mutex);
	for (size_t i = 0; i < SFTP_CONNS; i++)
		if (b->at[i] == off)
			want = &b->s->conn[i];
	pthread_mutex_unlock(&b->mutex);
	rc = sftp_run(b->s, want, false, do_pread, &r, err);
	if (rc != SFTP_OK)
		return sftp_fail(b->s, rc, "read", b->name, err);
	return sftp_pace(b->s, len, err);
}

static void
blob_free(struct dr_blob *blob)
{
	struct sftpblob *b = (struct sftpblob *)blob;

	for (size_t i = 0; i < SFTP_CONNS; i++)
		sftp_give_up(b->s, &b->file[i]);
	pthread_mutex_destroy(&b->mutex);
	free(b->name);
	free(b->path);
	free(b);
}

static const struct dr_blob_ops blob_ops = { blob_pread, blob_free };

struct dr_blob *
sftp_get(struct dr_store *store, const char *name, struct dr_err *err)
{
	struct sftp *s = (struct sftp *)store;
	struct dr_object obj;
	struct sftpblob *b;
	int rc = store->ops->stat(store, name, &obj, err);

	if (rc == -1)
		return NULL;
	if (rc == 0) {
		dr_err_set(err, DR_EDATA, "\"%s/%s\" is missing", s->label,
		    name);
		return NULL;
	}
	if ((b = calloc(1, sizeof(*b))) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		return NULL;
	}
	b->blob.ops = &blob_ops;
	b->blob.size = obj.size;
	b->s = s;
	pthread_mutex_init(&b->mutex, NULL);
	for (size_t i = 0; i < SFTP_CONNS; i++)
		b->at[i] = UINT64_MAX;
	if ((b->name = dr_fmt(err, "%s", name)) == NULL ||
	    (b->path = sftp_path(s, name, err)) == NULL) {
		blob_free(&b->blob);
		return NULL;
	}
	return &b->blob;
}

/* --- lists ------------------------------------------------------------------------ */

struct entry {
	char *name;
	uint64_t size;
	int64_t mtime;
	bool dir;
};

struct entries {
	struct entry *v;
	size_t n, cap;
	const char *path; /* of the directory */
	bool tmps;        /* temporaries, and no objects */
	bool nomem;
};

static void
entries_free(struct entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->v[i].name);
	free(e->v);
	e->v = NULL;
	e->n = e->cap = 0;
}

static int
entry_cmp(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name,
	    ((const struct entry *)b)->name);
}

static int
entry_add(struct entries *e, const char *name,
    const LIBSSH2_SFTP_ATTRIBUTES *st, bool dir)
{
	struct entry *v;

	if (e->n == e->cap) {
		size_t cap = e->cap == 0 ? 64 : 2 * e->cap;

		if ((v = reallocarray(e->v, cap, sizeof(*v))) == NULL)
			return -1;
		e->v = v;
		e->cap = cap;
	}
	v = &e->v[e->n];
	if ((v->name = strdup(name)) == NULL)
		return -1;
	v->size = st->filesize;
	v->mtime = (int64_t)st->mtime * 1000000;
	v->dir = dir;
	e->n++;
	return 0;
}

/* What a name stands for, a link followed. */
static enum sftp_rc
look(struct sftp_conn *c, const struct entries *e, const char *name,
    LIBSSH2_SFTP_ATTRIBUTES *st)
{
	struct dr_err err = { 0 };
	enum sftp_rc rc;
	char *path;

	if ((st->flags & LIBSSH2_SFTP_ATTR_PERMISSIONS) &&
	    !LIBSSH2_SFTP_S_ISLNK(st->permissions))
		return SFTP_OK;
	if ((path = dr_fmt(&err, "%s/%s", e->path, name)) == NULL)
		return SFTP_REFUSED;
	rc = sftp_stat(c, path, st);
	free(path);
	return rc;
}

static enum sftp_rc
do_read(struct sftp_conn *c, void *arg)
{
	struct entries *e = arg;
	struct sftp_file f = { .handle = NULL };
	char name[1024], base[DR_PART_MAX + 1], id[DR_TMP_ID_LEN];
	LIBSSH2_SFTP_ATTRIBUTES st;
	enum sftp_rc rc;
	int more = 0;

	entries_free(e);
	if ((rc = sftp_open(c, &f, e->path, 0, true)) != SFTP_OK)
		return rc;
	while (rc == SFTP_OK &&
	       (more = sftp_readdir(&f, name, sizeof(name), &st)) == 1) {
		bool tmp = e->tmps && dr_tmp_parse(name, base, id);

		if (!tmp && !dr_object_name_ok(name))
			continue;
		if ((rc = look(c, e, name, &st)) == SFTP_NOENT) {
			rc = SFTP_OK;
			continue;
		}
		if (rc != SFTP_OK)
			break;
		if (LIBSSH2_SFTP_S_ISDIR(st.permissions)
		        ? tmp
		        : !LIBSSH2_SFTP_S_ISREG(st.permissions) ||
		              tmp != e->tmps)
			continue;
		if (entry_add(e, name, &st,
		        LIBSSH2_SFTP_S_ISDIR(st.permissions)) == -1) {
			e->nomem = true;
			rc = SFTP_REFUSED;
		}
	}
	if (rc == SFTP_OK && more < 0)
		rc = (enum sftp_rc) - more;
	sftp_close(&f);
	return rc;
}

struct walk {
	struct sftp *s;
	int (*object)(void *, const struct dr_object *, struct dr_err *);
	int (*dir)(void *, const char *, struct dr_err *);
	int (*upload)(void *, const struct dr_upload *, struct dr_err *);
	void *arg;
	const char *after;
	int depth;
};

static int walk(struct walk *, const char *prefix, struct dr_err *);

static int
walk_upload(struct walk *w, const char *prefix, const struct entry *e,
    struct dr_err *err)
{
	char base[DR_PART_MAX + 1], id[DR_TMP_ID_LEN], *name;
	struct dr_upload up;
	int rc;

	if (!dr_tmp_parse(e->name, base, id))
		return 0;
	if ((name = dr_fmt(err, "%s%s", prefix, base)) == NULL)
		return -1;
	up = (struct dr_upload){ .name = name, .id = id, .started = e->mtime };
	rc = w->upload(w->arg, &up, err);
	free(name);
	return rc;
}

static int
walk_entry(struct walk *w, const char *prefix, const struct entry *e,
    struct dr_err *err)
{
	struct dr_object obj;
	char *full;
	int rc = 0;

	if (e->dir && w->dir != NULL)
		return w->dir(w->arg, e->name, err);
	if (!e->dir && w->upload != NULL)
		return walk_upload(w, prefix, e, err);
	full = dr_fmt(err, "%s%s%s", prefix, e->name, e->dir ? "/" : "");
	if (full == NULL)
		return -1;
	if (e->dir) {
		if (w->depth < DEPTH_MAX) {
			w->depth++;
			rc = walk(w, full, err);
			w->depth--;
		}
	} else if (w->object != NULL &&
	           (w->after == NULL || strcmp(full, w->after) > 0) &&
	           dr_object_name_ok(full)) {
		obj = (struct dr_object){ .name = full,
			.size = e->size,
			.mtime = e->mtime };
		rc = w->object(w->arg, &obj, err);
	}
	free(full);
	return rc;
}

/*
 * sftp lists in no order, so a directory is held whole to be sorted: about 100
 * bytes a name (100,000 names: 19 MB for all of dr-list).
 */
static int
walk(struct walk *w, const char *prefix, struct dr_err *err)
{
	struct entries e = { .tmps = w->upload != NULL };
	char *path = sftp_path(w->s, prefix, err);
	size_t len;
	enum sftp_rc rc;
	int res = -1;

	if (path == NULL)
		return -1;
	len = strlen(path);
	if (len > 1 && path[len - 1] == '/')
		path[len - 1] = '\0';
	e.path = path;
	rc = sftp_run(w->s, NULL, false, do_read, &e, err);
	if (rc == SFTP_NOENT) {
		res = 0;
		goto out;
	}
	if (e.nomem) {
		errno = ENOMEM;
		dr_err_sys(err, "cannot read \"%s\"", prefix);
		goto out;
	}
	if (rc != SFTP_OK) {
		sftp_fail(w->s, rc, "read directory", prefix, err);
		goto out;
	}
	if (e.n > 0)
		qsort(e.v, e.n, sizeof(*e.v), entry_cmp);
	for (size_t i = 0; i < e.n; i++)
		if (walk_entry(w, prefix, &e.v[i], err) == -1)
			goto out;
	res = 0;

out:
	entries_free(&e);
	free(path);
	return res;
}

int
sftp_list(struct dr_store *store, const char *prefix, const char *after,
    int (*fn)(void *, const struct dr_object *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct walk w = { .s = (struct sftp *)store,
		.object = fn,
		.arg = arg,
		.after = after };

	return walk(&w, prefix, err);
}

int
sftp_dirs(struct dr_store *store, const char *prefix,
    int (*fn)(void *, const char *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct walk w = { .s = (struct sftp *)store, .dir = fn, .arg = arg };

	return walk(&w, prefix, err);
}

int
sftp_uploads(struct dr_store *store, const char *prefix,
    int (*fn)(void *, const struct dr_upload *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct walk w = { .s = (struct sftp *)store, .upload = fn, .arg = arg };

	return walk(&w, prefix, err);
}
