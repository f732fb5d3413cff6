#include "crypt/seal.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/aead.h"
#include "crypt/header.h"
#include "crypt/keys.h"

/* Chunks gathered for one write to the next sink. */
#define BATCH 4U

struct seal {
	struct dr_sink sink;
	struct dr_aead *aead;
	struct dr_buf header; /* and the nonce; until it is written */
	uint64_t chunk;
	unsigned char *part; /* what may turn out to be the last chunk */
	size_t part_len, part_most;
	unsigned char *out;
	size_t out_len;
};

static int
flush(struct seal *s, struct dr_err *err)
{
	size_t n = s->out_len;

	s->out_len = 0;
	return n > 0 ? dr_sink_write(s->sink.next, s->out, n, err) : 0;
}

static int
chunk(struct seal *s, const void *buf, size_t len, bool last,
    struct dr_err *err)
{
	if (dr_aead_seal(s->aead, s->chunk, last, buf, len, s->out + s->out_len,
	        err) == -1)
		return -1;
	s->chunk++;
	s->out_len += len + DR_TAG;
	return s->out_len == (size_t)BATCH * DR_SEALED ? flush(s, err) : 0;
}

static int
begin(struct seal *s, struct dr_err *err)
{
	if (s->header.len == 0)
		return 0;
	if (dr_sink_write(s->sink.next, s->header.data, s->header.len, err) ==
	    -1)
		return -1;
	dr_buf_free(&s->header);
	return 0;
}

static int
seal_write(struct dr_sink *sink, const void *buf, size_t len,
    struct dr_err *err)
{
	struct seal *s = (struct seal *)sink;
	const unsigned char *p = buf;
	size_t n;

	if (begin(s, err) == -1)
		return -1;
	/* A chunk is written only when another byte is known to follow. */
	if (s->part_len > 0 && s->part_len + len > DR_CHUNK) {
		n = DR_CHUNK - s->part_len;
		if (n > 0)
			memcpy(s->part + s->part_len, p, n);
		s->part_most = DR_CHUNK;
		p += n;
		len -= n;
		s->part_len = 0;
		if (chunk(s, s->part, DR_CHUNK, false, err) == -1)
			return -1;
	}
	for (; len > DR_CHUNK; p += DR_CHUNK, len -= DR_CHUNK)
		if (chunk(s, p, DR_CHUNK, false, err) == -1)
			return -1;
	if (len > 0)
		memcpy(s->part + s->part_len, p, len);
	s->part_len += len;
	if (s->part_len > s->part_most)
		s->part_most = s->part_len;
	return 0;
}

static int
seal_finish(struct dr_sink *sink, struct dr_err *err)
{
	struct seal *s = (struct seal *)sink;

	if (begin(s, err) == -1 ||
	    chunk(s, s->part, s->part_len, true, err) == -1 ||
	    flush(s, err) == -1)
		return -1;
	return dr_sink_finish(s->sink.next, err);
}

static void
seal_free(struct dr_sink *sink)
{
	struct seal *s = (struct seal *)sink;

	dr_aead_free(s->aead);
	dr_buf_free(&s->header);
	if (s->part != NULL)
		sodium_memzero(s->part, s->part_most);
	free(s->part);
	free(s->out);
	free(s);
}

static const struct dr_sink_ops seal_ops = {
	.write = seal_write,
	.finish = seal_finish,
	.free = seal_free,
};

struct dr_seal_draft {
	enum dr_cipher cipher;
	struct dr_filekey key;
	struct dr_buf header; /* up to its last stanza */
};

void
dr_seal_draft_free(struct dr_seal_draft *d)
{
	if (d == NULL)
		return;
	dr_buf_free(&d->header);
	sodium_memzero(d, sizeof(*d));
	free(d);
}

struct dr_seal_draft *
dr_seal_draft_new(enum dr_cipher cipher, const struct dr_recipients *to,
    struct dr_err *err)
{
	struct dr_seal_draft *d;

	if (to->n == 0) {
		dr_err_set(err, DR_EUSAGE, "there is no recipient to seal to");
		return NULL;
	}
	if ((d = calloc(1, sizeof(*d))) == NULL) {
		dr_err_sys(err, "cannot allocate a sealer");
		return NULL;
	}
	d->cipher = cipher;
	d->header.max = DR_HEADER_MAX;
	if (dr_header_wrap(cipher, to, &d->key, &d->header, err) == 0)
		return d;
	dr_seal_draft_free(d);
	return NULL;
}

struct dr_sink *
dr_seal_extra(struct dr_sink *next, enum dr_cipher cipher,
    const struct dr_recipients *to, const char *extra,
    struct dr_seal_draft **draft, struct dr_err *err)
{
	unsigned char nonce[DR_SEAL_NONCE], key[DR_AEAD_KEY];
	struct dr_seal_draft *d = draft == NULL ? NULL : *draft;
	struct dr_sink *made = NULL;
	struct seal *s;

	if (draft != NULL)
		*draft = NULL;
	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->part = malloc(DR_CHUNK)) == NULL ||
	    (s->out = malloc((size_t)BATCH * DR_SEALED)) == NULL) {
		dr_err_sys(err, "cannot allocate a sealer");
		goto out;
	}
	s->sink.ops = &seal_ops;
	if (d == NULL && (d = dr_seal_draft_new(cipher, to, err)) == NULL)
		goto out;
	assert(d->cipher == cipher);
	randombytes_buf(nonce, sizeof(nonce));
	if ((extra != NULL &&
	        dr_header_stanza(&d->header, extra, nonce, 0, err) == -1) ||
	    dr_header_end(&d->key, 0, &d->header, err) == -1 ||
	    dr_buf_add(&d->header, nonce, sizeof(nonce), err) == -1 ||
	    dr_payload_key(&d->key, nonce, key, err) == -1 ||
	    (s->aead = dr_aead_new(cipher, key, true, err)) == NULL)
		goto out;
	s->header = d->header;
	memset(&d->header, 0, sizeof(d->header));
	s->sink.next = next;
	made = &s->sink;

out:
	dr_seal_draft_free(d);
	sodium_memzero(key, sizeof(key));
	if (made == NULL && s != NULL)
		seal_free(&s->sink);
	return made;
}

struct dr_sink *
dr_seal_new(struct dr_sink *next, enum dr_cipher cipher,
    const struct dr_recipients *to, struct dr_err *err)
{
	return dr_seal_extra(next, cipher, to, NULL, NULL, err);
}
