#include "archive/tarhead.h"

#include <string.h>

/* Where the fields of a header block lie. */
enum {
	NAME = 0,
	MODE = 100,
	UID = 108,
	GID = 116,
	SIZE = 124,
	MTIME = 136,
	CHKSUM = 148,
	TYPE = 156,
	LINK = 157,
	MAGIC = 257,
	PREFIX = 345,
};

bool
dr_tar_zero(const void *buf, size_t n)
{
	const unsigned char *p = buf;

	/* The first byte is zero, and each is equal to the one before it. */
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

bool
dr_tar_decimal(const char *p, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	unsigned d;

	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		d = (unsigned)(p[i] - '0');
		if (v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

bool
dr_tar_seconds(const char *p, size_t n, int64_t *out)
{
	bool negative = n > 0 && p[0] == '-', part = false;
	const char *dot;
	uint64_t v;

	if (negative) {
		p++;
		n--;
	}
	if ((dot = memchr(p, '.', n)) != NULL) {
		for (const char *q = dot + 1; q < p + n; q++) {
			if (*q < '0' || *q > '9')
				return false;
			part = part || *q != '0';
		}
		n = (size_t)(dot - p);
	}
	if (!dr_tar_decimal(p, n, &v) || v > INT64_MAX - 1)
		return false;
	*out = negative ? -(int64_t)v - (part ? 1 : 0) : (int64_t)v;
	return true;
}

/* Octal digits, with blanks before and a blank or NUL after. */
static bool
octal(const unsigned char *p, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
		if (v >> 61 != 0)
			return false;
		v = v << 3 | (uint64_t)(p[i] - '0');
	}
	for (; i < n && p[i] != '\0'; i++)
		if (p[i] != ' ')
			return false;
	*out = v;
	return true;
}

/* A field of GNU tar's base-256, in two's complement, or octal. */
static bool
number(const unsigned char *p, size_t n, int64_t *out)
{
	bool negative = p[0] == 0xff;
	uint64_t v = negative ? UINT64_MAX : 0;
	unsigned top;

	if (p[0] != 0x80 && !negative) {
		if (!octal(p, n, &v) || v > INT64_MAX)
			return false;
		*out = (int64_t)v;
		return true;
	}
	for (size_t i = 1; i < n; i++) {
		/* What is pushed out must be nothing but the sign. */
		top = (unsigned)(v >> 55);
		if (top != (negative ? 0x1ffU : 0))
			return false;
		v = v << 8 | p[i];
	}
	*out = (int64_t)v;
	return true;
}

static bool
count(const unsigned char *p, size_t n, uint64_t *out)
{
	int64_t v;

	if (!number(p, n, &v) || v < 0)
		return false;
	*out = (uint64_t)v;
	return true;
}

unsigned
dr_tar_sum(const unsigned char b[DR_TAR_BLOCK])
{
	unsigned sum = 8 * ' ';

	for (size_t i = 0; i < DR_TAR_BLOCK; i++)
		if (i < CHKSUM || i >= CHKSUM + 8)
			sum += b[i];
	return sum;
}

/* Some old tars added up signed characters. */
static int
signed_sum(const unsigned char b[DR_TAR_BLOCK])
{
	int sum = 8 * ' ';

	for (size_t i = 0; i < DR_TAR_BLOCK; i++)
		if (i < CHKSUM || i >= CHKSUM + 8)
			sum += b[i] < 128 ? b[i] : b[i] - 256;
	return sum;
}

static size_t
text(char *out, const unsigned char *p, size_t max)
{
	size_t n = strnlen((const char *)p, max);

	memcpy(out, p, n);
	out[n] = '\0';
	return n;
}

const char *
dr_tar_fields(const unsigned char b[DR_TAR_BLOCK], struct dr_tar_fields *f)
{
	uint64_t sum, mode;
	size_t n = 0;

	if (!octal(b + CHKSUM, 8, &sum) ||
	    (sum != dr_tar_sum(b) &&
	        (sum > INT32_MAX || (int)sum != signed_sum(b))))
		return "a header's checksum does not match";
	if (!count(b + SIZE, 12, &f->size))
		return "a header has a bad size";
	if (!count(b + MODE, 8, &mode) || mode > UINT32_MAX)
		return "a header has a bad mode";
	if (!count(b + UID, 8, &f->uid) || !count(b + GID, 8, &f->gid))
		return "a header has a bad owner";
	if (!number(b + MTIME, 12, &f->mtime))
		return "a header has a bad time";
	f->mode = (unsigned)mode;
	f->type = (char)b[TYPE];
	if (f->type == '\0' || f->type == '7')
		f->type = '0';
	if (f->type < '!' || f->type > '~')
		return "a header has a bad type";
	/* GNU's own format ("ustar  ") has other things in the prefix. */
	if (memcmp(b + MAGIC, "ustar", 6) == 0 && b[PREFIX] != '\0') {
		n = text(f->path, b + PREFIX, 155);
		f->path[n++] = '/';
	}
	text(f->path + n, b + NAME, 100);
	text(f->link, b + LINK, 100);
	return NULL;
}
