/*
 * dr-verify - prove backups intact, or restorable (see dr-verify(1)).
 */
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/opt.h"
#include "crypt/secret.h"
#include "flow/from.h"
#include "flow/options.h"
#include "flow/sealing.h"
#include "flow/stores.h"
#include "flow/verify.h"

struct options {
	struct dr_from_opts from;
	struct dr_verify_opts how;
	struct dr_stores_line line;
	struct dr_strs identities;
	const char *identity_command, *passphrase_file;
	bool json;
};

static int
check(const struct options *o, struct dr_err *err)
{
	if (!o->how.deep && o->passphrase_file != NULL) {
		dr_err_set(err, DR_EUSAGE, "without --deep nothing is opened");
		return dr_err_hint(err, "try 'dr-verify --help'");
	}
	if (o->from.file != NULL && o->how.max_age > 0)
		return dr_err_set(err, DR_EUSAGE,
		    "--max-age is of a store's newest backup");
	return o->from.set == NULL ? 0 : dr_set_named(o->from.set, err);
}

static int
print(void *arg, const struct dr_finding *f, struct dr_err *err)
{
	const struct options *o = arg;
	struct dr_buf line = { .max = 65536 };
	int rc;

	/* Every set has a first backup; for people that is no news. */
	if (!o->json && dr_verbose == 0 && f->verdict == DR_VERDICT_REMARK &&
	    f->expected)
		return 0;
	rc = o->json ? dr_finding_json(f, o->how.deep, &line, err)
	             : dr_finding_text(f, o->from.stores.n > 1, &line, err);
	if (rc == 0)
		rc =
		    dr_fd_write(1, line.data, line.len, "standard output", err);
	dr_buf_free(&line);
	return rc;
}

static int
run(struct options *o, struct dr_err *err)
{
	struct dr_verify_sum sum = { 0 };
	struct dr_identities *ids = NULL;
	int rc;

	if (dr_crypt_init(err) == -1)
		return -1;
	if (o->how.deep &&
	    (o->identities.n > 0 || o->identity_command != NULL) &&
	    (ids = dr_identities_gather(&o->identities, o->identity_command,
	         o->passphrase_file, err)) == NULL)
		return -1;
	o->how.from = &o->from;
	o->how.ids = ids;
	rc = dr_verify_all(&o->how, print, o, &sum, err);
	dr_verify_report(&o->how, &sum, rc == 0 ? NULL : err);
	dr_identities_free(ids);
	return rc;
}

int
main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct options o = { .line = DR_STORES_LINE_INIT,
		.how.workers = cpus < 1   ? 1
		               : cpus > 4 ? 4
		                          : (int)cpus };
	const struct dr_opt opts[] = {
		{ "set", 'n', DR_OPT_STR, &o.from.set, 0, 0, "SET",
		    "verify SET only (all sets of the store)", "DR_SET" },
		{ "backup", 'b', DR_OPT_STR, &o.from.id, 0, 0, "ID",
		    "one backup: its id, a prefix, or latest (all)", NULL },
		DR_OPTS_TRUST(&o.from.verify_key, &o.from.no_signature),
		{ "max-age", 0, DR_OPT_MSEC, &o.how.max_age, 0, 0, "D",
		    "fail (3) when the newest good backup is older", NULL },
		{ "deep", 0, DR_OPT_FLAG, &o.how.deep, 0, 0, NULL,
		    "open the backups and check every file in them", NULL },
		DR_OPTS_IDENTITY(&o.identities, &o.identity_command,
		    &o.passphrase_file),
		{ "json", 0, DR_OPT_FLAG, &o.json, 0, 0, NULL,
		    "print one JSON object a line", NULL },
		DR_OPTS_STORE(&o.line),
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-verify",
		"[-n SET] [-b ID] [-K FILE] [--max-age D] [--deep [-i "
		"FILE]...]\n"
		"                 [--json] [STORE... | FILE | -]",
		"Prove backups intact without a key, or restorable with one.",
		"dr-verify --max-age 26h /backup\n"
		"dr-verify --deep -i key.txt -n main -b latest /backup\n",
		opts };
	struct dr_err err = { 0 };
	int first;

	dr_main_begin(cmd.name);
	if ((first = dr_opt_parse(&cmd, argc, argv, &err)) == -1)
		goto out;
	if (o.line.check) {
		(void)dr_stores_check(DR_ROLE_RESTORE, o.from.set, argc - first,
		    argv + first, &o.from.stores, &o.line, o.json, &err);
		goto out;
	}
	o.from.state = dr_common.state;
	o.from.how = &o.line.how;
	if (dr_from_operands(argc - first, argv + first, &o.from, &err) == 0 &&
	    check(&o, &err) == 0 && dr_stores_how(&o.line, &err) == 0)
		run(&o, &err);

out:
	dr_strs_free(&o.from.stores);
	dr_strs_free(&o.identities);
	return dr_main_end(&err);
}
