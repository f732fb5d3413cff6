#include "flow/deep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/members.h"
#include "archive/tarwalk.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/tty.h"
#include "codec/pack.h"
#include "flow/deep_blame.h"
#include "flow/extents.h"
#include "flow/tally.h"
#include "manifest/manifest.h"
#include "pg/backup_manifest.h"

#define STEP (1U << 20)
#define HEAD (64U << 10) /* of backup_manifest, to learn its algorithm */

struct deep {
	/* where the body lies still and is packed */
	struct dr_blob *plain;
	struct dr_frames frames;
	struct dr_source *index;
	struct dr_records *records;
	struct dr_extent manifest_at; /* size 0: not known */

	/* a cluster's */
	struct dr_tally *tally;
	struct dr_bm *bm;
	struct dr_bm_sum *sum; /* where the algorithm is no CRC */
	enum dr_bm_algo algo;
	bool seen_manifest, other_algo;

	/* the member at hand */
	struct dr_buf path;
	char type;
	uint64_t size;
	uint32_t crc, want;
	bool in_manifest;
	struct dr_deep_facts *facts;
};

/* --- the walk ------------------------------------------------------------- */

/* The index says the same of the next member. */
static int
held(struct deep *d, const struct dr_member *m, struct dr_err *err)
{
	struct dr_record r;
	int rc;

	if (d->records == NULL)
		return 0;
	if ((rc = dr_records_next(d->records, &r, err)) == -1)
		return -1;
	if (rc == 0 || r.type != m->type || r.size != m->size ||
	    r.offset != m->offset || strcmp(r.path, m->path) != 0)
		return dr_err_set(err, DR_EDATA,
		    "the member index does not list \"%s\" as the backup "
		    "holds it",
		    m->path);
	d->want = r.crc;
	return 0;
}

static const char *
bare(const char *path)
{
	while (path[0] == '.' && path[1] == '/')
		path += 2;
	return path;
}

static int
member(void *arg, const struct dr_member *m, struct dr_err *err)
{
	struct deep *d = arg;

	if (held(d, m, err) == -1)
		return -1;
	d->type = m->type;
	d->size = m->size;
	d->crc = 0;
	d->path.len = 0;
	if (dr_buf_str(&d->path, bare(m->path), err) == -1)
		return -1;
	d->facts->members++;
	d->facts->bytes += m->size;
	d->in_manifest =
	    d->tally != NULL && strcmp(d->path.data, "backup_manifest") == 0;
	if (d->in_manifest && d->seen_manifest)
		return dr_err_set(err, DR_EDATA,
		    "the backup has two backup_manifest");
	d->seen_manifest |= d->in_manifest;
	return 0;
}

static int
data(void *arg, const void *p, size_t len, struct dr_err *err)
{
	struct deep *d = arg;

	d->crc = dr_crc32c(d->crc, p, len);
	if (d->in_manifest)
		return dr_bm_add(d->bm, p, len, err);
	return d->sum == NULL ? 0 : dr_bm_sum_add(d->sum, p, len, err);
}

static int
end(void *arg, struct dr_err *err)
{
	struct deep *d = arg;
	const char *path = d->path.data;
	unsigned char sum[DR_BM_SUM_MAX];
	struct dr_tally_entry e = { path, d->size, (int)d->algo, sum, 4 };

	if (d->records != NULL && d->crc != d->want)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is damaged: its CRC-32C is not that of the member "
		    "index",
		    path);
	dr_put32(sum, d->crc);
	if (d->sum != NULL && dr_bm_sum_end(d->sum, sum, &e.sum_len, err) == -1)
		return -1;
	if (d->algo == DR_BM_NONE)
		e.sum_len = 0;
	if (d->tally == NULL || d->type != '0' || d->in_manifest ||
	    strncmp(path, ".drtools/", 9) == 0)
		return 0;
	if (strncmp(path, "pg_wal/", 7) == 0)
		return dr_tally_maybe(d->tally, &e, err);
	dr_tally_add(d->tally, DR_TALLY_HAVE, &e);
	return 0;
}

/* An entry of backup_manifest, which comes after what it tells of. */
static int
listed(void *arg, const struct dr_bm_file *f, struct dr_err *err)
{
	struct deep *d = arg;
	struct dr_tally_entry e = { f->path, f->size, (int)f->algo, f->sum,
		f->sum_len };

	if (f->algo != d->algo) {
		/* Not what was taken while the data went by. */
		d->other_algo = true;
		return 0;
	}
	if (strncmp(f->path, "pg_wal/", 7) != 0)
		dr_tally_add(d->tally, DR_TALLY_WANT, &e);
	else if (!dr_tally_wanted(d->tally, &e))
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is missing, or other than backup_manifest says",
		    f->path);
	return 0;
}

/* --- before and after ----------------------------------------------------- */

static int
first_algo(void *arg, const struct dr_bm_file *f, struct dr_err *err)
{
	struct deep *d = arg;

	d->algo = f->algo;
	/* Enough has been read. */
	return dr_err_set(err, DR_ESTOP, "%s", "");
}

/* Which checksums will be wanted: known beforehand only at rest. */
static int
learn(struct deep *d, struct dr_err *err)
{
	struct dr_err stop = { 0 };
	struct dr_extents *x;
	struct dr_extent e;
	struct dr_bm *bm = NULL;
	char *head = NULL;
	size_t n;
	int rc;

	if ((x = dr_extents_new(d->plain, &d->frames, err)) == NULL)
		return -1;
	while ((rc = dr_extents_next(x, &e, err)) == 1)
		if (strcmp(e.path, "backup_manifest") == 0)
			d->manifest_at = e;
	dr_extents_free(x);
	if (rc == -1 || d->manifest_at.size == 0)
		return rc;
	rc = -1;
	n = d->manifest_at.size < HEAD ? (size_t)d->manifest_at.size : HEAD;
	if ((head = malloc(n)) == NULL) {
		dr_err_sys(err, "cannot read backup_manifest");
		goto out;
	}
	if (dr_frames_pread(d->plain, &d->frames, head, n, d->manifest_at.data,
	        err) == -1 ||
	    (bm = dr_bm_new(first_algo, d, err)) == NULL)
		goto out;
	if (dr_bm_add(bm, head, n, &stop) == -1 && stop.cause != DR_ESTOP) {
		*err = stop;
		goto out;
	}
	rc = 0;
	if (d->algo != DR_BM_CRC32C && d->algo != DR_BM_NONE &&
	    (d->sum = dr_bm_sum_new(d->algo, err)) == NULL)
		rc = -1;

out:
	dr_bm_free(bm);
	free(head);
	return rc;
}

static int
begin(struct deep *d, struct dr_body *body, const struct dr_identities *ids,
    bool pg, struct dr_err *err)
{
	bool packed = false;

	d->path.max = 1U << 17;
	d->algo = DR_BM_CRC32C;
	d->plain = dr_body_plain(body, ids, &packed, err);
	if (d->plain == NULL && err->cause != DR_OK)
		return -1;
	if (d->plain != NULL && packed &&
	    dr_frames_read(d->plain, &d->frames, err) == -1)
		return -1;
	dr_progress_total(d->frames.raw_size);
	if (d->frames.index_at != 0 &&
	    ((d->index = dr_frames_index(d->plain, &d->frames, err)) == NULL ||
	        (d->records = dr_records_new(d->index, err)) == NULL))
		return -1;
	if (!pg)
		return 0;
	if ((d->tally = dr_tally_new(err)) == NULL ||
	    (d->bm = dr_bm_new(listed, d, err)) == NULL)
		return -1;
	return d->records == NULL ? 0 : learn(d, err);
}

/* The manifest is whole, and the two lists are the same. */
static int
settle(struct deep *d, struct dr_body *body, struct dr_err *err)
{
	struct dr_bm_facts facts = { 0 };
	const json_t *m = dr_body_manifest(body, err);
	const char *system;
	char id[24];
	int bucket;

	if (m == NULL)
		return -1;
	if (!d->seen_manifest)
		return dr_err_set(err, DR_EDATA,
		    "the backup has no backup_manifest");
	if (dr_bm_end(d->bm, &facts, err) == -1)
		return -1;
	system = dr_manifest_str(m, "pg.system_id");
	(void)snprintf(id, sizeof(id), "%llu",
	    (unsigned long long)facts.system_id);
	if (facts.system_id != 0 && system != NULL && strcmp(id, system) != 0)
		return dr_err_set(err, DR_EDATA,
		    "backup_manifest is of cluster %s, the backup of %s", id,
		    system);
	if (d->other_algo) {
		dr_err_set(err, DR_EPARTIAL,
		    "the checksums in backup_manifest could not be checked");
		return dr_err_hint(err,
		    "they are no CRC-32C: verify the backup in its store, or "
		    "as a packed file");
	}
	if ((bucket = dr_tally_differs(d->tally)) == -1)
		return 0;
	if (d->manifest_at.size == 0)
		return dr_err_set(err, DR_EDATA,
		    "the files of the backup are not those that "
		    "backup_manifest lists");
	return dr_deep_blame(d->plain, &d->frames, &d->manifest_at, d->tally,
	    (unsigned)bucket, err);
}

static int
index_ends(struct deep *d, struct dr_err *err)
{
	struct dr_record r;
	int rc;

	if (d->records == NULL)
		return 0;
	if ((rc = dr_records_next(d->records, &r, err)) == 1)
		return dr_err_set(err, DR_EDATA,
		    "the member index lists \"%s\", which is not in the backup",
		    r.path);
	return rc;
}

static int
walk(struct deep *d, struct dr_source *tar, struct dr_err *err)
{
	static const struct dr_tarwalk_ops ops = { member, data, end };
	struct dr_tarwalk *w = NULL;
	uint64_t done = 0;
	ssize_t n;
	void *buf;
	int rc = -1;

	if ((buf = malloc(STEP)) == NULL)
		return dr_err_sys(err, "cannot allocate a buffer");
	if ((w = dr_tarwalk_new(&ops, d, err)) == NULL)
		goto out;
	while ((n = dr_source_fill(tar, buf, STEP, err)) > 0) {
		if (dr_check_stop(err) == -1 ||
		    dr_tarwalk_add(w, buf, (size_t)n, err) == -1)
			goto out;
		dr_progress(done += (uint64_t)n);
	}
	if (n == 0 && dr_tarwalk_end(w, err) == 0)
		rc = index_ends(d, err);

out:
	dr_tarwalk_free(w);
	free(buf);
	return rc;
}

int
dr_deep(struct dr_body *body, const struct dr_identities *ids, int workers,
    struct dr_deep_facts *facts, struct dr_err *err)
{
	struct deep d = { .facts = facts };
	struct dr_source *tar;
	const json_t *m;
	const char *kind;
	bool pg;
	int rc = -1;

	memset(facts, 0, sizeof(*facts));
	if ((kind = dr_body_kind(body, ids, workers, err)) == NULL)
		return -1;
	pg = strcmp(kind, "pg") == 0;
	if (begin(&d, body, ids, pg, err) == -1 ||
	    (tar = dr_body_tar(body, ids, workers, err)) == NULL ||
	    walk(&d, tar, err) == -1 ||
	    dr_source_drain(dr_body_proof(body), err) == -1)
		goto out;
	if ((m = dr_body_manifest(body, err)) == NULL)
		goto out;
	if (pg != (strcmp(dr_manifest_str(m, "kind"), "pg") == 0)) {
		dr_err_set(err, DR_EPARTIAL,
		    "the stream did not look like what it is, a backup of "
		    "kind %s",
		    dr_manifest_str(m, "kind"));
		dr_err_hint(err, "write it to a file (-o) and verify that");
		goto out;
	}
	rc = pg ? settle(&d, body, err) : 0;

out:
	dr_records_free(d.records);
	dr_source_free(d.index);
	dr_frames_free(&d.frames);
	dr_bm_free(d.bm);
	dr_bm_sum_free(d.sum);
	dr_tally_free(d.tally);
	dr_buf_free(&d.path);
	return rc;
}
