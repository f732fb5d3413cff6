/* The end mark's reader on any bytes: whole, or damage; and never more out
 * than in. */
#include <stdint.h>
#include <stdlib.h>

#include "stream/trailer.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dr_err err = { 0 };
	struct dr_source *mem, *s;
	size_t step, chunk, total = 0, j;
	char *buf;
	ssize_t n;

	if (size < 2)
		return 0;
	step = data[0];
	chunk = (size_t)(data[1] & 15) << 15 | (data[1] >> 4) | 1;
	if ((buf = malloc(chunk)) == NULL ||
	    (mem = dr_source_mem(data + 2, size - 2, step, &err)) == NULL ||
	    (s = dr_endmark_source(mem, "fuzz", &err)) == NULL)
		abort();
	while ((n = dr_source_read(s, buf, chunk, &err)) > 0)
		total += (size_t)n;
	if (n == 0 && (dr_endmark_manifest(s, &j) == NULL ||
	                  total + j + DR_TRAILER_FIXED != size - 2))
		abort();
	if (n == -1 && err.cause != DR_EDATA)
		abort();
	dr_source_free(s);
	free(buf);
	return 0;
}
