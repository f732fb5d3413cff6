#include "crypt/armor.h"
#include "crypt/base64.h"

#include <sodium.h>
#include <string.h>

#define BEGIN   "-----BEGIN AGE ENCRYPTED FILE-----"
#define END     "-----END AGE ENCRYPTED FILE-----"
#define COLUMNS 64U
#define PIECE   48U /* bytes in them */
#define B64     sodium_base64_VARIANT_ORIGINAL

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool
dr_armor_is(const char *s, size_t len)
{
	while (len > 0 && blank(*s)) {
		s++;
		len--;
	}
	return len >= sizeof(BEGIN) - 1 &&
	       memcmp(s, BEGIN, sizeof(BEGIN) - 1) == 0;
}

static bool
line_is(const char *s, size_t n, const char *what)
{
	return n == strlen(what) && memcmp(s, what, n) == 0;
}

int
dr_armor_decode(const char *s, size_t len, struct dr_buf *out,
    struct dr_err *err)
{
	unsigned char piece[PIECE];
	const char *end = s + len, *nl;
	bool begun = false, ended = false, last = false;
	size_t n, got;

	while (s < end && blank(*s))
		s++;
	while (end > s && blank(end[-1]))
		end--;
	for (; s < end && !ended; s = nl + 1) {
		if ((nl = memchr(s, '\n', (size_t)(end - s))) == NULL)
			nl = end;
		n = (size_t)(nl - s);
		if (n > 0 && s[n - 1] == '\r')
			n--;
		if (!begun) {
			if (!line_is(s, n, BEGIN))
				goto bad;
			begun = true;
		} else if (line_is(s, n, END)) {
			ended = true;
		} else {
			/* Only the last line may be short, and none empty. */
			if (last || n == 0 || n > COLUMNS ||
			    dr_unbase64(piece, sizeof(piece), s, n, B64,
			        &got) != 0)
				goto bad;
			last = got < sizeof(piece);
			if (dr_buf_add(out, piece, got, err) == -1)
				return -1;
		}
	}
	if (ended && s >= end)
		return 0;

bad:
	return dr_err_set(err, DR_EDATA, "the armor is truncated or damaged");
}

int
dr_armor_encode(const void *data, size_t len, struct dr_buf *out,
    struct dr_err *err)
{
	const unsigned char *p = data;
	char text[COLUMNS + 1];
	size_t n;

	if (dr_buf_str(out, BEGIN "\n", err) == -1)
		return -1;
	for (; len > 0; p += n, len -= n) {
		n = len < PIECE ? len : PIECE;
		sodium_bin2base64(text, sizeof(text), p, n, B64);
		if (dr_buf_fmt(out, err, "%s\n", text) == -1)
			return -1;
	}
	return dr_buf_str(out, END "\n", err);
}
