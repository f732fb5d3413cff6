/*
 * backup_manifest_int.h - the reader of backup_manifest, shared by its parts:
 * JSON in one, what the fields mean in the other.
 */
#ifndef DR_PG_BACKUP_MANIFEST_INT_H
#define DR_PG_BACKUP_MANIFEST_INT_H

#include "base/buf.h"
#include "base/hash.h"
#include "pg/backup_manifest.h"

/* Which structure the reader is inside of. */
enum where { TOP, FILES, FILE_ENTRY, WALS, WAL_ENTRY };

/* What may come next. */
enum want {
	START,
	KEY_OR_END,
	KEY,
	COLON,
	VALUE,
	COMMA_OR_END,
	ELEM_OR_END,
	ELEM,
	NOTHING,
};

enum lex { BETWEEN, STRING, ESCAPE, UNICODE, NUMBER };

enum field {
	F_VERSION,
	F_SYSTEM_ID,
	F_FILES,
	F_WALS,
	F_CHECKSUM,
	F_PATH,
	F_ENCODED,
	F_SIZE,
	F_MODIFIED,
	F_ALGO,
	F_SUM,
	F_TIMELINE,
	F_START,
	F_END,
	F_NONE,
};

struct dr_bm {
	dr_bm_fn *fn;
	void *arg;

	uint64_t at; /* offset of the byte being read */
	enum where where;
	enum want want;
	enum lex lex;
	enum field field;
	unsigned seen_top, seen; /* fields already met, as bits */
	struct dr_buf str;       /* the string or number being read */
	unsigned hex;            /* digits of \uXXXX still to come */
	uint32_t code, high;     /* that code, and a high surrogate before */

	struct dr_bm_facts facts;
	struct dr_bm_file file;
	struct dr_buf path;
	char sum_hex[2 * DR_BM_SUM_MAX + 1];
	uint64_t sum_key_at; /* where "Manifest-Checksum" stands */
	uint64_t body_end;   /* where the last array or entry ended */
	char said[DR_SHA256_HEX];

	struct dr_sha256 *sha;
	uint64_t hashed;    /* so much of the text is in sha */
	struct dr_buf line; /* and this is what follows it */
};

/* DR_EDATA, and where it is. */
int dr_bm_bad(const struct dr_bm *, const char *why, struct dr_err *);

/* What kind of value bm->field has: 's', 'n' or 'a'. */
char dr_bm_kind(const struct dr_bm *);

/* str holds a key; or the value of field, of KIND; or an entry is whole. */
int dr_bm_key(struct dr_bm *, struct dr_err *);
int dr_bm_value(struct dr_bm *, char kind, struct dr_err *);
int dr_bm_entry(struct dr_bm *, struct dr_err *);

/* 2 * N hex digits of either case. */
bool dr_bm_unhex(const char *, size_t n, void *out);

#endif /* !DR_PG_BACKUP_MANIFEST_INT_H */
