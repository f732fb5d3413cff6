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
#include "flow/restore.h"
#include "flow/restore_report.h"
#include "flow/sealing.h"
#include "flow/stores.h"

struct options {
	struct dr_from_opts from;
	struct dr_restore_opts to;
	struct dr_strs identities, tablespaces;
	const char *identity_command, *passphrase_file;
	int action;
	bool immediate;
};

static int
check(struct options *o, struct dr_err *err)
{
	o->to.action = (enum dr_target_action)o->action;
	if (o->to.dir == NULL) {
		dr_err_set(err, DR_EUSAGE, "no directory is named");
		return dr_err_hint(err, "give one with -D");
	}
	if (o->to.same_timeline && o->immediate)
		return dr_err_set(err, DR_EUSAGE,
		    "--same-timeline does not go with a target");
	if (o->to.same_timeline && o->action != DR_ACT_PROMOTE)
		return dr_err_set(err, DR_EUSAGE,
		    "--same-timeline does not go with --target-action");
	if (o->to.as_is && (o->to.same_timeline || o->immediate ||
	                       o->action != DR_ACT_PROMOTE))
		return dr_err_set(err, DR_EUSAGE,
		    "--as-is configures nothing: no other such option goes "
		    "with it");
	return o->from.file != NULL ? 0 : dr_set_named(o->from.set, err);
}

static int
run(struct options *o, struct dr_err *err)
{
	struct dr_restore_facts facts = { 0 };
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
	if ((body = dr_from_open(&o->from, err)) == NULL)
		goto out;
	o->to.ids = ids;
	o->to.tablespaces = &o->tablespaces;
	rc = dr_restore(body, &o->to, &facts, err);
	dr_restore_report(&o->from, &o->to, body, &facts,
	    dr_monotonic() - start, rc == 0 ? NULL : err);

out:
	dr_body_free(body);
	dr_identities_free(ids);
	return rc;
}

int
main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct options o = { .action = DR_ACT_PROMOTE,
		.to.workers = cpus < 1   ? 1
		              : cpus > 4 ? 4
		                         : (int)cpus };
	const struct dr_opt opts[] = {
		{ "set", 'n', DR_OPT_STR, &o.from.set, 0, 0, "SET",
		    "restore a backup of SET", "DR_SET" },
		{ "backup", 'b', DR_OPT_STR, &o.from.id, 0, 0, "ID",
		    "the backup: its id, a prefix, or latest (latest)", NULL },
		{ "identity", 'i', DR_OPT_LIST, &o.identities, 0, 0, "FILE",
		    "open with the identities in FILE; may be repeated",
		    "DR_IDENTITY" },
		{ "identity-command", 0, DR_OPT_STR, &o.identity_command, 0, 0,
		    "CMD", "open with the identities that CMD prints",
		    "DR_IDENTITY_COMMAND" },
		{ "passphrase-file", 0, DR_OPT_STR, &o.passphrase_file, 0, 0,
		    "FILE", "read the identity's passphrase from FILE", NULL },
		{ "verify-key", 'K', DR_OPT_STR, &o.from.verify_key, 0, 0,
		    "FILE", "public keys to trust (STATE/sign.key.pub)",
		    "DR_VERIFY_KEY" },
		{ "no-signature", 0, DR_OPT_FLAG, &o.from.no_signature, 0, 0,
		    NULL, "do without a key to verify with", NULL },
		{ "directory", 'D', DR_OPT_STR, &o.to.dir, 0, 0, "DIR",
		    "write to DIR, which is empty or not there", NULL },
		{ "tablespace", 0, DR_OPT_LIST, &o.tablespaces, 0, 0, "OLD=NEW",
		    "put the tablespace at OLD (or of that OID) into NEW",
		    NULL },
		{ "jobs", 'j', DR_OPT_INT, &o.to.workers, 1, 16, "N",
		    "write with N threads (the processors, at most 4)", NULL },
		{ "immediate", 0, DR_OPT_FLAG, &o.immediate, 0, 0, NULL,
		    "recover to the end of the backup (the default)", NULL },
		{ "target-action", 0, DR_OPT_CHOICE, &o.action, 0, 0,
		    "pause|promote|shutdown",
		    "what the server does there (promote)", NULL },
		{ "same-timeline", 0, DR_OPT_FLAG, &o.to.same_timeline, 0, 0,
		    NULL, "start as after a crash, on the same timeline",
		    NULL },
		{ "as-is", 0, DR_OPT_FLAG, &o.to.as_is, 0, 0, NULL,
		    "leave the configuration as it was", NULL },
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-restore",
		"[-n SET] [-b ID] [-i FILE]... [-K FILE] -D DIR\n"
		"                  [--tablespace OLD=NEW]... [-j N] "
		"[STORE... | FILE | -]",
		"Write a backup to a directory, ready to use.",
		"dr-restore -n main -i key.txt -D /srv/pg /backup\n"
		"dr-pull -n main /backup | dr-restore -i key.txt -D /srv/pg -\n",
		opts };
	struct dr_err err = { 0 };
	int first;

	dr_main_begin(cmd.name);
	if ((first = dr_opt_parse(&cmd, argc, argv, &err)) == -1)
		goto out;
	o.from.state = dr_common.state;
	if (dr_from_operands(argc - first, argv + first, &o.from, &err) == 0 &&
	    check(&o, &err) == 0)
		run(&o, &err);

out:
	dr_strs_free(&o.from.stores);
	dr_strs_free(&o.identities);
	dr_strs_free(&o.tablespaces);
	return dr_main_end(&err);
}
