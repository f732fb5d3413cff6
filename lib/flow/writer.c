#include "flow/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "archive/tarwalk.h"
#include "base/hash.h"
#include "flow/delta.h"

#define KEPT_ONE   (4U << 20)  /* largest member kept in memory */
#define KEPT_ALL   (32U << 20) /* and all of them */
#define FLUSH_FROM (256U << 10)

struct dr_wfile {
	struct dr_writer *w;
	TAILQ_ENTRY(dr_wfile) link;
	pthread_mutex_t lock; /* held while the first piece opens it */
	int root, fd;
	unsigned char *mem; /* kept in memory, no fd */
	uint64_t size;
	uint64_t old; /* so many bytes may be there already */
	_Atomic uint64_t left, written;
	_Atomic uint32_t crc;
	uint32_t want;
	bool check;
	const char *rest; /* within path */
	char path[];
};

TAILQ_HEAD(wfiles, dr_wfile);

struct dr_writer {
	struct dr_place *place;
	bool as_is;
	pthread_mutex_t lock; /* for live */
	struct wfiles live;   /* named and not yet whole */
	struct kept {
		char *path;
		unsigned char *data;
		size_t len;
	} * kept;
	size_t nkept;
	uint64_t kept_bytes;
	struct dr_writer_facts facts;
};

struct dr_writer *
dr_writer_new(struct dr_place *place, bool as_is, struct dr_err *err)
{
	struct dr_writer *w;

	if ((w = calloc(1, sizeof(*w))) == NULL) {
		dr_err_sys(err, "cannot allocate a writer");
		return NULL;
	}
	if (pthread_mutex_init(&w->lock, NULL) != 0) {
		dr_err_set(err, DR_EFAIL, "cannot make a lock");
		free(w);
		return NULL;
	}
	w->place = place;
	w->as_is = as_is;
	TAILQ_INIT(&w->live);
	return w;
}

static void
wfile_free(struct dr_wfile *f)
{
	if (f->fd != -1)
		close(f->fd);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

void
dr_writer_free(struct dr_writer *w)
{
	struct dr_wfile *f;

	if (w == NULL)
		return;
	while ((f = TAILQ_FIRST(&w->live)) != NULL) {
		TAILQ_REMOVE(&w->live, f, link);
		wfile_free(f);
	}
	for (size_t i = 0; i < w->nkept; i++) {
		free(w->kept[i].path);
		free(w->kept[i].data);
	}
	free(w->kept);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* No "." and no empty component: names are compared as text. */
static bool
is_plain(const char *path)
{
	size_t len;

	for (const char *p = path; *p != '\0'; p += len) {
		len = strcspn(p, "/");
		if (len == 0 || (len == 1 && *p == '.'))
			return false;
		if (p[len] == '/')
			len++;
	}
	return true;
}

/* Servers write some names with "./" before them. */
static const char *
bare(const char *path)
{
	while (path[0] == '.' && path[1] == '/')
		path += 2;
	return path;
}

int
dr_writer_allows(const struct dr_writer_member *m, struct dr_err *err)
{
	const char *path = bare(m->path);

	if (m->type == '5' && m->path[0] == '.' &&
	    (*path == '\0' || strcmp(path, ".") == 0))
		return 0;
	if (!dr_path_safe(path) || !is_plain(path))
		return dr_err_set(err, DR_EDATA,
		    "a member of the backup may not be written: \"%s\"",
		    m->path);
	if (m->type != '0' && m->type != '5')
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is of a type (%c) that has no place in a "
		    "cluster's backup",
		    m->path, m->type);
	return 0;
}

static bool
under(const char *path, const char *dir)
{
	return strncmp(path, dir, strlen(dir)) == 0;
}

enum fate { WRITE, KEEP, SKIP };

static enum fate
fate(const struct dr_writer *w, const char *path)
{
	if (strcmp(path, "global/pg_control") == 0 ||
	    strcmp(path, ".drtools/report.json") == 0 ||
	    under(path, ".drtools/config/"))
		return KEEP;
	if (under(path, ".drtools/") || strcmp(path, ".drtools") == 0)
		return SKIP;
	if (!w->as_is && (strcmp(path, "recovery.signal") == 0 ||
	                     strcmp(path, "standby.signal") == 0))
		return SKIP;
	return WRITE;
}

static int
keep(struct dr_writer *w, const char *path, uint64_t size, unsigned char **mem,
    struct dr_err *err)
{
	struct kept *k;
	size_t n;

	if (size > KEPT_ONE || w->kept_bytes + size > KEPT_ALL ||
	    w->nkept >= 4096)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" is larger than it can be", path);
	if (dr_writer_kept(w, path, &n) != NULL)
		return dr_err_set(err, DR_EDATA,
		    "\"%s\" stands twice in the backup", path);
	if ((k = reallocarray(w->kept, w->nkept + 1, sizeof(*k))) == NULL)
		return dr_err_sys(err, "cannot keep \"%s\"", path);
	w->kept = k;
	k += w->nkept;
	k->len = (size_t)size;
	k->path = dr_fmt(err, "%s", path);
	if ((k->data = calloc(1, k->len + 1)) == NULL)
		dr_err_sys(err, "cannot keep \"%s\"", path);
	if (k->path == NULL || k->data == NULL) {
		free(k->path);
		free(k->data);
		return -1;
	}
	w->nkept++;
	w->kept_bytes += size;
	*mem = k->data;
	return 0;
}

static bool
in_delta(const struct dr_writer *w)
{
	return w->place->delta != NULL && w->place->delta->active;
}

int
dr_writer_member(struct dr_writer *w, const struct dr_writer_member *m,
    struct dr_wfile **file, struct dr_err *err)
{
	const char *path = bare(m->path);
	size_t len = strlen(path) + 1;
	enum fate how = fate(w, path);
	unsigned char *mem = NULL;
	struct dr_wfile *f;
	const char *rest;
	int fd;

	*file = NULL;
	if (dr_writer_allows(m, err) == -1)
		return -1;
	if (how == SKIP || *path == '\0' || strcmp(path, ".") == 0)
		return 0;
	if (in_delta(w) && dr_delta_name(w->place->delta, path, err) == -1)
		return -1;
	dr_place_find(w->place, path, &fd, &rest);
	if (m->type == '5')
		return how == KEEP || *rest == '\0'
		           ? 0
		           : dr_place_mkdir(w->place, fd, rest, false, err);
	if (how == WRITE && (*rest == '\0' || dr_place_mkdir(w->place, fd, rest,
	                                          true, err) == -1))
		return dr_err_set(err, DR_EDATA, "\"%s\" cannot be a file",
		    path);
	if (how == KEEP && keep(w, path, m->size, &mem, err) == -1)
		return -1;
	if ((f = calloc(1, sizeof(*f) + len)) == NULL)
		return dr_err_sys(err, "cannot allocate a file");
	if (pthread_mutex_init(&f->lock, NULL) != 0) {
		free(f);
		return dr_err_set(err, DR_EFAIL, "cannot make a lock");
	}
	memcpy(f->path, path, len);
	f->rest = f->path + (rest - path);
	f->w = w;
	f->root = fd;
	f->fd = -1;
	f->mem = mem;
	f->size = m->size;
	f->left = m->size;
	f->check = m->check;
	f->want = m->crc;
	pthread_mutex_lock(&w->lock);
	TAILQ_INSERT_TAIL(&w->live, f, link);
	pthread_mutex_unlock(&w->lock);
	if (how == WRITE) {
		w->facts.files++;
		w->facts.bytes += m->size;
		w->facts.label |= strcmp(path, "backup_label") == 0;
		w->facts.version |= strcmp(path, "PG_VERSION") == 0;
	}
	*file = f;
	return 0;
}

static int
ensure_open(struct dr_wfile *f, struct dr_err *err)
{
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	if (f->fd == -1 && f->mem == NULL)
		f->fd = in_delta(f->w) ? dr_delta_open(f->w->place, f->root,
		                             f->rest, f->size, &f->old, err)
		                       : dr_place_create(f->w->place, f->root,
		                             f->rest, err);
	if (f->fd == -1 && f->mem == NULL)
		rc = -1;
	pthread_mutex_unlock(&f->lock);
	return rc;
}

static int
write_at(struct dr_wfile *f, const unsigned char *p, size_t len, uint64_t off,
    struct dr_err *err)
{
	uint64_t at = off, written;
	size_t left = len;
	ssize_t n;

	if (f->old > 0) {
		int rc = dr_delta_write(f->fd, p, len, off, f->old, &written,
		    f->path, err);

		f->written += written;
		return rc;
	}
	f->written += len;
	while (left > 0) {
		if ((n = pwrite(f->fd, p, left, (off_t)at)) == -1) {
			if (errno == EINTR)
				continue;
			return dr_err_sys(err, "cannot write \"%s\"", f->path);
		}
		p += n;
		left -= (size_t)n;
		at += (uint64_t)n;
	}
	/* The disk may begin at once; errors show when all is synced. */
	if (len >= FLUSH_FROM)
		(void)sync_file_range(f->fd, (off_t)off, (off_t)len,
		    SYNC_FILE_RANGE_WRITE);
	return 0;
}

/* The last piece has come. */
static int
whole(struct dr_wfile *f, struct dr_err *err)
{
	struct dr_writer *w = f->w;
	int rc = 0;

	if (f->check && f->crc != f->want)
		rc = dr_err_set(err, DR_EDATA,
		    "\"%s\" is damaged: its CRC-32C is not that of the member "
		    "index",
		    f->path);
	if (f->fd != -1 && close(f->fd) == -1 && rc == 0)
		rc = dr_err_sys(err, "cannot write \"%s\"", f->path);
	f->fd = -1;
	pthread_mutex_lock(&w->lock);
	if (f->mem == NULL) {
		w->facts.written += f->written;
		w->facts.kept += f->written == 0 && f->size > 0;
	}
	TAILQ_REMOVE(&w->live, f, link);
	pthread_mutex_unlock(&w->lock);
	wfile_free(f);
	return rc;
}

int
dr_wfile_put(struct dr_wfile *f, const void *data, size_t len, uint64_t off,
    struct dr_err *err)
{
	if (off > f->size || len > f->size - off)
		return dr_err_set(err, DR_EDATA,
		    "more bytes of \"%s\" than it has", f->path);
	if (ensure_open(f, err) == -1)
		return -1;
	if (f->mem != NULL && len > 0)
		memcpy(f->mem + off, data, len);
	else if (f->mem == NULL && write_at(f, data, len, off, err) == -1)
		return -1;
	/*
	 * The CRC of the whole is the sum of what each piece adds to it, in
	 * any order.
	 */
	if (f->check && len > 0)
		f->crc ^= dr_crc32c_join(dr_crc32c(0, data, len), 0,
		    f->size - off - len);
	if (atomic_fetch_sub(&f->left, len) != len)
		return 0;
	return whole(f, err);
}

int
dr_writer_complete(struct dr_writer *w, struct dr_err *err)
{
	const struct dr_wfile *f = TAILQ_FIRST(&w->live);

	if (f != NULL)
		return dr_err_set(err, DR_EDATA,
		    "the backup does not hold all of \"%s\"", f->path);
	return 0;
}

const void *
dr_writer_kept(const struct dr_writer *w, const char *path, size_t *len)
{
	for (size_t i = 0; i < w->nkept; i++)
		if (strcmp(w->kept[i].path, path) == 0) {
			*len = w->kept[i].len;
			return w->kept[i].data;
		}
	return NULL;
}

const char *
dr_writer_kept_path(const struct dr_writer *w, size_t n)
{
	return n < w->nkept ? w->kept[n].path : NULL;
}

void
dr_writer_facts(const struct dr_writer *w, struct dr_writer_facts *facts)
{
	*facts = w->facts;
}
