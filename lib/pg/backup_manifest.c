#include <stdlib.h>
#include <string.h>

#include "pg/backup_manifest_int.h"

/* Longest string (a path in hex) and longest line that are accepted. */
#define STRING_MAX 65536U
#define LINE_MAX_  (1U << 20)

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
string_end(struct dr_bm *bm, struct dr_err *err)
{
	bm->lex = BETWEEN;
	if (bm->high != 0)
		return dr_bm_bad(bm, "half a surrogate pair", err);
	if (memchr(bm->str.data, '\0', bm->str.len) != NULL)
		return dr_bm_bad(bm, "a string holds a NUL", err);
	if (bm->want == KEY || bm->want == KEY_OR_END)
		return dr_bm_key(bm, err);
	return dr_bm_value(bm, 's', err);
}

static int
open_(struct dr_bm *bm, char c, struct dr_err *err)
{
	if (c == '[') {
		if (bm->want != VALUE || dr_bm_kind(bm) != 'a')
			return dr_bm_bad(bm, "an array where none belongs",
			    err);
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
		return dr_bm_bad(bm, "an object where none belongs", err);
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
		return dr_bm_bad(bm, "a bracket where none belongs", err);
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
		return dr_bm_entry(bm, err);
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
	return dr_bm_bad(bm, "not the JSON that belongs there", err);
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
			return dr_bm_bad(bm, "half a surrogate pair", err);
		u = 0x10000 + ((bm->high - 0xd800) << 10) + (u - 0xdc00);
		bm->high = 0;
	} else if (u >= 0xd800 && u <= 0xdbff) {
		bm->high = u;
		return 0;
	} else if (u >= 0xdc00 && u <= 0xdfff) {
		return dr_bm_bad(bm, "half a surrogate pair", err);
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
		return dr_bm_bad(bm, "an unknown escape", err);
	if (bm->high != 0)
		return dr_bm_bad(bm, "half a surrogate pair", err);
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
		return dr_bm_bad(bm, "an unknown escape", err);
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
			return dr_bm_bad(bm, "half a surrogate pair", err);
		if (bm->str.len + n > STRING_MAX)
			return dr_bm_bad(bm, "a string is too long", err);
		return dr_buf_add(&bm->str, p, n, err);
	}
	*used = 1;
	if (*p == '"')
		return string_end(bm, err);
	if (*p != '\\')
		return dr_bm_bad(bm, "a control character in a string", err);
	bm->lex = ESCAPE;
	return 0;
}

static int
in_number(struct dr_bm *bm, char c, size_t *used, struct dr_err *err)
{
	if (c >= '0' && c <= '9') {
		if (bm->str.len >= 20)
			return dr_bm_bad(bm, "a number is too large", err);
		return dr_buf_add(&bm->str, &c, 1, err);
	}
	*used = 0;
	bm->lex = BETWEEN;
	return dr_bm_value(bm, 'n', err);
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
		return dr_bm_bad(bm, "a line is too long", err);
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
		return dr_bm_bad(bm, "it ends too early", err);
	if ((bm->seen_top & need) != need)
		return dr_bm_bad(bm, "a field is missing", err);
	if (bm->line.len == 0 || bm->line.data[bm->line.len - 1] != '\n' ||
	    bm->body_end > bm->hashed || bm->sum_key_at < bm->hashed)
		return dr_bm_bad(bm, "the checksum is not in the last line",
		    err);
	if (dr_sha256_end(bm->sha, sum, err) == -1)
		return -1;
	if (!dr_bm_unhex(bm->said, sizeof(said), said) ||
	    memcmp(sum, said, sizeof(sum)) != 0)
		return dr_err_set(err, DR_EDATA,
		    "backup_manifest does not match its own checksum");
	*facts = bm->facts;
	return 0;
}
