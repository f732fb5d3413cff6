#include "flow/walahead.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"

#define RECORD_MAX (1U << 20)

struct dr_ahead {
	char *dir, *path;
	json_t *known, *added; /* objects by file name */
};

struct dr_ahead *
dr_ahead_open(const char *state, const char *set, struct dr_err *err)
{
	struct dr_err ignored = { 0 };
	struct dr_ahead *a;
	size_t len;
	char *text;

	if ((a = calloc(1, sizeof(*a))) == NULL ||
	    (a->dir = dr_fmt(err, "%s/wal/%s", state, set)) == NULL ||
	    (a->path = dr_fmt(err, "%s/ahead.json", a->dir)) == NULL ||
	    (a->added = json_object()) == NULL) {
		dr_err_set(err, DR_EFAIL, "cannot allocate a record");
		dr_ahead_free(a);
		return NULL;
	}
	text = dr_file_get(a->path, RECORD_MAX, &len, &ignored);
	if (text != NULL)
		a->known = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	return a;
}

void
dr_ahead_free(struct dr_ahead *a)
{
	if (a == NULL)
		return;
	json_decref(a->known);
	json_decref(a->added);
	free(a->path);
	free(a->dir);
	free(a);
}

/* What tells a file from any other, and from itself before a change. */
static json_t *
mark(const struct stat *st)
{
	return json_pack("[I, I, I, I, I, I, I]", (json_int_t)st->st_dev,
	    (json_int_t)st->st_ino, (json_int_t)st->st_size,
	    (json_int_t)st->st_mtim.tv_sec, (json_int_t)st->st_mtim.tv_nsec,
	    (json_int_t)st->st_ctim.tv_sec, (json_int_t)st->st_ctim.tv_nsec);
}

static bool
has(const json_t *list, const char *url)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_is_string(v) && strcmp(json_string_value(v), url) == 0)
			return true;
	return false;
}

size_t
dr_ahead_find(const struct dr_ahead *a, const char *name, const struct stat *st,
    const char *const *stores, size_t n)
{
	const json_t *file = json_object_get(a->known, name);
	json_t *now = mark(st);
	size_t found = 0;

	if (now != NULL && file != NULL &&
	    json_equal(json_object_get(file, "file"), now))
		for (size_t i = 0; i < n; i++)
			found +=
			    has(json_object_get(file, "stores"), stores[i]);
	json_decref(now);
	return found;
}

int
dr_ahead_add(struct dr_ahead *a, const char *name, const struct stat *st,
    const char *const *stores, const bool *holds, size_t n, struct dr_err *err)
{
	json_t *list = json_array();
	int rc = list == NULL ? -1 : 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		if (holds[i])
			rc =
			    json_array_append_new(list, json_string(stores[i]));
	if (rc == 0)
		rc = json_object_set_new(a->added, name,
		    json_pack("{s:o, s:O}", "file", mark(st), "stores", list));
	json_decref(list);
	return rc == 0 ? 0 : dr_err_set(err, DR_EFAIL, "cannot keep a record");
}

int
dr_ahead_save(struct dr_ahead *a, struct dr_err *err)
{
	char *text;
	int rc;

	if ((text = json_dumps(a->added, JSON_COMPACT)) == NULL)
		return dr_err_set(err, DR_EFAIL, "cannot keep a record");
	if ((rc = dr_mkdirs(a->dir, 0755, err)) == 0)
		rc = dr_file_put(a->path, 0600, DR_FILE_REPLACE, text,
		    strlen(text), err);
	free(text);
	return rc;
}
