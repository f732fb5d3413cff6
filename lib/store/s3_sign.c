#include "store/s3_sign.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/hash.h"
#include "base/num.h"
#include "http/http.h"

#define CANONICAL_MAX (64U << 10)
#define DATE_LEN      8 /* of "20130524T000000Z" */

const struct dr_s3_names dr_s3_aws = { "AWS4-HMAC-SHA256", "AWS4",
	"aws4_request" };
const struct dr_s3_names dr_s3_google = { "GOOG4-HMAC-SHA256", "GOOG4",
	"goog4_request" };

static int
by_pair(const void *a, const void *b)
{
	const struct dr_pair *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : strcmp(x->value, y->value);
}

/*
 * Names and values are sorted as they are encoded.  Encoding keeps the order
 * of bytes but for what it encodes, whose "%" comes before all that it leaves
 * alone; so the encoded ones are what is compared.
 */
int
dr_s3_params(struct dr_pair *v, size_t n, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_pair *e;
	int rc = -1;

	if (n == 0)
		return 0;
	if ((e = calloc(n, sizeof(*e))) == NULL)
		return dr_err_sys(err, "cannot sign a request");
	for (size_t i = 0; i < n; i++) {
		struct dr_buf name = { .max = CANONICAL_MAX }, value = name;

		if (dr_http_encode(&name, v[i].name, false, err) == -1 ||
		    dr_http_encode(&value, v[i].value, false, err) == -1) {
			dr_buf_free(&name);
			dr_buf_free(&value);
			goto out;
		}
		e[i].name = name.data;
		e[i].value = value.data;
	}
	for (size_t i = 0; i < n; i++) {
		if (e[i].name == NULL)
			e[i].name = strdup("");
		if (e[i].value == NULL)
			e[i].value = strdup("");
		if (e[i].name == NULL || e[i].value == NULL) {
			dr_err_sys(err, "cannot sign a request");
			goto out;
		}
	}
	qsort(e, n, sizeof(*e), by_pair);
	for (size_t i = 0; i < n; i++)
		if (dr_buf_fmt(out, err, "%s%s=%s", i > 0 ? "&" : "", e[i].name,
		        e[i].value) == -1)
			goto out;
	rc = 0;

out:
	for (size_t i = 0; i < n; i++) {
		free((void *)(uintptr_t)e[i].name);
		free((void *)(uintptr_t)e[i].value);
	}
	free(e);
	return rc;
}

/* A header's value without blanks at its ends, runs of them inside as one. */
static int
add_value(struct dr_buf *out, const char *s, struct dr_err *err)
{
	bool blank = false;

	while (*s == ' ' || *s == '\t')
		s++;
	for (; *s != '\0'; s++) {
		if (*s == ' ' || *s == '\t') {
			blank = true;
			continue;
		}
		if ((blank && dr_buf_add(out, " ", 1, err) == -1) ||
		    dr_buf_add(out, s, 1, err) == -1)
			return -1;
		blank = false;
	}
	return 0;
}

/* "host;x-amz-date" */
static int
add_names(const struct dr_s3_sign *s, struct dr_buf *out, struct dr_err *err)
{
	for (size_t i = 0; i < s->headers; i++)
		if (dr_buf_fmt(out, err, "%s%s", i > 0 ? ";" : "",
		        s->header[i].name) == -1)
			return -1;
	return 0;
}

int
dr_s3_canonical(struct dr_s3_sign *s, struct dr_buf *out, struct dr_err *err)
{
	qsort(s->header, s->headers, sizeof(*s->header), by_pair);
	if (dr_buf_fmt(out, err, "%s\n%s\n%s\n", s->method, s->path,
	        s->query) == -1)
		return -1;
	for (size_t i = 0; i < s->headers; i++)
		if (dr_buf_fmt(out, err, "%s:", s->header[i].name) == -1 ||
		    add_value(out, s->header[i].value, err) == -1 ||
		    dr_buf_add(out, "\n", 1, err) == -1)
			return -1;
	if (dr_buf_add(out, "\n", 1, err) == -1 || add_names(s, out, err) == -1)
		return -1;
	return dr_buf_fmt(out, err, "\n%s", s->payload);
}

static int
hmac(const void *key, size_t keylen, const char *data, size_t len,
    unsigned char out[32], struct dr_err *err)
{
	unsigned int n = 0;

	if (HMAC(EVP_sha256(), key, (int)keylen, (const unsigned char *)data,
	        len, out, &n) == NULL ||
	    n != 32)
		return dr_err_set(err, DR_EFAIL, "cannot sign a request");
	return 0;
}

static int
sign(const struct dr_s3_sign *s, const char *text, size_t len,
    unsigned char out[32], struct dr_err *err)
{
	unsigned char a[32], b[32];
	char *key = NULL;
	int rc = -1;

	if ((key = dr_fmt(err, "%s%s", s->names->key, s->secret)) == NULL)
		return -1;
	if (hmac(key, strlen(key), s->time, DATE_LEN, a, err) == 0 &&
	    hmac(a, 32, s->region, strlen(s->region), b, err) == 0 &&
	    hmac(b, 32, s->service, strlen(s->service), a, err) == 0 &&
	    hmac(a, 32, s->names->end, strlen(s->names->end), b, err) == 0)
		rc = hmac(b, 32, text, len, out, err);
	OPENSSL_cleanse(a, sizeof(a));
	OPENSSL_cleanse(b, sizeof(b));
	OPENSSL_cleanse(key, strlen(key));
	free(key);
	return rc;
}

int
dr_s3_sign(struct dr_s3_sign *s, struct dr_buf *out, struct dr_err *err)
{
	struct dr_buf canonical = { .max = CANONICAL_MAX };
	struct dr_buf text = { .max = CANONICAL_MAX };
	unsigned char mac[32];
	char hash[DR_SHA256_HEX], hex[DR_SHA256_HEX];
	int rc = -1;

	if (strlen(s->time) < DATE_LEN)
		return dr_err_set(err, DR_EFAIL, "cannot sign without a time");
	if (dr_s3_canonical(s, &canonical, err) == -1 ||
	    dr_sha256_hex(canonical.data, canonical.len, hash, err) == -1 ||
	    dr_buf_fmt(&text, err, "%s\n%s\n%.*s/%s/%s/%s\n%s",
	        s->names->algorithm, s->time, DATE_LEN, s->time, s->region,
	        s->service, s->names->end, hash) == -1 ||
	    sign(s, text.data, text.len, mac, err) == -1)
		goto out;
	if (dr_buf_fmt(out, err,
	        "%s Credential=%s/%.*s/%s/%s/%s, "
	        "SignedHeaders=",
	        s->names->algorithm, s->access, DATE_LEN, s->time, s->region,
	        s->service, s->names->end) == -1 ||
	    add_names(s, out, err) == -1 ||
	    dr_buf_fmt(out, err, ", Signature=%s",
	        dr_hex(mac, sizeof(mac), hex)) == -1)
		goto out;
	rc = 0;

out:
	/* A session token is among the headers. */
	if (canonical.data != NULL)
		OPENSSL_cleanse(canonical.data, canonical.len);
	dr_buf_free(&canonical);
	dr_buf_free(&text);
	return rc;
}
