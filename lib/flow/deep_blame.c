#include "flow/deep_blame.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "pg/backup_manifest.h"

#define PIECE   (1U << 20)
#define MEMBERS 100000U /* looked at */

struct found {
	char *path;
	uint64_t size;
	uint32_t crc;
	bool listed;
};

struct blame {
	const struct dr_tally *tally;
	unsigned bucket;
	struct found *v;
	size_t n;
};

static int
by_path(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int
gather(struct blame *b, struct dr_extents *x, struct dr_err *err)
{
	struct dr_extent e;
	struct found *v;
	int rc;

	while ((rc = dr_extents_next(x, &e, err)) == 1) {
		if (e.type != '0' || strncmp(e.path, "pg_wal/", 7) == 0 ||
		    strncmp(e.path, ".drtools/", 9) == 0 ||
		    strcmp(e.path, "backup_manifest") == 0 ||
		    dr_tally_bucket(b->tally, e.path) != b->bucket ||
		    b->n == MEMBERS)
			continue;
		if ((v = reallocarray(b->v, b->n + 1, sizeof(*v))) == NULL)
			return dr_err_sys(err, "cannot compare the files");
		b->v = v;
		v += b->n;
		v->size = e.size;
		v->crc = e.crc;
		v->listed = false;
		if ((v->path = dr_fmt(err, "%s", e.path)) == NULL)
			return -1;
		b->n++;
	}
	if (b->n > 0)
		qsort(b->v, b->n, sizeof(*b->v), by_path);
	for (size_t i = 1; i < b->n; i++)
		if (strcmp(b->v[i - 1].path, b->v[i].path) == 0)
			return dr_err_set(err, DR_EDATA,
			    "\"%s\" stands twice in the backup", b->v[i].path);
	return rc;
}

static int
compare(void *arg, const struct dr_bm_file *f, struct dr_err *err)
{
	struct blame *b = arg;
	struct found *m = NULL;

	if (strncmp(f->path, "pg_wal/", 7) == 0 ||
	    dr_tally_bucket(b->tally, f->path) != b->bucket)
		return 0;
	for (size_t lo = 0, hi = b->n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(b->v[mid].path, f->path);

		if (c == 0)
			m = &b->v[mid];
		if (c == 0)
			break;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (m == NULL)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is missing: backup_manifest lists it", f->path);
	if (m->listed)
		return dr_err_set(err, DR_EDATA,
		    "backup_manifest lists \"%s\" twice", f->path);
	m->listed = true;
	if (m->size != f->size)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" has %llu bytes, backup_manifest says %llu", f->path,
		    (unsigned long long)m->size, (unsigned long long)f->size);
	if (f->algo == DR_BM_CRC32C && dr_get32(f->sum) != m->crc)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" does not have the checksum that backup_manifest "
		    "says",
		    f->path);
	return 0;
}

static int
read_manifest(struct blame *b, struct dr_blob *packed,
    const struct dr_frames *frames, const struct dr_extent *at,
    struct dr_err *err)
{
	struct dr_bm *bm = NULL;
	char *buf = NULL;
	uint64_t done = 0;
	int rc = -1;

	if ((buf = malloc(PIECE)) == NULL) {
		dr_err_sys(err, "cannot read backup_manifest");
		goto out;
	}
	if ((bm = dr_bm_new(compare, b, err)) == NULL)
		goto out;
	while (done < at->size) {
		size_t n =
		    at->size - done < PIECE ? (size_t)(at->size - done) : PIECE;

		if (dr_frames_pread(packed, frames, buf, n, at->data + done,
		        err) == -1 ||
		    dr_bm_add(bm, buf, n, err) == -1)
			goto out;
		done += n;
	}
	rc = 0;

out:
	dr_bm_free(bm);
	free(buf);
	return rc;
}

int
dr_deep_blame(struct dr_blob *packed, const struct dr_frames *frames,
    const struct dr_extent *manifest, const struct dr_tally *tally,
    unsigned bucket, struct dr_err *err)
{
	struct blame b = { .tally = tally, .bucket = bucket };
	struct dr_extents *x = dr_extents_new(packed, frames, err);

	if (x == NULL || gather(&b, x, err) == -1 ||
	    read_manifest(&b, packed, frames, manifest, err) == -1)
		goto out;
	for (size_t i = 0; i < b.n; i++)
		if (!b.v[i].listed) {
			dr_err_set(err, DR_EDATA,
			    "\"%s\" is in the backup, but not in "
			    "backup_manifest",
			    b.v[i].path);
			goto out;
		}
	dr_err_set(err, DR_EDATA,
	    "a file of the backup is not what backup_manifest says");

out:
	for (size_t i = 0; i < b.n; i++)
		free(b.v[i].path);
	free(b.v);
	dr_extents_free(x);
	return -1;
}
