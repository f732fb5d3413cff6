#include "flow/pull.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/tty.h"
#include "flow/checked.h"
#include "manifest/manifest.h"
#include "store/store.h"
#include "stream/blob.h"
#include "stream/pump.h"

#define BLOCK (1U << 20)

/* What was found, and where. */
struct found {
	struct dr_store *store;
	struct dr_backups all;
	const struct dr_backup *backup; /* borrowed from all */
	char *text, *minisig;           /* the manifest's files */
	size_t len, sig_len;
	struct dr_blob *body; /* or the object */
};

static void
found_wipe(struct found *f)
{
	dr_blob_free(f->body);
	free(f->text);
	free(f->minisig);
	dr_backups_free(&f->all);
	dr_store_free(f->store);
	memset(f, 0, sizeof(*f));
}

static int
find_in(const struct dr_pull_opts *o, const char *url,
    const struct dr_verify_keys *keys, struct found *f, struct dr_err *err)
{
	const struct dr_catalogue_opts co = { .keys = keys };

	if ((f->store = dr_store_open(url, o->how, err)) == NULL)
		return -1;
	if (o->object != NULL) {
		f->body = dr_store_get(f->store, o->object, err);
		return f->body == NULL ? -1 : 0;
	}
	if (dr_catalogue_read(f->store, o->set, &co, &f->all, err) == -1 ||
	    (f->backup = dr_backups_find(&f->all, o->id, err)) == NULL ||
	    dr_backup_files(f->store, o->set, keys, f->backup, &f->text,
	        &f->len, &f->minisig, &f->sig_len, err) == -1)
		return -1;
	if (o->manifest)
		return 0;
	f->body = dr_backup_body(f->store, o->set, f->backup, NULL, err);
	return f->body == NULL ? -1 : 0;
}

/* In the first store that has it; the first failure is the one reported. */
static int
find(const struct dr_pull_opts *o, const struct dr_verify_keys *keys,
    struct found *f, struct dr_err *err)
{
	struct dr_err first = { 0 }, why;
	size_t i;

	for (i = 0; i < o->nstores; i++) {
		dr_err_clear(&why);
		if (find_in(o, o->stores[i], keys, f, &why) == 0)
			return 0;
		found_wipe(f);
		if (o->nstores > 1)
			dr_warn("store \"%s\": %s", o->stores[i], why.msg);
		if (first.cause == DR_OK)
			first = why;
		if (why.cause == DR_ESTOP || why.cause == DR_EUSAGE)
			break;
	}
	*err = first;
	return -1;
}

/* Bytes that are no stream: to standard output, or to FILE and no more. */
static int
copy(const struct dr_pull_opts *o, struct dr_source *src, struct dr_err *err)
{
	bool named = o->out.path != NULL && strcmp(o->out.path, "-") != 0;
	struct dr_file file = DR_FILE_INIT;
	struct dr_sink *sink = NULL;
	int rc = -1;

	if (named && !o->out.force && access(o->out.path, F_OK) == 0) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" exists already",
		    o->out.path);
		return dr_err_hint(err, "-f replaces it");
	}
	if (named && dr_file_create(&file, o->out.path, 0600, err) == -1)
		return -1;
	sink = dr_sink_fd(named ? file.fd : 1,
	    named ? o->out.path : "standard output", err);
	if (sink == NULL || dr_pump(src, sink, BLOCK, err) == -1)
		goto out;
	if (named)
		rc = dr_file_commit(&file,
		    o->out.force ? DR_FILE_REPLACE : DR_FILE_NEW, err);
	else
		rc = 0;

out:
	dr_sink_free(sink);
	dr_file_abandon(&file);
	return rc;
}

static int
copy_object(const struct dr_pull_opts *o, struct found *f, struct dr_err *err)
{
	struct dr_source *src;
	int rc = -1;

	if (o->out.path == NULL && isatty(1)) {
		dr_err_set(err, DR_EUSAGE,
		    "not writing an object to a terminal");
		return dr_err_hint(err, "-o - does it all the same");
	}
	if ((src = dr_blob_source(f->body, err)) != NULL)
		rc = copy(o, src, err);
	dr_source_free(src);
	return rc;
}

static int
copy_manifest(const struct dr_pull_opts *o, const struct found *f,
    struct dr_err *err)
{
	struct dr_source *src = dr_source_mem(f->text, f->len, 0, err);
	int rc = -1;

	if (src != NULL)
		rc = copy(o, src, err);
	dr_source_free(src);
	return rc;
}

static int
copy_body(struct found *f, struct dr_output *out, struct dr_err *err)
{
	const char *name = dr_manifest_str(f->backup->manifest, "object.name");
	struct dr_source *src, *checked = NULL;
	int rc = -1;

	if ((src = dr_blob_source(f->body, err)) == NULL)
		return -1;
	checked = dr_checked_source(src, name, f->backup->manifest, err);
	if (checked != NULL)
		src = checked;
	dr_progress_total(f->body->size);
	if (checked != NULL &&
	    dr_pump(src, dr_output_sink(out), BLOCK, err) == 0)
		rc = dr_output_commit_text(out, f->text, f->len, f->minisig,
		    f->sig_len, err);
	dr_source_free(src);
	return rc;
}

int
dr_pull(const struct dr_pull_opts *o, struct dr_err *err)
{
	struct dr_verify_keys *keys = NULL;
	struct dr_output *out = NULL;
	struct found f = { 0 };
	int rc = -1;

	/* Refusals come before a store is asked. */
	if (o->object == NULL && !o->manifest &&
	    (out = dr_output_open(&o->out, err)) == NULL)
		return -1;
	if (o->object == NULL && !o->no_signature &&
	    (keys = dr_trust_load(o->verify_key, o->state, err)) == NULL)
		goto out;
	if (find(o, keys, &f, err) == -1)
		goto out;
	if (o->object != NULL)
		rc = copy_object(o, &f, err);
	else if (o->manifest)
		rc = copy_manifest(o, &f, err);
	else
		rc = copy_body(&f, out, err);

out:
	found_wipe(&f);
	dr_output_free(out);
	dr_verify_keys_free(keys);
	return rc;
}
