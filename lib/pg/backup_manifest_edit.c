#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/num.h"
#include "pg/backup_manifest.h"

struct dr_bm_sum {
	enum dr_bm_algo algo;
	uint32_t crc;
	EVP_MD_CTX *ctx;
	const EVP_MD *md;
};

struct dr_bm_sum *
dr_bm_sum_new(enum dr_bm_algo algo, struct dr_err *err)
{
	struct dr_bm_sum *s;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		dr_err_sys(err, "cannot allocate a checksum");
		return NULL;
	}
	s->algo = algo;
	switch (algo) {
	case DR_BM_SHA224:
		s->md = EVP_sha224();
		break;
	case DR_BM_SHA256:
		s->md = EVP_sha256();
		break;
	case DR_BM_SHA384:
		s->md = EVP_sha384();
		break;
	case DR_BM_SHA512:
		s->md = EVP_sha512();
		break;
	case DR_BM_NONE:
	case DR_BM_CRC32C:
		return s;
	}
	if ((s->ctx = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestInit_ex(s->ctx, s->md, NULL) != 1) {
		dr_err_set(err, DR_EFAIL, "cannot begin a checksum");
		dr_bm_sum_free(s);
		return NULL;
	}
	return s;
}

int
dr_bm_sum_add(struct dr_bm_sum *s, const void *p, size_t len,
    struct dr_err *err)
{
	if (s->algo == DR_BM_CRC32C)
		s->crc = dr_crc32c(s->crc, p, len);
	if (s->ctx != NULL && EVP_DigestUpdate(s->ctx, p, len) != 1)
		return dr_err_set(err, DR_EFAIL, "cannot take a checksum");
	return 0;
}

int
dr_bm_sum_end(struct dr_bm_sum *s, unsigned char sum[DR_BM_SUM_MAX],
    size_t *len, struct dr_err *err)
{
	unsigned n = 0;

	if (s->algo == DR_BM_CRC32C) {
		dr_put32(sum, s->crc);
		s->crc = 0;
		n = 4;
	} else if (s->ctx != NULL &&
	           (EVP_DigestFinal_ex(s->ctx, sum, &n) != 1 ||
	               EVP_DigestInit_ex(s->ctx, s->md, NULL) != 1)) {
		return dr_err_set(err, DR_EFAIL, "cannot take a checksum");
	}
	*len = n;
	return 0;
}

void
dr_bm_sum_free(struct dr_bm_sum *s)
{
	if (s == NULL)
		return;
	EVP_MD_CTX_free(s->ctx);
	free(s);
}

/* Where the entries that change lie in the text. */
struct spans {
	const struct dr_bm_edit *edit;
	size_t n;
	struct span {
		uint64_t at, end; /* at 0: the file has no entry */
		enum dr_bm_algo algo;
	} * span;
	uint64_t last_end;    /* of the last entry */
	enum dr_bm_algo algo; /* of the first one */
	bool any;
};

static int
find(void *arg, const struct dr_bm_file *f, struct dr_err *err)
{
	struct spans *s = arg;

	(void)err;
	if (!s->any) {
		s->any = true;
		s->algo = f->algo;
	}
	s->last_end = f->end;
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->edit[i].path, f->path) == 0) {
			s->span[i].at = f->at;
			s->span[i].end = f->end;
			s->span[i].algo = f->algo;
		}
	return 0;
}

static int
entry(const struct dr_bm_edit *e, enum dr_bm_algo algo, struct dr_buf *out,
    struct dr_err *err)
{
	static const char *const names[] = { "NONE", "CRC32C", "SHA224",
		"SHA256", "SHA384", "SHA512" };
	unsigned char sum[DR_BM_SUM_MAX];
	char hex[2 * DR_BM_SUM_MAX + 1], date[32];
	struct dr_bm_sum *s;
	time_t now = (time_t)(dr_now() / 1000000);
	struct tm tm;
	size_t len = 0;
	int rc = -1;

	if ((s = dr_bm_sum_new(algo, err)) == NULL)
		return -1;
	if (dr_bm_sum_add(s, e->data, e->size, err) == -1 ||
	    dr_bm_sum_end(s, sum, &len, err) == -1)
		goto out;
	if (gmtime_r(&now, &tm) == NULL ||
	    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S GMT", &tm) == 0) {
		dr_err_set(err, DR_EFAIL, "cannot tell the time");
		goto out;
	}
	if (dr_buf_fmt(out, err,
	        "{ \"Path\": \"%s\", \"Size\": %zu, \"Last-Modified\": \"%s\"",
	        e->path, e->size, date) == -1)
		goto out;
	if (algo != DR_BM_NONE &&
	    dr_buf_fmt(out, err,
	        ", \"Checksum-Algorithm\": \"%s\", \"Checksum\": \"%s\"",
	        names[algo], dr_hex(sum, len, hex)) == -1)
		goto out;
	rc = dr_buf_str(out, " }", err);

out:
	dr_bm_sum_free(s);
	return rc;
}

/* Where the copy goes: hashed on the way. */
struct copy {
	struct dr_blob *text;
	struct dr_sink *out;
	struct dr_sha256 *sha;
};

static int
put(struct copy *c, const void *p, size_t len, struct dr_err *err)
{
	if (dr_sha256_add(c->sha, p, len, err) == -1)
		return -1;
	return dr_sink_write(c->out, p, len, err);
}

static int
copy(struct copy *c, uint64_t at, uint64_t end, struct dr_err *err)
{
	char buf[32768];

	while (at < end) {
		size_t n =
		    end - at < sizeof(buf) ? (size_t)(end - at) : sizeof(buf);

		if (dr_blob_pread(c->text, buf, n, at, err) == -1 ||
		    put(c, buf, n, err) == -1)
			return -1;
		at += n;
	}
	return 0;
}

static int
scan(struct dr_blob *text, struct spans *s, struct dr_err *err)
{
	struct dr_bm_facts facts;
	struct dr_bm *bm;
	char buf[32768];
	uint64_t at = 0;
	int rc = -1;

	if ((bm = dr_bm_new(find, s, err)) == NULL)
		return -1;
	while (at < text->size) {
		size_t n = text->size - at < sizeof(buf)
		               ? (size_t)(text->size - at)
		               : sizeof(buf);

		if (dr_blob_pread(text, buf, n, at, err) == -1 ||
		    dr_bm_add(bm, buf, n, err) == -1)
			goto out;
		at += n;
	}
	rc = dr_bm_end(bm, &facts, err);

out:
	dr_bm_free(bm);
	return rc;
}

/* The offset just past the newline before the last line. */
static int
last_line(struct dr_blob *text, uint64_t *at, struct dr_err *err)
{
	char buf[4096];
	size_t n = text->size < sizeof(buf) ? (size_t)text->size : sizeof(buf);
	const char *nl;

	if (n < 2)
		return dr_err_set(err, DR_EDATA, "backup_manifest is empty");
	if (dr_blob_pread(text, buf, n, text->size - n, err) == -1)
		return -1;
	if ((nl = memrchr(buf, '\n', n - 1)) == NULL)
		return dr_err_set(err, DR_EDATA,
		    "backup_manifest has too long a last line");
	*at = text->size - n + (size_t)(nl - buf) + 1;
	return 0;
}

/* The entry to change that lies next in the text, or N. */
static size_t
next_span(const struct spans *s, uint64_t from)
{
	size_t best = s->n;

	for (size_t i = 0; i < s->n; i++)
		if (s->span[i].at != 0 && s->span[i].at >= from &&
		    (best == s->n || s->span[i].at < s->span[best].at))
			best = i;
	return best;
}

static int
body(struct copy *c, const struct spans *s, uint64_t end, struct dr_buf *text,
    struct dr_err *err)
{
	uint64_t at = 0;
	size_t i;

	while ((i = next_span(s, at)) < s->n) {
		text->len = 0;
		if (copy(c, at, s->span[i].at, err) == -1 ||
		    entry(&s->edit[i], s->span[i].algo, text, err) == -1 ||
		    put(c, text->data, text->len, err) == -1)
			return -1;
		at = s->span[i].end;
	}
	if (s->any) {
		if (copy(c, at, s->last_end, err) == -1)
			return -1;
		at = s->last_end;
		for (i = 0; i < s->n; i++) {
			if (s->span[i].at != 0)
				continue;
			text->len = 0;
			if (dr_buf_str(text, ",\n", err) == -1 ||
			    entry(&s->edit[i], s->algo, text, err) == -1 ||
			    put(c, text->data, text->len, err) == -1)
				return -1;
		}
	}
	return copy(c, at, end, err);
}

int
dr_bm_rewrite(struct dr_blob *text, const struct dr_bm_edit *edit, size_t n,
    struct dr_sink *out, struct dr_err *err)
{
	struct dr_buf buf = { .max = 65536 };
	struct spans s = { .edit = edit, .n = n };
	struct copy c = { .text = text, .out = out };
	unsigned char sum[DR_SHA256_LEN];
	char hex[DR_SHA256_HEX];
	uint64_t end;
	int rc = -1;

	if ((s.span = calloc(n + 1, sizeof(*s.span))) == NULL)
		return dr_err_sys(err, "cannot allocate a manifest's entries");
	if ((c.sha = dr_sha256_new(err)) == NULL || scan(text, &s, err) == -1 ||
	    last_line(text, &end, err) == -1 ||
	    body(&c, &s, end, &buf, err) == -1 ||
	    dr_sha256_end(c.sha, sum, err) == -1)
		goto out;
	buf.len = 0;
	if (dr_buf_fmt(&buf, err, "\"Manifest-Checksum\": \"%s\"}\n",
	        dr_hex(sum, sizeof(sum), hex)) == -1)
		goto out;
	rc = dr_sink_write(out, buf.data, buf.len, err);

out:
	dr_buf_free(&buf);
	dr_sha256_free(c.sha);
	free(s.span);
	return rc;
}
