#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "store/azure.h"

#define PAGE         "5000"
#define PAGE_BYTES   (32U << 20)
#define VERSIONS_MAX 10000

/* A list of what lies under PREFIX, page by page. */
struct scan {
	struct dr_azure *a;
	const char *prefix; /* from the store's root */
	const char *delimiter, *include, *page;
	int (*fn)(void *, const char *name, const struct dr_az_entry *,
	    struct dr_err *);
	void *arg;
	size_t strip; /* what our names begin with, and the store's do not */
};

static int
entry(void *arg, const struct dr_az_entry *e, struct dr_err *err)
{
	struct scan *s = arg;
	const char *p = s->a->conf.prefix;

	/* The service filters; a name of less than that would be its error. */
	if (s->strip > 0 && (strlen(e->name) < s->strip ||
	                        strncmp(e->name, p, s->strip - 1) != 0 ||
	                        e->name[s->strip - 1] != '/'))
		return 0;
	return s->fn(s->arg, e->name + s->strip, e, err);
}

static int
page(struct scan *s, const char *prefix, struct dr_buf *marker,
    struct dr_err *err)
{
	struct dr_az_req r = { 0 };
	int rc = -1;

	if (dr_az_req(&r, s->a, "GET", "list of", NULL, err) == -1 ||
	    dr_az_query(&r.call, "restype", "container", err) == -1 ||
	    dr_az_query(&r.call, "comp", "list", err) == -1 ||
	    dr_az_query(&r.call, "maxresults", s->page, err) == -1 ||
	    (*prefix != '\0' &&
	        dr_az_query(&r.call, "prefix", prefix, err) == -1) ||
	    (s->delimiter != NULL &&
	        dr_az_query(&r.call, "delimiter", s->delimiter, err) == -1) ||
	    (s->include != NULL &&
	        dr_az_query(&r.call, "include", s->include, err) == -1) ||
	    (marker->len > 0 &&
	        dr_az_query(&r.call, "marker", marker->data, err) == -1))
		goto out;
	r.http->reply_max = PAGE_BYTES;
	if (dr_az_do(&r, err) == -1)
		goto out;
	if (r.http->status == 200)
		rc = dr_az_parse_list(r.http->reply.len > 0 ? r.http->reply.data
		                                            : "",
		    r.http->reply.len, entry, s, marker, err);
	else
		dr_az_fail(&r, err);

out:
	dr_az_wipe(&r);
	return rc;
}

static int
scan(struct scan *s, struct dr_err *err)
{
	const char *ours = s->a->conf.prefix;
	struct dr_buf marker = { .max = 65536 };
	char *prefix = NULL, *last = NULL;
	int rc = -1;

	if (s->page == NULL)
		s->page = PAGE;
	s->strip = *ours == '\0' ? 0 : strlen(ours) + 1;
	prefix =
	    dr_fmt(err, "%s%s%s", ours, *ours == '\0' ? "" : "/", s->prefix);
	if (prefix == NULL)
		goto out;
	do {
		free(last);
		if ((last = strdup(marker.len > 0 ? marker.data : "")) ==
		    NULL) {
			dr_err_sys(err, "cannot list \"%s\"", s->a->conf.url);
			goto out;
		}
		if (page(s, prefix, &marker, err) == -1)
			goto out;
		if (marker.len > 0 && strcmp(last, marker.data) == 0) {
			dr_err_set(err, DR_EDATA,
			    "the list of \"%s\" goes in a circle",
			    s->a->conf.url);
			goto out;
		}
	} while (marker.len > 0);
	rc = 0;

out:
	free(last);
	free(prefix);
	dr_buf_free(&marker);
	return rc;
}

/* --- objects ------------------------------------------------------------------------ */

struct objects {
	const char *after;
	int (*fn)(void *, const struct dr_object *, struct dr_err *);
	void *arg;
};

static int
object(void *arg, const char *name, const struct dr_az_entry *e,
    struct dr_err *err)
{
	const struct objects *o = arg;
	struct dr_object obj = { name, e->size, e->mtime };

	if (e->prefix || e->folder || e->deleted ||
	    (o->after != NULL && strcmp(name, o->after) <= 0) ||
	    !dr_object_name_ok(name))
		return 0;
	return o->fn(o->arg, &obj, err);
}

int
dr_az_list(struct dr_store *store, const char *prefix, const char *after,
    int (*fn)(void *, const struct dr_object *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct objects o = { after, fn, arg };
	struct scan s = { .a = (struct dr_azure *)store,
		.prefix = prefix,
		.fn = object,
		.arg = &o };

	return scan(&s, err);
}

/* --- directories ----------------------------------------------------------------------- */

struct dirs {
	size_t strip;
	int (*fn)(void *, const char *, struct dr_err *);
	void *arg;
};

static int
dir(void *arg, const char *name, const struct dr_az_entry *e,
    struct dr_err *err)
{
	const struct dirs *d = arg;
	size_t len = strlen(name);
	char part[256];

	if (!e->prefix || len <= d->strip + 1 || name[len - 1] != '/')
		return 0;
	name += d->strip;
	len -= d->strip + 1;
	if (len >= sizeof(part) || memchr(name, '/', len) != NULL)
		return 0;
	memcpy(part, name, len);
	part[len] = '\0';
	return dr_object_name_ok(part) ? d->fn(d->arg, part, err) : 0;
}

int
dr_az_dirs(struct dr_store *store, const char *prefix,
    int (*fn)(void *, const char *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct dirs d = { strlen(prefix), fn, arg };
	struct scan s = { .a = (struct dr_azure *)store,
		.prefix = prefix,
		.delimiter = "/",
		.fn = dir,
		.arg = &d };

	return scan(&s, err);
}

/* --- one object ---------------------------------------------------------------------------- */

struct one {
	const char *name;
	struct dr_az_facts *f;
	bool found;
};

static int
one(void *arg, const char *name, const struct dr_az_entry *e,
    struct dr_err *err)
{
	struct one *o = arg;

	(void)err;
	if (strcmp(name, o->name) != 0 || e->prefix || e->folder || e->deleted)
		return 0;
	o->found = true;
	memset(o->f, 0, sizeof(*o->f));
	o->f->size = e->size;
	o->f->mtime = e->mtime;
	o->f->lock = e->lock;
	stpcpy(o->f->mark, e->mark);
	return 0;
}

int
dr_az_look_list(struct dr_azure *a, const char *name, struct dr_az_facts *f,
    struct dr_err *err)
{
	struct one o = { name, f, false };
	struct scan s = { .a = a,
		.prefix = name,
		.include = "immutabilitypolicy,legalhold,metadata",
		.page = "2",
		.fn = one,
		.arg = &o };

	return scan(&s, err) == -1 ? -1 : o.found;
}

/* --- versions -------------------------------------------------------------------------------- */

struct versions {
	const char *name;
	struct dr_version *v;
	size_t n;
};

static int
version(void *arg, const char *name, const struct dr_az_entry *e,
    struct dr_err *err)
{
	struct versions *l = arg;
	struct dr_version *v;
	char *id;

	/* Where the account keeps none, entries have no such id. */
	if (strcmp(name, l->name) != 0 || e->version == NULL || e->deleted ||
	    e->prefix)
		return 0;
	if (l->n == VERSIONS_MAX)
		return dr_err_set(err, DR_EFAIL,
		    "\"%s\" has more than %d versions", name, VERSIONS_MAX);
	if (l->n % 16 == 0) {
		v = realloc(l->v, (l->n + 16) * sizeof(*v));
		if (v == NULL)
			return dr_err_sys(err, "cannot list versions");
		l->v = v;
	}
	if ((id = strdup(e->version)) == NULL)
		return dr_err_sys(err, "cannot list versions");
	l->v[l->n++] = (struct dr_version){ .id = id,
		.size = e->size,
		.mtime = e->mtime,
		.latest = e->current };
	return 0;
}

/* Their ids are times. */
static int
newest_first(const void *a, const void *b)
{
	const struct dr_version *x = a, *y = b;

	return strcmp(y->id, x->id);
}

int
dr_az_versions(struct dr_store *store, const char *name,
    int (*fn)(void *, const struct dr_version *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct versions l = { .name = name };
	struct scan s = { .a = (struct dr_azure *)store,
		.prefix = name,
		.include = "versions",
		.fn = version,
		.arg = &l };
	int rc = scan(&s, err);

	if (rc == 0 && l.n > 0)
		qsort(l.v, l.n, sizeof(*l.v), newest_first);
	for (size_t i = 0; i < l.n; i++) {
		if (rc == 0)
			rc = fn(arg, &l.v[i], err);
		free((char *)(uintptr_t)l.v[i].id);
	}
	free(l.v);
	return rc;
}

/* --- what was begun ------------------------------------------------------------------------------ */

int
dr_az_blocks(struct dr_azure *a, struct dr_http *http, const char *name,
    struct dr_az_blocks *b, struct dr_err *err)
{
	struct dr_az_req r = { 0 };
	int rc = -1;

	if (dr_az_req(&r, a, "GET", "list of the blocks of", name, err) == -1 ||
	    dr_az_query(&r.call, "comp", "blocklist", err) == -1 ||
	    dr_az_query(&r.call, "blocklisttype", "all", err) == -1)
		goto out;
	r.http->reply_max = PAGE_BYTES;
	dr_az_ready(&r);
	r.http->cleanup = http == a->brief;
	if (dr_http_do(http, r.http, err) == -1)
		goto out;
	if (r.http->status == 200) {
		rc = dr_az_parse_blocks(r.http->reply.len > 0
		                            ? r.http->reply.data
		                            : "",
		    r.http->reply.len, b, err);
		if (rc == 0)
			rc = b->committed == 0 && b->pending > 0;
	} else if (dr_az_req_verdict(&r) == DR_AZ_ABSENT)
		rc = 0;
	else
		dr_az_fail(&r, err);

out:
	dr_az_wipe(&r);
	return rc;
}

struct uploads {
	struct dr_azure *a;
	int (*fn)(void *, const struct dr_upload *, struct dr_err *);
	void *arg;
};

static int
begun(void *arg, const char *name, const struct dr_az_entry *e,
    struct dr_err *err)
{
	struct uploads *u = arg;
	struct dr_az_blocks b;
	char id[DR_AZ_MARK_LEN] = "blocks";
	struct dr_upload up = { .name = name, .id = id };
	int rc;

	if (e->prefix || e->folder || e->typed || e->size > 0 ||
	    !dr_object_name_ok(name))
		return 0;
	if ((rc = dr_az_blocks(u->a, u->a->http, name, &b, err)) != 1)
		return rc;
	/* Of blocks that are not ours nobody knows how old they are. */
	up.started = dr_now();
	if (b.marks > 0) {
		dr_az_mark_hex(&b.mark, id);
		if (b.foreign == 0)
			up.started = b.mark.started;
	}
	return u->fn(u->arg, &up, err);
}

int
dr_az_uploads(struct dr_store *store, const char *prefix,
    int (*fn)(void *, const struct dr_upload *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct uploads u = { (struct dr_azure *)store, fn, arg };
	struct scan s = { .a = u.a,
		.prefix = prefix,
		.include = "uncommittedblobs",
		.fn = begun,
		.arg = &u };

	return scan(&s, err);
}

/*
 * Delete Blob takes the blocks of a name that no object has, too.  An object
 * that appears at the last moment is younger than any condition here.
 */
int
dr_az_drop_blocks(struct dr_azure *a, struct dr_http *http, const char *name,
    struct dr_err *err)
{
	struct dr_az_req r = { 0 };
	enum dr_az_verdict v;
	int rc = -1;

	if (dr_az_req(&r, a, "DELETE", "deletion of the blocks of", name,
	        err) == -1 ||
	    dr_az_head(&r.call, "if-unmodified-since",
	        "Sat, 01 Jan 2000 00:00:00 GMT", err) == -1)
		goto out;
	dr_az_ready(&r);
	r.http->cleanup = http == a->brief;
	if (dr_http_do(http, r.http, err) == -1)
		goto out;
	v = dr_az_req_verdict(&r);
	if (r.http->status == 202)
		rc = 1;
	else if (v == DR_AZ_ABSENT || v == DR_AZ_CHANGED)
		rc = 0;
	else
		dr_az_fail(&r, err);

out:
	dr_az_wipe(&r);
	return rc;
}

int
dr_az_upload_abort(struct dr_store *store, const char *name, const char *id,
    struct dr_err *err)
{
	struct dr_azure *a = (struct dr_azure *)store;
	char now[DR_AZ_MARK_LEN] = "blocks";
	struct dr_az_blocks b;
	int rc = dr_az_blocks(a, a->http, name, &b, err);

	if (rc != 1)
		return rc;
	/* Another one has begun since it was looked at. */
	if (b.marks > 0)
		dr_az_mark_hex(&b.mark, now);
	if (strcmp(now, id) != 0)
		return 0;
	return dr_az_drop_blocks(a, a->http, name, err);
}
