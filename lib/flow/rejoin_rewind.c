/* By pg_rewind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/num.h"
#include "flow/rejoin_int.h"

#define SAID_MAX (4U << 20)

/* pg_rewind goes by the primary's control file, which may be older than it. */
static int
checkpoint(struct dr_rejoin_run *run, struct dr_err *err)
{
	struct dr_err why = { 0 };
	PGresult *res;
	bool known;

	res = dr_pg_query(run->conn, "CHECKPOINT",
	    "make a checkpoint on the new primary", &why);
	if (res != NULL) {
		PQclear(res);
		return 0;
	}
	if (why.cause != DR_EFAIL) {
		*err = why;
		return -1;
	}
	/* The role may not; then it must have been made already. */
	res = dr_pg_query(run->conn,
	    "SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()",
	    "ask for the new primary's checkpoint", err);
	if (res == NULL)
		return -1;
	known = strtoul(PQgetvalue(res, 0, 0), NULL, 10) == run->r->new_tli;
	PQclear(res);
	if (known)
		return 0;
	*err = why;
	return dr_err_hint(err, "it is needed once after a promotion: a "
	                        "superuser can say CHECKPOINT there");
}

static int
program(struct dr_rejoin_run *run, const char *name, const char *const *args,
    struct dr_buf *out, struct dr_err *err)
{
	char *argv[16] = { NULL };
	size_t n = 0;
	int rc = -1;

	if ((argv[n++] = dr_rejoin_program(run, name, err)) == NULL)
		return -1;
	for (; *args != NULL && n < 15; args++)
		argv[n++] = dr_fmt(err, "%s", *args);
	if (err->cause == DR_OK)
		rc = dr_rejoin_command(run, argv, out, err);
	while (n > 0)
		free(argv[--n]);
	return rc;
}

/* A server that crashed is brought to its end first, as pg_rewind would. */
static int
recover(struct dr_rejoin_run *run, struct dr_err *err)
{
	struct dr_buf out = { .max = SAID_MAX };
	const char *args[9] = { "--single", "-F", "-D", run->pgdata };
	char *file = NULL;
	size_t n = 4;
	int rc = -1;

	if (run->control.state == DR_CONTROL_SHUTDOWN ||
	    run->control.state == DR_CONTROL_SHUTDOWN_RECOVERY)
		return 0;
	if (run->o->config_file != NULL) {
		if ((file = dr_fmt(err, "config_file=%s",
		         run->o->config_file)) == NULL)
			return -1;
		args[n++] = "-c";
		args[n++] = file;
	}
	args[n++] = "template1";
	args[n] = NULL;
	run->r->changed = true;
	dr_say(1, "it crashed: recovering it to its end first");
	if (dr_rejoin_unsignal(run, err) == 0)
		rc = program(run, "postgres", args, &out, err);
	if (rc == -1)
		dr_err_wrap(err, "cannot recover it");
	free(file);
	dr_buf_free(&out);
	return rc;
}

static int
rewind_it(struct dr_rejoin_run *run, bool dry, struct dr_err *err)
{
	struct dr_buf out = { .max = SAID_MAX };
	const char *args[12] = { "--source-server=service=dr-rejoin",
		"--progress", "--no-ensure-shutdown" };
	const char *need;
	char *target, *file = NULL;
	size_t n = 3;
	int rc = -1;

	if ((target = dr_fmt(err, "--target-pgdata=%s", run->pgdata)) == NULL)
		return -1;
	args[n++] = target;
	if (dry)
		args[n++] = "--dry-run";
	/* Where its configuration lies it is told from 15 on. */
	if (run->o->config_file != NULL && run->version >= 15) {
		file = dr_fmt(err, "--config-file=%s", run->o->config_file);
		if (file == NULL)
			goto out;
		args[n++] = file;
	}
	if (run->archive && (run->o->config_file == NULL || run->version >= 15))
		args[n++] = "--restore-target-wal";
	args[n] = NULL;
	rc = program(run, "pg_rewind", args, &out, err);
	need = out.data == NULL ? NULL : strstr(out.data, "need to copy ");
	if (rc == 0 && need != NULL)
		run->r->written =
		    strtoull(need + strlen("need to copy "), NULL, 10) << 20;

out:
	dr_buf_free(&out);
	free(target);
	free(file);
	return rc;
}

/* Whether WAL that is gone could come from an archive. */
static int
archive(struct dr_rejoin_run *run, struct dr_err *err)
{
	char *command = dr_rejoin_setting(run, "restore_command", err);

	if (command == NULL)
		return -1;
	run->archive = *command != '\0';
	free(command);
	return 0;
}

int
dr_rejoin_rewind(struct dr_rejoin_run *run, struct dr_err *err)
{
	struct dr_err why = { 0 };
	char *found = dr_rejoin_program(run, "pg_rewind", &why);

	free(found);
	if (found == NULL) {
		dr_rejoin_why(run, "It cannot be rewound: %s.", why.msg);
		return 0;
	}
	if (checkpoint(run, err) == -1)
		return -1;
	/* First of all. */
	if (dr_rejoin_keep_wal(run, false, err) == -1)
		return -1;
	if (recover(run, &why) == -1 || dr_rejoin_settings(run, &why) == -1 ||
	    archive(run, &why) == -1 || dr_rejoin_park(run, &why) == -1 ||
	    rewind_it(run, true, &why) == -1)
		goto fail;
	if (dr_datadir_idle(run->pgdata, err) == -1 ||
	    dr_rejoin_shut(run, err) == -1)
		return -1;
	if (rewind_it(run, false, &why) == 0)
		return 1;
	/* pg_rewind removes what the primary does not have, the marker too. */
	run->r->unusable = true;
	if (why.cause == DR_ESTOP) {
		*err = why;
		(void)dr_rejoin_shut(run, &why);
		return -1;
	}
	if (dr_rejoin_shut(run, err) == -1)
		return -1;

fail:
	if (why.cause == DR_ESTOP) {
		*err = why;
		return -1;
	}
	dr_rejoin_why(run, "It cannot be rewound: %s.", why.msg);
	return 0;
}
