#include "flow/json_known.h"

#include <stddef.h>

#include "base/known.h"
#include "base/num.h"

void
dr_json_num(struct dr_json *j, const char *key, int64_t v)
{
	if (dr_known(v))
		dr_json_int(j, key, v);
	else
		dr_json_null(j, key);
}

void
dr_json_sec(struct dr_json *j, const char *key, int64_t us)
{
	if (dr_known(us))
		dr_json_real(j, key, (double)us / 1e6);
	else
		dr_json_null(j, key);
}

void
dr_json_when(struct dr_json *j, const char *key, int64_t us)
{
	char text[DR_TIME_LEN];

	if (dr_known(us))
		dr_json_str(j, key, dr_format_time(us, text));
	else
		dr_json_null(j, key);
}

void
dr_json_lsn(struct dr_json *j, const char *key, uint64_t v)
{
	char text[DR_LSN_LEN];

	if (v != 0)
		dr_json_str(j, key, dr_format_lsn(v, text));
	else
		dr_json_null(j, key);
}

void
dr_json_text(struct dr_json *j, const char *key, const char *s)
{
	if (s != NULL && *s != '\0')
		dr_json_str(j, key, s);
	else
		dr_json_null(j, key);
}

void
dr_json_tli(struct dr_json *j, const char *key, uint32_t v)
{
	if (v != 0)
		dr_json_uint(j, key, v);
	else
		dr_json_null(j, key);
}
