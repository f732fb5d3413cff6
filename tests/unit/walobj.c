/* WAL objects: names, making, opening, and what must be refused. */
#include "flow/walobj.h"

#include <string.h>

#include "base/num.h"
#include "crypt/keys.h"
#include "crypt/minisign_format.h"
#include "crypt/secret.h"
#include "tests/tap.h"
#include "tests/tmp.h"

static struct dr_err err;
static struct dr_sign_key *key, *other_key;
static struct dr_verify_keys *keys, *other_keys;
static struct dr_recipients *to;
static struct dr_identities *ids, *other_ids;

static struct dr_verify_keys *
public_of(const struct dr_sign_key *k)
{
	struct dr_buf b = { .max = 4096 };
	struct dr_verify_keys *v = NULL;

	if (dr_sign_key_public(k, &b, &err) == 0)
		v = dr_verify_keys_parse(b.data, b.len, "test", &err);
	dr_buf_free(&b);
	return v;
}

static void
make_keys(void)
{
	char text[DR_BECH32_LEN];

	key = dr_sign_key_new(&err);
	other_key = dr_sign_key_new(&err);
	keys = public_of(key);
	other_keys = public_of(other_key);
	ids = dr_identities_new(&err);
	other_ids = dr_identities_new(&err);
	to = dr_recipients_new(&err);
	if (key == NULL || other_key == NULL || keys == NULL ||
	    other_keys == NULL || ids == NULL || other_ids == NULL ||
	    to == NULL || dr_identities_make(ids, &err) == -1 ||
	    dr_identities_make(other_ids, &err) == -1)
		abort();
	dr_recipient_text(ids->v[0]->public, text);
	if (dr_recipients_add(to, text, &err) == -1)
		abort();
}

static struct dr_wal_id
place(const char *name)
{
	struct dr_wal_id id = { .set = "main",
		.system_id = 7300000000000000001 };

	snprintf(id.name, sizeof(id.name), "%s", name);
	if (dr_wal_name(id.name, &id.file, &err) == -1)
		abort();
	return id;
}

static int
open_as(const struct dr_buf *sealed, const struct dr_verify_keys *k,
    const struct dr_identities *with, struct dr_wal_id *id, struct dr_buf *out,
    char signer[DR_KEYID_HEX])
{
	struct dr_blob *b;
	int rc;

	dr_err_clear(&err);
	if ((b = dr_blob_mem(sealed->data, sealed->len, &err)) == NULL)
		abort();
	rc = dr_wal_open(b, with, k, id, out, signer, &err);
	dr_blob_free(b);
	return rc;
}

static void
fill(unsigned char *p, size_t n)
{
	uint32_t x = 12345;

	/* Half of it compresses. */
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = i / 4096 % 2 == 0 ? (unsigned char)(x >> 24) : 7;
	}
}

static void
names(void)
{
	static const char *const bad[] = {
		"main/wal/5/00000001/00000001000000000000000A.zst",
		"main/wal/5/00000002/00000001000000000000000A.zst.age",
		"main/wal/05/00000001/00000001000000000000000A.zst.age",
		"main/wal/18446744073709551616/00000001/"
		"00000001000000000000000A.zst.age",
		"main/wal//00000001/00000001000000000000000A.zst.age",
		"main/wal/5/0000000a/0000000A.history.zst.age",
		"main/wal/5/00000001/x.zst.age",
		"main/wal/5/00000001/.zst.age",
		"main/wal/5/00000001/ledger-x.json",
		"other/wal/5/00000001/00000001000000000000000A.zst.age",
		"main/wal/5/00000001/"
		"00000001000000000000000A.00000010-00000010.zst.age",
		"main/wal/5/00000001/"
		"00000001000000000000000A.00000010-40000001.zst.age",
		"main/wal/5/00000001/"
		"0000000100000000000000.00.00000000-00000010.zst.age",
		"main/wal/5/00000001/"
		"00000001000000000000000A.partial.00000000-00000010.zst.age",
	};
	struct dr_wal_id id = place("0000000A000000010000000B"), got;
	enum dr_cipher c;
	bool refused = true;
	char *s;

	s = dr_wal_object_name(&id, DR_CIPHER_AGE, &err);
	OK(s != NULL && strcmp(s, "main/wal/7300000000000000001/0000000A/"
	                          "0000000A000000010000000B.zst.age") == 0,
	    "a segment's name");
	OK(dr_wal_object_parse("main", s, &got, &c) == 1 &&
	        c == DR_CIPHER_AGE && got.system_id == id.system_id &&
	        got.file.tli == 10 && strcmp(got.name, id.name) == 0 &&
	        !got.increment,
	    "is parsed again");
	free(s);
	id.increment = true;
	id.from = 0x2000;
	id.to = 0xFF0000;
	s = dr_wal_object_name(&id, DR_CIPHER_AES, &err);
	OK(s != NULL && strcmp(s, "main/wal/7300000000000000001/0000000A/"
	                          "0000000A000000010000000B."
	                          "00002000-00FF0000.zst.seal") == 0,
	    "an increment's name, AES");
	OK(dr_wal_object_parse("main", s, &got, &c) == 1 &&
	        c == DR_CIPHER_AES && got.increment && got.from == 0x2000 &&
	        got.to == 0xFF0000 && strcmp(got.name, id.name) == 0,
	    "is parsed again");
	free(s);
	s = dr_wal_prefix("main", 5, 0, &err);
	OK(strcmp(s, "main/wal/5/") == 0, "a cluster's prefix");
	free(s);
	s = dr_wal_prefix("main", 5, 31, &err);
	OK(strcmp(s, "main/wal/5/0000001F/") == 0, "a timeline's prefix");
	free(s);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (dr_wal_object_parse("main", bad[i], &got, &c) != 0) {
			printf("# taken: %s\n", bad[i]);
			refused = false;
		}
	OK(refused, "names that are none are refused");
}

/* Made with WORKERS, opened, compared. */
static void
round_trip(const char *name, size_t len, enum dr_cipher cipher, int workers)
{
	struct dr_wal_opts o = { key, to, cipher, 0, workers, NULL };
	struct dr_buf out = { .max = 64U << 20 };
	struct dr_wal_id id = place(name), as = place(name);
	struct dr_wal_made m;
	char signer[DR_KEYID_HEX], sum[DR_SHA256_HEX];
	unsigned char *data = malloc(len + 1);

	fill(data, len);
	dr_err_clear(&err);
	OK(dr_wal_make(&o, &id, data, len, &m, &err) == 0 && id.to == len,
	    name);
	OK(dr_sha256_hex(m.sealed.data, m.sealed.len, sum, &err) == 0 &&
	        strcmp(sum, m.sha256) == 0,
	    "the hash is that of the sealed bytes");
	OK(open_as(&m.sealed, keys, ids, &as, &out, signer) == 0 &&
	        out.len == len && memcmp(out.data, data, len) == 0,
	    "opens to the same bytes");
	OK(strcmp(signer, dr_sign_key_id(key)) == 0 && as.to == len,
	    "signer and length are told");
	dr_buf_free(&out);
	dr_wal_made_free(&m);
	free(data);
}

static bool
refused(const struct dr_buf *sealed, struct dr_wal_id id, const char *msg)
{
	struct dr_buf out = { .max = 64U << 20 };
	bool good;

	good = open_as(sealed, keys, ids, &id, &out, NULL) == -1 &&
	       err.cause == DR_EDATA && out.data == NULL &&
	       strstr(err.msg, msg) != NULL;
	if (!good)
		printf("# %s\n", err.msg);
	dr_buf_free(&out);
	return good;
}

static void
refusals(void)
{
	struct dr_wal_opts o = { key, to, DR_CIPHER_AGE, 0, 1, NULL };
	struct dr_wal_id id = place("000000010000000000000003"), as = id;
	struct dr_buf out = { .max = 64U << 20 }, cut;
	size_t len = 3U << 20, n = 0, bad = 0;
	unsigned char *data = malloc(len);
	struct dr_wal_made m;

	fill(data, len);
	if (dr_wal_make(&o, &id, data, len, &m, &err) == -1)
		abort();
	as = place("000000010000000000000004");
	OK(refused(&m.sealed, as, "another place"), "under another name");
	as = place("000000010000000000000003");
	as.set = "prod";
	OK(refused(&m.sealed, as, "another place"), "in another set");
	as.set = "main";
	as.system_id++;
	OK(refused(&m.sealed, as, "another place"), "of another cluster");
	as.system_id--;
	as.increment = true;
	as.to = (uint32_t)len;
	OK(open_as(&m.sealed, keys, ids, &as, &out, NULL) == 0,
	    "as the increment of all its bytes: that says the same");
	dr_buf_free(&out);
	as.to = 0x100000;
	OK(refused(&m.sealed, as, "more than"), "as a shorter increment");
	as.to = 0x400000;
	OK(refused(&m.sealed, as, "not the"), "as a longer increment");
	as = place("000000010000000000000003");
	OK(open_as(&m.sealed, other_keys, ids, &as, &out, NULL) == -1 &&
	        err.cause == DR_EDATA && out.data == NULL,
	    "by a signer who is not trusted");
	OK(open_as(&m.sealed, NULL, ids, &as, &out, NULL) == 0 &&
	        out.len == len,
	    "by anybody, where no signature is wanted");
	dr_buf_free(&out);
	OK(open_as(&m.sealed, keys, other_ids, &as, &out, NULL) == -1 &&
	        err.cause == DR_EDATA,
	    "with another's identity");
	out.max = len - 1;
	OK(open_as(&m.sealed, keys, ids, &as, &out, NULL) == -1 &&
	        out.data == NULL,
	    "larger than the caller allows");
	out.max = 64U << 20;
	for (size_t at = 0; at < m.sealed.len;
	     at += at < 600 ? 1 : m.sealed.len / 97) {
		cut = m.sealed;
		cut.len = at;
		n++;
		bad += !refused(&cut, as, "");
		m.sealed.data[at] ^= 0x20;
		n++;
		bad += !refused(&m.sealed, as, "");
		m.sealed.data[at] ^= 0x20;
	}
	printf("# %zu of %zu accepted\n", bad, n);
	OK(n > 1000 && bad == 0, "truncated, or with one bit changed");
	cut = m.sealed;
	cut.data = malloc(m.sealed.len + 1);
	memcpy(cut.data, m.sealed.data, m.sealed.len);
	cut.data[cut.len++] = 'x';
	OK(refused(&cut, as, ""), "with a byte more");
	free(cut.data);
	dr_wal_made_free(&m);
	free(data);
}

static void
stanza(void)
{
	struct dr_wal_opts o = { key, to, DR_CIPHER_AGE, 0, 0, NULL };
	struct dr_wal_id id = place("000000010000000000000003");
	char signer[DR_KEYID_HEX], *object;
	unsigned char mac[DR_CONTENT_MAC];
	struct dr_wal_made a, b, c;
	struct dr_store *store;

	if (dr_wal_make(&o, &id, "one", 3, &a, &err) == -1 ||
	    dr_wal_make(&o, &id, "one", 3, &b, &err) == -1 ||
	    dr_wal_make(&o, &id, "two", 3, &c, &err) == -1 ||
	    (object = dr_wal_object_name(&id, DR_CIPHER_AGE, &err)) == NULL)
		abort();
	OK(dr_content_find(a.sealed.data, a.sealed.len, signer, mac, &err) ==
	            1 &&
	        strcmp(signer, dr_sign_key_id(key)) == 0 &&
	        memcmp(mac, a.mac, sizeof(mac)) == 0,
	    "the stanza is found in the header");
	OK(memcmp(a.mac, b.mac, sizeof(a.mac)) == 0 &&
	        memcmp(a.mac, c.mac, sizeof(a.mac)) != 0 &&
	        strcmp(a.sha256, b.sha256) != 0,
	    "it is that of the content, not of the seal");
	OK(dr_content_find(a.sealed.data, 100, signer, mac, &err) == -1,
	    "half a header");
	tmp_enter();
	if ((store = dr_store_open(tmp_dir, NULL, &err)) == NULL)
		abort();
	dr_err_clear(&err);
	OK(dr_wal_same(store, object, signer, a.mac, &err) == -1, "absent");
	dr_err_clear(&err);
	OK(dr_store_put_small(store, object, a.sealed.data, a.sealed.len, NULL,
	       &err) == DR_PUT_OK,
	    "put");
	OK(dr_wal_same(store, object, dr_sign_key_id(key), b.mac, &err) == 1,
	    "the same content again");
	OK(dr_wal_same(store, object, dr_sign_key_id(key), c.mac, &err) == 0,
	    "other content");
	OK(dr_wal_same(store, object, dr_sign_key_id(other_key), a.mac, &err) ==
	        0,
	    "another signer");
	dr_store_free(store);
	tmp_leave();
	free(object);
	dr_wal_made_free(&a);
	dr_wal_made_free(&b);
	dr_wal_made_free(&c);
}

static void
increments(void)
{
	struct dr_wal_opts o = { key, to, DR_CIPHER_AGE, 0, 0, NULL };
	struct dr_wal_id id = place("000000010000000000000003"), as;
	struct dr_buf out = { .max = 1U << 20 };
	unsigned char data[8192];
	struct dr_wal_made m;

	fill(data, sizeof(data));
	id.increment = true;
	id.from = 0x4000;
	id.to = 0x6000;
	OK(dr_wal_make(&o, &id, data, sizeof(data) - 1, &m, &err) == -1,
	    "an increment of another length");
	dr_err_clear(&err);
	OK(dr_wal_make(&o, &id, data, sizeof(data), &m, &err) == 0,
	    "an increment");
	as = id;
	OK(open_as(&m.sealed, keys, ids, &as, &out, NULL) == 0 &&
	        out.len == sizeof(data) && memcmp(out.data, data, out.len) == 0,
	    "opens");
	dr_buf_free(&out);
	as.from += 0x2000;
	as.to += 0x2000;
	OK(refused(&m.sealed, as, "another place"), "not elsewhere");
	dr_wal_made_free(&m);
	id = place("00000002.history");
	OK(dr_wal_make(&o, &id, data, (1U << 20) + 1, &m, &err) == -1,
	    "a history that is too large");
	dr_err_clear(&err);
}

int
main(void)
{
	if (dr_crypt_init(&err) == -1)
		abort();
	make_keys();
	names();
	round_trip("000000010000000000000003", 16U << 20, DR_CIPHER_AGE, 1);
	round_trip("00000001000000000000000A", (4U << 20) + 1, DR_CIPHER_AES,
	    3);
	round_trip("00000001000000000000000A.partial", 1U << 20, DR_CIPHER_AGE,
	    2);
	round_trip("0000000A.history", 43, DR_CIPHER_AGE, 2);
	round_trip("00000001000000000000000A.00000028.backup", 300,
	    DR_CIPHER_AES, 0);
	round_trip("00000002.history", 0, DR_CIPHER_AGE, 0);
	refusals();
	stanza();
	increments();
	dr_identities_free(ids);
	dr_identities_free(other_ids);
	dr_recipients_free(to);
	dr_verify_keys_free(keys);
	dr_verify_keys_free(other_keys);
	dr_sign_key_free(key);
	dr_sign_key_free(other_key);
	return DONE();
}
