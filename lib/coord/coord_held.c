/* Holding a key, and writing while it is held. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coord/coord_int.h"

#define SECOND INT64_C(1000000)

int64_t
dr_coord_left(const struct dr_held *h)
{
	return h->until - dr_boottime() - h->ttl * SECOND / 10;
}

bool
dr_coord_due(const struct dr_held *h)
{
	return h->until - dr_boottime() <= h->ttl * SECOND * 2 / 3;
}

/* The key is the one that H made, on its lease. */
static bool
is_ours(const struct dr_held *h, const struct dr_etcd_kv *kv)
{
	return kv != NULL && kv->created == h->token && kv->lease == h->lease;
}

static int
lost(struct dr_held *h)
{
	h->until = 0;
	return 0;
}

/* --- taking ------------------------------------------------------------------- */

/* Nobody needs the lease; if etcd cannot be told, it runs out. */
static void
drop_lease(struct dr_coord *c, struct dr_held *h, const struct dr_coord_span *s)
{
	struct dr_err ignored = { 0 };

	dr_coord_next(s);
	if (dr_etcd_revoke(c->etcd, h->lease, &ignored) == 0)
		h->lease = 0;
}

/* 1 H has it, 0 not: then the lease is of no use; -1. */
static int
put_first(struct dr_coord *c, struct dr_held *h, const char *value,
    const struct dr_coord_op *op, size_t n, char **holder,
    const struct dr_coord_span *s, struct dr_err *err)
{
	struct dr_etcd_reply r = { 0 };
	const struct dr_etcd_kv *kv;
	char key[DR_COORD_KEY];
	struct dr_coord_txn t;
	struct dr_etcd_op *o;
	int rc = -1;

	if (dr_coord_txn(c, &t, op, n, h->lease, err) == -1)
		return -1;
	dr_coord_key(c, h->name, key);
	dr_coord_cond(&t, key, DR_ETCD_CREATED, 0);
	dr_coord_was(&t, op, n);
	o = &t.then[t.txn.thens++];
	o->what = DR_ETCD_PUT;
	o->key = key;
	o->value = value;
	o->lease = h->lease;
	dr_coord_else(&t, key);
	dr_coord_next(s);
	if (dr_etcd_txn(c->etcd, &t.txn, &r, err) == -1) {
		/* What was never done needs no looking after. */
		h->doubt = r.open;
		goto out;
	}
	kv = r.succeeded ? NULL : dr_coord_kv(&r, key);
	rc = 1;
	if (r.succeeded)
		h->token = h->modified = r.revision;
	else if (kv != NULL && kv->lease == h->lease) {
		/* An attempt that was not answered has done it. */
		h->token = kv->created;
		h->modified = kv->modified;
	} else {
		rc = 0;
		if (kv != NULL && (*holder = strdup(kv->value)) == NULL)
			rc = dr_err_sys(err, "cannot keep who holds \"%s\"",
			    h->name);
	}

out:
	dr_etcd_wipe(&r);
	return rc;
}

int
dr_coord_take(struct dr_coord *c, const char *name, const char *value, int ttl,
    const struct dr_coord_op *op, size_t n, struct dr_held *h, char **holder,
    struct dr_err *err)
{
	struct dr_coord_span s;
	int64_t asked;
	int rc = -1;

	*holder = NULL;
	dr_coord_begin(c, NULL, &s);
	/* Of a try that may have been done, or be done yet. */
	if (h->lease != 0)
		drop_lease(c, h, &s);
	memset(h, 0, sizeof(*h));
	(void)snprintf(h->name, sizeof(h->name), "%s", name);
	asked = dr_boottime();
	dr_coord_next(&s);
	if (dr_etcd_grant(c->etcd, ttl, &h->lease, &h->ttl, err) == -1)
		goto out;
	rc = put_first(c, h, value, op, n, holder, &s, err);
	if (rc == 1)
		h->until = asked + h->ttl * SECOND;
	else if (!h->doubt)
		drop_lease(c, h, &s);

out:
	dr_coord_end(&s);
	return rc;
}

/* --- keeping ------------------------------------------------------------------ */

/* How the key is now.  1 it is ours, 0 it is not, -1. */
static int
check(struct dr_coord *c, const struct dr_held *h,
    const struct dr_coord_span *s, struct dr_err *err)
{
	char key[DR_COORD_KEY];
	const struct dr_etcd_op get = { .what = DR_ETCD_GET,
		.key = dr_coord_key(c, h->name, key) };
	const struct dr_etcd_txn t = { .then = &get, .thens = 1 };
	struct dr_etcd_reply r = { 0 };
	int rc;

	dr_coord_next(s);
	if ((rc = dr_etcd_txn(c->etcd, &t, &r, err)) == 0)
		rc = is_ours(h, dr_coord_kv(&r, key));
	dr_etcd_wipe(&r);
	return rc;
}

/*
 * A leader of etcd that has been deposed without knowing it keeps leases alive
 * that nobody else knows to live, and one that is new may not know a lease
 * yet.  What the key says, most of the members have agreed upon.
 */
int
dr_coord_renew(struct dr_coord *c, struct dr_held *h, struct dr_err *err)
{
	int64_t asked = dr_boottime();
	struct dr_coord_span s;
	int alive, ours, ttl = 0;

	dr_coord_begin(c, h, &s);
	dr_coord_next(&s);
	alive = dr_etcd_keepalive(c->etcd, h->lease, &ttl, err);
	ours = alive == -1 ? -1 : check(c, h, &s, err);
	dr_coord_end(&s);
	if (ours == -1)
		return -1;
	if (ours == 0)
		return lost(h);
	if (alive == 0)
		return dr_err_set(err, DR_ERETRY,
		    "etcd does not know the lease of \"%s\", which is there",
		    h->name);
	h->ttl = ttl;
	h->until = asked + ttl * SECOND;
	return 1;
}

int
dr_coord_adopt(struct dr_coord *c, const struct dr_coord_key_ *k, int ttl,
    struct dr_held *h, struct dr_err *err)
{
	int rc;

	memset(h, 0, sizeof(*h));
	(void)snprintf(h->name, sizeof(h->name), "%s", k->name);
	h->lease = k->lease;
	h->token = k->created;
	h->modified = k->modified;
	h->ttl = ttl;
	/* Its last write may be on its way. */
	h->doubt = true;
	rc = k->lease == 0 ? 0 : dr_coord_renew(c, h, err);
	if (rc != 1)
		memset(h, 0, sizeof(*h));
	return rc;
}

/* --- writing ------------------------------------------------------------------ */

static void
guard(struct dr_coord_txn *t, const struct dr_held *h, const char *key)
{
	dr_coord_cond(t, key, DR_ETCD_CREATED, h->token);
	dr_coord_cond(t, key, DR_ETCD_LEASE, h->lease);
	dr_coord_cond(t, key, DR_ETCD_MODIFIED, h->modified);
	dr_coord_else(t, key);
}

static void
touch(struct dr_coord_txn *t, const char *key)
{
	struct dr_etcd_op *o;

	for (size_t i = 0; i < t->txn.thens; i++)
		if (strcmp(t->then[i].key, key) == 0)
			return;
	o = &t->then[t->txn.thens++];
	o->what = DR_ETCD_PUT;
	o->key = key;
}

/* 1 done, 2 as far as the key says not done, 0 lost, -1. */
static int
commit(struct dr_coord *c, struct dr_held *h, const struct dr_coord_txn *t,
    const char *key, int64_t *revision, const struct dr_coord_span *s,
    struct dr_err *err)
{
	struct dr_etcd_reply r = { 0 };
	const struct dr_etcd_kv *kv;
	int64_t now;
	int rc = -1;

	dr_coord_next(s);
	if (dr_etcd_txn(c->etcd, &t->txn, &r, err) == -1) {
		h->doubt = h->doubt || r.open;
		goto out;
	}
	kv = dr_coord_kv(&r, key);
	now = r.succeeded ? r.revision : kv == NULL ? 0 : kv->modified;
	rc = now == h->modified ? 2 : 1;
	/*
	 * It has moved, and nobody moves it but us: an attempt of ours was
	 * done, this one unless there was doubt before.  Where there was none,
	 * somebody has adopted the key.
	 */
	if (!r.succeeded &&
	    (!is_ours(h, kv) || (rc == 1 && !r.open && !h->doubt))) {
		rc = lost(h);
		goto out;
	}
	h->modified = now;
	h->doubt = false;
	if (rc == 1 && revision != NULL)
		*revision = now;

out:
	dr_etcd_wipe(&r);
	return rc;
}

/*
 * A write that was not answered may be done yet.  Once the key is touched it
 * will not be; if it was done, that is seen now.
 */
static int
settle(struct dr_coord *c, struct dr_held *h, const char *key,
    const struct dr_coord_span *s, struct dr_err *err)
{
	struct dr_coord_txn t;

	if (!h->doubt)
		return 1;
	if (dr_coord_txn(c, &t, NULL, 0, 0, err) == -1)
		return -1;
	guard(&t, h, key);
	touch(&t, key);
	return commit(c, h, &t, key, NULL, s, err);
}

int
dr_coord_write(struct dr_coord *c, struct dr_held *h,
    const struct dr_coord_op *op, size_t n, int64_t *revision,
    struct dr_err *err)
{
	char key[DR_COORD_KEY];
	struct dr_coord_span s;
	struct dr_coord_txn t;
	int rc;

	dr_coord_key(c, h->name, key);
	dr_coord_begin(c, h, &s);
	if ((rc = settle(c, h, key, &s, err)) <= 0)
		goto out;
	if ((rc = dr_coord_txn(c, &t, op, n, h->lease, err)) == -1)
		goto out;
	guard(&t, h, key);
	dr_coord_was(&t, op, n);
	touch(&t, key);
	if ((rc = commit(c, h, &t, key, revision, &s, err)) == 2)
		rc = 0;

out:
	dr_coord_end(&s);
	return rc;
}

int
dr_coord_release(struct dr_coord *c, struct dr_held *h, struct dr_err *err)
{
	bool insisted;
	int rc;

	if (h->lease == 0)
		return 0;
	insisted = dr_etcd_insist(c->etcd, true);
	rc = dr_etcd_revoke(c->etcd, h->lease, err);
	(void)dr_etcd_insist(c->etcd, insisted);
	if (rc == 0)
		memset(h, 0, sizeof(*h));
	return rc;
}
