/* Where the last report stood. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/hash.h"
#include "flow/jsonfile.h"
#include "flow/lag_store_int.h"

#define VERSION 1

/* Bits of a backup's flags. */
enum { TRUSTED = 1, PRUNED = 2, COMPLETE = 4, WAL = 8, PG = 16, BODY = 32 };

/* --- reading ------------------------------------------------------------------- */

static int64_t
num(const json_t *of, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(of, key));
}

static int64_t
nth(const json_t *of, size_t i)
{
	return (int64_t)json_integer_value(json_array_get(of, i));
}

static bool
str(const json_t *of, char *out, size_t size)
{
	const char *s = json_string_value(of);

	if (s == NULL || strlen(s) >= size)
		return false;
	memcpy(out, s, strlen(s) + 1);
	return true;
}

static bool
get_backup(const json_t *e, struct dr_lag_backup *b)
{
	unsigned flags = (unsigned)nth(e, 5);

	memset(b, 0, sizeof(*b));
	if (json_array_size(e) != 16 ||
	    !str(json_array_get(e, 0), b->id, sizeof(b->id)) ||
	    !str(json_array_get(e, 1), b->parent, sizeof(b->parent)) ||
	    !str(json_array_get(e, 2), b->object, sizeof(b->object)))
		return false;
	b->size = (uint64_t)nth(e, 3);
	b->mtime = nth(e, 4);
	b->trusted = flags & TRUSTED;
	b->pruned = flags & PRUNED;
	b->complete = flags & COMPLETE;
	b->wal = flags & WAL;
	b->pg = flags & PG;
	b->body = flags & BODY;
	b->started = nth(e, 6);
	b->stopped = nth(e, 7);
	b->committed = nth(e, 8);
	b->stored = nth(e, 9);
	b->raw = nth(e, 10);
	b->system_id = (uint64_t)nth(e, 11);
	b->start_lsn = (uint64_t)nth(e, 12);
	b->stop_lsn = (uint64_t)nth(e, 13);
	b->tli = (uint32_t)nth(e, 14);
	b->segsize = (uint32_t)nth(e, 15);
	return true;
}

static bool
get_line(const json_t *e, struct dr_lag_line *l, struct dr_err *err)
{
	const json_t *runs = json_object_get(e, "runs"), *r;
	const char *last = json_string_value(json_object_get(e, "last"));
	size_t i;

	memset(l, 0, sizeof(*l));
	l->tli = (uint32_t)num(e, "tli");
	l->history = json_is_true(json_object_get(e, "history"));
	l->first = (uint64_t)num(e, "first");
	l->last_to = (uint64_t)num(e, "last_to");
	l->listed = num(e, "listed");
	l->parts = json_is_true(json_object_get(e, "parts"));
	if (last != NULL && (l->last = dr_fmt(err, "%s", last)) == NULL)
		return false;
	json_array_foreach(runs, i, r) {
		const struct dr_lag_run run = { (uint64_t)nth(r, 0),
			(uint64_t)nth(r, 1), nth(r, 2) };

		if (dr_lag_runs_add(&l->runs, &run, err) == -1)
			return false;
	}
	return l->tli != 0 &&
	       (l->last == NULL || strstr(l->last, ".zst") != NULL);
}

static bool
load(const json_t *all, struct dr_lag_known *k, struct dr_err *err)
{
	const json_t *list = json_object_get(all, "backups");
	size_t n = json_array_size(list);

	if (num(all, "version") != VERSION ||
	    !str(json_object_get(all, "trust"), k->trust, sizeof(k->trust)))
		return false;
	if ((k->backup = calloc(n + 1, sizeof(*k->backup))) == NULL)
		return false;
	for (; k->backups < n; k->backups++)
		if (!get_backup(json_array_get(list, k->backups),
		        &k->backup[k->backups]))
			return false;
	k->listed = num(all, "listed");
	(void)str(json_object_get(all, "lost"), k->lost, sizeof(k->lost));
	k->lost_at = num(all, "lost_at");
	k->system_id = (uint64_t)num(all, "system_id");
	k->segsize = (uint32_t)num(all, "segsize");
	k->base = (uint64_t)num(all, "base");
	k->walked = num(all, "walked");
	k->dirs = num(all, "dirs");
	list = json_object_get(all, "lines");
	n = json_array_size(list);
	if ((k->line = calloc(n + 1, sizeof(*k->line))) == NULL)
		return false;
	while (k->lines < n) {
		struct dr_lag_line *l = &k->line[k->lines++];

		if (!get_line(json_array_get(list, k->lines - 1), l, err))
			return false;
	}
	return true;
}

static char *
path_of(const struct dr_lag_opts *o, const char *url, const char *set,
    struct dr_err *err)
{
	char hex[DR_SHA256_HEX];

	if (dr_sha256_hex(url, strlen(url), hex, err) == -1)
		return NULL;
	return dr_fmt(err, "%s/lag/%.16s-%s.json", o->state, hex, set);
}

int
dr_lag_known_read(const struct dr_lag_opts *o, const char *url, const char *set,
    struct dr_lag_known *k, struct dr_err *err)
{
	char trust[sizeof(k->trust)] = "-", *path;
	struct dr_err none = { 0 };
	json_t *all = NULL;

	memset(k, 0, sizeof(*k));
	if (o->keys != NULL && dr_verify_keys_sum(o->keys, trust, err) == -1)
		return -1;
	if ((path = path_of(o, url, set, err)) == NULL)
		return -1;
	if (dr_jsonfile_get(path, &all, &none) != 1 || !load(all, k, &none) ||
	    strcmp(k->trust, trust) != 0)
		dr_lag_known_free(k);
	json_decref(all);
	k->path = path;
	memcpy(k->trust, trust, sizeof(trust));
	return 0;
}

/* --- writing ------------------------------------------------------------------- */

static json_t *
put_backup(const struct dr_lag_backup *b)
{
	unsigned flags = (b->trusted ? TRUSTED : 0U) |
	                 (b->pruned ? PRUNED : 0U) |
	                 (b->complete ? COMPLETE : 0U) | (b->wal ? WAL : 0U) |
	                 (b->pg ? PG : 0U) | (b->body ? BODY : 0U);

	return json_pack("[s, s, s, I, I, i, I, I, I, I, I, I, I, I, I, I]",
	    b->id, b->parent, b->object, (json_int_t)b->size,
	    (json_int_t)b->mtime, (int)flags, (json_int_t)b->started,
	    (json_int_t)b->stopped, (json_int_t)b->committed,
	    (json_int_t)b->stored, (json_int_t)b->raw, (json_int_t)b->system_id,
	    (json_int_t)b->start_lsn, (json_int_t)b->stop_lsn,
	    (json_int_t)b->tli, (json_int_t)b->segsize);
}

static json_t *
put_line(const struct dr_lag_line *l)
{
	json_t *runs = json_array(), *e;

	for (size_t i = 0; i < l->runs.n; i++)
		(void)json_array_append_new(runs,
		    json_pack("[I, I, I]", (json_int_t)l->runs.v[i].from,
		        (json_int_t)l->runs.v[i].to,
		        (json_int_t)l->runs.v[i].time));
	e = json_pack("{s:I, s:b, s:I, s:I, s:I, s:b, s:o}", "tli",
	    (json_int_t)l->tli, "history", (int)l->history, "first",
	    (json_int_t)l->first, "last_to", (json_int_t)l->last_to, "listed",
	    (json_int_t)l->listed, "parts", (int)l->parts, "runs", runs);
	if (l->last != NULL)
		(void)json_object_set_new(e, "last", json_string(l->last));
	return e;
}

int
dr_lag_known_write(const struct dr_lag_known *k, struct dr_err *err)
{
	const char *slash = strrchr(k->path, '/');
	json_t *backups = json_array(), *lines = json_array(), *all;
	char *dir = dr_fmt(err, "%.*s", (int)(slash - k->path), k->path);
	int rc = -1;

	for (size_t i = 0; i < k->backups; i++)
		(void)json_array_append_new(backups, put_backup(&k->backup[i]));
	for (size_t i = 0; i < k->lines; i++)
		(void)json_array_append_new(lines, put_line(&k->line[i]));
	all = json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}",
	    "version", VERSION, "trust", k->trust, "listed",
	    (json_int_t)k->listed, "system_id", (json_int_t)k->system_id,
	    "segsize", (json_int_t)k->segsize, "base", (json_int_t)k->base,
	    "walked", (json_int_t)k->walked, "dirs", (json_int_t)k->dirs,
	    "backups", backups, "lines", lines);
	if (k->lost[0] != '\0') {
		(void)json_object_set_new(all, "lost", json_string(k->lost));
		(void)json_object_set_new(all, "lost_at",
		    json_integer(k->lost_at));
	}
	if (dir != NULL && dr_mkdirs(dir, 0700, err) == 0)
		rc = dr_jsonfile_put_loose(k->path, all, err);
	json_decref(all);
	free(dir);
	return rc;
}

void
dr_lag_lines_free(struct dr_lag_known *k)
{
	for (size_t i = 0; i < k->lines; i++) {
		free(k->line[i].last);
		dr_lag_runs_free(&k->line[i].runs);
	}
	free(k->line);
	k->line = NULL;
	k->lines = 0;
}

void
dr_lag_known_free(struct dr_lag_known *k)
{
	dr_lag_lines_free(k);
	free(k->backup);
	free(k->path);
	memset(k, 0, sizeof(*k));
}
