#include "flow/jsonfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

int
dr_jsonfile_get(const char *path, json_t **json, struct dr_err *err)
{
	struct dr_err why = { 0 };
	size_t len;
	char *text = dr_file_get(path, DR_JSONFILE_MAX, &len, &why);

	*json = NULL;
	if (text == NULL) {
		if (errno == ENOENT)
			return 0;
		*err = why;
		return -1;
	}
	*json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	if (json_is_object(*json))
		return 1;
	json_decref(*json);
	*json = NULL;
	return dr_err_set(err, DR_EFAIL, "\"%s\" is damaged", path);
}

int
dr_jsonfile_put(const char *path, const json_t *json, struct dr_err *err)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	int rc;

	if (text == NULL)
		return dr_err_set(err, DR_EFAIL,
		    "cannot write \"%s\": no memory", path);
	rc = dr_file_put(path, 0600, DR_FILE_REPLACE, text, strlen(text), err);
	free(text);
	return rc;
}

int
dr_jsonfile_put_loose(const char *path, const json_t *json, struct dr_err *err)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
	struct dr_file f = DR_FILE_INIT;
	int rc = -1;

	if (text == NULL)
		return dr_err_set(err, DR_EFAIL,
		    "cannot write \"%s\": no memory", path);
	if (dr_file_create(&f, path, 0600, err) == 0 &&
	    dr_fd_write(f.fd, text, strlen(text), path, err) == 0) {
		rc = 0;
		if (rename(f.tmp, path) == -1)
			rc = dr_err_sys(err, "cannot write \"%s\"", path);
	}
	dr_file_abandon(&f);
	free(text);
	return rc;
}
