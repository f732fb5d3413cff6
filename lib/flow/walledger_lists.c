#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/walledger.h"

/* --- objects and gaps ------------------------------------------------------------- */

struct absent {
	const char *url; /* borrowed */
	struct dr_walmap map;
};

struct lists {
	const struct dr_intent **all; /* taken, by timeline and name */
	size_t n;
	struct absent *absent;
	size_t nabsent;
	struct dr_ledger_gap *gap;
	size_t gaps;
};

static int
by_place(const void *a, const void *b)
{
	const struct dr_intent *x = *(const struct dr_intent *const *)a;
	const struct dr_intent *y = *(const struct dr_intent *const *)b;

	if (x->tli != y->tli)
		return x->tli < y->tli ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int
lacks(struct lists *l, const char *url, uint64_t from, uint64_t to,
    struct dr_err *err)
{
	struct absent *more;
	size_t i = 0;

	while (i < l->nabsent && strcmp(l->absent[i].url, url) != 0)
		i++;
	if (i == l->nabsent) {
		more = reallocarray(l->absent, i + 1, sizeof(*more));
		if (more == NULL)
			return dr_err_sys(err, "cannot write a ledger");
		l->absent = more;
		memset(&more[i], 0, sizeof(*more));
		more[i].url = url;
		l->nabsent++;
	}
	return dr_walmap_add(&l->absent[i].map, from, to, err);
}

/* Did the store get it by any of the attempts FIRST to END? */
static bool
has(const struct lists *l, size_t first, size_t end, const char *url)
{
	for (size_t i = first; i < end; i++)
		for (size_t k = 0; k < l->all[i]->n; k++)
			if (l->all[i]->store[k].done &&
			    strcmp(l->all[i]->store[k].url, url) == 0)
				return true;
	return false;
}

/* What stores lack of the objects FIRST to END, which are one timeline's. */
static int
find_absent(struct lists *l, size_t first, size_t end, struct dr_err *err)
{
	for (size_t i = first, next; i < end; i = next) {
		for (next = i + 1; next < end && strcmp(l->all[i]->name,
		                                     l->all[next]->name) == 0;)
			next++;
		for (size_t a = i; a < next; a++)
			for (size_t k = 0; k < l->all[a]->n; k++) {
				const char *url = l->all[a]->store[k].url;

				if (!l->all[a]->store[k].done &&
				    !has(l, i, next, url) &&
				    lacks(l, url, l->all[a]->from,
				        l->all[a]->to, err) == -1)
					return -1;
			}
	}
	return 0;
}

static int
flatten(struct lists *l, uint32_t tli, struct dr_err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < l->nabsent; i++)
		n += l->absent[i].map.n;
	if ((l->gap = calloc(n + 1, sizeof(*l->gap))) == NULL)
		return dr_err_sys(err, "cannot write a ledger");
	for (size_t i = 0; i < l->nabsent; i++)
		for (size_t k = 0; k < l->absent[i].map.n; k++) {
			struct dr_ledger_gap *g = &l->gap[l->gaps];

			if ((g->store = dr_fmt(err, "%s", l->absent[i].url)) ==
			    NULL)
				return -1;
			g->tli = tli;
			g->from = l->absent[i].map.v[k].from;
			g->to = l->absent[i].map.v[k].to;
			l->gaps++;
		}
	return 0;
}

static void
wipe(struct lists *l)
{
	for (size_t i = 0; i < l->nabsent; i++)
		dr_walmap_free(&l->absent[i].map);
	for (size_t i = 0; i < l->gaps; i++)
		free(l->gap[i].store);
	free(l->absent);
	free(l->gap);
	l->absent = NULL;
	l->gap = NULL;
	l->nabsent = l->gaps = 0;
}

/* The next timeline after TLI of which something is known; 0: none. */
static uint32_t
next_timeline(const struct lists *l, const struct dr_journal *j, uint32_t tli)
{
	uint32_t next = 0;

	for (size_t i = 0; i < l->n; i++)
		if (l->all[i]->tli > tli &&
		    (next == 0 || l->all[i]->tli < next))
			next = l->all[i]->tli;
	for (size_t i = 0; i < j->gaps; i++)
		if (j->gap[i].tli > tli && (next == 0 || j->gap[i].tli < next))
			next = j->gap[i].tli;
	return next;
}

int
dr_wal_lists(const struct dr_journal *j, const enum dr_fate *fate,
    int (*fn)(void *, const struct dr_wal_lists *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct lists l = { .n = 0 };
	size_t first = 0, end;
	int rc = -1;

	if ((l.all = calloc(j->n + 1, sizeof(struct dr_intent *))) == NULL)
		return dr_err_sys(err, "cannot write a ledger");
	for (size_t i = 0; i < j->n; i++)
		if (fate[i] == DR_FATE_TAKE)
			l.all[l.n++] = &j->v[i];
	if (l.n > 1)
		qsort(l.all, l.n, sizeof(struct dr_intent *), by_place);
	for (uint32_t tli = 0; (tli = next_timeline(&l, j, tli)) != 0;
	     first = end) {
		struct dr_wal_lists out = { .tli = tli };

		for (end = first; end < l.n && l.all[end]->tli == tli;)
			end++;
		if (find_absent(&l, first, end, err) == -1)
			goto out;
		for (size_t i = 0; i < j->gaps; i++)
			if (j->gap[i].tli == tli &&
			    lacks(&l, j->gap[i].url, j->gap[i].from,
			        j->gap[i].to, err) == -1)
				goto out;
		if (flatten(&l, tli, err) == -1)
			goto out;
		out.v = l.all + first;
		out.n = end - first;
		out.gap = l.gap;
		out.gaps = l.gaps;
		if (fn(arg, &out, err) == -1)
			goto out;
		wipe(&l);
	}
	rc = 0;

out:
	wipe(&l);
	free(l.all);
	return rc;
}

/* --- where the chain goes on -------------------------------------------------------- */

struct found {
	const char *signer;
	struct one {
		char *name; /* full */
		uint64_t n;
	} * v;
	size_t n;
};

static int
note(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct found *f = arg;
	const char *slash = strrchr(obj->name, '/');
	struct dr_ledger l = { .n = 0 };
	struct one *more = f->v;

	if (slash == NULL || dr_ledger_name_parse(slash + 1, &l) == 0 ||
	    strcmp(l.signer, f->signer) != 0)
		return 0;
	if ((f->n & (f->n - 1)) == 0)
		more =
		    reallocarray(f->v, f->n == 0 ? 1 : 2 * f->n, sizeof(*more));
	if (more == NULL)
		return dr_err_sys(err, "cannot list the ledgers");
	f->v = more;
	more += f->n;
	if ((more->name = dr_fmt(err, "%s", obj->name)) == NULL)
		return -1;
	more->n = l.n;
	f->n++;
	return 0;
}

static int
newest_first(const void *a, const void *b)
{
	const struct one *x = a, *y = b;

	return (x->n < y->n) - (x->n > y->n);
}

/* One that we signed for its place? */
static bool
is_ours(struct dr_ship *s, struct dr_store *store, const char *name,
    const struct dr_verify_keys *own, struct dr_wal_head *head)
{
	char *text = NULL, *sig = NULL, *signame, signer[DR_KEYID_HEX];
	struct dr_err why = { 0 };
	struct dr_ledger l = { .n = 0 };
	size_t len, sig_len;
	bool good = false;

	signame = dr_fmt(&why, "%s.minisig", name);
	if (signame == NULL ||
	    dr_store_get_small(store, name, DR_LEDGER_MAX, &text, &len, &why) !=
	        1 ||
	    dr_store_get_small(store, signame, 4096, &sig, &sig_len, &why) !=
	        1 ||
	    dr_verify(own, text, len, sig, sig_len, name, signer, &why) == -1 ||
	    dr_ledger_parse(text, len, name, &l, &why) == -1 ||
	    strcmp(l.set, s->o.set) != 0 || l.system_id != s->o.system_id)
		goto out;
	dr_wal_head_wipe(head);
	head->name = dr_ledger_name(&l, &why);
	head->n = l.n;
	head->time = l.time;
	head->tli = l.tli;
	good = head->name != NULL &&
	       dr_sha256_hex(text, len, head->sha256, &why) == 0;

out:
	if (!good)
		dr_warn("passing over \"%s\": %s", name,
		    why.msg[0] != '\0' ? why.msg : "it is gone");
	dr_ledger_wipe(&l);
	free(text);
	free(sig);
	free(signame);
	return good;
}

int
dr_wal_head_find(struct dr_ship *s, struct dr_wal_head *head,
    struct dr_err *err)
{
	char *prefix = dr_wal_prefix(s->o.set, s->o.system_id, 0, err);
	struct dr_verify_keys *own = NULL;
	struct dr_buf text = { .max = 4096 };
	size_t asked = 0;
	int rc = -1;

	if (prefix == NULL || dr_sign_key_public(s->key, &text, err) == -1 ||
	    (own = dr_verify_keys_parse(text.data, text.len, "sign key",
	         err)) == NULL)
		goto out;
	for (size_t i = 0; i < s->n; i++) {
		struct found f = { dr_ship_signer(s), NULL, 0 };
		struct dr_err why = { 0 };

		if (dr_store_list(s->store[i], prefix, NULL, note, &f, &why) ==
		    0)
			asked++;
		else
			s->bad[i] = why;
		if (f.n > 1)
			qsort(f.v, f.n, sizeof(*f.v), newest_first);
		for (size_t k = 0; k < f.n && f.v[k].n > head->n; k++)
			if (is_ours(s, s->store[i], f.v[k].name, own, head))
				break;
		for (size_t k = 0; k < f.n; k++)
			free(f.v[k].name);
		free(f.v);
	}
	if (asked > 0)
		rc = 0;
	else {
		*err = s->bad[0];
		dr_err_wrap(err, "cannot see where the ledgers go on");
	}

out:
	dr_verify_keys_free(own);
	dr_buf_free(&text);
	free(prefix);
	return rc;
}

/* --- metrics ------------------------------------------------------------------------ */

static int
store_metrics(const struct dr_ship *s, struct dr_metrics *m,
    const size_t owed[DR_SHIP_STORES], struct dr_err *err)
{
	static const struct {
		const char *name, *type, *help;
	} of[] = {
		{ "drtools_wal_store_failed", "gauge",
		    "Whether the last WAL could not be put there." },
		{ "drtools_wal_gap_bytes", "gauge",
		    "WAL that the newest ledgers say it lacks." },
		{ "drtools_wal_ledgers_owed", "gauge",
		    "Ledgers that it does not have yet." },
	};
	size_t kinds = owed == NULL ? 2 : 3;

	for (size_t k = 0; k < kinds; k++)
		for (size_t i = 0; i < s->n; i++) {
			struct dr_buf labels = { .max = 8192 };
			double v = s->bad[i].cause != DR_OK ? 1 : 0;
			int rc = -1;

			if (k == 1)
				v = (double)s->gap_bytes[i];
			if (k == 2)
				v = (double)owed[i];
			if (dr_metric_label(&labels, "set", s->o.set, err) ==
			        0 &&
			    dr_metric_label(&labels, "store",
			        dr_store_url(s->store[i]), err) == 0)
				rc = dr_metric(m, of[k].name, of[k].type,
				    of[k].help, labels.data, v, err);
			dr_buf_free(&labels);
			if (rc == -1)
				return -1;
		}
	return 0;
}

void
dr_ship_metrics(const struct dr_ship *s, const struct dr_wal_head *head,
    const size_t owed[DR_SHIP_STORES])
{
	struct dr_metrics m = DR_METRICS_INIT;
	struct dr_buf labels = { .max = 1024 };
	struct dr_err err = { 0 };
	char *file = NULL;
	int rc = -1;

	if (dr_metric_label(&labels, "set", s->o.set, &err) == -1)
		goto out;
	if (head != NULL && head->n > 0 &&
	    (dr_metric(&m, "drtools_wal_ledger_timestamp_seconds", "gauge",
	         "When the newest ledger of WAL was made.", labels.data,
	         (double)head->time / 1e6, &err) == -1 ||
	        dr_metric(&m, "drtools_wal_ledger_number", "gauge",
	            "Its number.", labels.data, (double)head->n, &err) == -1))
		goto out;
	if (store_metrics(s, &m, owed, &err) == 0 &&
	    (file = dr_fmt(&err, "dr-wal-stores_%s", s->o.set)) != NULL)
		rc = dr_metrics_write(&m, file, &err);

out:
	if (rc == -1)
		dr_warn("%s", err.msg);
	dr_buf_free(&m.text);
	dr_buf_free(&labels);
	free(file);
}
