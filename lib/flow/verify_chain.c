#include <stdlib.h>
#include <string.h>

#include "flow/seen.h"
#include "flow/verify_int.h"
#include "manifest/chain.h"
#include "manifest/manifest.h"

struct chains {
	struct dr_verify *v;
	const char *set;
	const struct dr_backups *all;
	struct dr_link *link; /* room for all */
	char (*signer)[DR_KEYID_HEX];
	size_t n, cap;
	bool fault;
};

static int
add_signer(struct chains *c, const char *signer, struct dr_err *err)
{
	void *p;

	if (signer == NULL || strlen(signer) != DR_KEYID_HEX - 1)
		return 0;
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->signer[i], signer) == 0)
			return 0;
	if (c->n == c->cap) {
		c->cap = c->cap * 2 + 4;
		p = reallocarray(c->signer, c->cap, sizeof(*c->signer));
		if (p == NULL)
			return dr_err_sys(err, "cannot list the signers");
		c->signer = p;
	}
	memcpy(c->signer[c->n++], signer, DR_KEYID_HEX);
	return 0;
}

static int
seen(void *arg, const struct dr_seen_at *at, struct dr_err *err)
{
	return add_signer(arg, at->signer, err);
}

static bool
is_first(const struct dr_backups *all, const char *id)
{
	for (size_t i = 0; i < all->n; i++) {
		const json_t *m = all->v[i].manifest;
		const char *why = m ? dr_manifest_str(m, "start") : NULL;

		if (why != NULL && strcmp(all->v[i].id, id) == 0)
			return strcmp(why, "first") == 0;
	}
	return false;
}

static int
report(void *arg, enum dr_chain_what what, const char *id, const char *text,
    struct dr_err *err)
{
	struct chains *c = arg;
	struct dr_finding f = { .what = "chain",
		.store = c->v->store,
		.set = c->set,
		.id = id,
		.text = text };

	f.expected = what == DR_CHAIN_START && is_first(c->all, id);
	f.verdict = dr_chain_fault(what) ? DR_VERDICT_BAD : DR_VERDICT_REMARK;
	c->fault |= dr_chain_fault(what);
	return dr_verify_tell(c->v, &f, err);
}

static int
one_chain(struct chains *c, const char *signer, struct dr_err *err)
{
	const struct dr_from_opts *from = c->v->o->from;
	const struct dr_seen_at at = { .state = from->state,
		.url = c->v->store,
		.set = c->set,
		.signer = signer };
	const struct dr_chain_ops ops = { report, c };
	struct dr_heads before = { .n = 0 }, now = { .n = 0 };
	struct dr_err why = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < c->all->n; i++) {
		const struct dr_backup *b = &c->all->v[i];
		const char *by;

		if (b->manifest == NULL ||
		    (by = dr_manifest_str(b->manifest, "signer")) == NULL ||
		    strcmp(by, signer) != 0)
			continue;
		if (dr_link_from(b->manifest, b->sha256, b->pruned, &c->link[n],
		        &why) == 0)
			n++;
		else if (report(c, DR_CHAIN_ORDER, b->id, why.msg, err) == -1)
			return -1;
		dr_err_clear(&why);
	}
	c->fault = false;
	if (!from->no_signature && dr_seen_heads(&at, &before, err) == -1)
		return -1;
	if (dr_chain_check(c->link, n, &before, &ops, &now, err) == -1)
		return -1;
	/* Unsigned heads could be anybody's. */
	if (c->fault || from->no_signature || now.n == 0)
		return 0;
	return dr_seen_put_heads(&at, &now, err);
}

int
dr_verify_chains(struct dr_verify *v, const char *set,
    const struct dr_backups *all, struct dr_err *err)
{
	struct chains c = { .v = v, .set = set, .all = all };
	const struct dr_seen_at at = { .state = v->o->from->state,
		.url = v->store,
		.set = set };
	int rc = -1;

	if ((c.link = calloc(all->n + 1, sizeof(*c.link))) == NULL)
		return dr_err_sys(err, "cannot check the chain");
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].manifest != NULL &&
		    add_signer(&c,
		        dr_manifest_str(all->v[i].manifest, "signer"),
		        err) == -1)
			goto out;
	if (!v->o->from->no_signature &&
	    dr_seen_each_heads(&at, seen, &c, err) == -1)
		goto out;
	rc = 0;
	for (size_t i = 0; i < c.n && rc == 0; i++)
		rc = one_chain(&c, c.signer[i], err);

out:
	free(c.signer);
	free(c.link);
	return rc;
}
