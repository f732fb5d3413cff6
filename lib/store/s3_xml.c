#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "store/s3.h"
#include "store/xml.h"

#define TOKEN_MAX 8192

/* The lists, by their root; in each, the elements that are entries. */
static const struct {
	const char *place; /* "ROOT/ENTRY" */
	enum dr_s3_kind kind;
} entries[] = {
	{ "ListBucketResult/Contents", DR_S3_OBJECT },
	{ "ListBucketResult/CommonPrefixes", DR_S3_PREFIX },
	{ "ListBucketResult/Version", DR_S3_VERSION }, /* Google's */
	{ "ListVersionsResult/Version", DR_S3_VERSION },
	{ "ListVersionsResult/DeleteMarker", DR_S3_MARKER },
	{ "ListMultipartUploadsResult/Upload", DR_S3_UPLOAD },
};

struct page {
	struct dr_s3_entry e;
	struct dr_buf key, id;
	bool encoded, root, sized;
	int (*fn)(void *, const struct dr_s3_entry *, struct dr_err *);
	void *arg;
	struct dr_s3_next *next;
};

static int
hex(char c)
{
	const char *digits = "0123456789abcdef", *at;

	if (c >= 'A' && c <= 'F')
		c = (char)(c - 'A' + 'a');
	at = c == '\0' ? NULL : strchr(digits, c);
	return at == NULL ? -1 : (int)(at - digits);
}

/* "a%2Fb+c" is "a/b c", in place. */
static void
decode(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		int a, b;

		if (*s == '+')
			*to++ = ' ';
		else if (*s == '%' && (a = hex(s[1])) != -1 &&
		         (b = hex(s[2])) != -1 && (a | b) != 0) {
			*to++ = (char)(a << 4 | b);
			s += 2;
		} else
			*to++ = *s;
	}
	*to = '\0';
}

static int
set(struct dr_buf *b, const char *text, struct dr_err *err)
{
	b->len = 0;
	return dr_buf_str(b, text, err);
}

static int
bad(const char *what, struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA, "a list of the store has a bad %s",
	    what);
}

static int
field(struct page *p, const char *name, const char *text, struct dr_err *err)
{
	struct dr_err ignored = { 0 };
	int64_t n;

	if (strcmp(name, "Key") == 0 || strcmp(name, "Prefix") == 0)
		return set(&p->key, text, err);
	if (strcmp(name, "VersionId") == 0 || strcmp(name, "Generation") == 0 ||
	    strcmp(name, "UploadId") == 0)
		return set(&p->id, text, err);
	if (strcmp(name, "IsLatest") == 0)
		p->e.latest = strcmp(text, "true") == 0;
	if (strcmp(name, "LastModified") == 0 || strcmp(name, "Initiated") == 0)
		if (dr_parse_time(text, &p->e.time, &ignored) == -1)
			return bad("time", err);
	if (strcmp(name, "Size") == 0) {
		if (dr_parse_int(text, 0, INT64_MAX, &n, &ignored) == -1)
			return bad("size", err);
		p->e.size = (uint64_t)n;
		p->sized = true;
	}
	return 0;
}

/* An entry is complete. */
static int
emit(struct page *p, enum dr_s3_kind kind, struct dr_err *err)
{
	int rc;

	if (p->key.len == 0 && kind != DR_S3_PREFIX)
		return bad("key", err);
	if ((kind == DR_S3_OBJECT || kind == DR_S3_VERSION) && !p->sized)
		return bad("size", err);
	if (p->encoded && p->key.len > 0)
		decode(p->key.data);
	p->e.kind = kind;
	p->e.key = p->key.len > 0 ? p->key.data : "";
	p->e.id = p->id.len > 0 ? p->id.data : "";
	rc = p->fn(p->arg, &p->e, err);
	memset(&p->e, 0, sizeof(p->e));
	p->key.len = p->id.len = 0;
	p->sized = false;
	return rc;
}

static int
on_entry(void *arg, const char *place, const char *text, struct dr_err *err)
{
	struct page *p = arg;

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		size_t n = strlen(entries[i].place);

		if (strncmp(place, entries[i].place, n) != 0)
			continue;
		if (place[n] == '\0')
			return emit(p, entries[i].kind, err);
		if (place[n] == '/' && strchr(place + n + 1, '/') == NULL)
			return field(p, place + n + 1, text, err);
	}
	return 0;
}

/* What stands beside the entries, perhaps after them. */
static int
on_frame(void *arg, const char *place, const char *text, struct dr_err *err)
{
	struct page *p = arg;
	const char *slash = strchr(place, '/');
	size_t n = slash == NULL ? strlen(place) : (size_t)(slash - place);

	if ((n != 16 || strncmp(place, "ListBucketResult", n) != 0) &&
	    (n != 18 || strncmp(place, "ListVersionsResult", n) != 0) &&
	    (n != 26 || strncmp(place, "ListMultipartUploadsResult", n) != 0))
		return dr_err_set(err, DR_EDATA,
		    "a reply of the store is no list");
	p->root = true;
	if (slash == NULL)
		return 0;
	slash++;
	if (strcmp(slash, "EncodingType") == 0)
		p->encoded = strcmp(text, "url") == 0;
	else if (strcmp(slash, "IsTruncated") == 0)
		p->next->more = strcmp(text, "true") == 0;
	else if (strcmp(slash, "NextContinuationToken") == 0)
		return set(&p->next->token, text, err);
	else if (strcmp(slash, "NextKeyMarker") == 0 ||
	         strcmp(slash, "NextMarker") == 0)
		return set(&p->next->key, text, err);
	else if (strcmp(slash, "NextVersionIdMarker") == 0 ||
	         strcmp(slash, "NextGenerationMarker") == 0 ||
	         strcmp(slash, "NextUploadIdMarker") == 0)
		return set(&p->next->id, text, err);
	return 0;
}

int
dr_s3_page(const char *xml, size_t len,
    int (*fn)(void *, const struct dr_s3_entry *, struct dr_err *), void *arg,
    struct dr_s3_next *next, struct dr_err *err)
{
	struct page p = { .key = { .max = TOKEN_MAX },
		.id = { .max = TOKEN_MAX },
		.fn = fn,
		.arg = arg,
		.next = next };
	int rc = -1;

	next->more = false;
	next->token.max = next->key.max = next->id.max = TOKEN_MAX;
	next->token.len = next->key.len = next->id.len = 0;
	if (dr_xml(xml, len, "the store", on_frame, &p, err) == -1)
		goto out;
	if (p.encoded && next->key.len > 0)
		decode(next->key.data);
	rc = dr_xml(xml, len, "the store", on_entry, &p, err);

out:
	dr_buf_free(&p.key);
	dr_buf_free(&p.id);
	return rc;
}

void
dr_s3_next_wipe(struct dr_s3_next *next)
{
	dr_buf_free(&next->token);
	dr_buf_free(&next->key);
	dr_buf_free(&next->id);
}

struct element {
	const char *place;
	char *out;
	size_t len;
};

static int
on_element(void *arg, const char *place, const char *text, struct dr_err *err)
{
	struct element *e = arg;

	if (strcmp(place, e->place) != 0)
		return 0;
	if (strlen(text) >= e->len)
		return dr_err_set(err, DR_EDATA,
		    "a reply of the store has a \"%s\" that is too long",
		    place);
	memcpy(e->out, text, strlen(text) + 1);
	return 0;
}

int
dr_s3_element(const char *xml, size_t len, const char *place, char *out,
    size_t outlen, struct dr_err *err)
{
	struct element e = { place, out, outlen };

	out[0] = '\0';
	return dr_xml(xml, len, "the store", on_element, &e, err);
}
