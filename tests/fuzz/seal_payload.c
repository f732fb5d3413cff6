/*
 * The chunks of sealed data, under a key that is known: the first byte says
 * how to seal the rest, the next four what to do to the result.  Untouched
 * it must open to the same; touched, it must never open to anything else.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "crypt/aead.h"
#include "crypt/keys.h"
#include "crypt/seal.h"
#include "stream/pump.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct dr_identities *ids;
static struct dr_recipients *to;

static void
setup(void)
{
	struct dr_err err = { 0 };
	char text[DR_BECH32_LEN];

	if (to != NULL)
		return;
	if ((ids = dr_identities_new(&err)) == NULL ||
	    (to = dr_recipients_new(&err)) == NULL ||
	    dr_identities_make(ids, &err) == -1)
		abort();
	dr_recipient_text(ids->v[0]->public, text);
	if (dr_recipients_add(to, text, &err) == -1)
		abort();
}

static void
seal(const uint8_t *data, size_t size, unsigned how, struct dr_buf *out)
{
	size_t step = 1 + (size_t)(how >> 2) * 1111, repeat, n;
	struct dr_err err = { 0 };
	struct dr_sink *s;

	if ((s = dr_sink_buf(out, &err)) == NULL ||
	    (s = dr_seal_new(s, (how & 1) != 0 ? DR_CIPHER_AES : DR_CIPHER_AGE,
	         to, &err)) == NULL)
		abort();
	/* Often enough to fill chunks. */
	repeat = (how & 2) != 0 && size > 0 ? 1 + 150000 / size : 1;
	for (size_t i = 0; i < repeat; i++)
		for (size_t at = 0; at < size; at += n) {
			n = size - at < step ? size - at : step;
			if (dr_sink_write(s, data + at, n, &err) == -1)
				abort();
		}
	if (dr_sink_finish(s, &err) == -1)
		abort();
	dr_sink_free(s);
}

/* Read it; every byte that comes out must be one of those sealed. */
static bool
whole(const struct dr_buf *b, size_t step, const uint8_t *data, size_t size)
{
	struct dr_err err = { 0 };
	struct dr_source *mem, *s;
	size_t at = 0;
	char *buf;
	ssize_t n = -1;

	if ((buf = malloc(step)) == NULL ||
	    (mem = dr_source_mem(b->data, b->len, step / 3, &err)) == NULL)
		abort();
	if ((s = dr_unseal_new(mem, ids, &err)) == NULL) {
		dr_source_free(mem);
	} else {
		while ((n = dr_source_read(s, buf, step, &err)) > 0)
			for (ssize_t i = 0; i < n; i++, at++)
				if (size == 0 ||
				    (uint8_t)buf[i] != data[at % size])
					abort();
		dr_source_free(s);
	}
	if (n == -1 && err.cause != DR_EDATA)
		abort();
	free(buf);
	return n == 0;
}

static bool
whole_blob(const struct dr_buf *b)
{
	struct dr_err err = { 0 };
	struct dr_blob *mem, *p;
	bool good = false;
	char *buf;

	if ((mem = dr_blob_mem(b->data, b->len, &err)) == NULL)
		abort();
	if ((p = dr_unseal_blob(mem, ids, &err)) == NULL) {
		dr_blob_free(mem);
		return false;
	}
	if (p->size > b->len || (buf = malloc((size_t)p->size + 1)) == NULL)
		abort();
	good = dr_blob_pread(p, buf, (size_t)p->size, 0, &err) == 0;
	free(buf);
	dr_blob_free(p);
	return good;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dr_buf out = { .max = 4U << 20 };
	struct dr_err err = { 0 };
	unsigned how, what;
	size_t at, step;

	if (size < 5)
		return 0;
	setup();
	how = data[0];
	what = data[1];
	at = (size_t)data[2] | (size_t)data[3] << 8 | (size_t)data[4] << 16;
	step = 1 + (at & 0x1ffff);
	seal(data + 5, size - 5, how, &out);
	if (!whole(&out, step, data + 5, size - 5) || !whole_blob(&out))
		abort();
	at %= out.len;
	switch (what & 3) {
	case 0:
		out.data[at] = (char)((unsigned char)out.data[at] ^ (what | 1));
		break;
	case 1:
		out.len = at;
		break;
	case 2:
		if (dr_buf_add(&out, data, size, &err) == -1)
			abort();
		break;
	default: /* a piece of the payload moves */
		if (out.len < 2 * DR_SEALED ||
		    memcmp(out.data + out.len - DR_SEALED,
		        out.data + out.len - 2 * (size_t)DR_SEALED,
		        DR_SEALED) == 0)
			goto out;
		memmove(out.data + out.len - 2 * (size_t)DR_SEALED,
		    out.data + out.len - DR_SEALED, DR_SEALED);
		break;
	}
	if (whole(&out, step, data + 5, size - 5) || whole_blob(&out))
		abort();
out:
	dr_buf_free(&out);
	return 0;
}
