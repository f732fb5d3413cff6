/* Backups that the target lacks: bodies first, then manifests, in order. */
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/catalogue.h"
#include "flow/mirror_int.h"
#include "manifest/manifest.h"

struct snap {
	struct dr_mirror *m;
	struct dr_present there;
	struct dr_backups all;
	struct dr_copy *body; /* one for each of all; name NULL: none needed */
	size_t handed, next;  /* bodies handed over, manifests published */
};

static bool
named(const struct snap *s, const char *id, const char *suffix)
{
	struct dr_err ignored = { 0 };
	char *name = dr_snap_name(s->m->sum.set, id, suffix, &ignored);
	bool is = name != NULL && dr_present_named(&s->there, name);

	free(name);
	return is;
}

static bool
body_there(const struct snap *s, const struct dr_backup *b)
{
	const char *name = dr_manifest_str(b->manifest, "object.name");

	return name != NULL &&
	       dr_present_has(&s->there, name,
	           (uint64_t)dr_manifest_int(b->manifest, "object.size", 0));
}

/* Hand the body over, where it is lacking. */
static int
body(struct snap *s, const struct dr_backup *b, struct dr_copy *c,
    struct dr_err *err)
{
	const char *sha;

	c->ended = true;
	if (b->manifest == NULL) {
		dr_mirror_bad(s->m, b->id, &b->bad);
		return 0;
	}
	c->result = DR_OK;
	/* Neither store need keep what the other has expired. */
	if (b->pruned || named(s, b->id, ".pruned.json") || body_there(s, b))
		return 0;
	c->name = dr_manifest_str(b->manifest, "object.name");
	c->size = (uint64_t)dr_manifest_int(b->manifest, "object.size", 0);
	sha = dr_manifest_str(b->manifest, "object.sha256");
	if (c->name == NULL || sha == NULL || strlen(sha) != DR_SHA256_HEX - 1)
		return 0;
	memcpy(c->sha256, sha, DR_SHA256_HEX);
	if (dr_mirror_lacks(s->m, c->name, c->size, err) == -1)
		return -1;
	return s->m->o->dry_run ? 0 : dr_copiers_add(s->m->copiers, c, err);
}

/* It keeps what it has; of what it never had, it is told why. */
static int
pruned(struct snap *s, const struct dr_backup *b, struct dr_err *err)
{
	char *name = dr_snap_name(s->m->sum.set, b->id, ".pruned.json", err);
	int rc = -1;

	if (name != NULL)
		rc = dr_mirror_signed(s->m, name, 1U << 20, err);
	free(name);
	return rc;
}

static int
one_manifest(struct snap *s, const struct dr_backup *b, struct dr_err *err)
{
	struct dr_err why = { 0 };
	char *text = NULL, *sig = NULL, *name;
	size_t len, sig_len;
	int rc = -1;

	if ((name = dr_snap_name(s->m->sum.set, b->id, ".json", err)) == NULL)
		return -1;
	if (dr_backup_files(s->m->src, s->m->sum.set, s->m->keys, b, &text,
	        &len, &sig, &sig_len, &why) == 0)
		rc = dr_mirror_text(s->m, name, text, len, sig, sig_len, err);
	else if (why.cause == DR_ESTOP)
		*err = why;
	else {
		dr_mirror_bad(s->m, name, &why);
		rc = 0;
	}
	free(text);
	free(sig);
	free(name);
	return rc;
}

/* What was handed over and has ended, and its manifest, in order. */
static int
publish(struct snap *s, bool all, struct dr_err *err)
{
	for (; s->next < s->handed; s->next++) {
		const struct dr_backup *b = &s->all.v[s->next];
		struct dr_copy *c = &s->body[s->next];

		if (!c->ended &&
		    (!all || dr_copiers_wait(s->m->copiers, c, err) == -1))
			return all ? -1 : 0;
		if (c->name != NULL && !s->m->o->dry_run)
			dr_mirror_copied(s->m, c);
		if (b->manifest == NULL || c->result != DR_OK)
			continue;
		if (!named(s, b->id, ".json") && one_manifest(s, b, err) == -1)
			return -1;
		if (b->pruned && !body_there(s, b) &&
		    !named(s, b->id, ".pruned.json") && pruned(s, b, err) == -1)
			return -1;
	}
	return 0;
}

/* A chain's order is that of seq. */
static int
by_seq(const void *a, const void *b)
{
	const struct dr_backup *x = a, *y = b;
	int64_t p = x->manifest ? dr_manifest_int(x->manifest, "seq", 0) : 0;
	int64_t q = y->manifest ? dr_manifest_int(y->manifest, "seq", 0) : 0;
	int rc = strcmp(x->signer, y->signer);

	if (rc == 0 && p != q)
		rc = p < q ? -1 : 1;
	return rc != 0 ? rc : strcmp(x->id, y->id);
}

int
dr_mirror_snap(struct dr_mirror *m, struct dr_err *err)
{
	const struct dr_catalogue_opts co = { .keys = m->keys };
	struct snap s = { .m = m };
	char *prefix = dr_fmt(err, "%s/snap/", m->sum.set);
	int rc = -1;

	if (prefix == NULL ||
	    dr_catalogue_read(m->src, m->sum.set, &co, &s.all, err) == -1 ||
	    dr_present_read(m->dst, prefix, &s.there, err) == -1)
		goto out;
	if (s.all.n > 1)
		qsort(s.all.v, s.all.n, sizeof(*s.all.v), by_seq);
	if ((s.body = calloc(s.all.n + 1, sizeof(*s.body))) == NULL) {
		dr_err_sys(err, "cannot list backups");
		goto out;
	}
	for (size_t i = 0; i < s.all.n; i++) {
		if (body(&s, &s.all.v[i], &s.body[i], err) == -1)
			goto out;
		s.handed = i + 1;
		if (publish(&s, false, err) == -1)
			goto out;
	}
	rc = publish(&s, true, err);

out:
	free(s.body);
	dr_backups_free(&s.all);
	dr_present_wipe(&s.there);
	free(prefix);
	return rc;
}
