#include "flow/away.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "flow/jsonfile.h"

/* Its place, or n. */
static size_t
find(const struct dr_away *a, const char *url)
{
	size_t i = 0;

	while (i < a->n && strcmp(a->v[i].url, url) != 0)
		i++;
	return i;
}

static struct dr_away_store *
add(struct dr_away *a, const char *url)
{
	struct dr_err ignored = { 0 };
	struct dr_away_store *s = &a->v[a->n];

	if (a->n == DR_AWAY_STORES ||
	    (s->url = dr_fmt(&ignored, "%s", url)) == NULL)
		return NULL;
	s->failures = 0;
	s->until = 0;
	a->n++;
	return s;
}

void
dr_away_read(struct dr_away *a, const char *path)
{
	struct dr_err ignored = { 0 };
	json_t *json = NULL;
	const json_t *e;
	size_t i;

	dr_away_wipe(a);
	if (dr_jsonfile_get(path, &json, &ignored) != 1)
		return;
	json_array_foreach(json_object_get(json, "stores"), i, e) {
		const char *url = json_string_value(json_object_get(e, "url"));
		json_int_t n =
		    json_integer_value(json_object_get(e, "failures"));
		struct dr_away_store *s;

		if (url == NULL || n < 1 || n > 1000 || find(a, url) < a->n ||
		    (s = add(a, url)) == NULL)
			continue;
		s->failures = (unsigned)n;
		s->until = json_integer_value(json_object_get(e, "until"));
	}
	json_decref(json);
}

void
dr_away_wipe(struct dr_away *a)
{
	while (a->n > 0)
		free(a->v[--a->n].url);
}

bool
dr_away_is(const struct dr_away *a, const char *url, int64_t *until)
{
	size_t at = find(a, url);
	int64_t now, end;

	if (at == a->n)
		return false;
	now = dr_now();
	end = a->v[at].until;
	if (until != NULL)
		*until = end;
	/* A time too far off is from before the clock was set back. */
	return end > now && end <= now + DR_AWAY_MAX_US;
}

static int
write_down(const struct dr_away *a, const char *path, struct dr_err *err)
{
	json_t *list = json_array(), *json = NULL;
	int rc = -1;

	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].failures > 0 &&
		    json_array_append_new(list,
		        json_pack("{s:s, s:I, s:I}", "url", a->v[i].url,
		            "failures", (json_int_t)a->v[i].failures, "until",
		            (json_int_t)a->v[i].until)) == -1)
			goto out;
	json = json_pack("{s:O}", "stores", list);

out:
	rc = dr_jsonfile_put(path, json, err);
	json_decref(json);
	json_decref(list);
	return rc;
}

int
dr_away_note(struct dr_away *a, const char *path, const char *url,
    bool answered, struct dr_err *err)
{
	size_t at = find(a, url);
	struct dr_away_store *s = at < a->n ? &a->v[at] : NULL;
	int64_t wait = DR_AWAY_MIN_US;

	if (answered) {
		if (s == NULL || s->failures == 0)
			return 0;
		s->failures = 0;
		s->until = 0;
		return write_down(a, path, err);
	}
	if (s == NULL && (s = add(a, url)) == NULL)
		return 0;
	for (unsigned i = 0; i < s->failures && wait < DR_AWAY_MAX_US; i++)
		wait *= 2;
	if (s->failures < 1000)
		s->failures++;
	s->until = dr_now() + (wait < DR_AWAY_MAX_US ? wait : DR_AWAY_MAX_US);
	return write_down(a, path, err);
}
