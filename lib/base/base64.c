#include "base/base64.h"

#include <stdint.h>
#include <string.h>

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int
dr_b64(struct dr_buf *out, const void *data, size_t n, struct dr_err *err)
{
	const unsigned char *p = data;
	char *to;

	if (n > SIZE_MAX / 2 || dr_buf_room(out, n / 3 * 4 + 5, err) == -1)
		return -1;
	for (to = out->data + out->len; n > 0; to += 4) {
		uint32_t v = (uint32_t)p[0] << 16;

		if (n > 1)
			v |= (uint32_t)p[1] << 8;
		if (n > 2)
			v |= p[2];
		to[0] = letters[v >> 18];
		to[1] = letters[v >> 12 & 63];
		to[2] = n > 1 ? letters[v >> 6 & 63] : '=';
		to[3] = n > 2 ? letters[v & 63] : '=';
		p += n > 2 ? 3 : n;
		n -= n > 2 ? 3 : n;
	}
	*to = '\0';
	out->len = (size_t)(to - out->data);
	return 0;
}

ssize_t
dr_unb64(const char *text, unsigned char *out, size_t size)
{
	size_t n = strspn(text, letters), pad = strspn(text + n, "="), got = 0;
	uint32_t v = 0;

	if (text[n + pad] != '\0' || pad > 2 || (n + pad) % 4 != 0)
		return -1;
	if (n / 4 * 3 + (n % 4 == 0 ? 0 : n % 4 - 1) > size)
		return -1;
	for (size_t i = 0; i < n; i++) {
		v = v << 6 | (uint32_t)(strchr(letters, text[i]) - letters);
		if (i % 4 != 3)
			continue;
		out[got++] = (unsigned char)(v >> 16);
		out[got++] = (unsigned char)(v >> 8);
		out[got++] = (unsigned char)v;
		v = 0;
	}
	if (n % 4 == 2)
		out[got++] = (unsigned char)(v >> 4);
	if (n % 4 == 3) {
		out[got++] = (unsigned char)(v >> 10);
		out[got++] = (unsigned char)(v >> 2);
	}
	return (ssize_t)got;
}
