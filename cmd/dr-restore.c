/*
 * dr-restore - write a backup to a directory, ready to use (see
 * dr-restore(1)).
 */
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/opt.h"
#include "crypt/secret.h"
#include "flow/from.h"
#include "flow/options.h"
#include "flow/restore.h"
#include "flow/restore_plan.h"
#include "flow/restore_report.h"
#include "flow/sealing.h"
#include "flow/stores.h"
#include "pg/conn.h"

#define NO_TIME      INT64_MIN
#define NO_LSN       UINT64_MAX
#define NAME_LONGEST 63 /* MAXFNAMELEN - 1 of the server */

struct options {
	struct dr_from_opts from;
	struct dr_restore_opts to;
	struct dr_stores_line line;
	struct dr_strs identities, tablespaces;
	const char *identity_command, *passphrase_file;
	const char *target_xid, *target_name, *standby;
	int64_t target_time;
	uint64_t target_lsn;
	int action, timeline;
	bool immediate, latest, exclusive;
};

/* At most one target. */
static int
target(struct options *o, struct dr_target *t, struct dr_err *err)
{
	unsigned n = 0;
	int64_t xid;

	t->exclusive = o->exclusive;
	t->timeline = (uint32_t)o->timeline;
	if (o->immediate && ++n > 0)
		t->kind = DR_TARGET_IMMEDIATE;
	if (o->latest && ++n > 0)
		t->kind = DR_TARGET_LATEST;
	if (o->target_time != NO_TIME && ++n > 0) {
		t->kind = DR_TARGET_TIME;
		t->time = o->target_time;
	}
	if (o->target_lsn != NO_LSN && ++n > 0) {
		t->kind = DR_TARGET_LSN;
		t->lsn = o->target_lsn;
	}
	if (o->target_xid != NULL && ++n > 0) {
		t->kind = DR_TARGET_XID;
		if (dr_parse_int(o->target_xid, 3, INT64_MAX, &xid, err) == -1)
			return -1;
		t->xid = (uint64_t)xid;
	}
	if (o->target_name != NULL && ++n > 0) {
		t->kind = DR_TARGET_NAME;
		t->name = o->target_name;
		if (*t->name == '\0' || strlen(t->name) > NAME_LONGEST)
			return dr_err_set(err, DR_EUSAGE,
			    "a restore point's name has 1 to %d bytes",
			    NAME_LONGEST);
	}
	if (n > 1)
		return dr_err_set(err, DR_EUSAGE, "more than one target");
	if (o->exclusive && t->kind < DR_TARGET_TIME)
		return dr_err_set(err, DR_EUSAGE,
		    "--exclusive needs a target before which to stop");
	if (o->timeline != 0 && t->kind == DR_TARGET_IMMEDIATE)
		return dr_err_set(err, DR_EUSAGE,
		    "--immediate stays on the timeline of the backup: "
		    "--timeline does not go with it");
	return 0;
}

static int
check(struct options *o, struct dr_target *t, struct dr_err *err)
{
	bool aim;

	o->to.action = (enum dr_target_action)o->action;
	if (o->to.dir == NULL) {
		dr_err_set(err, DR_EUSAGE, "no directory is named");
		return dr_err_hint(err, "give one with -D");
	}
	if (target(o, t, err) == -1)
		return -1;
	aim = t->kind != DR_TARGET_NONE || t->timeline != 0 ||
	      o->action != DR_ACT_PROMOTE;
	if (o->to.same_timeline && (aim || o->standby != NULL))
		return dr_err_set(err, DR_EUSAGE,
		    "--same-timeline recovers nothing: no target, --timeline, "
		    "--target-action or --standby goes with it");
	if (o->standby != NULL && aim)
		return dr_err_set(err, DR_EUSAGE,
		    "--standby follows its primary: no target, --timeline or "
		    "--target-action goes with it");
	if (o->to.as_is && (o->to.same_timeline || aim))
		return dr_err_set(err, DR_EUSAGE,
		    "--as-is configures nothing: no target, --timeline, "
		    "--target-action or --same-timeline goes with it");
	if (o->standby != NULL && dr_pg_conninfo_ok(o->standby, err) == -1)
		return -1;
	return o->from.file != NULL ? 0 : dr_set_named(o->from.set, err);
}

static int
run(struct options *o, const struct dr_target *t, struct dr_err *err)
{
	struct dr_plan_opts how = { .from = &o->from,
		.target = *t,
		.standby = o->standby,
		.as_is = o->to.as_is,
		.same_timeline = o->to.same_timeline,
		.action = o->to.action,
		.identities = &o->identities,
		.identity_command = o->identity_command,
		.passphrase_file = o->passphrase_file };
	struct dr_restore_facts facts = { 0 };
	struct dr_plan plan = { .id = NULL };
	struct dr_identities *ids = NULL;
	struct dr_body *body = NULL;
	int64_t start = dr_monotonic();
	int rc = -1;

	if (dr_crypt_init(err) == -1)
		return -1;
	if ((o->identities.n > 0 || o->identity_command != NULL) &&
	    (ids = dr_identities_gather(&o->identities, o->identity_command,
	         o->passphrase_file, err)) == NULL)
		goto out;
	how.ids = ids;
	if (dr_restore_plan(&how, &plan, err) == -1)
		goto out;
	o->to.recovery = &plan.recovery;
	if (plan.id != NULL) {
		o->from.id = plan.id;
		o->from.whole_id = true;
	}
	if ((body = dr_from_open(&o->from, err)) == NULL)
		goto out;
	o->to.ids = ids;
	o->to.tablespaces = &o->tablespaces;
	rc = dr_restore(body, &o->to, &facts, err);
	dr_restore_report(&o->from, &o->to, body, &facts,
	    dr_monotonic() - start, rc == 0 ? NULL : err);

out:
	dr_body_free(body);
	dr_plan_wipe(&plan);
	dr_identities_free(ids);
	return rc;
}

int
main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct options o = { .action = DR_ACT_PROMOTE,
		.line = DR_STORES_LINE_INIT,
		.target_time = NO_TIME,
		.target_lsn = NO_LSN,
		.to.workers = cpus < 1   ? 1
		              : cpus > 4 ? 4
		                         : (int)cpus };
	const struct dr_opt opts[] = {
		{ "set", 'n', DR_OPT_STR, &o.from.set, 0, 0, "SET",
		    "restore a backup of SET", "DR_SET" },
		{ "backup", 'b', DR_OPT_STR, &o.from.id, 0, 0, "ID",
		    "the backup: its id, a prefix, or latest (latest)", NULL },
		DR_OPTS_IDENTITY(&o.identities, &o.identity_command,
		    &o.passphrase_file),
		DR_OPTS_TRUST(&o.from.verify_key, &o.from.no_signature),
		{ "directory", 'D', DR_OPT_STR, &o.to.dir, 0, 0, "DIR",
		    "write to DIR, which is empty or not there", NULL },
		{ "tablespace", 0, DR_OPT_LIST, &o.tablespaces, 0, 0, "OLD=NEW",
		    "put the tablespace at OLD (or of that OID) into NEW",
		    NULL },
		{ "jobs", 'j', DR_OPT_INT, &o.to.workers, 1, 16, "N",
		    "write with N threads (the processors, at most 4)", NULL },
		{ "target-time", 0, DR_OPT_TIME, &o.target_time, 0, 0, "TIME",
		    "recover to TIME, with its zone", NULL },
		{ "target-lsn", 0, DR_OPT_LSN, &o.target_lsn, 0, 0, "LSN",
		    "recover to LSN", NULL },
		{ "target-xid", 0, DR_OPT_STR, &o.target_xid, 0, 0, "N",
		    "recover to the end of transaction N", NULL },
		{ "target-name", 0, DR_OPT_STR, &o.target_name, 0, 0, "NAME",
		    "recover to the restore point NAME", NULL },
		{ "immediate", 0, DR_OPT_FLAG, &o.immediate, 0, 0, NULL,
		    "recover to the end of the backup", NULL },
		{ "latest", 0, DR_OPT_FLAG, &o.latest, 0, 0, NULL,
		    "recover to the end of the WAL (the default, where the "
		    "stores hold any)",
		    NULL },
		{ "exclusive", 0, DR_OPT_FLAG, &o.exclusive, 0, 0, NULL,
		    "stop just before the target", NULL },
		{ "timeline", 0, DR_OPT_INT, &o.timeline, 1, INT32_MAX, "N",
		    "recover along timeline N (the newest)", NULL },
		{ "target-action", 0, DR_OPT_CHOICE, &o.action, 0, 0,
		    "pause|promote|shutdown",
		    "what the server does there (promote)", NULL },
		{ "same-timeline", 0, DR_OPT_FLAG, &o.to.same_timeline, 0, 0,
		    NULL, "start as after a crash, on the same timeline",
		    NULL },
		{ "standby", 0, DR_OPT_STR, &o.standby, 0, 0, "CONNINFO",
		    "make a standby of the primary at CONNINFO", NULL },
		{ "delta", 0, DR_OPT_FLAG, &o.to.delta, 0, 0, NULL,
		    "DIR may be the cluster's own, stopped: write what differs",
		    NULL },
		{ "as-is", 0, DR_OPT_FLAG, &o.to.as_is, 0, 0, NULL,
		    "leave the configuration as it was", NULL },
		DR_OPTS_STORE(&o.line),
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-restore",
		"[-n SET] [-b ID] [-i FILE]... [-K FILE] -D DIR\n"
		"                  [--tablespace OLD=NEW]... [-j N]\n"
		"                  [--target-time T | --target-lsn LSN | "
		"--target-xid N |\n"
		"                  --target-name S | --immediate | --latest] "
		"[--exclusive]\n"
		"                  [--timeline N] [--same-timeline] "
		"[--target-action pause|promote|shutdown]\n"
		"                  [--standby CONNINFO] [--as-is] [--delta]\n"
		"                  "
		"[STORE... | FILE | -]",
		"Write a backup to a directory, ready to use.",
		"dr-restore -n main -i key.txt -D /srv/pg /backup\n"
		"dr-restore -n main -i key.txt -D /srv/pg --target-time "
		"2026-11-20T12:00:00Z /backup\n"
		"dr-pull -n main /backup | dr-restore -i key.txt -D /srv/pg -\n",
		opts };
	struct dr_target t = { .kind = DR_TARGET_NONE };
	struct dr_err err = { 0 };
	int first;

	dr_main_begin(cmd.name);
	if ((first = dr_opt_parse(&cmd, argc, argv, &err)) == -1)
		goto out;
	if (o.line.check) {
		(void)dr_stores_check(DR_ROLE_RESTORE, o.from.set, argc - first,
		    argv + first, &o.from.stores, &o.line, false, &err);
		goto out;
	}
	o.from.state = dr_common.state;
	o.from.how = &o.line.how;
	if (dr_from_operands(argc - first, argv + first, &o.from, &err) == 0 &&
	    check(&o, &t, &err) == 0 && dr_stores_how(&o.line, &err) == 0)
		run(&o, &t, &err);

out:
	dr_strs_free(&o.from.stores);
	dr_strs_free(&o.identities);
	dr_strs_free(&o.tablespaces);
	return dr_main_end(&err);
}
