#include <string.h>

#include "pg/backup_manifest_int.h"

static const struct {
	const char *name;
	enum where where;
	char kind; /* 's' string, 'n' number, 'a' array */
} fields[] = {
	[F_VERSION] = { "PostgreSQL-Backup-Manifest-Version", TOP, 'n' },
	[F_SYSTEM_ID] = { "System-Identifier", TOP, 'n' },
	[F_FILES] = { "Files", TOP, 'a' },
	[F_WALS] = { "WAL-Ranges", TOP, 'a' },
	[F_CHECKSUM] = { "Manifest-Checksum", TOP, 's' },
	[F_PATH] = { "Path", FILE_ENTRY, 's' },
	[F_ENCODED] = { "Encoded-Path", FILE_ENTRY, 's' },
	[F_SIZE] = { "Size", FILE_ENTRY, 'n' },
	[F_MODIFIED] = { "Last-Modified", FILE_ENTRY, 's' },
	[F_ALGO] = { "Checksum-Algorithm", FILE_ENTRY, 's' },
	[F_SUM] = { "Checksum", FILE_ENTRY, 's' },
	[F_TIMELINE] = { "Timeline", WAL_ENTRY, 'n' },
	[F_START] = { "Start-LSN", WAL_ENTRY, 's' },
	[F_END] = { "End-LSN", WAL_ENTRY, 's' },
};

int
dr_bm_bad(const struct dr_bm *bm, const char *why, struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA,
	    "backup_manifest is damaged at byte %llu: %s",
	    (unsigned long long)bm->at, why);
}

char
dr_bm_kind(const struct dr_bm *bm)
{
	return fields[bm->field].kind;
}

static int
number(struct dr_bm *bm, uint64_t *out, struct dr_err *err)
{
	uint64_t v = 0;

	for (size_t i = 0; i < bm->str.len; i++) {
		unsigned char c = (unsigned char)bm->str.data[i];

		if (c < '0' || c > '9' ||
		    (i == 0 && c == '0' && bm->str.len > 1))
			return dr_bm_bad(bm, "not a whole number", err);
		if (v > (UINT64_MAX - (c - '0')) / 10)
			return dr_bm_bad(bm, "a number is too large", err);
		v = v * 10 + (c - '0');
	}
	*out = v;
	return 0;
}

static int
algorithm(struct dr_bm *bm, struct dr_err *err)
{
	static const char *const names[] = { "NONE", "CRC32C", "SHA224",
		"SHA256", "SHA384", "SHA512" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(bm->str.data, names[i]) == 0) {
			bm->file.algo = (enum dr_bm_algo)i;
			return 0;
		}
	return dr_bm_bad(bm, "an unknown checksum algorithm", err);
}

bool
dr_bm_unhex(const char *hex, size_t n, void *out)
{
	unsigned char *o = out;

	for (size_t i = 0; i < 2 * n; i++) {
		int v;

		if (hex[i] >= '0' && hex[i] <= '9')
			v = hex[i] - '0';
		else if (hex[i] >= 'a' && hex[i] <= 'f')
			v = hex[i] - 'a' + 10;
		else if (hex[i] >= 'A' && hex[i] <= 'F')
			v = hex[i] - 'A' + 10;
		else
			return false;
		o[i / 2] = (unsigned char)(i % 2 == 0 ? v << 4 : o[i / 2] | v);
	}
	return true;
}

static int
set_path(struct dr_bm *bm, bool encoded, struct dr_err *err)
{
	bm->path.len = 0;
	if (!encoded) {
		if (dr_buf_add(&bm->path, bm->str.data, bm->str.len, err) == -1)
			return -1;
	} else {
		if (bm->str.len % 2 != 0 ||
		    dr_buf_room(&bm->path, bm->str.len / 2 + 1, err) == -1 ||
		    !dr_bm_unhex(bm->str.data, bm->str.len / 2, bm->path.data))
			return dr_bm_bad(bm, "an encoded path is not hex", err);
		bm->path.len = bm->str.len / 2;
		bm->path.data[bm->path.len] = '\0';
	}
	if (bm->path.len == 0 ||
	    memchr(bm->path.data, '\0', bm->path.len) != NULL)
		return dr_bm_bad(bm, "a path is empty or holds a NUL", err);
	return 0;
}

/* A string or number has been read whole: the value of bm->field. */
int
dr_bm_value(struct dr_bm *bm, char kind, struct dr_err *err)
{
	uint64_t n = 0;

	if (fields[bm->field].kind != kind)
		return dr_bm_bad(bm, "a value of the wrong kind", err);
	if (kind == 'n' && number(bm, &n, err) == -1)
		return -1;
	bm->want = COMMA_OR_END;
	switch (bm->field) {
	case F_VERSION:
		if (n != 1 && n != 2)
			return dr_err_set(err, DR_EDATA,
			    "backup_manifest has version %llu, which is not "
			    "known",
			    (unsigned long long)n);
		bm->facts.version = (int)n;
		return 0;
	case F_SYSTEM_ID:
		bm->facts.system_id = n;
		return 0;
	case F_CHECKSUM:
		if (bm->str.len != 2 * DR_SHA256_LEN)
			return dr_bm_bad(bm, "the manifest's checksum", err);
		memcpy(bm->said, bm->str.data, sizeof(bm->said));
		return 0;
	case F_PATH:
		return set_path(bm, false, err);
	case F_ENCODED:
		return set_path(bm, true, err);
	case F_SIZE:
		bm->file.size = n;
		return 0;
	case F_ALGO:
		return algorithm(bm, err);
	case F_SUM:
		if (bm->str.len >= sizeof(bm->sum_hex))
			return dr_bm_bad(bm, "a checksum is too long", err);
		memcpy(bm->sum_hex, bm->str.data, bm->str.len + 1);
		return 0;
	case F_FILES:
	case F_WALS:
	case F_MODIFIED:
	case F_TIMELINE:
	case F_START:
	case F_END:
	case F_NONE:
		break;
	}
	return 0;
}

static size_t
sum_size(enum dr_bm_algo algo)
{
	switch (algo) {
	case DR_BM_CRC32C:
		return 4;
	case DR_BM_SHA224:
		return 28;
	case DR_BM_SHA256:
		return 32;
	case DR_BM_SHA384:
		return 48;
	case DR_BM_SHA512:
		return 64;
	case DR_BM_NONE:
		break;
	}
	return 0;
}

int
dr_bm_entry(struct dr_bm *bm, struct dr_err *err)
{
	struct dr_bm_file *f = &bm->file;

	if ((bm->seen & (1U << F_PATH | 1U << F_ENCODED)) == 0 ||
	    (bm->seen & 1U << F_SIZE) == 0)
		return dr_bm_bad(bm, "an entry lacks its path or size", err);
	f->sum_len = sum_size(f->algo);
	if (strlen(bm->sum_hex) != 2 * f->sum_len ||
	    !dr_bm_unhex(bm->sum_hex, f->sum_len, f->sum))
		return dr_bm_bad(bm, "a checksum does not fit its algorithm",
		    err);
	f->path = bm->path.data;
	f->end = bm->at + 1;
	bm->facts.files++;
	return bm->fn(bm->arg, f, err);
}

int
dr_bm_key(struct dr_bm *bm, struct dr_err *err)
{
	unsigned *seen = bm->where == TOP ? &bm->seen_top : &bm->seen;
	unsigned both = 1U << F_PATH | 1U << F_ENCODED;
	unsigned bit;

	for (bm->field = 0; bm->field != F_NONE; bm->field++)
		if (fields[bm->field].where == bm->where &&
		    strcmp(bm->str.data, fields[bm->field].name) == 0)
			break;
	if (bm->field == F_NONE)
		return dr_bm_bad(bm, "an unknown field", err);
	bit = 1U << bm->field;
	if ((*seen & bit) != 0 || (bm->where == FILE_ENTRY &&
	                              (bit & both) != 0 && (*seen & both) != 0))
		return dr_bm_bad(bm, "a field stands twice", err);
	*seen |= bit;
	bm->want = COLON;
	return 0;
}
