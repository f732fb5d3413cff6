#include "archive/tarwalk.h"

#include <stdio.h>
#include <string.h>

#include "archive/tarhead.h"

#define OCTAL_7  UINT64_C(07777777)
#define OCTAL_11 UINT64_C(077777777777)

size_t
dr_tar_pad(uint64_t size)
{
	return (size_t)(-size % DR_TAR_BLOCK);
}

bool
dr_path_safe(const char *path)
{
	const char *p = path;
	size_t n;

	if (*p == '\0' || *p == '/')
		return false;
	for (;;) {
		n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return false;
		if (p[n] == '\0')
			return true;
		p += n + 1;
	}
}

/* DIGITS octal digits and a NUL; V was found to fit. */
static void
put_octal(unsigned char *at, int digits, uint64_t v)
{
	at[digits] = '\0';
	for (int i = digits - 1; i >= 0; i--, v >>= 3)
		at[i] = (unsigned char)('0' + (v & 7));
}

/*
 * Where PATH can be cut in two, prefix and name, without the slash between
 * them; 0 when it fits the name alone, SIZE_MAX when it cannot be cut.
 */
static size_t
cut_path(const char *path, size_t len)
{
	if (len <= 100)
		return 0;
	if (len > 256)
		return SIZE_MAX;
	for (size_t i = len - 101; i <= 155 && i < len - 1; i++)
		if (i > 0 && path[i] == '/')
			return i;
	return SIZE_MAX;
}

static void
put_block(unsigned char b[DR_TAR_BLOCK], const struct dr_member *m,
    uint64_t size, const char *path, size_t len, size_t cut)
{
	size_t from = cut > 0 ? cut + 1 : 0, n = len - from;

	memset(b, 0, DR_TAR_BLOCK);
	memcpy(b, path + from, n < 100 ? n : 100);
	memcpy(b + 345, path, cut);
	put_octal(b + 100, 7, m->mode & 07777777);
	put_octal(b + 108, 7, m->uid <= OCTAL_7 ? m->uid : 0);
	put_octal(b + 116, 7, m->gid <= OCTAL_7 ? m->gid : 0);
	put_octal(b + 124, 11, size <= OCTAL_11 ? size : 0);
	put_octal(b + 136, 11,
	    m->mtime >= 0 && (uint64_t)m->mtime <= OCTAL_11 ? (uint64_t)m->mtime
	                                                    : 0);
	b[156] = (unsigned char)m->type;
	n = strnlen(m->link, 100);
	memcpy(b + 157, m->link, n);
	memcpy(b + 257, "ustar\00000", 8);
	put_octal(b + 329, 7, 0);
	put_octal(b + 337, 7, 0);
	put_octal(b + 148, 6, dr_tar_sum(b));
	b[155] = ' ';
}

/* One "LENGTH KEY=VALUE\n"; LENGTH counts its own digits. */
static int
put_record(struct dr_buf *pax, const char *key, const char *value,
    struct dr_err *err)
{
	size_t rest = strlen(key) + strlen(value) + 3, n = rest, digits = 0;

	for (size_t d; (d = (size_t)snprintf(NULL, 0, "%zu", n)) != digits;) {
		digits = d;
		n = rest + d;
	}
	return dr_buf_fmt(pax, err, "%zu %s=%s\n", n, key, value);
}

static int
put_number(struct dr_buf *pax, const char *key, uint64_t v, struct dr_err *err)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	return put_record(pax, key, text, err);
}

/* The records that M needs beyond its header block. */
static int
put_pax(struct dr_buf *pax, const struct dr_member *m, size_t cut,
    struct dr_err *err)
{
	char text[24];

	if (cut == SIZE_MAX && put_record(pax, "path", m->path, err) == -1)
		return -1;
	if (strlen(m->link) > 100 &&
	    put_record(pax, "linkpath", m->link, err) == -1)
		return -1;
	if (m->size > OCTAL_11 && put_number(pax, "size", m->size, err) == -1)
		return -1;
	if (m->uid > OCTAL_7 && put_number(pax, "uid", m->uid, err) == -1)
		return -1;
	if (m->gid > OCTAL_7 && put_number(pax, "gid", m->gid, err) == -1)
		return -1;
	if (m->mtime < 0 || (uint64_t)m->mtime > OCTAL_11) {
		snprintf(text, sizeof(text), "%lld", (long long)m->mtime);
		return put_record(pax, "mtime", text, err);
	}
	return 0;
}

int
dr_tar_header(struct dr_buf *out, const struct dr_member *m, struct dr_err *err)
{
	static const unsigned char zeros[DR_TAR_BLOCK];
	struct dr_member ext = { .type = 'x', .link = "", .mode = 0644 };
	struct dr_buf pax = { .max = 1U << 20 };
	unsigned char block[DR_TAR_BLOCK];
	size_t len = strlen(m->path), cut = cut_path(m->path, len);
	int rc = -1;

	if (len == 0 || len > 65536 || strlen(m->link) > 65536)
		return dr_err_set(err, DR_EFAIL,
		    "cannot put \"%.200s\" into a tar: bad length of path",
		    m->path);
	if (put_pax(&pax, m, cut, err) == -1)
		goto out;
	if (pax.len > 0) {
		put_block(block, &ext, pax.len, "PaxHeaders/0", 12, 0);
		if (dr_buf_add(out, block, sizeof(block), err) == -1 ||
		    dr_buf_add(out, pax.data, pax.len, err) == -1 ||
		    dr_buf_add(out, zeros, dr_tar_pad(pax.len), err) == -1)
			goto out;
	}
	put_block(block, m, m->size, m->path, len, cut == SIZE_MAX ? 0 : cut);
	rc = dr_buf_add(out, block, sizeof(block), err);

out:
	dr_buf_free(&pax);
	return rc;
}
