#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/s3.h"

#define PAGE_MAX     (8U << 20)
#define VERSIONS_MAX 100000U

/* How a list is paged: by a token, or by markers. */
enum paging { BY_TOKEN, BY_VERSION, BY_UPLOAD };

static int
page(struct dr_s3 *s3, enum paging by, const char *prefix,
    const char *delimiter, const char *after, bool more,
    struct dr_s3_next *next,
    int (*fn)(void *, const struct dr_s3_entry *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	const char *const *at = s3->dialect->version_marker;
	const char *key = by == BY_VERSION ? at[0] : "key-marker";
	const char *id = by == BY_VERSION ? at[1] : "upload-id-marker";
	const char *what = by == BY_TOKEN     ? "list-type"
	                   : by == BY_VERSION ? "versions"
	                                      : "uploads";
	struct dr_s3_call c;
	int rc = -1;

	if (dr_s3_call(&c, s3, "GET", NULL, "listing \"%s\"", err) == -1 ||
	    dr_s3_query(&c, what, by == BY_TOKEN ? "2" : "", err) == -1 ||
	    dr_s3_query(&c, "prefix", prefix, err) == -1)
		goto out;
	/* In the other lists radosgw encodes keys and does not say so. */
	if (by == BY_TOKEN &&
	    dr_s3_query(&c, "encoding-type", "url", err) == -1)
		goto out;
	if (delimiter != NULL &&
	    dr_s3_query(&c, "delimiter", delimiter, err) == -1)
		goto out;
	if (by == BY_TOKEN && more &&
	    dr_s3_query(&c, "continuation-token", next->token.data, err) == -1)
		goto out;
	if (by == BY_TOKEN && !more && after != NULL &&
	    dr_s3_query(&c, "start-after", after, err) == -1)
		goto out;
	if (by != BY_TOKEN && more &&
	    dr_s3_query(&c, key, next->key.data, err) == -1)
		goto out;
	if (by != BY_TOKEN && more && next->id.len > 0 &&
	    dr_s3_query(&c, id, next->id.data, err) == -1)
		goto out;
	c.own.reply_max = PAGE_MAX;
	/* After a stop signal, too, the parts of an upload are looked for. */
	c.own.cleanup = by == BY_UPLOAD;
	if (dr_s3_do(&c, err) == -1)
		goto out;
	if (c.req->status != 200) {
		dr_s3_refused(&c, err);
		goto out;
	}
	rc = dr_s3_page(c.own.reply.data, c.own.reply.len, fn, arg, next, err);

out:
	dr_s3_wipe(&c);
	return rc;
}

struct sought {
	const char *key;
	bool found;
};

static int
on_sought(void *arg, const struct dr_s3_entry *e, struct dr_err *err)
{
	struct sought *s = arg;

	(void)err;
	if (strcmp(e->key, s->key) == 0)
		s->found = true;
	return 0;
}

/* Of the names that begin with NAME it is the first. */
int
dr_s3_listed(struct dr_s3 *s3, const char *name, struct dr_err *err)
{
	struct dr_s3_next next = { 0 };
	struct sought s = { 0 };
	char *key;
	int rc;

	if ((key = dr_fmt(err, "%s%s", s3->prefix, name)) == NULL)
		return -1;
	s.key = key;
	rc = page(s3, BY_TOKEN, key, NULL, NULL, false, &next, on_sought, &s,
	    err);
	dr_s3_next_wipe(&next);
	free(key);
	return rc == -1 ? -1 : s.found;
}

/* All pages; PREFIX without the store's. */
static int
pages(struct dr_s3 *s3, enum paging by, const char *prefix,
    const char *delimiter, const char *after,
    int (*fn)(void *, const struct dr_s3_entry *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct dr_s3_next next = { 0 };
	char *full = NULL, *start = NULL, *before = NULL;
	bool more = false;
	int rc = -1;

	if ((full = dr_fmt(err, "%s%s", s3->prefix, prefix)) == NULL ||
	    (after != NULL &&
	        (start = dr_fmt(err, "%s%s", s3->prefix, after)) == NULL))
		goto out;
	for (;;) {
		const struct dr_buf *at =
		    by == BY_TOKEN ? &next.token : &next.key;

		if (page(s3, by, full, delimiter, start, more, &next, fn, arg,
		        err) == -1)
			goto out;
		if (!next.more)
			break;
		/* One that stays where it is would never end. */
		if (at->len == 0 || (before != NULL && next.id.len == 0 &&
		                        strcmp(before, at->data) == 0)) {
			dr_err_set(err, DR_EDATA,
			    "listing \"%s\" failed: it does not go on where a "
			    "page ends",
			    s3->store.url);
			goto out;
		}
		free(before);
		if ((before = dr_fmt(err, "%s", at->data)) == NULL)
			goto out;
		more = true;
	}
	rc = 0;

out:
	dr_s3_next_wipe(&next);
	free(before);
	free(full);
	free(start);
	return rc;
}

/* The name of an object of ours, or NULL. */
static const char *
ours(const struct dr_s3 *s3, const char *key)
{
	size_t n = strlen(s3->prefix);

	if (strncmp(key, s3->prefix, n) != 0 || !dr_object_name_ok(key + n))
		return NULL;
	return key + n;
}

struct list {
	struct dr_s3 *s3;
	const char *prefix, *after;
	int (*object)(void *, const struct dr_object *, struct dr_err *);
	int (*dir)(void *, const char *, struct dr_err *);
	int (*upload)(void *, const struct dr_upload *, struct dr_err *);
	void *arg;
};

static int
on_object(void *arg, const struct dr_s3_entry *e, struct dr_err *err)
{
	struct list *l = arg;
	const char *name = ours(l->s3, e->key);
	struct dr_object obj = { name, e->size, e->time };

	if (e->kind != DR_S3_OBJECT || name == NULL ||
	    strncmp(name, l->prefix, strlen(l->prefix)) != 0 ||
	    (l->after != NULL && strcmp(name, l->after) <= 0))
		return 0;
	return l->object(l->arg, &obj, err);
}

int
dr_s3_list(struct dr_store *store, const char *prefix, const char *after,
    int (*fn)(void *, const struct dr_object *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct list l = { .s3 = (struct dr_s3 *)store,
		.prefix = prefix,
		.after = after,
		.object = fn,
		.arg = arg };

	return pages(l.s3, BY_TOKEN, prefix, NULL, after, on_object, &l, err);
}

/* "STORE/PREFIX/NAME/" */
static int
on_dir(void *arg, const struct dr_s3_entry *e, struct dr_err *err)
{
	struct list *l = arg;
	size_t skip = strlen(l->s3->prefix) + strlen(l->prefix);
	char name[256];
	size_t len;

	if (e->kind != DR_S3_PREFIX || strlen(e->key) <= skip)
		return 0;
	len = strlen(e->key + skip);
	if (len < 2 || len > sizeof(name) || e->key[skip + len - 1] != '/')
		return 0;
	memcpy(name, e->key + skip, len - 1);
	name[len - 1] = '\0';
	return dr_object_name_ok(name) ? l->dir(l->arg, name, err) : 0;
}

int
dr_s3_dirs(struct dr_store *store, const char *prefix,
    int (*fn)(void *, const char *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct list l = { .s3 = (struct dr_s3 *)store,
		.prefix = prefix,
		.dir = fn,
		.arg = arg };

	return pages(l.s3, BY_TOKEN, prefix, "/", NULL, on_dir, &l, err);
}

static int
on_upload(void *arg, const struct dr_s3_entry *e, struct dr_err *err)
{
	struct list *l = arg;
	const char *name = ours(l->s3, e->key);
	struct dr_upload up = { name, e->id, e->time };

	if (e->kind != DR_S3_UPLOAD || name == NULL || e->id[0] == '\0' ||
	    strncmp(name, l->prefix, strlen(l->prefix)) != 0)
		return 0;
	return l->upload(l->arg, &up, err);
}

int
dr_s3_uploads(struct dr_store *store, const char *prefix,
    int (*fn)(void *, const struct dr_upload *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct list l = { .s3 = (struct dr_s3 *)store,
		.prefix = prefix,
		.upload = fn,
		.arg = arg };

	return pages(l.s3, BY_UPLOAD, prefix, NULL, NULL, on_upload, &l, err);
}

int
dr_s3_upload_abort(struct dr_store *store, const char *name, const char *id,
    struct dr_err *err)
{
	struct dr_s3_call c;
	int rc = -1;

	if (dr_s3_call(&c, (struct dr_s3 *)store, "DELETE", name,
	        "removing the parts of \"%s\"", err) == -1 ||
	    dr_s3_query(&c, "uploadId", id, err) == -1)
		goto out;
	c.own.cleanup = true;
	if (dr_s3_do(&c, err) == -1)
		goto out;
	if (c.req->status < 300)
		rc = 1;
	else if (c.req->status == 404 && !dr_s3_is(&c, "NoSuchBucket"))
		rc = 0;
	else
		dr_s3_refused(&c, err);

out:
	dr_s3_wipe(&c);
	return rc;
}

/* --- versions ---------------------------------------------------------------- */

struct versions {
	struct dr_s3 *s3;
	const char *name;
	struct dr_version *v; /* ids are owned */
	size_t n, cap;
};

static int
on_version(void *arg, const struct dr_s3_entry *e, struct dr_err *err)
{
	struct versions *l = arg;
	const char *name = ours(l->s3, e->key);
	struct dr_version *v;
	char *id;

	if ((e->kind != DR_S3_VERSION && e->kind != DR_S3_MARKER) ||
	    name == NULL || strcmp(name, l->name) != 0)
		return 0;
	if (l->n == VERSIONS_MAX)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" has more than %u versions", l->name, VERSIONS_MAX);
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 8 : 2 * l->cap;

		if ((v = reallocarray(l->v, cap, sizeof(*v))) == NULL)
			return dr_err_sys(err, "cannot list versions");
		l->v = v;
		l->cap = cap;
	}
	if ((id = dr_fmt(err, "%s", e->id)) == NULL)
		return -1;
	l->v[l->n++] = (struct dr_version){ id, e->size, e->time, e->latest,
		e->kind == DR_S3_MARKER };
	return 0;
}

/* Markers may be listed apart from versions. */
static int
newest_first(const void *a, const void *b)
{
	const struct dr_version *x = a, *y = b;

	if (x->latest != y->latest)
		return x->latest ? -1 : 1;
	return (x->mtime < y->mtime) - (x->mtime > y->mtime);
}

int
dr_s3_versions(struct dr_store *store, const char *name,
    int (*fn)(void *, const struct dr_version *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct versions l = { .s3 = (struct dr_s3 *)store, .name = name };
	int rc;

	rc = pages(l.s3, BY_VERSION, name, NULL, NULL, on_version, &l, err);
	/* A bucket that keeps none lists what it has as "null". */
	if (l.n == 1 && strcmp(l.v[0].id, "null") == 0 && l.v[0].latest &&
	    !l.v[0].marker) {
		free((void *)(uintptr_t)l.v[0].id);
		l.n = 0;
	}
	if (l.n > 1)
		qsort(l.v, l.n, sizeof(*l.v), newest_first);
	for (size_t i = 0; i < l.n; i++) {
		if (rc == 0)
			rc = fn(arg, &l.v[i], err);
		free((void *)(uintptr_t)l.v[i].id);
	}
	free(l.v);
	return rc;
}
