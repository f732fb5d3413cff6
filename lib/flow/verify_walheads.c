/* Which ledgers are the newest: was it so before, and how old are they? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "flow/seen.h"
#include "flow/verify_int.h"

static int
check_seen(struct dr_verify_wal *w, const struct dr_seen_at *at,
    struct dr_err *err)
{
	const struct dr_wal_link *same = NULL;
	struct dr_seen_ledger seen;
	char text[512];
	int rc;

	if ((rc = dr_seen_ledger(at, &seen, err)) != 1)
		return rc;
	for (size_t i = 0; i < w->cat.links; i++) {
		const struct dr_wal_link *l = &w->cat.link[i];

		if (strcmp(l->signer, at->signer) == 0 && l->n == seen.n &&
		    (same == NULL || strcmp(l->sha256, seen.sha256) == 0))
			same = l;
	}
	if (same != NULL && strcmp(same->sha256, seen.sha256) == 0)
		return 0;
	(void)snprintf(text, sizeof(text),
	    same == NULL ? "\"%s\", seen here earlier, is gone"
	                 : "\"%s\", seen here earlier, is another now",
	    seen.name);
	return dr_verify_wal_tell(w, "ledger", DR_VERDICT_BAD, text, NULL, err);
}

static int
keep(const struct dr_seen_at *at, const struct dr_wal_link *l,
    struct dr_err *err)
{
	struct dr_seen_ledger now = { .n = l->n };

	(void)snprintf(now.name, sizeof(now.name), "%s",
	    strrchr(l->name, '/') + 1);
	memcpy(now.sha256, l->sha256, sizeof(now.sha256));
	return dr_seen_put_ledger(at, &now, err);
}

static int
too_old(struct dr_verify_wal *w, struct dr_err *err)
{
	char text[128], old[DR_SIZE_LEN];
	int64_t ms = (dr_now() - w->cat.newest) / 1000;

	if (w->v->o->max_age == 0 || w->cat.entries == 0)
		return 0;
	if (w->cat.links == 0)
		return dr_verify_wal_tell(w, "ledger", DR_VERDICT_OLD,
		    "no ledger of its WAL", NULL, err);
	if (ms <= 0 || (uint64_t)ms <= w->v->o->max_age)
		return 0;
	(void)snprintf(text, sizeof(text), "the newest ledger is %s old",
	    dr_format_msec((uint64_t)ms, old));
	return dr_verify_wal_tell(w, "ledger", DR_VERDICT_OLD, text, NULL, err);
}

int
dr_verify_wal_heads(struct dr_verify_wal *w, struct dr_err *err)
{
	const struct dr_walcat *c = &w->cat;
	struct dr_seen_at at = { .state = w->v->o->from->state,
		.url = w->v->store,
		.set = w->set,
		.system_id = c->system_id };

	if (w->keys != NULL)
		for (size_t i = 0; i < c->links; i++) {
			/* The last of each signer's. */
			if (i + 1 < c->links && strcmp(c->link[i].signer,
			                            c->link[i + 1].signer) == 0)
				continue;
			at.signer = c->link[i].signer;
			if (check_seen(w, &at, err) == -1)
				return -1;
		}
	for (size_t i = 0; w->keys != NULL && !w->bad && i < c->links; i++) {
		at.signer = c->link[i].signer;
		if ((i + 1 == c->links || strcmp(c->link[i].signer,
		                              c->link[i + 1].signer) != 0) &&
		    keep(&at, &c->link[i], err) == -1)
			return -1;
	}
	return too_old(w, err);
}

/* --- what is not there at all -------------------------------------------------- */

int
dr_verify_wal_met(struct dr_verify_wal *w, struct dr_err *err)
{
	const struct dr_walcat *c = &w->cat;
	struct dr_verify_met *m = w->met;

	for (size_t i = 0; i < c->links; i++) {
		void *more;

		if (i > 0 &&
		    strcmp(c->link[i].signer, c->link[i - 1].signer) == 0)
			continue;
		if ((more = reallocarray(m->v, m->n + 1, sizeof(*m->v))) ==
		    NULL)
			return dr_err_sys(err, "cannot list the signers");
		m->v = more;
		m->v[m->n].system_id = c->system_id;
		memcpy(m->v[m->n].signer, c->link[i].signer,
		    sizeof(m->v[m->n].signer));
		m->n++;
	}
	return 0;
}

static int
still_there(void *arg, const struct dr_seen_at *at, struct dr_err *err)
{
	struct dr_verify_wal *w = arg;

	for (size_t i = 0; i < w->met->n; i++)
		if (w->met->v[i].system_id == at->system_id &&
		    strcmp(w->met->v[i].signer, at->signer) == 0)
			return 0;
	(void)snprintf(w->id, sizeof(w->id), "%llu",
	    (unsigned long long)at->system_id);
	return check_seen(w, at, err);
}

int
dr_verify_wal_vanished(struct dr_verify_wal *w, struct dr_err *err)
{
	const struct dr_seen_at at = { .state = w->v->o->from->state,
		.url = w->v->store,
		.set = w->set };

	return dr_seen_each_ledger(&at, still_there, w, err);
}
