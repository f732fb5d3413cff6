#include "manifest/chain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct chain {
	const struct dr_link **byid; /* sorted by id */
	const struct dr_link **next; /* of byid[i]: who names it as previous */
	size_t n;
	const struct dr_chain_ops *ops;
};

int
dr_link_from(const json_t *m, const char *sha256, bool pruned,
    struct dr_link *l, struct dr_err *err)
{
	int64_t seq = dr_manifest_int(m, "seq", 0);

	memset(l, 0, sizeof(*l));
	l->id = dr_manifest_str(m, "id");
	l->sha256 = sha256;
	l->signer = dr_manifest_str(m, "signer");
	l->seq = seq > 0 ? (uint64_t)seq : 0;
	l->prev_id = dr_manifest_str(m, "previous.id");
	l->prev_sha256 = dr_manifest_str(m, "previous.sha256");
	l->start = dr_manifest_str(m, "start");
	l->abandoned = json_object_get(m, "abandoned");
	l->pruned = pruned;
	if (l->seq == 0 || l->signer == NULL)
		return dr_err_set(err, DR_EDATA,
		    "manifest %s has no place in a chain", l->id);
	if (l->prev_id == NULL && l->start == NULL)
		return dr_err_set(err, DR_EDATA,
		    "manifest %s starts a chain and does not say why", l->id);
	return 0;
}

bool
dr_chain_fault(enum dr_chain_what what)
{
	return what != DR_CHAIN_START && what != DR_CHAIN_GAP;
}

static int __attribute__((format(printf, 5, 6)))
say(const struct chain *c, enum dr_chain_what what, const char *id,
    struct dr_err *err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return c->ops->report(c->ops->arg, what, id, text, err);
}

static int
by_id(const void *a, const void *b)
{
	const struct dr_link *const *x = a, *const *y = b;

	return strcmp((*x)->id, (*y)->id);
}

static int
by_seq(const void *a, const void *b)
{
	const struct dr_head *x = a, *y = b;

	if (x->seq != y->seq)
		return x->seq < y->seq ? 1 : -1;
	return strcmp(x->id, y->id);
}

/* Where ID stands in byid; n when it does not. */
static size_t
where(const struct chain *c, const char *id)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(c->byid[mid]->id, id) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n && strcmp(c->byid[lo]->id, id) == 0 ? lo : c->n;
}

/* Does L list ID as abandoned, with this hash? */
static bool
abandons(const struct dr_link *l, const char *id, const char *sha256)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(l->abandoned, i, entry) {
		const char *aid =
		    json_string_value(json_object_get(entry, "id"));
		const char *sha =
		    json_string_value(json_object_get(entry, "sha256"));

		if (aid != NULL && sha != NULL && strcmp(aid, id) == 0 &&
		    strcmp(sha, sha256) == 0)
			return true;
	}
	return false;
}

/* Any link may say so: it is known only after the store came back, or not. */
static bool
abandoned(const struct chain *c, const char *id, const char *sha256)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (abandons(c->byid[i], id, sha256))
			return true;
	return false;
}

static int
check_previous(struct chain *c, const struct dr_link *l, struct dr_err *err)
{
	const struct dr_link *p;
	size_t at;

	if (l->prev_id == NULL || l->prev_sha256 == NULL) {
		if (l->seq != 1 &&
		    say(c, DR_CHAIN_ORDER, l->id, err,
		        "manifest %s starts a chain, but with seq %" PRIu64,
		        l->id, l->seq) == -1)
			return -1;
		return say(c, DR_CHAIN_START, l->id, err,
		    "a chain starts at %s: %s", l->id,
		    l->start != NULL ? l->start : "no reason given");
	}
	if ((at = where(c, l->prev_id)) == c->n) {
		if (abandoned(c, l->prev_id, l->prev_sha256))
			return say(c, DR_CHAIN_GAP, l->id, err,
			    "manifest %s was abandoned before it was "
			    "published here",
			    l->prev_id);
		return say(c, DR_CHAIN_HOLE, l->id, err,
		    "manifest %s is missing: %s (seq %" PRIu64 ") follows it",
		    l->prev_id, l->id, l->seq);
	}
	p = c->byid[at];
	if (strcmp(p->sha256, l->prev_sha256) != 0)
		return say(c, DR_CHAIN_REPLACED, p->id, err,
		    "manifest %s is not the one that %s follows", p->id, l->id);
	if (l->seq != p->seq + 1 &&
	    say(c, DR_CHAIN_ORDER, l->id, err,
	        "manifest %s has seq %" PRIu64 " after %s with %" PRIu64, l->id,
	        l->seq, p->id, p->seq) == -1)
		return -1;
	if (c->next[at] != NULL)
		return say(c, DR_CHAIN_FORK, p->id, err,
		    "the chain forks after %s: %s and %s both follow it "
		    "(seq %" PRIu64 ")",
		    p->id, c->next[at]->id, l->id, l->seq);
	c->next[at] = l;
	return 0;
}

/*
 * Two manifests may also follow one that is not here, which is as much a
 * fork: compare them by what they name.
 */
static int
check_lost_fork(struct chain *c, size_t i, struct dr_err *err)
{
	const struct dr_link *a = c->byid[i];
	size_t j;

	if (a->prev_id == NULL || where(c, a->prev_id) != c->n)
		return 0;
	for (j = i + 1; j < c->n; j++) {
		const struct dr_link *b = c->byid[j];

		if (b->prev_id != NULL && strcmp(a->prev_id, b->prev_id) == 0)
			return say(c, DR_CHAIN_FORK, a->prev_id, err,
			    "the chain forks after %s: %s and %s both follow "
			    "it (seq %" PRIu64 ")",
			    a->prev_id, a->id, b->id, b->seq);
	}
	return 0;
}

static int
check_seen(const struct chain *c, const struct dr_heads *seen,
    struct dr_err *err)
{
	size_t i, at;

	for (i = 0; seen != NULL && i < seen->n; i++) {
		const struct dr_head *h = &seen->v[i];
		int rc = 0;

		if ((at = where(c, h->id)) == c->n)
			rc = say(c, DR_CHAIN_VANISHED, h->id, err,
			    "manifest %s (seq %" PRIu64 "), seen here "
			    "earlier, has vanished",
			    h->id, h->seq);
		else if (strcmp(c->byid[at]->sha256, h->sha256) != 0)
			rc = say(c, DR_CHAIN_REPLACED, h->id, err,
			    "manifest %s is not the one seen here earlier",
			    h->id);
		if (rc == -1)
			return -1;
	}
	return 0;
}

/* The newest DR_HEADS_MAX of those that nobody follows. */
static void
find_heads(const struct chain *c, struct dr_heads *heads)
{
	struct dr_head h = { { 0 }, { 0 }, 0 };
	size_t i;

	heads->n = 0;
	for (i = 0; i < c->n; i++) {
		if (c->next[i] != NULL)
			continue;
		(void)snprintf(h.id, sizeof(h.id), "%s", c->byid[i]->id);
		(void)snprintf(h.sha256, sizeof(h.sha256), "%s",
		    c->byid[i]->sha256);
		h.seq = c->byid[i]->seq;
		if (heads->n < DR_HEADS_MAX)
			heads->v[heads->n++] = h;
		else if (by_seq(&h, &heads->v[DR_HEADS_MAX - 1]) < 0)
			heads->v[DR_HEADS_MAX - 1] = h;
		else
			continue;
		qsort(heads->v, heads->n, sizeof(heads->v[0]), by_seq);
	}
}

int
dr_chain_check(const struct dr_link *v, size_t n, const struct dr_heads *seen,
    const struct dr_chain_ops *ops, struct dr_heads *heads, struct dr_err *err)
{
	struct chain c = { NULL, NULL, n, ops };
	size_t i;
	int rc = -1;

	c.byid = calloc(n + 1, sizeof(*c.byid));
	c.next = calloc(n + 1, sizeof(*c.next));
	if (c.byid == NULL || c.next == NULL) {
		dr_err_sys(err, "cannot check the chain");
		goto out;
	}
	for (i = 0; i < n; i++)
		c.byid[i] = &v[i];
	qsort(c.byid, n, sizeof(*c.byid), by_id);
	for (i = 0; i < n; i++)
		if (check_previous(&c, c.byid[i], err) == -1 ||
		    check_lost_fork(&c, i, err) == -1)
			goto out;
	if (check_seen(&c, seen, err) == -1)
		goto out;
	find_heads(&c, heads);
	rc = 0;

out:
	free(c.next);
	free(c.byid);
	return rc;
}
