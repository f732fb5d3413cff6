#include "flow/walship.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/setconf.h"
#include "flow/state.h"
#include "flow/stores.h"
#include "flow/walship_int.h"
#include "flow/walstate_int.h"

#define JOURNAL_BIG (4U << 20)
#define SLOW_US     1000000 /* no answer for so long: it is away */
#define PATIENCE_MS 30000   /* a server waits, and will ask again */

/* --- opening -------------------------------------------------------------------- */

static int
open_stores(struct dr_ship *s, struct dr_err *err)
{
	const struct dr_ship_opts *o = &s->o;

	if (o->nstores == 0 || o->nstores > DR_SHIP_STORES)
		return dr_err_set(err, DR_EUSAGE, "give 1 to %d stores",
		    DR_SHIP_STORES);
	if (o->require > o->nstores)
		return dr_err_set(err, DR_EUSAGE,
		    "%zu of %zu store%s cannot be required", o->require,
		    o->nstores, dr_plural(o->nstores));
	for (size_t i = 0; i < o->nstores; i++) {
		if ((s->store[i] = dr_store_open(o->stores[i], &s->how, err)) ==
		    NULL)
			return -1;
		if (dr_ship_store(s, dr_store_url(s->store[i])) < s->n)
			return dr_err_set(err, DR_EUSAGE,
			    "store \"%s\" is given twice", o->stores[i]);
		s->n++;
	}
	return dr_regions_check(o->set, s->store, s->n, err);
}

struct dr_ship *
dr_ship_open(const struct dr_ship_opts *o, struct dr_err *err)
{
	struct dr_ship *s;
	bool made;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		dr_err_sys(err, "cannot ship WAL");
		return NULL;
	}
	s->o = *o;
	if (o->how != NULL)
		s->how = *o->how;
	if (s->how.patience_ms == 0)
		s->how.patience_ms = PATIENCE_MS;
	if (open_stores(s, err) == -1 ||
	    (s->key = dr_state_sign_key(o->state, o->sign_key, &made, err)) ==
	        NULL ||
	    (s->state = dr_walstate_open(o->state, o->set, o->system_id,
	         err)) == NULL ||
	    (s->away_path = dr_walstate_path(s->state, "away.json", err)) ==
	        NULL) {
		dr_ship_free(s);
		return NULL;
	}
	return s;
}

void
dr_ship_free(struct dr_ship *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < DR_SHIP_STORES; i++)
		dr_store_free(s->store[i]);
	dr_seal_draft_free(s->draft);
	dr_away_wipe(&s->away);
	free(s->away_path);
	dr_walstate_free(s->state);
	dr_sign_key_free(s->key);
	free(s);
}

const char *
dr_ship_signer(const struct dr_ship *s)
{
	return dr_sign_key_id(s->key);
}

const char *
dr_ship_url(const struct dr_ship *s, size_t i)
{
	return dr_store_url(s->store[i]);
}

void
dr_ship_lock(struct dr_ship *s)
{
	if (s->o.lock_days != 0)
		s->how.lock.until = dr_lock_end(s->o.lock_days);
}

size_t
dr_ship_need(const struct dr_ship *s)
{
	return s->o.require > 0 ? s->o.require : s->n;
}

void
dr_ship_skip(struct dr_ship *s, bool skip[DR_SHIP_STORES])
{
	char when[DR_TIME_LEN];
	size_t left = s->n;
	int64_t until;

	dr_away_read(&s->away, s->away_path);
	for (size_t i = 0; i < s->n; i++) {
		skip[i] =
		    dr_away_is(&s->away, dr_store_url(s->store[i]), &until);
		if (!skip[i])
			continue;
		left--;
		dr_err_clear(&s->bad[i]);
		dr_err_set(&s->bad[i], DR_ERETRY,
		    "it did not answer, and is left alone until %s",
		    dr_format_time(until, when));
	}
	/* One that is needed is asked all the same. */
	if (left < dr_ship_need(s))
		memset(skip, 0, DR_SHIP_STORES * sizeof(*skip));
}

void
dr_ship_heard(struct dr_ship *s, size_t i, bool answer,
    const struct dr_err *why, int64_t usec)
{
	struct dr_err err = { 0 };

	/* What fails at once costs nobody any time. */
	if (!answer && (why->cause != DR_ERETRY || usec < SLOW_US))
		return;
	if (dr_away_note(&s->away, s->away_path, dr_store_url(s->store[i]),
	        answer, &err) == -1)
		dr_warn("%s", err.msg);
}

size_t
dr_ship_store(const struct dr_ship *s, const char *url)
{
	size_t i = 0;

	while (i < s->n && strcmp(dr_store_url(s->store[i]), url) != 0)
		i++;
	return i;
}

char *
dr_ship_name(const struct dr_ship *s, uint32_t tli, const char *name,
    struct dr_err *err)
{
	char *prefix = dr_wal_prefix(s->o.set, s->o.system_id, tli, err);
	char *full = NULL;

	if (prefix != NULL)
		full = dr_fmt(err, "%s%s", prefix, name);
	free(prefix);
	return full;
}

int
dr_ship_hash(struct dr_ship *s, size_t i, const char *object, uint64_t *size,
    char sha256[DR_SHA256_HEX], struct dr_err *err)
{
	struct dr_blob *blob;
	struct dr_object obj;
	int rc;

	if ((rc = dr_store_stat(s->store[i], object, &obj, err)) != 1)
		return rc;
	if ((blob = dr_store_get(s->store[i], object, err)) == NULL)
		return -1;
	*size = blob->size;
	rc = dr_blob_sha256(blob, sha256, err) == 0 ? 1 : -1;
	dr_blob_free(blob);
	return rc;
}

/* --- one object ------------------------------------------------------------------ */

struct put {
	struct dr_ship *s;
	const char *object;
	const struct dr_wal_made *made;
	struct dr_intent *in;
	struct dr_ship_result *r;
	struct dr_journal journal; /* as it was before */
	bool read, conflict;
	bool lost; /* the intent could not be made durable */
};

/* What locations it holds; none for a history or a backup's label. */
static void
range(const struct dr_ship *s, const struct dr_wal_id *id, struct dr_intent *in)
{
	uint32_t segsize = id->increment ? s->o.segsize : id->to;
	uint64_t lsn;

	in->from = in->to = 0;
	if ((id->file.kind == DR_WAL_SEGMENT ||
	        id->file.kind == DR_WAL_PARTIAL) &&
	    dr_wal_segsize_ok(segsize) &&
	    dr_wal_start(&id->file, segsize, &lsn)) {
		in->from = lsn + id->from;
		in->to = lsn + id->to;
	}
}

/*
 * It lies in the Ith store and is our content: of an earlier attempt, or of
 * another process here.  If its very bytes are not in the journal, they go in
 * now, since a ledger has to name them.
 */
static int
adopt(struct put *p, size_t i, struct dr_err *err)
{
	struct dr_intent found = *p->in;
	const char *url = dr_store_url(p->s->store[i]), *known;

	if (!p->read && dr_walstate_read(p->s->state, &p->journal, err) == -1)
		return -1;
	p->read = true;
	if (dr_journal_has(&p->journal, p->in->name, url, &known) == 1)
		return 0;
	if (dr_ship_hash(p->s, i, p->object, &found.size, found.sha256, err) !=
	    1)
		return dr_err_set(err, DR_EFAIL, "\"%s\" is gone from \"%s\"",
		    p->object, url);
	if (strcmp(found.sha256, p->in->sha256) == 0) {
		p->in->store[i].done = true;
		return 0;
	}
	found.n = 1;
	found.store[0] = p->in->store[i];
	found.store[0].done = true;
	if (dr_walstate_intend(p->s->state, &found, err) == -1)
		return -1;
	return dr_walstate_close(p->s->state, &found, err);
}

/* The Ith store has one of that name: 0 where it is ours. */
static int
exists(struct put *p, size_t i, struct dr_err *err)
{
	struct dr_store *store = p->s->store[i];

	switch (dr_wal_same(store, p->object, dr_ship_signer(p->s),
	    p->made->mac, err)) {
	case 1:
		p->r->again = true;
		return adopt(p, i, err);
	case 0:
		p->conflict = p->r->conflict = true;
		dr_err_set(err, DR_EFAIL,
		    "\"%s\" is in \"%s\" already, with other content or of "
		    "another's key",
		    p->object, dr_store_url(store));
		return dr_err_hint(err,
		    "does another server, or one that went back in time, write "
		    "into set \"%s\"?  Nothing was overwritten",
		    p->s->o.set);
	default:
		return dr_err_wrap(err, "\"%s\" is in \"%s\" already",
		    p->object, dr_store_url(store));
	}
}

/* What the Ith store said. */
static int
answered(struct put *p, const struct dr_small *small, size_t i,
    struct dr_err *err)
{
	struct dr_ship *s = p->s;
	struct dr_err why = { 0 };
	bool ok = small->result == DR_PUT_OK;

	if (ok)
		p->in->store[i].done = true;
	else if (small->result == DR_PUT_EXISTS)
		ok = exists(p, i, &why) == 0;
	else
		why = small->err;
	if (ok) {
		p->r->store[i].done = true;
		p->r->done++;
		dr_err_clear(&s->bad[i]);
		return 0;
	}
	p->r->store[i].err = s->bad[i] = why;
	if (why.cause != DR_ESTOP && !p->r->conflict)
		return 0;
	*err = why;
	return -1;
}

static int
intended(void *arg, struct dr_err *err)
{
	struct put *p = arg;

	if (dr_walstate_intended(p->s->state, err) == 0)
		return 0;
	p->lost = true;
	return -1;
}

/* All stores at once; what is not required costs at most the grace. */
static int
fan_out(struct put *p, struct dr_err *err)
{
	struct dr_ship *s = p->s;
	struct dr_small v[DR_SHIP_STORES];
	bool skip[DR_SHIP_STORES];
	size_t at[DR_SHIP_STORES], n = 0;
	struct dr_err why = { 0 };
	int64_t began = dr_monotonic();
	int rc;

	dr_ship_skip(s, skip);
	memset(v, 0, sizeof(v));
	for (size_t i = 0; i < s->n; i++) {
		if (skip[i]) {
			p->r->store[i].err = s->bad[i];
			continue;
		}
		v[n].store = s->store[i];
		v[n].name = p->object;
		v[n].data = p->made->sealed.data;
		v[n].len = p->made->sealed.len;
		v[n].before = intended;
		v[n].arg = p;
		at[n++] = i;
	}
	rc = dr_store_puts(v, n, dr_ship_need(s), DR_SHIP_GRACE_MS, err);
	/* No store may have come as far as to ask. */
	if (intended(p, &why) == -1 && rc == 0) {
		*err = why;
		rc = -1;
	}
	if (p->lost)
		return -1;
	for (size_t j = 0; j < n; j++)
		dr_ship_heard(s, at[j], v[j].result != DR_PUT_FAILED, &v[j].err,
		    dr_monotonic() - began);
	/* Those that have it first: whatever another says, that stays. */
	for (size_t j = 0; j < n; j++)
		if (v[j].result == DR_PUT_OK)
			(void)answered(p, &v[j], at[j], err);
	for (size_t j = 0; j < n && rc == 0; j++)
		if (v[j].result != DR_PUT_OK)
			rc = answered(p, &v[j], at[j], err);
	return rc;
}

static int
judge(const struct put *p, struct dr_err *err)
{
	const struct dr_ship *s = p->s;
	size_t need = dr_ship_need(s), bad = s->n;

	for (size_t i = s->n; i-- > 0;)
		if (!p->r->store[i].done)
			bad = i;
	if (p->r->done >= need || bad == s->n)
		return 0;
	*err = p->r->store[bad].err;
	if (s->n > 1)
		return dr_err_wrap(err,
		    "\"%s\" is in %zu of %zu stores where %zu are required: "
		    "\"%s\"",
		    p->in->name, p->r->done, s->n, need,
		    dr_store_url(s->store[bad]));
	return -1;
}

/*
 * What came of it.  Where one store has it under other bytes, these are of no
 * concern to that store: it is left out.
 */
static void
note(struct put *p)
{
	struct dr_intent said = *p->in;
	struct dr_err why = { 0 };

	said.n = 0;
	for (size_t i = 0; i < p->in->n; i++)
		if (p->in->store[i].done || !p->r->store[i].done)
			said.store[said.n++] = p->in->store[i];
	/* Else the stores are asked, later. */
	if (dr_walstate_close(p->s->state, &said, &why) == -1 &&
	    why.cause != DR_ESTOP)
		dr_warn("%s", why.msg);
}

/* An attempt that reached no store, and was made again. */
static bool
in_vain(void *arg, const struct dr_intent *in)
{
	const struct dr_journal *j = arg;

	if (!in->closed)
		return false;
	for (size_t i = 0; i < in->n; i++)
		if (in->store[i].done)
			return false;
	for (size_t i = j->n; i-- > 0;)
		if (strcmp(j->v[i].name, in->name) == 0)
			return strcmp(j->v[i].sha256, in->sha256) != 0;
	return false;
}

static bool
no_gap(void *arg, const struct dr_wal_gap *g)
{
	(void)arg;
	(void)g;
	return false;
}

/* Hours of attempts while a store is away must not fill the disk. */
static void
trim(struct dr_ship *s)
{
	struct dr_walstate_times t;
	struct dr_journal j = { .n = 0 };
	struct dr_err why = { 0 };

	dr_walstate_times(s->state, &t);
	if (t.journal < JOURNAL_BIG)
		return;
	if (dr_walstate_read(s->state, &j, &why) == -1 ||
	    dr_walstate_compact(s->state, in_vain, no_gap, &j, &why) == -1)
		dr_warn("%s", why.msg);
	dr_journal_wipe(&j);
}

static void
fell_short(struct dr_ship *s)
{
	struct dr_wal_head head;
	struct dr_err ignored = { 0 };

	trim(s);
	(void)dr_walstate_head(s->state, &head, &ignored);
	dr_ship_metrics(s, &head, NULL);
	dr_wal_head_wipe(&head);
}

void
dr_ship_prepare(struct dr_ship *s)
{
	struct dr_err later = { 0 };

	/* What fails now is told when it is needed. */
	if (s->draft == NULL)
		s->draft =
		    dr_seal_draft_new(s->o.cipher, s->o.recipients, &later);
}

int
dr_ship_put(struct dr_ship *s, struct dr_wal_id *id, const void *data,
    size_t len, struct dr_ship_result *r, struct dr_err *err)
{
	const struct dr_wal_opts wo = { .key = s->key,
		.recipients = s->o.recipients,
		.cipher = s->o.cipher,
		.level = s->o.level,
		.workers = s->o.workers,
		.draft = &s->draft };
	struct dr_intent in = { .tli = id->file.tli };
	struct dr_wal_made made = { .line = "" };
	struct put p = { .s = s, .made = &made, .in = &in, .r = r };
	char *object = NULL;
	int rc = -1;

	memset(r, 0, sizeof(*r));
	dr_ship_lock(s);
	if (dr_wal_make(&wo, id, data, len, &made, err) == -1 ||
	    (object = dr_wal_object_name(id, s->o.cipher, err)) == NULL)
		goto out;
	p.object = object;
	in.name = strrchr(object, '/') + 1;
	in.size = made.sealed.len;
	memcpy(in.sha256, made.sha256, sizeof(in.sha256));
	range(s, id, &in);
	for (in.n = 0; in.n < s->n; in.n++) {
		in.store[in.n].url =
		    dr_fmt(err, "%s", dr_store_url(s->store[in.n]));
		if (in.store[in.n].url == NULL)
			goto out;
	}
	if (dr_walstate_intending(s->state, &in, err) == -1)
		goto out;
	if ((rc = fan_out(&p, err)) == -1 && p.lost)
		goto out;
	note(&p);
	if (rc == 0)
		rc = judge(&p, err);
	if (r->done < s->n)
		fell_short(s);

out:
	for (size_t i = 0; i < in.n; i++)
		free(in.store[i].url);
	dr_journal_wipe(&p.journal);
	dr_wal_made_free(&made);
	free(object);
	return rc;
}

int
dr_ship_gap(struct dr_ship *s, const char *store, uint32_t tli, uint64_t from,
    uint64_t to, struct dr_err *err)
{
	struct dr_wal_gap g = { dr_now(), tli, NULL, from, to };
	const char *url = store;
	int rc;

	if (from >= to)
		return 0;
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->o.stores[i], store) == 0)
			url = dr_store_url(s->store[i]);
	if ((g.url = dr_fmt(err, "%s", url)) == NULL)
		return -1;
	rc = dr_walstate_gap(s->state, &g, err);
	free(g.url);
	return rc;
}
