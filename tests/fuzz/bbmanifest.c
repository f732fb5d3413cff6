/* The filter of backup_manifest on any bytes: it never gives out more than
 * it got, and what it gives out it would pass unchanged. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "pg/bbmanifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const char *const leave_out[] = { "standby.signal", "recovery.signal",
	".drtools/", NULL };

static int
keep(void *arg, const void *p, size_t n, struct dr_err *err)
{
	return dr_buf_add(arg, p, n, err);
}

static int
filter(const void *in, size_t len, size_t step, struct dr_buf *out,
    struct dr_err *err)
{
	struct dr_bbmanifest *m;
	const char *p = in;
	size_t n;
	int rc = 0;

	if ((m = dr_bbmanifest_new(leave_out, keep, out, err)) == NULL)
		abort();
	while (len > 0 && rc == 0) {
		n = len < step ? len : step;
		rc = dr_bbmanifest_add(m, p, n, err);
		p += n;
		len -= n;
	}
	if (rc == 0)
		rc = dr_bbmanifest_end(m, err);
	dr_bbmanifest_free(m);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dr_buf once = { .max = 1 << 22 }, twice = { .max = 1 << 22 };
	struct dr_err err = { 0 };

	if (size < 1)
		return 0;
	if (filter(data + 1, size - 1, (size_t)data[0] + 1, &once, &err) ==
	    -1) {
		if (err.cause != DR_EDATA)
			abort();
	} else if (once.len > size ||
	           filter(once.data, once.len, once.len, &twice, &err) == -1 ||
	           once.len != twice.len ||
	           memcmp(once.data, twice.data, once.len) != 0)
		abort();
	dr_buf_free(&once);
	dr_buf_free(&twice);
	return 0;
}
