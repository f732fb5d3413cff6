#include "flow/body.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/tarwalk.h"
#include "base/buf.h"
#include "base/num.h"
#include "codec/pack.h"
#include "flow/checked.h"
#include "manifest/manifest.h"

#define SNIFF 4096U

struct peek;

struct dr_body {
	char *name, *store;
	struct dr_input *input;  /* or */
	struct dr_blob *object;  /* owned unless plain is over it */
	struct dr_blob *plain;   /* the object itself, or its opener */
	struct dr_source *proof; /* owned unless it is input's */
	struct dr_source *tar;
	struct peek *first; /* the top of tar, which owns it */
	json_t *manifest;
};

/* --- looking ahead -------------------------------------------------------- */

struct peek {
	struct dr_source source;
	struct dr_source *inner;
	unsigned char buf[SNIFF];
	size_t len, pos;
};

static ssize_t
peek_read(struct dr_source *source, void *buf, size_t len, struct dr_err *err)
{
	struct peek *p = (struct peek *)source;
	size_t n = p->len - p->pos;

	if (n == 0)
		return dr_source_read(p->inner, buf, len, err);
	if (n > len)
		n = len;
	memcpy(buf, p->buf + p->pos, n);
	p->pos += n;
	return (ssize_t)n;
}

static void
peek_free(struct dr_source *source)
{
	free(source);
}

static const struct dr_source_ops peek_ops = { peek_read, peek_free };

/* Over INNER, which it owns only where OWN says so. */
static struct peek *
peek_new(struct dr_source *inner, bool own, struct dr_err *err)
{
	struct peek *p;
	ssize_t n;

	if ((p = calloc(1, sizeof(*p))) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		return NULL;
	}
	if ((n = dr_source_fill(inner, p->buf, sizeof(p->buf), err)) == -1) {
		free(p);
		return NULL;
	}
	p->source.ops = &peek_ops;
	p->inner = inner;
	p->len = (size_t)n;
	if (own)
		p->source.next = inner;
	return p;
}

static bool
is_sealed(const void *head, size_t len)
{
	enum dr_cipher cipher;

	return len >= 32 && dr_seal_sniff(head, len, &cipher) == 0;
}

/* A zstd frame, or a skippable one. */
static bool
is_packed(const void *head, size_t len)
{
	uint32_t magic;

	if (len < 4)
		return false;
	magic = dr_get32(head);
	return magic == 0xFD2FB528U || (magic & 0xFFFFFFF0U) == 0x184D2A50U;
}

static int
may_open(const struct dr_body *b, const struct dr_identities *ids,
    struct dr_err *err)
{
	if (ids != NULL && dr_identities_count(ids) > 0)
		return 0;
	dr_err_set(err, DR_EUSAGE, "%s is sealed", b->name);
	return dr_err_hint(err,
	    "name an identity that opens it with -i, or with DR_IDENTITY");
}

/* --- making --------------------------------------------------------------- */

static struct dr_body *
body_new(const char *name, struct dr_err *err)
{
	struct dr_body *b;

	if ((b = calloc(1, sizeof(*b))) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		return NULL;
	}
	if ((b->name = dr_fmt(err, "%s", name)) == NULL) {
		free(b);
		return NULL;
	}
	return b;
}

struct dr_body *
dr_body_object(struct dr_blob *object, json_t *manifest, const char *name,
    struct dr_err *err)
{
	struct dr_source *bytes;
	struct dr_body *b;

	if ((b = body_new(name, err)) == NULL)
		return NULL;
	if ((bytes = dr_blob_source(object, err)) == NULL)
		goto fail;
	if ((b->proof = dr_checked_source(bytes, b->name, manifest, err)) ==
	    NULL) {
		dr_source_free(bytes);
		goto fail;
	}
	b->manifest = json_incref(manifest);
	b->object = object;
	return b;

fail:
	dr_body_free(b);
	return NULL;
}

struct dr_body *
dr_body_input(struct dr_input *input, struct dr_err *err)
{
	int fd = dr_input_fd(input), copy;
	struct dr_body *b;

	if ((b = body_new(dr_input_name(input), err)) == NULL)
		return NULL;
	if (fd != -1) {
		if ((copy = fcntl(fd, F_DUPFD_CLOEXEC, 3)) == -1) {
			dr_err_sys(err, "cannot open \"%s\" again", b->name);
			goto fail;
		}
		if ((b->object = dr_blob_fd(copy, b->name, err)) == NULL) {
			close(copy);
			goto fail;
		}
		if ((b->manifest = dr_input_manifest(input, err)) == NULL)
			goto fail;
	}
	b->input = input;
	b->proof = dr_input_source(input);
	return b;

fail:
	dr_body_free(b);
	return NULL;
}

void
dr_body_free(struct dr_body *b)
{
	if (b == NULL)
		return;
	dr_source_free(b->tar);
	if (b->input == NULL)
		dr_source_free(b->proof);
	dr_blob_free(b->plain != NULL ? b->plain : b->object);
	dr_input_free(b->input);
	json_decref(b->manifest);
	free(b->name);
	free(b->store);
	free(b);
}

const char *
dr_body_name(const struct dr_body *b)
{
	return b->name;
}

int
dr_body_set_store(struct dr_body *b, const char *url, struct dr_err *err)
{
	char *copy = dr_fmt(err, "%s", url);

	if (copy == NULL)
		return -1;
	free(b->store);
	b->store = copy;
	return 0;
}

const char *
dr_body_store(const struct dr_body *b)
{
	return b->store == NULL ? "" : b->store;
}

struct dr_source *
dr_body_proof(struct dr_body *b)
{
	return b->proof;
}

bool
dr_body_known(const struct dr_body *b)
{
	return b->manifest != NULL;
}

json_t *
dr_body_manifest(struct dr_body *b, struct dr_err *err)
{
	if (b->manifest == NULL)
		b->manifest = dr_input_manifest(b->input, err);
	return b->manifest;
}

/* --- opening -------------------------------------------------------------- */

struct dr_source *
dr_body_tar(struct dr_body *b, const struct dr_identities *ids, int workers,
    struct dr_err *err)
{
	struct dr_source *s;
	struct peek *top;

	if (b->tar != NULL)
		return b->tar;
	if ((top = peek_new(b->proof, false, err)) == NULL)
		return NULL;
	if (is_sealed(top->buf, top->len)) {
		if (may_open(b, ids, err) == -1 ||
		    (s = dr_unseal_new(&top->source, ids, err)) == NULL) {
			dr_source_free(&top->source);
			return NULL;
		}
		if ((top = peek_new(s, true, err)) == NULL) {
			dr_source_free(s);
			return NULL;
		}
	}
	if (is_packed(top->buf, top->len)) {
		s = dr_unpack_new(&top->source, workers, false, err);
		if (s == NULL) {
			dr_source_free(&top->source);
			return NULL;
		}
		if ((top = peek_new(s, true, err)) == NULL) {
			dr_source_free(s);
			return NULL;
		}
	}
	b->first = top;
	b->tar = &top->source;
	return b->tar;
}

/* --- the kind of a stream ------------------------------------------------- */

static int
first_member(void *arg, const struct dr_member *m, struct dr_err *err)
{
	static const char piece[] = "/00000000";
	const char **kind = arg;
	const char *slash = strchr(m->path, '/');

	(void)err;
	if (*kind != NULL)
		return 0;
	if (strcmp(m->path, "backup_label") == 0 ||
	    strcmp(m->path, "PG_VERSION") == 0 ||
	    strncmp(m->path, "pg_tblspc/", 10) == 0)
		*kind = "pg";
	else if (slash != NULL && strcmp(slash, piece) == 0 && m->type == '0')
		*kind = "stream";
	else
		*kind = "files";
	return 0;
}

const char *
dr_body_kind(struct dr_body *b, const struct dr_identities *ids, int workers,
    struct dr_err *err)
{
	static const struct dr_tarwalk_ops ops = { .member = first_member };
	const char *kind = NULL;
	struct dr_tarwalk *walk;
	int rc;

	/* A tar of somebody else's is "stream" to us until it is looked at. */
	if (b->manifest != NULL &&
	    strcmp(dr_manifest_str(b->manifest, "kind"), "stream") != 0)
		return dr_manifest_str(b->manifest, "kind");
	if (dr_body_tar(b, ids, workers, err) == NULL ||
	    (walk = dr_tarwalk_new(&ops, &kind, err)) == NULL)
		return NULL;
	rc = dr_tarwalk_add(walk, b->first->buf, b->first->len, err);
	dr_tarwalk_free(walk);
	if (rc == -1)
		return NULL;
	if (kind == NULL || (b->manifest != NULL && strcmp(kind, "pg") == 0))
		return "files";
	return kind;
}

/* --- anywhere in it ------------------------------------------------------- */

struct dr_blob *
dr_body_plain(struct dr_body *b, const struct dr_identities *ids, bool *packed,
    struct dr_err *err)
{
	unsigned char head[SNIFF];
	size_t n;

	if (b->object == NULL)
		return NULL;
	if (b->plain == NULL) {
		n = b->object->size < SNIFF ? (size_t)b->object->size : SNIFF;
		if (dr_blob_pread(b->object, head, n, 0, err) == -1)
			return NULL;
		if (!is_sealed(head, n))
			b->plain = b->object;
		else if (may_open(b, ids, err) == -1 ||
		         (b->plain = dr_unseal_blob(b->object, ids, err)) ==
		             NULL)
			return NULL;
	}
	n = b->plain->size < SNIFF ? (size_t)b->plain->size : SNIFF;
	if (dr_blob_pread(b->plain, head, n, 0, err) == -1)
		return NULL;
	*packed = is_packed(head, n);
	return b->plain;
}
