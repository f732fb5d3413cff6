#include "flow/rates.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "flow/jsonfile.h"

#define LOCK_MS 500

static const char *const names[] = {
	[DR_RATE_BACKUP] = "backup",
	[DR_RATE_VERIFY] = "verify",
	[DR_RATE_DEEP] = "deep",
	[DR_RATE_RESTORE] = "restore",
	[DR_RATE_FETCH] = "fetch",
	[DR_RATE_REPLAY] = "replay",
};

static bool
good(const struct dr_rate *r)
{
	return r->status == DR_OK || r->status == DR_EPARTIAL;
}

/* --- the file ---------------------------------------------------------------- */

static void
text(const json_t *from, const char *key, char *out, size_t size)
{
	const char *s = json_string_value(json_object_get(from, key));

	(void)snprintf(out, size, "%s", s == NULL ? "" : s);
}

static uint64_t
number(const json_t *from, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(from, key));

	return v > 0 ? (uint64_t)v : 0;
}

static void
load(const json_t *all, enum dr_rate_kind kind, struct dr_rates *out)
{
	const json_t *of = json_object_get(all, names[kind]), *v, *e;
	size_t i, n;

	out->kind[kind].done = number(of, "done");
	out->kind[kind].failed = number(of, "failed");
	v = json_object_get(of, "v");
	n = json_array_size(v);
	json_array_foreach(v, i, e) {
		struct dr_rate *r;

		if (n - i > DR_RATES)
			continue;
		r = &out->kind[kind].v[out->kind[kind].n++];
		memset(r, 0, sizeof(*r));
		r->time = (int64_t)number(e, "time");
		r->us = (int64_t)number(e, "us");
		r->bytes = number(e, "bytes");
		r->status = (int)(number(e, "status") & 0xFF);
		text(e, "store", r->store, sizeof(r->store));
		text(e, "id", r->id, sizeof(r->id));
	}
}

static json_t *
one(const struct dr_rate *r)
{
	json_t *e = json_pack("{s:I, s:I, s:I, s:i}", "time",
	    (json_int_t)r->time, "us", (json_int_t)r->us, "bytes",
	    (json_int_t)(r->bytes & INT64_MAX), "status", r->status);

	if (r->store[0] != '\0')
		(void)json_object_set_new(e, "store", json_string(r->store));
	if (r->id[0] != '\0')
		(void)json_object_set_new(e, "id", json_string(r->id));
	return e;
}

static json_t *
dump(const struct dr_rates *all)
{
	json_t *out = json_object();

	for (unsigned k = 0; k < DR_RATE_KINDS; k++) {
		json_t *v;

		if (all->kind[k].n == 0)
			continue;
		v = json_array();
		for (size_t i = 0; i < all->kind[k].n; i++)
			(void)json_array_append_new(v, one(&all->kind[k].v[i]));
		(void)json_object_set_new(out, names[k],
		    json_pack("{s:I, s:I, s:o}", "done",
		        (json_int_t)all->kind[k].done, "failed",
		        (json_int_t)all->kind[k].failed, "v", v));
	}
	return out;
}

static char *
path_of(const char *state, const char *set, struct dr_err *err)
{
	return dr_fmt(err, "%s/rates/%s.json", state, set);
}

int
dr_rates_read(const char *state, const char *set, struct dr_rates *out,
    struct dr_err *err)
{
	char *path = path_of(state, set, err);
	json_t *all = NULL;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	if (path != NULL)
		rc = dr_jsonfile_get(path, &all, err);
	for (unsigned k = 0; rc == 1 && k < DR_RATE_KINDS; k++)
		load(all, (enum dr_rate_kind)k, out);
	json_decref(all);
	free(path);
	return rc == -1 ? -1 : 0;
}

/* --- noting ------------------------------------------------------------------ */

static void
add(struct dr_rates *all, enum dr_rate_kind kind, const struct dr_rate *r)
{
	size_t n = all->kind[kind].n;
	struct dr_rate *v = all->kind[kind].v;

	if (n == DR_RATES)
		memmove(v, v + 1, --n * sizeof(*v));
	v[n] = *r;
	all->kind[kind].n = n + 1;
	if (r->same_run)
		return;
	if (good(r))
		all->kind[kind].done++;
	else
		all->kind[kind].failed++;
}

static int
note_in(const char *path, const char *state, const char *set,
    enum dr_rate_kind kind, const struct dr_rate *r, struct dr_err *err)
{
	struct dr_err damaged = { 0 };
	struct dr_rates *all;
	json_t *json;
	int rc = -1;

	if ((all = malloc(sizeof(*all))) == NULL)
		return dr_err_sys(err, "cannot note how fast it was");
	/* One that is damaged begins anew. */
	(void)dr_rates_read(state, set, all, &damaged);
	add(all, kind, r);
	if ((json = dump(all)) == NULL)
		dr_err_set(err, DR_EFAIL, "cannot write \"%s\": no memory",
		    path);
	else
		rc = dr_jsonfile_put_loose(path, json, err);
	json_decref(json);
	free(all);
	return rc;
}

int
dr_rate_note(const char *state, const char *set, enum dr_rate_kind kind,
    const struct dr_rate *r, struct dr_err *err)
{
	char *dir = dr_fmt(err, "%s/rates", state);
	char *lock = dr_fmt(err, "%s/rates/%s.lock", state, set);
	char *path = path_of(state, set, err);
	int fd = -1, rc = -1;

	if (dir != NULL && lock != NULL && path != NULL &&
	    dr_mkdirs(dir, 0700, err) == 0 &&
	    (fd = dr_lock(lock, LOCK_MS, err)) != -1)
		rc = note_in(path, state, set, kind, r, err);
	if (fd != -1)
		close(fd);
	free(dir);
	free(lock);
	free(path);
	return rc;
}

/* --- speed ------------------------------------------------------------------- */

static int
rising(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(const struct dr_rates *all, enum dr_rate_kind kind, const char *store)
{
	double v[DR_RATES];
	size_t n = 0;

	for (size_t i = 0; i < all->kind[kind].n; i++) {
		const struct dr_rate *r = &all->kind[kind].v[i];

		if (!good(r) || r->us <= 0 || r->bytes == 0 ||
		    (store != NULL &&
		        strncmp(store, r->store, sizeof(r->store) - 1) != 0))
			continue;
		v[n++] = (double)r->bytes * 1e6 / (double)r->us;
	}
	if (n == 0)
		return 0;
	qsort(v, n, sizeof(*v), rising);
	return n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

double
dr_rates_speed(const struct dr_rates *all, enum dr_rate_kind kind,
    const char *store)
{
	double of_it = store == NULL ? 0 : median(all, kind, store);

	return of_it > 0 ? of_it : median(all, kind, NULL);
}

int64_t
dr_rates_last(const struct dr_rates *all, enum dr_rate_kind kind,
    const char *store)
{
	int64_t last = DR_UNKNOWN;

	for (size_t i = 0; i < all->kind[kind].n; i++) {
		const struct dr_rate *r = &all->kind[kind].v[i];

		if (good(r) && r->time > last &&
		    strncmp(store, r->store, sizeof(r->store) - 1) == 0)
			last = r->time;
	}
	return last;
}
