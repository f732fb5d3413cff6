#include "flow/promote_local.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"

#define RECORD_MAX 4096
#define LOCK_MS    200

/* STATE/promote/SET/NAME; the caller's. */
static char *
place(const char *state, const char *set, const char *name, struct dr_err *err)
{
	return dr_fmt(err, "%s/promote/%s/%s", state, set, name);
}

/* 1 and *TEXT, 0 there is none, -1. */
static int
get(const char *state, const char *set, const char *name, char **text,
    struct dr_err *err)
{
	char *path = place(state, set, name, err);
	struct dr_err bad = { 0 };
	int rc = -1;

	if (path == NULL)
		return -1;
	*text = dr_file_get(path, RECORD_MAX, NULL, &bad);
	if (*text != NULL)
		rc = 1;
	else if (errno == ENOENT)
		rc = 0;
	else
		*err = bad;
	free(path);
	return rc;
}

static int
put(const char *state, const char *set, const char *name,
    const struct dr_buf *text, struct dr_err *err)
{
	char *path = place(state, set, name, err);
	int rc = -1;

	if (path != NULL && text != NULL)
		rc = dr_file_put(path, 0644, DR_FILE_REPLACE, text->data,
		    text->len, err);
	else if (path != NULL && unlink(path) == -1 && errno != ENOENT)
		dr_err_sys(err, "cannot remove \"%s\"", path);
	else if (path != NULL)
		rc = dr_sync_parent(path, err);
	free(path);
	return rc;
}

int
dr_promote_local_load(const char *state, const char *set,
    struct dr_promote_look *look, struct dr_err *err)
{
	char *text = NULL;
	int n;

	if ((n = get(state, set, "intent.json", &text, err)) == -1)
		return -1;
	if (n == 1) {
		look->has_intent = true;
		n = dr_rec_intent_get(text, &look->intent, err);
		free(text);
		if (n == -1)
			return -1;
	}
	if ((n = get(state, set, "epoch.json", &text, err)) == -1)
		return -1;
	if (n == 1) {
		look->has_epoch = true;
		n = dr_rec_epoch_get(text, &look->epoch, err);
		free(text);
		if (n == -1)
			return -1;
	}
	return 0;
}

int
dr_promote_local_lock(const char *state, const char *set, struct dr_err *err)
{
	char *dir = dr_fmt(err, "%s/promote/%s", state, set);
	char *path = place(state, set, "lock", err);
	int fd = -1;

	if (dir != NULL && path != NULL && dr_mkdirs(dir, 0755, err) == 0)
		fd = dr_lock(path, LOCK_MS, err);
	free(dir);
	free(path);
	return fd;
}

int
dr_promote_local_intent(const char *state, const char *set,
    const struct dr_rec_intent *i, struct dr_err *err)
{
	struct dr_buf text = { .max = RECORD_MAX };
	int rc = -1;

	if (i == NULL)
		return put(state, set, "intent.json", NULL, err);
	if (dr_rec_intent_put(i, &text, err) == 0)
		rc = put(state, set, "intent.json", &text, err);
	dr_buf_free(&text);
	return rc;
}

int
dr_promote_local_epoch(const char *state, const char *set,
    const struct dr_rec_epoch *e, struct dr_err *err)
{
	struct dr_buf text = { .max = RECORD_MAX };
	int rc = -1;

	if (dr_rec_epoch_put(e, &text, err) == 0)
		rc = put(state, set, "epoch.json", &text, err);
	dr_buf_free(&text);
	return rc;
}
