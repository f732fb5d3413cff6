#include "flow/rejoin.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "flow/place.h"
#include "flow/rejoin_int.h"

#define LOCK_MS     1000U
#define COMMITS_MAX (64U << 20)

static const char marker_text[] =
    "A rejoin of this node to its new primary began, and did not finish.\n"
    "What lies here is not whole, and no server may start on it: therefore\n"
    "others may search the directory, which a server refuses.  Rejoin it\n"
    "again: it is restored from a store, or copied anew.\n";

void
dr_rejoin_why(struct dr_rejoin_run *run, const char *fmt, ...)
{
	char *why = run->r->why;
	size_t len = strlen(why), size = sizeof(run->r->why);
	va_list ap;

	if (len > 0 && len + 1 < size)
		why[len++] = ' ';
	va_start(ap, fmt);
	(void)vsnprintf(why + len, size - len, fmt, ap);
	va_end(ap);
	if (run->r->changed)
		dr_say(1, "%s", why + len);
}

/* --- a directory on which no server starts --------------------------------- */

static char *
marker(const char *pgdata, struct dr_err *err)
{
	return dr_fmt(err, "%s/%s", pgdata, DR_RESTORE_MARKER);
}

bool
dr_rejoin_unusable(const char *pgdata)
{
	struct dr_err none = { 0 };
	struct stat st;
	char *path;
	bool found;

	if (stat(pgdata, &st) == 0 && (st.st_mode & S_IXOTH) != 0)
		return true;
	path = marker(pgdata, &none);
	found = path != NULL && access(path, F_OK) == 0;
	free(path);
	return found;
}

int
dr_rejoin_shut(struct dr_rejoin_run *run, struct dr_err *err)
{
	char *path = marker(run->pgdata, err);
	int rc = -1;

	if (path == NULL)
		return -1;
	/* The one thing about it that pg_rewind leaves alone. */
	if (chmod(run->pgdata, run->mode | S_IXOTH) == -1)
		dr_err_sys(err, "cannot set the mode of \"%s\"", run->pgdata);
	else if (dr_sync_dir(run->pgdata, err) == 0)
		rc = dr_file_put(path, 0600, DR_FILE_REPLACE, marker_text,
		    sizeof(marker_text) - 1, err);
	run->r->changed = true;
	free(path);
	return rc;
}

int
dr_rejoin_open(struct dr_rejoin_run *run, struct dr_err *err)
{
	int fd = open(run->pgdata, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = -1;
	char *path = marker(run->pgdata, err);

	if (fd == -1 || path == NULL || syncfs(fd) == -1)
		dr_err_sys(err, "cannot sync \"%s\"", run->pgdata);
	else if (unlink(path) == -1 && errno != ENOENT)
		dr_err_sys(err, "cannot remove \"%s\"", path);
	else if (fchmod(fd, run->mode) == -1 || fsync(fd) == -1)
		dr_err_sys(err, "cannot set the mode of \"%s\"", run->pgdata);
	else
		rc = 0;
	if (fd != -1)
		close(fd);
	free(path);
	return rc;
}

/* --- before anything is done ----------------------------------------------- */

static int
refuse(struct dr_err *err)
{
	if (err->cause == DR_EUSAGE || err->cause == DR_EDATA)
		err->cause = DR_EPARTIAL;
	return -1;
}

static int
version_of(struct dr_rejoin_run *run, struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/PG_VERSION", run->pgdata), *text = NULL;
	struct dr_err none = { 0 };
	size_t len;

	if (path != NULL)
		text = dr_file_get(path, 64, &len, &none);
	free(path);
	if (text != NULL)
		run->version = strtol(text, NULL, 10);
	free(text);
	if (run->version > 0)
		return 0;
	/* Of one that a delta restore was to fill, the primary knows. */
	if (dr_rejoin_unusable(run->pgdata))
		return 0;
	return dr_err_set(err, DR_EPARTIAL, "\"%s\" is no data directory",
	    run->pgdata);
}

static int
directory(struct dr_rejoin_run *run, struct dr_err *err)
{
	struct dr_err why = { 0 };
	const struct passwd *who;
	struct stat st;

	if ((run->pgdata = realpath(run->o->pgdata, NULL)) == NULL ||
	    stat(run->pgdata, &st) == -1) {
		dr_err_sys(err, "cannot find \"%s\"", run->o->pgdata);
		err->cause = DR_EPARTIAL;
		return -1;
	}
	if (st.st_uid != geteuid()) {
		dr_err_set(err, DR_EPARTIAL,
		    "\"%s\" belongs to another user, as who its server runs",
		    run->pgdata);
		return (who = getpwuid(st.st_uid)) != NULL
		           ? dr_err_hint(err, "run this as %s (sudo -u %s)",
		                 who->pw_name, who->pw_name)
		           : dr_err_hint(err, "run this as user %lu",
		                 (unsigned long)st.st_uid);
	}
	run->mode = (st.st_mode & 0050) == 0050 ? 0750 : 0700;
	if (version_of(run, err) == -1)
		return -1;
	if (dr_datadir_idle(run->pgdata, err) == -1)
		return refuse(err);
	run->r->unusable = dr_rejoin_unusable(run->pgdata);
	if (dr_control_read(run->pgdata, &run->control, &why) == 0)
		run->r->system_id = run->control.system_id;
	else if (!run->r->unusable) {
		*err = why;
		return refuse(err);
	}
	return 0;
}

static int
begin(struct dr_rejoin_run *run, struct dr_err *err)
{
	const char *set = run->o->set != NULL ? run->o->set : "none";
	char *path = NULL;

	dr_format_stamp(dr_now(), run->stamp);
	run->state = dr_fmt(err, "%s/rejoin/%s", run->o->state, set);
	if (run->state == NULL || dr_mkdirs(run->state, 0700, err) == -1 ||
	    (path = dr_fmt(err, "%s/lock", run->state)) == NULL)
		return -1;
	run->lock = dr_lock(path, LOCK_MS, err);
	free(path);
	return run->lock == -1 ? -1 : 0;
}

static void
end(struct dr_rejoin_run *run)
{
	if (run->service != NULL)
		(void)unlink(run->service);
	if (run->password != NULL)
		explicit_bzero(run->password, strlen(run->password));
	if (run->conninfo != NULL)
		explicit_bzero(run->conninfo, strlen(run->conninfo));
	PQfinish(run->conn);
	dr_history_free(&run->line);
	dr_history_free(&run->local);
	dr_buf_free(&run->commits);
	dr_plan_wipe(&run->plan);
	free(run->service);
	free(run->password);
	free(run->conninfo);
	free(run->command);
	free(run->keep);
	free(run->state);
	free(run->pgdata);
	if (run->lock != -1)
		close(run->lock);
}

/* --- and then -------------------------------------------------------------- */

/* The ways, from the first that was judged possible.  1 done, 0 none, -1. */
static int
go(struct dr_rejoin_run *run, struct dr_err *err)
{
	struct dr_rejoin *r = run->r;
	int rc = 0;

	if (r->way == DR_REJOIN_FOLLOW)
		return 1;
	if (r->way == DR_REJOIN_TRIM)
		return dr_rejoin_keep_wal(run, true, err) == -1 ? -1 : 1;
	if (dr_rejoin_service(run, err) == -1)
		return -1;
	if (r->way == DR_REJOIN_REWIND &&
	    (rc = dr_rejoin_rewind(run, err)) == 0)
		r->way++;
	if (rc == 0 && r->way == DR_REJOIN_DELTA &&
	    (rc = dr_rejoin_delta(run, err)) == 0)
		r->way++;
	if (rc == 0 && r->way == DR_REJOIN_COPY &&
	    (rc = dr_rejoin_copy(run, err)) == 0)
		r->way++;
	return rc;
}

/* What a dry run can tell of the ways. */
static void
foretell(struct dr_rejoin_run *run)
{
	struct dr_rejoin *r = run->r;
	struct dr_err why = { 0 };
	char *found = NULL;

	if (r->way == DR_REJOIN_REWIND) {
		found = dr_rejoin_program(run, "pg_rewind", &why);
		if (found == NULL) {
			dr_rejoin_why(run, "It cannot be rewound: %s.",
			    why.msg);
			r->way++;
		}
		free(found);
	}
	dr_err_clear(&why);
	if (r->way == DR_REJOIN_DELTA && run->o->from == NULL) {
		dr_rejoin_why(run,
		    "No store is named from which it could be restored.");
		r->way++;
	} else if (r->way == DR_REJOIN_DELTA &&
	           dr_rejoin_plan(run, &why) == -1) {
		dr_rejoin_why(run, "It cannot be restored from the stores: %s.",
		    why.msg);
		r->way++;
	}
	if (r->way == DR_REJOIN_COPY && !run->o->allow_copy) {
		dr_rejoin_why(run, "A fresh copy is not allowed.");
		r->way++;
	}
}

static int
finish(struct dr_rejoin_run *run, struct dr_err *err)
{
	if (dr_rejoin_unpark(run, err) == -1 ||
	    dr_rejoin_configure(run, err) == -1 ||
	    dr_rejoin_slots(run, err) == -1)
		return -1;
	return dr_rejoin_open(run, err);
}

/*
 * No server runs: what one left must not keep the next from starting, which
 * takes a process that nobody has waited for yet for a living one.
 */
static int
unlock(struct dr_rejoin_run *run, struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/postmaster.pid", run->pgdata);
	int rc = path == NULL ? -1 : dr_datadir_idle(run->pgdata, err);

	if (rc == 0 && unlink(path) == -1 && errno != ENOENT)
		rc = dr_err_sys(err, "cannot remove \"%s\"", path);
	free(path);
	return rc;
}

static int
act(struct dr_rejoin_run *run, struct dr_err *err)
{
	struct dr_rejoin *r = run->r;
	struct dr_err more = { 0 };
	bool was = r->unusable;
	int rc;

	if (dr_rejoin_slot(run, err) == -1 || unlock(run, err) == -1)
		return -1;
	rc = go(run, err);
	if (rc == 1 && finish(run, err) == 0) {
		r->done = true;
		r->unusable = false;
		return 0;
	}
	if (rc == 0) {
		r->way = DR_REJOIN_NONE;
		dr_err_set(err, r->changed ? DR_EFAIL : DR_EPARTIAL, "%s",
		    r->why);
		dr_err_hint(err,
		    "name a store (-s), or allow a fresh copy (--allow-copy)");
	}
	r->unusable = dr_rejoin_unusable(run->pgdata);
	/*
	 * It must not start as a second primary, and what was parked belongs
	 * to it as long as it is whole.
	 */
	if (!r->unusable && r->changed &&
	    (dr_rejoin_unpark(run, &more) == -1 ||
	        dr_rejoin_configure(run, &more) == -1))
		dr_warn_err(&more);
	else if (r->unusable && !was)
		dr_warn("\"%s\" is not whole: no server can start there until "
		        "it was rejoined",
		    run->pgdata);
	return -1;
}

int
dr_rejoin(const struct dr_rejoin_opts *o, struct dr_rejoin *r,
    struct dr_err *err)
{
	struct dr_rejoin_run run = { .o = o,
		.r = r,
		.lock = -1,
		.commits.max = COMMITS_MAX };
	int rc = -1;

	memset(r, 0, sizeof(*r));
	if (directory(&run, err) == -1 || begin(&run, err) == -1 ||
	    dr_rejoin_resume(&run, err) == -1 ||
	    dr_rejoin_primary(&run, err) == -1 ||
	    dr_rejoin_judge(&run, err) == -1)
		goto out;
	if (r->way < o->least)
		r->way = o->least;
	if (dr_rejoin_conninfo(&run, err) == -1)
		goto out;
	if (o->dry_run) {
		foretell(&run);
		if (!r->unusable)
			(void)dr_rejoin_slots(&run, err);
		rc = err->cause == DR_OK ? 0 : -1;
	} else
		rc = act(&run, err);

out:
	end(&run);
	return rc;
}
