#include "flow/from.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/msg.h"
#include "flow/catalogue.h"
#include "flow/stores.h"
#include "manifest/manifest.h"
#include "store/store.h"

/* 1, 0, or -1 where it cannot be told. */
static int
is_input(const char *operand, struct dr_err *err)
{
	struct stat st;

	if (strcmp(operand, "-") == 0)
		return 1;
	if (stat(operand, &st) == 0)
		return !S_ISDIR(st.st_mode);
	/* The URL of a store is no file's name. */
	if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG)
		return 0;
	return dr_err_sys(err, "cannot look at \"%s\"", operand);
}

int
dr_from_operands(int n, char *const argv[], struct dr_from_opts *o,
    struct dr_err *err)
{
	for (int i = 0; i < n; i++) {
		int is = is_input(argv[i], err);

		if (is == -1)
			return -1;
		if (is == 1)
			o->file = argv[i];
	}
	if (o->file == NULL)
		return dr_stores_named(n, argv, &o->stores, err);
	if (n > 1)
		return dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is no store: it goes alone", o->file);
	if (o->id != NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "-b chooses in a store, and \"%s\" is one backup", o->file);
	return 0;
}

int
dr_from_keys(const struct dr_from_opts *o, struct dr_verify_keys **keys,
    struct dr_err *err)
{
	*keys = NULL;
	if (o->no_signature)
		return 0;
	*keys = dr_trust_load(o->verify_key, o->state, err);
	return *keys == NULL ? -1 : 0;
}

static struct dr_body *
open_in(const struct dr_from_opts *o, const char *url,
    const struct dr_verify_keys *keys, struct dr_err *err)
{
	const struct dr_catalogue_opts co = { .keys = keys,
		.only = o->whole_id ? o->id : NULL };
	struct dr_backups all = { NULL, 0 };
	const struct dr_backup *b;
	struct dr_store *store;
	struct dr_blob *blob = NULL;
	struct dr_body *body = NULL;

	if ((store = dr_store_open(url, o->how, err)) == NULL)
		return NULL;
	if (dr_catalogue_read(store, o->set, &co, &all, err) == -1 ||
	    (b = dr_backups_find(&all, o->id, err)) == NULL ||
	    (blob = dr_backup_body(store, o->set, b, NULL, err)) == NULL)
		goto out;
	body = dr_body_object(blob, b->manifest,
	    dr_manifest_str(b->manifest, "object.name"), err);
	if (body == NULL)
		dr_blob_free(blob);
	else if (dr_body_set_store(body, dr_store_url(store), err) == -1) {
		dr_body_free(body);
		body = NULL;
	} else
		dr_say(1, "backup %s in \"%s\"", b->id, url);

out:
	dr_backups_free(&all);
	dr_store_free(store);
	return body;
}

static struct dr_body *
open_input(const struct dr_from_opts *o, struct dr_err *err)
{
	const struct dr_input_opts in = { .path = o->file,
		.verify_key = o->verify_key,
		.no_signature = o->no_signature,
		.state = o->state };
	struct dr_input *input;
	struct dr_body *body;

	if ((input = dr_input_open(&in, err)) == NULL)
		return NULL;
	if ((body = dr_body_input(input, err)) == NULL)
		dr_input_free(input);
	return body;
}

struct dr_body *
dr_from_open(const struct dr_from_opts *o, struct dr_err *err)
{
	struct dr_err first = { 0 }, why;
	struct dr_verify_keys *keys;
	struct dr_body *body = NULL;

	if (o->file != NULL)
		return open_input(o, err);
	if (dr_from_keys(o, &keys, err) == -1)
		return NULL;
	for (size_t i = 0; i < o->stores.n && body == NULL; i++) {
		dr_err_clear(&why);
		body = open_in(o, o->stores.v[i], keys, &why);
		if (body != NULL)
			break;
		if (first.cause == DR_OK)
			first = why;
		if (why.cause == DR_ESTOP || why.cause == DR_EUSAGE)
			break;
		if (o->stores.n > 1)
			dr_warn("store \"%s\": %s", o->stores.v[i], why.msg);
	}
	if (body == NULL)
		*err = first;
	dr_verify_keys_free(keys);
	return body;
}
