#include "flow/checked.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "manifest/manifest.h"

struct checked {
	struct dr_source source;
	const char *name;
	struct dr_sha256 *sha;
	uint64_t given, size;
	char want[DR_SHA256_HEX];
};

static int
settle(struct checked *c, struct dr_err *err)
{
	unsigned char sum[DR_SHA256_LEN];
	char hex[DR_SHA256_HEX];

	if (c->given < c->size)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is truncated: %llu bytes, and its manifest says "
		    "%llu",
		    c->name, (unsigned long long)c->given,
		    (unsigned long long)c->size);
	if (dr_sha256_end(c->sha, sum, err) == -1)
		return -1;
	if (strcmp(dr_hex(sum, sizeof(sum), hex), c->want) != 0)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is damaged: its SHA-256 is not its manifest's",
		    c->name);
	return 0;
}

static ssize_t
checked_read(struct dr_source *source, void *buf, size_t len,
    struct dr_err *err)
{
	struct checked *c = (struct checked *)source;
	ssize_t n = dr_source_read(source->next, buf, len, err);

	if (n == -1)
		return -1;
	if (n == 0)
		return settle(c, err);
	c->given += (uint64_t)n;
	if (c->given > c->size)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is longer than its manifest says (%llu bytes)",
		    c->name, (unsigned long long)c->size);
	if (dr_sha256_add(c->sha, buf, (size_t)n, err) == -1)
		return -1;
	return n;
}

static void
checked_free(struct dr_source *source)
{
	struct checked *c = (struct checked *)source;

	dr_sha256_free(c->sha);
	free(c);
}

static const struct dr_source_ops checked_ops = { checked_read, checked_free };

struct dr_source *
dr_checked_source(struct dr_source *next, const char *name,
    const json_t *manifest, struct dr_err *err)
{
	const char *sha = dr_manifest_str(manifest, "object.sha256");
	int64_t size = dr_manifest_int(manifest, "object.size", -1);
	struct checked *c;

	if (sha == NULL || strlen(sha) != DR_SHA256_HEX - 1 || size < 0) {
		dr_err_set(err, DR_EDATA,
		    "the manifest of \"%s\" does not say its size and "
		    "SHA-256",
		    name);
		return NULL;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		return NULL;
	}
	if ((c->sha = dr_sha256_new(err)) == NULL) {
		free(c);
		return NULL;
	}
	c->source.ops = &checked_ops;
	c->source.next = next;
	c->name = name;
	c->size = (uint64_t)size;
	memcpy(c->want, sha, sizeof(c->want));
	return &c->source;
}
