#include "flow/walcat.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "flow/catalogue.h"
#include "flow/walcat_int.h"
#include "flow/walobj.h"

/* --- small things --------------------------------------------------------------- */

int
dr_walcat_fault(struct dr_walcat_run *r, struct dr_err *err, const char *fmt,
    ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->out->faults++;
	(void)dr_err_set(&r->out->bad, DR_EDATA, "%s", text);
	return r->report == NULL ? 0 : r->report(r->arg, text, err);
}

/* Room for one more after N of SIZE bytes each, doubling. */
static void *
grow(void *v, size_t n, size_t size)
{
	if ((n & (n - 1)) != 0)
		return v;
	return reallocarray(v, n == 0 ? 1 : 2 * n, size);
}

static uint32_t
size32(uint64_t size)
{
	/* No object of ours is as large. */
	return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

static bool
is(const struct dr_walcat *c, const struct dr_wal_entry *e, uint32_t size,
    const unsigned char sha256[DR_SHA256_LEN])
{
	const struct dr_wal_hash *h;

	if (!e->vouched)
		return false;
	if (e->size == size && memcmp(e->sha256, sha256, DR_SHA256_LEN) == 0)
		return true;
	for (uint32_t i = e->other; i != 0; i = h->next) {
		h = &c->other[i - 1];
		if (h->size == size &&
		    memcmp(h->sha256, sha256, DR_SHA256_LEN) == 0)
			return true;
	}
	return false;
}

bool
dr_wal_entry_is(const struct dr_walcat *c, const struct dr_wal_entry *e,
    uint64_t size, const char sha256[DR_SHA256_HEX])
{
	unsigned char bin[DR_SHA256_LEN];

	return dr_unhex(sha256, sizeof(bin), bin) &&
	       is(c, e, size32(size), bin);
}

static void
file_of(const struct dr_wal_entry *e, struct dr_wal_file *f)
{
	memset(f, 0, sizeof(*f));
	f->kind = (enum dr_wal_kind)e->kind;
	f->tli = e->tli;
	f->log = e->log;
	f->seg = e->seg;
	f->offset = f->kind == DR_WAL_BACKUP ? e->at : 0;
}

char *
dr_wal_entry_name(const struct dr_walcat *c, const struct dr_wal_entry *e,
    struct dr_err *err)
{
	struct dr_wal_id id = { .set = c->set,
		.system_id = c->system_id,
		.increment = e->increment,
		.from = e->at,
		.to = e->end };

	file_of(e, &id.file);
	if (id.file.kind == DR_WAL_HISTORY)
		(void)snprintf(id.name, sizeof(id.name), "%08X.history",
		    e->tli);
	else
		(void)snprintf(id.name, sizeof(id.name), "%08X%08X%08X", e->tli,
		    e->log, e->seg);
	if (id.file.kind == DR_WAL_PARTIAL)
		(void)snprintf(id.name + 24, sizeof(id.name) - 24, ".partial");
	if (id.file.kind == DR_WAL_BACKUP)
		(void)snprintf(id.name + 24, sizeof(id.name) - 24,
		    ".%08X.backup", e->at);
	return dr_wal_object_name(&id,
	    e->cipher ? DR_CIPHER_AES : DR_CIPHER_AGE, err);
}

void
dr_wal_entry_range(const struct dr_walcat *c, const struct dr_wal_entry *e,
    uint64_t *from, uint64_t *to)
{
	struct dr_wal_file f;

	file_of(e, &f);
	*from = *to = 0;
	if (f.kind == DR_WAL_HISTORY || !dr_wal_start(&f, c->segsize, from) ||
	    (e->increment && e->end > c->segsize)) {
		*from = 0;
		return;
	}
	*to = *from;
	if (f.kind == DR_WAL_BACKUP)
		*to = *from += e->at;
	else if (e->increment) {
		*to += e->end;
		*from += e->at;
	} else
		*to += c->segsize;
}

/* 0: no WAL object. */
static int
parse(const struct dr_walcat_run *r, const char *object, struct dr_wal_entry *e)
{
	struct dr_wal_id id;
	enum dr_cipher cipher;

	memset(e, 0, sizeof(*e));
	if (dr_wal_object_parse(r->set, object, &id, &cipher) == 0 ||
	    id.system_id != r->out->system_id)
		return 0;
	e->kind = (unsigned)id.file.kind & 3U;
	e->cipher = cipher == DR_CIPHER_AES;
	e->increment = id.increment;
	e->tli = id.file.tli;
	e->log = id.file.log;
	e->seg = id.file.seg;
	if (id.increment) {
		e->at = id.from;
		e->end = id.to;
	} else if (id.file.kind == DR_WAL_BACKUP)
		e->at = id.file.offset;
	return 1;
}

/* --- the listing ------------------------------------------------------------------ */

static int
note(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct dr_walcat_run *r = arg;
	struct dr_walcat *out = r->out;
	const char *slash = strrchr(obj->name, '/');
	struct dr_ledger named;
	struct dr_wal_entry e, *more;
	char **names;

	if (slash != NULL && dr_ledger_name_parse(slash + 1, &named) == 1) {
		if ((names = grow(r->ledger, r->ledgers, sizeof(*names))) ==
		    NULL)
			return dr_err_sys(err, "cannot list the ledgers");
		r->ledger = names;
		if ((names[r->ledgers] = dr_fmt(err, "%s", obj->name)) == NULL)
			return -1;
		r->ledgers++;
		return 0;
	}
	if (parse(r, obj->name, &e) == 0)
		return 0;
	e.size = size32(obj->size);
	e.time = e.mtime = obj->mtime;
	e.listed = true;
	if ((more = grow(out->entry, out->entries, sizeof(*more))) == NULL)
		return dr_err_sys(err, "cannot list the WAL");
	out->entry = more;
	more[out->entries++] = e;
	return 0;
}

static int
cmp(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

/* As what follows a segment's name: .8 digits, .partial, nothing. */
static uint32_t
rank(const struct dr_wal_entry *e)
{
	return e->increment || e->kind == DR_WAL_BACKUP ? 0
	       : e->kind == DR_WAL_PARTIAL              ? 1
	                                                : 2;
}

/* As their names are. */
static int
by_name(const void *a, const void *b)
{
	const struct dr_wal_entry *x = a, *y = b;
	bool hx = x->kind == DR_WAL_HISTORY, hy = y->kind == DR_WAL_HISTORY;
	int c;

	if ((c = cmp(x->tli, y->tli)) != 0)
		return c;
	if (hx != hy)
		return hx ? -1 : 1;
	if ((c = cmp(x->log, y->log)) != 0 || (c = cmp(x->seg, y->seg)) != 0 ||
	    (c = cmp(rank(x), rank(y))) != 0 || (c = cmp(x->at, y->at)) != 0 ||
	    (c = cmp(y->increment, x->increment)) != 0 ||
	    (c = cmp(x->end, y->end)) != 0)
		return c;
	return cmp(x->cipher, y->cipher);
}

/* Stores list in order: most often there is nothing to do. */
static void
sort(struct dr_walcat *c)
{
	for (size_t i = 1; i < c->entries; i++) {
		if (by_name(&c->entry[i - 1], &c->entry[i]) <= 0)
			continue;
		qsort(c->entry, c->entries, sizeof(*c->entry), by_name);
		return;
	}
}

/* --- ledgers ------------------------------------------------------------------------- */

static int
add_hash(struct dr_walcat *c, struct dr_wal_entry *e, uint32_t size,
    const unsigned char sha256[DR_SHA256_LEN], int64_t time, struct dr_err *err)
{
	struct dr_wal_hash *h;

	if (!e->vouched) {
		e->vouched = true;
		e->size = size;
		e->time = time;
		memcpy(e->sha256, sha256, DR_SHA256_LEN);
		return 0;
	}
	if (time < e->time)
		e->time = time;
	if (is(c, e, size, sha256))
		return 0;
	if (c->others == UINT32_MAX - 1 ||
	    (h = grow(c->other, c->others, sizeof(*h))) == NULL)
		return dr_err_sys(err, "cannot list the WAL");
	c->other = h;
	h += c->others++;
	h->size = size;
	memcpy(h->sha256, sha256, DR_SHA256_LEN);
	h->next = e->other;
	e->other = (uint32_t)c->others;
	return 0;
}

/* The first LISTED entries are sorted by name; what is not there follows. */
static int
vouch(struct dr_walcat_run *r, size_t listed, const struct dr_ledger *l,
    const struct dr_ledger_object *o, const char *name, struct dr_err *err)
{
	struct dr_walcat *out = r->out;
	struct dr_wal_entry e, *at, *more;
	unsigned char sha256[DR_SHA256_LEN];
	char *prefix, *object = NULL;
	int rc = -1;

	if ((prefix = dr_wal_prefix(r->set, l->system_id, l->tli, err)) ==
	        NULL ||
	    (object = dr_fmt(err, "%s%s", prefix, o->name)) == NULL)
		goto out;
	if (parse(r, object, &e) == 0 ||
	    !dr_unhex(o->sha256, sizeof(sha256), sha256)) {
		rc = dr_walcat_fault(r, err, "\"%s\" names \"%s\", no WAL",
		    name, object);
		goto out;
	}
	at = listed == 0 ? NULL
	                 : bsearch(&e, out->entry, listed, sizeof(e), by_name);
	if (at == NULL) {
		more = grow(out->entry, out->entries, sizeof(*more));
		if (more == NULL) {
			dr_err_sys(err, "cannot list the WAL");
			goto out;
		}
		out->entry = more;
		at = &more[out->entries++];
		*at = e;
	}
	rc = add_hash(out, at, size32(o->size), sha256, l->time, err);

out:
	free(prefix);
	free(object);
	return rc;
}

/* Sort them; one that is missing may have been named more than once. */
static int
settle(struct dr_walcat *c, struct dr_err *err)
{
	const struct dr_wal_hash *h;
	struct dr_wal_entry *last;
	size_t n = 0;

	sort(c);
	for (size_t i = 0; i < c->entries; i++) {
		const struct dr_wal_entry *e = &c->entry[i];

		last = n == 0 ? NULL : &c->entry[n - 1];
		if (last == NULL || by_name(last, e) != 0) {
			c->entry[n++] = *e;
			continue;
		}
		if (add_hash(c, last, e->size, e->sha256, e->time, err) == -1)
			return -1;
		for (uint32_t k = e->other; k != 0; k = h->next) {
			h = &c->other[k - 1];
			if (add_hash(c, last, h->size, h->sha256, e->time,
			        err) == -1)
				return -1;
			h = &c->other[k - 1]; /* it may have moved */
		}
	}
	c->entries = n;
	return 0;
}

/* Does it belong where it lies?  Else why not. */
static const char *
misplaced(const struct dr_walcat_run *r, const struct dr_ledger *l,
    const char *name, const char *signer)
{
	const char *last = strrchr(name, '/') + 1;
	struct dr_ledger says = { .n = 0 };
	struct dr_err ignored = { 0 };
	char *prefix;
	bool here;

	if (strcmp(l->set, r->set) != 0)
		return "is of another set";
	if (l->system_id != r->out->system_id)
		return "is of another system id";
	if (dr_ledger_name_parse(last, &says) == 0 || says.n != l->n)
		return "has another number than its name";
	if (strcmp(says.signer, l->signer) != 0 ||
	    (signer[0] != '\0' && strcmp(signer, l->signer) != 0))
		return "names another signer than its own";
	if (says.time != l->time - l->time % 1000000)
		return "has another time than its name";
	prefix = dr_wal_prefix(r->set, l->system_id, l->tli, &ignored);
	here = prefix != NULL && strncmp(prefix, name, strlen(prefix)) == 0 &&
	       strlen(prefix) == (size_t)(last - name);
	free(prefix);
	return here ? NULL : "is of another timeline";
}

static int
believe(struct dr_walcat_run *r, size_t listed, const char *name,
    const struct dr_ledger *l, const char *sha256, struct dr_err *err)
{
	struct dr_walcat *out = r->out;
	struct dr_wal_link *link;
	struct dr_ledger_gap *gap;

	if ((link = grow(out->link, out->links, sizeof(*link))) == NULL)
		return dr_err_sys(err, "cannot list the ledgers");
	out->link = link;
	link += out->links;
	memset(link, 0, sizeof(*link));
	memcpy(link->signer, l->signer, sizeof(link->signer));
	memcpy(link->sha256, sha256, sizeof(link->sha256));
	memcpy(link->prev_sha256, l->prev_sha256, sizeof(link->prev_sha256));
	link->n = l->n;
	link->time = l->time;
	if (l->time > out->newest)
		out->newest = l->time;
	if ((link->name = dr_fmt(err, "%s", name)) == NULL)
		return -1;
	out->links++;
	if (l->prev_name != NULL &&
	    (link->prev_name = dr_fmt(err, "%s", l->prev_name)) == NULL)
		return -1;
	for (size_t i = 0; i < l->objects; i++)
		if (vouch(r, listed, l, &l->object[i], name, err) == -1)
			return -1;
	for (size_t i = 0; i < l->gaps; i++) {
		gap = grow(out->gap, out->gaps, sizeof(*gap));
		if (gap == NULL)
			return dr_err_sys(err, "cannot list the gaps");
		out->gap = gap;
		gap[out->gaps] = l->gap[i];
		gap[out->gaps].store = dr_fmt(err, "%s", l->gap[i].store);
		if (gap[out->gaps].store == NULL)
			return -1;
		out->gaps++;
	}
	return 0;
}

int
dr_walcat_ledger(struct dr_walcat_run *r, size_t listed, const char *name,
    const char *hash, struct dr_err *err)
{
	char *text = NULL, *sig = NULL, signer[DR_KEYID_HEX];
	char sha256[DR_SHA256_HEX];
	struct dr_err why = { 0 };
	struct dr_ledger l = { .n = 0 };
	size_t len, sig_len;
	const char *wrong;
	int rc = 0;

	if (hash == NULL) {
		rc = dr_signed_read(r->store, name, DR_LEDGER_MAX, r->keys,
		    &text, &len, &sig, &sig_len, signer, &why);
		if (rc == 0)
			dr_err_set(&why, DR_EDATA, "\"%s\" is gone", name);
	}
	if (rc != 1 && r->keys != NULL &&
	    (hash != NULL || why.cause == DR_EDATA)) {
		rc = dr_walcat_ledger_beneath(r, name, hash, &text, &len,
		    signer, err);
		if (rc == -1 || (rc == 0 && hash != NULL))
			return rc;
		if (rc == 1)
			dr_err_clear(&why);
	}
	if (rc == 1 && dr_ledger_parse(text, len, name, &l, &why) == 0 &&
	    (wrong = misplaced(r, &l, name, signer)) != NULL)
		dr_err_set(&why, DR_EDATA, "\"%s\" %s", name, wrong);
	/* A store that is away makes no ledger bad. */
	if (why.cause != DR_OK && why.cause != DR_EDATA) {
		*err = why;
		rc = -1;
	} else if (why.cause == DR_EDATA)
		rc = dr_walcat_fault(r, err, "%s", why.msg);
	else if ((rc = dr_sha256_hex(text, len, sha256, err)) == 0 &&
	         (rc = believe(r, listed, name, &l, sha256, err)) == 0)
		rc = 1;
	dr_ledger_wipe(&l);
	free(text);
	free(sig);
	return rc;
}

/* --- the whole ------------------------------------------------------------------------- */

int
dr_walcat_read(struct dr_store *store, const char *set, uint64_t system_id,
    uint32_t segsize, const struct dr_verify_keys *keys,
    int (*report)(void *, const char *, struct dr_err *), void *arg,
    struct dr_walcat *out, struct dr_err *err)
{
	struct dr_walcat_run r = { .store = store,
		.set = set,
		.keys = keys,
		.report = report,
		.arg = arg,
		.out = out };
	char *prefix = NULL;
	size_t listed;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	out->set = set;
	out->system_id = system_id;
	out->segsize = segsize;
	if ((prefix = dr_wal_prefix(set, system_id, 0, err)) == NULL ||
	    dr_store_list(store, prefix, NULL, note, &r, err) == -1)
		goto out;
	sort(out);
	listed = out->entries;
	for (size_t i = 0; i < r.ledgers; i++)
		if (dr_walcat_ledger(&r, listed, r.ledger[i], NULL, err) == -1)
			goto out;
	if (dr_walcat_seek_ledgers(&r, listed, err) == -1)
		goto out;
	if (settle(out, err) == -1 || dr_walcat_seek_wal(&r, err) == -1 ||
	    dr_walcat_chain(&r, err) == -1 || dr_walcat_maps(out, err) == -1)
		goto out;
	rc = 0;

out:
	for (size_t i = 0; i < r.ledgers; i++)
		free(r.ledger[i]);
	free(r.ledger);
	free(prefix);
	if (rc == -1)
		dr_walcat_free(out);
	return rc;
}

void
dr_walcat_free(struct dr_walcat *c)
{
	for (size_t i = 0; i < c->timelines; i++) {
		dr_walmap_free(&c->timeline[i].map);
		dr_walmap_free(&c->timeline[i].vouched);
	}
	for (size_t i = 0; i < c->gaps; i++)
		free(c->gap[i].store);
	for (size_t i = 0; i < c->links; i++) {
		free(c->link[i].name);
		free(c->link[i].prev_name);
	}
	free(c->entry);
	free(c->other);
	free(c->timeline);
	free(c->gap);
	free(c->link);
	memset(c, 0, sizeof(*c));
}

const struct dr_wal_entry *
dr_walcat_whole(const struct dr_walcat *c, const struct dr_wal_entry *e)
{
	const struct dr_wal_entry *found;
	struct dr_wal_entry key = *e;

	if (!e->increment)
		return NULL;
	key.increment = 0;
	key.at = key.end = 0;
	for (unsigned cipher = 0; cipher < 2; cipher++) {
		key.cipher = cipher & 1U;
		found =
		    bsearch(&key, c->entry, c->entries, sizeof(key), by_name);
		if (found != NULL && found->listed && found->vouched)
			return found;
	}
	return NULL;
}

struct systems {
	int (*fn)(void *, uint64_t, struct dr_err *);
	void *arg;
};

static int
system_named(void *arg, const char *name, struct dr_err *err)
{
	const struct systems *s = arg;
	uint64_t id = 0;
	size_t n = strspn(name, "0123456789");

	if (n == 0 || n > 20 || name[n] != '\0' || name[0] == '0')
		return 0;
	for (; *name != '\0'; name++) {
		unsigned d = (unsigned)(*name - '0');

		if (id > (UINT64_MAX - d) / 10)
			return 0;
		id = id * 10 + d;
	}
	return s->fn(s->arg, id, err);
}

int
dr_walcat_systems(struct dr_store *store, const char *set,
    int (*fn)(void *, uint64_t, struct dr_err *), void *arg, struct dr_err *err)
{
	struct systems s = { fn, arg };
	char *prefix = dr_fmt(err, "%s/wal/", set);
	int rc = -1;

	if (prefix != NULL)
		rc = dr_store_dirs(store, prefix, system_named, &s, err);
	free(prefix);
	return rc;
}
