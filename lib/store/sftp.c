/*
 * A store on a host that speaks sftp (draft-ietf-secsh-filexfer-02, as
 * OpenSSH has it, with its extension fsync@openssh.com).
 */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/sftp_int.h"
#include "store/tmpname.h"

char *
sftp_path(const struct sftp *s, const char *name, struct dr_err *err)
{
	return dr_fmt(err, "%s%s%s", s->root,
	    strcmp(s->root, "/") == 0 || *name == '\0' ? "" : "/", name);
}

/* A call on one path, or on two. */
struct call {
	const char *path, *dir;
	LIBSSH2_SFTP_ATTRIBUTES st;
	bool again;
};

static enum sftp_rc
do_stat(struct sftp_conn *c, void *arg)
{
	struct call *call = arg;

	return sftp_stat(c, call->path, &call->st);
}

static int
stat_op(struct dr_store *store, const char *name, struct dr_object *obj,
    struct dr_err *err)
{
	struct sftp *s = (struct sftp *)store;
	struct call call = { .path = NULL };
	char *path = sftp_path(s, name, err);
	enum sftp_rc rc;

	if (path == NULL)
		return -1;
	call.path = path;
	rc = sftp_run(s, NULL, false, do_stat, &call, err);
	free(path);
	if (rc == SFTP_NOENT)
		return 0;
	if (rc != SFTP_OK)
		return sftp_fail(s, rc, "look at", name, err);
	if (!LIBSSH2_SFTP_S_ISREG(call.st.permissions))
		return 0;
	obj->name = name;
	obj->size = call.st.filesize;
	obj->mtime = (int64_t)call.st.mtime * 1000000;
	return 1;
}

/* --- directories --------------------------------------------------------------- */

/* Make one; what it is in then knows of it for good. */
static enum sftp_rc
do_mkdir(struct sftp_conn *c, void *arg)
{
	struct call *call = arg;
	enum sftp_rc rc = sftp_mkdir(c, call->path), is;

	if (rc == SFTP_LOST)
		call->again = true;
	if (rc != SFTP_OK && rc != SFTP_LOST) {
		is = sftp_stat(c, call->path, &call->st);
		if (is == SFTP_LOST)
			return is;
		if (is == SFTP_OK && !call->again)
			return SFTP_OK;
		if (is != SFTP_OK)
			return sftp_why(c, rc, call->dir);
		rc = SFTP_OK;
	}
	return rc == SFTP_OK ? sftp_sync_dir(c, call->dir) : rc;
}

int
sftp_parents(struct sftp *s, const char *name, struct dr_err *err)
{
	struct call call = { .path = NULL };
	char *up = sftp_path(s, "", err), *dir = NULL, *part = NULL;
	enum sftp_rc rc = SFTP_OK;
	int res = -1;

	for (const char *p = strchr(name, '/'); up != NULL && p != NULL;
	     p = strchr(p + 1, '/')) {
		free(part);
		if ((part = strndup(name, (size_t)(p - name))) == NULL) {
			dr_err_sys(err, "cannot make a directory");
			goto out;
		}
		if ((dir = sftp_path(s, part, err)) == NULL)
			goto out;
		call = (struct call){ .path = dir, .dir = up };
		rc = sftp_run(s, NULL, false, do_mkdir, &call, err);
		if (rc != SFTP_OK) {
			sftp_fail(s, rc, "make directory", part, err);
			goto out;
		}
		free(up);
		up = dir; /* moved */
		dir = NULL;
	}
	res = up == NULL ? -1 : 0;

out:
	free(up);
	free(dir);
	free(part);
	return res;
}

/* --- removing ------------------------------------------------------------------ */

static enum sftp_rc
do_unlink(struct sftp_conn *c, void *arg)
{
	struct call *call = arg;
	enum sftp_rc rc = sftp_unlink(c, call->path);

	if (rc == SFTP_LOST)
		call->again = true;
	if (rc == SFTP_NOENT && call->again)
		rc = SFTP_OK;
	return rc == SFTP_OK ? sftp_sync_dir(c, call->dir) : rc;
}

/* FILE is on the server where NAME would be, under NAME's or another name. */
static int
remove_as(struct sftp *s, const char *name, const char *file,
    struct dr_err *err)
{
	char *path = sftp_path(s, file, err), *dir = NULL;
	struct call call = { .path = path };
	enum sftp_rc rc;
	int res = -1;

	if (path == NULL ||
	    (dir = strndup(path, (size_t)(strrchr(path, '/') - path))) == NULL)
		goto out;
	call.dir = *dir == '\0' ? "/" : dir;
	rc = sftp_run(s, NULL, false, do_unlink, &call, err);
	if (rc == SFTP_OK)
		res = 1;
	else if (rc == SFTP_NOENT)
		res = 0;
	else
		sftp_fail(s, rc, "delete", name, err);

out:
	free(dir);
	free(path);
	return res;
}

static int
del(struct dr_store *store, const char *name, struct dr_err *err)
{
	return remove_as((struct sftp *)store, name, name, err);
}

static enum sftp_rc
do_rmdir(struct sftp_conn *c, void *arg)
{
	struct call *call = arg;

	return sftp_rmdir(c, call->path);
}

/* Servers do not tell whether it is not empty or may not be removed. */
static int
rmdir_op(struct dr_store *store, const char *name, struct dr_err *err)
{
	struct sftp *s = (struct sftp *)store;
	char *path = sftp_path(s, name, err);
	struct call call = { .path = path };
	enum sftp_rc rc;

	if (path == NULL)
		return -1;
	rc = sftp_run(s, NULL, false, do_rmdir, &call, err);
	free(path);
	return rc == SFTP_OK ? 1 : rc == SFTP_FATAL ? -1 : 0;
}

static int
upload_abort(struct dr_store *store, const char *name, const char *id,
    struct dr_err *err)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash == NULL ? name : slash + 1;
	char tmp[DR_TMP_MAX], *file;
	int rc;

	if (!dr_tmp_of(base, id, tmp))
		return dr_err_set(err, DR_EFAIL, "\"%s\" is no upload's name",
		    id);
	file = dr_fmt(err, "%.*s%s", (int)(base - name), name, tmp);
	if (file == NULL)
		return -1;
	rc = remove_as((struct sftp *)store, name, file, err);
	free(file);
	return rc;
}

/* --- begin and end ------------------------------------------------------------- */

static void
free_op(struct dr_store *store)
{
	struct sftp *s = (struct sftp *)store;

	sftp_jobs_end(s);
	for (size_t i = 0; i < SFTP_CONNS; i++)
		sftp_hangup(&s->conn[i]);
	pthread_cond_destroy(&s->idle);
	pthread_mutex_destroy(&s->mutex);
	free(s->label);
	free(s->host);
	free(s->user);
	free(s->root);
	free(s->identity);
	free(s->known_hosts);
	free(s);
}

struct room {
	const char *path;
	uint64_t size, free;
};

static enum sftp_rc
do_room(struct sftp_conn *c, void *arg)
{
	struct room *r = arg;
	enum sftp_rc rc = sftp_room(c, r->path, &r->size, &r->free);

	/* A server that does not tell has lost nothing. */
	return rc == SFTP_REFUSED ? SFTP_OK : rc;
}

static int
room_op(struct dr_store *store, uint64_t *size, uint64_t *free)
{
	struct sftp *s = (struct sftp *)store;
	struct room r = { .path = s->root };

	sftp_try(s, do_room, &r);
	if (r.size == 0)
		return 0;
	*size = r.size;
	*free = r.free;
	return 1;
}

static void
hurry(struct dr_store *store, uint64_t ms)
{
	((struct sftp *)store)->hurry_ms = ms;
}

static const struct dr_store_ops sftp_ops = {
	.put = sftp_put,
	.put_small = sftp_put_small,
	.put_begin = sftp_put_begin,
	.put_look = sftp_put_look,
	.put_cancel = sftp_put_cancel,
	.stat = stat_op,
	.get = sftp_get,
	.list = sftp_list,
	.scans = true,
	.dirs = sftp_dirs,
	.del = del,
	.rmdir = rmdir_op,
	.uploads = sftp_uploads,
	.upload_abort = upload_abort,
	.try_replace = sftp_try_replace,
	.room = room_op,
	.hurry = hurry,
	.free = free_op,
};

static char *
whoami(struct dr_err *err)
{
	struct passwd pw, *found = NULL;
	const char *name = getenv("LOGNAME");
	char buf[4096];

	if (getpwuid_r(geteuid(), &pw, buf, sizeof(buf), &found) == 0 &&
	    found != NULL)
		name = found->pw_name;
	if (name == NULL) {
		dr_err_set(err, DR_EUSAGE,
		    "this user has no name: say sftp://USER@HOST/PATH");
		return NULL;
	}
	return dr_fmt(err, "%s", name);
}

/* The URL's path as the server takes it: "~" is where a login begins. */
static char *
root_of(const char *path, struct dr_err *err)
{
	if (strcmp(path, "~") == 0)
		return dr_fmt(err, ".");
	if (strncmp(path, "~/", 2) == 0)
		return dr_fmt(err, "./%s", path + 2);
	return dr_fmt(err, "/%s", path);
}

/* A file that a parameter names, from any working directory. */
static char *
file_param(const struct dr_url *u, const char *name, struct dr_err *err)
{
	const char *value = dr_url_param(u, name);
	char *cwd, *path;

	if (value == NULL || *value == '/')
		return value == NULL ? NULL : dr_fmt(err, "%s", value);
	if ((cwd = getcwd(NULL, 0)) == NULL) {
		dr_err_sys(err, "cannot find the working directory");
		return NULL;
	}
	path = dr_fmt(err, "%s/%s", cwd, value);
	free(cwd);
	return path;
}

/* TEXT, percent-encoded where it would mean something else. */
static int
readable(struct dr_buf *b, const char *text, const char *special,
    struct dr_err *err)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = c > ' ' && c != 0x7f && strchr(special, c) == NULL;

		if ((plain ? dr_buf_add(b, text, 1, err)
		           : dr_buf_fmt(b, err, "%%%02X", c)) == -1)
			return -1;
	}
	return 0;
}

/* The store's name, so that it can be opened again. */
static int
name_it(struct sftp *s, const struct dr_url *u, struct dr_err *err)
{
	const struct {
		const char *name, *value;
	} param[] = { { "identity", s->identity },
		{ "known_hosts", s->known_hosts },
		{ "fsync", s->need_fsync ? NULL : "no" } };
	bool v6 = strchr(u->host, ':') != NULL;
	struct dr_buf b = { .max = 8192 };
	char sep = '?';

	if (dr_buf_str(&b, "sftp://", err) == -1 ||
	    (u->user != NULL &&
	        (readable(&b, u->user, "@:/%?&#\"'\\", err) == -1 ||
	            dr_buf_str(&b, "@", err) == -1)) ||
	    dr_buf_fmt(&b, err, "%s%s%s", v6 ? "[" : "", u->host,
	        v6 ? "]" : "") == -1 ||
	    (s->port != 22 && dr_buf_fmt(&b, err, ":%u", s->port) == -1) ||
	    (*u->path != '\0' &&
	        (dr_buf_str(&b, "/", err) == -1 ||
	            readable(&b, u->path, "%?&#\"'\\", err) == -1)) ||
	    (s->label = dr_fmt(err, "%s", b.data)) == NULL)
		goto fail;
	for (size_t i = 0; i < sizeof(param) / sizeof(param[0]); i++) {
		if (param[i].value == NULL)
			continue;
		if (dr_buf_fmt(&b, err, "%c%s=", sep, param[i].name) == -1 ||
		    readable(&b, param[i].value, "%?&#\"'\\", err) == -1)
			goto fail;
		sep = '&';
	}
	s->store.url = b.data;
	return 0;

fail:
	dr_buf_free(&b);
	return -1;
}

struct dr_store *
dr_store_sftp(const struct dr_url *u, const struct dr_store_opts *o,
    struct dr_err *err)
{
	const char *sync = dr_url_param(u, "fsync");
	struct sftp *s = NULL;

	if (dr_url_only(u, "identity|known_hosts|fsync", err) == -1)
		return NULL;
	if (*u->host == '\0' || *u->host == '-') {
		dr_err_set(err, DR_EUSAGE,
		    "an sftp store is sftp://[USER@]HOST[:PORT]/PATH");
		return NULL;
	}
	if (o->lock.mode != DR_LOCK_NONE || o->lock.hold ||
	    o->storage_class != NULL || o->sse != NULL) {
		dr_err_set(err, DR_EUSAGE,
		    "sftp has no locks, storage classes or encryption of its "
		    "own");
		return NULL;
	}
	if (sync != NULL && strcmp(sync, "no") != 0 &&
	    strcmp(sync, "yes") != 0) {
		dr_err_set(err, DR_EUSAGE, "fsync=%s: it is yes or no", sync);
		return NULL;
	}
	if ((s = calloc(1, sizeof(*s))) == NULL) {
		dr_err_sys(err, "cannot open an sftp store");
		return NULL;
	}
	s->store.ops = &sftp_ops;
	s->store.opts = o;
	s->port = u->port == 0 ? 22 : u->port;
	s->need_fsync = sync == NULL || strcmp(sync, "no") != 0;
	s->main = pthread_self();
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->idle, NULL);
	for (size_t i = 0; i < SFTP_CONNS; i++) {
		s->conn[i].store = s;
		s->conn[i].fd = -1;
	}
	s->identity = file_param(u, "identity", err);
	s->known_hosts = file_param(u, "known_hosts", err);
	s->host = dr_fmt(err, "%s", u->host);
	s->user = u->user != NULL ? dr_fmt(err, "%s", u->user) : whoami(err);
	s->root = root_of(u->path, err);
	if (err->cause != 0 || s->host == NULL || s->user == NULL ||
	    s->root == NULL || name_it(s, u, err) == -1) {
		free_op(&s->store);
		return NULL;
	}
	return &s->store;
}
