/* http_request.c - heads of requests as an attacker would write them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *s = (const char *)data;
	struct dr_request r, again;
	char value[64];
	long took, part;

	if (len > DR_REQUEST_MAX)
		len = DR_REQUEST_MAX;
	took = dr_request_parse(s, len, &r);
	if (took > (long)len || (took == -1) != (r.status != 0))
		abort();
	if (took > 0) {
		if (r.path[0] != '/' || strlen(r.path) >= sizeof(r.path) ||
		    strchr(r.path, '\n') != NULL)
			abort();
		if (dr_query_get(r.query, "lag", value, sizeof(value)) == 1 &&
		    strlen(value) >= sizeof(value))
			abort();
		/* What follows it makes no difference. */
		if (dr_request_parse(s, (size_t)took, &again) != took)
			abort();
		/* Without its last byte it is not whole. */
		part = dr_request_parse(s, (size_t)took - 1, &again);
		if (part != 0)
			abort();
	}
	return 0;
}
