#include "crypt/seal.h"

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
	size_t part_len;
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
		sodium_memzero(s->part, DR_CHUNK);
	free(s->part);
	free(s->out);
	free(s);
}

static const struct dr_sink_ops seal_ops = {
	.write = seal_write,
	.finish = seal_finish,
	.free = seal_free,
};

struct dr_sink *
dr_seal_extra(struct dr_sink *next, enum dr_cipher cipher,
    const struct dr_recipients *to, const char *extra, struct dr_err *err)
{
	unsigned char nonce[DR_SEAL_NONCE], key[DR_AEAD_KEY];
	struct dr_filekey fk;
	struct dr_sink *made = NULL;
	struct seal *s;

	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->part = malloc(DR_CHUNK)) == NULL ||
	    (s->out = malloc((size_t)BATCH * DR_SEALED)) == NULL) {
		dr_err_sys(err, "cannot allocate a sealer");
		goto out;
	}
	s->sink.ops = &seal_ops;
	s->header.max = DR_HEADER_MAX;
	if (to->n == 0) {
		dr_err_set(err, DR_EUSAGE, "there is no recipient to seal to");
		goto out;
	}
	randombytes_buf(nonce, sizeof(nonce));
	if (dr_header_make(cipher, to, extra, &fk, &s->header, err) == -1 ||
	    dr_buf_add(&s->header, nonce, sizeof(nonce), err) == -1 ||
	    dr_payload_key(&fk, nonce, key, err) == -1 ||
	    (s->aead = dr_aead_new(cipher, key, true, err)) == NULL)
		goto out;
	s->sink.next = next;
	made = &s->sink;

out:
	sodium_memzero(&fk, sizeof(fk));
	sodium_memzero(key, sizeof(key));
	if (made == NULL && s != NULL)
		seal_free(&s->sink);
	return made;
}

struct dr_sink *
dr_seal_new(struct dr_sink *next, enum dr_cipher cipher,
    const struct dr_recipients *to, struct dr_err *err)
{
	return dr_seal_extra(next, cipher, to, NULL, err);
}
