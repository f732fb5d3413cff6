#include "flow/state.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/num.h"
#include "flow/jsonfile.h"

struct dr_state {
	char *dir; /* STATE/sets/SET */
	int lock;
};

/* Write JSON, whose reference is taken, to PATH.  PATH NULL: it failed. */
static int
put_json(char *path, json_t *json, struct dr_err *err)
{
	int rc = path == NULL ? -1 : dr_jsonfile_put(path, json, err);

	free(path);
	json_decref(json);
	return rc;
}

/* Copy the string KEY of OBJECT into OUT; false unless it fits and is full. */
static bool
get_text(const json_t *object, const char *key, char *out, size_t size)
{
	const char *s = json_string_value(json_object_get(object, key));

	if (s == NULL || strlen(s) != size - 1)
		return false;
	memcpy(out, s, size);
	return true;
}

bool
dr_head_get(const json_t *object, struct dr_head *h)
{
	const json_t *seq = json_object_get(object, "seq");

	if (!json_is_integer(seq) || json_integer_value(seq) <= 0)
		return false;
	h->seq = (uint64_t)json_integer_value(seq);
	return get_text(object, "id", h->id, sizeof(h->id)) &&
	       dr_id_ok(h->id) &&
	       get_text(object, "sha256", h->sha256, sizeof(h->sha256));
}

json_t *
dr_head_json(const struct dr_head *h)
{
	return json_pack("{s:s, s:I, s:s}", "id", h->id, "seq",
	    (json_int_t)h->seq, "sha256", h->sha256);
}

static int
write_public(const struct dr_sign_key *key, const char *path,
    struct dr_err *err)
{
	struct dr_buf text = { .max = 4096 };
	char *pub = NULL;
	int rc = -1;

	if ((pub = dr_fmt(err, "%s.pub", path)) != NULL &&
	    (access(pub, F_OK) == 0 ||
	        (dr_sign_key_public(key, &text, err) == 0 &&
	            dr_file_put(pub, 0644, DR_FILE_REPLACE, text.data, text.len,
	                err) == 0)))
		rc = 0;
	dr_buf_free(&text);
	free(pub);
	return rc;
}

struct dr_sign_key *
dr_state_sign_key(const char *state, const char *file, bool *made,
    struct dr_err *err)
{
	struct dr_sign_key *key = NULL;
	char *path = NULL, *lockpath = NULL;
	int lock = -1;

	*made = false;
	if (file != NULL)
		return dr_sign_key_load(file, NULL, err);
	if ((path = dr_fmt(err, "%s/sign.key", state)) == NULL ||
	    (lockpath = dr_fmt(err, "%s/sign.lock", state)) == NULL ||
	    dr_mkdirs(state, 0755, err) == -1 ||
	    (lock = dr_lock(lockpath, UINT64_MAX, err)) == -1)
		goto out;
	if (access(path, F_OK) == 0)
		key = dr_sign_key_load(path, NULL, err);
	else if (errno != ENOENT)
		dr_err_sys(err, "cannot open \"%s\"", path);
	else if ((key = dr_sign_key_make(path, err)) != NULL)
		*made = true;
	if (key != NULL && write_public(key, path, err) == -1) {
		dr_sign_key_free(key);
		key = NULL;
	}

out:
	if (lock != -1)
		close(lock);
	free(lockpath);
	free(path);
	return key;
}

struct dr_state *
dr_state_lock(const char *state, const char *set, struct dr_err *err)
{
	struct dr_state *s;
	char *path = NULL;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		dr_err_sys(err, "cannot open the state of \"%s\"", set);
		return NULL;
	}
	s->lock = -1;
	if ((s->dir = dr_fmt(err, "%s/sets/%s", state, set)) == NULL ||
	    (path = dr_fmt(err, "%s/lock", s->dir)) == NULL ||
	    dr_mkdirs(s->dir, 0755, err) == -1 ||
	    (s->lock = dr_lock(path, UINT64_MAX, err)) == -1) {
		dr_state_free(s);
		s = NULL;
	}
	free(path);
	return s;
}

void
dr_state_free(struct dr_state *s)
{
	if (s == NULL)
		return;
	if (s->lock != -1)
		close(s->lock);
	free(s->dir);
	free(s);
}

int
dr_state_head(struct dr_state *s, const char *signer, struct dr_head *h,
    struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/head-%s.json", s->dir, signer);
	json_t *json = NULL;
	int rc = -1;

	if (path != NULL && (rc = dr_jsonfile_get(path, &json, err)) == 1) {
		if (!dr_head_get(json, h))
			rc = dr_err_set(err, DR_EFAIL, "\"%s\" is damaged",
			    path);
		json_decref(json);
	}
	free(path);
	return rc;
}

int
dr_state_set_head(struct dr_state *s, const char *signer,
    const struct dr_head *h, struct dr_err *err)
{
	return put_json(dr_fmt(err, "%s/head-%s.json", s->dir, signer),
	    dr_head_json(h), err);
}

int
dr_pending_add(struct dr_pending *p, const char *url, struct dr_err *err)
{
	struct dr_pending_store *st = &p->store[p->n];

	if (p->n == DR_PUSH_STORES)
		return dr_err_set(err, DR_EUSAGE, "more than %d stores",
		    DR_PUSH_STORES);
	if ((st->url = dr_fmt(err, "%s", url)) == NULL)
		return -1;
	st->done = st->lost = false;
	p->n++;
	return 0;
}

struct dr_pending_store *
dr_pending_store(struct dr_pending *p, const char *url)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (strcmp(p->store[i].url, url) == 0)
			return &p->store[i];
	return NULL;
}

void
dr_pending_wipe(struct dr_pending *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		free(p->store[i].url);
	free(p->object);
	free(p->manifest);
	free(p->minisig);
	memset(p, 0, sizeof(*p));
}

static json_t *
pending_json(const struct dr_pending *p)
{
	json_t *json = dr_head_json(&p->head), *stores = json_array();
	size_t i;

	for (i = 0; i < p->n; i++)
		if (json_array_append_new(stores,
		        json_pack("{s:s, s:b, s:b, s:I}", "url",
		            p->store[i].url, "done", p->store[i].done, "lost",
		            p->store[i].lost, "doubt",
		            (json_int_t)p->store[i].doubt)) == -1)
			goto fail;
	if (json_object_set(json, "stores", stores) == -1 ||
	    json_object_set_new(json, "signer", json_string(p->signer)) == -1 ||
	    json_object_set_new(json, "body", json_string(p->body)) == -1 ||
	    json_object_set_new(json, "body_time",
	        json_integer(p->body_time)) == -1 ||
	    json_object_set_new(json, "object", json_string(p->object)) == -1 ||
	    json_object_set_new(json, "manifest", json_string(p->manifest)) ==
	        -1 ||
	    json_object_set_new(json, "minisig", json_string(p->minisig)) == -1)
		goto fail;
	json_decref(stores);
	return json;

fail:
	json_decref(stores);
	json_decref(json);
	return NULL;
}

static int
pending_parse(const json_t *json, const char *path, struct dr_pending *p,
    struct dr_err *err)
{
	const json_t *stores = json_object_get(json, "stores"), *entry;
	size_t i;

	memset(p, 0, sizeof(*p));
	if (!dr_head_get(json, &p->head) ||
	    !get_text(json, "signer", p->signer, sizeof(p->signer)) ||
	    !get_text(json, "body", p->body, sizeof(p->body)))
		goto damaged;
	p->body_time = json_integer_value(json_object_get(json, "body_time"));
	json_array_foreach(stores, i, entry) {
		const char *url =
		    json_string_value(json_object_get(entry, "url"));

		if (url == NULL)
			goto damaged;
		if (dr_pending_add(p, url, err) == -1)
			goto fail;
		p->store[i].done = json_is_true(json_object_get(entry, "done"));
		p->store[i].lost = json_is_true(json_object_get(entry, "lost"));
		p->store[i].doubt = (unsigned)json_integer_value(
		    json_object_get(entry, "doubt"));
	}
	for (i = 0; i < 3; i++) {
		static const char *const keys[] = { "object", "manifest",
			"minisig" };
		char **const to[] = { &p->object, &p->manifest, &p->minisig };
		const char *s =
		    json_string_value(json_object_get(json, keys[i]));

		if (s == NULL)
			goto damaged;
		if ((*to[i] = dr_fmt(err, "%s", s)) == NULL)
			goto fail;
	}
	return 0;

damaged:
	dr_err_set(err, DR_EFAIL, "\"%s\" is damaged", path);
fail:
	dr_pending_wipe(p);
	return -1;
}

int
dr_state_save(struct dr_state *s, const struct dr_pending *p,
    struct dr_err *err)
{
	return put_json(dr_fmt(err, "%s/pending-%s.json", s->dir, p->head.id),
	    pending_json(p), err);
}

int
dr_state_settle(struct dr_state *s, const struct dr_pending *p,
    struct dr_err *err)
{
	char *path = NULL;
	int rc = -1;

	if (put_json(dr_fmt(err, "%s/done-%s.json", s->dir, p->head.id),
	        pending_json(p), err) == -1 ||
	    (path = dr_fmt(err, "%s/pending-%s.json", s->dir, p->head.id)) ==
	        NULL)
		goto out;
	if (unlink(path) == -1 && errno != ENOENT) {
		dr_err_sys(err, "cannot remove \"%s\"", path);
		goto out;
	}
	rc = dr_sync_dir(s->dir, err);

out:
	free(path);
	return rc;
}

static int
by_seq(const void *a, const void *b)
{
	const struct dr_pending *x = a, *y = b;

	if (x->head.seq != y->head.seq)
		return x->head.seq < y->head.seq ? -1 : 1;
	return strcmp(x->signer, y->signer);
}

/* Read DIR/NAME into one more of *V. */
static int
pending_more(const char *dir, const char *name, struct dr_pending **v,
    size_t *n, struct dr_err *err)
{
	struct dr_pending *more;
	json_t *json = NULL;
	char *path;
	int rc;

	if ((path = dr_fmt(err, "%s/%s", dir, name)) == NULL)
		return -1;
	if ((more = reallocarray(*v, *n + 1, sizeof(*more))) == NULL) {
		free(path);
		return dr_err_sys(err, "cannot read \"%s\"", dir);
	}
	*v = more;
	if ((rc = dr_jsonfile_get(path, &json, err)) == 1 &&
	    (rc = pending_parse(json, path, &more[*n], err)) == 0)
		(*n)++;
	json_decref(json);
	free(path);
	return rc == -1 ? -1 : 0;
}

/* Who is killed leaves a temporary; under the lock it is nobody else's. */
static void
sweep(const char *dir, const char *name)
{
	size_t len = strlen(name);
	struct dr_err ignored = { 0 };
	char *path;

	if (name[0] != '.' || len < 5 || strcmp(name + len - 4, ".tmp") != 0)
		return;
	if ((path = dr_fmt(&ignored, "%s/%s", dir, name)) != NULL)
		(void)unlink(path);
	free(path);
}

int
dr_state_pending(struct dr_state *s, struct dr_pending **v, size_t *n,
    struct dr_err *err)
{
	struct dirent *e;
	DIR *dir;
	int rc = -1;

	*v = NULL;
	*n = 0;
	if ((dir = opendir(s->dir)) == NULL)
		return dr_err_sys(err, "cannot read \"%s\"", s->dir);
	for (;;) {
		errno = 0;
		if ((e = readdir(dir)) == NULL)
			break;
		sweep(s->dir, e->d_name);
		if (strncmp(e->d_name, "pending-", 8) == 0 &&
		    pending_more(s->dir, e->d_name, v, n, err) == -1)
			goto out;
	}
	if (errno != 0) {
		dr_err_sys(err, "cannot read \"%s\"", s->dir);
		goto out;
	}
	if (*n > 0)
		qsort(*v, *n, sizeof(**v), by_seq);
	rc = 0;

out:
	closedir(dir);
	if (rc == -1) {
		while (*n > 0)
			dr_pending_wipe(&(*v)[--*n]);
		free(*v);
		*v = NULL;
	}
	return rc;
}

int
dr_state_record(const char *state, const char *set, const char *id,
    struct dr_pending *p, struct dr_err *err)
{
	static const char *const kinds[] = { "pending", "done" };
	json_t *json = NULL;
	char *path;
	int rc = 0;
	size_t i;

	for (i = 0; i < 2 && rc == 0; i++) {
		path = dr_fmt(err, "%s/sets/%s/%s-%s.json", state, set,
		    kinds[i], id);
		if (path == NULL)
			return -1;
		if ((rc = dr_jsonfile_get(path, &json, err)) == 1) {
			if (pending_parse(json, path, p, err) == -1)
				rc = -1;
			json_decref(json);
		}
		free(path);
	}
	return rc;
}
