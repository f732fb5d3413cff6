#include "flow/catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/msg.h"
#include "base/num.h"
#include "manifest/chain.h"
#include "manifest/manifest.h"

#define MINISIG_MAX 4096U

struct gather {
	const char *prefix; /* "SET/snap/" */
	struct dr_strs ids; /* owned strings */
	struct dr_strs pruned;
};

/*
 * Is NAME, below the prefix, an id with this suffix?  Then add a copy of the
 * id to LIST.
 */
static int
take(struct dr_strs *list, const char *name, const char *suffix,
    struct dr_err *err)
{
	char id[DR_ID_LEN];
	char *copy;

	if (strlen(name) != DR_ID_LEN - 1 + strlen(suffix) ||
	    strcmp(name + DR_ID_LEN - 1, suffix) != 0)
		return 0;
	memcpy(id, name, DR_ID_LEN - 1);
	id[DR_ID_LEN - 1] = '\0';
	if (!dr_id_ok(id))
		return 0;
	if ((copy = dr_fmt(err, "%s", id)) == NULL)
		return -1;
	if (dr_strs_add(list, copy, err) == -1) {
		free(copy);
		return -1;
	}
	return 0;
}

static int
gather(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct gather *g = arg;
	const char *name = obj->name + strlen(g->prefix);

	if (take(&g->ids, name, ".json", err) == -1 ||
	    take(&g->pruned, name, ".pruned.json", err) == -1)
		return -1;
	return 0;
}

static void
strs_free(struct dr_strs *list)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		union {
			const char *c;
			char *m;
		} u = { list->v[i] };

		free(u.m);
	}
	dr_strs_free(list);
}

int
dr_signed_read(struct dr_store *store, const char *name, size_t max,
    const struct dr_verify_keys *keys, char **data, size_t *len, char **sig,
    size_t *sig_len, char signer[DR_KEYID_HEX], struct dr_err *err)
{
	char *signame = NULL;
	int rc;

	*data = *sig = NULL;
	*sig_len = 0;
	signer[0] = '\0';
	if ((rc = dr_store_get_small(store, name, max, data, len, err)) != 1)
		return rc;
	rc = -1;
	if ((signame = dr_fmt(err, "%s.minisig", name)) == NULL)
		goto fail;
	rc = dr_store_get_small(store, signame, MINISIG_MAX, sig, sig_len, err);
	if (rc == -1)
		goto fail;
	if (keys != NULL && rc == 0) {
		rc = dr_err_set(err, DR_EDATA, "\"%s\" is not signed", name);
		goto fail;
	}
	rc = -1;
	if (keys != NULL && dr_verify(keys, *data, *len, *sig, *sig_len, name,
	                        signer, err) == -1) {
		dr_err_wrap(err, "\"%s\"", name);
		goto fail;
	}
	free(signame);
	return 1;

fail:
	free(signame);
	free(*data);
	free(*sig);
	*data = *sig = NULL;
	return rc;
}

bool
dr_body_name_ok(const char *set, const char *name)
{
	static const char shape[] = "ddddddddTddddddZ-xxxxxxxxxxxxxxxx";
	static const char *const ends[] = { ".tar", ".tar.zst", ".tar.age",
		".tar.seal", ".tar.zst.age", ".tar.zst.seal" };
	size_t n = strlen(set), i;

	if (strncmp(name, set, n) != 0 || strncmp(name + n, "/snap/", 6) != 0)
		return false;
	name += n + 6;
	for (i = 0; shape[i] != '\0'; i++) {
		const char *from = "0123456789abcdef";

		if (name[i] == '\0')
			return false;
		if (shape[i] == 'd' || shape[i] == 'x') {
			from = strchr(from, name[i]);
			if (from == NULL || (shape[i] == 'd' && *from >= 'a'))
				return false;
		} else if (name[i] != shape[i])
			return false;
	}
	for (n = 0; n < sizeof(ends) / sizeof(ends[0]); n++)
		if (strcmp(name + i, ends[n]) == 0)
			return true;
	return false;
}

/* Does the manifest belong where it lies? */
static int
bind(const json_t *m, const char *set, const char *id, const char *name,
    const char *signer, const char *sha256, struct dr_err *err)
{
	const char *has = dr_manifest_str(m, "set");
	const char *object = dr_manifest_str(m, "object.name");
	struct dr_link link;

	if (has == NULL || strcmp(has, set) != 0)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is a manifest of set \"%s\"", name,
		    has == NULL ? "" : has);
	has = dr_manifest_str(m, "id");
	if (has == NULL || strcmp(has, id) != 0)
		return dr_err_set(err, DR_EDATA, "\"%s\" is the manifest of %s",
		    name, has == NULL ? "nothing" : has);
	if (dr_link_from(m, sha256, false, &link, err) == -1)
		return dr_err_wrap(err, "\"%s\"", name);
	if (signer[0] != '\0' && strcmp(link.signer, signer) != 0)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is signed by %s and names %s as its signer", name,
		    signer, link.signer);
	if (object == NULL || !dr_body_name_ok(set, object) ||
	    dr_manifest_int(m, "object.size", -1) < 0 ||
	    dr_manifest_str(m, "object.sha256") == NULL)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" names no body that can be its own", name);
	return 0;
}

/* The manifest's file is DATA: is it one, and this backup's? */
static void
accept(const char *set, const char *name, const char *data, size_t len,
    struct dr_backup *b)
{
	if (dr_sha256_hex(data, len, b->sha256, &b->bad) == -1)
		return;
	if (len == 0 || data[len - 1] != '\n')
		dr_err_set(&b->bad, DR_EDATA,
		    "\"%s\" does not end with a newline", name);
	else
		b->manifest = dr_manifest_parse(data, len, name, &b->bad);
	if (b->manifest != NULL && bind(b->manifest, set, b->id, name,
	                               b->signer, b->sha256, &b->bad) == -1) {
		json_decref(b->manifest);
		b->manifest = NULL;
	}
}

/*
 * The manifest of B beneath what is current: the newest that is signed, or
 * with SHA256 just that one.  1, 0 there is none, -1 only when the store
 * cannot be read.
 */
static int
read_beneath(struct dr_store *store, const char *set,
    const struct dr_catalogue_opts *o, const char *sha256, struct dr_backup *b,
    struct dr_err *err)
{
	char *name, *data, *sig;
	size_t len, sig_len;
	struct dr_backup was = *b;
	int rc;

	if ((name = dr_snap_name(set, b->id, ".json", err)) == NULL)
		return -1;
	rc = dr_through_signed(store, name, DR_MANIFEST_LINE_MAX + 1, o->keys,
	    sha256, &data, &len, &sig, &sig_len, b->signer, b->note, err);
	if (rc == 1) {
		dr_err_clear(&b->bad);
		b->manifest = NULL;
		accept(set, name, data, len, b);
		free(data);
		free(sig);
		if (b->manifest == NULL)
			rc = 0;
		else {
			json_decref(was.manifest);
			if (!o->quiet && b->note[0] != '\0')
				dr_warn("%s", b->note);
		}
	}
	if (rc != 1)
		*b = was;
	free(name);
	return rc;
}

/* -1 only when the store cannot be read; what is wrong goes to b->bad. */
static int
read_one(struct dr_store *store, const char *set,
    const struct dr_catalogue_opts *o, struct dr_backup *b, struct dr_err *err)
{
	char *name, *data = NULL, *sig = NULL;
	size_t len, sig_len;
	int rc;

	if ((name = dr_snap_name(set, b->id, ".json", err)) == NULL)
		return -1;
	rc = dr_signed_read(store, name, DR_MANIFEST_LINE_MAX + 1, o->keys,
	    &data, &len, &sig, &sig_len, b->signer, &b->bad);
	if (rc == 0) /* since it was listed */
		dr_err_set(&b->bad, DR_EDATA, "\"%s\" is gone", name);
	if (rc == 1)
		accept(set, name, data, len, b);
	free(data);
	free(sig);
	free(name);
	if (b->manifest == NULL && b->bad.cause == DR_EDATA &&
	    o->keys != NULL && read_beneath(store, set, o, NULL, b, err) == -1)
		return -1;
	if (b->bad.cause == DR_ESTOP || b->bad.cause == DR_ERETRY) {
		*err = b->bad;
		return -1;
	}
	return 0;
}

/* Is there a valid note that ID's body was pruned? */
static int
read_pruned(struct dr_store *store, const char *set, const char *id,
    const struct dr_verify_keys *keys, bool *pruned, struct dr_err *err)
{
	char *name, *data, *sig, signer[DR_KEYID_HEX];
	struct dr_err bad = { 0 };
	size_t len, sig_len;
	json_t *m = NULL;
	const char *has;
	int rc;

	if ((name = dr_snap_name(set, id, ".pruned.json", err)) == NULL)
		return -1;
	rc = dr_signed_read(store, name, DR_MANIFEST_LINE_MAX + 1, keys, &data,
	    &len, &sig, &sig_len, signer, &bad);
	if (rc == 1) {
		m = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
		has = json_string_value(json_object_get(m, "id"));
		*pruned = has != NULL && strcmp(has, id) == 0;
		has = json_string_value(json_object_get(m, "set"));
		*pruned = *pruned && has != NULL && strcmp(has, set) == 0;
		if (!*pruned)
			dr_warn("\"%s\" is not about %s", name, id);
		json_decref(m);
		free(data);
		free(sig);
	} else if (bad.cause == DR_EDATA)
		dr_warn("%s", bad.msg);
	free(name);
	if (bad.cause != DR_OK && bad.cause != DR_EDATA) {
		*err = bad;
		return -1;
	}
	return 0;
}

int64_t
dr_backup_started(const struct dr_backup *b)
{
	struct dr_err err = { 0 };
	char text[DR_TIME_LEN];
	const char *s = b->id;
	int64_t usec = 0;

	if (b->manifest != NULL)
		s = dr_manifest_str(b->manifest, "started");
	else {
		/* As late as the id allows: nothing newer is overlooked. */
		(void)snprintf(text, sizeof(text),
		    "%.4s-%.2s-%.2sT%.2s:%.2s:%.2s.999999Z", s, s + 4, s + 6,
		    s + 9, s + 11, s + 13);
		s = text;
	}
	return dr_parse_time(s, &usec, &err) == 0 ? usec : 0;
}

static int
by_start(const void *a, const void *b)
{
	const struct dr_backup *x = a, *y = b;
	int64_t s = dr_backup_started(x), t = dr_backup_started(y);

	if (s != t)
		return s < t ? -1 : 1;
	return strcmp(x->id, y->id);
}

static int
add_backup(struct dr_backups *all, const char *id, struct dr_err *err)
{
	struct dr_backup *v = reallocarray(all->v, all->n + 1, sizeof(*v));

	if (v == NULL)
		return dr_err_sys(err, "cannot list the backups");
	all->v = v;
	memset(&v[all->n], 0, sizeof(*v));
	if ((v[all->n].id = dr_fmt(err, "%s", id)) == NULL)
		return -1;
	all->n++;
	return 0;
}

/* 1: it is there now, at *AT, and was not before; 0; -1. */
static int
seek(struct dr_store *store, const char *set, const struct dr_catalogue_opts *o,
    const char *id, const char *sha256, struct dr_backups *all, size_t *at,
    struct dr_err *err)
{
	struct dr_backup one = { .id = NULL };
	int rc;

	for (*at = 0; *at < all->n && strcmp(all->v[*at].id, id) != 0;)
		++*at;
	if (*at < all->n) {
		if (all->v[*at].manifest != NULL &&
		    strcmp(all->v[*at].sha256, sha256) == 0)
			return 0;
		return read_beneath(store, set, o, sha256, &all->v[*at], err);
	}
	if ((one.id = dr_fmt(err, "%s", id)) == NULL)
		return -1;
	rc = read_beneath(store, set, o, sha256, &one, err);
	free(one.id);
	if (rc != 1)
		return rc;
	if (add_backup(all, id, err) == -1) {
		json_decref(one.manifest);
		return -1;
	}
	one.id = all->v[*at].id;
	all->v[*at] = one;
	return 1;
}

/* What FROM names as its predecessor, and so on while something is found. */
static int
seek_before(struct dr_store *store, const char *set,
    const struct dr_catalogue_opts *o, size_t from, struct dr_backups *all,
    struct dr_err *err)
{
	char id[DR_ID_LEN], sha256[DR_SHA256_HEX];
	const char *has, *hash;
	int rc = 1;

	while (rc == 1 && all->v[from].manifest != NULL) {
		has = dr_manifest_str(all->v[from].manifest, "previous.id");
		hash =
		    dr_manifest_str(all->v[from].manifest, "previous.sha256");
		if (has == NULL || hash == NULL || !dr_id_ok(has) ||
		    strlen(hash) != DR_SHA256_HEX - 1)
			return 0;
		(void)snprintf(id, sizeof(id), "%s", has);
		(void)snprintf(sha256, sizeof(sha256), "%s", hash);
		rc = seek(store, set, o, id, sha256, all, &from, err);
	}
	return rc == -1 ? -1 : 0;
}

/* The one that is wanted is not listed: the newest that is signed. */
static int
seek_only(struct dr_store *store, const char *set,
    const struct dr_catalogue_opts *o, struct dr_backups *all,
    struct dr_err *err)
{
	int rc;

	if (add_backup(all, o->only, err) == -1)
		return -1;
	if ((rc = read_beneath(store, set, o, NULL, all->v, err)) == 0)
		dr_backups_free(all);
	return rc == -1 ? -1 : 0;
}

int
dr_catalogue_one(struct dr_store *store, const char *set,
    const struct dr_catalogue_opts *o, bool pruned, struct dr_backup *b,
    struct dr_err *err)
{
	if (read_one(store, set, o, b, err) == -1)
		return -1;
	return pruned ? read_pruned(store, set, b->id, o->keys, &b->pruned, err)
	              : 0;
}

int
dr_catalogue_seek(struct dr_store *store, const char *set,
    const struct dr_catalogue_opts *o, const char *id, const char *sha256,
    struct dr_backups *all, struct dr_err *err)
{
	size_t at;
	int rc = seek(store, set, o, id, sha256, all, &at, err);

	if (rc == 1)
		rc = seek_before(store, set, o, at, all, err);
	if (rc != -1 && all->n > 1)
		qsort(all->v, all->n, sizeof(*all->v), by_start);
	return rc == -1 ? -1 : 0;
}

int
dr_catalogue_read(struct dr_store *store, const char *set,
    const struct dr_catalogue_opts *o, struct dr_backups *out,
    struct dr_err *err)
{
	struct gather g = { NULL, { NULL, 0 }, { NULL, 0 } };
	char *prefix = NULL;
	size_t i, j;
	int rc = -1;

	out->v = NULL;
	out->n = 0;
	if ((g.prefix = prefix = dr_fmt(err, "%s/snap/", set)) == NULL ||
	    dr_store_list(store, prefix, NULL, gather, &g, err) == -1)
		goto out;
	if ((out->v = calloc(g.ids.n + 1, sizeof(*out->v))) == NULL) {
		dr_err_sys(err, "cannot list \"%s\"", prefix);
		goto out;
	}
	for (i = 0; i < g.ids.n; i++) {
		struct dr_backup *b;

		if (o->only != NULL && strcmp(g.ids.v[i], o->only) != 0)
			continue;
		b = &out->v[out->n++];
		if ((b->id = dr_fmt(err, "%s", g.ids.v[i])) == NULL ||
		    read_one(store, set, o, b, err) == -1)
			goto out;
		for (j = 0; j < g.pruned.n; j++)
			if (strcmp(g.pruned.v[j], b->id) == 0 &&
			    read_pruned(store, set, b->id, o->keys, &b->pruned,
			        err) == -1)
				goto out;
	}
	if (o->only != NULL && out->n == 0 &&
	    seek_only(store, set, o, out, err) == -1)
		goto out;
	/* Those that are added at the end have been followed already. */
	for (i = o->only == NULL ? out->n : 0; i-- > 0;)
		if (seek_before(store, set, o, i, out, err) == -1)
			goto out;
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), by_start);
	rc = 0;

out:
	strs_free(&g.ids);
	strs_free(&g.pruned);
	free(prefix);
	if (rc == -1)
		dr_backups_free(out);
	return rc;
}

void
dr_backups_free(struct dr_backups *b)
{
	size_t i;

	for (i = 0; i < b->n; i++) {
		free(b->v[i].id);
		json_decref(b->v[i].manifest);
	}
	free(b->v);
	b->v = NULL;
	b->n = 0;
}

char *
dr_snap_name(const char *set, const char *id, const char *suffix,
    struct dr_err *err)
{
	return dr_fmt(err, "%s/snap/%s%s", set, id, suffix);
}
