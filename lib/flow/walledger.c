/* Ledgers: made from the journal, signed, chained, and put into the stores. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/publish.h"
#include "flow/walledger.h"
#include "manifest/ledger.h"

#define HOUR    ((int64_t)3600 * 1000000)
#define WEEK    (7 * 24 * HOUR)
#define LOCK_MS 60000

/* One run. */
struct run {
	struct dr_ship *s;
	struct dr_wal_head head; /* n = 0: none yet */
	struct dr_journal j;
	enum dr_fate *fate; /* of each intent */
	bool down[DR_SHIP_STORES];
	size_t owed[DR_SHIP_STORES];
	size_t made;
};

/* --- publishing --------------------------------------------------------------- */

/* The stores of ours that P is owed to and that can be asked: N of them. */
static int
put_ledger(struct run *r, const struct dr_wal_pending *p, struct dr_publish *v,
    const size_t *at, size_t n, struct dr_err *err)
{
	struct dr_signed_file f = { .text = p->text, .minisig = p->minisig };
	char *name = dr_ship_name(r->s, p->head.tli, p->head.name, err);
	int64_t began = dr_monotonic(), took;
	int rc;

	if (name == NULL)
		return -1;
	f.name = name;
	rc = dr_publish(&f, v, n, r->s->o.require, DR_SHIP_GRACE_MS, err);
	took = dr_monotonic() - began;
	free(name);
	for (size_t i = 0; i < n; i++)
		dr_ship_heard(r->s, at[i], v[i].result != DR_PUB_FAILED,
		    &v[i].err, took);
	return rc;
}

/* What came of it in the store AT of ours.  1: it is owed no more. */
static int
paid(struct run *r, const struct dr_wal_pending *p, const struct dr_publish *v,
    size_t at)
{
	if (v->result == DR_PUB_DONE)
		return 1;
	if (v->err.cause == DR_ESTOP)
		return 0;
	dr_warn("cannot put \"%s\" into \"%s\": %s", p->head.name,
	    dr_store_url(r->s->store[at]), v->err.msg);
	/* Trying again will not change it. */
	if (v->result == DR_PUB_OTHER)
		return 1;
	r->down[at] = true;
	r->s->bad[at] = v->err;
	return 0;
}

/* To those of our stores that lack it; what is still owed stays in the state. */
static int
publish(struct run *r, struct dr_wal_pending *p, struct dr_err *err)
{
	bool old = dr_now() - p->head.time > WEEK, gone;
	struct dr_publish v[DR_SHIP_STORES];
	size_t at[DR_SHIP_STORES], of[DR_SHIP_STORES], n = 0, m = 0, k = 0;
	int rc;

	memset(v, 0, sizeof(v));
	for (size_t i = 0; i < p->n && n < DR_SHIP_STORES; i++) {
		at[n] = dr_ship_store(r->s, p->owed[i]);
		if (at[n] == r->s->n || r->down[at[n]])
			continue;
		v[n].store = r->s->store[at[n]];
		of[n++] = i;
	}
	rc = put_ledger(r, p, v, at, n, err);
	for (size_t i = 0; i < p->n; i++) {
		size_t mine = dr_ship_store(r->s, p->owed[i]);

		gone = m < n && of[m] == i && paid(r, p, &v[m], at[m]) == 1;
		m += m < n && of[m] == i;
		if (!gone && old) {
			dr_warn("giving up on putting \"%s\" into \"%s\"",
			    p->head.name, p->owed[i]);
			gone = true;
		}
		if (gone)
			free(p->owed[i]);
		else {
			if (mine < r->s->n)
				r->owed[mine]++;
			p->owed[k++] = p->owed[i];
		}
	}
	gone = k < p->n;
	p->n = k;
	if (gone && rc == 0 && dr_walstate_save(r->s->state, p, err) == -1)
		return -1;
	return rc;
}

static int
publish_pending(struct run *r, struct dr_err *err)
{
	struct dr_wal_pending p;
	uint64_t *v;
	size_t n;
	int rc;

	if (dr_walstate_pending(r->s->state, &v, &n, err) == -1)
		return -1;
	rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		if ((rc = dr_walstate_load(r->s->state, v[i], &p, err)) != 1)
			continue;
		/* A crash may have come between the two. */
		if (p.head.n > r->head.n) {
			struct dr_wal_head was = r->head;

			r->head = p.head;
			if ((r->head.name = dr_fmt(err, "%s", p.head.name)) ==
			    NULL)
				rc = -1;
			dr_wal_head_wipe(&was);
			if (rc == 1)
				rc = dr_walstate_set_head(r->s->state, &r->head,
				         err) == -1
				         ? -1
				         : 1;
		}
		if (rc == 1)
			rc = publish(r, &p, err);
		dr_wal_pending_wipe(&p);
	}
	free(v);
	return rc;
}

/* --- what is to stand in them ----------------------------------------------------- */

/* Do its very bytes lie in the store?  1, 0, -1: it cannot be told. */
static int
look(struct run *r, const struct dr_intent *in, const char *url,
    struct dr_err *err)
{
	size_t at = dr_ship_store(r->s, url);
	char hex[DR_SHA256_HEX], *name;
	struct dr_err why = { 0 };
	uint64_t size;
	int rc;

	if (at == r->s->n || r->down[at])
		return -1;
	if ((name = dr_ship_name(r->s, in->tli, in->name, &why)) == NULL)
		return -1;
	rc = dr_ship_hash(r->s, at, name, &size, hex, &why);
	free(name);
	if (why.cause == DR_ESTOP)
		*err = why;
	else if (rc == -1) {
		r->down[at] = true;
		r->s->bad[at] = why;
	}
	if (rc == 1)
		rc = size == in->size && strcmp(hex, in->sha256) == 0;
	return rc;
}

/*
 * What becomes of an intent now.  Of one whose writer died, or who heard of no
 * success, the stores are asked: a reply may have been lost.
 */
static int
settle(struct run *r, struct dr_intent *in, enum dr_fate *fate,
    struct dr_err *err)
{
	uint64_t self = dr_walstate_writer(r->s->state);
	bool any = false, unsure = false;

	*fate = DR_FATE_KEEP;
	if (!in->closed && in->writer != self &&
	    dr_walstate_alive(r->s->state, in->writer))
		return 0; /* on its way */
	for (size_t i = 0; i < in->n; i++)
		any |= in->store[i].done;
	for (size_t i = 0; (!in->closed || !any) && i < in->n; i++) {
		int there;

		if (in->store[i].done)
			continue;
		there = look(r, in, in->store[i].url, err);
		if (err->cause != DR_OK)
			return -1;
		in->store[i].done = there == 1;
		unsure |= there == -1;
	}
	for (size_t i = 0; i < in->n; i++)
		any |= in->store[i].done;
	if (any)
		*fate = DR_FATE_TAKE;
	else if (!unsure || dr_now() - in->time > WEEK)
		*fate = DR_FATE_DROP;
	return 0;
}

static int
settle_all(struct run *r, struct dr_err *err)
{
	if (dr_walstate_read(r->s->state, &r->j, err) == -1)
		return -1;
	if ((r->fate = calloc(r->j.n + 1, sizeof(*r->fate))) == NULL)
		return dr_err_sys(err, "cannot write a ledger");
	for (size_t i = 0; i < r->j.n; i++)
		if (settle(r, &r->j.v[i], &r->fate[i], err) == -1)
			return -1;
	return 0;
}

/* --- making one --------------------------------------------------------------------- */

/* L, as the next of the chain: signed, kept, and put where it can be. */
static int
issue(struct run *r, struct dr_ledger *l, struct dr_err *err)
{
	struct dr_buf text = { .max = 2 * DR_LEDGER_MAX },
	              sig = { .max = 4096 };
	const struct dr_ship *s = r->s;
	struct dr_wal_pending p = { .n = 0 };
	char *full = NULL;
	int rc = -1;

	(void)snprintf(l->set, sizeof(l->set), "%s", s->o.set);
	(void)snprintf(l->signer, sizeof(l->signer), "%s", dr_ship_signer(s));
	l->system_id = s->o.system_id;
	l->n = r->head.n + 1;
	l->time = dr_now();
	if (r->head.n > 0) {
		if ((l->prev_name = dr_fmt(err, "%s", r->head.name)) == NULL)
			return -1;
		memcpy(l->prev_sha256, r->head.sha256, sizeof(l->prev_sha256));
	}
	p.head.n = l->n;
	p.head.time = l->time;
	p.head.tli = l->tli;
	if ((p.head.name = dr_ledger_name(l, err)) == NULL ||
	    (full = dr_ship_name(s, l->tli, p.head.name, err)) == NULL ||
	    dr_ledger_write(l, &text, err) == -1 ||
	    dr_sha256_hex(text.data, text.len, p.head.sha256, err) == -1 ||
	    dr_sign(s->key, text.data, text.len, full, &sig, err) == -1)
		goto out;
	p.text = text.data; /* its own now */
	p.minisig = sig.data;
	text.data = sig.data = NULL;
	for (size_t i = 0; i < s->n; i++)
		if (dr_wal_pending_add(&p, dr_store_url(s->store[i]), err) ==
		    -1)
			goto out;
	/* And to those that other processes here write to. */
	for (size_t i = 0; i < r->j.n; i++)
		for (size_t k = 0; k < r->j.v[i].n; k++)
			if (dr_ship_store(s, r->j.v[i].store[k].url) == s->n &&
			    dr_wal_pending_add(&p, r->j.v[i].store[k].url,
			        err) == -1)
				goto out;
	if (dr_walstate_save(s->state, &p, err) == -1)
		goto out;
	dr_wal_head_wipe(&r->head);
	r->head = p.head;
	if ((r->head.name = dr_fmt(err, "%s", p.head.name)) == NULL ||
	    dr_walstate_set_head(s->state, &r->head, err) == -1)
		goto out;
	r->made++;
	rc = publish(r, &p, err);

out:
	dr_wal_pending_wipe(&p);
	dr_buf_free(&text);
	dr_buf_free(&sig);
	free(full);
	return rc;
}

/* All that is to be said of one timeline, in as many ledgers as it takes. */
static int
issue_timeline(void *arg, const struct dr_wal_lists *lists, struct dr_err *err)
{
	struct run *r = arg;
	size_t o = 0, g = 0;

	do {
		struct dr_ledger l = { .tli = lists->tli };
		int rc = 0;

		for (; rc == 0 && o < lists->n && l.objects < DR_LEDGER_OBJECTS;
		     o++)
			rc = dr_ledger_add(&l, lists->v[o]->name,
			    lists->v[o]->size, lists->v[o]->sha256, err);
		for (; rc == 0 && g < lists->gaps && l.gaps < DR_LEDGER_GAPS;
		     g++) {
			size_t at = dr_ship_store(r->s, lists->gap[g].store);

			rc = dr_ledger_add_gap(&l, lists->gap[g].store,
			    lists->gap[g].from, lists->gap[g].to, err);
			if (at < r->s->n)
				r->s->gap_bytes[at] +=
				    lists->gap[g].to - lists->gap[g].from;
		}
		if (rc == 0)
			rc = issue(r, &l, err);
		dr_ledger_wipe(&l);
		if (rc == -1)
			return -1;
	} while (o < lists->n || g < lists->gaps);
	return 0;
}

/* --- the whole ------------------------------------------------------------------------ */

static bool
drop(void *arg, const struct dr_intent *in)
{
	const struct run *r = arg;

	for (size_t i = 0; i < r->j.n; i++)
		if (strcmp(r->j.v[i].sha256, in->sha256) == 0 &&
		    strcmp(r->j.v[i].name, in->name) == 0 &&
		    r->j.v[i].time == in->time)
			return r->fate[i] != DR_FATE_KEEP;
	return false;
}

static bool
drop_gap(void *arg, const struct dr_wal_gap *g)
{
	const struct run *r = arg;

	for (size_t i = 0; i < r->j.gaps; i++)
		if (r->j.gap[i].time == g->time && r->j.gap[i].tli == g->tli &&
		    r->j.gap[i].from == g->from && r->j.gap[i].to == g->to &&
		    strcmp(r->j.gap[i].url, g->url) == 0)
			return true;
	return false;
}

static int
run(struct run *r, bool force, struct dr_err *err)
{
	bool some = false;
	struct dr_ledger idle = { .n = 0 };
	int got;

	if ((got = dr_walstate_head(r->s->state, &r->head, err)) == -1 ||
	    publish_pending(r, err) == -1 || settle_all(r, err) == -1)
		return -1;
	for (size_t i = 0; i < r->j.n; i++)
		some |= r->fate[i] == DR_FATE_TAKE;
	some |= r->j.gaps > 0;
	/* The state may have been lost; the chain goes on all the same. */
	if (r->head.n == 0 && (some || force) &&
	    dr_wal_head_find(r->s, &r->head, err) == -1)
		return -1;
	if (some && dr_wal_lists(&r->j, r->fate, issue_timeline, r, err) == -1)
		return -1;
	if (r->j.n + r->j.gaps > 0 &&
	    dr_walstate_compact(r->s->state, drop, drop_gap, r, err) == -1)
		return -1;
	if (r->made == 0 && r->head.n > 0 &&
	    (force || dr_now() - r->head.time >= HOUR ||
	        r->head.time > dr_now())) {
		idle.tli = r->head.tli;
		got = issue(r, &idle, err);
		dr_ledger_wipe(&idle);
		return got;
	}
	return 0;
}

int
dr_ship_ledger(struct dr_ship *s, bool force, struct dr_err *err)
{
	struct run r = { .s = s };
	struct dr_err why = { 0 };
	int lock, rc;

	if (!force && dr_ship_due(s) > 0)
		return 0;
	lock = dr_walstate_ledger_lock(s->state, force ? LOCK_MS : 0, &why);
	if (lock == -1) {
		if (!force && why.cause == DR_ERETRY)
			return 0; /* another does it now */
		*err = why;
		return -1;
	}
	dr_ship_lock(s);
	dr_ship_skip(s, r.down);
	rc = run(&r, force, err);
	close(lock);
	dr_ship_metrics(s, &r.head, r.owed);
	dr_wal_head_wipe(&r.head);
	dr_journal_wipe(&r.j);
	free(r.fate);
	return rc;
}

uint64_t
dr_ship_due(const struct dr_ship *s)
{
	int64_t wait = (int64_t)s->o.ledger_ms * 1000, now = dr_now();
	int64_t due = INT64_MAX, at;
	struct dr_walstate_times t;

	dr_walstate_times(s->state, &t);
	/* Times to come are from before the clock was set back. */
	if (t.oldest > now)
		due = now;
	else if (t.oldest > 0)
		due = t.oldest + wait;
	if (t.newest > 0) {
		at = t.newest > now ? now : t.newest + HOUR;
		due = at < due ? at : due;
	}
	if (t.pending && now < due)
		due = now;
	if (due == INT64_MAX)
		return UINT64_MAX;
	/* What could not be done then is not tried at every call. */
	if (t.tried > 0 && t.tried <= now && due < t.tried + wait)
		due = t.tried + wait;
	return due <= now ? 0 : ((uint64_t)(due - now) + 999) / 1000;
}
