/* pax.c - see pax.h.  Formats: POSIX.1-2017, pax, "ustar" and "pax Header". */
#include "archive/pax.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK   512U
#define PAX_MAX (1U << 20) /* what readers accept of one extended header */

struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12];
	char chksum[8], type, link[100], magic[6], version[2];
	char uname[32], gname[32], devmajor[8], devminor[8], prefix[155];
	char pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a ustar header is a block");

int
dr_pax_record(struct dr_buf *out, const char *key, const void *value,
    size_t len, struct dr_err *e)
{
	size_t rest = strlen(key) + len + 3; /* " ", "=" and "\n" */
	size_t digits = 1, total, n;

	/* The length counts its own digits. */
	do {
		total = rest + digits;
		for (n = 0; total > 0; total /= 10)
			n++;
		if (n == digits)
			break;
		digits = n;
	} while (1);
	if (dr_buf_fmt(out, e, "%zu %s=", rest + digits, key) == -1 ||
	    dr_buf_add(out, value, len, e) == -1)
		return -1;
	return dr_buf_add(out, "\n", 1, e);
}

static int
record_str(struct dr_buf *out, const char *key, const char *value,
    struct dr_err *e)
{
	return dr_pax_record(out, key, value, strlen(value), e);
}

static int
record_uint(struct dr_buf *out, const char *key, uint64_t value,
    struct dr_err *e)
{
	char s[24];

	(void)snprintf(s, sizeof(s), "%" PRIu64, value);
	return record_str(out, key, s, e);
}

static int
record_time(struct dr_buf *out, const char *key, int64_t sec, uint32_t nsec,
    struct dr_err *e)
{
	const char *sign = "";
	uint64_t whole = (uint64_t)sec;
	char s[48];
	int n;

	if (sec < 0) {
		/* Nanoseconds count up from SEC, decimals away from 0. */
		sign = "-";
		whole = 0 - (uint64_t)sec;
		if (nsec > 0) {
			whole--;
			nsec = 1000000000U - nsec;
		}
	}
	n = snprintf(s, sizeof(s), "%s%" PRIu64 ".%09" PRIu32, sign, whole,
	    nsec);
	while (n > 0 && s[n - 1] == '0')
		s[--n] = '\0';
	if (n > 0 && s[n - 1] == '.')
		s[--n] = '\0';
	return record_str(out, key, s, e);
}

/* WIDTH - 1 octal digits; false, and zeros, when V needs more. */
static bool
octal(char *field, size_t width, uint64_t v)
{
	size_t i = width - 1;
	bool fits = v >> (3 * (width - 1)) == 0;

	if (!fits)
		v = 0;
	field[i] = '\0';
	while (i-- > 0) {
		field[i] = (char)('0' + (int)(v & 7));
		v >>= 3;
	}
	return fits;
}

/* As much of S as fits, without a NUL where it fills the field. */
static bool
text(char *field, size_t width, const char *s)
{
	size_t n = strlen(s);
	bool fits = n <= width;

	memcpy(field, s, fits ? n : width);
	return fits;
}

static int
block(struct dr_buf *out, struct ustar *h, struct dr_err *e)
{
	const unsigned char *p = (const unsigned char *)h;
	unsigned sum = 0;
	size_t i;

	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memset(h->chksum, ' ', sizeof(h->chksum));
	for (i = 0; i < sizeof(*h); i++)
		sum += p[i];
	/* Six digits, a NUL and a space, as it has always been written. */
	(void)octal(h->chksum, 7, sum);
	return dr_buf_add(out, h, sizeof(*h), e);
}

static int
extended(struct dr_buf *out, const struct dr_buf *records, const char *path,
    struct dr_err *e)
{
	static const char zeros[BLOCK];
	struct ustar h = { .type = 'x' };
	const char *base = path, *p;
	size_t pad;

	for (p = path; *p != '\0'; p++)
		if (*p == '/' && p[1] != '\0')
			base = p + 1;
	(void)snprintf(h.name, sizeof(h.name), "PaxHeaders/%.80s", base);
	(void)octal(h.mode, sizeof(h.mode), 0644);
	(void)octal(h.uid, sizeof(h.uid), 0);
	(void)octal(h.gid, sizeof(h.gid), 0);
	(void)octal(h.size, sizeof(h.size), records->len);
	(void)octal(h.mtime, sizeof(h.mtime), 0);
	(void)octal(h.devmajor, sizeof(h.devmajor), 0);
	(void)octal(h.devminor, sizeof(h.devminor), 0);
	if (block(out, &h, e) == -1 ||
	    dr_buf_add(out, records->data, records->len, e) == -1)
		return -1;
	pad = (BLOCK - records->len % BLOCK) % BLOCK;
	return dr_buf_add(out, zeros, pad, e);
}

int
dr_pax_header(struct dr_buf *out, const struct dr_pax *m, struct dr_err *e)
{
	struct dr_buf x = { .max = PAX_MAX };
	struct ustar h = { .type = m->type };
	int result = -1;

	if (!text(h.name, sizeof(h.name), m->path) &&
	    record_str(&x, "path", m->path, e) == -1)
		goto out;
	if (m->link != NULL && !text(h.link, sizeof(h.link), m->link) &&
	    record_str(&x, "linkpath", m->link, e) == -1)
		goto out;
	if (!octal(h.size, sizeof(h.size), m->size) &&
	    record_uint(&x, "size", m->size, e) == -1)
		goto out;
	if (!octal(h.uid, sizeof(h.uid), m->uid) &&
	    record_uint(&x, "uid", m->uid, e) == -1)
		goto out;
	if (!octal(h.gid, sizeof(h.gid), m->gid) &&
	    record_uint(&x, "gid", m->gid, e) == -1)
		goto out;
	/* One byte less: uname and gname always end in NUL. */
	if (m->uname != NULL && !text(h.uname, sizeof(h.uname) - 1, m->uname) &&
	    record_str(&x, "uname", m->uname, e) == -1)
		goto out;
	if (m->gname != NULL && !text(h.gname, sizeof(h.gname) - 1, m->gname) &&
	    record_str(&x, "gname", m->gname, e) == -1)
		goto out;
	if ((!octal(h.mtime, sizeof(h.mtime),
	         m->mtime < 0 ? UINT64_MAX : (uint64_t)m->mtime) ||
	        m->mtime_nsec != 0) &&
	    record_time(&x, "mtime", m->mtime, m->mtime_nsec, e) == -1)
		goto out;
	if (m->sparse &&
	    (record_str(&x, "GNU.sparse.major", "1", e) == -1 ||
	        record_str(&x, "GNU.sparse.minor", "0", e) == -1 ||
	        record_str(&x, "GNU.sparse.name", m->path, e) == -1 ||
	        record_uint(&x, "GNU.sparse.realsize", m->real_size, e) == -1))
		goto out;
	if (m->more != NULL && m->more->len > 0 &&
	    dr_buf_add(&x, m->more->data, m->more->len, e) == -1)
		goto out;
	(void)octal(h.mode, sizeof(h.mode), m->mode & 07777);
	(void)octal(h.devmajor, sizeof(h.devmajor), m->dev_major);
	(void)octal(h.devminor, sizeof(h.devminor), m->dev_minor);
	if (x.len > 0 && extended(out, &x, m->path, e) == -1)
		goto out;
	result = block(out, &h, e);
out:
	dr_buf_free(&x);
	return result;
}

int
dr_pax_own(struct dr_buf *out, const char *path, uint64_t size,
    struct dr_err *e)
{
	struct dr_pax m = { .type = '0',
		.path = path,
		.size = size,
		.mode = 0600,
		.uid = geteuid(),
		.gid = getegid(),
		.mtime = time(NULL) };

	return dr_pax_header(out, &m, e);
}
