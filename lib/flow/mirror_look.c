/* What a store holds, and what another lacks of it, in little memory. */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "flow/mirror_int.h"

/* Names are a store's own, so two must not collide by anybody's design. */
static int
fingerprint(const char *name, uint64_t size, unsigned char out[16],
    struct dr_err *err)
{
	unsigned char digest[DR_SHA256_LEN], le[8];
	struct dr_sha256 *h;
	int rc = -1;

	if ((h = dr_sha256_new(err)) == NULL)
		return -1;
	dr_put64(le, size);
	if (dr_sha256_add(h, le, sizeof(le), err) == 0 &&
	    dr_sha256_add(h, name, strlen(name), err) == 0 &&
	    dr_sha256_end(h, digest, err) == 0) {
		memcpy(out, digest, 16);
		rc = 0;
	}
	dr_sha256_free(h);
	return rc;
}

static bool
is_json(const char *name)
{
	size_t len = strlen(name);

	return len > 5 && strcmp(name + len - 5, ".json") == 0;
}

static int
grow(struct dr_present *p, struct dr_err *err)
{
	if (p->n == p->cap) {
		size_t cap = p->cap == 0 ? 256 : 2 * p->cap;
		void *v = reallocarray(p->v, cap, sizeof(*p->v));

		if (v == NULL)
			return dr_err_sys(err, "cannot list a store");
		p->v = v;
		p->cap = cap;
	}
	return 0;
}

/* Once more without a size, where that cannot be known before. */
static int
present_add(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct dr_present *p = arg;

	if (grow(p, err) == -1 ||
	    fingerprint(obj->name, obj->size, p->v[p->n++], err) == -1)
		return -1;
	if (!is_json(obj->name))
		return 0;
	return grow(p, err) == -1
	           ? -1
	           : fingerprint(obj->name, UINT64_MAX, p->v[p->n++], err);
}

static int
by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

int
dr_present_add(struct dr_present *p, const char *name, uint64_t size,
    struct dr_err *err)
{
	return grow(p, err) == -1 ? -1
	                          : fingerprint(name, size, p->v[p->n++], err);
}

void
dr_present_sort(struct dr_present *p)
{
	if (p->n > 1)
		qsort(p->v, p->n, sizeof(*p->v), by_bytes);
}

int
dr_present_read(struct dr_store *store, const char *prefix,
    struct dr_present *p, struct dr_err *err)
{
	memset(p, 0, sizeof(*p));
	if (dr_store_list(store, prefix, NULL, present_add, p, err) == -1)
		return -1;
	dr_present_sort(p);
	return 0;
}

bool
dr_present_has(const struct dr_present *p, const char *name, uint64_t size)
{
	struct dr_err ignored = { 0 };
	unsigned char key[16];

	return p->n > 0 && fingerprint(name, size, key, &ignored) == 0 &&
	       bsearch(key, p->v, p->n, sizeof(*p->v), by_bytes) != NULL;
}

bool
dr_present_named(const struct dr_present *p, const char *name)
{
	return dr_present_has(p, name, UINT64_MAX);
}

void
dr_present_wipe(struct dr_present *p)
{
	free(p->v);
	memset(p, 0, sizeof(*p));
}

int
dr_wants_add(struct dr_wants *w, const char *name, uint64_t size,
    struct dr_err *err)
{
	struct dr_want *v = w->v;

	if (w->n == w->cap) {
		size_t cap = w->cap == 0 ? 256 : 2 * w->cap;

		if ((v = reallocarray(v, cap, sizeof(*v))) == NULL)
			return dr_err_sys(err, "cannot note what is lacking");
		w->v = v;
		w->cap = cap;
	}
	memset(&v[w->n], 0, sizeof(*v));
	v[w->n].name = (uint32_t)w->names.len;
	v[w->n].size = size;
	if (dr_buf_add(&w->names, name, strlen(name) + 1, err) == -1)
		return -1;
	w->n++;
	return 0;
}

const char *
dr_want_name(const struct dr_wants *w, const struct dr_want *v)
{
	return w->names.data + v->name;
}

void
dr_wants_wipe(struct dr_wants *w)
{
	dr_buf_free(&w->names);
	free(w->v);
	w->v = NULL;
	w->n = w->cap = 0;
}
