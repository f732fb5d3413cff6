/* extract_stream.c - a stream's pieces joined again; see extract.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/extract.h"
#include "archive/pax.h"
#include "archive/tarwalk.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/tty.h"

#define BUF_SIZE (256U << 10)

struct join {
	const char *dir;
	struct dr_extract_facts *facts;
	struct dr_file file;
	char name[80]; /* "" before the first piece */
	char want[96]; /* the next piece's name */
	uint64_t pieces;
	bool last; /* a piece of less than 4 MiB was met */
	bool ours; /* the member at hand is left out */
};

static int
on_member(void *arg, const struct dr_member *m, struct dr_err *e)
{
	struct join *j = arg;
	const char *slash = strchr(m->path, '/');
	char *path;
	size_t n;
	int r;

	j->ours = strncmp(m->path, ".drtools/", 9) == 0;
	if (j->ours) {
		j->facts->left_out++;
		return 0;
	}
	n = slash == NULL ? 0 : (size_t)(slash - m->path);
	if (j->pieces == 0 && n > 0 && n < sizeof(j->name)) {
		memcpy(j->name, m->path, n);
		j->name[n] = '\0';
		if (!dr_set_name_ok(j->name))
			j->name[0] = '\0';
	}
	(void)snprintf(j->want, sizeof(j->want), "%s/%08llu", j->name,
	    (unsigned long long)j->pieces);
	if (m->type != '0' || j->name[0] == '\0' ||
	    strcmp(m->path, j->want) != 0)
		return dr_err_set(e, DR_EDATA,
		    "the tar is no stream's: member %llu is \"%s\"",
		    (unsigned long long)j->pieces, m->path);
	if (j->last || m->size > DR_TAR_PIECE)
		return dr_err_set(e, DR_EDATA,
		    "the tar is no stream's: a piece before \"%s\" is not of "
		    "4 MiB",
		    m->path);
	j->last = m->size < DR_TAR_PIECE;
	if (j->pieces++ > 0)
		return 0;
	if ((path = dr_fmt(e, "%s/%s", j->dir, j->name)) == NULL)
		return -1;
	r = dr_file_create(&j->file, path, 0600, e);
	free(path);
	return r;
}

static int
on_data(void *arg, const void *p, size_t len, struct dr_err *e)
{
	struct join *j = arg;

	if (j->ours)
		return 0;
	if (dr_fd_write(j->file.fd, p, len, j->name, e) == -1)
		return -1;
	j->facts->bytes += len;
	dr_progress(j->facts->bytes);
	return 0;
}

int
dr_extract_stream(struct dr_source *tar, const char *dir,
    const struct dr_extract_opts *o, struct dr_extract_facts *facts,
    struct dr_err *e)
{
	static const struct dr_tarwalk_ops ops = { .member = on_member,
		.data = on_data };
	struct join j = { .dir = dir, .facts = facts, .file = DR_FILE_INIT };
	struct dr_tarwalk *walk = NULL;
	char *buf = malloc(BUF_SIZE);
	ssize_t n;
	int r = -1;

	(void)o;
	*facts = (struct dr_extract_facts){ 0 };
	if (buf == NULL) {
		dr_err_sys(e, "cannot allocate memory");
		goto out;
	}
	if ((walk = dr_tarwalk_new(&ops, &j, e)) == NULL)
		goto out;
	while ((n = dr_source_read(tar, buf, BUF_SIZE, e)) > 0)
		if (dr_tarwalk_add(walk, buf, (size_t)n, e) == -1)
			goto out;
	if (n == -1 || dr_tarwalk_end(walk, e) == -1)
		goto out;
	if (j.pieces == 0) {
		dr_err_set(e, DR_EDATA, "the tar is no stream's: no piece");
		goto out;
	}
	if (dr_file_commit(&j.file, DR_FILE_NEW, e) == -1)
		goto out;
	facts->members = 1;
	r = 0;
out:
	dr_file_abandon(&j.file);
	dr_tarwalk_free(walk);
	free(buf);
	return r;
}
