/*
 * gs.c - what is particular to Google: its names for what is signed, held to
 * the vectors of its conformance tests for signatures, version 4, and the
 * headers of resumable uploads as its documentation has them.
 */
#include "store/gs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "tests/tap.h"

static struct dr_err err;

/*
 * The vectors are of signed URLs: their canonical requests, of which the
 * string to sign has the hash, are made in the same way.
 */
static void
signs(const char *what, const char *method, const char *object,
    const char *signed_headers, const struct dr_pair *headers, size_t n,
    const char *want)
{
	struct dr_pair query[] = { { "X-Goog-SignedHeaders", signed_headers },
		{ "X-Goog-Algorithm", "GOOG4-RSA-SHA256" },
		{ "X-Goog-Expires", "10" },
		{ "X-Goog-Credential",
		    "test-iam-credentials@dummy-project-id.iam."
		    "gserviceaccount.com/20190201/auto/storage/"
		    "goog4_request" },
		{ "X-Goog-Date", "20190201T090000Z" } };
	struct dr_pair h[4] = { { "host", "storage.googleapis.com" } };
	struct dr_buf path = { .max = 4096 }, q = path, out = path;
	struct dr_s3_sign s = { .names = &dr_s3_google,
		.method = method,
		.header = h,
		.headers = n + 1,
		.payload = "UNSIGNED-PAYLOAD" };
	char hash[DR_SHA256_HEX] = "";

	if (n > 0)
		memcpy(h + 1, headers, n * sizeof(*h));
	if (dr_buf_str(&path, "/test-bucket/", &err) == 0 &&
	    dr_http_encode(&path, object, true, &err) == 0 &&
	    dr_s3_params(query, 5, &q, &err) == 0) {
		s.path = path.data;
		s.query = q.data;
		if (dr_s3_canonical(&s, &out, &err) == 0)
			(void)dr_sha256_hex(out.data, out.len, hash, &err);
	}
	if (!OK(strcmp(hash, want) == 0, what))
		printf("# %s\n", out.data != NULL ? out.data : err.msg);
	dr_buf_free(&path);
	dr_buf_free(&q);
	dr_buf_free(&out);
}

static void
test_signatures(void)
{
	static const struct dr_pair resumable[] = { { "x-goog-resumable",
	    "start" } };
	static const struct dr_pair simple[] = { { "foo", "foo-value" },
		{ "bar", "BAR-value" } };
	static const struct dr_pair colons[] = {
		{ "foo", "2023-02-10T02:00:00Z" }, { "bar", "2023-02-10T03:" }
	};

	signs("simple GET", "GET", "test-object", "host", NULL, 0,
	    "00e2fb794ea93d7adb703edaebdd509821fcc7d4f1a79ac5c8d2b394df109320");
	signs("simple PUT", "PUT", "test-object", "host", NULL, 0,
	    "78742860705da91404222d5d66ff89850292471199c3c2808d116ad12e6177b4");
	signs("POST for resumable uploads", "POST", "test-object",
	    "host;x-goog-resumable", resumable, 1,
	    "877f8b40179d2753296f2fd6de815ab40503c7a3c446a7b44aa4e74422ff4daf");
	signs("slashes in object names", "GET",
	    "/path/with/slashes/under_score/amper&sand/file.ext", "host", NULL,
	    0,
	    "63c601ecd6ccfec84f1113fc906609cbdf7651395f4300cecd96ddd2c35164f8");
	signs("simple headers", "GET", "test-object", "bar;foo;host", simple, 2,
	    "59c1ac1a6ee7d773d5c4487ecc861d60b71c4871dd18fc7d8485fac09df1d296");
	signs("headers with colons", "GET", "test-object", "bar;foo;host",
	    colons, 2,
	    "a2a6df7e6bd818894e1f60ac3c393901b512ca1cf1061ba602dace3fb38c19a6");
}

static void
test_dialect(void)
{
	const struct dr_s3_dialect *d = &dr_gs_dialect;

	OK(strcmp(d->once[0], "x-goog-if-generation-match") == 0 &&
	        strcmp(d->once[1], "0") == 0,
	    "create-only is generation 0");
	OK(strcmp(d->names->algorithm, "GOOG4-HMAC-SHA256") == 0 &&
	        strcmp(d->names->end, "goog4_request") == 0 &&
	        strcmp(d->service, "storage") == 0 &&
	        strcmp(d->prefix, "x-goog-") == 0 &&
	        strcmp(d->version, "generation") == 0,
	    "names");
}

static void
test_ranges(void)
{
	char r[80];
	uint64_t n = 7;

	OK(strcmp(dr_gs_range(0, 524288, false, r), "bytes 0-524287/*") == 0,
	    "a piece, with more to come");
	OK(strcmp(dr_gs_range(1572864, 427136, true, r),
	       "bytes 1572864-1999999/2000000") == 0,
	    "the last piece");
	OK(strcmp(dr_gs_range(2000000, 0, true, r), "bytes */2000000") == 0,
	    "that all has been sent");
	OK(dr_gs_arrived(NULL, &n) && n == 0, "nothing has arrived");
	OK(dr_gs_arrived("bytes=0-42", &n) && n == 43, "43 bytes have");
	OK(!dr_gs_arrived("bytes=1-42", &n) && !dr_gs_arrived("0-42", &n) &&
	        !dr_gs_arrived("bytes=0-", &n) &&
	        !dr_gs_arrived("bytes=0-9223372036854775807", &n),
	    "no range");
}

static bool
crc(const char *a, const char *b, uint32_t *out)
{
	char name[] = "x-goog-hash", one[64], two[64];
	struct dr_http_field f[2] = { { name, one }, { name, two } };
	struct dr_http_req req = { .field = f, .fields = b != NULL ? 2 : 1 };

	(void)snprintf(one, sizeof(one), "%s", a);
	(void)snprintf(two, sizeof(two), "%s", b != NULL ? b : "");
	return dr_gs_crc(&req, out);
}

static void
test_hashes(void)
{
	uint32_t c = 0;

	/* Of "123456789": 0xe3069283. */
	OK(crc("crc32c=4waSgw==,md5=Ojk9c3dhfxgoKVVHYwFbHQ==", NULL, &c) &&
	        c == dr_crc32c(0, "123456789", 9),
	    "in one header");
	c = 0;
	OK(crc("md5=Ojk9c3dhfxgoKVVHYwFbHQ==", "crc32c=4waSgw==", &c) &&
	        c == 0xe3069283,
	    "in two headers");
	OK(!crc("md5=Ojk9c3dhfxgoKVVHYwFbHQ==", NULL, &c) &&
	        !crc("crc32c=", NULL, &c) && !crc("crc32c=4waSgw", NULL, &c) &&
	        !crc("crc32c=????????", NULL, &c),
	    "none");
}

/* What --sse, --lock and the URL may say. */
static bool
refused(const char *text, const struct dr_store_opts *o, const char *why)
{
	struct dr_url u;
	struct dr_store *s = NULL;
	bool good;

	dr_err_clear(&err);
	if (dr_url_parse(text, &u, &err) == -1)
		return false;
	s = dr_store_gs(&u, o, &err);
	good =
	    s == NULL && err.cause == DR_EUSAGE && strstr(err.msg, why) != NULL;
	dr_url_wipe(&u);
	if (s != NULL)
		s->ops->free(s);
	return good;
}

static void
test_open(void)
{
	static const struct dr_store_opts none, hold = { .lock.hold = true };
	static const struct dr_store_opts aws = { .sse = "aws:kms" };
	struct dr_store *s =
	    dr_store_open("gs://b/p?region=europe-west3", NULL, &err);

	OK(s != NULL && strcmp(dr_store_region(s), "europe-west3") == 0 &&
	        strcmp(dr_store_url(s), "gs://b/p?region=europe-west3") == 0,
	    "a store, with its region");
	dr_store_free(s);
	s = dr_store_open("gs://b", NULL, &err);
	OK(s != NULL && dr_store_region(s) == NULL, "without");
	dr_store_free(s);
	OK(refused("gs://b/p?region=a/b", &none, "is no region"), "no region");
	OK(refused("gs://b/p?profile=x", &none, "profile"),
	    "a parameter of another kind of store");
	OK(refused("gs://b/p", &hold, "no legal hold"), "no legal hold");
	OK(refused("gs://b/p", &aws, "no key of Google's"), "no key");
	OK(refused("gs://b/p?endpoint=ftp://x", &none, "is no endpoint"),
	    "no endpoint");
}

int
main(void)
{
	(void)setenv("HOME", "/nonexistent", 1);
	test_signatures();
	test_dialect();
	test_ranges();
	test_hashes();
	test_open();
	return DONE();
}
