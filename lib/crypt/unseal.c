#include "crypt/unseal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/aead.h"
#include "crypt/keys.h"
#include "crypt/seal.h"

/*
 * Sealed bytes read ahead: whole chunks and one byte more, by which a chunk
 * is known not to be the last.  The header must fit too.
 */
#define IN_MAX (16U * DR_SEALED + 1)

_Static_assert(IN_MAX > DR_HEADER_MAX + DR_SEAL_NONCE, "room for a header");

struct unseal {
	struct dr_source source;
	enum dr_cipher cipher;
	struct dr_aead *aead;
	uint64_t chunk;
	bool ended, last; /* of NEXT; and the last chunk was opened */
	unsigned char *in;
	size_t from, to;      /* what IN holds */
	unsigned char *plain; /* a chunk too large for the caller's buffer */
	size_t plain_from, plain_to;
};

/* Read on; *ENDED when there is no more.  IN must have room. */
static int
more(struct unseal *u, struct dr_err *err)
{
	ssize_t n;

	n = dr_source_read(u->source.next, u->in + u->to, IN_MAX - u->to, err);
	if (n == -1)
		return -1;
	u->ended = n == 0;
	u->to += (size_t)n;
	return 0;
}

/* Have a whole chunk and a byte more, or all up to the end. */
static int
need(struct unseal *u, struct dr_err *err)
{
	while (!u->ended && u->to - u->from <= DR_SEALED) {
		if (u->to > IN_MAX / 2) {
			memmove(u->in, u->in + u->from, u->to - u->from);
			u->to -= u->from;
			u->from = 0;
		}
		if (more(u, err) == -1)
			return -1;
	}
	return 0;
}

/* Say what is wrong with the chunk at FROM, N bytes. */
static int
bad_chunk(struct unseal *u, size_t n, bool last, void *scratch,
    struct dr_err *err)
{
	unsigned long long at = u->chunk;

	if (dr_aead_open(u->aead, u->chunk, !last, u->in + u->from, n,
	        scratch)) {
		sodium_memzero(scratch, n - DR_TAG);
		if (last)
			return dr_err_set(err, DR_EDATA,
			    "the sealed data is truncated: it ends after "
			    "chunk %llu, which is not the last",
			    at);
		return dr_err_set(err, DR_EDATA,
		    "the sealed data goes on after its last chunk");
	}
	if (last && n < DR_SEALED)
		return dr_err_set(err, DR_EDATA,
		    "the sealed data is truncated or damaged in chunk %llu",
		    at);
	return dr_err_set(err, DR_EDATA,
	    "the sealed data is damaged: chunk %llu is not authentic", at);
}

/* Open one chunk into OUT, DR_CHUNK bytes of room.  Its length, or -1. */
static ssize_t
open_chunk(struct unseal *u, void *out, struct dr_err *err)
{
	size_t n = u->to - u->from;
	bool last = u->ended && n <= DR_SEALED;

	if (n > DR_SEALED)
		n = DR_SEALED;
	if (n < DR_TAG || (n == DR_TAG && u->chunk > 0))
		return dr_err_set(err, DR_EDATA,
		    "the sealed data is truncated: its last chunk is missing");
	if (!dr_aead_open(u->aead, u->chunk, last, u->in + u->from, n, out))
		return bad_chunk(u, n, last, out, err);
	u->chunk++;
	u->from += n;
	u->last = last;
	return (ssize_t)(n - DR_TAG);
}

static ssize_t
unseal_read(struct dr_source *source, void *buf, size_t len, struct dr_err *err)
{
	struct unseal *u = (struct unseal *)source;
	unsigned char *out = buf;
	size_t done = 0;
	ssize_t n;

	if (u->plain_from == u->plain_to && !u->last && len < DR_CHUNK) {
		if (u->plain == NULL && (u->plain = malloc(DR_CHUNK)) == NULL)
			return dr_err_sys(err, "cannot allocate a chunk");
		if (need(u, err) == -1 ||
		    (n = open_chunk(u, u->plain, err)) == -1)
			return -1;
		u->plain_from = 0;
		u->plain_to = (size_t)n;
	}
	if (u->plain_from < u->plain_to) {
		done = u->plain_to - u->plain_from;
		if (done > len)
			done = len;
		memcpy(out, u->plain + u->plain_from, done);
		u->plain_from += done;
		return (ssize_t)done;
	}
	/* Straight into the caller's buffer: what is there, at least one. */
	while (!u->last && len - done >= DR_CHUNK) {
		if (u->to - u->from <= DR_SEALED && !u->ended && done > 0)
			break;
		if (need(u, err) == -1 ||
		    (n = open_chunk(u, out + done, err)) == -1)
			return -1;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static void
unseal_free(struct dr_source *source)
{
	struct unseal *u = (struct unseal *)source;

	dr_aead_free(u->aead);
	free(u->in);
	if (u->plain != NULL)
		sodium_memzero(u->plain, DR_CHUNK);
	free(u->plain);
	free(u);
}

static const struct dr_source_ops unseal_ops = {
	.read = unseal_read,
	.free = unseal_free,
};

/* Read the header and the nonce, and key the cipher. */
static int
start(struct unseal *u, dr_open_fn *open, const void *arg, struct dr_err *err)
{
	unsigned char key[DR_AEAD_KEY] = { 0 };
	struct dr_filekey fk = { { 0 }, 0 };
	struct dr_header h = { 0 };
	size_t seen = 0, len;
	ssize_t n = 0;
	int rc = -1;

	while (n == 0) {
		if (more(u, err) == -1)
			goto out;
		n = dr_header_find((const char *)u->in, u->to, seen, err);
		if (n == -1)
			goto out;
		if (n == 0 && u->ended) {
			dr_err_set(err, DR_EDATA,
			    "the sealed data is truncated: it ends in its "
			    "header");
			goto out;
		}
		seen = u->to;
	}
	len = (size_t)n;
	if (dr_header_parse(&h, (const char *)u->in, len, err) == -1 ||
	    open(&h, arg, &fk, err) == -1)
		goto out;
	while (!u->ended && u->to < len + DR_SEAL_NONCE)
		if (more(u, err) == -1)
			goto out;
	if (u->to < len + DR_SEAL_NONCE) {
		dr_err_set(err, DR_EDATA,
		    "the sealed data is truncated: it ends after its header");
		goto out;
	}
	if (dr_payload_key(&fk, u->in + len, key, err) == -1 ||
	    (u->aead = dr_aead_new(h.cipher, key, false, err)) == NULL)
		goto out;
	u->cipher = h.cipher;
	u->from = len + DR_SEAL_NONCE;
	rc = 0;

out:
	sodium_memzero(&fk, sizeof(fk));
	sodium_memzero(key, sizeof(key));
	dr_header_wipe(&h);
	return rc;
}

struct dr_source *
dr_unseal_with(struct dr_source *next, dr_open_fn *open, const void *arg,
    struct dr_err *err)
{
	struct unseal *u;

	if ((u = calloc(1, sizeof(*u))) == NULL ||
	    (u->in = malloc(IN_MAX)) == NULL) {
		dr_err_sys(err, "cannot allocate an opener");
		goto fail;
	}
	u->source.ops = &unseal_ops;
	u->source.next = next;
	if (start(u, open, arg, err) == -1)
		goto fail;
	return &u->source;

fail:
	if (u != NULL)
		unseal_free(&u->source);
	return NULL;
}

static int
by_identities(const struct dr_header *h, const void *arg, struct dr_filekey *fk,
    struct dr_err *err)
{
	return dr_header_open(h, arg, fk, err);
}

struct dr_source *
dr_unseal_new(struct dr_source *next, const struct dr_identities *ids,
    struct dr_err *err)
{
	return dr_unseal_with(next, by_identities, ids, err);
}

enum dr_cipher
dr_unseal_cipher(const struct dr_source *source)
{
	return ((const struct unseal *)source)->cipher;
}
