#include "base/base64.h"

#include <string.h>

#include "base/num.h"
#include "tests/tap.h"

static struct dr_err err;

/* RFC 4648, 10. */
static bool
vector(const char *plain, const char *coded)
{
	struct dr_buf b = { .max = 64 };
	unsigned char raw[64];
	size_t n = strlen(plain);
	bool good = dr_b64(&b, plain, n, &err) == 0 && b.len == strlen(coded) &&
	            (b.len == 0 || strcmp(b.data, coded) == 0) &&
	            dr_unb64(coded, raw, n) == (ssize_t)n &&
	            memcmp(raw, plain, n) == 0;

	if (n > 0)
		good = good && dr_unb64(coded, raw, n - 1) == -1;
	dr_buf_free(&b);
	return good;
}

static bool
any_bytes(void)
{
	unsigned char in[300], back[300];
	struct dr_buf b = { .max = 4096 };

	for (size_t n = 0; n <= sizeof(in); n++) {
		if (dr_random(in, n, &err) == -1)
			return false;
		b.len = 0;
		if (dr_b64(&b, in, n, &err) == -1 ||
		    dr_unb64(b.data, back, n) != (ssize_t)n ||
		    memcmp(in, back, n) != 0)
			return false;
	}
	dr_buf_free(&b);
	return true;
}

int
main(void)
{
	struct dr_buf small = { .max = 7 };
	unsigned char raw[16];

	OK(vector("", ""), "nothing");
	OK(vector("f", "Zg=="), "one");
	OK(vector("fo", "Zm8="), "two");
	OK(vector("foo", "Zm9v"), "three");
	OK(vector("foob", "Zm9vYg=="), "four");
	OK(vector("fooba", "Zm9vYmE="), "five");
	OK(vector("foobar", "Zm9vYmFy"), "six");
	OK(vector("\xfb\xef\xff", "++//"), "the last letters");
	OK(any_bytes(), "any bytes of any length, and back");
	OK(dr_unb64("Zm9vYmF", raw, sizeof(raw)) == -1, "too short");
	OK(dr_unb64("Zm9v Zm9", raw, sizeof(raw)) == -1, "with a space");
	OK(dr_unb64("Zg==Zg==", raw, sizeof(raw)) == -1, "padded within");
	OK(dr_unb64("Z===", raw, sizeof(raw)) == -1, "padded too much");
	OK(dr_unb64("Zm9v-_==", raw, sizeof(raw)) == -1, "of another alphabet");
	OK(dr_unb64("Zm9\xc3", raw, sizeof(raw)) == -1, "not ASCII");
	OK(dr_b64(&small, "fooba", 5, &err) == -1, "no room");
	dr_buf_free(&small);
	return DONE();
}
