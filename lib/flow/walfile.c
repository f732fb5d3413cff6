#include "flow/walfile.h"

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"

#define CONTROL_MAX 65536U
#define HISTORY_MAX (1U << 20)
#define SEGMENT_MAX (1U << 30)
#define HUGE        (2U << 20)
#define PIECE       (1U << 20)
#define LABEL       "START WAL LOCATION: "

char *
dr_walfile_beside(const char *path, unsigned n, const char *name,
    struct dr_err *err)
{
	size_t len = strlen(path);

	for (; n > 0; n--) {
		while (len > 0 && path[len - 1] != '/')
			len--;
		while (len > 1 && path[len - 1] == '/')
			len--;
		if (len == 0)
			break;
	}
	/* "x" and "pg_wal/x" lie in "." and "./pg_wal". */
	if (len == 0)
		return dr_fmt(err, "%s%s", n > 1 ? "../" : "", name);
	if (len == 1 && path[0] == '/')
		return dr_fmt(err, "/%s", name);
	return dr_fmt(err, "%.*s/%s", (int)len, path, name);
}

int
dr_walfile_name(const char *path, struct dr_wal_id *id, struct dr_err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;

	if (dr_wal_name(name, &id->file, err) == -1)
		return -1;
	snprintf(id->name, sizeof(id->name), "%s", name);
	return 0;
}

int
dr_walfile_system(const char *path, uint64_t *system_id, struct dr_err *err)
{
	struct dr_err ignored = { 0 };
	char *control, *text;
	size_t len;
	int rc = 0;

	control = dr_walfile_beside(path, 2, "global/pg_control", err);
	if (control == NULL)
		return -1;
	text = dr_file_get(control, CONTROL_MAX, &len, &ignored);
	if (text != NULL) {
		rc = dr_wal_control(text, len, system_id, err) == 0 ? 1 : -1;
		if (rc == -1)
			dr_err_wrap(err, "\"%s\"", control);
	}
	free(text);
	free(control);
	return rc;
}

/* Memory for all of it, in fewer, larger pages where the system has them. */
static int
make_room(struct dr_walfile *w, int fd, const char *path, struct dr_err *err)
{
	if (fstat(fd, &w->st) == -1)
		return dr_err_sys(err, "cannot look at \"%s\"", path);
	if (!S_ISREG(w->st.st_mode) || w->st.st_size > SEGMENT_MAX)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is no WAL file: not a regular file of at most "
		    "1 GiB",
		    path);
	w->len = (size_t)w->st.st_size;
	w->room = (w->len / HUGE + 1) * HUGE;
	if (posix_memalign(&w->data, HUGE, w->room) != 0) {
		w->data = NULL;
		return dr_err_set(err, DR_EFAIL, "cannot allocate %zu bytes",
		    w->room);
	}
	(void)madvise(w->data, w->room, MADV_HUGEPAGE);
	return 0;
}

static int
changed(const char *path, struct dr_err *err)
{
	return dr_err_set(err, DR_EDATA, "\"%s\" changed while it was read",
	    path);
}

/* The N bytes at AT. */
static int
read_piece(struct dr_walfile *w, int fd, size_t at, size_t n, const char *path,
    struct dr_err *err)
{
	ssize_t got = dr_fd_fill(fd, (char *)w->data + at, n, path, err);

	if (got == -1)
		return -1;
	return (size_t)got == n ? 0 : changed(path, err);
}

/* The history of the file's timeline: 1, 0 none beside it, -1. */
static int
history(const struct dr_walfile *w, const char *path, struct dr_history *h,
    struct dr_err *err)
{
	struct dr_err ignored = { 0 };
	char name[DR_WAL_NAME_MAX], *file, *text;
	size_t len;
	int rc = 0;

	snprintf(name, sizeof(name), "%08X.history", w->id.file.tli);
	if ((file = dr_walfile_beside(path, 1, name, err)) == NULL)
		return -1;
	text = dr_file_get(file, HISTORY_MAX, &len, &ignored);
	if (text != NULL)
		rc = dr_history_parse(text, len, w->id.file.tli, h, err) == 0
		         ? 1
		         : -1;
	free(text);
	free(file);
	return rc;
}

static int
check_segment(struct dr_walfile *w, const char *path, uint64_t system_id,
    struct dr_err *err)
{
	struct dr_history h = { 0 };
	struct dr_wal_page page;
	int known = 0, rc;

	if (dr_wal_page(w->data, w->len, &page, err) == -1)
		return -1;
	if (page.segsize != w->len)
		return dr_err_set(err, DR_EDATA,
		    "it has %zu bytes, and its segments have %u", w->len,
		    page.segsize);
	if (page.tli != w->id.file.tli &&
	    (known = history(w, path, &h, err)) == -1)
		return -1;
	rc = dr_wal_check(&w->id.file, &page, system_id, known == 1 ? &h : NULL,
	    err);
	dr_history_free(&h);
	w->segsize = page.segsize;
	w->id.system_id = page.system_id;
	return rc;
}

static int
check_text(struct dr_walfile *w, uint64_t system_id, struct dr_err *err)
{
	struct dr_history h = { 0 };

	w->id.system_id = system_id;
	if (w->len > PIECE)
		return dr_err_set(err, DR_EDATA, "it has %zu bytes", w->len);
	if (system_id == 0) {
		dr_err_set(err, DR_EFAIL,
		    "which cluster it is of is not known: there is no "
		    "global/pg_control above it");
		return dr_err_hint(err,
		    "run it where the server runs archive_command: in the "
		    "data directory, with pg_wal/NAME");
	}
	if (w->id.file.kind == DR_WAL_HISTORY) {
		if (dr_history_parse(w->data, w->len, w->id.file.tli, &h,
		        err) == -1)
			return -1;
		dr_history_free(&h);
	} else if (w->len < sizeof(LABEL) ||
	           memcmp(w->data, LABEL, sizeof(LABEL) - 1) != 0)
		return dr_err_set(err, DR_EDATA, "it is no backup's label");
	return 0;
}

/* It belongs there, by its first piece. */
static int
check(struct dr_walfile *w, const char *path, uint64_t system_id,
    struct dr_err *err)
{
	int rc;

	if (w->id.file.kind == DR_WAL_SEGMENT ||
	    w->id.file.kind == DR_WAL_PARTIAL)
		rc = check_segment(w, path, system_id, err);
	else
		rc = check_text(w, system_id, err);
	return rc == 0 ? 0 : dr_err_wrap(err, "\"%s\" is not stored", path);
}

/*
 * All of it into memory of our own: it is hashed and compressed apart, and
 * both must see the same bytes.
 */
static int
read_all(struct dr_walfile *w, int fd, const char *path, uint64_t system_id,
    int workers, struct dr_err *err)
{
	size_t at = w->len < PIECE ? w->len : PIECE;
	size_t n;
	ssize_t more;
	char over;

	if (read_piece(w, fd, 0, at, path, err) == -1 ||
	    check(w, path, system_id, err) == -1 ||
	    dr_wal_begin(&w->id, w->data, w->len, 0, workers, err) == -1 ||
	    dr_wal_fed(&w->id, at, err) == -1)
		return -1;
	for (; at < w->len; at += n) {
		n = w->len - at < PIECE ? w->len - at : PIECE;
		if (read_piece(w, fd, at, n, path, err) == -1 ||
		    dr_wal_fed(&w->id, at + n, err) == -1)
			return -1;
	}
	if ((more = dr_fd_fill(fd, &over, 1, path, err)) == -1)
		return -1;
	return more == 0 ? 0 : changed(path, err);
}

int
dr_walfile_open(struct dr_walfile *w, const char *path, const char *set,
    int workers, struct dr_err *err)
{
	uint64_t system_id = 0;
	int fd = -1, rc = -1;

	memset(w, 0, sizeof(*w));
	w->id.set = set;
	if (dr_walfile_name(path, &w->id, err) == -1 ||
	    dr_walfile_system(path, &system_id, err) == -1)
		return -1;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return dr_err_sys(err, "cannot open \"%s\"", path);
	if (make_room(w, fd, path, err) == 0)
		rc = read_all(w, fd, path, system_id, workers, err);
	close(fd);
	if (rc == -1)
		dr_walfile_close(w);
	return rc;
}

void
dr_walfile_close(struct dr_walfile *w)
{
	dr_wal_drop(&w->id);
	free(w->data);
	w->data = NULL;
}
