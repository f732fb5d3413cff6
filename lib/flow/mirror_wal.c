/*
 * WAL that the target lacks: histories first, then segments and increments,
 * then the ledgers that name them, in order.
 */
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"
#include "flow/catalogue.h"
#include "flow/mirror_int.h"
#include "flow/walcat.h"
#include "flow/walobj.h"
#include "manifest/ledger.h"

/* Copies in flight: what is handed to the processes at a time. */
#define BATCH 256

/* One folder: a timeline's. */
struct folder {
	struct dr_mirror *m;
	char *prefix;
	struct dr_present there;
	struct dr_wants wal; /* in the order of their names */
	struct ledgers *ledgers;
	bool unsigned_for; /* some of it stands in no ledger that was read */
};

/* Ledgers of a system id, over all timelines. */
struct ledgers {
	struct one {
		char *name, signer[DR_LEDGER_SIGNER];
		uint64_t n;
		bool lacking;
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

static int
on_object(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct folder *f = arg;
	const char *base = strrchr(obj->name, '/') + 1;
	struct dr_ledger ledger = { .n = 0 };
	size_t len = strlen(base);
	enum dr_cipher cipher;
	struct dr_wal_id id;
	bool there;

	/* A signature goes with what it signs. */
	if (len > 8 && strcmp(base + len - 8, ".minisig") == 0)
		return 0;
	there = dr_present_has(&f->there, obj->name, obj->size);
	if (dr_ledger_name_parse(base, &ledger) == 1)
		return ledger_add(f->ledgers, obj->name, &ledger, !there, err);
	if (dr_wal_object_parse(f->m->sum.set, obj->name, &id, &cipher) != 1) {
		f->m->sum.unknown++;
		dr_say(1, "leaving \"%s\" alone: its name is not understood",
		    obj->name);
		return 0;
	}
	if (there)
		return 0;
	return dr_wants_add(&f->wal, obj->name, obj->size, err);
}

/* --- what ledgers say of it ------------------------------------------------------ */

static struct dr_want *
wanted(struct folder *f, const char *base)
{
	size_t lo = 0, hi = f->wal.n;
	size_t skip = strlen(f->prefix);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c =
		    strcmp(base, dr_want_name(&f->wal, &f->wal.v[mid]) + skip);

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
 * the size that is listed is meant, and of several of these the last.
 */
static int
read_ledger(struct folder *f, const char *name, struct dr_err *err)
{
	struct dr_err why = { 0 };
	struct dr_ledger l = { .n = 0 };
	char *text = NULL, *sig = NULL, signer[DR_KEYID_HEX];
	size_t len, sig_len;
	int rc;

	rc = dr_signed_read(f->m->src, name, DR_LEDGER_MAX, f->m->keys, &text,
	    &len, &sig, &sig_len, signer, &why);
	if (rc == -1 && why.cause == DR_ESTOP) {
		*err = why;
		return -1;
	}
	/* It is told of when its turn to be copied comes. */
	if (rc == 1 && dr_ledger_parse(text, len, name, &l, &why) == 0) {
		for (size_t i = 0; i < l.objects; i++) {
			struct dr_want *w = wanted(f, l.object[i].name);

			if (w != NULL && w->size == l.object[i].size &&
			    dr_unhex(l.object[i].sha256, DR_SHA256_LEN,
			        w->sha256))
				w->signed_for = true;
		}
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
			const struct one *l = &f->ledgers->v[i];

			if (l->lacking == (lacking == 1) &&
			    strncmp(l->name, f->prefix, strlen(f->prefix)) ==
			        0 &&
			    read_ledger(f, l->name, err) == -1)
				return -1;
		}
	}
	return 0;
}

/* --- copying ---------------------------------------------------------------------- */

static bool
is_history(const char *name)
{
	return strstr(strrchr(name, '/'), ".history.") != NULL;
}

static int
copy_some(struct folder *f, bool histories, struct dr_err *err)
{
	struct dr_copy c[BATCH];
	size_t n = 0;

	for (size_t i = 0; i < f->wal.n; i++) {
		const struct dr_want *w = &f->wal.v[i];
		const char *name = dr_want_name(&f->wal, w);

		if (is_history(name) != histories)
			continue;
		if (dr_mirror_lacks(f->m, name, w->size, err) == -1)
			return -1;
		if (f->m->o->dry_run)
			continue;
		memset(&c[n], 0, sizeof(c[n]));
		c[n].name = name;
		c[n].size = w->size;
		if (w->signed_for)
			dr_hex(w->sha256, sizeof(w->sha256), c[n].sha256);
		if (dr_copiers_add(f->m->copiers, &c[n], err) == -1)
			return -1;
		if (++n < BATCH)
			continue;
		if (dr_copiers_wait(f->m->copiers, err) == -1)
			return -1;
		while (n > 0)
			dr_mirror_copied(f->m, &c[--n]);
	}
	if (dr_copiers_wait(f->m->copiers, err) == -1)
		return -1;
	while (n > 0)
		dr_mirror_copied(f->m, &c[--n]);
	return 0;
}

static int
one_folder(struct dr_mirror *m, struct ledgers *l, uint64_t system_id,
    const char *tli, struct dr_err *err)
{
	struct folder f = { .m = m, .ledgers = l, .wal.names.max = 1U << 31 };
	int rc = -1;

	f.prefix = dr_fmt(err, "%s/wal/%llu/%s/", m->sum.set,
	    (unsigned long long)system_id, tli);
	if (f.prefix != NULL &&
	    dr_present_read(m->dst, f.prefix, &f.there, err) == 0 &&
	    dr_store_list(m->src, f.prefix, NULL, on_object, &f, err) == 0 &&
	    ask_ledgers(&f, err) == 0 && copy_some(&f, true, err) == 0 &&
	    copy_some(&f, false, err) == 0)
		rc = 0;
	dr_present_wipe(&f.there);
	dr_wants_wipe(&f.wal);
	free(f.prefix);
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
	bool done;
	int rc = -1;

	if (prefix == NULL ||
	    dr_store_dirs(s.m->src, prefix, on_timeline, &s, err) == -1)
		goto out;
	if (s.ledgers.n > 1)
		qsort(s.ledgers.v, s.ledgers.n, sizeof(*s.ledgers.v), by_order);
	for (size_t i = 0; i < s.ledgers.n; i++)
		if (s.ledgers.v[i].lacking &&
		    dr_mirror_signed(s.m, s.ledgers.v[i].name, DR_LEDGER_MAX,
		        &done, err) == -1)
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
