#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "store/ahead.h"
#include "store/driver.h"

#define NAME_MAX_BYTES 512
#define THREAD_MS      3

/* Parts of [A-Za-z0-9._-], none empty, none beginning with ".". */
bool
dr_object_name_ok(const char *name)
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                           "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len;

	if (strlen(name) > NAME_MAX_BYTES)
		return false;
	for (;;) {
		len = strspn(name, good);
		if (len == 0 || len > 200 || name[0] == '.')
			return false;
		name += len;
		if (*name == '\0')
			return true;
		if (*name++ != '/')
			return false;
	}
}

/* "" or an object's name and "/". */
static bool
prefix_ok(const char *prefix)
{
	char name[NAME_MAX_BYTES + 1];
	size_t len = strlen(prefix);

	if (len == 0)
		return true;
	if (len > NAME_MAX_BYTES || prefix[len - 1] != '/')
		return false;
	memcpy(name, prefix, len - 1);
	name[len - 1] = '\0';
	return dr_object_name_ok(name);
}

static int
check_name(const char *name, struct dr_err *err)
{
	if (dr_object_name_ok(name))
		return 0;
	errno = EINVAL;
	return dr_err_set(err, DR_EFAIL, "\"%s\" cannot name an object", name);
}

/* Kinds that need more than a path. */
static const struct kind {
	const char *scheme;
	struct dr_store *(*open)(const struct dr_url *,
	    const struct dr_store_opts *, struct dr_err *);
} kinds[] = {
	{ "azblob", dr_store_azure },
	{ "gs", dr_store_gs },
	{ "s3", dr_store_s3 },
	{ "sftp", dr_store_sftp },
	{ NULL, NULL },
};

static struct dr_store *
open_url(const char *url, const struct dr_store_opts *o, struct dr_err *err)
{
	struct dr_store *s = NULL;
	struct dr_url u;
	const struct kind *k;

	if (dr_url_parse(url, &u, err) == -1)
		return NULL;
	for (k = kinds; k->scheme != NULL && strcmp(k->scheme, u.scheme) != 0;)
		k++;
	if (k->scheme != NULL)
		s = k->open(&u, o, err);
	else {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is no kind of store that is known here", url);
		dr_err_hint(err, "dr-stores(7) lists the kinds of store");
	}
	dr_url_wipe(&u);
	return s;
}

static struct dr_store *
open_dir(const char *path, const struct dr_store_opts *o, struct dr_err *err)
{
	if (*path == '\0') {
		dr_err_set(err, DR_EUSAGE, "a store cannot have an empty name");
		return NULL;
	}
	if (o->lock.mode != DR_LOCK_NONE || o->lock.hold ||
	    o->storage_class != NULL || o->sse != NULL) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is a directory: it has no locks, storage classes "
		    "or encryption of its own",
		    path);
		return NULL;
	}
	return dr_store_dir(path, err);
}

struct dr_store *
dr_store_open(const char *url, const struct dr_store_opts *o,
    struct dr_err *err)
{
	static const struct dr_store_opts none;
	struct dr_store *s;

	if (o == NULL)
		o = &none;
	if (strncmp(url, "file:", 5) == 0)
		s = open_dir(url + 5, o, err);
	else if (strstr(url, "://") != NULL)
		s = open_url(url, o, err);
	else
		s = open_dir(url, o, err);
	if (s != NULL)
		s->opts = o;
	return s;
}

void
dr_store_free(struct dr_store *s)
{
	char *url;

	if (s == NULL || atomic_fetch_sub(&s->blobs, 1) > 0)
		return;
	url = s->url;
	s->ops->free(s);
	free(url);
}

static void
blob_freed(void *arg)
{
	dr_store_free(arg);
}

/* A blob keeps its store; over HTTP it is read ahead of its readers. */
static struct dr_blob *
keeps(struct dr_store *s, struct dr_blob *blob, struct dr_err *err)
{
	struct dr_blob *ahead;

	if (blob == NULL)
		return NULL;
	atomic_fetch_add(&s->blobs, 1);
	blob->freed = blob_freed;
	blob->freed_arg = s;
	if (s->ops->put_begin == NULL)
		return blob;
	if ((ahead = dr_blob_ahead(blob, err)) == NULL)
		dr_blob_free(blob);
	return ahead;
}

const char *
dr_store_url(const struct dr_store *s)
{
	return s->url;
}

void
dr_store_hurry(struct dr_store *s, uint64_t ms)
{
	if (s->ops->hurry != NULL)
		s->ops->hurry(s, ms);
}

const char *
dr_store_region(const struct dr_store *s)
{
	return s->ops->region == NULL ? NULL : s->ops->region(s);
}

int
dr_store_room(struct dr_store *s, uint64_t *size, uint64_t *free)
{
	return s->ops->room == NULL ? 0 : s->ops->room(s, size, free);
}

struct dr_sink *
dr_store_put(struct dr_store *s, const char *name, struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return NULL;
	return s->ops->put(s, name, err);
}

enum dr_put_result
dr_store_put_small(struct dr_store *s, const char *name, const void *data,
    size_t len, bool *lost, struct dr_err *err)
{
	struct dr_small small = { .store = s,
		.name = name,
		.data = data,
		.len = len };

	if (lost != NULL)
		*lost = false;
	if (dr_store_puts(&small, 1, 0, 0, err) == -1)
		return DR_PUT_FAILED;
	if (lost != NULL)
		*lost = small.lost;
	if (small.result != DR_PUT_OK)
		*err = small.err;
	/* Callers of directories ask errno. */
	errno = small.result == DR_PUT_EXISTS ? EEXIST : 0;
	return small.result;
}

/* Does it work in a thread of its own? */
static bool
threaded(const struct dr_small *p)
{
	return p->store->ops->put_begin != NULL &&
	       p->store->ops->put_small != NULL;
}

/*
 * Begin it; where the kind of store cannot, or where nothing else goes on that
 * a thread would be needed for, do it.
 */
static void
begin(struct dr_small *p, bool alone)
{
	const struct dr_store_ops *ops = p->store->ops;

	dr_err_clear(&p->err);
	p->ended = p->lost = false;
	p->result = DR_PUT_FAILED;
	if (check_name(p->name, &p->err) == -1)
		p->ended = true;
	else if (p->before != NULL && ops->put_before != NULL) {
		p->result = ops->put_before(p, &p->err);
		p->ended = true;
	} else if (p->before != NULL && p->before(p->arg, &p->err) == -1)
		p->ended = true;
	else if (ops->put_begin != NULL && !(alone && threaded(p)))
		p->ended = ops->put_begin(p, &p->err) == -1;
	else {
		p->result = ops->put_small(p->store, p->name, p->data, p->len,
		    &p->lost, &p->err);
		p->ended = true;
	}
}

/*
 * How many are there; *LEFT is how many have not ended; *MS is set lower
 * where one of them will not wake us.
 */
static size_t
look(struct dr_small *v, size_t n, size_t *left, uint64_t *ms)
{
	size_t done = 0;

	*left = 0;
	for (size_t i = 0; i < n; i++) {
		if (!v[i].ended)
			v[i].store->ops->put_look(&v[i]);
		if (!v[i].ended) {
			++*left;
			if (threaded(&v[i]))
				*ms = THREAD_MS;
		} else if (v[i].result != DR_PUT_FAILED)
			done++;
	}
	return done;
}

int
dr_store_puts(struct dr_small *v, size_t n, size_t require, uint64_t grace_ms,
    struct dr_err *err)
{
	int64_t until = -1, now;
	size_t left, done;
	uint64_t ms, most;
	int rc = 0;

	if (require == 0 || require > n)
		require = n;
	/* Those that go on by themselves first: the others wait in begin. */
	for (size_t i = 0; i < n; i++)
		if (v[i].store->ops->put_begin != NULL)
			begin(&v[i], n == 1);
	for (size_t i = 0; i < n; i++)
		if (v[i].store->ops->put_begin == NULL)
			begin(&v[i], n == 1);
	for (;;) {
		most = 1000;
		done = look(v, n, &left, &most);
		if (left == 0)
			break;
		now = dr_monotonic();
		if (until == -1 && done >= require)
			until = now + (int64_t)grace_ms * 1000;
		if (until != -1 && now >= until)
			break;
		ms = until == -1 ? most : (uint64_t)(until - now + 999) / 1000;
		if (ms > most)
			ms = most;
		if ((rc = dr_http_turn(ms, err)) == -1)
			break;
	}
	for (size_t i = 0; i < n; i++) {
		if (v[i].ended)
			continue;
		v[i].store->ops->put_cancel(&v[i]);
		v[i].ended = v[i].lost = true;
		v[i].result = DR_PUT_FAILED;
		dr_err_set(&v[i].err, DR_ERETRY,
		    "\"%s\" was not stored in time", v[i].name);
	}
	return rc;
}

int
dr_store_stat(struct dr_store *s, const char *name, struct dr_object *obj,
    struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return -1;
	return s->ops->stat(s, name, obj, err);
}

struct dr_blob *
dr_store_get(struct dr_store *s, const char *name, struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return NULL;
	return keeps(s, s->ops->get(s, name, err), err);
}

int
dr_store_get_small(struct dr_store *s, const char *name, size_t max, char **out,
    size_t *len, struct dr_err *err)
{
	struct dr_object obj;
	struct dr_blob *blob;
	char *data;
	int rc;

	if (check_name(name, err) == -1)
		return -1;
	if (s->ops->get_small != NULL)
		return s->ops->get_small(s, name, max, out, len, err);
	if ((rc = dr_store_stat(s, name, &obj, err)) != 1)
		return rc;
	if ((blob = dr_store_get(s, name, err)) == NULL)
		return -1;
	if (blob->size > max) {
		dr_err_set(err, DR_EDATA, "\"%s\" is larger than %zu bytes",
		    name, max);
		goto fail;
	}
	if ((data = malloc((size_t)blob->size + 1)) == NULL) {
		dr_err_sys(err, "cannot read \"%s\"", name);
		goto fail;
	}
	if (blob->size > 0 &&
	    dr_blob_pread(blob, data, (size_t)blob->size, 0, err) == -1) {
		free(data);
		goto fail;
	}
	data[blob->size] = '\0';
	*out = data;
	*len = (size_t)blob->size;
	dr_blob_free(blob);
	return 1;

fail:
	dr_blob_free(blob);
	return -1;
}

int
dr_store_list(struct dr_store *s, const char *prefix, const char *after,
    int (*fn)(void *, const struct dr_object *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	assert(prefix_ok(prefix));
	return s->ops->list(s, prefix, after, fn, arg, err);
}

bool
dr_store_scans(const struct dr_store *s)
{
	return s->ops->scans;
}

int
dr_store_dirs(struct dr_store *s, const char *prefix,
    int (*fn)(void *, const char *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	assert(prefix_ok(prefix));
	return s->ops->dirs(s, prefix, fn, arg, err);
}

int
dr_store_versions(struct dr_store *s, const char *name,
    int (*fn)(void *, const struct dr_version *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return -1;
	return s->ops->versions == NULL
	           ? 0
	           : s->ops->versions(s, name, fn, arg, err);
}

struct dr_blob *
dr_store_get_version(struct dr_store *s, const char *name, const char *id,
    struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return NULL;
	if (s->ops->get_version == NULL) {
		dr_err_set(err, DR_EFAIL, "\"%s\" keeps no versions", s->url);
		return NULL;
	}
	return keeps(s, s->ops->get_version(s, name, id, err), err);
}

int
dr_store_locked(struct dr_store *s, const char *name, struct dr_lock *lock,
    struct dr_err *err)
{
	memset(lock, 0, sizeof(*lock));
	if (check_name(name, err) == -1)
		return -1;
	return s->ops->locked == NULL ? 0 : s->ops->locked(s, name, lock, err);
}

int
dr_store_delete(struct dr_store *s, const char *name, struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return -1;
	return s->ops->del(s, name, err);
}

int
dr_store_uploads(struct dr_store *s, const char *prefix,
    int (*fn)(void *, const struct dr_upload *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	assert(prefix_ok(prefix));
	return s->ops->uploads == NULL
	           ? 0
	           : s->ops->uploads(s, prefix, fn, arg, err);
}

bool
dr_store_has_dirs(const struct dr_store *s)
{
	return s->ops->rmdir != NULL;
}

int
dr_store_rmdir(struct dr_store *s, const char *name, struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return -1;
	return s->ops->rmdir == NULL ? 0 : s->ops->rmdir(s, name, err);
}

int
dr_store_upload_abort(struct dr_store *s, const char *name, const char *id,
    struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return -1;
	return s->ops->upload_abort == NULL
	           ? 0
	           : s->ops->upload_abort(s, name, id, err);
}

int
dr_store_try_replace(struct dr_store *s, const char *name, bool parts,
    const void *data, size_t len, struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return -1;
	return s->ops->try_replace(s, name, parts, data, len, err);
}
