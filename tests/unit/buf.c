#include "base/buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

int
main(void)
{
	struct dr_buf b = { .max = 10 };
	struct dr_err e = { 0 };
	struct dr_strs l = { 0 };
	char *s, name[16];
	bool good = true;

	OK(dr_buf_add(&b, "", 0, &e) == 0 && b.len == 0 && b.data != NULL &&
	        b.data[0] == '\0',
	    "adding nothing makes a string");
	OK(dr_buf_str(&b, "12345", &e) == 0 &&
	        dr_buf_fmt(&b, &e, "%d", 67890) == 0 && b.len == 10 &&
	        strcmp(b.data, "1234567890") == 0,
	    "up to the maximum");
	OK(dr_buf_add(&b, "x", 1, &e) == -1 && e.cause == DR_EFAIL &&
	        b.len == 10 && strcmp(b.data, "1234567890") == 0,
	    "beyond it fails and changes nothing");
	dr_err_clear(&e);
	OK(dr_buf_fmt(&b, &e, "%s", "y") == -1 && b.len == 10,
	    "so does a format");
	dr_err_clear(&e);
	OK(dr_buf_room(&b, SIZE_MAX, &e) == -1, "sizes cannot wrap round");
	dr_err_clear(&e);
	dr_buf_free(&b);
	OK(b.data == NULL && b.len == 0 && b.max == 10, "free keeps max");
	OK(dr_buf_str(&b, "again", &e) == 0 && strcmp(b.data, "again") == 0,
	    "used again after free");
	dr_buf_free(&b);

	b.max = SIZE_MAX;
	OK(dr_buf_str(&b, "x", &e) == 0 &&
	        dr_buf_room(&b, SIZE_MAX - 1, &e) == -1,
	    "no maximum still cannot wrap round");
	dr_err_clear(&e);
	dr_buf_free(&b);

	b.max = 1 << 20;
	for (int i = 0; i < 1 << 20; i++)
		if (dr_buf_add(&b, "z", 1, &e) == -1)
			good = false;
	OK(good && b.len == 1 << 20 && b.data[b.len] == '\0',
	    "a million single bytes");
	OK(b.cap <= b.max + 1, "no more memory than the maximum");
	OK(dr_buf_room(&b, 0, &e) == 0, "room for nothing when full");
	dr_buf_free(&b);
	dr_buf_free(&b);

	b.max = 100;
	OK(dr_buf_room(&b, 100, &e) == 0 && b.len == 0, "room raises no len");
	memset(b.data, 'q', 100);
	b.len = 100;
	OK(dr_buf_room(&b, 1, &e) == -1, "and is bounded");
	dr_err_clear(&e);
	dr_buf_free(&b);

	good = true;
	for (int i = 0; i < 1000; i++)
		if (dr_strs_add(&l, i % 2 == 0 ? "even" : "odd", &e) == -1)
			good = false;
	for (size_t i = 0; i < l.n; i++)
		if (strcmp(l.v[i], i % 2 == 0 ? "even" : "odd") != 0)
			good = false;
	OK(good && l.n == 1000, "a list of a thousand");
	dr_strs_free(&l);
	OK(l.v == NULL && l.n == 0, "list freed");
	dr_strs_free(&l);

	snprintf(name, sizeof(name), "%s", "main");
	s = dr_fmt(&e, "%s-%05d", name, 42);
	OK(s != NULL && strcmp(s, "main-00042") == 0, "dr_fmt");
	free(s);
	return DONE();
}
