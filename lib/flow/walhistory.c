#include "flow/walhistory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/msg.h"
#include "flow/jsonfile.h"
#include "flow/walfile.h"

#define HISTORY_MAX (1U << 20)

struct run {
	struct dr_ship *ship;
	const struct dr_ship_opts *o;
	const char *path; /* of the segment */
	json_t *known;    /* stores by the name of a history */
	bool changed;
};

/* The history of TLI beside the segment, on the heap. */
static char *
path_of(const struct run *r, uint32_t tli, struct dr_err *err)
{
	const char *slash = strrchr(r->path, '/');

	return dr_fmt(err, "%.*s%08" PRIX32 ".history",
	    slash == NULL ? 0 : (int)(slash - r->path + 1), r->path, tli);
}

static bool
has(const json_t *list, const char *url)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_is_string(v) && strcmp(json_string_value(v), url) == 0)
			return true;
	return false;
}

static bool
in_all(const struct run *r, const char *name)
{
	const json_t *list = json_object_get(r->known, name);

	for (size_t i = 0; i < r->o->nstores; i++)
		if (!has(list, r->o->stores[i]))
			return false;
	return true;
}

/* What cannot be noted is only put again. */
static void
note(struct run *r, const char *name, const struct dr_ship_result *result)
{
	json_t *list = json_object_get(r->known, name);

	if (list == NULL) {
		list = json_array();
		(void)json_object_set_new(r->known, name, list);
	}
	for (size_t i = 0; i < r->o->nstores; i++) {
		if (!result->store[i].done || has(list, r->o->stores[i]))
			continue;
		(void)json_array_append_new(list, json_string(r->o->stores[i]));
		r->changed = true;
	}
}

static int
put(struct run *r, uint32_t tli, struct dr_err *err)
{
	char *path = path_of(r, tli, err);
	struct dr_ship_result result;
	struct dr_walfile w;
	int rc;

	if (path == NULL)
		return -1;
	if (in_all(r,
	        strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1)) {
		free(path);
		return 0;
	}
	rc = dr_walfile_open(&w, path, r->o->set, 0, err);
	free(path);
	if (rc == -1)
		return -1;
	memset(&result, 0, sizeof(result));
	rc = dr_ship_put(r->ship, &w.id, w.data, w.len, &result, err);
	note(r, w.id.name, &result);
	dr_walfile_close(&w);
	return rc;
}

/* Those before H's timeline, as far as they are there. */
static void
put_former(struct run *r, const struct dr_history *h)
{
	char *path;

	for (size_t i = 0; i < h->n; i++) {
		struct dr_err why = { 0 };

		if (h->v[i].tli <= 1)
			continue;
		path = path_of(r, h->v[i].tli, &why);
		if (path != NULL && access(path, F_OK) == 0 &&
		    put(r, h->v[i].tli, &why) == -1)
			dr_warn("the history of timeline %" PRIu32
			        " is not stored: %s",
			    h->v[i].tli, why.msg);
		free(path);
	}
}

static int
all(struct run *r, uint32_t tli, struct dr_err *err)
{
	char *path = path_of(r, tli, err), *text;
	struct dr_history h = { 0 };
	struct dr_err why = { 0 };
	size_t len;
	int rc = -1;

	if (path == NULL)
		return -1;
	text = dr_file_get(path, HISTORY_MAX, &len, &why);
	if (text == NULL && errno == ENOENT) {
		dr_say(1, "\"%s\" is not there to be stored", path);
		rc = 0;
	} else if (text == NULL)
		*err = why;
	else if (dr_history_parse(text, len, tli, &h, err) == 0) {
		put_former(r, &h);
		rc = put(r, tli, err);
	}
	if (rc == -1)
		dr_err_wrap(err, "the history of timeline %" PRIu32, tli);
	dr_history_free(&h);
	free(text);
	free(path);
	return rc;
}

int
dr_walhistory_put(struct dr_ship *ship, const struct dr_ship_opts *o,
    uint64_t system_id, const char *path, uint32_t tli, struct dr_err *err)
{
	struct run r = { .ship = ship, .o = o, .path = path };
	struct dr_err why = { 0 };
	char *record;
	int rc = -1;

	if (tli <= 1)
		return 0;
	record = dr_fmt(err, "%s/wal/%s/%" PRIu64 "/histories.json", o->state,
	    o->set, system_id);
	if (record == NULL)
		return -1;
	if (dr_jsonfile_get(record, &r.known, &why) != 1 &&
	    (r.known = json_object()) == NULL)
		dr_err_sys(err, "cannot note what histories are stored");
	else
		rc = all(&r, tli, err);
	dr_err_clear(&why);
	if (r.changed && dr_jsonfile_put(record, r.known, &why) == -1)
		dr_warn("%s", why.msg);
	json_decref(r.known);
	free(record);
	return rc;
}
