#include "coord/coord.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/num.h"
#include "coord/coord_int.h"

#define ALL (1U << 30) /* events */

int64_t
dr_boottime(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

struct dr_coord *
dr_coord_open(struct dr_etcd *etcd, const char *set, struct dr_err *err)
{
	struct dr_coord *c;

	if (!dr_set_name_ok(set)) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" is no name of a set", set);
		return NULL;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		dr_err_sys(err, "cannot allocate a set's keys");
		return NULL;
	}
	c->etcd = etcd;
	(void)snprintf(c->set, sizeof(c->set), "%s", set);
	return c;
}

void
dr_coord_free(struct dr_coord *c)
{
	free(c);
}

static char *
key_of(const struct dr_coord *c, const char *root, const char *name,
    char out[DR_COORD_KEY])
{
	int n = snprintf(out, DR_COORD_KEY, "%s/%s/%s", root, c->set, name);

	assert(n > 0 && n < DR_COORD_KEY);
	return out;
}

char *
dr_coord_key(const struct dr_coord *c, const char *name, char out[DR_COORD_KEY])
{
	return key_of(c, "/dr", name, out);
}

/* --- time --------------------------------------------------------------------- */

void
dr_coord_begin(const struct dr_coord *c, const struct dr_held *h,
    struct dr_coord_span *s)
{
	int64_t left, now = dr_monotonic();

	s->etcd = c->etcd;
	s->patience = dr_etcd_patience(c->etcd, 1);
	s->until = now + (int64_t)s->patience * 1000;
	if (h == NULL || (left = h->until - dr_boottime()) <= 0)
		return;
	if (now + left < s->until)
		s->until = now + left;
}

void
dr_coord_next(const struct dr_coord_span *s)
{
	int64_t left = (s->until - dr_monotonic()) / 1000;

	(void)dr_etcd_patience(s->etcd, left < 1 ? 1 : (uint64_t)left);
}

void
dr_coord_end(const struct dr_coord_span *s)
{
	(void)dr_etcd_patience(s->etcd, s->patience);
}

/* --- transactions --------------------------------------------------------------- */

static int
history_key(const struct dr_coord *c, char out[DR_COORD_KEY],
    struct dr_err *err)
{
	char name[DR_TIME_LEN + 18], hex[17];
	unsigned char random[8];

	if (dr_random(random, sizeof(random), err) == -1)
		return -1;
	dr_format_stamp(dr_now(), name);
	(void)snprintf(name + strlen(name), 18, "-%s",
	    dr_hex(random, sizeof(random), hex));
	key_of(c, "/dr-history", name, out);
	return 0;
}

int
dr_coord_txn(const struct dr_coord *c, struct dr_coord_txn *t,
    const struct dr_coord_op *op, size_t n, int64_t lease, struct dr_err *err)
{
	assert(n <= DR_COORD_OPS);
	memset(t, 0, sizeof(*t));
	t->txn.conds = t->cond;
	t->txn.then = t->then;
	t->txn.other = t->other;
	for (size_t i = 0; i < n; i++, op++) {
		struct dr_etcd_op *o = &t->then[t->txn.thens++];

		if (!op->history)
			dr_coord_key(c, op->name, t->key[i]);
		else if (history_key(c, t->key[i], err) == -1)
			return -1;
		o->what = op->value == NULL ? DR_ETCD_DELETE : DR_ETCD_PUT;
		o->key = t->key[i];
		o->value = op->value;
		o->lease = op->leased ? lease : 0;
	}
	return 0;
}

void
dr_coord_cond(struct dr_coord_txn *t, const char *key,
    enum dr_etcd_target target, int64_t number)
{
	struct dr_etcd_if *i = &t->cond[t->txn.n++];

	i->key = key;
	i->target = target;
	i->number = number;
}

void
dr_coord_was(struct dr_coord_txn *t, const struct dr_coord_op *op, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!op[i].history && op[i].was >= 0)
			dr_coord_cond(t, t->key[i], DR_ETCD_MODIFIED,
			    op[i].was);
}

void
dr_coord_else(struct dr_coord_txn *t, const char *key)
{
	struct dr_etcd_op *o = &t->other[t->txn.others++];

	o->what = DR_ETCD_GET;
	o->key = key;
}

const struct dr_etcd_kv *
dr_coord_kv(const struct dr_etcd_reply *r, const char *key)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->kv[i].key, key) == 0)
			return &r->kv[i];
	return NULL;
}

/* --- looking -------------------------------------------------------------------- */

void
dr_coord_look_wipe(struct dr_coord_look *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->key[i].name);
		free(l->key[i].value);
	}
	free(l->key);
	memset(l, 0, sizeof(*l));
}

/* All keys below ROOT/SET/, or those LAST made, newest first. */
static int
look(struct dr_coord *c, const char *root, size_t last, struct dr_coord_look *l,
    struct dr_err *err)
{
	char prefix[DR_COORD_KEY];
	const struct dr_etcd_op get = { .what = DR_ETCD_GET,
		.key = key_of(c, root, "", prefix),
		.prefix = true,
		.last = last };
	const struct dr_etcd_txn t = { .then = &get, .thens = 1 };
	struct dr_etcd_reply r = { 0 };
	size_t skip = strlen(prefix);
	int rc = -1;

	dr_coord_look_wipe(l);
	if (dr_etcd_txn(c->etcd, &t, &r, err) == -1)
		goto out;
	l->revision = r.revision;
	if (r.n > 0 && (l->key = calloc(r.n, sizeof(*l->key))) == NULL) {
		dr_err_sys(err, "cannot look at the keys of \"%s\"", c->set);
		goto out;
	}
	for (; l->n < r.n; l->n++) {
		struct dr_coord_key_ *k = &l->key[l->n];
		struct dr_etcd_kv *kv = &r.kv[l->n];

		if (strncmp(kv->key, prefix, skip) != 0) {
			dr_err_set(err, DR_EDATA,
			    "an answer of etcd makes no sense: key");
			goto out;
		}
		k->created = kv->created;
		k->modified = kv->modified;
		k->lease = kv->lease;
		k->value = kv->value;
		memmove(kv->key, kv->key + skip, strlen(kv->key + skip) + 1);
		k->name = kv->key;
		kv->key = kv->value = NULL; /* they are K's now */
	}
	rc = 0;

out:
	dr_etcd_wipe(&r);
	if (rc == -1)
		dr_coord_look_wipe(l);
	return rc;
}

int
dr_coord_look(struct dr_coord *c, struct dr_coord_look *l, struct dr_err *err)
{
	return look(c, "/dr", 0, l, err);
}

const struct dr_coord_key_ *
dr_coord_find(const struct dr_coord_look *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->key[i].name, name) == 0)
			return &l->key[i];
	return NULL;
}

int
dr_coord_history(struct dr_coord *c, size_t max, struct dr_coord_look *l,
    struct dr_err *err)
{
	if (look(c, "/dr-history", max == 0 || max > ALL ? ALL : max, l, err) ==
	    -1)
		return -1;
	for (size_t i = 0; i < l->n / 2; i++) {
		struct dr_coord_key_ k = l->key[i];

		l->key[i] = l->key[l->n - 1 - i];
		l->key[l->n - 1 - i] = k;
	}
	return 0;
}

/* --- writing without a holder ------------------------------------------------------ */

/*
 * What the keys of OPs are now: those that may be anything have to be still
 * as they are then, so that a request that is done late does nothing.
 */
static int
look_before(struct dr_coord *c, struct dr_coord_op *op, size_t n,
    const struct dr_coord_span *s, struct dr_err *err)
{
	char key[DR_COORD_OPS][DR_COORD_KEY];
	struct dr_etcd_op get[DR_COORD_OPS] = { { 0 } };
	struct dr_etcd_txn t = { .then = get };
	struct dr_etcd_reply r = { 0 };
	int rc;

	for (size_t i = 0; i < n; i++)
		if (!op[i].history && op[i].was < 0)
			get[t.thens++].key =
			    dr_coord_key(c, op[i].name, key[i]);
	if (t.thens == 0)
		return 0;
	dr_coord_next(s);
	if ((rc = dr_etcd_txn(c->etcd, &t, &r, err)) == 0)
		for (size_t i = 0; i < n; i++) {
			const struct dr_etcd_kv *kv;

			if (op[i].history || op[i].was >= 0)
				continue;
			kv = dr_coord_kv(&r, key[i]);
			op[i].was = kv == NULL ? 0 : kv->modified;
		}
	dr_etcd_wipe(&r);
	return rc;
}

/* Is there what the transaction would have made? */
static bool
is_done(const struct dr_coord_txn *t, const struct dr_coord_op *op, size_t n,
    const struct dr_etcd_reply *r)
{
	for (size_t i = 0; i < n; i++) {
		const struct dr_etcd_kv *kv = dr_coord_kv(r, t->key[i]);

		if ((kv == NULL) != (op[i].value == NULL))
			return false;
		if (kv != NULL &&
		    (strcmp(kv->value, op[i].value) != 0 ||
		        (!op[i].history && kv->modified == op[i].was)))
			return false;
	}
	return true;
}

/* As dr_coord_put; 2: others were faster at what may be anything. */
static int
put_once(struct dr_coord *c, const struct dr_coord_op *given, size_t n,
    int64_t *revision, const struct dr_coord_span *s, struct dr_err *err)
{
	struct dr_coord_op op[DR_COORD_OPS];
	struct dr_etcd_reply r = { 0 };
	struct dr_coord_txn t;
	int rc = -1;

	assert(n > 0 && n <= DR_COORD_OPS);
	memcpy(op, given, n * sizeof(*op));
	if (look_before(c, op, n, s, err) == -1 ||
	    dr_coord_txn(c, &t, op, n, 0, err) == -1)
		return -1;
	dr_coord_was(&t, op, n);
	for (size_t i = 0; i < n; i++)
		dr_coord_else(&t, t.key[i]);
	dr_coord_next(s);
	if (dr_etcd_txn(c->etcd, &t.txn, &r, err) == -1)
		goto out;
	rc = r.succeeded || (r.open && is_done(&t, op, n, &r));
	if (rc == 1 && revision != NULL) {
		*revision = r.succeeded ? r.revision : 0;
		for (size_t i = 0; i < r.n; i++)
			if (r.kv[i].modified > *revision)
				*revision = r.kv[i].modified;
	}
	if (rc == 1)
		goto out;
	rc = 2;
	for (size_t i = 0; i < n; i++) {
		const struct dr_etcd_kv *kv = dr_coord_kv(&r, t.key[i]);

		if (!given[i].history && given[i].was >= 0 &&
		    given[i].was != (kv == NULL ? 0 : kv->modified))
			rc = 0;
	}

out:
	dr_etcd_wipe(&r);
	return rc;
}

int
dr_coord_put(struct dr_coord *c, const struct dr_coord_op *op, size_t n,
    int64_t *revision, struct dr_err *err)
{
	struct dr_coord_span s;
	int rc = 2;

	dr_coord_begin(c, NULL, &s);
	while (rc == 2 && dr_monotonic() < s.until)
		rc = put_once(c, op, n, revision, &s, err);
	dr_coord_end(&s);
	if (rc != 2)
		return rc;
	return dr_err_set(err, DR_ERETRY,
	    "others write the same keys of \"%s\" all the time", c->set);
}
