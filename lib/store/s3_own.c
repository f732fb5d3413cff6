/*
 * Own success: an object of the name is there after a reply to us was lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/num.h"
#include "store/s3.h"

unsigned
dr_s3_etag_parts(const char *etag)
{
	const char *e = etag + (etag[0] == '"');
	unsigned n = 0;

	if (strspn(e, "0123456789abcdefABCDEF") != 32 || e[32] != '-')
		return 0;
	for (e += 33; *e >= '0' && *e <= '9' && n <= 1000000; e++)
		n = n * 10 + (unsigned)(*e - '0');
	return *e == '\0' || strcmp(e, "\"") == 0 ? n : 0;
}

bool
dr_s3_whole_etag(char *const *etag, unsigned n, char out[DR_S3_ETAG_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char part[16], digest[16];
	char text[33];
	bool good = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1;

	for (unsigned i = 0; good && i < n; i++) {
		const char *e = etag[i] + (etag[i][0] == '"');

		good = strspn(e, "0123456789abcdef") == 32;
		if (!good)
			break;
		memcpy(text, e, 32);
		text[32] = '\0';
		good = dr_unhex(text, 16, part) &&
		       EVP_DigestUpdate(ctx, part, 16) == 1;
	}
	good = good && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	if (good)
		(void)snprintf(out, DR_S3_ETAG_LEN, "\"%s-%u\"",
		    dr_hex(digest, 16, text), n);
	return good;
}

/* The ETag of what went up in one request: the MD5 of it. */
static bool
is_md5(const char *etag, const void *data, size_t len)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[33], want[DR_S3_ETAG_LEN];

	if (EVP_Digest(data, len, digest, NULL, EVP_md5(), NULL) != 1)
		return false;
	(void)snprintf(want, sizeof(want), "\"%s\"", dr_hex(digest, 16, hex));
	return strcmp(want, etag) == 0;
}

/* What the store would not say is no fault of the line. */
static enum dr_s3_own
refused(const struct dr_err *err)
{
	return err->cause == DR_EFAIL ? DR_S3_HIDDEN : DR_S3_UNKNOWN;
}

static enum dr_s3_own
compare(struct dr_s3 *s3, const char *name, const void *data, size_t len,
    struct dr_err *err)
{
	char *there = NULL;
	size_t has;
	bool same;

	switch (dr_s3_get_small(&s3->store, name, len, &there, &has, err)) {
	case 1:
		same =
		    has == len && (len == 0 || memcmp(there, data, len) == 0);
		free(there);
		return same ? DR_S3_OURS : DR_S3_OTHER;
	case 0:
		return DR_S3_OTHER;
	default:
		if (err->cause == DR_EDATA)
			return DR_S3_OTHER; /* it is longer */
		/* An archive class can be looked at, and not be read. */
		return refused(err) == DR_S3_HIDDEN ? DR_S3_ALIKE
		                                    : DR_S3_UNKNOWN;
	}
}

enum dr_s3_own
dr_s3_own(struct dr_s3 *s3, const char *name, const char *etag,
    const void *data, uint64_t size, char *version, size_t versionlen,
    struct dr_err *err)
{
	struct dr_s3_head h;
	int rc = dr_s3_look(s3, name, NULL, &h, err);

	if (rc != 1)
		return rc == 0 ? DR_S3_OTHER : refused(err);
	(void)snprintf(version, versionlen, "%s", h.version);
	if (h.size != size)
		return DR_S3_OTHER;
	if (data != NULL)
		return is_md5(h.etag, data, (size_t)size)
		           ? DR_S3_OURS
		           : compare(s3, name, data, (size_t)size, err);
	if (etag[0] == '\0' || h.opaque || strchr(h.etag, '-') == NULL)
		return DR_S3_ALIKE;
	return strcmp(etag, h.etag) == 0 ? DR_S3_OURS : DR_S3_OTHER;
}
