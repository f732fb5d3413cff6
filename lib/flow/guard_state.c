/* What a guard keeps on its host. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/audit.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/msg.h"
#include "flow/guard_int.h"
#include "flow/jsonfile.h"

char *
dr_guard_path(const struct dr_guard_opts *o, const struct dr_guard_who *w,
    const char *suffix, struct dr_err *err)
{
	char *dir = dr_fmt(err, "%s/guard/%s", o->state, o->set), *path = NULL;

	if (dir != NULL && dr_mkdirs(dir, 0700, err) == 0)
		path = dr_fmt(err, "%s/%s.%s", dir, w->name, suffix);
	free(dir);
	return path;
}

static int64_t
number(const json_t *j, const char *name)
{
	const json_t *v = json_object_get(j, name);

	return json_is_integer(v) && json_integer_value(v) > 0
	           ? json_integer_value(v)
	           : 0;
}

static void
text(const json_t *j, const char *name, char *out, size_t size)
{
	const char *s = json_string_value(json_object_get(j, name));

	(void)snprintf(out, size, "%s", s != NULL ? s : "");
}

int
dr_guard_state_get(const char *path, struct dr_guard_state *s,
    struct dr_err *err)
{
	json_t *j;
	int rc = dr_jsonfile_get(path, &j, err);

	memset(s, 0, sizeof(*s));
	if (rc != 1)
		return rc;
	s->epoch = number(j, "epoch");
	s->glass = number(j, "glass");
	s->tli = (uint32_t)number(j, "timeline");
	text(j, "leader", s->leader, sizeof(s->leader));
	text(j, "synchronous", s->names, sizeof(s->names));
	json_decref(j);
	return 1;
}

int
dr_guard_state_put(const char *path, const struct dr_guard_state *s,
    struct dr_err *err)
{
	json_t *j = json_pack("{s:I, s:s, s:I, s:I, s:s}", "epoch",
	    (json_int_t)s->epoch, "leader", s->leader, "timeline",
	    (json_int_t)s->tli, "glass", (json_int_t)s->glass, "synchronous",
	    s->names);
	int rc = dr_jsonfile_put(path, j, err);

	json_decref(j);
	return rc;
}

int
dr_guard_epoch(const struct dr_coord_look *l, struct dr_guard_state *s,
    int64_t *was, struct dr_err *err)
{
	const struct dr_coord_key_ *k = dr_coord_find(l, "epoch");
	struct dr_rec_epoch e;

	*was = 0;
	if (k == NULL)
		return 0;
	*was = k->modified;
	if (dr_rec_epoch_get(k->value, &e, err) == -1)
		return dr_err_wrap(err, "the epoch");
	/* An etcd that was restored from a backup knows less than we do. */
	if (e.epoch < s->epoch)
		return dr_err_set(err, DR_EDATA,
		    "etcd says that the epoch is %lld, and it was %lld already",
		    (long long)e.epoch, (long long)s->epoch);
	s->epoch = e.epoch;
	s->tli = e.tli;
	(void)snprintf(s->leader, sizeof(s->leader), "%s", e.leader);
	return 0;
}

void
dr_guard_audit(const char *act, const struct dr_guard_opts *o,
    const struct dr_guard_who *w, int64_t epoch, const char *why,
    const char *result)
{
	struct dr_buf b = { .max = 8192 };
	struct dr_err err = { 0 };
	struct dr_json j;

	dr_json_init(&j, &b);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "set", o->set);
	dr_json_str(&j, "node", w->name);
	dr_json_int(&j, "epoch", epoch);
	if (why != NULL)
		dr_json_str(&j, "why", why);
	dr_json_close(&j, '}');
	if (dr_json_end(&j, &err) == -1 ||
	    dr_audit(act, b.data, result, &err) == -1)
		dr_warn_err(&err);
	dr_buf_free(&b);
}
