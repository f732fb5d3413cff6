/* links.c - see links.h.  Open addressing; the names lie in a spool. */
#include "archive/links.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "archive/spool.h"

struct entry {
	uint64_t dev, ino;
	uint64_t at;   /* of the name in the spool */
	uint32_t len;  /* of the name; 0: a free slot */
	uint32_t left; /* names not seen yet */
};

struct dr_links {
	struct entry *v;
	size_t cap, used; /* cap is a power of two */
	struct dr_spool *names;
	char *name;
	size_t name_cap;
};

struct dr_links *
dr_links_new(struct dr_err *e)
{
	struct dr_links *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		dr_err_sys(e, "cannot allocate memory");
		return NULL;
	}
	if ((t->names = dr_spool_new(e)) == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

static size_t
hash(const struct dr_links *t, uint64_t dev, uint64_t ino)
{
	uint64_t h = (ino ^ dev << 32) * 0x9E3779B97F4A7C15U;

	return (size_t)(h >> 20) & (t->cap - 1);
}

/* The slot that holds it, or the free one where it would go. */
static size_t
slot(const struct dr_links *t, uint64_t dev, uint64_t ino)
{
	size_t i = hash(t, dev, ino);

	while (t->v[i].len != 0 && (t->v[i].dev != dev || t->v[i].ino != ino))
		i = (i + 1) & (t->cap - 1);
	return i;
}

static int
grow(struct dr_links *t, struct dr_err *e)
{
	struct dr_links n = *t;
	size_t i;

	n.cap = t->cap == 0 ? 64 : t->cap * 2;
	if ((n.v = calloc(n.cap, sizeof(*n.v))) == NULL)
		return dr_err_sys(e, "cannot allocate memory");
	for (i = 0; i < t->cap; i++)
		if (t->v[i].len != 0)
			n.v[slot(&n, t->v[i].dev, t->v[i].ino)] = t->v[i];
	free(t->v);
	*t = n;
	return 0;
}

/* Close the gap: move up what a later search would not find any more. */
static void
take_out(struct dr_links *t, size_t i)
{
	size_t j = i, home, mask = t->cap - 1;

	for (;;) {
		t->v[i].len = 0;
		do {
			j = (j + 1) & mask;
			if (t->v[j].len == 0) {
				t->used--;
				return;
			}
			home = hash(t, t->v[j].dev, t->v[j].ino);
		} while (((j - home) & mask) < ((j - i) & mask));
		t->v[i] = t->v[j];
		i = j;
	}
}

int
dr_links_find(struct dr_links *t, uint64_t dev, uint64_t ino, const char **path,
    struct dr_err *e)
{
	struct entry *f;
	size_t i;
	char *p;

	if (t->used == 0)
		return 0;
	i = slot(t, dev, ino);
	f = &t->v[i];
	if (f->len == 0)
		return 0;
	if (f->len + 1U > t->name_cap) {
		if ((p = realloc(t->name, f->len + 1U)) == NULL)
			return dr_err_sys(e, "cannot allocate memory");
		t->name = p;
		t->name_cap = f->len + 1U;
	}
	if (dr_spool_read(t->names, f->at, t->name, f->len, e) == -1)
		return -1;
	t->name[f->len] = '\0';
	*path = t->name;
	if (--f->left == 0)
		take_out(t, i);
	if (t->used == 0)
		dr_spool_reset(t->names);
	return 1;
}

int
dr_links_add(struct dr_links *t, uint64_t dev, uint64_t ino, uint64_t nlink,
    const char *path, struct dr_err *e)
{
	size_t len = strlen(path);
	struct entry *f;

	if (nlink < 2 || len == 0)
		return 0;
	if (t->used * 4 >= t->cap * 3 && grow(t, e) == -1)
		return -1;
	f = &t->v[slot(t, dev, ino)];
	if (f->len == 0)
		t->used++;
	f->dev = dev;
	f->ino = ino;
	f->at = dr_spool_size(t->names);
	f->len = (uint32_t)len;
	f->left = nlink - 1 > UINT32_MAX ? UINT32_MAX : (uint32_t)(nlink - 1);
	return dr_spool_add(t->names, path, len, e);
}

void
dr_links_free(struct dr_links *t)
{
	if (t == NULL)
		return;
	dr_spool_free(t->names);
	free(t->name);
	free(t->v);
	free(t);
}
