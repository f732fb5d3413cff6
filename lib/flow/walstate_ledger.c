/* The newest ledger, and those on their way into the stores. */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/num.h"
#include "flow/jsonfile.h"
#include "flow/walstate_int.h"

#define PENDING_MAX (4 * DR_LEDGER_MAX)

void
dr_wal_head_wipe(struct dr_wal_head *h)
{
	free(h->name);
	memset(h, 0, sizeof(*h));
}

void
dr_wal_pending_wipe(struct dr_wal_pending *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->owed[i]);
	free(p->text);
	free(p->minisig);
	dr_wal_head_wipe(&p->head);
	memset(p, 0, sizeof(*p));
}

int
dr_wal_pending_add(struct dr_wal_pending *p, const char *url,
    struct dr_err *err)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->owed[i], url) == 0)
			return 0;
	if (p->n == DR_INTENT_STORES)
		return dr_err_set(err, DR_EFAIL, "more than %d stores",
		    DR_INTENT_STORES);
	if ((p->owed[p->n] = dr_fmt(err, "%s", url)) == NULL)
		return -1;
	p->n++;
	return 0;
}

int
dr_walstate_ledger_lock(struct dr_walstate *s, uint64_t ms, struct dr_err *err)
{
	char *path = dr_walstate_path(s, "ledger.lock", err);
	int fd = path == NULL ? -1 : dr_lock(path, ms, err);

	if (fd != -1 && futimens(fd, NULL) == -1) {
		dr_err_sys(err, "cannot write \"%s\"", path);
		close(fd);
		fd = -1;
	}
	free(path);
	return fd;
}

/* --- as text ------------------------------------------------------------------ */

static void
head_fields(struct dr_json *j, const struct dr_wal_head *h)
{
	dr_json_uint(j, "n", h->n);
	dr_json_str(j, "name", h->name);
	dr_json_str(j, "sha256", h->sha256);
	dr_json_int(j, "time", h->time);
	dr_json_uint(j, "timeline", h->tli);
}

/* 1, 0 malformed, -1. */
static int
head_from(const json_t *o, struct dr_wal_head *h, struct dr_err *err)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const char *sha = json_string_value(json_object_get(o, "sha256"));
	json_int_t n = json_integer_value(json_object_get(o, "n"));

	if (name == NULL || sha == NULL || strlen(sha) != DR_SHA256_HEX - 1 ||
	    n < 1)
		return 0;
	h->n = (uint64_t)n;
	h->time = json_integer_value(json_object_get(o, "time"));
	h->tli = (uint32_t)json_integer_value(json_object_get(o, "timeline"));
	memcpy(h->sha256, sha, DR_SHA256_HEX);
	return (h->name = dr_fmt(err, "%s", name)) == NULL ? -1 : 1;
}

static int
store(char *path, struct dr_json *j, struct dr_buf *text, struct dr_err *err)
{
	int rc = -1;

	if (path != NULL && dr_json_end(j, err) == 0)
		rc = dr_file_put(path, 0600, DR_FILE_REPLACE, text->data,
		    text->len, err);
	dr_buf_free(text);
	free(path);
	return rc;
}

int
dr_walstate_head(struct dr_walstate *s, struct dr_wal_head *h,
    struct dr_err *err)
{
	char *path = dr_walstate_path(s, "head.json", err);
	json_t *o = NULL;
	int rc = -1;

	memset(h, 0, sizeof(*h));
	if (path == NULL || (rc = dr_jsonfile_get(path, &o, err)) != 1)
		goto out;
	if ((rc = head_from(o, h, err)) == 0)
		rc = dr_err_set(err, DR_EFAIL, "\"%s\" is damaged", path);

out:
	json_decref(o);
	free(path);
	return rc;
}

int
dr_walstate_set_head(struct dr_walstate *s, const struct dr_wal_head *h,
    struct dr_err *err)
{
	struct dr_buf text = { .max = 65536 };
	struct dr_json j;

	dr_json_init(&j, &text);
	dr_json_object(&j, NULL);
	head_fields(&j, h);
	dr_json_close(&j, '}');
	return store(dr_walstate_path(s, "head.json", err), &j, &text, err);
}

static char *
pending_path(struct dr_walstate *s, uint64_t n, struct dr_err *err)
{
	return dr_fmt(err, "%s/ledger-%llu.json", s->dir,
	    (unsigned long long)n);
}

int
dr_walstate_save(struct dr_walstate *s, const struct dr_wal_pending *p,
    struct dr_err *err)
{
	struct dr_buf text = { .max = PENDING_MAX };
	char *path = pending_path(s, p->head.n, err);
	struct dr_json j;

	if (path == NULL)
		return -1;
	if (p->n == 0) {
		/* Should it come back, it is only put again. */
		if (unlink(path) == -1 && errno != ENOENT)
			dr_err_sys(err, "cannot remove \"%s\"", path);
		free(path);
		return 0;
	}
	dr_json_init(&j, &text);
	dr_json_object(&j, NULL);
	head_fields(&j, &p->head);
	dr_json_array(&j, "owed");
	for (size_t i = 0; i < p->n; i++)
		dr_json_str(&j, NULL, p->owed[i]);
	dr_json_close(&j, ']');
	dr_json_str(&j, "ledger", p->text);
	dr_json_str(&j, "minisig", p->minisig);
	dr_json_close(&j, '}');
	return store(path, &j, &text, err);
}

static int
pending_from(const json_t *o, const char *path, struct dr_wal_pending *p,
    struct dr_err *err)
{
	const json_t *owed = json_object_get(o, "owed"), *e;
	const char *text = json_string_value(json_object_get(o, "ledger"));
	const char *sig = json_string_value(json_object_get(o, "minisig"));
	size_t i;
	int rc;

	memset(p, 0, sizeof(*p));
	if ((rc = head_from(o, &p->head, err)) == -1)
		goto fail;
	if (rc == 0 || text == NULL || sig == NULL) {
		dr_err_set(err, DR_EFAIL, "\"%s\" is damaged", path);
		goto fail;
	}
	if ((p->text = dr_fmt(err, "%s", text)) == NULL ||
	    (p->minisig = dr_fmt(err, "%s", sig)) == NULL)
		goto fail;
	json_array_foreach(owed, i, e)
		if (json_is_string(e) &&
		    dr_wal_pending_add(p, json_string_value(e), err) == -1)
			goto fail;
	return 0;

fail:
	dr_wal_pending_wipe(p);
	return -1;
}

int
dr_walstate_load(struct dr_walstate *s, uint64_t n, struct dr_wal_pending *p,
    struct dr_err *err)
{
	char *path = pending_path(s, n, err);
	json_t *o = NULL;
	int rc = -1;

	memset(p, 0, sizeof(*p));
	if (path != NULL && (rc = dr_jsonfile_get(path, &o, err)) == 1)
		rc = pending_from(o, path, p, err) == -1 ? -1 : 1;
	json_decref(o);
	free(path);
	return rc;
}

static bool
is_pending(const char *name, uint64_t *n)
{
	const char *end;
	char *last;

	if (strncmp(name, "ledger-", 7) != 0)
		return false;
	end = name + 7 + strspn(name + 7, "0123456789");
	if (end == name + 7 || end - name > 7 + 10 || strcmp(end, ".json") != 0)
		return false;
	*n = strtoull(name + 7, &last, 10);
	return true;
}

static int
by_n(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int
dr_walstate_pending(struct dr_walstate *s, uint64_t **v, size_t *n,
    struct dr_err *err)
{
	const struct dirent *e;
	uint64_t *more, one;
	int rc = 0;
	DIR *dir;

	*v = NULL;
	*n = 0;
	if ((dir = opendir(s->dir)) == NULL)
		return dr_err_sys(err, "cannot read \"%s\"", s->dir);
	while (rc == 0 && (e = readdir(dir)) != NULL) {
		if (!is_pending(e->d_name, &one))
			continue;
		if ((more = reallocarray(*v, *n + 1, sizeof(*more))) == NULL) {
			rc = dr_err_sys(err, "cannot read \"%s\"", s->dir);
			break;
		}
		*v = more;
		more[(*n)++] = one;
	}
	closedir(dir);
	if (rc == -1) {
		free(*v);
		*v = NULL;
		*n = 0;
	} else if (*n > 1)
		qsort(*v, *n, sizeof(**v), by_n);
	return rc;
}

/* --- what is due ---------------------------------------------------------------- */

/* The time in the journal's first line: records are in order. */
static int64_t
first_time(const char *path, uint64_t *size)
{
	char line[4096], *comma;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;
	long long t = 0;

	/* What cannot be read is looked into soon, too. */
	if (fd == -1)
		return errno == ENOENT ? 0 : 1;
	if ((n = pread(fd, line, sizeof(line) - 1, 0)) == -1)
		t = 1;
	if (n > 0 && line[0] != '\0') {
		line[n] = '\0';
		/* ["intent",TIME,... or ["gap",TIME,... */
		if ((comma = strchr(line, ',')) != NULL)
			t = strtoll(comma + 1, NULL, 10);
		/* Torn or damaged: look into it soon. */
		if (t <= 0)
			t = 1;
	}
	if (fstat(fd, &st) == 0)
		*size = (uint64_t)st.st_size;
	close(fd);
	return t;
}

void
dr_walstate_times(const struct dr_walstate *s, struct dr_walstate_times *t)
{
	struct dr_wal_head h;
	struct dr_err ignored = { 0 };
	const struct dirent *e;
	struct stat st;
	uint64_t n;
	char *path;
	DIR *dir;
	json_t *o;
	bool blind = false;
	int got;

	memset(t, 0, sizeof(*t));
	if ((path = dr_walstate_path(s, "journal", &ignored)) != NULL)
		t->oldest = first_time(path, &t->journal);
	else
		blind = true;
	free(path);
	if ((path = dr_walstate_path(s, "ledger.lock", &ignored)) != NULL &&
	    stat(path, &st) == 0)
		t->tried = (int64_t)st.st_mtim.tv_sec * 1000000 +
		           st.st_mtim.tv_nsec / 1000;
	free(path);
	got = -1;
	if ((path = dr_walstate_path(s, "head.json", &ignored)) != NULL &&
	    (got = dr_jsonfile_get(path, &o, &ignored)) == 1) {
		memset(&h, 0, sizeof(h));
		if ((got = head_from(o, &h, &ignored)) == 1)
			t->newest = h.time;
		dr_wal_head_wipe(&h);
		json_decref(o);
	}
	free(path);
	blind |= got == -1;
	if ((dir = opendir(s->dir)) == NULL)
		blind |= errno != ENOENT;
	while (dir != NULL && (e = readdir(dir)) != NULL)
		t->pending |= is_pending(e->d_name, &n);
	if (dir != NULL)
		closedir(dir);
	/* What cannot be read is looked into soon, and told of there. */
	if (blind)
		t->oldest = 1;
}
