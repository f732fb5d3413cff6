/*
 * WAL that the target lacks: histories first, then segments and increments,
 * then the ledgers that name them, in order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"
#include "flow/catalogue.h"
#include "flow/mirror_int.h"
#include "flow/through.h"
#include "flow/walcat.h"
#include "flow/walobj.h"
#include "manifest/ledger.h"

#define BATCH  256   /* what is handed to the processes at a time */
#define WINDOW 65536 /* how many names that are lacking are kept */
#define SEG    24    /* the segment's name, in an object's */
#define VAIN   8     /* not found beneath: no versions, or expired */

/* One folder: a timeline's. */
struct folder {
	struct dr_mirror *m;
	char *prefix;
	struct dr_present there;
	struct dr_wants wal; /* in the order of their names */
	char *last;          /* looked at */
	bool full;           /* there are more than a window's */
	struct ledgers *ledgers;
	struct dr_present here; /* what the source lists, of any size */
	char first[SEG + 1];    /* the first segment of that */
};

/* Ledgers of a system id, over all timelines. */
struct ledgers {
	struct one {
		char *name, signer[DR_LEDGER_SIGNER];
		uint64_t n;
		bool lacking, known;
		char lo[SEG + 1], hi[SEG + 1]; /* what it names, when known */
	} * v;
	size_t n;
};

static int
ledger_add(struct ledgers *l, const char *name, const struct dr_ledger *parsed,
    bool lacking, struct dr_err *err)
{
	struct one *v = l->v;

	if ((l->n & (l->n - 1)) == 0) {
		v = reallocarray(v, l->n == 0 ? 1 : 2 * l->n, sizeof(*v));
		if (v == NULL)
			return dr_err_sys(err, "cannot list ledgers");
		l->v = v;
	}
	memset(&v[l->n], 0, sizeof(*v));
	if ((v[l->n].name = dr_fmt(err, "%s", name)) == NULL)
		return -1;
	memcpy(v[l->n].signer, parsed->signer, sizeof(parsed->signer));
	v[l->n].n = parsed->n;
	v[l->n].lacking = lacking;
	l->n++;
	return 0;
}

static int
by_order(const void *a, const void *b)
{
	const struct one *x = a, *y = b;
	int rc = strcmp(x->signer, y->signer);

	if (rc == 0 && x->n != y->n)
		rc = x->n < y->n ? -1 : 1;
	return rc != 0 ? rc : strcmp(x->name, y->name);
}

static bool
ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len > n && strcmp(name + len - n, end) == 0;
}

static int
on_ledger(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct folder *f = arg;
	struct ledgers *all = f->ledgers;
	const char *base = strrchr(obj->name, '/') + 1;
	struct dr_ledger ledger = { .n = 0 };
	bool there = dr_present_has(&f->there, obj->name, obj->size);
	size_t len;

	if (dr_ledger_name_parse(base, &ledger) == 1)
		return ledger_add(all, obj->name, &ledger, !there, err);
	/* Its signature comes next; one without the other is lacking. */
	if (all->n == 0 || there || !ends_in(base, ".minisig"))
		return 0;
	len = strlen(all->v[all->n - 1].name);
	if (strncmp(all->v[all->n - 1].name, obj->name, len) == 0 &&
	    strcmp(obj->name + len, ".minisig") == 0)
		all->v[all->n - 1].lacking = true;
	return 0;
}

static int
on_object(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct folder *f = arg;
	const char *base = strrchr(obj->name, '/') + 1;
	struct dr_ledger ledger = { .n = 0 };
	enum dr_cipher cipher;
	struct dr_wal_id id;

	if (f->wal.n == WINDOW) {
		f->full = true;
		return -1;
	}
	free(f->last);
	if ((f->last = dr_fmt(err, "%s", obj->name)) == NULL)
		return -1;
	/* A signature goes with what it signs. */
	if (ends_in(base, ".minisig") ||
	    dr_ledger_name_parse(base, &ledger) == 1)
		return 0;
	if (dr_wal_object_parse(f->m->sum.set, obj->name, &id, &cipher) != 1) {
		f->m->sum.unknown++;
		dr_say(1, "leaving \"%s\" alone: its name is not understood",
		    obj->name);
		return 0;
	}
	if (dr_present_add(&f->here, obj->name, UINT64_MAX, err) == -1)
		return -1;
	if (f->first[0] == '\0' && strstr(base, ".history.") == NULL)
		(void)snprintf(f->first, sizeof(f->first), "%s", base);
	if (dr_present_has(&f->there, obj->name, obj->size))
		return 0;
	return dr_wants_add(&f->wal, base, obj->size, err);
}

/* --- what ledgers say of it ------------------------------------------------------ */

static struct dr_want *
wanted(struct folder *f, const char *base)
{
	size_t lo = 0, hi = f->wal.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(base, dr_want_name(&f->wal, &f->wal.v[mid]));

		if (c == 0)
			return &f->wal.v[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

/*
 * It may stand in several ledgers under different hashes; then the one with
 * the size that is listed is meant, and of several of these the last.  Where
 * none has that size, what is listed is not what was signed for: what was may
 * lie beneath.
 */
static void
sign_for(struct folder *f, const struct dr_ledger *l, size_t i)
{
	struct dr_want *w = wanted(f, l->object[i].name);
	bool other = w != NULL && w->size != l->object[i].size;

	if (w == NULL || l->object[i].size > UINT32_MAX ||
	    (other && w->signed_for && !w->other_size) ||
	    !dr_unhex(l->object[i].sha256, DR_SHA256_LEN, w->sha256))
		return;
	w->signed_for = true;
	w->other_size = other;
	w->signed_size = (uint32_t)l->object[i].size;
}

static void
span(struct one *one, const struct dr_ledger *l)
{
	one->known = true;
	for (size_t i = 0; i < l->objects; i++) {
		const char *name = l->object[i].name;

		if (i == 0 || strncmp(name, one->lo, SEG) < 0)
			(void)snprintf(one->lo, sizeof(one->lo), "%s", name);
		if (i == 0 || strncmp(name, one->hi, SEG) > 0)
			(void)snprintf(one->hi, sizeof(one->hi), "%s", name);
	}
}

static int
read_ledger(struct folder *f, struct one *one, struct dr_err *err)
{
	const struct dr_wants *all = &f->wal;
	struct dr_err why = { 0 };
	struct dr_ledger l = { .n = 0 };
	char *text = NULL, *sig = NULL;
	size_t len, sig_len;
	int rc;

	if (one->known &&
	    (strncmp(one->hi, dr_want_name(all, &all->v[0]), SEG) < 0 ||
	        strncmp(one->lo, dr_want_name(all, &all->v[all->n - 1]), SEG) >
	            0))
		return 0;
	rc = dr_mirror_read(f->m, one->name, DR_LEDGER_MAX, &text, &len, &sig,
	    &sig_len, &why);
	/* Without it, what it names would go unchecked. */
	if (rc == -1 && (why.cause == DR_ESTOP || why.cause == DR_ERETRY)) {
		*err = why;
		return -1;
	}
	/* What is bad is told of when its turn to be copied comes. */
	if (rc == 1 && dr_ledger_parse(text, len, one->name, &l, &why) == 0) {
		span(one, &l);
		for (size_t i = 0; i < l.objects; i++)
			sign_for(f, &l, i);
		dr_ledger_wipe(&l);
	}
	free(text);
	free(sig);
	return 0;
}

/*
 * The ledgers that are lacking, too, name nearly all of it; only for what
 * they do not name are the others read.
 */
static int
ask_ledgers(struct folder *f, struct dr_err *err)
{
	for (int lacking = 1; lacking >= 0; lacking--) {
		size_t open = 0;

		for (size_t i = 0; i < f->wal.n; i++)
			open += !f->wal.v[i].signed_for;
		if (open == 0)
			return 0;
		for (size_t i = 0; i < f->ledgers->n; i++) {
			struct one *l = &f->ledgers->v[i];

			if (l->lacking == (lacking == 1) &&
			    strncmp(l->name, f->prefix, strlen(f->prefix)) ==
			        0 &&
			    read_ledger(f, l, err) == -1)
				return -1;
		}
	}
	return 0;
}

/* --- copying ---------------------------------------------------------------------- */

/* Some that are copied together. */
struct batch {
	struct dr_copy c[BATCH];
	char name[BATCH][640];
	size_t n;
};

static int
settle(struct folder *f, struct batch *b, struct dr_err *err)
{
	int rc = dr_copiers_wait(f->m->copiers, NULL, err);

	for (size_t i = 0; i < b->n; i++)
		if (b->c[i].ended)
			dr_mirror_copied(f->m, &b->c[i]);
	b->n = 0;
	return rc;
}

static int
copy_one(struct folder *f, struct batch *b, const struct dr_want *w,
    struct dr_err *err)
{
	struct dr_copy *c = &b->c[b->n];
	char *name = b->name[b->n];

	(void)snprintf(name, sizeof(b->name[0]), "%s%s", f->prefix,
	    dr_want_name(&f->wal, w));
	if (dr_mirror_lacks(f->m, name, w->size, err) == -1)
		return -1;
	if (f->m->o->dry_run)
		return 0;
	memset(c, 0, sizeof(*c));
	c->name = name;
	c->size = w->signed_for ? w->signed_size : w->size;
	if (w->signed_for)
		dr_hex(w->sha256, sizeof(w->sha256), c->sha256);
	b->n++;
	if (dr_copiers_add(f->m->copiers, c, err) == -1)
		return -1;
	return b->n < BATCH ? 0 : settle(f, b, err);
}

static int
copy_some(struct folder *f, struct batch *b, bool histories, struct dr_err *err)
{
	for (size_t i = 0; i < f->wal.n; i++) {
		const struct dr_want *w = &f->wal.v[i];
		const char *name = dr_want_name(&f->wal, w);

		if ((strstr(name, ".history.") != NULL) == histories &&
		    copy_one(f, b, w, err) == -1)
			return -1;
	}
	return settle(f, b, err);
}

/* From f->last on. */
static int
one_window(struct folder *f, struct batch *b, struct dr_err *err)
{
	char *after = f->last;
	int rc;

	f->last = NULL;
	f->full = false;
	rc = dr_store_list(f->m->src, f->prefix, after, on_object, f, err);
	free(after);
	if ((rc == -1 && !f->full) || ask_ledgers(f, err) == -1 ||
	    copy_some(f, b, true, err) == -1 ||
	    copy_some(f, b, false, err) == -1)
		return -1;
	dr_wants_wipe(&f->wal);
	return 0;
}

/* --- what a deletion hides --------------------------------------------------------- */

/*
 * Is the object BASE of SIZE bytes, which a ledger names, to be looked for
 * beneath a deletion?  Not what came before all that is listed, as it has
 * expired; nor an increment of a segment that is there.
 */
static int
hides(const struct folder *f, const char *base, uint64_t size,
    struct dr_err *err)
{
	char *name = dr_fmt(err, "%s%s", f->prefix, base), *whole = NULL;
	enum dr_cipher cipher;
	struct dr_wal_id id;
	int rc = -1;

	if (name == NULL)
		return -1;
	rc = 0;
	if (strcmp(base, f->first) < 0 ||
	    dr_present_has(&f->here, name, UINT64_MAX) ||
	    dr_present_has(&f->there, name, size) ||
	    dr_wal_object_parse(f->m->sum.set, name, &id, &cipher) != 1)
		goto out;
	if (id.increment) {
		id.increment = false;
		id.from = id.to = 0;
		if ((whole = dr_wal_object_name(&id, cipher, err)) == NULL) {
			rc = -1;
			goto out;
		}
		if (dr_present_has(&f->here, whole, UINT64_MAX))
			goto out;
	}
	rc = dr_through_exists(f->m->src, name, size, err);
	if (rc == 0)
		rc = 2;

out:
	free(whole);
	free(name);
	return rc;
}

/* What the ledger ONE names and its deletion hides is wanted. */
static int
want_hidden(struct folder *f, const struct one *one, unsigned *vain,
    struct dr_err *err)
{
	struct dr_err why = { 0 };
	struct dr_ledger l = { .n = 0 };
	char *text = NULL, *sig = NULL;
	size_t len, sig_len;
	int rc = dr_mirror_read(f->m, one->name, DR_LEDGER_MAX, &text, &len,
	    &sig, &sig_len, &why);

	if (rc != 1 || dr_ledger_parse(text, len, one->name, &l, &why) == -1) {
		/* It is told of when its turn to be copied comes. */
		rc = 0;
		goto out;
	}
	for (size_t i = 0; i < l.objects && *vain < VAIN; i++) {
		struct dr_want *w;

		if (l.object[i].size > UINT32_MAX)
			continue;
		rc = hides(f, l.object[i].name, l.object[i].size, err);
		if (rc == -1)
			goto wipe;
		if (rc == 2)
			++*vain;
		if (rc != 1)
			continue;
		*vain = 0;
		rc = dr_wants_add(&f->wal, l.object[i].name, l.object[i].size,
		    err);
		if (rc == -1)
			goto wipe;
		w = &f->wal.v[f->wal.n - 1];
		w->signed_for =
		    dr_unhex(l.object[i].sha256, DR_SHA256_LEN, w->sha256);
		w->signed_size = (uint32_t)l.object[i].size;
	}
	rc = 0;

wipe:
	dr_ledger_wipe(&l);
out:
	free(text);
	free(sig);
	return rc;
}

/*
 * A ledger that the target lacks may name what is no longer listed, as it was
 * deleted where versions are kept; whoever reads the source finds that.
 */
static int
copy_hidden(struct folder *f, struct batch *b, struct dr_err *err)
{
	unsigned vain = 0;

	dr_present_sort(&f->here);
	for (size_t i = 0; i < f->ledgers->n && vain < VAIN; i++) {
		const struct one *l = &f->ledgers->v[i];

		if (!l->lacking ||
		    strncmp(l->name, f->prefix, strlen(f->prefix)) != 0)
			continue;
		if (want_hidden(f, l, &vain, err) == -1 ||
		    copy_some(f, b, true, err) == -1 ||
		    copy_some(f, b, false, err) == -1)
			return -1;
		dr_wants_wipe(&f->wal);
	}
	return 0;
}

/*
 * Ledgers are listed before what they name: so what a ledger of ours names has
 * been there, and is listed, too.
 */
static int
one_folder(struct dr_mirror *m, struct ledgers *l, uint64_t system_id,
    const char *tli, struct dr_err *err)
{
	struct folder f = { .m = m, .ledgers = l, .wal.names.max = 1U << 28 };
	struct batch *b = calloc(1, sizeof(*b));
	char *ledgers = NULL;
	int rc = -1;

	if (b == NULL)
		return dr_err_sys(err, "cannot list WAL");
	f.prefix = dr_fmt(err, "%s/wal/%llu/%s/", m->sum.set,
	    (unsigned long long)system_id, tli);
	if (f.prefix == NULL ||
	    (ledgers = dr_fmt(err, "%sledger-", f.prefix)) == NULL ||
	    dr_present_read(m->dst, f.prefix, &f.there, err) == -1 ||
	    dr_store_list(m->src, f.prefix, ledgers, on_ledger, &f, err) == -1)
		goto out;
	do
		rc = one_window(&f, b, err);
	while (rc == 0 && f.full);
	if (rc == 0)
		rc = copy_hidden(&f, b, err);

out:
	dr_present_wipe(&f.there);
	dr_present_wipe(&f.here);
	dr_wants_wipe(&f.wal);
	free(f.last);
	free(f.prefix);
	free(ledgers);
	free(b);
	return rc;
}

struct system {
	struct dr_mirror *m;
	struct ledgers ledgers;
	uint64_t id;
};

static bool
is_timeline(const char *name)
{
	return strlen(name) == 8 && strspn(name, "0123456789ABCDEF") == 8;
}

static int
on_timeline(void *arg, const char *name, struct dr_err *err)
{
	struct system *s = arg;

	if (is_timeline(name))
		return one_folder(s->m, &s->ledgers, s->id, name, err);
	s->m->sum.unknown++;
	return 0;
}

static int
on_system(void *arg, uint64_t system_id, struct dr_err *err)
{
	struct system s = { .m = arg, .id = system_id };
	char *prefix = dr_fmt(err, "%s/wal/%llu/", s.m->sum.set,
	    (unsigned long long)system_id);
	uint64_t failed = s.m->sum.failed;
	int rc = -1;

	if (prefix == NULL ||
	    dr_store_dirs(s.m->src, prefix, on_timeline, &s, err) == -1)
		goto out;
	rc = 0;
	if (s.m->sum.failed > failed) {
		dr_warn("ledgers of \"%s\" wait until all that they name could "
		        "be copied",
		    prefix);
		goto out;
	}
	rc = -1;
	if (s.ledgers.n > 1)
		qsort(s.ledgers.v, s.ledgers.n, sizeof(*s.ledgers.v), by_order);
	for (size_t i = 0; i < s.ledgers.n; i++)
		if (s.ledgers.v[i].lacking &&
		    dr_mirror_signed(s.m, s.ledgers.v[i].name, DR_LEDGER_MAX,
		        err) == -1)
			goto out;
	rc = 0;

out:
	for (size_t i = 0; i < s.ledgers.n; i++)
		free(s.ledgers.v[i].name);
	free(s.ledgers.v);
	free(prefix);
	return rc;
}

int
dr_mirror_wal(struct dr_mirror *m, struct dr_err *err)
{
	return dr_walcat_systems(m->src, m->sum.set, on_system, m, err);
}
