#include "stream/blob.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"

int
dr_blob_pread(struct dr_blob *b, void *buf, size_t len, uint64_t off,
    struct dr_err *err)
{
	if (len == 0)
		return 0;
	if (off > b->size || len > b->size - off)
		return dr_err_set(err, DR_EDATA,
		    "%zu bytes at %llu lie beyond the end (%llu)", len,
		    (unsigned long long)off, (unsigned long long)b->size);
	return b->ops->pread(b, buf, len, off, err);
}

void
dr_blob_free(struct dr_blob *b)
{
	void (*freed)(void *), *arg;
	struct dr_blob *next;

	for (; b != NULL; b = next) {
		next = b->next;
		freed = b->freed;
		arg = b->freed_arg;
		b->ops->free(b);
		if (freed != NULL)
			freed(arg);
	}
}

/* --- a file -------------------------------------------------------------- */

struct fdblob {
	struct dr_blob blob;
	int fd;
	char *name;
};

static int
fd_pread(struct dr_blob *blob, void *buf, size_t len, uint64_t off,
    struct dr_err *err)
{
	struct fdblob *f = (struct fdblob *)blob;

	return dr_fd_pread(f->fd, buf, len, off, f->name, err);
}

static void
fd_free(struct dr_blob *blob)
{
	struct fdblob *f = (struct fdblob *)blob;

	close(f->fd);
	free(f->name);
	free(f);
}

static const struct dr_blob_ops fd_ops = { fd_pread, fd_free };

struct dr_blob *
dr_blob_fd(int fd, const char *name, struct dr_err *err)
{
	struct fdblob *f;
	struct stat st;

	if (fstat(fd, &st) == -1) {
		dr_err_sys(err, "cannot look at \"%s\"", name);
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		dr_err_set(err, DR_EFAIL, "\"%s\" is not a regular file", name);
		return NULL;
	}
	if ((f = calloc(1, sizeof(*f))) == NULL ||
	    (f->name = strdup(name)) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		free(f);
		return NULL;
	}
	f->blob.ops = &fd_ops;
	f->blob.size = (uint64_t)st.st_size;
	f->fd = fd;
	return &f->blob;
}

/* --- memory -------------------------------------------------------------- */

struct memblob {
	struct dr_blob blob;
	const char *data;
};

static int
mem_pread(struct dr_blob *blob, void *buf, size_t len, uint64_t off,
    struct dr_err *err)
{
	(void)err;
	memcpy(buf, ((struct memblob *)blob)->data + off, len);
	return 0;
}

static void
mem_free(struct dr_blob *blob)
{
	free(blob);
}

static const struct dr_blob_ops mem_ops = { mem_pread, mem_free };

struct dr_blob *
dr_blob_mem(const void *data, size_t len, struct dr_err *err)
{
	struct memblob *m;

	if ((m = calloc(1, sizeof(*m))) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		return NULL;
	}
	m->blob.ops = &mem_ops;
	m->blob.size = len;
	m->data = data;
	return &m->blob;
}

/* --- a blob as a source -------------------------------------------------- */

struct blobsource {
	struct dr_source source;
	struct dr_blob *blob;
	uint64_t at;
};

static ssize_t
blobsource_read(struct dr_source *source, void *buf, size_t len,
    struct dr_err *err)
{
	struct blobsource *s = (struct blobsource *)source;
	uint64_t left = s->blob->size - s->at;

	if (len > left)
		len = (size_t)left;
	if (dr_blob_pread(s->blob, buf, len, s->at, err) == -1)
		return -1;
	s->at += len;
	return (ssize_t)len;
}

static void
blobsource_free(struct dr_source *source)
{
	free(source);
}

static const struct dr_source_ops blobsource_ops = { blobsource_read,
	blobsource_free };

struct dr_source *
dr_blob_source(struct dr_blob *blob, struct dr_err *err)
{
	struct blobsource *s;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		dr_err_sys(err, "cannot allocate a reader");
		return NULL;
	}
	s->source.ops = &blobsource_ops;
	s->blob = blob;
	return &s->source;
}

#define HASH_STEP (256U << 10)

int
dr_blob_sha256(struct dr_blob *blob, char hex[DR_SHA256_HEX],
    struct dr_err *err)
{
	unsigned char digest[DR_SHA256_LEN];
	struct dr_sha256 *h = NULL;
	void *buf = NULL;
	int rc = -1;

	if ((h = dr_sha256_new(err)) == NULL)
		return -1;
	if ((buf = malloc(HASH_STEP)) == NULL) {
		dr_err_sys(err, "cannot allocate a buffer");
		goto out;
	}
	for (uint64_t at = 0, n; at < blob->size; at += n) {
		n = blob->size - at < HASH_STEP ? blob->size - at : HASH_STEP;
		if (dr_check_stop(err) == -1 ||
		    dr_blob_pread(blob, buf, (size_t)n, at, err) == -1 ||
		    dr_sha256_add(h, buf, (size_t)n, err) == -1)
			goto out;
	}
	if ((rc = dr_sha256_end(h, digest, err)) == 0)
		dr_hex(digest, sizeof(digest), hex);

out:
	free(buf);
	dr_sha256_free(h);
	return rc;
}
