#include "store/tmpname.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "store/store.h"

#define RANDOM 8

int
dr_tmp_new(const char *base, char out[DR_TMP_MAX], struct dr_err *err)
{
	unsigned char rnd[RANDOM];
	char hex[DR_TMP_ID_LEN];

	if (strlen(base) > DR_PART_MAX) {
		errno = ENAMETOOLONG;
		return dr_err_sys(err, "cannot create \"%s\"", base);
	}
	if (dr_random(rnd, sizeof(rnd), err) == -1)
		return -1;
	(void)snprintf(out, DR_TMP_MAX, ".%s.%s.tmp", base,
	    dr_hex(rnd, sizeof(rnd), hex));
	return 0;
}

bool
dr_tmp_of(const char *base, const char *id, char out[DR_TMP_MAX])
{
	unsigned char rnd[RANDOM];

	if (strlen(base) > DR_PART_MAX || !dr_unhex(id, sizeof(rnd), rnd))
		return false;
	(void)snprintf(out, DR_TMP_MAX, ".%s.%s.tmp", base, id);
	return true;
}

bool
dr_tmp_parse(const char *file, char base[DR_PART_MAX + 1],
    char id[DR_TMP_ID_LEN])
{
	unsigned char rnd[RANDOM];
	size_t len = strlen(file), tail = 1 + 2 * RANDOM + 4;

	if (len <= 1 + tail || len > DR_PART_MAX + 1 + tail || file[0] != '.' ||
	    file[len - tail] != '.' || strcmp(file + len - 4, ".tmp") != 0)
		return false;
	memcpy(id, file + len - tail + 1, 2 * RANDOM);
	id[2 * RANDOM] = '\0';
	memcpy(base, file + 1, len - tail - 1);
	base[len - tail - 1] = '\0';
	return dr_unhex(id, sizeof(rnd), rnd) && dr_object_name_ok(base);
}
