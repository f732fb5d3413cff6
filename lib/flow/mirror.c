#include "flow/mirror.h"

#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"
#include "flow/catalogue.h"
#include "flow/mirror_int.h"
#include "flow/setconf.h"
#include "flow/through.h"
#include "manifest/manifest.h"

#define SIG_MAX 4096U

/* --- counting -------------------------------------------------------------------- */

int
dr_mirror_lacks(struct dr_mirror *m, const char *name, uint64_t size,
    struct dr_err *err)
{
	m->sum.lacking++;
	m->sum.lacking_bytes += size;
	if (!m->o->dry_run || m->hooks->object == NULL)
		return 0;
	return m->hooks->object(m->hooks->arg, name, size, err);
}

static void
note(struct dr_mirror *m, const struct dr_err *why)
{
	/* Damage is the worst of it. */
	if (m->first.cause == DR_OK ||
	    (why->cause == DR_EDATA && m->first.cause != DR_EDATA))
		m->first = *why;
	if (why->cause == DR_EDATA)
		m->sum.damaged++;
	else
		m->sum.failed++;
}

void
dr_mirror_copied(struct dr_mirror *m, const struct dr_copy *c)
{
	struct dr_err ignored = { 0 }, why;

	if (c->result != DR_OK) {
		why = *dr_copiers_failure(m->copiers);
		why.cause = c->result;
		note(m, &why);
		return;
	}
	m->sum.copied++;
	m->sum.copied_bytes += c->size;
	dr_progress(m->sum.copied_bytes);
	if (m->hooks->object != NULL)
		(void)m->hooks->object(m->hooks->arg, c->name, c->size,
		    &ignored);
}

void
dr_mirror_bad(struct dr_mirror *m, const char *name, const struct dr_err *why)
{
	struct dr_err bad = *why;

	dr_warn("not copying \"%s\": %s", name, bad.msg);
	/* That the store is away says nothing of what is in it. */
	if (bad.cause != DR_ERETRY)
		bad.cause = DR_EDATA;
	note(m, &bad);
}

/* --- signed files ---------------------------------------------------------------- */

/* 0: it is there, with this content.  -1. */
static int
put(struct dr_mirror *m, const char *name, const char *text, size_t len,
    struct dr_err *err)
{
	struct dr_err why = { 0 };
	char *there;
	size_t has;
	int rc;

	switch (dr_store_put_small(m->dst, name, text, len, NULL, &why)) {
	case DR_PUT_OK:
		return 0;
	case DR_PUT_FAILED:
		*err = why;
		return -1;
	case DR_PUT_EXISTS:
		break;
	}
	rc = dr_store_get_small(m->dst, name, len + 1, &there, &has, err);
	if (rc == -1 && err->cause != DR_EDATA)
		return -1;
	if (rc == 1) {
		rc = has == len && memcmp(there, text, len) == 0 ? 0 : 1;
		free(there);
	}
	if (rc == 0)
		return 0;
	dr_err_clear(err);
	return dr_err_set(err, DR_EDATA,
	    "\"%s\" is in \"%s\" already, with other content", name,
	    dr_store_url(m->dst));
}

int
dr_mirror_text(struct dr_mirror *m, const char *name, const char *text,
    size_t len, const char *sig, size_t sig_len, struct dr_err *err)
{
	struct dr_err why = { 0 };
	struct dr_copy c = { .name = name, .size = len + sig_len };
	char *signame;
	int rc = 0;

	if (dr_mirror_lacks(m, name, len + sig_len, err) == -1)
		return -1;
	if (m->o->dry_run)
		return 0;
	if ((signame = dr_fmt(err, "%s.minisig", name)) == NULL)
		return -1;
	if ((sig == NULL || put(m, signame, sig, sig_len, &why) == 0) &&
	    put(m, name, text, len, &why) == 0) {
		c.result = DR_OK;
		dr_mirror_copied(m, &c);
	} else if (why.cause == DR_ESTOP) {
		*err = why;
		rc = -1;
	} else {
		dr_warn("%s", why.msg);
		note(m, &why);
	}
	free(signame);
	return rc;
}

int
dr_mirror_read(struct dr_mirror *m, const char *name, size_t max, char **text,
    size_t *len, char **sig, size_t *sig_len, struct dr_err *err)
{
	char signer[DR_KEYID_HEX], note[DR_NOTE_MAX] = "";
	struct dr_err why = { 0 };
	int rc;

	rc = dr_signed_read(m->src, name, max, m->keys, text, len, sig, sig_len,
	    signer, err);
	if (rc != -1 || err->cause != DR_EDATA || m->keys == NULL)
		return rc;
	if (dr_through_signed(m->src, name, max, m->keys, NULL, text, len, sig,
	        sig_len, signer, note, &why) != 1) {
		if (why.cause != DR_ESTOP)
			return -1;
		*err = why;
		return -1;
	}
	dr_err_clear(err);
	if (note[0] != '\0')
		dr_warn("%s", note);
	return 1;
}

int
dr_mirror_signed(struct dr_mirror *m, const char *name, size_t max,
    struct dr_err *err)
{
	struct dr_err why = { 0 };
	char *text = NULL, *sig = NULL;
	size_t len, sig_len;
	int rc;

	rc = dr_mirror_read(m, name, max, &text, &len, &sig, &sig_len, &why);
	if (rc == 1)
		rc = dr_mirror_text(m, name, text, len, sig, sig_len, err);
	else if (rc == -1 && why.cause == DR_ESTOP)
		*err = why;
	else {
		if (rc == 0)
			dr_err_set(&why, DR_EDATA, "it is gone");
		dr_mirror_bad(m, name, &why);
		rc = 0;
	}
	free(text);
	free(sig);
	return rc;
}

/* --- rekey ----------------------------------------------------------------------- */

struct rekey {
	struct dr_mirror *m;
	struct dr_present there;
};

static int
on_rekey(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct rekey *r = arg;
	size_t len = strlen(obj->name);

	if (len > 8 && strcmp(obj->name + len - 8, ".minisig") == 0)
		return 0;
	if (len < 5 || strcmp(obj->name + len - 5, ".json") != 0) {
		r->m->sum.unknown++;
		return 0;
	}
	if (dr_present_has(&r->there, obj->name, obj->size))
		return 0;
	return dr_mirror_signed(r->m, obj->name, 16U << 20, err);
}

int
dr_mirror_rekey(struct dr_mirror *m, struct dr_err *err)
{
	struct rekey r = { .m = m };
	char *prefix = dr_fmt(err, "%s/rekey/", m->sum.set);
	int rc = -1;

	if (prefix != NULL &&
	    dr_present_read(m->dst, prefix, &r.there, err) == 0 &&
	    dr_store_list(m->src, prefix, NULL, on_rekey, &r, err) == 0)
		rc = 0;
	dr_present_wipe(&r.there);
	free(prefix);
	return rc;
}

/* --- sets ------------------------------------------------------------------------- */

static int
one_set(struct dr_mirror *m, const char *set, struct dr_err *err)
{
	int64_t start = dr_monotonic();
	int rc;

	memset(&m->sum, 0, sizeof(m->sum));
	m->sum.set = set;
	m->sum.src = dr_store_url(m->src);
	m->sum.dst = dr_store_url(m->dst);
	rc = dr_mirror_rekey(m, err);
	if (rc == 0)
		rc = dr_mirror_wal(m, err);
	if (rc == 0)
		rc = dr_mirror_snap(m, err);
	m->sum.usec = dr_monotonic() - start;
	if (rc == -1)
		m->sum.failed++;
	if (m->hooks->set != NULL &&
	    m->hooks->set(m->hooks->arg, &m->sum, err) == -1)
		rc = -1;
	return rc;
}

struct names {
	char **v;
	size_t n;
};

static int
add_set(void *arg, const char *name, struct dr_err *err)
{
	struct names *s = arg;
	char **v;

	if (!dr_set_name_ok(name))
		return 0;
	if ((v = reallocarray(s->v, s->n + 1, sizeof(*v))) == NULL)
		return dr_err_sys(err, "cannot list the sets");
	s->v = v;
	if ((v[s->n] = dr_fmt(err, "%s", name)) == NULL)
		return -1;
	s->n++;
	return 0;
}

static int
verdict(const struct dr_mirror *m, bool some, struct dr_err *err)
{
	if (m->first.cause == DR_OK)
		return 0;
	*err = m->first;
	/* What was copied is of use, and the rest may follow. */
	if (some && err->cause != DR_EDATA)
		err->cause = DR_EPARTIAL;
	return -1;
}

static int
all_sets(struct dr_mirror *m, struct dr_err *err)
{
	struct names sets = { NULL, 0 };
	bool some = false;
	int rc;

	rc = m->o->set != NULL ? add_set(&sets, m->o->set, err)
	                       : dr_store_dirs(m->src, "", add_set, &sets, err);
	if (rc == 0 && sets.n == 0)
		rc = dr_err_set(err, DR_EFAIL, "there is no set in \"%s\"",
		    dr_store_url(m->src));
	for (size_t i = 0; i < sets.n && rc == 0; i++)
		rc = dr_regions_check(sets.v[i], &m->dst, 1, err);
	for (size_t i = 0; i < sets.n && rc == 0; i++) {
		rc = one_set(m, sets.v[i], err);
		some |= m->sum.copied > 0;
		if (rc == -1 && some && err->cause == DR_EFAIL)
			err->cause = DR_EPARTIAL;
	}
	if (rc == 0)
		rc = verdict(m, some, err);
	for (size_t i = 0; i < sets.n; i++)
		free(sets.v[i]);
	free(sets.v);
	return rc;
}

int
dr_mirror(const struct dr_mirror_opts *o, const struct dr_mirror_hooks *hooks,
    struct dr_err *err)
{
	struct dr_mirror m = { .o = o, .hooks = hooks };
	int rc = -1;

	if ((m.src = dr_store_open(o->src, o->from, err)) == NULL ||
	    (m.dst = dr_store_open(o->dst, o->to, err)) == NULL)
		goto out;
	if (strcmp(dr_store_url(m.src), dr_store_url(m.dst)) == 0) {
		dr_err_set(err, DR_EUSAGE, "\"%s\" is both source and target",
		    dr_store_url(m.src));
		goto out;
	}
	if ((!o->no_signature && (m.keys = dr_trust_load(o->verify_key,
	                              o->state, err)) == NULL) ||
	    (m.copiers = dr_copiers_new(o, err)) == NULL)
		goto out;
	rc = all_sets(&m, err);

out:
	dr_copiers_free(m.copiers);
	dr_verify_keys_free(m.keys);
	dr_store_free(m.dst);
	dr_store_free(m.src);
	return rc;
}
