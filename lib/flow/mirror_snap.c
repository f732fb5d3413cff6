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
};

/*
 * The manifest's size is known only by reading it, so its being there is
 * asked by name.
 */
static int
manifest_there(struct snap *s, const char *id, struct dr_err *err)
{
	char *name = dr_snap_name(s->m->sum.set, id, ".json", err);
	struct dr_object obj;
	int rc;

	if (name == NULL)
		return -1;
	rc = dr_store_stat(s->m->dst, name, &obj, err);
	free(name);
	return rc;
}

/* Of all bodies that are lacking. */
static int
bodies(struct snap *s, struct dr_err *err)
{
	for (size_t i = 0; i < s->all.n; i++) {
		const struct dr_backup *b = &s->all.v[i];
		struct dr_copy *c = &s->body[i];
		const char *sha;

		if (b->manifest == NULL) {
			dr_mirror_bad(s->m, b->id, &b->bad);
			continue;
		}
		if (b->pruned)
			continue;
		c->size =
		    (uint64_t)dr_manifest_int(b->manifest, "object.size", 0);
		c->name = dr_manifest_str(b->manifest, "object.name");
		sha = dr_manifest_str(b->manifest, "object.sha256");
		c->result = DR_OK;
		if (c->name == NULL || sha == NULL ||
		    strlen(sha) != DR_SHA256_HEX - 1 ||
		    dr_present_has(&s->there, c->name, c->size))
			continue;
		memcpy(c->sha256, sha, DR_SHA256_HEX);
		if (dr_mirror_lacks(s->m, c->name, c->size, err) == -1)
			return -1;
		if (!s->m->o->dry_run &&
		    dr_copiers_add(s->m->copiers, c, err) == -1)
			return -1;
		c->result = s->m->o->dry_run ? DR_OK : c->result;
	}
	return dr_copiers_wait(s->m->copiers, err);
}

static int
pruned(struct snap *s, const struct dr_backup *b, struct dr_err *err)
{
	char *name = dr_snap_name(s->m->sum.set, b->id, ".pruned.json", err);
	struct dr_object obj;
	bool done;
	int rc = -1;

	if (name != NULL &&
	    (rc = dr_store_stat(s->m->dst, name, &obj, err)) == 0)
		rc = dr_mirror_signed(s->m, name, 1U << 20, &done, err);
	free(name);
	return rc == -1 ? -1 : 0;
}

static int
one_manifest(struct snap *s, const struct dr_backup *b, struct dr_err *err)
{
	struct dr_err why = { 0 };
	char *text = NULL, *sig = NULL, *name;
	size_t len, sig_len;
	bool done;
	int rc = -1;

	if ((name = dr_snap_name(s->m->sum.set, b->id, ".json", err)) == NULL)
		return -1;
	if (dr_backup_files(s->m->src, s->m->sum.set, s->m->keys, b, &text,
	        &len, &sig, &sig_len, &why) == 0)
		rc = dr_mirror_text(s->m, name, text, len, sig, sig_len, &done,
		    err);
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

/* Only those whose bodies are there now. */
static int
manifests(struct snap *s, struct dr_err *err)
{
	for (size_t i = 0; i < s->all.n; i++) {
		const struct dr_backup *b = &s->all.v[i];
		int rc;

		if (b->manifest == NULL || s->body[i].result != DR_OK)
			continue;
		if ((rc = manifest_there(s, b->id, err)) == -1 ||
		    (rc == 0 && one_manifest(s, b, err) == -1) ||
		    (b->pruned && pruned(s, b, err) == -1))
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
	if (bodies(&s, err) == -1)
		goto out;
	for (size_t i = 0; i < s.all.n && !m->o->dry_run; i++)
		if (s.body[i].sha256[0] != '\0')
			dr_mirror_copied(m, &s.body[i]);
	rc = manifests(&s, err);

out:
	free(s.body);
	dr_backups_free(&s.all);
	dr_present_wipe(&s.there);
	free(prefix);
	return rc;
}
