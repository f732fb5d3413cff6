#include "flow/through.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/num.h"

#define VERSIONS_MAX 64U
#define SIG_MAX      4096U
#define PAIRS_MAX    16U /* of either file, for a signature to fit */

struct version {
	char *id;
	uint64_t size;
	int64_t mtime;
	bool latest, marker;
};

/* The newest VERSIONS_MAX of an object. */
struct versions {
	struct version v[VERSIONS_MAX];
	size_t n;
};

static void
wipe(struct versions *all)
{
	while (all->n > 0)
		free(all->v[--all->n].id);
}

static int
gather(void *arg, const struct dr_version *v, struct dr_err *err)
{
	struct versions *all = arg;
	struct version *to = &all->v[all->n];

	if (all->n == VERSIONS_MAX)
		return 0;
	if ((to->id = dr_fmt(err, "%s", v->id)) == NULL)
		return -1;
	to->size = v->size;
	to->mtime = v->mtime;
	to->latest = v->latest;
	to->marker = v->marker;
	all->n++;
	return 0;
}

/*
 * What the store keeps of NAME.  Whoever may not ask sees what is current,
 * and nothing else; only a stop signal fails.
 */
static int
versions(struct dr_store *store, const char *name, struct versions *all,
    struct dr_err *err)
{
	struct dr_err why = { 0 };

	all->n = 0;
	if (dr_store_versions(store, name, gather, all, &why) == 0)
		return 0;
	wipe(all);
	if (why.cause != DR_ESTOP)
		return 0;
	*err = why;
	return -1;
}

/* Is there more than what everybody sees? */
static bool
layered(const struct versions *all)
{
	return all->n > 1 ||
	       (all->n == 1 && (all->v[0].marker || !all->v[0].latest));
}

/* That not the current version of NAME was used, but the Ith. */
static void
describe(const char *name, const struct versions *all, size_t i,
    char note[DR_NOTE_MAX])
{
	const struct version *top = &all->v[0];
	char when[DR_TIME_LEN];

	if (all->v[i].latest)
		return;
	(void)snprintf(note, DR_NOTE_MAX,
	    "\"%s\" was %s in the store at %s; what was stored first lies "
	    "beneath, as version %.100s",
	    name,
	    top->marker   ? "deleted"
	    : top->latest ? "overwritten"
	                  : "removed",
	    dr_format_time(top->mtime, when), all->v[i].id);
}

/* --- by hash ----------------------------------------------------------------- */

struct dr_blob *
dr_through_get(struct dr_store *store, const char *name, uint64_t size,
    const char *sha256, char note[DR_NOTE_MAX], struct dr_err *err)
{
	struct dr_blob *blob = NULL;
	char hex[DR_SHA256_HEX];
	struct versions all;
	struct dr_err why;

	note[0] = '\0';
	if (versions(store, name, &all, err) == -1)
		return NULL;
	for (size_t i = 0; layered(&all) && i < all.n; i++) {
		if (all.v[i].marker || all.v[i].size != size)
			continue;
		dr_err_clear(&why);
		blob = dr_store_get_version(store, name, all.v[i].id, &why);
		if (blob != NULL && (dr_blob_sha256(blob, hex, &why) == -1 ||
		                        strcmp(hex, sha256) != 0)) {
			dr_blob_free(blob);
			blob = NULL;
		}
		if (blob != NULL) {
			describe(name, &all, i, note);
			break;
		}
		if (why.cause == DR_ESTOP || why.cause == DR_ERETRY) {
			*err = why;
			goto out;
		}
	}
	if (blob == NULL)
		blob = dr_store_get(store, name, err);

out:
	wipe(&all);
	return blob;
}

int
dr_through_exists(struct dr_store *store, const char *name, uint64_t size,
    struct dr_err *err)
{
	struct versions all;
	int rc = 0;

	if (versions(store, name, &all, err) == -1)
		return -1;
	for (size_t i = 0; i < all.n && rc == 0; i++)
		rc = !all.v[i].marker && !all.v[i].latest &&
		     (size == 0 || all.v[i].size == size);
	wipe(&all);
	return rc;
}

/* --- each -------------------------------------------------------------------- */

int
dr_through_each(struct dr_store *store, const char *name, uint64_t max,
    int (*fn)(void *, struct dr_blob *, struct dr_err *), void *arg,
    char note[DR_NOTE_MAX], struct dr_err *err)
{
	struct versions all;
	int rc = 0;

	note[0] = '\0';
	if (versions(store, name, &all, err) == -1)
		return -1;
	for (size_t i = 0; layered(&all) && i < all.n && rc == 0; i++) {
		struct dr_err why = { 0 };
		struct dr_blob *blob;

		if (all.v[i].marker || all.v[i].size > max)
			continue;
		blob = dr_store_get_version(store, name, all.v[i].id, &why);
		if (blob == NULL) {
			if (why.cause == DR_ESTOP || why.cause == DR_ERETRY) {
				*err = why;
				rc = -1;
			}
			continue;
		}
		if ((rc = fn(arg, blob, err)) == 1)
			describe(name, &all, i, note);
		dr_blob_free(blob);
	}
	wipe(&all);
	return rc;
}

/* --- by signature ------------------------------------------------------------ */

/* All of a small blob, with a NUL after it. */
static char *
whole(struct dr_blob *blob, struct dr_err *err)
{
	size_t len = (size_t)blob->size;
	char *data = malloc(len + 1);

	if (data == NULL) {
		dr_err_sys(err, "cannot read a version");
		return NULL;
	}
	if (len > 0 && dr_blob_pread(blob, data, len, 0, err) == -1) {
		free(data);
		return NULL;
	}
	data[len] = '\0';
	return data;
}

struct fit {
	const char *name, *sha256;
	const struct dr_verify_keys *keys;
	struct {
		char *text;
		size_t len;
	} sig[PAIRS_MAX];
	size_t sigs, tried;
	/* What fits. */
	char *data, *signer;
	size_t len, at;
};

static int
take_sig(void *arg, struct dr_blob *blob, struct dr_err *err)
{
	struct fit *f = arg;

	if (f->sigs == PAIRS_MAX)
		return 0;
	if ((f->sig[f->sigs].text = whole(blob, err)) == NULL)
		return -1;
	f->sig[f->sigs++].len = (size_t)blob->size;
	return 0;
}

static int
take_data(void *arg, struct dr_blob *blob, struct dr_err *err)
{
	struct fit *f = arg;
	struct dr_err ignored = { 0 };
	char hex[DR_SHA256_HEX];
	char *data;

	if (f->tried++ == PAIRS_MAX)
		return 0;
	if ((data = whole(blob, err)) == NULL)
		return -1;
	f->len = (size_t)blob->size;
	if (f->sha256 != NULL) {
		if (dr_sha256_hex(data, f->len, hex, err) == -1)
			goto fail;
		if (strcmp(hex, f->sha256) != 0)
			goto next;
	}
	for (f->at = 0; f->at < f->sigs; f->at++) {
		dr_err_clear(&ignored);
		if (f->keys == NULL ||
		    dr_verify(f->keys, data, f->len, f->sig[f->at].text,
		        f->sig[f->at].len, f->name, f->signer, &ignored) == 0)
			break;
	}
	if (f->at < f->sigs || (f->keys == NULL && f->sha256 != NULL)) {
		f->data = data;
		return 1;
	}

next:
	free(data);
	return 0;

fail:
	free(data);
	return -1;
}

/* Where nothing was done to it, the current one. */
static int
plain(struct dr_store *store, const char *name, size_t max, struct fit *f,
    int (*fn)(void *, struct dr_blob *, struct dr_err *), struct dr_err *err)
{
	struct dr_err why = { 0 };
	struct dr_blob *blob = dr_store_get(store, name, &why);
	int rc = 0;

	if (blob == NULL && why.cause != DR_EDATA) {
		*err = why;
		return -1;
	}
	if (blob != NULL && blob->size <= max)
		rc = fn(f, blob, err);
	dr_blob_free(blob);
	return rc;
}

int
dr_through_signed(struct dr_store *store, const char *name, size_t max,
    const struct dr_verify_keys *keys, const char *sha256, char **data,
    size_t *len, char **sig, size_t *sig_len, char signer[DR_KEYID_HEX],
    char note[DR_NOTE_MAX], struct dr_err *err)
{
	struct fit f = { .name = name,
		.sha256 = sha256,
		.keys = keys,
		.signer = signer };
	char *signame = dr_fmt(err, "%s.minisig", name);
	char sig_note[DR_NOTE_MAX];
	bool layers;
	int rc = -1;

	note[0] = '\0';
	*data = *sig = NULL;
	*len = *sig_len = 0;
	signer[0] = '\0';
	if (signame == NULL)
		return -1;
	if ((rc = dr_through_each(store, signame, SIG_MAX, take_sig, &f,
	         sig_note, err)) == -1)
		goto out;
	/* Of one that was left alone there are no layers. */
	layers = f.sigs > 0;
	if (!layers &&
	    (rc = plain(store, signame, SIG_MAX, &f, take_sig, err)) == -1)
		goto out;
	rc = dr_through_each(store, name, max, take_data, &f, note, err);
	if (rc == 0 && f.tried == 0)
		rc = plain(store, name, max, &f, take_data, err);
	if (rc != 1)
		goto out;
	if (note[0] == '\0' && layers && f.at < f.sigs)
		(void)snprintf(note, DR_NOTE_MAX,
		    "\"%s\" was overwritten or deleted in the store; what was "
		    "stored first lies beneath",
		    signame);
	*data = f.data;
	*len = f.len;
	if (f.at < f.sigs) {
		*sig = f.sig[f.at].text;
		*sig_len = f.sig[f.at].len;
		f.sig[f.at].text = NULL;
	}

out:
	for (size_t i = 0; i < f.sigs; i++)
		free(f.sig[i].text);
	free(signame);
	return rc;
}
