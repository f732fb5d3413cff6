/* What the receiver keeps on this host. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "flow/jsonfile.h"
#include "flow/walreceive_int.h"

char *
dr_recv_state_path(const struct dr_wal_receive_opts *o, uint64_t system_id,
    struct dr_err *err)
{
	return dr_fmt(err, "%s/sets/%s/receive-%s-%llu.json", o->state, o->set,
	    o->slot, (unsigned long long)system_id);
}

static bool
entry(const json_t *e, const char *url, struct dr_recv_pos *pos)
{
	const json_t *tli = json_object_get(e, "timeline");
	const char *u = json_string_value(json_object_get(e, "store"));
	const char *lsn = json_string_value(json_object_get(e, "lsn"));
	struct dr_err odd = { 0 };

	if (u == NULL || strcmp(u, url) != 0 || lsn == NULL ||
	    !json_is_integer(tli) || json_integer_value(tli) <= 0 ||
	    json_integer_value(tli) > UINT32_MAX ||
	    dr_parse_lsn(lsn, &pos->lsn, &odd) == -1)
		return false;
	pos->tli = (uint32_t)json_integer_value(tli);
	return true;
}

int
dr_recv_state_get(const char *path, const char *url, struct dr_recv_pos *pos,
    struct dr_err *err)
{
	json_t *json, *e;
	size_t i;
	int rc = dr_jsonfile_get(path, &json, err);

	if (rc == -1)
		return dr_err_hint(err,
		    "without it the place to go on from is looked up in the "
		    "ledgers");
	rc = 0;
	json_array_foreach(json_object_get(json, "stores"), i, e)
		if (rc == 0 && entry(e, url, pos))
			rc = 1;
	json_decref(json);
	return rc;
}

int
dr_recv_state_put(const char *path, const char *const *urls,
    const struct dr_recv_pos *pos, size_t n, struct dr_err *err)
{
	json_t *json = json_object(), *list = json_array();
	bool failed = false;
	char lsn[DR_LSN_LEN];
	size_t i;
	int rc;

	for (i = 0; i < n; i++)
		if (pos[i].tli != 0 &&
		    json_array_append_new(list,
		        json_pack("{s:s, s:I, s:s}", "store", urls[i],
		            "timeline", (json_int_t)pos[i].tli, "lsn",
		            dr_format_lsn(pos[i].lsn, lsn))) == -1)
			failed = true;
	if (failed || json_object_set(json, "stores", list) == -1) {
		json_decref(json);
		json = NULL;
	}
	rc = dr_jsonfile_put(path, json, err);
	json_decref(list);
	json_decref(json);
	return rc;
}
