/* From a backup: out of the stores, or out of the new primary. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "flow/rejoin_int.h"
#include "flow/restore.h"

#define SAID_MAX   (4U << 20)
#define SPACES_MAX 1024

/* --- the stores ------------------------------------------------------------ */

int
dr_rejoin_plan(struct dr_rejoin_run *run, struct dr_err *err)
{
	const struct dr_rejoin_opts *o = run->o;
	struct dr_plan_opts how = { .from = o->from,
		.standby = run->conninfo,
		.action = DR_ACT_PROMOTE,
		.as_is = true,
		.ids = o->ids,
		.identities = o->identities,
		.identity_command = o->identity_command,
		.passphrase_file = o->passphrase_file };

	if (run->planned)
		return 0;
	if (dr_restore_plan(&how, &run->plan, err) == -1)
		return -1;
	run->planned = true;
	return 0;
}

static int
restore(struct dr_rejoin_run *run, struct dr_err *err)
{
	const struct dr_rejoin_opts *o = run->o;
	struct dr_restore_opts to = { .dir = run->pgdata,
		.ids = o->ids,
		.workers = o->workers > 0 ? o->workers : 2,
		.action = DR_ACT_PROMOTE,
		.recovery = &run->plan.recovery,
		.as_is = true,
		.delta = true };
	struct dr_restore_facts facts;
	struct dr_from_opts from = *o->from;
	struct dr_body *body;
	int rc = -1;

	if (run->plan.id != NULL) {
		from.id = run->plan.id;
		from.whole_id = true;
	}
	if ((body = dr_from_open(&from, err)) == NULL)
		return -1;
	if (dr_rejoin_keep_wal(run, false, err) == 0 &&
	    dr_rejoin_park(run, err) == 0)
		rc = dr_restore(body, &to, &facts, err);
	if (rc == 0) {
		run->r->written = facts.written;
		run->r->there = facts.kept;
	}
	dr_body_free(body);
	return rc;
}

int
dr_rejoin_delta(struct dr_rejoin_run *run, struct dr_err *err)
{
	struct dr_err why = { 0 };

	if (run->o->from == NULL) {
		dr_rejoin_why(run,
		    "No store is named from which it could be restored.");
		return 0;
	}
	if (dr_rejoin_plan(run, &why) == 0 && restore(run, &why) == 0)
		return 1;
	if (why.cause == DR_ESTOP) {
		*err = why;
		return -1;
	}
	run->r->unusable = dr_rejoin_unusable(run->pgdata);
	dr_rejoin_why(run, "It cannot be restored from the stores: %s.",
	    why.msg);
	return 0;
}

/* --- the new primary ------------------------------------------------------- */

struct space {
	char *link;      /* in the old directory, once it was moved */
	char *path, *to; /* where it was; where it is put aside */
	bool moved;
};

struct spaces {
	struct space v[SPACES_MAX];
	size_t n;
};

static void
spaces_free(struct spaces *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].link);
		free(s->v[i].path);
		free(s->v[i].to);
	}
	free(s);
}

static int
add_space(struct dr_rejoin_run *run, struct spaces *s, const char *oid,
    struct dr_err *err)
{
	char *from = dr_fmt(err, "%s/pg_tblspc/%s", run->pgdata, oid);
	char path[PATH_MAX];
	struct space *v = &s->v[s->n];
	ssize_t n;

	if (from == NULL)
		return -1;
	n = readlink(from, path, sizeof(path) - 1);
	free(from);
	if (n <= 0)
		return 0;
	path[n] = '\0';
	if (s->n == SPACES_MAX)
		return dr_err_set(err, DR_EFAIL, "too many tablespaces");
	s->n++;
	v->link = dr_fmt(err, "%s/pg_tblspc/%s", run->r->aside, oid);
	v->path = dr_fmt(err, "%s", path);
	v->to = dr_fmt(err, "%s.before-%s", path, run->stamp);
	return v->link == NULL || v->path == NULL || v->to == NULL ? -1 : 0;
}

static struct spaces *
find_spaces(struct dr_rejoin_run *run, struct dr_err *err)
{
	char *path = dr_fmt(err, "%s/pg_tblspc", run->pgdata);
	struct spaces *s = calloc(1, sizeof(*s));
	const struct dirent *e;
	DIR *dir = path == NULL ? NULL : opendir(path);

	if (s == NULL || (dir == NULL && errno != ENOENT)) {
		dr_err_sys(err, "cannot look for tablespaces");
		goto fail;
	}
	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (*e->d_name != '.' &&
		    add_space(run, s, e->d_name, err) == -1)
			goto fail;
	if (dir != NULL)
		closedir(dir);
	free(path);
	return s;

fail:
	if (dir != NULL)
		closedir(dir);
	free(path);
	spaces_free(s);
	return NULL;
}

/* The old directory and its tablespaces, to where they are out of the way. */
static int
set_aside(struct dr_rejoin_run *run, struct spaces *s, struct dr_err *err)
{
	if (rename(run->pgdata, run->r->aside) == -1) {
		dr_err_sys(err, "cannot rename \"%s\"", run->pgdata);
		return dr_err_hint(err, "move away what is in it, and make "
		                        "the copy with pg_basebackup");
	}
	run->r->changed = true;
	for (size_t i = 0; i < s->n; i++) {
		struct space *v = &s->v[i];

		if (rename(v->path, v->to) == -1)
			return dr_err_sys(err,
			    "cannot rename the tablespace \"%s\"", v->path);
		v->moved = true;
		/* Started there, it must not write to the new one's. */
		if (unlink(v->link) == -1 || symlink(v->to, v->link) == -1)
			return dr_err_sys(err, "cannot change \"%s\"", v->link);
	}
	return 0;
}

/* What was begun goes out of the way, and all is as it was. */
static void
put_back(struct dr_rejoin_run *run, struct spaces *s)
{
	char *failed;
	struct dr_err err = { 0 };

	if (access(run->r->aside, F_OK) == -1)
		return;
	failed = dr_fmt(&err, "%s.failed-%s", run->pgdata, run->stamp);
	if (failed == NULL || (access(run->pgdata, F_OK) == 0 &&
	                          rename(run->pgdata, failed) == -1)) {
		dr_warn("\"%s\" stays in \"%s\"", run->pgdata, run->r->aside);
		free(failed);
		return;
	}
	free(failed);
	for (size_t i = 0; i < s->n; i++) {
		struct space *v = &s->v[i];

		if (!v->moved)
			continue;
		failed = dr_fmt(&err, "%s.failed-%s", v->path, run->stamp);
		if (failed != NULL && access(v->path, F_OK) == 0)
			(void)rename(v->path, failed);
		free(failed);
		(void)unlink(v->link);
		if (rename(v->to, v->path) == -1 ||
		    symlink(v->path, v->link) == -1)
			dr_warn("the tablespace \"%s\" stays in \"%s\"",
			    v->path, v->to);
	}
	if (rename(run->r->aside, run->pgdata) == -1)
		dr_warn("\"%s\" stays in \"%s\"", run->pgdata, run->r->aside);
}

static int
basebackup(struct dr_rejoin_run *run, struct dr_err *err)
{
	char *program = dr_rejoin_program(run, "pg_basebackup", err);
	char d[] = "--dbname=service=dr-rejoin", x[] = "--wal-method=stream";
	char c[] = "--checkpoint=fast", w[] = "--no-password";
	char *to = dr_fmt(err, "--pgdata=%s", run->pgdata), *slot = NULL;
	char *argv[] = { program, d, x, c, w, to, NULL, NULL };
	struct dr_buf out = { .max = SAID_MAX };
	int rc = -1;

	if (run->o->slot != NULL && *run->o->slot != '\0')
		argv[6] = slot = dr_fmt(err, "--slot=%s", run->o->slot);
	if (err->cause == DR_OK)
		rc = dr_rejoin_command(run, argv, &out, err);
	dr_buf_free(&out);
	free(program);
	free(slot);
	free(to);
	return rc;
}

int
dr_rejoin_copy(struct dr_rejoin_run *run, struct dr_err *err)
{
	struct dr_err why = { 0 };
	struct spaces *s = NULL;
	char *found;
	int rc = -1;

	if (!run->o->allow_copy) {
		dr_rejoin_why(run, "A fresh copy is not allowed.");
		return 0;
	}
	run->r->aside = dr_fmt(err, "%s.before-%s", run->pgdata, run->stamp);
	if (run->r->aside == NULL || (s = find_spaces(run, err)) == NULL)
		return -1;
	found = dr_rejoin_program(run, "pg_basebackup", &why);
	free(found);
	if (found == NULL || dr_rejoin_keep_wal(run, false, &why) == -1 ||
	    dr_rejoin_park(run, &why) == -1 ||
	    dr_datadir_idle(run->pgdata, &why) == -1)
		goto fail;
	if (set_aside(run, s, &why) == 0 && basebackup(run, &why) == 0) {
		rc = 1;
		goto out;
	}
	put_back(run, s);

fail:
	free(run->r->aside);
	run->r->aside = NULL;
	if (why.cause == DR_ESTOP)
		*err = why;
	else {
		dr_rejoin_why(run, "It cannot be copied: %s.", why.msg);
		rc = 0;
	}

out:
	spaces_free(s);
	return rc;
}
