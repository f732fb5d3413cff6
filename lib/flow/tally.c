#include "flow/tally.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/num.h"

#define MAYBE_MAX 1000000U

struct sum {
	uint64_t lo, hi;
};

struct maybe {
	unsigned char path[16], all[16];
};

struct dr_tally {
	unsigned char path_key[16], all_key[16];
	struct sum sum[2][DR_TALLY_BUCKETS];
	struct maybe *maybe;
	size_t n, cap;
	bool sorted;
};

struct dr_tally *
dr_tally_new(struct dr_err *err)
{
	struct dr_tally *t;

	if ((t = calloc(1, sizeof(*t))) == NULL) {
		dr_err_sys(err, "cannot allocate a tally");
		return NULL;
	}
	if (dr_random(t->path_key, sizeof(t->path_key), err) == -1 ||
	    dr_random(t->all_key, sizeof(t->all_key), err) == -1) {
		free(t);
		return NULL;
	}
	return t;
}

void
dr_tally_free(struct dr_tally *t)
{
	if (t == NULL)
		return;
	free(t->maybe);
	free(t);
}

static void
hash(const struct dr_tally *t, const struct dr_tally_entry *e, struct maybe *m)
{
	unsigned char all[16 + 8 + 4 + 64] = { 0 };

	crypto_shorthash_siphashx24(m->path, (const unsigned char *)e->path,
	    strlen(e->path), t->path_key);
	memcpy(all, m->path, 16);
	dr_put64(all + 16, e->size);
	dr_put32(all + 24, (uint32_t)e->algo);
	if (e->sum_len > 0)
		memcpy(all + 28, e->sum, e->sum_len < 64 ? e->sum_len : 64);
	crypto_shorthash_siphashx24(m->all, all, sizeof(all), t->all_key);
}

void
dr_tally_add(struct dr_tally *t, enum dr_tally_side side,
    const struct dr_tally_entry *e)
{
	struct maybe m;
	struct sum *s;
	uint64_t lo;

	hash(t, e, &m);
	s = &t->sum[side][dr_get32(m.path) % DR_TALLY_BUCKETS];
	lo = dr_get64(m.all);
	s->lo += lo;
	s->hi += dr_get64(m.all + 8) + (s->lo < lo);
}

int
dr_tally_maybe(struct dr_tally *t, const struct dr_tally_entry *e,
    struct dr_err *err)
{
	if (t->n == t->cap) {
		size_t cap = t->cap == 0 ? 64 : t->cap * 2;
		struct maybe *p;

		if (t->n >= MAYBE_MAX)
			return dr_err_set(err, DR_EDATA,
			    "more than %u files of WAL", MAYBE_MAX);
		if ((p = reallocarray(t->maybe, cap, sizeof(*p))) == NULL)
			return dr_err_sys(err, "cannot allocate a tally");
		t->maybe = p;
		t->cap = cap;
	}
	hash(t, e, &t->maybe[t->n++]);
	t->sorted = false;
	return 0;
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct maybe));
}

bool
dr_tally_wanted(struct dr_tally *t, const struct dr_tally_entry *e)
{
	struct maybe m;

	if (t->n == 0)
		return false;
	if (!t->sorted)
		qsort(t->maybe, t->n, sizeof(*t->maybe), compare);
	t->sorted = true;
	hash(t, e, &m);
	return bsearch(&m, t->maybe, t->n, sizeof(m), compare) != NULL;
}

unsigned
dr_tally_bucket(const struct dr_tally *t, const char *path)
{
	unsigned char h[16];

	crypto_shorthash_siphashx24(h, (const unsigned char *)path,
	    strlen(path), t->path_key);
	return dr_get32(h) % DR_TALLY_BUCKETS;
}

int
dr_tally_differs(const struct dr_tally *t)
{
	for (unsigned i = 0; i < DR_TALLY_BUCKETS; i++) {
		const struct sum *a = &t->sum[DR_TALLY_HAVE][i];
		const struct sum *b = &t->sum[DR_TALLY_WANT][i];

		if (a->lo != b->lo || a->hi != b->hi)
			return (int)i;
	}
	return -1;
}
