/* WAL that only this node has, and what was committed in it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/rejoin_int.h"
#include "pg/walread.h"

#define COPY_STEP (1U << 20)
#define TEXT_MAX  (1U << 20)

/* Where it may be made: beside the data directory, else in the state. */
static char *
place(struct dr_rejoin_run *run, struct dr_err *err)
{
	const char *slash = strrchr(run->pgdata, '/');
	char *parent, *dir;

	if (run->o->keep_wal != NULL)
		return dr_fmt(err, "%s", run->o->keep_wal);
	parent = dr_fmt(err, "%.*s", (int)(slash - run->pgdata), run->pgdata);
	if (parent == NULL)
		return NULL;
	if (access(*parent == '\0' ? "/" : parent, W_OK) == 0)
		dir = dr_fmt(err, "%s.diverged-%s", run->pgdata, run->stamp);
	else
		dir = dr_fmt(err, "%s/%s", run->state, run->stamp);
	free(parent);
	return dir;
}

int
dr_rejoin_keep_dir(struct dr_rejoin_run *run, struct dr_err *err)
{
	char *real;
	size_t len = strlen(run->pgdata);

	if (run->keep != NULL)
		return 0;
	if ((run->keep = place(run, err)) == NULL)
		return -1;
	if (dr_mkdirs(run->keep, 0700, err) == -1)
		return -1;
	if ((real = realpath(run->keep, NULL)) == NULL)
		return dr_err_sys(err, "cannot find \"%s\"", run->keep);
	free(run->keep);
	run->keep = real;
	if (strncmp(real, run->pgdata, len) == 0 &&
	    (real[len] == '/' || real[len] == '\0')) {
		dr_err_set(err, DR_EUSAGE,
		    "what is to be kept cannot lie in the data directory: "
		    "\"%s\"",
		    real);
		return -1;
	}
	return 0;
}

static int
copy(const char *from, const char *to, uint64_t *bytes, struct dr_err *err)
{
	struct dr_file out = DR_FILE_INIT;
	char *buf = NULL;
	ssize_t n;
	int in, rc = -1;

	if ((in = open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY)) == -1)
		return dr_err_sys(err, "cannot open \"%s\"", from);
	if ((buf = malloc(COPY_STEP)) == NULL) {
		dr_err_sys(err, "cannot copy \"%s\"", from);
		goto out;
	}
	if (dr_file_create(&out, to, 0600, err) == -1)
		goto out;
	while ((n = dr_fd_read(in, buf, COPY_STEP, from, err)) > 0) {
		if (dr_fd_write(out.fd, buf, (size_t)n, to, err) == -1)
			goto out;
		*bytes += (uint64_t)n;
	}
	if (n == 0)
		rc = dr_file_commit(&out, DR_FILE_REPLACE, err);

out:
	dr_file_abandon(&out);
	free(buf);
	close(in);
	return rc;
}

/* Is NAME a segment that holds WAL of ours past the fork? */
static bool
past(const struct dr_rejoin_run *run, const char *name)
{
	const struct dr_rejoin *r = run->r;
	struct dr_err none = { 0 };
	struct dr_wal_file f;
	uint64_t start;

	if (dr_wal_name(name, &f, &none) == -1 || f.kind != DR_WAL_SEGMENT ||
	    f.tli > run->local.tli ||
	    !dr_wal_start(&f, run->control.segsize, &start))
		return false;
	/* An ancestor's segments that lie after it was left are not its. */
	return start + run->control.segsize > r->fork && start < r->end &&
	       dr_history_end(&run->local, f.tli) > start;
}

struct names {
	char (*v)[DR_WAL_NAME_MAX];
	size_t n, cap;
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The segments that hold it, in order. */
static int
list(struct dr_rejoin_run *run, const char *from, struct names *l,
    struct dr_err *err)
{
	const struct dirent *e;
	DIR *dir;
	int rc = -1;

	if ((dir = opendir(from)) == NULL)
		return dr_err_sys(err, "cannot read \"%s\"", from);
	for (errno = 0; (e = readdir(dir)) != NULL; errno = 0) {
		if (!past(run, e->d_name))
			continue;
		if (l->n == l->cap) {
			size_t cap = l->cap == 0 ? 64 : l->cap * 2;
			void *p = reallocarray(l->v, cap, sizeof(*l->v));

			if (p == NULL) {
				dr_err_sys(err, "cannot list WAL");
				goto out;
			}
			l->v = p;
			l->cap = cap;
		}
		(void)snprintf(l->v[l->n++], sizeof(*l->v), "%.24s", e->d_name);
	}
	if (errno != 0)
		dr_err_sys(err, "cannot read \"%s\"", from);
	else {
		if (l->n > 0)
			qsort(l->v, l->n, sizeof(*l->v), by_name);
		rc = 0;
	}

out:
	closedir(dir);
	return rc;
}

static int
take(struct dr_rejoin_run *run, const char *from, const char *to,
    const char *name, struct dr_err *err)
{
	char *a = dr_fmt(err, "%s/%s", from, name);
	char *b = dr_fmt(err, "%s/%s", to, name);
	int rc = -1;

	if (a != NULL && b != NULL && dr_check_stop(err) == 0)
		rc = copy(a, b, &run->r->kept_bytes, err);
	run->r->kept_segments += rc == 0;
	free(a);
	free(b);
	return rc;
}

static int
segments(struct dr_rejoin_run *run, const char *to, bool move,
    struct dr_err *err)
{
	struct names l = { NULL, 0, 0 };
	char *from, *path;
	int rc = -1;

	if ((from = dr_fmt(err, "%s/pg_wal", run->pgdata)) == NULL)
		return -1;
	if (list(run, from, &l, err) == -1)
		goto out;
	for (size_t i = 0; i < l.n; i++)
		if (take(run, from, to, l.v[i], err) == -1)
			goto out;
	/* The last one first: killed between, the rest is still to be seen. */
	for (size_t i = l.n; move && i-- > 0;) {
		if ((path = dr_fmt(err, "%s/%s", from, l.v[i])) == NULL)
			goto out;
		run->r->changed = true;
		if (unlink(path) == -1)
			dr_err_sys(err, "cannot remove \"%s\"", path);
		free(path);
		if (err->cause != DR_OK || dr_sync_dir(from, err) == -1)
			goto out;
	}
	rc = 0;

out:
	free(l.v);
	free(from);
	return rc;
}

static int
summary(const struct dr_rejoin_run *run, struct dr_buf *out, struct dr_err *err)
{
	const struct dr_rejoin *r = run->r;
	char a[DR_LSN_LEN], b[DR_LSN_LEN], t[DR_TIME_LEN];

	if (dr_buf_fmt(out, err,
	        "WAL of \"%s\" that the new primary does not have.\n\n"
	        "system identifier   %llu\n"
	        "timeline            %u, left by the new primary at %s\n"
	        "ended at            %s\n"
	        "new primary         timeline %u\n"
	        "kept                %llu segments, %llu bytes, in pg_wal\n"
	        "records             %llu\n"
	        "commits             %llu\n",
	        run->pgdata, (unsigned long long)r->system_id, r->tli,
	        dr_format_lsn(r->fork, a), dr_format_lsn(r->end, b), r->new_tli,
	        (unsigned long long)r->kept_segments,
	        (unsigned long long)r->kept_bytes,
	        (unsigned long long)r->records,
	        (unsigned long long)r->commits) == -1)
		return -1;
	if (r->first_commit != 0 &&
	    (dr_buf_fmt(out, err, "first commit        %s\n",
	         dr_format_time(r->first_commit, t)) == -1 ||
	        dr_buf_fmt(out, err, "last commit         %s\n",
	            dr_format_time(r->last_commit, t)) == -1))
		return -1;
	if (r->partial &&
	    dr_buf_str(out,
	        "Its beginning had been recycled already: there may have been "
	        "more.\n",
	        err) == -1)
		return -1;
	if (run->commits_cut &&
	    dr_buf_str(out, "The file commits is not complete.\n", err) == -1)
		return -1;
	if (dr_buf_str(out, "\nrecords  bytes  of\n", err) == -1)
		return -1;
	for (unsigned i = 0; i < DR_RMGRS; i++)
		if (run->rmgr[i] > 0 &&
		    dr_buf_fmt(out, err, "%7llu  %5llu  %s\n",
		        (unsigned long long)run->rmgr[i],
		        (unsigned long long)run->rmgr_bytes[i],
		        dr_walread_rmgr((uint8_t)i)) == -1)
			return -1;
	return dr_buf_fmt(out, err,
	    "\nIn commits: where, transaction, when.  To look at all of it:\n"
	    "  pg_waldump -p pg_wal -t %u -s %s -e %s\n",
	    r->tli, a, b);
}

static int
put(const struct dr_rejoin_run *run, const char *name, const struct dr_buf *buf,
    struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/%s", run->keep, name);
	int rc = path == NULL
	             ? -1
	             : dr_file_put(path, 0600, DR_FILE_REPLACE,
	                   buf->len > 0 ? buf->data : "", buf->len, err);

	free(path);
	return rc;
}

int
dr_rejoin_keep_wal(struct dr_rejoin_run *run, bool move, struct dr_err *err)
{
	struct dr_buf text = { .max = TEXT_MAX };
	struct dr_rejoin *r = run->r;
	char *dir = NULL;
	int rc = -1;

	if (!r->diverged || r->fork == UINT64_MAX || r->kept != NULL)
		return 0;
	if (dr_rejoin_keep_dir(run, err) == -1 ||
	    (dir = dr_fmt(err, "%s/pg_wal", run->keep)) == NULL ||
	    dr_mkdirs(dir, 0700, err) == -1 ||
	    segments(run, dir, move, err) == -1 ||
	    summary(run, &text, err) == -1 ||
	    put(run, "summary", &text, err) == -1 ||
	    put(run, "commits", &run->commits, err) == -1)
		goto out;
	if ((r->kept = dr_fmt(err, "%s", run->keep)) != NULL)
		rc = 0;

out:
	dr_buf_free(&text);
	free(dir);
	return rc;
}
