/*
 * The commit of dr-push: chain, signature, pending state, and the two small
 * files that make a body a backup.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/catalogue.h"
#include "flow/fanout.h"
#include "flow/publish.h"
#include "flow/push.h"
#include "flow/setconf.h"
#include "flow/state.h"
#include "manifest/manifest.h"

/*
 * A body without a manifest is garbage after 7 days; half of that is left to
 * whoever reads while we publish.
 */
#define BODY_AGE_MAX ((int64_t)7 * 86400 * 1000000 / 2)
#define LIST_MAX     16
#define FILE_MAX     (DR_MANIFEST_LINE_MAX + 1)

struct commit {
	const struct dr_push_opts *o;
	struct dr_push_report *r;
	struct dr_state *state;
	const char *signer;
	struct dr_pending *old; /* what was pending */
	size_t nold;
};

/*
 * Signature, then manifest, which is the commit, into all of V.  What came of
 * it also into the entries of P.
 */
static int
publish(struct commit *c, struct dr_pending *p, struct dr_publish *v,
    struct dr_pending_store **ps, size_t n, size_t require, struct dr_err *err)
{
	struct dr_signed_file f = { .text = p->manifest,
		.minisig = p->minisig };
	char *name = dr_snap_name(c->o->set, p->head.id, ".json", err);
	int rc;

	if (name == NULL)
		return -1;
	f.name = name;
	rc = dr_publish(&f, v, n, require, dr_fan_grace(c->o), err);
	free(name);
	for (size_t i = 0; i < n; i++) {
		ps[i]->done = v[i].result == DR_PUB_DONE;
		ps[i]->lost =
		    v[i].result == DR_PUB_OTHER || v[i].result == DR_PUB_HIDDEN;
		ps[i]->doubt = v[i].doubt;
	}
	return rc;
}

static struct dr_target *
target_of(struct dr_push_report *r, const char *url)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (r->target[i].store != NULL &&
		    strcmp(dr_store_url(r->target[i].store), url) == 0)
			return &r->target[i];
	return NULL;
}

/* The head moves before any store may hold what it points to. */
static int
raise_head(struct commit *c, const struct dr_pending *p, struct dr_err *err)
{
	struct dr_head head;
	int rc = dr_state_head(c->state, p->signer, &head, err);

	if (rc == -1)
		return -1;
	if (rc == 1 && head.seq >= p->head.seq)
		return 0;
	return dr_state_set_head(c->state, p->signer, &p->head, err);
}

static bool
unfinished(const struct dr_pending *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (!p->store[i].done && !p->store[i].lost)
			return true;
	return false;
}

static bool
lost_somewhere(const struct dr_pending *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->store[i].lost)
			return true;
	return false;
}

/* One that lacks it: those of this push are open already. */
static struct dr_store *
open_again(struct commit *c, const char *url, struct dr_store **opened,
    struct dr_err *err)
{
	struct dr_target *t = target_of(c->r, url);
	struct dr_store *store = t != NULL ? t->store : NULL;

	if (store == NULL)
		store = *opened = dr_store_open(url, c->o->how, err);
	if (store == NULL || dr_regions_check(c->o->set, &store, 1, err) == -1)
		return NULL;
	return store;
}

/*
 * What came of P in one store.  A store of this push that does not take it is
 * not given anything newer either: ERR of its target is set.
 */
static void
tell_again(struct commit *c, const struct dr_pending *p,
    const struct dr_pending_store *ps, const struct dr_err *why)
{
	struct dr_target *t = target_of(c->r, ps->url);

	if (ps->done) {
		dr_say(1, "published %s in \"%s\", as was begun earlier",
		    p->head.id, ps->url);
		return;
	}
	dr_warn("cannot publish %s in \"%s\", as was begun earlier: %s",
	    p->head.id, ps->url, why->msg);
	if (!ps->lost && t != NULL)
		t->err = *why;
}

/* Publish P, byte for byte, in those of its stores that lack it. */
static int
republish(struct commit *c, struct dr_pending *p, struct dr_err *err)
{
	bool old = dr_now() - p->body_time > BODY_AGE_MAX;
	struct dr_store *opened[DR_PUSH_STORES] = { NULL };
	struct dr_pending_store *to[DR_PUSH_STORES];
	struct dr_publish v[DR_PUSH_STORES];
	size_t n = 0;
	int rc = -1;

	if (raise_head(c, p, err) == -1)
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		struct dr_pending_store *ps = &p->store[i];
		const struct dr_target *t = target_of(c->r, ps->url);
		struct dr_err why = { 0 };

		if (ps->done || ps->lost)
			continue;
		if (old) {
			dr_warn("giving up on publishing %s in \"%s\": its "
			        "body lies there for too long",
			    p->head.id, ps->url);
			ps->lost = true;
			continue;
		}
		/* One that fell out is not waited for again. */
		if (t != NULL && t->err.cause == DR_ERETRY)
			continue;
		v[n].store = open_again(c, ps->url, &opened[i], &why);
		v[n].doubt = ps->doubt;
		if (v[n].store == NULL)
			tell_again(c, p, ps, &why);
		else
			to[n++] = ps;
	}
	dr_fan_hurry_these(c->o, c->r, v, n);
	if (publish(c, p, v, to, n, 0, err) == -1)
		goto out;
	for (size_t i = 0; i < n; i++)
		tell_again(c, p, to[i], &v[i].err);
	rc = !unfinished(p) && !lost_somewhere(p)
	         ? dr_state_settle(c->state, p, err)
	         : dr_state_save(c->state, p, err);

out:
	for (size_t i = 0; i < p->n; i++)
		dr_store_free(opened[i]);
	return rc;
}

static int
note_signer(void *arg, const struct dr_object *obj, struct dr_err *err)
{
	struct {
		struct dr_store *store;
		const char *signer;
		bool found;
	} *a = arg;
	static const char end[] = ".json.minisig";
	size_t len = strlen(obj->name), n;
	char claims[DR_KEYID_HEX], *sig;

	if (len < sizeof(end) ||
	    strcmp(obj->name + len - strlen(end), end) != 0 ||
	    dr_store_get_small(a->store, obj->name, 4096, &sig, &n, err) != 1)
		return 0;
	if (dr_sig_claims(sig, n, claims, err) == 0 &&
	    strcmp(claims, a->signer) == 0)
		a->found = true;
	free(sig);
	return a->found ? -1 : 0;
}

/*
 * Why a chain starts.  Looks into the stores where that is allowed: to find
 * ourselves there and not in the state means that the state was lost.
 */
static const char *
why_start(struct commit *c, bool key_made)
{
	struct {
		struct dr_store *store;
		const char *signer;
		bool found;
	} a = { NULL, c->signer, false };
	struct dr_err ignored = { 0 };
	char *prefix;
	size_t i;

	if (key_made)
		return "first";
	prefix = dr_fmt(&ignored, "%s/snap/", c->o->set);
	for (i = 0; prefix != NULL && i < c->r->n && !a.found; i++) {
		a.store = c->r->target[i].store;
		if (c->r->target[i].body)
			(void)dr_store_list(a.store, prefix, NULL, note_signer,
			    &a, &ignored);
	}
	free(prefix);
	return a.found ? "state lost" : "first";
}

/* What some store never got and never will, the newest LIST_MAX of it. */
static int
list_abandoned(struct commit *c, json_t *m, struct dr_err *err)
{
	json_t *list = NULL;
	int64_t count = 0;
	size_t i;

	for (i = c->nold; i-- > 0;) {
		const struct dr_pending *p = &c->old[i];

		if (strcmp(p->signer, c->signer) != 0 || !lost_somewhere(p))
			continue;
		if (list == NULL && (list = json_array()) == NULL)
			return dr_err_set(err, DR_EFAIL, "out of memory");
		if (count++ < LIST_MAX)
			(void)json_array_insert_new(list, 0,
			    json_pack("{s:s, s:I, s:s}", "id", p->head.id,
			        "seq", (json_int_t)p->head.seq, "sha256",
			        p->head.sha256));
	}
	if (list == NULL)
		return 0;
	if (dr_manifest_set_int(m, "abandoned_count", count, err) == -1) {
		json_decref(list);
		return -1;
	}
	return dr_manifest_set(m, "abandoned", list, err);
}

/* Its place in the chain, into the manifest M. */
static int
link_chain(struct commit *c, bool key_made, json_t *m, uint64_t *seq,
    struct dr_err *err)
{
	struct dr_head head;
	int rc = dr_state_head(c->state, c->signer, &head, err);

	if (rc == -1)
		return -1;
	*seq = rc == 1 ? head.seq + 1 : 1;
	if (dr_manifest_set_int(m, "seq", (int64_t)*seq, err) == -1 ||
	    dr_manifest_set_str(m, "signer", c->signer, err) == -1)
		return -1;
	if (rc == 1)
		return dr_manifest_set(m, "previous",
		    json_pack("{s:s, s:s}", "id", head.id, "sha256",
		        head.sha256),
		    err);
	if (dr_manifest_set_str(m, "previous", NULL, err) == -1)
		return -1;
	return dr_manifest_set_str(m, "start", why_start(c, key_made), err);
}

/* The manifest as it will be published, signed, into P. */
static int
make_manifest(struct commit *c, const struct dr_sign_key *key, bool made,
    struct dr_pending *p, struct dr_err *err)
{
	struct dr_buf line = { .max = FILE_MAX }, sig = { .max = 4096 };
	char now[DR_TIME_LEN], *name = NULL;
	struct dr_push_report *r = c->r;
	json_t *m = r->manifest, *check;
	int rc = -1;

	if (dr_manifest_set_str(m, "set", c->o->set, err) == -1 ||
	    dr_manifest_set(m, "object",
	        json_pack("{s:s, s:I, s:s}", "name", r->object, "size",
	            (json_int_t)r->size, "sha256", r->sha256),
	        err) == -1 ||
	    link_chain(c, made, m, &p->head.seq, err) == -1 ||
	    dr_manifest_set_str(m, "committed", dr_format_time(dr_now(), now),
	        err) == -1 ||
	    list_abandoned(c, m, err) == -1 ||
	    dr_manifest_line(m, &line, err) == -1 ||
	    dr_buf_str(&line, "\n", err) == -1)
		goto out;
	/* No reader may find fault with it later. */
	check = dr_manifest_parse(line.data, line.len, "this backup", err);
	if (check == NULL)
		goto out;
	json_decref(check);
	if ((name = dr_snap_name(c->o->set, r->id, ".json", err)) == NULL ||
	    dr_sha256_hex(line.data, line.len, p->head.sha256, err) == -1 ||
	    dr_sign(key, line.data, line.len, name, &sig, err) == -1 ||
	    (p->object = dr_fmt(err, "%s", r->object)) == NULL)
		goto out;
	memcpy(p->head.id, r->id, sizeof(p->head.id));
	memcpy(p->signer, c->signer, sizeof(p->signer));
	memcpy(p->body, r->sha256, sizeof(p->body));
	p->manifest = line.data; /* theirs now */
	p->minisig = sig.data;
	line.data = sig.data = NULL;
	rc = 0;

out:
	dr_buf_free(&line);
	dr_buf_free(&sig);
	free(name);
	return rc;
}

/* The new manifest into the stores. */
static int
publish_new(struct commit *c, struct dr_pending *p, struct dr_err *err)
{
	struct dr_pending_store *to[DR_PUSH_STORES];
	struct dr_publish v[DR_PUSH_STORES];
	struct dr_target *at[DR_PUSH_STORES];
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < c->r->n; i++) {
		struct dr_target *t = &c->r->target[i];

		if (!t->body)
			continue;
		to[n] = dr_pending_store(p, dr_store_url(t->store));
		to[n]->doubt = 0; /* nothing was sent yet */
		/* A target with an error waits: something older comes first. */
		if (t->err.cause != DR_OK)
			continue;
		at[n] = t;
		v[n].store = t->store;
		v[n++].doubt = 0;
		dr_store_hurry(t->store, 0); /* the grace rules here */
	}
	rc = publish(c, p, v, to, n, c->o->require, err);
	for (size_t i = 0; i < n; i++) {
		at[i]->done = to[i]->done;
		at[i]->err = v[i].err;
	}
	if (rc == -1)
		return -1;
	if (unfinished(p) || lost_somewhere(p))
		return dr_state_save(c->state, p, err);
	return dr_state_settle(c->state, p, err);
}

static int
commit_new(struct commit *c, const struct dr_sign_key *key, bool made,
    struct dr_err *err)
{
	struct dr_pending p = { 0 };
	int rc = -1;
	size_t i;

	p.body_time = dr_now();
	for (i = 0; i < c->r->n; i++)
		if (c->r->target[i].body &&
		    dr_pending_add(&p, dr_store_url(c->r->target[i].store),
		        err) == -1)
			goto out;
	/* Should this run be killed: what it may have sent. */
	for (i = 0; i < p.n; i++)
		p.store[i].doubt = DR_DOUBT_BOTH;
	if (make_manifest(c, key, made, &p, err) == -1 ||
	    dr_state_save(c->state, &p, err) == -1)
		goto out;
	/* It says what was given up on, so that need not be kept. */
	for (i = 0; i < c->nold; i++)
		if (strcmp(c->old[i].signer, c->signer) == 0 &&
		    lost_somewhere(&c->old[i]) && !unfinished(&c->old[i]) &&
		    dr_state_settle(c->state, &c->old[i], err) == -1)
			goto out;
	if (raise_head(c, &p, err) == -1 || publish_new(c, &p, err) == -1)
		goto out;
	rc = 0;

out:
	dr_pending_wipe(&p);
	return rc;
}

/* The body's name is the one it got the first time. */
static void
was_named(struct dr_push_report *r, const char *object)
{
	struct dr_err ignored = { 0 };
	char *name = dr_fmt(&ignored, "%s", object);

	if (name != NULL) {
		free(r->object);
		r->object = name;
	}
}

/*
 * The manifest of R's id in the store of T, if it can be read and is ours:
 * 1 with the same body, 0 none to be seen, -1 with another.
 */
static int
look(const struct dr_push_opts *o, const struct dr_verify_keys *keys,
    struct dr_push_report *r, struct dr_target *t, struct dr_err *why)
{
	struct dr_err ignored = { 0 };
	char *name, *sig = NULL, *text = NULL, *signame = NULL;
	char signer[DR_KEYID_HEX];
	const char *has;
	size_t len, sig_len;
	json_t *m = NULL;
	int rc = 0;

	if ((name = dr_snap_name(o->set, r->id, ".json", &ignored)) == NULL ||
	    (signame = dr_fmt(&ignored, "%s.minisig", name)) == NULL ||
	    dr_store_get_small(t->store, name, FILE_MAX, &text, &len, why) !=
	        1 ||
	    dr_store_get_small(t->store, signame, 4096, &sig, &sig_len,
	        &ignored) != 1 ||
	    dr_verify(keys, text, len, sig, sig_len, name, signer, &ignored) ==
	        -1 ||
	    (m = dr_manifest_parse(text, len, name, &ignored)) == NULL)
		goto out;
	has = dr_manifest_str(m, "object.sha256");
	rc = has != NULL && strcmp(has, r->sha256) == 0 ? 1 : -1;
	has = dr_manifest_str(m, "object.name");
	if (rc == 1 && has != NULL)
		was_named(r, has);

out:
	json_decref(m);
	free(sig);
	free(text);
	free(signame);
	free(name);
	return rc;
}

static int
another(const struct dr_push_report *r, struct dr_err *err)
{
	dr_err_set(err, DR_EFAIL,
	    "a backup %s with another body was published already", r->id);
	return dr_err_hint(err, "an id is never used twice: take a new "
	                        "snapshot");
}

int
dr_commit_known(const struct dr_push_opts *o, const struct dr_sign_key *key,
    struct dr_push_report *r, bool ask, struct dr_err *err)
{
	struct dr_buf text = { .max = 4096 };
	struct dr_verify_keys *keys = NULL;
	struct dr_pending p = { 0 };
	bool known = false;
	int rc = -1, seen;
	size_t i;

	if ((seen = dr_state_record(o->state, o->set, r->id, &p, err)) == -1 ||
	    dr_sign_key_public(key, &text, err) == -1 ||
	    (keys = dr_verify_keys_parse(text.data, text.len, "sign key",
	         err)) == NULL)
		goto out;
	known = seen == 1;
	if (known && strcmp(p.body, r->sha256) != 0) {
		another(r, err);
		goto out;
	}
	if (known)
		was_named(r, p.object);
	for (i = 0; i < r->n; i++) {
		struct dr_target *t = &r->target[i];
		struct dr_pending_store *ps = NULL;
		struct dr_err why = { 0 };

		if (t->store == NULL)
			continue;
		if (known)
			ps = dr_pending_store(&p, dr_store_url(t->store));
		if (ps != NULL && ps->done) {
			t->done = true;
			continue;
		}
		/* One that fell out is not waited for again. */
		if (!ask || t->err.cause != DR_OK)
			continue;
		if ((seen = look(o, keys, r, t, &why)) == -1) {
			another(r, err);
			goto out;
		}
		if (seen == 1)
			t->done = known = true;
		else if (why.cause == DR_ERETRY)
			dr_fan_drop(o, r, t, &why);
	}
	rc = known ? 1 : 0;
	for (i = 0; known && i < r->n; i++) {
		struct dr_target *t = &r->target[i];

		if (t->done)
			dr_err_clear(&t->err);
		else
			dr_err_set(&t->err, DR_EFAIL,
			    "backup %s was published before, and not there",
			    r->id);
	}

out:
	dr_verify_keys_free(keys);
	dr_buf_free(&text);
	dr_pending_wipe(&p);
	return rc;
}

int
dr_commit(const struct dr_push_opts *o, const struct dr_sign_key *key,
    bool key_made, struct dr_push_report *r, struct dr_err *err)
{
	struct commit c = { .o = o, .r = r, .signer = dr_sign_key_id(key) };
	int rc = -1, known;
	size_t i;

	if ((c.state = dr_state_lock(o->state, o->set, err)) == NULL ||
	    dr_state_pending(c.state, &c.old, &c.nold, err) == -1)
		goto out;
	for (i = 0; i < c.nold; i++)
		if (republish(&c, &c.old[i], err) == -1)
			goto out;
	if ((known = dr_commit_known(o, key, r, false, err)) == -1)
		goto out;
	r->again = known == 1;
	if (known == 0 && commit_new(&c, key, key_made, err) == -1)
		goto out;
	rc = 0;

out:
	for (i = 0; i < c.nold; i++)
		dr_pending_wipe(&c.old[i]);
	free(c.old);
	dr_state_free(c.state);
	return rc;
}
