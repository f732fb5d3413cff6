/* What is laid down for a set, from any text. */
#include <stdlib.h>
#include <string.h>

#include "flow/setconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dr_err err = { 0 };
	struct dr_setconf c;
	const char *words;

	if (dr_setconf_parse((const char *)data, size, "x", &c, &err) == 0)
		for (size_t i = 0; i < c.n; i++)
			if (strlen(c.v[i].name) == 0)
				abort();
	if ((words = dr_setconf_get(&c, "regions")) != NULL)
		(void)dr_regions_allow(words, "s3://b/p?x=y", "r");
	dr_setconf_wipe(&c);
	return 0;
}
