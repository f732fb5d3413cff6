/* What the newest ledgers of a timeline know of the end of its WAL. */
#include <stdlib.h>
#include <string.h>

#include "flow/walfetch.h"
#include "manifest/ledger.h"

#define EMPTY_MAX 10000 /* ledgers with nothing in them, an hour each */

struct named {
	const char *name;
	struct dr_ledger l;
};

/* By signer, the newest first. */
static int
by_age(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = strcmp(x->l.signer, y->l.signer);

	if (c != 0)
		return c;
	return x->l.n > y->l.n ? -1 : x->l.n < y->l.n;
}

int
dr_walfetch_ledger(const struct dr_walfetch *f, size_t store, uint32_t tli,
    const char *name, struct dr_ledger *l, struct dr_err *err)
{
	struct dr_ledger says = { .n = 0 };
	char *prefix = NULL, *object = NULL, *minisig = NULL, *text = NULL;
	char *sig = NULL, signer[DR_KEYID_HEX];
	size_t len, sig_len;
	int rc = -1, got;

	(void)dr_ledger_name_parse(name, &says);
	if ((prefix = dr_wal_prefix(f->set, f->system_id, tli, err)) == NULL ||
	    (object = dr_fmt(err, "%s%s", prefix, name)) == NULL ||
	    (minisig = dr_fmt(err, "%s.minisig", object)) == NULL ||
	    (got = dr_store_get_small(f->store[store], object, DR_LEDGER_MAX,
	         &text, &len, err)) == -1)
		goto out;
	if (got == 0) {
		dr_err_set(err, DR_EDATA, "\"%s\" is missing", name);
		goto out;
	}
	if (f->keys != NULL) {
		if ((got = dr_store_get_small(f->store[store], minisig, 4096,
		         &sig, &sig_len, err)) == -1)
			goto out;
		if (got == 0) {
			dr_err_set(err, DR_EDATA, "\"%s\" is not signed", name);
			goto out;
		}
		if (dr_verify(f->keys, text, len, sig, sig_len, NULL, signer,
		        err) == -1) {
			dr_err_wrap(err, "\"%s\"", name);
			goto out;
		}
	}
	if (dr_ledger_parse(text, len, name, l, err) == -1)
		goto out;
	if (strcmp(l->set, f->set) != 0 || l->system_id != f->system_id ||
	    l->tli != tli || l->n != says.n ||
	    strcmp(l->signer, says.signer) != 0 ||
	    (f->keys != NULL && strcmp(l->signer, signer) != 0)) {
		dr_ledger_wipe(l);
		dr_err_set(err, DR_EDATA, "\"%s\" is not what its name says",
		    name);
		goto out;
	}
	rc = 0;

out:
	free(prefix);
	free(object);
	free(minisig);
	free(text);
	free(sig);
	return rc;
}

/* Does an object of the ledger reach beyond REACH of ID's segment? */
static bool
beyond(const struct dr_walfetch *f, const struct dr_wal_id *id,
    const char *name, uint32_t reach, bool *segment, char what[DR_WAL_NAME_MAX])
{
	uint64_t at, want = (uint64_t)id->file.log << 32 | id->file.seg;
	struct dr_wal_id got;
	struct dr_err ignored = { 0 };
	char *prefix, *object = NULL;
	enum dr_cipher c;
	bool ours;

	prefix = dr_wal_prefix(f->set, f->system_id, id->file.tli, &ignored);
	if (prefix != NULL)
		object = dr_fmt(&ignored, "%s%s", prefix, name);
	ours = object != NULL &&
	       dr_wal_object_parse(f->set, object, &got, &c) == 1 &&
	       got.file.kind == DR_WAL_SEGMENT;
	free(prefix);
	free(object);
	if (!ours)
		return false;
	*segment = true;
	at = (uint64_t)got.file.log << 32 | got.file.seg;
	if (at < want || (at == want && got.increment && got.to <= reach))
		return false;
	memcpy(what, got.name, DR_WAL_NAME_MAX);
	return true;
}

/*
 * WAL is put in its order, so that the newest ledger of a signer that names
 * segments names the furthest.
 */
int
dr_walfetch_ledgers(const struct dr_walfetch *f, size_t store,
    const struct dr_wal_id *id, const struct dr_strs *names, uint32_t reach,
    char what[DR_WAL_NAME_MAX], struct dr_err *err)
{
	const char *done = ""; /* signer */
	struct named *v;
	int rc = 0;

	if (names->n == 0)
		return 0;
	if ((v = calloc(names->n, sizeof(*v))) == NULL)
		return dr_err_sys(err, "cannot allocate memory");
	for (size_t i = 0; i < names->n; i++) {
		v[i].name = names->v[i];
		(void)dr_ledger_name_parse(v[i].name, &v[i].l);
	}
	qsort(v, names->n, sizeof(*v), by_age);
	for (size_t i = 0, read = 0; i < names->n && rc == 0; i++) {
		struct dr_ledger l = { 0 };
		bool segment = false;

		if (strcmp(v[i].l.signer, done) == 0)
			continue;
		if (++read > EMPTY_MAX)
			break;
		if (dr_walfetch_ledger(f, store, id->file.tli, v[i].name, &l,
		        err) == -1) {
			rc = -1;
			break;
		}
		for (size_t k = 0; k < l.objects && rc == 0; k++)
			if (beyond(f, id, l.object[k].name, reach, &segment,
			        what))
				rc = 1;
		if (segment)
			done = v[i].l.signer;
		dr_ledger_wipe(&l);
	}
	free(v);
	return rc;
}
