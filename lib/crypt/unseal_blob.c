/*
 * The plain text of a sealed blob.  Chunks are found by arithmetic, so any
 * thread reads anywhere with a cipher of its own.
 */
#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/aead.h"
#include "crypt/header.h"
#include "crypt/keys.h"
#include "crypt/seal.h"
#include "crypt/secret.h"

/* Sealed chunks read at once. */
#define BATCH       16U
#define HEADER_STEP 4096U

/* What one thread needs while it reads; kept for the next. */
struct opener {
	struct opener *next;
	struct dr_aead *aead;
	unsigned char *sealed;
	size_t cap;
};

struct plainblob {
	struct dr_blob blob;
	enum dr_cipher cipher;
	unsigned char *key; /* locked memory */
	uint64_t start;     /* of the first chunk in the sealed blob */
	uint64_t chunks;
	pthread_mutex_t lock;
	struct opener *idle;
};

static void
opener_free(struct opener *o)
{
	if (o == NULL)
		return;
	dr_aead_free(o->aead);
	if (o->sealed != NULL)
		sodium_memzero(o->sealed, o->cap);
	free(o->sealed);
	free(o);
}

static struct opener *
opener_get(struct plainblob *p, struct dr_err *err)
{
	struct opener *o;

	pthread_mutex_lock(&p->lock);
	if ((o = p->idle) != NULL)
		p->idle = o->next;
	pthread_mutex_unlock(&p->lock);
	if (o != NULL)
		return o;
	if ((o = calloc(1, sizeof(*o))) == NULL) {
		dr_err_sys(err, "cannot allocate an opener");
		return NULL;
	}
	if ((o->aead = dr_aead_new(p->cipher, p->key, false, err)) == NULL) {
		opener_free(o);
		return NULL;
	}
	return o;
}

static void
opener_put(struct plainblob *p, struct opener *o)
{
	pthread_mutex_lock(&p->lock);
	o->next = p->idle;
	p->idle = o;
	pthread_mutex_unlock(&p->lock);
}

/* Room for N sealed bytes. */
static int
room(struct opener *o, size_t n, struct dr_err *err)
{
	if (n <= o->cap)
		return 0;
	free(o->sealed);
	o->cap = 0;
	if ((o->sealed = malloc(n)) == NULL)
		return dr_err_sys(err, "cannot allocate a chunk");
	o->cap = n;
	return 0;
}

/* The plain bytes of chunk N. */
static size_t
chunk_len(const struct plainblob *p, uint64_t n)
{
	return n + 1 < p->chunks ? DR_CHUNK
	                         : (size_t)(p->blob.size - n * DR_CHUNK);
}

static int
not_authentic(uint64_t n, struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA,
	    "the sealed data is damaged: chunk %llu is not authentic",
	    (unsigned long long)n);
}

/*
 * Read LEN bytes at OFF, which lie in at most BATCH chunks: whole chunks
 * straight into BUF, those at the edges by way of where they lay sealed.
 */
static int
read_batch(struct plainblob *p, struct opener *o, unsigned char *buf,
    size_t len, uint64_t off, struct dr_err *err)
{
	uint64_t first = off / DR_CHUNK, last = (off + len - 1) / DR_CHUNK;
	size_t skip = (size_t)(off % DR_CHUNK), total, plain, n;
	unsigned char *from, *to;
	bool whole;

	total =
	    (size_t)(last - first) * DR_SEALED + chunk_len(p, last) + DR_TAG;
	if (room(o, total, err) == -1 ||
	    dr_blob_pread(p->blob.next, o->sealed, total,
	        p->start + first * DR_SEALED, err) == -1)
		return -1;
	assert(o->sealed != NULL);
	from = o->sealed;
	for (uint64_t c = first; c <= last; c++, from += DR_SEALED) {
		plain = chunk_len(p, c);
		n = plain - skip < len ? plain - skip : len;
		whole = n == plain;
		to = whole ? buf : from;
		if (!dr_aead_open(o->aead, c, c + 1 == p->chunks, from,
		        plain + DR_TAG, to))
			return not_authentic(c, err);
		if (!whole)
			memcpy(buf, from + skip, n);
		buf += n;
		len -= n;
		skip = 0;
	}
	return 0;
}

static int
plain_pread(struct dr_blob *blob, void *buf, size_t len, uint64_t off,
    struct dr_err *err)
{
	struct plainblob *p = (struct plainblob *)blob;
	unsigned char *to = buf;
	struct opener *o;
	size_t n;
	int rc = 0;

	if ((o = opener_get(p, err)) == NULL)
		return -1;
	while (len > 0 && rc == 0) {
		n = (size_t)BATCH * DR_CHUNK - (size_t)(off % DR_CHUNK);
		if (n > len)
			n = len;
		rc = read_batch(p, o, to, n, off, err);
		to += n;
		off += n;
		len -= n;
	}
	opener_put(p, o);
	return rc;
}

static void
plain_free(struct dr_blob *blob)
{
	struct plainblob *p = (struct plainblob *)blob;
	struct opener *o;

	while ((o = p->idle) != NULL) {
		p->idle = o->next;
		opener_free(o);
	}
	pthread_mutex_destroy(&p->lock);
	sodium_free(p->key);
	free(p);
}

static const struct dr_blob_ops plain_ops = {
	.pread = plain_pread,
	.free = plain_free,
};

/* The header and the nonce after it, into TEXT.  The header's length, -1. */
static ssize_t
read_header(struct dr_blob *next, struct dr_buf *text, struct dr_err *err)
{
	size_t seen, n;
	ssize_t len = 0;

	while (len == 0 || (size_t)len + DR_SEAL_NONCE > text->len) {
		seen = text->len;
		n = next->size - seen < HEADER_STEP
		        ? (size_t)(next->size - seen)
		        : HEADER_STEP;
		if (n == 0)
			return dr_err_set(err, DR_EDATA,
			    "the sealed data is truncated in its header");
		if (dr_buf_room(text, n, err) == -1 ||
		    dr_blob_pread(next, text->data + seen, n, seen, err) == -1)
			return -1;
		text->len += n;
		if (len == 0 && (len = dr_header_find(text->data, text->len,
		                     seen, err)) == -1)
			return -1;
	}
	return len;
}

/* Find the size, and prove it by the last chunk. */
static int
measure(struct plainblob *p, uint64_t start, uint64_t sealed,
    struct dr_err *err)
{
	struct opener *o = NULL;
	uint64_t last;
	size_t n;
	int rc = -1;

	p->start = start;
	p->chunks = sealed / DR_SEALED + (sealed % DR_SEALED != 0);
	if (p->chunks == 0 || sealed % DR_SEALED == DR_TAG
	        ? p->chunks != 1
	        : sealed % DR_SEALED != 0 && sealed % DR_SEALED < DR_TAG)
		return dr_err_set(err, DR_EDATA,
		    "the sealed data is truncated: its last chunk is missing");
	p->blob.size = sealed - p->chunks * DR_TAG;
	last = p->chunks - 1;
	n = chunk_len(p, last) + DR_TAG;
	if ((o = opener_get(p, err)) == NULL || room(o, n, err) == -1 ||
	    dr_blob_pread(p->blob.next, o->sealed, n,
	        p->start + last * DR_SEALED, err) == -1)
		goto out;
	if (dr_aead_open(o->aead, last, true, o->sealed, n, o->sealed))
		rc = 0;
	else
		dr_err_set(err, DR_EDATA,
		    "the sealed data is truncated or damaged: chunk %llu, "
		    "where it ends, is not its authentic last",
		    (unsigned long long)last);

out:
	if (o != NULL)
		opener_put(p, o);
	return rc;
}

struct dr_blob *
dr_unseal_blob(struct dr_blob *next, const struct dr_identities *ids,
    struct dr_err *err)
{
	struct dr_buf text = { .max = DR_HEADER_MAX + HEADER_STEP };
	struct dr_filekey fk = { { 0 }, 0 };
	struct dr_header h = { 0 };
	struct plainblob *p;
	uint64_t start;
	ssize_t len;
	int rc = -1;

	if ((p = calloc(1, sizeof(*p))) == NULL) {
		dr_err_sys(err, "cannot allocate an opener");
		return NULL;
	}
	p->blob.ops = &plain_ops;
	p->blob.next = next;
	pthread_mutex_init(&p->lock, NULL);
	if ((len = read_header(next, &text, err)) == -1 ||
	    dr_header_parse(&h, text.data, (size_t)len, err) == -1 ||
	    dr_header_open(&h, ids, &fk, err) == -1 ||
	    (p->key = dr_secret_new(DR_AEAD_KEY, err)) == NULL ||
	    dr_payload_key(&fk, (unsigned char *)text.data + len, p->key,
	        err) == -1)
		goto out;
	p->cipher = h.cipher;
	start = (uint64_t)len + DR_SEAL_NONCE;
	rc = measure(p, start, next->size - start, err);

out:
	sodium_memzero(&fk, sizeof(fk));
	dr_header_wipe(&h);
	dr_buf_free(&text);
	if (rc == 0)
		return &p->blob;
	plain_free(&p->blob);
	return NULL;
}
