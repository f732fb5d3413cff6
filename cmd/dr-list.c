/*
 * dr-list - show what backups there are, and what is in them (see
 * dr-list(1)).
 */
#include "base/msg.h"
#include "base/opt.h"
#include "crypt/secret.h"
#include "flow/list.h"
#include "flow/options.h"
#include "flow/stores.h"
#include "stream/pump.h"
#include "stream/sink.h"

static int
check(const struct dr_list_opts *o, bool members, struct dr_err *err)
{
	if (members)
		return dr_set_named(o->set, err);
	if (o->id != NULL) {
		dr_err_set(err, DR_EUSAGE, "-b goes with --members only");
		return dr_err_hint(err, "try 'dr-list --help'");
	}
	return o->set == NULL ? 0 : dr_set_named(o->set, err);
}

static int
run(const struct dr_list_opts *o, bool members, struct dr_err *err)
{
	struct dr_sink *out = dr_sink_fd(1, "standard output", err);
	int rc = -1;

	if (out != NULL)
		rc = members ? dr_list_members(o, out, err)
		             : dr_list(o, out, err);
	dr_sink_free(out);
	return rc;
}

int
main(int argc, char **argv)
{
	struct dr_list_opts o = { .set = NULL };
	struct dr_stores_line line = DR_STORES_LINE_INIT;
	struct dr_strs stores = { NULL, 0 }, ids = { NULL, 0 };
	bool members = false;
	const struct dr_opt opts[] = {
		{ "set", 'n', DR_OPT_STR, &o.set, 0, 0, "SET",
		    "list SET only (all sets of the store)", "DR_SET" },
		{ "json", 0, DR_OPT_FLAG, &o.json, 0, 0, NULL,
		    "print one JSON object a line", NULL },
		{ "members", 0, DR_OPT_FLAG, &members, 0, 0, NULL,
		    "list what is in one backup", NULL },
		{ "backup", 'b', DR_OPT_STR, &o.id, 0, 0, "ID",
		    "with --members: the backup (latest)", NULL },
		DR_OPTS_IDENTITY(&ids, &o.identity_command, &o.passphrase_file),
		DR_OPTS_TRUST(&o.verify_key, &o.no_signature),
		DR_OPTS_STORE(&line),
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-list",
		"[-n SET] [--json] [-K FILE] [STORE...]\n"
		"       dr-list --members [-n SET] [-b ID] [-i FILE]... "
		"[--json] STORE",
		"Show what can be restored, and to which points in time.",
		"dr-list /backup\n"
		"dr-list --members -n main -i key.txt /backup\n",
		opts };
	struct dr_err err = { 0 };
	int first;

	dr_main_begin(cmd.name);
	if ((first = dr_opt_parse(&cmd, argc, argv, &err)) == -1)
		goto out;
	if (line.check) {
		(void)dr_stores_check(DR_ROLE_RESTORE, o.set, argc - first,
		    argv + first, &stores, &line, o.json, &err);
		goto out;
	}
	if (check(&o, members, &err) == -1 ||
	    dr_stores_how(&line, &err) == -1 || dr_crypt_init(&err) == -1 ||
	    dr_stores_named(argc - first, argv + first, &stores, &err) == -1)
		goto out;
	o.state = dr_common.state;
	o.stores = stores.v;
	o.nstores = stores.n;
	o.how = &line.how;
	o.identities = &ids;
	(void)run(&o, members, &err);

out:
	dr_strs_free(&stores);
	dr_strs_free(&ids);
	return dr_main_end(&err);
}
