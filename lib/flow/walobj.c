#include "flow/walobj.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "codec/table.h"
#include "codec/zmem.h"
#include "crypt/header.h"
#include "crypt/seal.h"

#define SIG_MAGIC 0x184D2A5BU
#define WAL_MAX   (1U << 30) /* a segment has at most 1 GiB */
#define SMALL_MAX (1U << 20) /* a history or a backup's label */
#define HEAD_STEP 4096U

/* --- names and lines ------------------------------------------------------- */

static const char *
suffix(enum dr_cipher cipher)
{
	return cipher == DR_CIPHER_AES ? ".zst.seal" : ".zst.age";
}

char *
dr_wal_prefix(const char *set, uint64_t system_id, uint32_t tli,
    struct dr_err *err)
{
	if (tli == 0)
		return dr_fmt(err, "%s/wal/%" PRIu64 "/", set, system_id);
	return dr_fmt(err, "%s/wal/%" PRIu64 "/%08X/", set, system_id, tli);
}

char *
dr_wal_object_name(const struct dr_wal_id *id, enum dr_cipher cipher,
    struct dr_err *err)
{
	char part[2 * 8 + 3] = "";

	if (id->increment)
		snprintf(part, sizeof(part), ".%08X-%08X", id->from, id->to);
	return dr_fmt(err, "%s/wal/%" PRIu64 "/%08X/%s%s%s", id->set,
	    id->system_id, id->file.tli, id->name, part, suffix(cipher));
}

/* 8 upper-case hex digits. */
static bool
hex8(const char *s, uint32_t *out)
{
	if (strspn(s, "0123456789ABCDEF") < 8)
		return false;
	*out = 0;
	for (int i = 0; i < 8; i++)
		*out = *out << 4 |
		       (uint32_t)(s[i] <= '9' ? s[i] - '0' : s[i] - 'A' + 10);
	return true;
}

/* A decimal number without zeros before it, and a "/". */
static const char *
system_id(const char *s, uint64_t *out)
{
	size_t n = strspn(s, "0123456789");
	uint64_t v = 0;
	unsigned d;

	if (n == 0 || n > 20 || *s == '0' || s[n] != '/')
		return NULL;
	for (; *s != '/'; s++) {
		d = (unsigned)(*s - '0');
		if (v > (UINT64_MAX - d) / 10)
			return NULL;
		v = v * 10 + d;
	}
	*out = v;
	return s + 1;
}

/* "NAME" or "NAME.FROM-TO", N bytes. */
static bool
last_part(const char *s, size_t n, struct dr_wal_id *id)
{
	struct dr_err ignored = { 0 };

	if (n >= sizeof(id->name))
		return false;
	memcpy(id->name, s, n);
	id->name[n] = '\0';
	if (n == 24 + 18 && id->name[24] == '.' && id->name[33] == '-') {
		if (!hex8(id->name + 25, &id->from) ||
		    !hex8(id->name + 34, &id->to) || id->from >= id->to ||
		    id->to > WAL_MAX)
			return false;
		id->name[24] = '\0';
		id->increment = true;
	}
	return dr_wal_name(id->name, &id->file, &ignored) == 0 &&
	       (!id->increment || id->file.kind == DR_WAL_SEGMENT);
}

int
dr_wal_object_parse(const char *set, const char *object, struct dr_wal_id *id,
    enum dr_cipher *cipher)
{
	size_t n = strlen(set), len, end;
	const char *s = object;
	uint32_t tli;

	memset(id, 0, sizeof(*id));
	id->set = set;
	if (strncmp(s, set, n) != 0 || strncmp(s + n, "/wal/", 5) != 0 ||
	    (s = system_id(s + n + 5, &id->system_id)) == NULL ||
	    !hex8(s, &tli) || s[8] != '/')
		return 0;
	s += 9;
	len = strlen(s);
	for (*cipher = DR_CIPHER_AGE;; *cipher = DR_CIPHER_AES) {
		end = strlen(suffix(*cipher));
		if (len > end && strcmp(s + len - end, suffix(*cipher)) == 0)
			break;
		if (*cipher == DR_CIPHER_AES)
			return 0;
	}
	return last_part(s, len - end, id) && id->file.tli == tli;
}

int
dr_wal_line(const struct dr_wal_id *id, const char sha256[DR_SHA256_HEX],
    struct dr_buf *out, struct dr_err *err)
{
	return dr_buf_fmt(out, err,
	    "drtools wal v1 %s %" PRIu64 " %08X %s %08X %08X %s\n", id->set,
	    id->system_id, id->file.tli, id->name, id->from, id->to, sha256);
}

/* The most bytes that an object of this name may hold. */
static size_t
most(const struct dr_wal_id *id)
{
	switch (id->file.kind) {
	case DR_WAL_BACKUP:
	case DR_WAL_HISTORY:
		return SMALL_MAX;
	case DR_WAL_SEGMENT:
	case DR_WAL_PARTIAL:
	default:
		return id->increment ? id->to - id->from : WAL_MAX;
	}
}

/* --- making ---------------------------------------------------------------- */

/* Where sealed bytes go: into memory, hashed. */
struct bufsink {
	struct dr_sink sink;
	struct dr_buf *out;
	struct dr_sha256 *hash;
};

static int
bufsink_write(struct dr_sink *sink, const void *buf, size_t len,
    struct dr_err *err)
{
	struct bufsink *b = (struct bufsink *)sink;

	if (dr_sha256_add(b->hash, buf, len, err) == -1)
		return -1;
	return dr_buf_add(b->out, buf, len, err);
}

static int
bufsink_finish(struct dr_sink *sink, struct dr_err *err)
{
	(void)sink;
	(void)err;
	return 0;
}

/* It lies on the stack of dr_wal_make, which frees the hash. */
static void
bufsink_free(struct dr_sink *sink)
{
	(void)sink;
}

static const struct dr_sink_ops bufsink_ops = {
	.write = bufsink_write,
	.finish = bufsink_finish,
	.free = bufsink_free,
};

/* The signature's frame, then the segment's, sealed into B. */
static int
seal(const struct dr_wal_opts *o, struct dr_zmem *z, struct bufsink *b,
    struct dr_wal_made *m, struct dr_err *err)
{
	unsigned char head[DR_SKIP_HEADER + DR_LINE_SIG];
	unsigned char digest[DR_SHA256_LEN];
	size_t len = strlen(m->line);
	struct dr_sink *s;
	int rc;

	dr_put32(head, SIG_MAGIC);
	dr_put32(head + 4, DR_LINE_SIG);
	if (dr_sign_line(o->key, m->line, len, head + DR_SKIP_HEADER, err) ==
	        -1 ||
	    dr_content_mac(o->key, m->line, len, m->mac, err) == -1 ||
	    (s = dr_seal_content(&b->sink, o->cipher, o->recipients,
	         dr_sign_key_id(o->key), m->mac, o->draft, err)) == NULL)
		return -1;
	rc = dr_sink_write(s, head, sizeof(head), err);
	if (rc == 0)
		rc = dr_zmem_write(z, s, err);
	if (rc == 0)
		rc = dr_sink_finish(s, err);
	dr_sink_free(s);
	if (rc == 0 && (rc = dr_sha256_end(b->hash, digest, err)) == 0)
		dr_hex(digest, sizeof(digest), m->sha256);
	return rc;
}

struct dr_wal_job {
	struct dr_zmem *z;
	struct dr_sha256 *hash;
	const char *data;
	size_t len, fed;
};

int
dr_wal_begin(struct dr_wal_id *id, const void *data, size_t len, int level,
    int workers, struct dr_err *err)
{
	struct dr_wal_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return dr_err_sys(err, "cannot begin to compress");
	j->data = data;
	j->len = len;
	id->job = j;
	if ((j->hash = dr_sha256_new(err)) != NULL &&
	    (j->z = dr_zmem_start(data, len, level != 0 ? level : DR_WAL_LEVEL,
	         workers, err)) != NULL)
		return 0;
	dr_wal_drop(id);
	return -1;
}

int
dr_wal_fed(struct dr_wal_id *id, size_t n, struct dr_err *err)
{
	struct dr_wal_job *j = id->job;
	size_t from = j->fed;

	j->fed = n;
	dr_zmem_fed(j->z, n);
	return dr_sha256_add(j->hash, j->data + from, n - from, err);
}

void
dr_wal_drop(struct dr_wal_id *id)
{
	if (id->job == NULL)
		return;
	dr_zmem_free(id->job->z);
	dr_sha256_free(id->job->hash);
	free(id->job);
	id->job = NULL;
}

/* The job's work done: the SHA-256 of all. */
static int
job_hash(struct dr_wal_id *id, char sha256[DR_SHA256_HEX], struct dr_err *err)
{
	unsigned char digest[DR_SHA256_LEN];

	if ((id->job->fed < id->job->len || id->job->len == 0) &&
	    dr_wal_fed(id, id->job->len, err) == -1)
		return -1;
	if (dr_sha256_end(id->job->hash, digest, err) == -1)
		return -1;
	dr_hex(digest, sizeof(digest), sha256);
	return 0;
}

int
dr_wal_make(const struct dr_wal_opts *o, struct dr_wal_id *id, const void *data,
    size_t len, struct dr_wal_made *m, struct dr_err *err)
{
	struct dr_buf line = { .max = sizeof(m->line) - 1 };
	struct bufsink b = { .sink = { .ops = &bufsink_ops } };
	char sha256[DR_SHA256_HEX];
	int rc = -1;

	memset(m, 0, sizeof(*m));
	m->sealed.max = SIZE_MAX / 2;
	if (!id->increment) {
		id->from = 0;
		id->to = len <= WAL_MAX ? (uint32_t)len : 0;
	}
	if (len > most(id) || id->to - id->from != len) {
		dr_err_set(err, DR_EFAIL,
		    "%zu bytes are not what \"%s\" may hold", len, id->name);
		goto out;
	}
	if ((id->job == NULL &&
	        dr_wal_begin(id, data, len, o->level, o->workers, err) == -1) ||
	    job_hash(id, sha256, err) == -1 ||
	    dr_wal_line(id, sha256, &line, err) == -1)
		goto out;
	memcpy(m->line, line.data, line.len + 1);
	b.out = &m->sealed;
	if ((b.hash = dr_sha256_new(err)) == NULL)
		goto out;
	rc = seal(o, id->job->z, &b, m, err);

out:
	dr_wal_drop(id);
	dr_sha256_free(b.hash);
	dr_buf_free(&line);
	if (rc == -1)
		dr_wal_made_free(m);
	return rc;
}

void
dr_wal_made_free(struct dr_wal_made *m)
{
	dr_buf_free(&m->sealed);
}

/* --- opening --------------------------------------------------------------- */

/* The signature's frame, which comes first. */
static int
read_signature(struct dr_source *s, unsigned char sig[DR_LINE_SIG],
    struct dr_err *err)
{
	unsigned char head[DR_SKIP_HEADER + DR_LINE_SIG];
	ssize_t n;

	if ((n = dr_source_fill(s, head, sizeof(head), err)) == -1)
		return -1;
	if ((size_t)n < sizeof(head) || dr_get32(head) != SIG_MAGIC ||
	    dr_get32(head + 4) != DR_LINE_SIG)
		return dr_err_set(err, DR_EDATA,
		    "it does not begin with a signature");
	memcpy(sig, head + DR_SKIP_HEADER, DR_LINE_SIG);
	return 0;
}

/* All that S gives, at most MAX bytes. */
static int
read_packed(struct dr_source *s, size_t max, struct dr_buf *packed,
    struct dr_err *err)
{
	ssize_t n;

	packed->max = max;
	if (dr_buf_room(packed, max, err) == -1 ||
	    (n = dr_source_fill(s, packed->data, max, err)) == -1)
		return -1;
	packed->len = (size_t)n;
	return 0;
}

static int
add_hash(void *hash, const void *data, size_t len, struct dr_err *err)
{
	return dr_sha256_add(hash, data, len, err);
}

/* Is OUT, of that hash, signed for ID? */
static int
verify(const struct dr_verify_keys *keys, struct dr_wal_id *id, size_t len,
    struct dr_sha256 *hash, const unsigned char sig[DR_LINE_SIG],
    char signer[DR_KEYID_HEX], struct dr_err *err)
{
	struct dr_buf line = { .max = 4096 };
	unsigned char digest[DR_SHA256_LEN];
	char sha256[DR_SHA256_HEX];
	int rc = -1;

	if (id->increment && len != id->to - id->from)
		return dr_err_set(err, DR_EDATA,
		    "it holds %zu bytes, not the %" PRIu32 " of its name", len,
		    id->to - id->from);
	if (!id->increment) {
		id->from = 0;
		id->to = (uint32_t)len;
	}
	if (keys == NULL)
		return 0;
	if (dr_sha256_end(hash, digest, err) == -1)
		return -1;
	dr_hex(digest, sizeof(digest), sha256);
	if (dr_wal_line(id, sha256, &line, err) == 0)
		rc =
		    dr_verify_line(keys, line.data, line.len, sig, signer, err);
	dr_buf_free(&line);
	return rc;
}

int
dr_wal_open(struct dr_blob *object, const struct dr_identities *ids,
    const struct dr_verify_keys *keys, struct dr_wal_id *id, struct dr_buf *out,
    char signer[DR_KEYID_HEX], struct dr_err *err)
{
	unsigned char sig[DR_LINE_SIG];
	struct dr_sha256 *hash = NULL;
	struct dr_source *s = NULL, *t;
	struct dr_buf packed = { .max = 0 };
	char who[DR_KEYID_HEX] = "";
	size_t max = most(id);
	int rc = -1;

	assert(out->len == 0);
	if (max > out->max)
		max = out->max;
	if ((hash = dr_sha256_new(err)) == NULL ||
	    (s = dr_blob_source(object, err)) == NULL ||
	    (t = dr_unseal_new(s, ids, err)) == NULL)
		goto out;
	s = t;
	/* What does not compress grows by less than that. */
	if (object->size > max + max / 16 + 2 * DR_HEADER_MAX) {
		dr_err_set(err, DR_EDATA,
		    "it has %" PRIu64 " bytes, too many for its name",
		    object->size);
		goto out;
	}
	if (read_signature(s, sig, err) == -1 ||
	    read_packed(s, (size_t)object->size, &packed, err) == -1 ||
	    dr_zmem_read(packed.data, packed.len, max, out, add_hash, hash,
	        err) == -1 ||
	    verify(keys, id, out->len, hash, sig, who, err) == -1)
		goto out;
	rc = 0;

out:
	if (signer != NULL)
		memcpy(signer, who, sizeof(who));
	if (rc == -1) {
		dr_err_wrap(err, "\"%s\"", id->name);
		dr_buf_free(out);
	}
	dr_source_free(s);
	dr_sha256_free(hash);
	dr_buf_free(&packed);
	return rc;
}

int
dr_wal_same(struct dr_store *store, const char *object, const char *signer,
    const unsigned char mac[DR_CONTENT_MAC], struct dr_err *err)
{
	struct dr_buf head = { .max = DR_HEADER_MAX };
	unsigned char there[DR_CONTENT_MAC];
	char by[DR_KEYID_HEX];
	struct dr_blob *blob;
	ssize_t end = 0;
	size_t n, seen;
	int rc = -1;

	if ((blob = dr_store_get(store, object, err)) == NULL)
		return -1;
	while (end == 0) {
		seen = head.len;
		n = seen == 0 ? HEAD_STEP : seen;
		if (n > blob->size - seen)
			n = (size_t)(blob->size - seen);
		if (n > head.max - seen)
			n = head.max - seen;
		if (n == 0)
			break;
		if (dr_buf_room(&head, n, err) == -1 ||
		    dr_blob_pread(blob, head.data + seen, n, seen, err) == -1)
			goto out;
		head.len += n;
		if ((end = dr_header_find(head.data, head.len, seen, err)) ==
		    -1)
			goto out;
	}
	if (end == 0) {
		dr_err_set(err, DR_EDATA, "\"%s\" is truncated in its header",
		    object);
		goto out;
	}
	if ((rc = dr_content_find(head.data, (size_t)end, by, there, err)) == 1)
		rc = strcmp(by, signer) == 0 &&
		     memcmp(there, mac, sizeof(there)) == 0;

out:
	dr_buf_free(&head);
	dr_blob_free(blob);
	return rc;
}
