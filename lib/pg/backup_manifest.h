/*
 * backup_manifest.h - PostgreSQL's list of what is in a base backup, read as
 * it goes by (a cluster may have millions of files) and rewritten.
 *
 * Format: src/backend/backup/backup_manifest.c and
 * src/common/parse_manifest.c of PostgreSQL; versions 1 and 2.
 */
#ifndef DR_PG_BACKUP_MANIFEST_H
#define DR_PG_BACKUP_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "stream/blob.h"
#include "stream/sink.h"

enum dr_bm_algo {
	DR_BM_NONE,
	DR_BM_CRC32C,
	DR_BM_SHA224,
	DR_BM_SHA256,
	DR_BM_SHA384,
	DR_BM_SHA512,
};

#define DR_BM_SUM_MAX 64 /* bytes of the longest checksum */

struct dr_bm_file {
	const char *path; /* raw bytes, NUL-terminated; valid in the call */
	uint64_t size;
	enum dr_bm_algo algo;
	unsigned char sum[DR_BM_SUM_MAX]; /* CRC-32C: little-endian */
	size_t sum_len;                   /* 0 for DR_BM_NONE */
	uint64_t at, end; /* where the entry lies in the text: [at, end) */
};

struct dr_bm_facts {
	int version;        /* 1 or 2 */
	uint64_t system_id; /* 0: not said (version 1) */
	uint64_t files;     /* entries */
};

/* Called for each entry, in order.  -1 with ERR set ends the reading. */
typedef int dr_bm_fn(void *, const struct dr_bm_file *, struct dr_err *);

struct dr_bm;

struct dr_bm *dr_bm_new(dr_bm_fn *, void *arg, struct dr_err *);
/* The next bytes of the text, cut anywhere.  DR_EDATA: no manifest. */
int dr_bm_add(struct dr_bm *, const void *, size_t, struct dr_err *);
/*
 * The text has ended: it must be whole, and the SHA-256 of all but its last
 * line must be the one in that line.
 */
int dr_bm_end(struct dr_bm *, struct dr_bm_facts *, struct dr_err *);
void dr_bm_free(struct dr_bm *);

/* Checksums of files, as manifests hold them. */
struct dr_bm_sum;
struct dr_bm_sum *dr_bm_sum_new(enum dr_bm_algo, struct dr_err *);
int dr_bm_sum_add(struct dr_bm_sum *, const void *, size_t, struct dr_err *);
/* Ends this file and begins the next; *LEN bytes of checksum. */
int dr_bm_sum_end(struct dr_bm_sum *, unsigned char[DR_BM_SUM_MAX], size_t *len,
    struct dr_err *);
void dr_bm_sum_free(struct dr_bm_sum *);

/* What a file is now, for dr_bm_rewrite. */
struct dr_bm_edit {
	const char *path;
	const void *data; /* the whole file */
	size_t size;
};

/*
 * Copy the manifest in TEXT to OUT (which is not finished) with the entries
 * of N files replaced, or added where there was none, and with a new last
 * line.  Each keeps the algorithm it had; new ones get the first entry's.
 */
int dr_bm_rewrite(struct dr_blob *text, const struct dr_bm_edit *, size_t n,
    struct dr_sink *out, struct dr_err *);

#endif /* !DR_PG_BACKUP_MANIFEST_H */
