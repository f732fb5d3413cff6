/*
 * dr-pull - read a backup or an object from a store (see dr-pull(1)).
 */
#include "base/msg.h"
#include "base/opt.h"
#include "base/tty.h"
#include "crypt/secret.h"
#include "flow/options.h"
#include "flow/pull.h"
#include "flow/stores.h"

static int
conflict(const char *a, const char *b, struct dr_err *err)
{
	dr_err_set(err, DR_EUSAGE, "%s and %s exclude each other", a, b);
	return dr_err_hint(err, "try 'dr-pull --help'");
}

static int
check(const struct dr_pull_opts *o, struct dr_err *err)
{
	if (o->object != NULL && o->id != NULL)
		return conflict("--object", "-b", err);
	if (o->object != NULL && o->manifest)
		return conflict("--object", "--manifest", err);
	if (o->object != NULL && o->out.stream)
		return conflict("--object", "--stream", err);
	if (o->manifest && (o->out.stream || o->out.body))
		return conflict("--manifest",
		    o->out.stream ? "--stream" : "--body", err);
	return o->object != NULL ? 0 : dr_set_named(o->set, err);
}

int
main(int argc, char **argv)
{
	struct dr_pull_opts o = { .set = NULL };
	struct dr_stores_line line = DR_STORES_LINE_INIT;
	struct dr_strs stores = { NULL, 0 };
	const struct dr_opt opts[] = {
		{ "set", 'n', DR_OPT_STR, &o.set, 0, 0, "SET", "read from SET",
		    "DR_SET" },
		{ "backup", 'b', DR_OPT_STR, &o.id, 0, 0, "ID",
		    "the backup: its id, a prefix, or latest (latest)", NULL },
		{ "object", 0, DR_OPT_STR, &o.object, 0, 0, "NAME",
		    "any object as it is, unverified, by its full name", NULL },
		{ "manifest", 0, DR_OPT_FLAG, &o.manifest, 0, 0, NULL,
		    "the signed manifest instead of the backup", NULL },
		DR_OPTS_OUTPUT(&o.out,
		    "write to FILE, FILE.json and FILE.json.minisig"),
		DR_OPTS_TRUST(&o.verify_key, &o.no_signature),
		DR_OPTS_STORE(&line),
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-pull",
		"[-n SET] [-b ID | --object NAME] [-K FILE] [--manifest] "
		"[--body]\n"
		"               [-o FILE] [STORE...]",
		"Read a backup from a store, checked, as a stream.",
		"dr-pull -n main /backup | dr-seal -d -i key.txt | "
		"dr-pack -d | dr-restore -D /srv/pg -\n"
		"dr-pull -n main -b 20261120 -o main.tar.zst.age /backup\n",
		opts };
	struct dr_err err = { 0 };
	int first;

	dr_main_begin(cmd.name);
	if ((first = dr_opt_parse(&cmd, argc, argv, &err)) == -1)
		goto out;
	if (line.check) {
		(void)dr_stores_check(DR_ROLE_RESTORE, o.set, argc - first,
		    argv + first, &stores, &line, false, &err);
		goto out;
	}
	if (check(&o, &err) == -1 || dr_stores_how(&line, &err) == -1 ||
	    dr_crypt_init(&err) == -1 ||
	    dr_stores_named(argc - first, argv + first, &stores, &err) == -1)
		goto out;
	o.state = dr_common.state;
	o.stores = stores.v;
	o.nstores = stores.n;
	o.how = &line.how;
	dr_progress_begin("pulling", 0);
	(void)dr_pull(&o, &err);
	dr_progress_end();

out:
	dr_strs_free(&stores);
	return dr_main_end(&err);
}
