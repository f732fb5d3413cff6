/* through.c - what lies beneath an overwrite or a deletion. */
#include "flow/through.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "crypt/secret.h"
#include "flow/catalogue.h"
#include "store/driver.h"
#include "tests/tap.h"
#include "tests/tmp.h"

#define ID1  "20261120T120000Z-000001"
#define ID2  "20261120T130000Z-000002"
#define ID3  "20261120T140000Z-000003"
#define BODY "s/snap/20261120T120000Z-0123456789abcdef.tar.age"

/* A store in memory that keeps versions. */
struct object {
	char *name, *data; /* NULL: deleted */
	size_t len;
};

static struct object object[64]; /* oldest first */
static size_t objects, asked;
static bool versioned = true, forbidden;
static struct dr_err err;

static void
put(const char *name, const char *data)
{
	struct object *o = &object[objects++];

	o->name = strdup(name);
	o->data = data == NULL ? NULL : strdup(data);
	o->len = data == NULL ? 0 : strlen(data);
}

static struct object *
current(const char *name)
{
	for (size_t i = objects; i-- > 0;)
		if (strcmp(object[i].name, name) == 0)
			return object[i].data == NULL ? NULL : &object[i];
	return NULL;
}

static struct dr_blob *
fake_get(struct dr_store *s, const char *name, struct dr_err *e)
{
	struct object *o = current(name);

	(void)s;
	if (o != NULL)
		return dr_blob_mem(o->data, o->len, e);
	dr_err_set(e, DR_EDATA, "\"%s\" is absent", name);
	return NULL;
}

static int
fake_stat(struct dr_store *s, const char *name, struct dr_object *out,
    struct dr_err *e)
{
	struct object *o = current(name);

	(void)s;
	(void)e;
	if (o == NULL)
		return 0;
	out->name = name;
	out->size = o->len;
	return 1;
}

static int
fake_list(struct dr_store *s, const char *prefix, const char *after,
    int (*fn)(void *, const struct dr_object *, struct dr_err *), void *arg,
    struct dr_err *e)
{
	(void)s;
	(void)after;
	for (size_t i = 0; i < objects; i++) {
		struct dr_object obj = { object[i].name, object[i].len, 0 };

		if (current(object[i].name) == &object[i] &&
		    strncmp(obj.name, prefix, strlen(prefix)) == 0 &&
		    fn(arg, &obj, e) == -1)
			return -1;
	}
	return 0;
}

static int
fake_versions(struct dr_store *s, const char *name,
    int (*fn)(void *, const struct dr_version *, struct dr_err *), void *arg,
    struct dr_err *e)
{
	bool first = true;
	char id[32];

	(void)s;
	asked++;
	if (forbidden)
		return dr_err_set(e, DR_EFAIL, "forbidden");
	for (size_t i = objects; versioned && i-- > 0;) {
		struct dr_version v = { id, object[i].len, 1, first,
			object[i].data == NULL };

		if (strcmp(object[i].name, name) != 0)
			continue;
		(void)snprintf(id, sizeof(id), "%zu", i);
		first = false;
		if (fn(arg, &v, e) == -1)
			return -1;
	}
	return 0;
}

static struct dr_blob *
fake_version(struct dr_store *s, const char *name, const char *id,
    struct dr_err *e)
{
	struct object *o = &object[strtoul(id, NULL, 10)];

	(void)s;
	(void)name;
	return dr_blob_mem(o->data, o->len, e);
}

static const struct dr_store_ops ops = {
	.get = fake_get,
	.stat = fake_stat,
	.list = fake_list,
	.versions = fake_versions,
	.get_version = fake_version,
};
static char url[] = "fake";
static const struct dr_store_opts none;
static struct dr_store store = { .ops = &ops, .url = url, .opts = &none };

static void
forget(void)
{
	while (objects > 0) {
		free(object[--objects].name);
		free(object[objects].data);
	}
	versioned = true;
	forbidden = false;
}

/* What is got of NAME for the hash of WANT; "-" when it is not WANT. */
static bool
reads(const char *name, const char *want, bool noted)
{
	char hex[DR_SHA256_HEX], note[DR_NOTE_MAX], buf[64];
	struct dr_blob *b;
	size_t len = strlen(want);
	bool good;

	dr_err_clear(&err);
	if (dr_sha256_hex(want, len, hex, &err) == -1)
		abort();
	b = dr_through_get(&store, name, len, hex, note, &err);
	good = b != NULL && b->size == len &&
	       dr_blob_pread(b, buf, len, 0, &err) == 0 &&
	       memcmp(buf, want, len) == 0 && (note[0] != '\0') == noted;
	dr_blob_free(b);
	return good;
}

static void
by_hash(void)
{
	put("a", "first");
	OK(reads("a", "first", false), "an object that nobody touched");
	put("a", "other");
	OK(reads("a", "first", true), "one that was overwritten");
	put("a", "of another size");
	put("a", NULL);
	OK(reads("a", "first", true), "deleted, too");
	OK(!reads("a", "nevER", false) && err.cause == DR_EDATA,
	    "what was never stored is not found");
	OK(!reads("b", "first", false) && err.cause == DR_EDATA,
	    "nor is an object that never was");
	OK(dr_through_exists(&store, "a", 5, &err) == 1 &&
	        dr_through_exists(&store, "a", 6, &err) == 0 &&
	        dr_through_exists(&store, "b", 0, &err) == 0,
	    "whether there is one of that size");
	put("a", "first");
	OK(reads("a", "first", false), "stored again it is whole");
	put("a", "other");
	forbidden = true;
	OK(!reads("a", "first", false), "where versions may not be asked for,");
	OK(reads("a", "other", false), "what is current is used");
	forbidden = false;
	versioned = false;
	OK(reads("a", "other", false), "as where there are none");
	forget();
}

/* --- manifests ----------------------------------------------------------------- */

static struct dr_sign_key *key;
static struct dr_verify_keys *keys;

/* A manifest of S that follows PREV, signed; its hash in SHA. */
static void
publish(const char *id, int seq, const char *prev, const char *prev_sha,
    char sha[DR_SHA256_HEX])
{
	struct dr_buf sig = { .max = 4096 };
	char text[2048], before[256], name[128], body[DR_SHA256_HEX];

	if (dr_sha256_hex("body", 4, body, &err) == -1)
		abort();
	(void)snprintf(before, sizeof(before), "null");
	if (prev != NULL)
		(void)snprintf(before, sizeof(before),
		    "{\"id\":\"%s\",\"sha256\":\"%s\"}", prev, prev_sha);
	(void)snprintf(text, sizeof(text),
	    "{\"drtools\":1,\"id\":\"%s\",\"kind\":\"stream\",\"mode\":\"full\","
	    "\"complete\":true,\"started\":\"2026-11-20T12:00:00Z\","
	    "\"committed\":\"2026-11-20T12:00:00Z\",\"set\":\"s\",\"seq\":%d,"
	    "\"signer\":\"%s\",\"object\":{\"name\":\"" BODY
	    "\",\"size\":4,\"sha256\":\"%s\"},\"previous\":%s%s}\n",
	    id, seq, dr_sign_key_id(key), body, before,
	    prev == NULL ? ",\"start\":\"first\"" : "");
	(void)snprintf(name, sizeof(name), "s/snap/%s.json", id);
	if (dr_sign(key, text, strlen(text), name, &sig, &err) == -1 ||
	    dr_sha256_hex(text, strlen(text), sha, &err) == -1)
		abort();
	put(name, text);
	(void)snprintf(name, sizeof(name), "s/snap/%s.json.minisig", id);
	put(name, sig.data);
	dr_buf_free(&sig);
}

/* How many are trusted, of how many; how many of these have a note. */
static bool
finds(size_t good, size_t all, size_t noted)
{
	const struct dr_catalogue_opts o = { .keys = keys, .quiet = true };
	struct dr_backups b = { NULL, 0 };
	size_t g = 0, n = 0, total;

	dr_err_clear(&err);
	if (dr_catalogue_read(&store, "s", &o, &b, &err) == -1)
		return false;
	for (size_t i = 0; i < b.n; i++) {
		g += b.v[i].manifest != NULL;
		n += b.v[i].note[0] != '\0';
		if (b.v[i].manifest == NULL)
			printf("# %s: %s\n", b.v[i].id, b.v[i].bad.msg);
	}
	total = b.n;
	dr_backups_free(&b);
	if (g != good || total != all || n != noted)
		printf("# %zu of %zu, %zu noted\n", g, total, n);
	return g == good && total == all && n == noted;
}

static void
by_signature(void)
{
	char sha[3][DR_SHA256_HEX];
	const struct dr_catalogue_opts o = { .keys = keys, .quiet = true };
	struct dr_backups b = { NULL, 0 };

	publish(ID1, 1, NULL, NULL, sha[0]);
	publish(ID2, 2, ID1, sha[0], sha[1]);
	publish(ID3, 3, ID2, sha[1], sha[2]);
	asked = 0;
	OK(finds(3, 3, 0) && asked == 0,
	    "three manifests, and no version is asked for");
	put("s/snap/" ID3 ".json", "junk\n");
	OK(finds(3, 3, 1), "one that was overwritten");
	put("s/snap/" ID2 ".json.minisig", NULL);
	OK(finds(3, 3, 2), "one whose signature was deleted");
	put("s/snap/" ID1 ".json", NULL);
	OK(finds(3, 3, 3), "one that is not listed, by the one after it");
	put("s/snap/" ID2 ".json", NULL);
	OK(finds(3, 3, 3), "two of them");
	put("s/snap/" ID1 ".json.minisig", "junk");
	OK(finds(3, 3, 3), "all of it");
	put("s/snap/" ID3 ".json", NULL);
	OK(finds(0, 0, 0), "of the newest nothing tells");
	OK(dr_catalogue_read(&store, "s", &o, &b, &err) == 0 &&
	        dr_catalogue_seek(&store, "s", &o, ID3, sha[2], &b, &err) ==
	            0 &&
	        b.n == 3 && strcmp(b.v[0].id, ID1) == 0,
	    "but whoever saw it finds it, and those before it");
	dr_backups_free(&b);
	OK(dr_catalogue_seek(&store, "s", &o, ID3, sha[1], &b, &err) == 0 &&
	        b.n == 0,
	    "only that very one");
	dr_backups_free(&b);
	versioned = false;
	OK(finds(0, 0, 0), "without versions it is gone");
	forget();
}

/* The same key signed something else in its place. */
static void
by_chain(void)
{
	const struct dr_catalogue_opts o = { .keys = keys, .quiet = true };
	const struct dr_catalogue_opts only = { .keys = keys, .only = ID2 };
	struct dr_backups b = { NULL, 0 };
	char first[DR_SHA256_HEX], second[DR_SHA256_HEX], no[DR_SHA256_HEX];
	struct dr_blob *blob;
	char note[DR_NOTE_MAX];

	put(BODY, "body");
	publish(ID1, 1, NULL, NULL, first);
	publish(ID2, 2, ID1, first, second);
	publish(ID1, 7, NULL, NULL, no);
	OK(finds(2, 2, 1), "a manifest that was signed anew");
	put(BODY, "BODY");
	put("s/snap/" ID2 ".json", NULL);
	OK(dr_catalogue_read(&store, "s", &only, &b, &err) == 0 && b.n == 1 &&
	        strcmp(b.v[0].sha256, second) == 0,
	    "one that is asked for by its id alone");
	dr_backups_free(&b);
	publish(ID2, 2, ID1, first, second);
	OK(dr_catalogue_read(&store, "s", &o, &b, &err) == 0 && b.n == 2 &&
	        strcmp(b.v[0].sha256, first) == 0,
	    "the one that its successor names is used");
	blob =
	    b.n == 2 ? dr_backup_body(&store, "s", &b.v[0], note, &err) : NULL;
	OK(blob != NULL && note[0] != '\0', "and the body that it names");
	dr_blob_free(blob);
	dr_backups_free(&b);
	forget();
}

int
main(void)
{
	char path[64], pub[64];

	if (dr_crypt_init(&err) == -1)
		abort();
	tmp_make();
	(void)snprintf(path, sizeof(path), "%s/k", tmp_dir);
	(void)snprintf(pub, sizeof(pub), "%s/k.pub", tmp_dir);
	if ((key = dr_sign_key_make(path, &err)) == NULL ||
	    (keys = dr_verify_keys_load(pub, &err)) == NULL)
		abort();
	by_hash();
	by_signature();
	by_chain();
	dr_sign_key_free(key);
	dr_verify_keys_free(keys);
	tmp_leave();
	return DONE();
}
