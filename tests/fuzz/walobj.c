/*
 * WAL objects.  The first byte says what the rest is: 0, an object's bytes;
 * 1, what lies in its seal; 2, content that is made into an object, opened,
 * and then, with the bit that bytes 1 to 3 name changed, refused.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/keys.h"
#include "crypt/minisign_format.h"
#include "crypt/secret.h"
#include "flow/walobj.h"
#include "stream/pump.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct dr_identities *ids;
static struct dr_recipients *to;
static struct dr_sign_key *key;
static struct dr_verify_keys *keys;

static void
setup(void)
{
	struct dr_buf pub = { .max = 4096 };
	struct dr_err err = { 0 };
	char text[DR_BECH32_LEN];

	if (keys != NULL)
		return;
	if (dr_sodium(&err) == -1 || (ids = dr_identities_new(&err)) == NULL ||
	    (to = dr_recipients_new(&err)) == NULL ||
	    dr_identities_make(ids, &err) == -1 ||
	    (key = dr_sign_key_new(&err)) == NULL ||
	    dr_sign_key_public(key, &pub, &err) == -1 ||
	    (keys = dr_verify_keys_parse(pub.data, pub.len, "fuzz", &err)) ==
	        NULL)
		abort();
	dr_recipient_text(ids->v[0]->public, text);
	if (dr_recipients_add(to, text, &err) == -1)
		abort();
	dr_buf_free(&pub);
}

static struct dr_wal_id
place(void)
{
	struct dr_wal_id id = { .set = "main",
		.system_id = 7,
		.name = "0000000A0000000100000002" };
	struct dr_err err = { 0 };

	if (dr_wal_name(id.name, &id.file, &err) == -1)
		abort();
	return id;
}

/* Is it accepted, with the signature demanded or not? */
static bool
accepted(const void *data, size_t size, bool signature, struct dr_buf *out)
{
	struct dr_wal_id id = place();
	struct dr_err err = { 0 };
	char signer[DR_KEYID_HEX];
	struct dr_blob *b;
	int rc;

	if ((b = dr_blob_mem(data, size, &err)) == NULL)
		abort();
	rc = dr_wal_open(b, ids, signature ? keys : NULL, &id, out, signer,
	    &err);
	dr_blob_free(b);
	if (rc == -1 && (out->data != NULL || err.cause == DR_OK))
		abort();
	return rc == 0;
}

static void
sealed(const uint8_t *data, size_t size)
{
	struct dr_buf b = { .max = 1U << 20 }, out = { .max = 1U << 20 };
	struct dr_err err = { 0 };
	struct dr_sink *s;

	if ((s = dr_sink_buf(&b, &err)) == NULL ||
	    (s = dr_seal_new(s, DR_CIPHER_AGE, to, &err)) == NULL ||
	    (size > 0 && dr_sink_write(s, data, size, &err) == -1) ||
	    dr_sink_finish(s, &err) == -1)
		abort();
	dr_sink_free(s);
	if (accepted(b.data, b.len, true, &out))
		abort();
	(void)accepted(b.data, b.len, false, &out);
	dr_buf_free(&out);
	dr_buf_free(&b);
}

static void
made(const uint8_t *data, size_t size)
{
	struct dr_wal_opts o = { key, to, DR_CIPHER_AGE, 0, 0, NULL };
	struct dr_buf out = { .max = 1U << 20 };
	struct dr_wal_id id = place();
	struct dr_err err = { 0 };
	struct dr_wal_made m;
	size_t bit;

	if (size < 3)
		return;
	bit = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;
	if (dr_wal_make(&o, &id, data, size, &m, &err) == -1 ||
	    !accepted(m.sealed.data, m.sealed.len, true, &out) ||
	    out.len != size || memcmp(out.data, data, size) != 0)
		abort();
	dr_buf_free(&out);
	bit %= 8 * m.sealed.len;
	m.sealed.data[bit / 8] ^= (char)(1 << bit % 8);
	if (accepted(m.sealed.data, m.sealed.len, true, &out))
		abort();
	dr_wal_made_free(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dr_buf out = { .max = 1U << 20 };

	if (size == 0 || size > 1U << 19)
		return 0;
	setup();
	switch (data[0] % 3) {
	case 0:
		if (accepted(data + 1, size - 1, true, &out))
			abort();
		break;
	case 1:
		sealed(data + 1, size - 1);
		break;
	default:
		made(data + 1, size - 1);
		break;
	}
	return 0;
}
