#include "flow/walseen.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"

#define FILE_MAX 65536U

static char *
path_of(const struct dr_walseen_at *at, struct dr_err *err)
{
	char hex[DR_SHA256_HEX];

	if (dr_sha256_hex(at->url, strlen(at->url), hex, err) == -1)
		return NULL;
	return dr_fmt(err, "%s/seen/wal-%.16s-%s-%llu-%s.json", at->state, hex,
	    at->set, (unsigned long long)at->system_id, at->signer);
}

/* 1 and *O, 0 absent, -1. */
static int
load(const char *path, json_t **o, struct dr_err *err)
{
	struct dr_err why = { 0 };
	size_t len;
	char *text = dr_file_get(path, FILE_MAX, &len, &why);

	if (text == NULL) {
		if (errno == ENOENT)
			return 0;
		*err = why;
		return -1;
	}
	*o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	if (json_is_object(*o))
		return 1;
	json_decref(*o);
	return dr_err_set(err, DR_EFAIL, "\"%s\" is damaged", path);
}

int
dr_walseen_get(const struct dr_walseen_at *at, struct dr_walseen *seen,
    struct dr_err *err)
{
	char *path = path_of(at, err);
	const char *name, *sha;
	json_t *o;
	json_int_t n;
	int rc = -1;

	if (path != NULL && (rc = load(path, &o, err)) == 1) {
		name = json_string_value(json_object_get(o, "name"));
		sha = json_string_value(json_object_get(o, "sha256"));
		n = json_integer_value(json_object_get(o, "n"));
		if (name == NULL || strlen(name) >= sizeof(seen->name) ||
		    sha == NULL || strlen(sha) != DR_SHA256_HEX - 1 || n < 1)
			rc = dr_err_set(err, DR_EFAIL, "\"%s\" is damaged",
			    path);
		else {
			seen->n = (uint64_t)n;
			memcpy(seen->name, name, strlen(name) + 1);
			memcpy(seen->sha256, sha, DR_SHA256_HEX);
		}
		json_decref(o);
	}
	free(path);
	return rc;
}

int
dr_walseen_put(const struct dr_walseen_at *at, const struct dr_walseen *seen,
    struct dr_err *err)
{
	struct dr_buf text = { .max = FILE_MAX };
	char *path = path_of(at, err), *dir = NULL, id[24];
	struct dr_json j;
	int rc = -1;

	(void)snprintf(id, sizeof(id), "%llu",
	    (unsigned long long)at->system_id);
	dr_json_init(&j, &text);
	dr_json_object(&j, NULL);
	dr_json_str(&j, "url", at->url);
	dr_json_str(&j, "set", at->set);
	dr_json_str(&j, "signer", at->signer);
	dr_json_str(&j, "system_id", id);
	dr_json_uint(&j, "n", seen->n);
	dr_json_str(&j, "name", seen->name);
	dr_json_str(&j, "sha256", seen->sha256);
	dr_json_close(&j, '}');
	if (path != NULL && dr_json_end(&j, err) == 0 &&
	    (dir = dr_fmt(err, "%s/seen", at->state)) != NULL &&
	    dr_mkdirs(dir, 0755, err) == 0)
		rc = dr_file_put(path, 0600, DR_FILE_REPLACE, text.data,
		    text.len, err);
	dr_buf_free(&text);
	free(dir);
	free(path);
	return rc;
}

static int
one(const char *path, const char *url, const char *set,
    int (*fn)(void *, uint64_t, const char *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	const char *u, *s, *signer, *id;
	json_t *o = NULL;
	int rc;

	if ((rc = load(path, &o, err)) != 1)
		return rc;
	rc = 0;
	if (json_unpack(o, "{s:s, s:s, s:s, s:s}", "url", &u, "set", &s,
	        "signer", &signer, "system_id", &id) == 0 &&
	    strcmp(u, url) == 0 && strcmp(s, set) == 0)
		rc = fn(arg, strtoull(id, NULL, 10), signer, err);
	json_decref(o);
	return rc;
}

int
dr_walseen_each(const char *state, const char *url, const char *set,
    int (*fn)(void *, uint64_t, const char *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	char *dir = dr_fmt(err, "%s/seen", state), *path;
	const struct dirent *e;
	DIR *d = NULL;
	int rc = -1;

	if (dir == NULL)
		return -1;
	if ((d = opendir(dir)) == NULL) {
		rc = errno == ENOENT
		         ? 0
		         : dr_err_sys(err, "cannot read \"%s\"", dir);
		goto out;
	}
	for (rc = 0; rc == 0 && (e = readdir(d)) != NULL;) {
		if (strncmp(e->d_name, "wal-", 4) != 0)
			continue;
		path = dr_fmt(err, "%s/%s", dir, e->d_name);
		rc = path == NULL ? -1 : one(path, url, set, fn, arg, err);
		free(path);
	}

out:
	if (d != NULL)
		closedir(d);
	free(dir);
	return rc;
}
