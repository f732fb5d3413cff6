#include "flow/pg_merge.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"

/*
 * Headers and small files are gathered; what is as large as this goes to the
 * sink as it is, which spares a copy.
 */
#define GATHER (32U << 10)
#define DIRECT (16U << 10)

/* Longest path: what a server can have, and a prefix. */
#define PATH_LEN 2048

static const char tblspc[] = "pg_tblspc/";

struct dr_merge {
	struct dr_sink *out;
	const char *const *leave_out;
	struct dr_tarwalk *walk; /* of the archive under way */
	char prefix[40];         /* "pg_tblspc/<oid>/" or "" */
	bool first;              /* no member of this archive yet */
	bool keep;               /* the member under way goes out */
	uint64_t left;           /* of a file of our own */
	uint64_t pad;            /* due after the member under way */
	uint64_t size;
	uint64_t uid, gid; /* owner of the last member */
	struct dr_buf head;
	size_t len;
	char buf[GATHER];
};

struct dr_merge *
dr_merge_new(struct dr_sink *out, const char *const *leave_out,
    struct dr_err *err)
{
	struct dr_merge *m;

	if ((m = malloc(sizeof(*m))) == NULL) {
		dr_err_sys(err, "cannot allocate a tar");
		return NULL;
	}
	memset(m, 0, offsetof(struct dr_merge, buf));
	m->out = out;
	m->leave_out = leave_out;
	m->head.max = 16384;
	return m;
}

static int
flush(struct dr_merge *m, struct dr_err *err)
{
	size_t n = m->len;

	m->len = 0;
	return n == 0 ? 0 : dr_sink_write(m->out, m->buf, n, err);
}

static int
put(struct dr_merge *m, const void *data, size_t n, struct dr_err *err)
{
	const char *p = data;
	size_t part;

	m->size += n;
	if (n >= DIRECT) {
		if (flush(m, err) == -1)
			return -1;
		return dr_sink_write(m->out, data, n, err);
	}
	while (n > 0) {
		part = GATHER - m->len;
		if (part > n)
			part = n;
		memcpy(m->buf + m->len, p, part);
		m->len += part;
		p += part;
		n -= part;
		if (m->len == GATHER && flush(m, err) == -1)
			return -1;
	}
	return 0;
}

static int
put_zeros(struct dr_merge *m, size_t n, struct dr_err *err)
{
	static const char zeros[1024];

	return put(m, zeros, n, err);
}

static int
put_header(struct dr_merge *m, const struct dr_member *mb, struct dr_err *err)
{
	m->head.len = 0;
	if (dr_tar_header(&m->head, mb, err) == -1)
		return -1;
	return put(m, m->head.data, m->head.len, err);
}

static bool
left_out(const struct dr_merge *m, const char *path)
{
	const char *const *p;
	size_t n;

	for (p = m->leave_out; *p != NULL; p++) {
		n = strlen(*p);
		if (strcmp(*p, path) == 0)
			return true;
		/* A directory: itself, and all below it. */
		if (n > 0 && (*p)[n - 1] == '/' &&
		    strncmp(path, *p, n - 1) == 0 &&
		    (path[n - 1] == '/' || path[n - 1] == '\0'))
			return true;
	}
	return false;
}

/* The directory of a tablespace, like the first directory in it. */
static int
own_directory(struct dr_merge *m, const struct dr_member *mb,
    struct dr_err *err)
{
	struct dr_member dir = *mb;

	dir.type = '5';
	dir.size = 0;
	dir.path = m->prefix;
	dir.link = "";
	dir.mode = mb->type == '5' ? mb->mode : 0700;
	return put_header(m, &dir, err);
}

static int
on_member(void *arg, const struct dr_member *mb, struct dr_err *err)
{
	struct dr_merge *m = arg;
	struct dr_member copy = *mb;
	char plain[PATH_LEN], path[PATH_LEN + sizeof(m->prefix)];
	size_t n = strlen(mb->path);
	bool base = m->prefix[0] == '\0';

	while (n > 0 && mb->path[n - 1] == '/')
		n--;
	if (n >= sizeof(plain))
		return dr_err_set(err, DR_EDATA,
		    "the server sent a path that is too long");
	memcpy(plain, mb->path, n);
	plain[n] = '\0';
	if (!dr_path_safe(plain))
		return dr_err_set(err, DR_EDATA,
		    "the server sent a file with a bad path \"%.200s\"", plain);
	m->uid = mb->uid;
	m->gid = mb->gid;
	m->keep = true;
	m->pad = dr_tar_pad(mb->size);
	if (base && mb->type == '2' &&
	    strncmp(plain, tblspc, sizeof(tblspc) - 1) == 0)
		m->keep = false;
	else if (mb->type != '0' && mb->type != '5')
		return dr_err_set(err, DR_EDATA,
		    "the server sent \"%.200s\", which is neither a file nor "
		    "a directory",
		    plain);
	else if (base && left_out(m, plain))
		m->keep = false;
	if (!m->keep)
		return 0;
	if (m->first && !base && own_directory(m, mb, err) == -1)
		return -1;
	m->first = false;
	n = strlen(m->prefix);
	memcpy(path, m->prefix, n);
	memcpy(path + n, plain, strlen(plain) + 1);
	if (mb->type == '5')
		memcpy(path + strlen(path), "/", 2);
	copy.path = path;
	return put_header(m, &copy, err);
}

static int
on_data(void *arg, const void *p, size_t n, struct dr_err *err)
{
	struct dr_merge *m = arg;

	return m->keep ? put(m, p, n, err) : 0;
}

static int
on_end(void *arg, struct dr_err *err)
{
	struct dr_merge *m = arg;

	return m->keep ? put_zeros(m, (size_t)m->pad, err) : 0;
}

int
dr_merge_begin(struct dr_merge *m, const char *oid, struct dr_err *err)
{
	static const struct dr_tarwalk_ops ops = { on_member, on_data, on_end };
	size_t n;

	m->prefix[0] = '\0';
	if (oid != NULL) {
		n = sizeof(tblspc) - 1;
		if (strlen(oid) + n + 2 > sizeof(m->prefix))
			return dr_err_set(err, DR_EDATA,
			    "the server sent a tablespace with a bad name");
		memcpy(m->prefix, tblspc, n);
		memcpy(m->prefix + n, oid, strlen(oid));
		memcpy(m->prefix + n + strlen(oid), "/", 2);
	}
	m->first = true;
	dr_tarwalk_free(m->walk);
	m->walk = dr_tarwalk_new(&ops, m, err);
	return m->walk != NULL ? 0 : -1;
}

int
dr_merge_data(struct dr_merge *m, const void *p, size_t n, struct dr_err *err)
{
	return dr_tarwalk_add(m->walk, p, n, err);
}

int
dr_merge_end(struct dr_merge *m, struct dr_err *err)
{
	return dr_tarwalk_end(m->walk, err);
}

int
dr_merge_file(struct dr_merge *m, const char *path, uint64_t size,
    struct dr_err *err)
{
	const struct dr_member mb = { .type = '0',
		.size = size,
		.path = path,
		.link = "",
		.mode = 0600,
		.mtime = dr_now() / 1000000,
		.uid = m->uid,
		.gid = m->gid };

	m->left = size;
	m->pad = dr_tar_pad(size);
	return put_header(m, &mb, err);
}

int
dr_merge_bytes(struct dr_merge *m, const void *p, size_t n, struct dr_err *err)
{
	if (n > m->left)
		return dr_err_set(err, DR_EFAIL,
		    "a file grew while it was written");
	m->left -= n;
	return put(m, p, n, err);
}

int
dr_merge_file_end(struct dr_merge *m, struct dr_err *err)
{
	if (m->left != 0)
		return dr_err_set(err, DR_EFAIL,
		    "a file shrank while it was written");
	return put_zeros(m, (size_t)m->pad, err);
}

int
dr_merge_finish(struct dr_merge *m, struct dr_err *err)
{
	return put_zeros(m, 1024, err) == -1 ? -1 : flush(m, err);
}

uint64_t
dr_merge_size(const struct dr_merge *m)
{
	return m->size;
}

void
dr_merge_free(struct dr_merge *m)
{
	if (m == NULL)
		return;
	dr_tarwalk_free(m->walk);
	dr_buf_free(&m->head);
	free(m);
}
