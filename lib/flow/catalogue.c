#include "flow/catalogue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* -1 only when the store cannot be read; what is wrong goes to b->bad. */
static int
read_one(struct dr_store *store, const char *set,
    const struct dr_verify_keys *keys, struct dr_backup *b, struct dr_err *err)
{
	char *name, *data = NULL, *sig = NULL;
	size_t len, sig_len;
	int rc;

	if ((name = dr_snap_name(set, b->id, ".json", err)) == NULL)
		return -1;
	rc = dr_signed_read(store, name, DR_MANIFEST_LINE_MAX + 1, keys, &data,
	    &len, &sig, &sig_len, b->signer, &b->bad);
	if (rc == 0) /* since it was listed */
		dr_err_set(&b->bad, DR_EDATA, "\"%s\" is gone", name);
	if (rc == 1 && dr_sha256_hex(data, len, b->sha256, &b->bad) == 0) {
		if (len == 0 || data[len - 1] != '\n')
			dr_err_set(&b->bad, DR_EDATA,
			    "\"%s\" does not end with a newline", name);
		else
			b->manifest =
			    dr_manifest_parse(data, len, name, &b->bad);
	}
	if (b->manifest != NULL && bind(b->manifest, set, b->id, name,
	                               b->signer, b->sha256, &b->bad) == -1) {
		json_decref(b->manifest);
		b->manifest = NULL;
	}
	free(data);
	free(sig);
	free(name);
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
		    read_one(store, set, o->keys, b, err) == -1)
			goto out;
		for (j = 0; j < g.pruned.n; j++)
			if (strcmp(g.pruned.v[j], b->id) == 0 &&
			    read_pruned(store, set, b->id, o->keys, &b->pruned,
			        err) == -1)
				goto out;
	}
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

static const struct dr_backup *
latest(const struct dr_backups *all, struct dr_err *err)
{
	size_t i;

	for (i = all->n; i-- > 0;) {
		if (all->v[i].pruned)
			continue;
		if (all->v[i].manifest != NULL)
			return &all->v[i];
		if (all->v[i].bad.cause != DR_EDATA) {
			/* It may be whole: this is not the time to take
			 * another for it. */
			*err = all->v[i].bad;
			return NULL;
		}
		dr_warn("passing over backup %s: %s", all->v[i].id,
		    all->v[i].bad.msg);
	}
	dr_err_set(err, DR_EFAIL, "there is no backup%s",
	    all->n > 0 ? " that can be trusted" : "");
	return NULL;
}

const struct dr_backup *
dr_backups_find(const struct dr_backups *all, const char *id,
    struct dr_err *err)
{
	const struct dr_backup *found = NULL;
	size_t i;

	if (id == NULL || strcmp(id, "latest") == 0)
		return latest(all, err);
	for (i = 0; i < all->n; i++) {
		if (*id == '\0' || strncmp(all->v[i].id, id, strlen(id)) != 0)
			continue;
		if (found != NULL) {
			dr_err_set(err, DR_EUSAGE, "\"%s\" may be %s or %s", id,
			    found->id, all->v[i].id);
			return NULL;
		}
		found = &all->v[i];
	}
	if (found == NULL)
		dr_err_set(err, DR_EFAIL, "there is no backup \"%s\"", id);
	else if (found->manifest == NULL) {
		*err = found->bad;
		found = NULL;
	}
	return found;
}

struct dr_verify_keys *
dr_trust_load(const char *file, const char *state, struct dr_err *err)
{
	struct dr_verify_keys *keys;
	char *path;

	if (file != NULL)
		return dr_verify_keys_load(file, err);
	if ((path = dr_fmt(err, "%s/sign.key.pub", state)) == NULL)
		return NULL;
	if (access(path, F_OK) == -1 && errno == ENOENT) {
		dr_err_set(err, DR_EUSAGE, "no key to verify with");
		dr_err_hint(err,
		    "give the signer's public key with -K FILE (no \"%s\"), "
		    "or --no-signature",
		    path);
		free(path);
		return NULL;
	}
	keys = dr_verify_keys_load(path, err);
	free(path);
	return keys;
}

struct dr_blob *
dr_backup_body(struct dr_store *store, const char *set,
    const struct dr_backup *b, struct dr_err *err)
{
	const char *name = dr_manifest_str(b->manifest, "object.name");
	int64_t size = dr_manifest_int(b->manifest, "object.size", -1);
	struct dr_blob *blob;

	if (name == NULL || size < 0 || !dr_body_name_ok(set, name)) {
		dr_err_set(err, DR_EDATA, "backup %s names no body", b->id);
		return NULL;
	}
	if (b->pruned) {
		dr_err_set(err, DR_EFAIL, "backup %s was pruned", b->id);
		return NULL;
	}
	if ((blob = dr_store_get(store, name, err)) == NULL) {
		dr_err_wrap(err, "backup %s", b->id);
		return NULL;
	}
	if (blob->size != (uint64_t)size) {
		dr_err_set(err, DR_EDATA,
		    "backup %s: \"%s\" has %llu bytes, its manifest says %lld",
		    b->id, name, (unsigned long long)blob->size,
		    (long long)size);
		dr_blob_free(blob);
		return NULL;
	}
	return blob;
}

char *
dr_snap_name(const char *set, const char *id, const char *suffix,
    struct dr_err *err)
{
	return dr_fmt(err, "%s/snap/%s%s", set, id, suffix);
}

int
dr_backup_files(struct dr_store *store, const char *set,
    const struct dr_backup *b, char **manifest, size_t *len, char **minisig,
    size_t *sig_len, struct dr_err *err)
{
	char *name = dr_snap_name(set, b->id, ".json", err);
	char hex[DR_SHA256_HEX], signer[DR_KEYID_HEX];
	int rc;

	if (name == NULL)
		return -1;
	rc = dr_signed_read(store, name, DR_MANIFEST_LINE_MAX + 1, NULL,
	    manifest, len, minisig, sig_len, signer, err);
	if (rc == 1 && dr_sha256_hex(*manifest, *len, hex, err) == 0 &&
	    strcmp(hex, b->sha256) == 0) {
		free(name);
		return 0;
	}
	dr_err_set(err, DR_EDATA, "\"%s\" changed while it was read", name);
	if (rc == 1) {
		free(*manifest);
		free(*minisig);
		*manifest = *minisig = NULL;
	}
	free(name);
	return -1;
}
