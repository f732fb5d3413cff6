#include "flow/push.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"
#include "crypt/seal.h"
#include "flow/fanout.h"
#include "flow/setconf.h"
#include "http/http.h"
#include "manifest/manifest.h"
#include "stream/sink.h"
#include "stream/source.h"

#define BLOCK (256U << 10)
#define SNIFF 64U

struct push {
	const struct dr_push_opts *o;
	struct dr_push_report *r;
	struct dr_sha256 *sha;
	char *buf;
	bool sealed, packed; /* by the first bytes; packed: if not sealed */
	enum dr_cipher cipher;
	int64_t began; /* to write */
	double sent;
};

/* The first failure of any store becomes that of all. */
static int
none_left(const struct push *p, struct dr_err *err)
{
	size_t i;

	for (i = 0; i < p->r->n; i++)
		if (p->r->target[i].err.cause != DR_OK) {
			*err = p->r->target[i].err;
			return -1;
		}
	return dr_err_set(err, DR_EFAIL, "no store is left");
}

static int
open_stores(struct push *p, struct dr_err *err)
{
	const struct dr_push_opts *o = p->o;
	struct dr_push_report *r = p->r;
	struct dr_store *store[DR_PUSH_STORES];
	size_t i, j;

	if (o->nstores == 0 || o->nstores > DR_PUSH_STORES)
		return dr_err_set(err, DR_EUSAGE, "give 1 to %d stores",
		    DR_PUSH_STORES);
	if (o->require > o->nstores)
		return dr_err_set(err, DR_EUSAGE,
		    "%zu of %zu store%s cannot be required", o->require,
		    o->nstores, dr_plural(o->nstores));
	for (i = 0; i < o->nstores; i++) {
		struct dr_target *t = &r->target[i];

		if ((t->store = dr_store_open(o->stores[i], o->how, err)) ==
		    NULL)
			return -1;
		r->n++;
		for (j = 0; j < i; j++)
			if (strcmp(dr_store_url(t->store),
			        dr_store_url(r->target[j].store)) == 0)
				return dr_err_set(err, DR_EUSAGE,
				    "store \"%s\" is given twice",
				    o->stores[i]);
		store[i] = t->store;
	}
	dr_fan_hurry(o, r);
	return dr_regions_check(o->set, store, r->n, err);
}

/* A zstd frame, or a skippable one. */
static bool
is_zstd(const void *data, size_t len)
{
	uint32_t magic = len >= 4 ? dr_get32(data) : 0;

	return magic == 0xFD2FB528U || (magic & 0xFFFFFFF0U) == 0x184D2A50U;
}

/*
 * What the body is, as far as its first bytes tell; an unsealed one is not
 * let into a store by oversight.
 */
static int
sniff(struct push *p, size_t len, struct dr_err *err)
{
	p->sealed = len >= 32 && dr_seal_sniff(p->buf, len, &p->cipher) == 0;
	p->packed = is_zstd(p->buf, len);
	if (!p->sealed && !p->o->plain) {
		dr_err_set(err, DR_EUSAGE,
		    "what is read is not sealed: whoever reads the store "
		    "could read it");
		return dr_err_hint(err,
		    "put dr-seal before dr-push, or say --plain");
	}
	return 0;
}

/*
 * The body's name must be chosen before the stream's manifest is known,
 * which comes last: so it carries the time and random digits, and whether a
 * sealed body is packed can only be told where the input is a file.
 */
static int
name_body(struct push *p, const json_t *known, struct dr_err *err)
{
	char stamp[DR_TIME_LEN], hex[17];
	unsigned char rnd[8];
	const char *seal = "";
	bool packed = p->packed;

	if (p->sealed) {
		packed =
		    known == NULL || json_object_get(known, "pack") != NULL;
		seal = p->cipher == DR_CIPHER_AES ? ".seal" : ".age";
	}
	if (dr_random(rnd, sizeof(rnd), err) == -1)
		return -1;
	p->r->object = dr_fmt(err, "%s/snap/%s-%s.tar%s%s", p->o->set,
	    dr_format_stamp(dr_now(), stamp), dr_hex(rnd, sizeof(rnd), hex),
	    packed ? ".zst" : "", seal);
	return p->r->object == NULL ? -1 : 0;
}

/* Begin the body in every store; 0 while one is left. */
static int
begin(struct push *p, struct dr_err *err)
{
	struct dr_push_report *r = p->r;
	size_t i, alive = 0;

	for (i = 0; i < r->n; i++) {
		struct dr_target *t = &r->target[i];
		struct dr_err why = { 0 };

		t->sink = dr_store_put(t->store, r->object, &why);
		if (t->sink == NULL)
			dr_fan_drop(p->o, p->r, t, &why);
		else
			alive++;
	}
	return alive > 0 ? 0 : none_left(p, err);
}

/*
 * What goes over HTTP keeps to --limit-rate by itself, retries included; so
 * that other stores do, the input is not read faster, either.
 */
static int
pace(struct push *p, size_t bytes, struct dr_err *err)
{
	uint64_t rate = p->o->how != NULL ? p->o->how->limit_rate : 0;
	int64_t due, now;

	if (rate == 0)
		return 0;
	p->sent += (double)bytes;
	due = p->began + (int64_t)(p->sent / (double)rate * 1e6);
	while ((now = dr_monotonic()) < due)
		if (dr_http_turn((uint64_t)(due - now + 999) / 1000, err) == -1)
			return -1;
	return 0;
}

static int
write_some(struct push *p, const char *buf, size_t len, struct dr_err *err)
{
	struct dr_push_report *r = p->r;
	size_t i, alive = 0;

	for (i = 0; i < r->n; i++) {
		struct dr_target *t = &r->target[i];
		struct dr_err why = { 0 };

		if (t->sink == NULL)
			continue;
		if (dr_sink_write(t->sink, buf, len, &why) == 0) {
			alive++;
			continue;
		}
		if (why.cause == DR_ESTOP) {
			*err = why;
			return -1;
		}
		dr_fan_drop(p->o, p->r, t, &why);
	}
	r->size += len;
	dr_progress(r->size);
	return alive > 0 ? pace(p, alive * len, err) : none_left(p, err);
}

static int
write_all(struct push *p, size_t len, struct dr_err *err)
{
	ssize_t n;

	if (dr_sha256_add(p->sha, p->buf, len, err) == -1)
		return -1;
	for (size_t at = 0; at < len; at += (size_t)n) {
		n = dr_fan_room(p->o, p->r, len - at, err);
		if (n == -1 || write_some(p, p->buf + at, (size_t)n, err) == -1)
			return -1;
	}
	return 0;
}

/* The body from the input into all stores, up to its proved end. */
static int
carry(struct push *p, struct dr_input *in, struct dr_err *err)
{
	struct dr_source *src = dr_input_source(in);
	unsigned char digest[DR_SHA256_LEN];
	json_t *known = NULL;
	ssize_t n;
	int rc = -1;

	if ((n = dr_source_fill(src, p->buf, SNIFF, err)) == -1)
		return -1;
	/* Not sealed: said at once.  Too short to tell: first the proof. */
	if (n < (ssize_t)SNIFF && dr_source_drain(src, err) == -1)
		return -1;
	if (sniff(p, (size_t)n, err) == -1)
		return -1;
	if (dr_input_fd(in) != -1 &&
	    (known = dr_input_manifest(in, err)) == NULL)
		return -1;
	if (name_body(p, known, err) == -1 || begin(p, err) == -1)
		goto out;
	p->began = dr_monotonic();
	for (; n > 0; n = dr_source_read(src, p->buf, BLOCK, err))
		if (write_all(p, (size_t)n, err) == -1)
			goto out;
	if (n == -1)
		goto out;
	if (dr_sha256_end(p->sha, digest, err) == -1)
		goto out;
	dr_hex(digest, sizeof(digest), p->r->sha256);
	rc = 0;

out:
	json_decref(known);
	return rc;
}

/* The manifest of what was read, without what an earlier push put in. */
static int
take_manifest(struct push *p, struct dr_input *in, struct dr_err *err)
{
	static const char *const ours[] = { "set", "seq", "signer", "object",
		"previous", "start", "committed", "abandoned",
		"abandoned_count" };
	struct dr_push_report *r = p->r;
	json_t *m;
	size_t i;

	if ((m = r->manifest = dr_input_manifest(in, err)) == NULL)
		return -1;
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		dr_manifest_unset(m, ours[i]);
	(void)snprintf(r->id, sizeof(r->id), "%s", dr_manifest_str(m, "id"));
	if (p->sealed != (json_object_get(m, "seal") != NULL) ||
	    (!p->sealed && p->packed != (json_object_get(m, "pack") != NULL)))
		return dr_err_set(err, DR_EDATA,
		    "what was read is not what its manifest says: %s",
		    p->sealed ? "the body is sealed"
		              : "the body's first bytes are others");
	return 0;
}

/* Durable, and under their names. */
static int
finish_bodies(struct push *p, struct dr_err *err)
{
	struct dr_push_report *r = p->r;
	struct dr_target *t;
	size_t i, alive = 0;

	for (i = 0; i < r->n; i++)
		if (r->target[i].sink != NULL)
			dr_sink_ending(r->target[i].sink);
	while ((t = dr_fan_ended(p->o, r, err)) != NULL) {
		struct dr_err why = { 0 };

		if (dr_check_stop(err) == -1)
			return -1;
		/* In doubt it is ours: its name is random, and of this run. */
		errno = 0;
		if (dr_sink_finish(t->sink, &why) == -1 && errno != EALREADY) {
			dr_fan_drop(p->o, p->r, t, &why);
			continue;
		}
		dr_sink_free(t->sink);
		t->sink = NULL;
		t->body = true;
		alive++;
	}
	if (err->cause != DR_OK)
		return -1;
	return alive > 0 ? 0 : none_left(p, err);
}

static void
abandon_bodies(struct dr_push_report *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		dr_sink_free(r->target[i].sink);
		r->target[i].sink = NULL;
	}
}

/* What it came to, in words and by cause. */
static int
judge(const struct push *p, struct dr_err *err)
{
	const struct dr_push_opts *o = p->o;
	struct dr_push_report *r = p->r;
	size_t need = o->require > 0 ? o->require : r->n, i;
	const struct dr_target *bad = NULL;

	r->done = 0;
	for (i = 0; i < r->n; i++) {
		if (r->target[i].done)
			r->done++;
		else if (bad == NULL)
			bad = &r->target[i];
	}
	if (r->done == 0)
		return none_left(p, err);
	if (bad != NULL && r->done >= need)
		return dr_err_set(err, DR_EPARTIAL,
		    "backup %s is in %zu of %zu stores, not in \"%s\": %s",
		    r->id, r->done, r->n, dr_store_url(bad->store),
		    bad->err.msg);
	if (bad != NULL) {
		for (i = 0; i < r->n; i++)
			if (r->target[i].done)
				dr_warn("backup %s is in \"%s\"", r->id,
				    dr_store_url(r->target[i].store));
		return dr_err_set(err, DR_EFAIL,
		    "backup %s is in %zu of %zu stores where %zu are "
		    "required: \"%s\": %s",
		    r->id, r->done, r->n, need, dr_store_url(bad->store),
		    bad->err.msg);
	}
	if (!dr_manifest_bool(r->manifest, "complete", true)) {
		dr_err_set(err, DR_EPARTIAL,
		    "backup %s was published and is incomplete", r->id);
		return dr_err_hint(err,
		    "what is missing was reported when it was taken");
	}
	return 0;
}

/* A state that is damaged or read-only shows before the body goes up. */
static int
try_state(const struct dr_push_opts *o, struct dr_err *err)
{
	struct dr_state *state = dr_state_lock(o->state, o->set, err);
	struct dr_pending *v = NULL;
	size_t n = 0, i;
	int rc = -1;

	if (state != NULL)
		rc = dr_state_pending(state, &v, &n, err);
	for (i = 0; i < n; i++)
		dr_pending_wipe(&v[i]);
	free(v);
	dr_state_free(state);
	return rc;
}

int
dr_push(struct dr_input *in, const struct dr_push_opts *o,
    struct dr_push_report *r, struct dr_err *err)
{
	struct push p = { .o = o, .r = r };
	struct dr_sign_key *key = NULL;
	int64_t began = dr_monotonic();
	bool made = false;
	int rc = -1, known;

	memset(r, 0, sizeof(*r));
	if (open_stores(&p, err) == -1 || (p.sha = dr_sha256_new(err)) == NULL)
		goto out;
	if ((p.buf = malloc(BLOCK)) == NULL) {
		dr_err_sys(err, "cannot push");
		goto out;
	}
	if ((key = dr_state_sign_key(o->state, o->sign_key, &made, err)) ==
	        NULL ||
	    try_state(o, err) == -1)
		goto out;
	if (carry(&p, in, err) == -1 || take_manifest(&p, in, err) == -1 ||
	    (known = dr_commit_known(o, key, r, true, err)) == -1)
		goto out;
	if (known == 1)
		abandon_bodies(r);
	else if (finish_bodies(&p, err) == -1)
		goto out;
	if (dr_commit(o, key, made, r, err) == -1)
		goto out;
	rc = judge(&p, err);

out:
	abandon_bodies(r);
	dr_sign_key_free(key);
	dr_sha256_free(p.sha);
	free(p.buf);
	r->usec = dr_monotonic() - began;
	return rc;
}

void
dr_push_wipe(struct dr_push_report *r)
{
	size_t i;

	abandon_bodies(r);
	for (i = 0; i < r->n; i++)
		dr_store_free(r->target[i].store);
	free(r->object);
	json_decref(r->manifest);
	memset(r, 0, sizeof(*r));
}
