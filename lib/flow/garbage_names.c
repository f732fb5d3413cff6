/*
 * What manifests name, read as the text that it is: whatever looks like the
 * name of a body protects that body, so that a manifest that is damaged or
 * forged does no harm.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "flow/garbage_int.h"
#include "flow/through.h"
#include "manifest/manifest.h"

#define MANIFEST_MAX (1U << 20) /* whole or not */

const char *
dr_garbage_shaped(const char *s, const char *shape)
{
	for (; *shape != '\0'; s++, shape++) {
		const char *set = *shape == 'd'   ? "0123456789"
		                  : *shape == 'x' ? "0123456789abcdef"
		                  : *shape == 'X' ? "0123456789ABCDEF"
		                                  : NULL;

		if (*s == '\0' ||
		    (set != NULL ? strchr(set, *s) == NULL : *s != *shape))
			return NULL;
	}
	return s;
}

static int
add_named(struct dr_garbage_run *r, const char *stem, struct dr_err *err)
{
	char(*v)[DR_GARBAGE_STEM + 1] = r->named;

	if ((r->named_n & (r->named_n - 1)) == 0) {
		v = reallocarray(v, r->named_n == 0 ? 1 : 2 * r->named_n,
		    sizeof(*v));
		if (v == NULL)
			return dr_err_sys(err, "cannot note what is named");
		r->named = v;
	}
	memcpy(v[r->named_n], stem, DR_GARBAGE_STEM);
	v[r->named_n][DR_GARBAGE_STEM] = '\0';
	r->named_n++;
	return 0;
}

/*
 * All that looks like a body's name, wherever it stands: a manifest that is
 * damaged or forged protects what it names, too.
 */
static int
names_in(struct dr_garbage_run *r, const char *text, size_t len, bool *any,
    struct dr_err *err)
{
	for (size_t i = 0; i + DR_GARBAGE_STEM <= len; i++) {
		if (dr_garbage_shaped(text + i,
		        "ddddddddTddddddZ-xxxxxxxxxxxxxxxx") == NULL)
			continue;
		*any = true;
		if (add_named(r, text + i, err) == -1)
			return -1;
	}
	return 0;
}

/* The same where the name is written with escapes. */
static int
names_by_json(struct dr_garbage_run *r, const char *text, size_t len, bool *any,
    struct dr_err *err)
{
	json_t *m = json_loadb(text, len, 0, NULL);
	const char *name = m == NULL ? NULL : dr_manifest_str(m, "object.name");
	int rc = 0;

	if (name != NULL)
		rc = names_in(r, name, strlen(name), any, err);
	json_decref(m);
	return rc;
}

struct file {
	struct dr_garbage_run *r;
	bool any; /* it names something */
};

static int
file_names(struct file *f, const char *text, size_t len, struct dr_err *err)
{
	if (names_in(f->r, text, len, &f->any, err) == -1)
		return -1;
	return names_by_json(f->r, text, len, &f->any, err);
}

/* What lies beneath an overwrite counts, too. */
static int
on_version(void *arg, struct dr_blob *blob, struct dr_err *err)
{
	struct file *f = arg;
	struct dr_err why = { 0 };
	size_t len = (size_t)blob->size;
	char *text = calloc(1, len + 1);
	int rc = 0;

	if (text == NULL)
		return dr_err_sys(err, "cannot read a version");
	if (dr_blob_pread(blob, text, len, 0, &why) == 0)
		rc = file_names(f, text, len, err);
	else if (why.cause != DR_EDATA) {
		*err = why;
		rc = -1;
	}
	free(text);
	return rc;
}

int
dr_garbage_manifest(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct dr_garbage_run *r = arg;
	struct file f = { .r = r };
	size_t n = strlen(obj->name), len;
	struct dr_err why = { 0 };
	char note[DR_NOTE_MAX], *text;
	int rc;

	if (n < 5 || strcmp(obj->name + n - 5, ".json") != 0)
		return 0;
	rc = dr_store_get_small(r->store, obj->name, MANIFEST_MAX, &text, &len,
	    &why);
	if (rc == -1 && why.cause != DR_EDATA) {
		*err = why;
		return -1;
	}
	if (rc == 1) {
		rc = file_names(&f, text, len, err);
		free(text);
		if (rc == -1)
			return -1;
	}
	if (dr_through_each(r->store, obj->name, MANIFEST_MAX, on_version, &f,
	        note, err) == -1)
		return -1;
	/* Notes that something was pruned need not name it. */
	if (f.any ||
	    (n > 12 && strcmp(obj->name + n - 12, ".pruned.json") == 0))
		return 0;
	dr_warn("\"%s\" in \"%s\" does not tell which body is its own: no body "
	        "is removed",
	    obj->name, r->url);
	r->blind = r->incomplete = true;
	return 0;
}
