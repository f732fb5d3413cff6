/* One of the backups of a set: which it is, its body and its files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/msg.h"
#include "flow/catalogue.h"
#include "manifest/manifest.h"

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
    const struct dr_backup *b, char note[DR_NOTE_MAX], struct dr_err *err)
{
	const char *name = dr_manifest_str(b->manifest, "object.name");
	const char *sha256 = dr_manifest_str(b->manifest, "object.sha256");
	int64_t size = dr_manifest_int(b->manifest, "object.size", -1);
	char own[DR_NOTE_MAX], *to = note != NULL ? note : own;
	struct dr_blob *blob;

	if (name == NULL || size < 0 || !dr_body_name_ok(set, name)) {
		dr_err_set(err, DR_EDATA, "backup %s names no body", b->id);
		return NULL;
	}
	if (b->pruned) {
		dr_err_set(err, DR_EFAIL, "backup %s was pruned", b->id);
		return NULL;
	}
	blob = dr_through_get(store, name, (uint64_t)size, sha256, to, err);
	if (blob == NULL) {
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
	if (note == NULL && own[0] != '\0')
		dr_warn("backup %s: %s", b->id, own);
	return blob;
}

int
dr_backup_files(struct dr_store *store, const char *set,
    const struct dr_verify_keys *keys, const struct dr_backup *b,
    char **manifest, size_t *len, char **minisig, size_t *sig_len,
    struct dr_err *err)
{
	char note[DR_NOTE_MAX];
	char *name = dr_snap_name(set, b->id, ".json", err);
	char hex[DR_SHA256_HEX], signer[DR_KEYID_HEX];
	int rc;

	if (name == NULL)
		return -1;
	rc = b->note[0] != '\0'
	         ? dr_through_signed(store, name, DR_MANIFEST_LINE_MAX + 1,
	               keys, b->sha256, manifest, len, minisig, sig_len, signer,
	               note, err)
	         : dr_signed_read(store, name, DR_MANIFEST_LINE_MAX + 1, NULL,
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
