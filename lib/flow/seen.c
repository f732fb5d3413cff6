#include "flow/seen.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "flow/jsonfile.h"
#include "flow/state.h"

#define WAL "wal-"

static char *
path_of(const struct dr_seen_at *at, bool wal, struct dr_err *err)
{
	char hex[DR_SHA256_HEX], id[24] = "";

	if (dr_sha256_hex(at->url, strlen(at->url), hex, err) == -1)
		return NULL;
	if (wal)
		snprintf(id, sizeof(id), "%" PRIu64 "-", at->system_id);
	return dr_fmt(err, "%s/seen/%s%.16s-%s-%s%s.json", at->state,
	    wal ? WAL : "", hex, at->set, id, at->signer);
}

static int
damaged(const char *path, struct dr_err *err)
{
	return dr_err_set(err, DR_EFAIL, "\"%s\" is damaged", path);
}

/* 1 and *JSON, 0, -1; *PATH is the caller's. */
static int
get(const struct dr_seen_at *at, bool wal, char **path, json_t **json,
    struct dr_err *err)
{
	*json = NULL;
	if ((*path = path_of(at, wal, err)) == NULL)
		return -1;
	return dr_jsonfile_get(*path, json, err);
}

/* Takes JSON; NULL: there was no memory. */
static int
put(const struct dr_seen_at *at, bool wal, json_t *json, struct dr_err *err)
{
	char *dir = dr_fmt(err, "%s/seen", at->state);
	char *path = path_of(at, wal, err);
	int rc = -1;

	if (dir != NULL && path != NULL && dr_mkdirs(dir, 0755, err) == 0)
		rc = dr_jsonfile_put(path, json, err);
	json_decref(json);
	free(path);
	free(dir);
	return rc;
}

int
dr_seen_heads(const struct dr_seen_at *at, struct dr_heads *heads,
    struct dr_err *err)
{
	json_t *json, *entry;
	char *path;
	size_t i;
	int rc;

	heads->n = 0;
	if ((rc = get(at, false, &path, &json, err)) == 1) {
		rc = 0;
		json_array_foreach(json_object_get(json, "heads"), i, entry) {
			if (heads->n == DR_HEADS_MAX ||
			    !dr_head_get(entry, &heads->v[heads->n])) {
				rc = damaged(path, err);
				break;
			}
			heads->n++;
		}
	}
	json_decref(json);
	free(path);
	return rc;
}

int
dr_seen_put_heads(const struct dr_seen_at *at, const struct dr_heads *heads,
    struct dr_err *err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < heads->n; i++)
		(void)json_array_append_new(list, dr_head_json(&heads->v[i]));
	if (json_array_size(list) != heads->n) {
		json_decref(list);
		return dr_err_set(err, DR_EFAIL, "cannot keep the heads seen");
	}
	return put(at, false,
	    json_pack("{s:s, s:s, s:s, s:o}", "url", at->url, "set", at->set,
	        "signer", at->signer, "heads", list),
	    err);
}

int
dr_seen_ledger(const struct dr_seen_at *at, struct dr_seen_ledger *seen,
    struct dr_err *err)
{
	const char *name, *sha;
	json_int_t n;
	json_t *json;
	char *path;
	int rc;

	if ((rc = get(at, true, &path, &json, err)) == 1) {
		name = json_string_value(json_object_get(json, "name"));
		sha = json_string_value(json_object_get(json, "sha256"));
		n = json_integer_value(json_object_get(json, "n"));
		if (name == NULL || strlen(name) >= sizeof(seen->name) ||
		    sha == NULL || strlen(sha) != DR_SHA256_HEX - 1 || n < 1)
			rc = damaged(path, err);
		else {
			seen->n = (uint64_t)n;
			memcpy(seen->name, name, strlen(name) + 1);
			memcpy(seen->sha256, sha, DR_SHA256_HEX);
		}
	}
	json_decref(json);
	free(path);
	return rc;
}

int
dr_seen_put_ledger(const struct dr_seen_at *at,
    const struct dr_seen_ledger *seen, struct dr_err *err)
{
	char id[24];

	snprintf(id, sizeof(id), "%" PRIu64, at->system_id);
	return put(at, true,
	    json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s}", "url", at->url,
	        "set", at->set, "signer", at->signer, "system_id", id, "n",
	        (json_int_t)seen->n, "name", seen->name, "sha256",
	        seen->sha256),
	    err);
}

struct each {
	const struct dr_seen_at *at;
	bool wal;
	int (*fn)(void *, const struct dr_seen_at *, struct dr_err *);
	void *arg;
};

static int
one(const struct each *e, const char *path, struct dr_err *err)
{
	struct dr_seen_at found = { .state = e->at->state };
	const char *id = "0";
	json_t *json;
	int rc;

	if ((rc = dr_jsonfile_get(path, &json, err)) != 1)
		return rc;
	rc = 0;
	if (json_unpack(json, "{s:s, s:s, s:s, s?s}", "url", &found.url, "set",
	        &found.set, "signer", &found.signer, "system_id", &id) == 0 &&
	    strcmp(found.url, e->at->url) == 0 &&
	    (e->at->set == NULL || strcmp(found.set, e->at->set) == 0)) {
		found.system_id = strtoull(id, NULL, 10);
		rc = e->fn(e->arg, &found, err);
	}
	json_decref(json);
	return rc;
}

static int
each(const struct each *e, struct dr_err *err)
{
	char *dir = dr_fmt(err, "%s/seen", e->at->state), *path;
	const struct dirent *d;
	DIR *all;
	int rc = 0;

	if (dir == NULL)
		return -1;
	if ((all = opendir(dir)) == NULL) {
		if (errno != ENOENT)
			rc = dr_err_sys(err, "cannot read \"%s\"", dir);
		free(dir);
		return rc;
	}
	while (rc == 0 && (d = readdir(all)) != NULL) {
		bool wal = strncmp(d->d_name, WAL, strlen(WAL)) == 0;

		if (d->d_name[0] == '.' || wal != e->wal)
			continue;
		path = dr_fmt(err, "%s/%s", dir, d->d_name);
		rc = path == NULL ? -1 : one(e, path, err);
		free(path);
	}
	closedir(all);
	free(dir);
	return rc;
}

int
dr_seen_each_heads(const struct dr_seen_at *at,
    int (*fn)(void *, const struct dr_seen_at *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	return each(&(struct each){ at, false, fn, arg }, err);
}

int
dr_seen_each_ledger(const struct dr_seen_at *at,
    int (*fn)(void *, const struct dr_seen_at *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	return each(&(struct each){ at, true, fn, arg }, err);
}
