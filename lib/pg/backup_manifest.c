#include "pg/backup_manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/num.h"

/* Longest string (a path in hex) and longest line that are accepted. */
#define STRING_MAX 65536U
#define LINE_MAX_  (1U << 20)

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

static int
bad(const struct dr_bm *bm, const char *why, struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA,
	    "backup_manifest is damaged at byte %llu: %s",
	    (unsigned long long)bm->at, why);
}

struct dr_bm *
dr_bm_new(dr_bm_fn *fn, void *arg, struct dr_err *err)
{
	struct dr_bm *bm;

	if ((bm = calloc(1, sizeof(*bm))) == NULL) {
		dr_err_sys(err, "cannot allocate a manifest reader");
		return NULL;
	}
	bm->fn = fn;
	bm->arg = arg;
	bm->field = F_NONE;
	bm->str.max = STRING_MAX;
	bm->path.max = STRING_MAX;
	bm->line.max = LINE_MAX_;
	if ((bm->sha = dr_sha256_new(err)) == NULL) {
		free(bm);
		return NULL;
	}
	return bm;
}

void
dr_bm_free(struct dr_bm *bm)
{
	if (bm == NULL)
		return;
	dr_sha256_free(bm->sha);
	dr_buf_free(&bm->str);
	dr_buf_free(&bm->path);
	dr_buf_free(&bm->line);
	free(bm);
}

static int
number(struct dr_bm *bm, uint64_t *out, struct dr_err *err)
{
	uint64_t v = 0;

	for (size_t i = 0; i < bm->str.len; i++) {
		unsigned char c = (unsigned char)bm->str.data[i];

		if (c < '0' || c > '9' ||
		    (i == 0 && c == '0' && bm->str.len > 1))
			return bad(bm, "not a whole number", err);
		if (v > (UINT64_MAX - (c - '0')) / 10)
			return bad(bm, "a number is too large", err);
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
	return bad(bm, "an unknown checksum algorithm", err);
}

static bool
unhex_any(const char *hex, size_t n, void *out)
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
		    !unhex_any(bm->str.data, bm->str.len / 2, bm->path.data))
			return bad(bm, "an encoded path is not hex", err);
		bm->path.len = bm->str.len / 2;
		bm->path.data[bm->path.len] = '\0';
	}
	if (bm->path.len == 0 ||
	    memchr(bm->path.data, '\0', bm->path.len) != NULL)
		return bad(bm, "a path is empty or holds a NUL", err);
	return 0;
}

/* A string or number has been read whole: the value of bm->field. */
static int
value(struct dr_bm *bm, char kind, struct dr_err *err)
{
	uint64_t n = 0;

	if (fields[bm->field].kind != kind)
		return bad(bm, "a value of the wrong kind", err);
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
			return bad(bm, "the manifest's checksum", err);
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
			return bad(bm, "a checksum is too long", err);
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

static int
entry_end(struct dr_bm *bm, struct dr_err *err)
{
	struct dr_bm_file *f = &bm->file;

	if ((bm->seen & (1U << F_PATH | 1U << F_ENCODED)) == 0 ||
	    (bm->seen & 1U << F_SIZE) == 0)
		return bad(bm, "an entry lacks its path or size", err);
	f->sum_len = sum_size(f->algo);
	if (strlen(bm->sum_hex) != 2 * f->sum_len ||
	    !unhex_any(bm->sum_hex, f->sum_len, f->sum))
		return bad(bm, "a checksum does not fit its algorithm", err);
	f->path = bm->path.data;
	f->end = bm->at + 1;
	bm->facts.files++;
	return bm->fn(bm->arg, f, err);
}

static int
key(struct dr_bm *bm, struct dr_err *err)
{
	unsigned *seen = bm->where == TOP ? &bm->seen_top : &bm->seen;
	unsigned both = 1U << F_PATH | 1U << F_ENCODED;
	unsigned bit;

	for (bm->field = 0; bm->field != F_NONE; bm->field++)
		if (fields[bm->field].where == bm->where &&
		    strcmp(bm->str.data, fields[bm->field].name) == 0)
			break;
	if (bm->field == F_NONE)
		return bad(bm, "an unknown field", err);
	bit = 1U << bm->field;
	if ((*seen & bit) != 0 || (bm->where == FILE_ENTRY &&
	                              (bit & both) != 0 && (*seen & both) != 0))
		return bad(bm, "a field stands twice", err);
	*seen |= bit;
	bm->want = COLON;
	return 0;
}

static int
string_end(struct dr_bm *bm, struct dr_err *err)
{
	bm->lex = BETWEEN;
	if (bm->high != 0)
		return bad(bm, "half a surrogate pair", err);
	if (memchr(bm->str.data, '\0', bm->str.len) != NULL)
		return bad(bm, "a string holds a NUL", err);
	if (bm->want == KEY || bm->want == KEY_OR_END)
		return key(bm, err);
	return value(bm, 's', err);
}

static int
open_(struct dr_bm *bm, char c, struct dr_err *err)
{
	if (c == '[') {
		if (bm->want != VALUE || fields[bm->field].kind != 'a')
			return bad(bm, "an array where none belongs", err);
		bm->where = bm->field == F_FILES ? FILES : WALS;
		bm->want = ELEM_OR_END;
		return 0;
	}
	if (bm->want == START) {
		bm->where = TOP;
	} else if (bm->want == ELEM || bm->want == ELEM_OR_END) {
		bm->where = bm->where == FILES ? FILE_ENTRY : WAL_ENTRY;
		bm->seen = 0;
		memset(&bm->file, 0, sizeof(bm->file));
		bm->sum_hex[0] = '\0';
		bm->file.at = bm->at;
	} else {
		return bad(bm, "an object where none belongs", err);
	}
	bm->want = KEY_OR_END;
	return 0;
}

static int
close_(struct dr_bm *bm, char c, struct dr_err *err)
{
	bool array = bm->where == FILES || bm->where == WALS;

	if (array != (c == ']') ||
	    (bm->want != COMMA_OR_END &&
	        bm->want != (array ? ELEM_OR_END : KEY_OR_END)))
		return bad(bm, "a bracket where none belongs", err);
	bm->want = COMMA_OR_END;
	if (bm->where == TOP) {
		bm->want = NOTHING;
		return 0;
	}
	bm->body_end = bm->at + 1;
	if (array) {
		bm->where = TOP;
	} else if (bm->where == WAL_ENTRY) {
		bm->where = WALS;
	} else {
		bm->where = FILES;
		return entry_end(bm, err);
	}
	return 0;
}

static int
between(struct dr_bm *bm, char c, struct dr_err *err)
{
	switch (c) {
	case ' ':
	case '\t':
	case '\n':
	case '\r':
		return 0;
	case '{':
	case '[':
		return open_(bm, c, err);
	case '}':
	case ']':
		return close_(bm, c, err);
	case ',':
		if (bm->want != COMMA_OR_END)
			break;
		bm->want = bm->where == FILES || bm->where == WALS ? ELEM : KEY;
		return 0;
	case ':':
		if (bm->want != COLON)
			break;
		bm->want = VALUE;
		return 0;
	case '"':
		if (bm->want != KEY && bm->want != KEY_OR_END &&
		    bm->want != VALUE)
			break;
		if (bm->want != VALUE && bm->where == TOP)
			bm->sum_key_at = bm->at;
		bm->lex = STRING;
		bm->high = 0;
		bm->str.len = 0;
		/* So that data is never NULL. */
		return dr_buf_add(&bm->str, "", 0, err);
	default:
		if (bm->want != VALUE || c < '0' || c > '9')
			break;
		bm->lex = NUMBER;
		bm->str.len = 0;
		return dr_buf_add(&bm->str, &c, 1, err);
	}
	return bad(bm, "not the JSON that belongs there", err);
}

/* The code of a \uXXXX, as UTF-8. */
static int
unicode(struct dr_bm *bm, struct dr_err *err)
{
	uint32_t u = bm->code;
	char out[4];
	size_t n;

	if (bm->high != 0) {
		if (u < 0xdc00 || u > 0xdfff)
			return bad(bm, "half a surrogate pair", err);
		u = 0x10000 + ((bm->high - 0xd800) << 10) + (u - 0xdc00);
		bm->high = 0;
	} else if (u >= 0xd800 && u <= 0xdbff) {
		bm->high = u;
		return 0;
	} else if (u >= 0xdc00 && u <= 0xdfff) {
		return bad(bm, "half a surrogate pair", err);
	}
	if (u < 0x80) {
		out[0] = (char)u;
		n = 1;
	} else if (u < 0x800) {
		out[0] = (char)(0xc0 | u >> 6);
		out[1] = (char)(0x80 | (u & 0x3f));
		n = 2;
	} else if (u < 0x10000) {
		out[0] = (char)(0xe0 | u >> 12);
		out[1] = (char)(0x80 | (u >> 6 & 0x3f));
		out[2] = (char)(0x80 | (u & 0x3f));
		n = 3;
	} else {
		out[0] = (char)(0xf0 | u >> 18);
		out[1] = (char)(0x80 | (u >> 12 & 0x3f));
		out[2] = (char)(0x80 | (u >> 6 & 0x3f));
		out[3] = (char)(0x80 | (u & 0x3f));
		n = 4;
	}
	return dr_buf_add(&bm->str, out, n, err);
}

static int
escape(struct dr_bm *bm, char c, struct dr_err *err)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *p;

	bm->lex = STRING;
	if (c == 'u') {
		bm->lex = UNICODE;
		bm->hex = 4;
		bm->code = 0;
		return 0;
	}
	if (c == '\0' || (p = strchr(from, c)) == NULL)
		return bad(bm, "an unknown escape", err);
	if (bm->high != 0)
		return bad(bm, "half a surrogate pair", err);
	return dr_buf_add(&bm->str, &to[p - from], 1, err);
}

static int
hexdigit(struct dr_bm *bm, char c, struct dr_err *err)
{
	uint32_t v;

	if (c >= '0' && c <= '9')
		v = (uint32_t)(c - '0');
	else if (c >= 'a' && c <= 'f')
		v = (uint32_t)(c - 'a' + 10);
	else if (c >= 'A' && c <= 'F')
		v = (uint32_t)(c - 'A' + 10);
	else
		return bad(bm, "an unknown escape", err);
	bm->code = bm->code << 4 | v;
	if (--bm->hex > 0)
		return 0;
	bm->lex = STRING;
	return unicode(bm, err);
}

/* Plain bytes of a string, as many as there are; 0 at a quote or escape. */
static size_t
plain(const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] == '"' || p[i] == '\\' || (unsigned char)p[i] < 0x20)
			break;
	return i;
}

static int
in_string(struct dr_bm *bm, const char *p, size_t len, size_t *used,
    struct dr_err *err)
{
	size_t n = plain(p, len);

	if (n > 0) {
		*used = n;
		if (bm->high != 0)
			return bad(bm, "half a surrogate pair", err);
		if (bm->str.len + n > STRING_MAX)
			return bad(bm, "a string is too long", err);
		return dr_buf_add(&bm->str, p, n, err);
	}
	*used = 1;
	if (*p == '"')
		return string_end(bm, err);
	if (*p != '\\')
		return bad(bm, "a control character in a string", err);
	bm->lex = ESCAPE;
	return 0;
}

static int
in_number(struct dr_bm *bm, char c, size_t *used, struct dr_err *err)
{
	if (c >= '0' && c <= '9') {
		if (bm->str.len >= 20)
			return bad(bm, "a number is too large", err);
		return dr_buf_add(&bm->str, &c, 1, err);
	}
	*used = 0;
	bm->lex = BETWEEN;
	return value(bm, 'n', err);
}

/*
 * Everything before the last newline that is not the last byte can be
 * hashed: what follows is, so far, the last line.
 */
static int
hash(struct dr_bm *bm, const char *p, size_t len, struct dr_err *err)
{
	const char *nl;
	size_t n;

	if (len == 0)
		return 0;
	if (bm->line.len > 0 && bm->line.data[bm->line.len - 1] == '\n') {
		/* It was not the last line after all. */
		if (dr_sha256_add(bm->sha, bm->line.data, bm->line.len, err) ==
		    -1)
			return -1;
		bm->hashed += bm->line.len;
		bm->line.len = 0;
	}
	if ((nl = memrchr(p, '\n', len - 1)) != NULL) {
		n = (size_t)(nl - p) + 1;
		if (dr_sha256_add(bm->sha, bm->line.data, bm->line.len, err) ==
		        -1 ||
		    dr_sha256_add(bm->sha, p, n, err) == -1)
			return -1;
		bm->hashed += bm->line.len + n;
		bm->line.len = 0;
		p += n;
		len -= n;
	}
	if (bm->line.len + len > bm->line.max)
		return bad(bm, "a line is too long", err);
	return dr_buf_add(&bm->line, p, len, err);
}

int
dr_bm_add(struct dr_bm *bm, const void *buf, size_t len, struct dr_err *err)
{
	const char *p = buf;
	int rc = 0;

	while (len > 0) {
		size_t piece = len < 65536 ? len : 65536;

		if (hash(bm, p, piece, err) == -1)
			return -1;
		for (size_t i = 0, used; i < piece; i += used) {
			used = 1;
			switch (bm->lex) {
			case BETWEEN:
				rc = between(bm, p[i], err);
				break;
			case STRING:
				rc =
				    in_string(bm, p + i, piece - i, &used, err);
				break;
			case ESCAPE:
				rc = escape(bm, p[i], err);
				break;
			case UNICODE:
				rc = hexdigit(bm, p[i], err);
				break;
			case NUMBER:
				rc = in_number(bm, p[i], &used, err);
				break;
			}
			if (rc == -1)
				return -1;
			bm->at += used;
		}
		p += piece;
		len -= piece;
	}
	return 0;
}

int
dr_bm_end(struct dr_bm *bm, struct dr_bm_facts *facts, struct dr_err *err)
{
	unsigned need = 1U << F_VERSION | 1U << F_FILES | 1U << F_CHECKSUM;
	unsigned char sum[DR_SHA256_LEN], said[DR_SHA256_LEN];

	if (bm->want != NOTHING || bm->lex != BETWEEN)
		return bad(bm, "it ends too early", err);
	if ((bm->seen_top & need) != need)
		return bad(bm, "a field is missing", err);
	if (bm->line.len == 0 || bm->line.data[bm->line.len - 1] != '\n' ||
	    bm->body_end > bm->hashed || bm->sum_key_at < bm->hashed)
		return bad(bm, "the checksum is not in the last line", err);
	if (dr_sha256_end(bm->sha, sum, err) == -1)
		return -1;
	if (!unhex_any(bm->said, sizeof(said), said) ||
	    memcmp(sum, said, sizeof(sum)) != 0)
		return dr_err_set(err, DR_EDATA,
		    "backup_manifest does not match its own checksum");
	*facts = bm->facts;
	return 0;
}
