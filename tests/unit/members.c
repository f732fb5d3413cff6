#include "archive/members.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "tests/tap.h"

static int
emit(void *arg, const void *p, size_t len, struct dr_err *err)
{
	return dr_buf_add(arg, p, len, err);
}

static int
no_emit(void *arg, const void *p, size_t len, struct dr_err *err)
{
	(void)arg;
	(void)p;
	(void)len;
	return dr_err_set(err, DR_EFAIL, "full");
}

/* Index LEN bytes; *WHOLE as the indexer has it. */
static int
feed(const char *p, size_t len, size_t step, struct dr_buf *out, bool *whole,
    struct dr_err *err)
{
	struct dr_indexer *x = dr_indexer_new(emit, out, err);
	int rc = 0;

	out->len = 0;
	*whole = false;
	for (size_t at = 0; at < len && rc == 0; at += step)
		rc = dr_indexer_add(x, p + at,
		    len - at < step ? len - at : step, err);
	if (rc == 0)
		rc = dr_indexer_end(x, whole, err);
	dr_indexer_free(x);
	return rc;
}

static void
put(struct dr_buf *tar, char type, const char *path, const char *data)
{
	static const char zeros[512];
	struct dr_member m = { .type = type,
		.path = path,
		.link = "",
		.size = strlen(data) };
	struct dr_err err = { 0 };

	if (dr_tar_header(tar, &m, &err) == -1 ||
	    dr_buf_str(tar, data, &err) == -1 ||
	    dr_buf_add(tar, zeros, dr_tar_pad(m.size), &err) == -1)
		printf("# %s\n", err.msg);
}

static void
index_of_tar(void)
{
	static const char zeros[1024];
	struct dr_buf tar = { .max = 1 << 20 }, out = { .max = 1 << 20 };
	struct dr_indexer *x;
	struct dr_err err = { 0 };
	char longer[200], want[600];
	bool whole, good = true;
	int n;

	memset(longer, 'n', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	put(&tar, '0', "base/1", "123456789");
	put(&tar, '5', "base/", "");
	put(&tar, '0', longer, "data");
	dr_buf_add(&tar, zeros, sizeof(zeros), &err);
	/* e3069283 is the check value of CRC-32C. */
	n = snprintf(want, sizeof(want),
	    "0 9 0 e3069283 base/1%c5 0 1024 00000000 base/%c"
	    "0 4 1536 %08x %s%c",
	    0, 0, dr_crc32c(0, "data", 4), longer, 0);
	for (size_t step = 1; step <= tar.len; step = step * 3 + 1)
		good = good &&
		       feed(tar.data, tar.len, step, &out, &whole, &err) == 0 &&
		       whole && out.len == (size_t)n &&
		       memcmp(out.data, want, out.len) == 0;
	OK(good, "a tar's index, however it is cut");
	OK(feed(tar.data, tar.len - 600, 512, &out, &whole, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "a tar cut short is damage");
	dr_err_clear(&err);
	tar.data[1024 + 5] ^= 1;
	OK(feed(tar.data, tar.len, 512, &out, &whole, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "so is a bad header after a good one");
	dr_err_clear(&err);
	tar.data[1024 + 5] ^= 1;
	tar.data[5] ^= 1;
	OK(feed(tar.data, tar.len, 512, &out, &whole, &err) == 0 && !whole &&
	        out.len == 0,
	    "a bad first header: it is no tar");
	tar.data[5] ^= 1;
	OK(feed("plain text", 10, 3, &out, &whole, &err) == 0 && !whole,
	    "nor is a text");
	OK(feed("", 0, 3, &out, &whole, &err) == 0 && !whole, "nor is nothing");
	OK(feed(zeros, 1024, 100, &out, &whole, &err) == 0 && whole &&
	        out.len == 0,
	    "but a tar of nothing is one");
	x = dr_indexer_new(no_emit, NULL, &err);
	OK(dr_indexer_add(x, tar.data, tar.len, &err) == -1 &&
	        err.cause == DR_EFAIL,
	    "what emit says counts");
	dr_indexer_free(x);
	dr_buf_free(&tar);
	dr_buf_free(&out);
}

/* Read LEN bytes of records; their number, or -1. */
static int
count(const char *p, size_t len, size_t step, struct dr_record *last,
    char *path, size_t max, struct dr_err *err)
{
	struct dr_source *s = dr_source_mem(p, len, step, err);
	struct dr_records *r = dr_records_new(s, err);
	int n = 0, rc;

	while ((rc = dr_records_next(r, last, err)) == 1) {
		snprintf(path, max, "%s", last->path);
		n++;
	}
	dr_records_free(r);
	dr_source_free(s);
	return rc == 0 ? n : -1;
}

static void
reading(void)
{
#define GOOD                      \
	"0 9 0 e3069283 base/1\0" \
	"5 0 1024 00000000 a b\0" \
	"0 1 1536 ffffffff \n"
	static const char good[] = GOOD;
	static const char *const bad[] = { "0 9 0 e3069283",
		"0 9 0 e306928 path", "0 9 0 E3069283 p", "0 9 0 e30692830 p",
		"00 9 0 e3069283 p", " 9 0 e3069283 p", "0  9 0 e3069283 p",
		"0 09 0 e3069283 p", "0 9 1 e3069283 p", "0 -9 0 e3069283 p",
		"0 9 00 e3069283 p", "", "0",
		"0 18446744073709551616 0 e3069283 p",
		"0 9223372036854775807 0 e3069283 p",
		"0 9 18446744073709551104 e3069283 p", "0 9 0 e3069283p",
		"0 9 512e3069283 p" };
	static const char overlap[] = "0 9 0 e3069283 p\0"
	                              "0 0 512 00000000 q";
	static const char backward[] = "0 0 512 00000000 p\0"
	                               "0 0 0 00000000 q";
	struct dr_record last = { 0 };
	struct dr_err err = { 0 };
	char path[100], *big;
	size_t n = 65536;
	bool all = true;

	for (size_t step = 1; step < sizeof(good) + 5; step++)
		all = all && count(good, sizeof(good), step, &last, path,
		                 sizeof(path), &err) == 3;
	OK(all && last.type == '0' && last.size == 1 && last.offset == 1536 &&
	        last.crc == 0xffffffff && strcmp(path, "\n") == 0,
	    "records are read");
	OK(count("", 0, 0, &last, path, sizeof(path), &err) == 0,
	    "an empty index has none");
	OK(count(good, sizeof(good) - 1, 0, &last, path, sizeof(path), &err) ==
	            -1 &&
	        err.cause == DR_EDATA,
	    "a record without its NUL");
	all = true;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		dr_err_clear(&err);
		if (count(bad[i], strlen(bad[i]) + 1, 0, &last, path,
		        sizeof(path), &err) != -1 ||
		    err.cause != DR_EDATA) {
			printf("# \"%s\" passes\n", bad[i]);
			all = false;
		}
	}
	OK(all, "malformed records");
	dr_err_clear(&err);
	OK(count(overlap, sizeof(overlap), 0, &last, path, sizeof(path),
	       &err) == -1 &&
	        strstr(err.msg, "order") != NULL,
	    "members that overlap");
	dr_err_clear(&err);
	OK(count(backward, sizeof(backward), 0, &last, path, sizeof(path),
	       &err) == -1 &&
	        strstr(err.msg, "order") != NULL,
	    "members out of order");

	big = malloc(400000);
	memset(big, 'p', 400000);
	memcpy(big, "0 0 0 00000000 ", 15);
	big[15 + n] = '\0';
	dr_err_clear(&err);
	OK(count(big, 15 + n + 1, 1000, &last, path, sizeof(path), &err) == 1,
	    "a path of 64 KiB");
	big[15 + n] = 'p';
	big[15 + n + 1] = '\0';
	OK(count(big, 15 + n + 2, 1000, &last, path, sizeof(path), &err) == -1,
	    "a longer one");
	big[15 + n + 1] = 'p';
	dr_err_clear(&err);
	OK(count(big, 400000, 0, &last, path, sizeof(path), &err) == -1 &&
	        err.cause == DR_EDATA,
	    "one without end");
	free(big);
}

int
main(void)
{
	index_of_tar();
	reading();
	return DONE();
}
