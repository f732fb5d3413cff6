/*
 * dr-mirror - copy from one store what another lacks (see dr-mirror(1)).
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/tty.h"
#include "crypt/secret.h"
#include "flow/mirror.h"
#include "flow/mirror_report.h"
#include "flow/options.h"
#include "flow/stores.h"

struct options {
	struct dr_mirror_opts how;
	struct dr_stores_line line;
	bool json;
};

static int
object(void *arg, const char *name, uint64_t size, struct dr_err *err)
{
	const struct options *o = arg;
	char text[DR_SIZE_LEN];

	(void)err;
	if (!o->how.dry_run)
		dr_say(1, "copied \"%s\", %s", name,
		    dr_format_size(size, text));
	else if (!o->json)
		printf("%11s  %s\n", dr_format_size(size, text), name);
	return 0;
}

static int
set(void *arg, const struct dr_mirror_sum *sum, struct dr_err *err)
{
	const struct options *o = arg;
	struct dr_buf line = { .max = 65536 };
	char size[DR_SIZE_LEN];
	int rc = 0;

	if (o->json) {
		if ((rc = dr_mirror_json(&o->how, sum, &line, err)) == 0)
			printf("%s", line.data);
	} else if (o->how.dry_run)
		dr_say(0, "%s: %" PRIu64 " object%s to copy, %s", sum->set,
		    sum->lacking, dr_plural(sum->lacking),
		    dr_format_size(sum->lacking_bytes, size));
	else
		dr_say(1, "%s: %" PRIu64 " object%s copied, %s", sum->set,
		    sum->copied, dr_plural(sum->copied),
		    dr_format_size(sum->copied_bytes, size));
	if (!o->how.dry_run)
		dr_mirror_tell(&o->how, sum);
	dr_buf_free(&line);
	return rc;
}

static int
check(struct options *o, int n, char *const argv[], struct dr_err *err)
{
	if (o->how.set != NULL && dr_set_named(o->how.set, err) == -1)
		return -1;
	if (n != 2) {
		dr_err_set(err, DR_EUSAGE,
		    n < 2 ? "a source and a target are needed"
		          : "more than a source and a target");
		return dr_err_hint(err, "try 'dr-mirror --help'");
	}
	o->how.src = argv[0];
	o->how.dst = argv[1];
	return 0;
}

int
main(int argc, char **argv)
{
	struct options o = { .line = DR_STORES_LINE_INIT, .how.workers = 4 };
	struct dr_strs stores = { NULL, 0 };
	const struct dr_opt opts[] = {
		{ "set", 'n', DR_OPT_STR, &o.how.set, 0, 0, "SET",
		    "copy SET only (all sets of the source)", "DR_SET" },
		{ "jobs", 'j', DR_OPT_INT, &o.how.workers, 1, 16, "N",
		    "copy N objects at once (4)", NULL },
		{ "dry-run", 0, DR_OPT_FLAG, &o.how.dry_run, 0, 0, NULL,
		    "print what would be copied", NULL },
		{ "json", 0, DR_OPT_FLAG, &o.json, 0, 0, NULL,
		    "print one JSON object a set", NULL },
		DR_OPTS_TRUST(&o.how.verify_key, &o.how.no_signature),
		DR_OPTS_STORE(&o.line),
		DR_OPTS_LOCK(&o.line),
		DR_OPTS_BODY(&o.line),
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-mirror",
		"[-n SET] [-j N] [--limit-rate SIZE] [--dry-run] [--json] SRC "
		"DST",
		"Copy from one store what another lacks.",
		"dr-mirror -n main /backup s3://dr-west/prod\n"
		"dr-mirror --dry-run s3://dr-east/prod s3://dr-west/prod\n",
		opts };
	const struct dr_mirror_hooks hooks = { object, set, &o };
	struct dr_store_opts from;
	struct dr_err err = { 0 };
	int first;

	dr_main_begin(cmd.name);
	if ((first = dr_opt_parse(&cmd, argc, argv, &err)) == -1)
		goto out;
	if (o.line.check) {
		(void)dr_stores_check(DR_ROLE_MIRROR, o.how.set, argc - first,
		    argv + first, &stores, &o.line, o.json, &err);
		goto out;
	}
	if (check(&o, argc - first, argv + first, &err) == -1 ||
	    dr_stores_how(&o.line, &err) == -1 || dr_crypt_init(&err) == -1)
		goto out;
	/* What is said of how to keep objects is meant for the target. */
	from = dr_stores_reading(&o.line.how);
	o.how.from = &from;
	o.how.to = &o.line.how;
	o.how.state = dr_common.state;
	dr_progress_begin("copying", 0);
	(void)dr_mirror(&o.how, &hooks, &err);
	dr_progress_end();

out:
	dr_strs_free(&stores);
	return dr_main_end(&err);
}
