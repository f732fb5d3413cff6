#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "store/driver.h"

#define NAME_MAX_BYTES 512

/* Parts of [A-Za-z0-9._-], none empty, none beginning with ".". */
bool
dr_object_name_ok(const char *name)
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                           "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len;

	if (strlen(name) > NAME_MAX_BYTES)
		return false;
	for (;;) {
		len = strspn(name, good);
		if (len == 0 || len > 200 || name[0] == '.')
			return false;
		name += len;
		if (*name == '\0')
			return true;
		if (*name++ != '/')
			return false;
	}
}

/* "" or an object's name and "/". */
static bool
prefix_ok(const char *prefix)
{
	char name[NAME_MAX_BYTES + 1];
	size_t len = strlen(prefix);

	if (len == 0)
		return true;
	if (len > NAME_MAX_BYTES || prefix[len - 1] != '/')
		return false;
	memcpy(name, prefix, len - 1);
	name[len - 1] = '\0';
	return dr_object_name_ok(name);
}

static int
check_name(const char *name, struct dr_err *err)
{
	if (dr_object_name_ok(name))
		return 0;
	errno = EINVAL;
	return dr_err_set(err, DR_EFAIL, "\"%s\" cannot name an object", name);
}

struct dr_store *
dr_store_open(const char *url, struct dr_err *err)
{
	const char *path = url;

	if (strncmp(url, "file:", 5) == 0)
		path = url + 5;
	else if (strstr(url, "://") != NULL) {
		dr_err_set(err, DR_EUSAGE,
		    "\"%s\" is no kind of store that is known here", url);
		dr_err_hint(err, "a store is a directory's path or file:PATH");
		return NULL;
	}
	if (*path == '\0') {
		dr_err_set(err, DR_EUSAGE, "a store cannot have an empty name");
		return NULL;
	}
	return dr_store_dir(path, err);
}

void
dr_store_free(struct dr_store *s)
{
	char *url;

	if (s == NULL)
		return;
	url = s->url;
	s->ops->free(s);
	free(url);
}

const char *
dr_store_url(const struct dr_store *s)
{
	return s->url;
}

struct dr_sink *
dr_store_put(struct dr_store *s, const char *name, struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return NULL;
	return s->ops->put(s, name, err);
}

enum dr_put_result
dr_store_put_small(struct dr_store *s, const char *name, const void *data,
    size_t len, struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return DR_PUT_FAILED;
	return s->ops->put_small(s, name, data, len, err);
}

int
dr_store_stat(struct dr_store *s, const char *name, struct dr_object *obj,
    struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return -1;
	return s->ops->stat(s, name, obj, err);
}

struct dr_blob *
dr_store_get(struct dr_store *s, const char *name, struct dr_err *err)
{
	if (check_name(name, err) == -1)
		return NULL;
	return s->ops->get(s, name, err);
}

int
dr_store_get_small(struct dr_store *s, const char *name, size_t max, char **out,
    size_t *len, struct dr_err *err)
{
	struct dr_object obj;
	struct dr_blob *blob;
	char *data;
	int rc;

	if ((rc = dr_store_stat(s, name, &obj, err)) != 1)
		return rc;
	if ((blob = dr_store_get(s, name, err)) == NULL)
		return -1;
	if (blob->size > max) {
		dr_err_set(err, DR_EDATA, "\"%s\" is larger than %zu bytes",
		    name, max);
		goto fail;
	}
	if ((data = malloc((size_t)blob->size + 1)) == NULL) {
		dr_err_sys(err, "cannot read \"%s\"", name);
		goto fail;
	}
	if (blob->size > 0 &&
	    dr_blob_pread(blob, data, (size_t)blob->size, 0, err) == -1) {
		free(data);
		goto fail;
	}
	data[blob->size] = '\0';
	*out = data;
	*len = (size_t)blob->size;
	dr_blob_free(blob);
	return 1;

fail:
	dr_blob_free(blob);
	return -1;
}

int
dr_store_list(struct dr_store *s, const char *prefix,
    int (*fn)(void *, const struct dr_object *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	assert(prefix_ok(prefix));
	return s->ops->list(s, prefix, fn, arg, err);
}

int
dr_store_dirs(struct dr_store *s, const char *prefix,
    int (*fn)(void *, const char *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	assert(prefix_ok(prefix));
	return s->ops->dirs(s, prefix, fn, arg, err);
}
