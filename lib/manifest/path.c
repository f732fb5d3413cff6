#include "manifest/path.h"

#include <assert.h>
#include <string.h>

#include "manifest/manifest.h"

/* Cut the next part of a path off; false at its end. */
static bool
part(const char **path, char out[64])
{
	size_t len = strcspn(*path, ".");

	if (**path == '\0')
		return false;
	assert(len > 0 && len < 64);
	memcpy(out, *path, len);
	out[len] = '\0';
	*path += len;
	*path += **path == '.';
	return true;
}

json_t *
dr_manifest_find(const json_t *m, const char *path)
{
	const json_t *at = m;
	json_t *v = NULL;
	char key[64];

	while (part(&path, key)) {
		if ((v = json_object_get(at, key)) == NULL)
			return NULL;
		at = v;
	}
	return v;
}

const char *
dr_manifest_str(const json_t *m, const char *path)
{
	return json_string_value(dr_manifest_find(m, path));
}

int64_t
dr_manifest_int(const json_t *m, const char *path, int64_t def)
{
	const json_t *v = dr_manifest_find(m, path);

	return json_is_integer(v) ? (int64_t)json_integer_value(v) : def;
}

bool
dr_manifest_bool(const json_t *m, const char *path, bool def)
{
	const json_t *v = dr_manifest_find(m, path);

	return json_is_boolean(v) ? json_is_true(v) : def;
}

int
dr_manifest_set(json_t *m, const char *path, json_t *value, struct dr_err *err)
{
	const char *whole = path;
	char key[64], next[64];
	json_t *at = m, *child;

	if (value == NULL || !part(&path, key))
		goto fail;
	while (part(&path, next)) {
		child = json_object_get(at, key);
		if (!json_is_object(child)) {
			child = json_object();
			if (json_object_set_new(at, key, child) == -1)
				goto fail;
		}
		at = child;
		memcpy(key, next, sizeof(key));
	}
	if (json_object_set(at, key, value) == -1)
		goto fail;
	json_decref(value);
	return 0;

fail:
	json_decref(value);
	return dr_err_set(err, DR_EFAIL,
	    "cannot set \"%s\" in the manifest: no memory, or not UTF-8",
	    whole);
}

int
dr_manifest_set_str(json_t *m, const char *path, const char *value,
    struct dr_err *err)
{
	return dr_manifest_set(m, path,
	    value == NULL ? json_null() : json_string(value), err);
}

int
dr_manifest_set_int(json_t *m, const char *path, int64_t value,
    struct dr_err *err)
{
	return dr_manifest_set(m, path, json_integer(value), err);
}

int
dr_manifest_set_bool(json_t *m, const char *path, bool value,
    struct dr_err *err)
{
	return dr_manifest_set(m, path, json_boolean(value), err);
}

void
dr_manifest_unset(json_t *m, const char *path)
{
	json_t *at = m, *child;
	char key[64], next[64];

	if (!part(&path, key))
		return;
	while (part(&path, next)) {
		if ((child = json_object_get(at, key)) == NULL)
			return;
		at = child;
		memcpy(key, next, sizeof(key));
	}
	json_object_del(at, key);
}
