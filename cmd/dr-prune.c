/*
 * dr-prune - remove what belongs to nothing (see dr-prune(1)).
 */
#include <inttypes.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/opt.h"
#include "crypt/secret.h"
#include "flow/garbage.h"
#include "flow/options.h"
#include "flow/stores.h"

struct options {
	struct dr_garbage_opts how;
	struct dr_stores_line line;
	struct dr_strs stores;
	bool garbage, json;
};

static int
check(const struct options *o, struct dr_err *err)
{
	if (!o->garbage) {
		dr_err_set(err, DR_EUSAGE, "nothing says what to remove");
		return dr_err_hint(err,
		    "--garbage removes what belongs to no backup; how long to "
		    "keep backups cannot be said yet");
	}
	return dr_set_named(o->how.set, err);
}

static int
print(void *arg, const char *store, const struct dr_garbage_item *it,
    struct dr_err *err)
{
	const struct options *o = arg;
	struct dr_buf line = { .max = 65536 };
	int rc;

	rc = o->json ? dr_garbage_json(store, o->how.set, it, &line, err)
	             : dr_garbage_text(store, it, &line, err);
	if (rc == 0)
		rc =
		    dr_fd_write(1, line.data, line.len, "standard output", err);
	dr_buf_free(&line);
	return rc;
}

static int
run(struct options *o, struct dr_err *err)
{
	struct dr_garbage_sum sum = { 0 };
	char size[DR_SIZE_LEN];
	int rc;

	o->how.stores = o->stores.v;
	o->how.nstores = o->stores.n;
	o->how.how = &o->line.how;
	o->how.state = dr_common.state;
	if (o->how.act && o->how.grace_ms < DR_GARBAGE_GRACE)
		dr_warn("with so short a grace a backup that is not committed "
		        "yet may lose its body");
	rc = dr_garbage(&o->how, print, o, &sum, err);
	dr_garbage_metrics(&o->how, &sum, rc == 0 ? NULL : err);
	if (o->how.act)
		dr_say(1, "%" PRIu64 " object%s deleted, %s", sum.deleted,
		    dr_plural(sum.deleted),
		    dr_format_size(sum.deleted_bytes, size));
	else if (sum.found > 0)
		dr_say(0, "%" PRIu64 " object%s, %s: --yes deletes %s",
		    sum.found, dr_plural(sum.found),
		    dr_format_size(sum.found_bytes, size),
		    sum.found == 1 ? "it" : "them");
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o = { .line = DR_STORES_LINE_INIT,
		.how.grace_ms = DR_GARBAGE_GRACE };
	const struct dr_opt opts[] = {
		{ "set", 'n', DR_OPT_STR, &o.how.set, 0, 0, "SET",
		    "the set to look through", "DR_SET" },
		{ "garbage", 0, DR_OPT_FLAG, &o.garbage, 0, 0, NULL,
		    "remove what belongs to no backup", NULL },
		{ "grace", 0, DR_OPT_MSEC, &o.how.grace_ms, 0, 0, "D",
		    "only what was last modified longer ago (7d)", NULL },
		{ "yes", 0, DR_OPT_FLAG, &o.how.act, 0, 0, NULL,
		    "do it; without this only the plan is printed", NULL },
		{ "json", 0, DR_OPT_FLAG, &o.json, 0, 0, NULL,
		    "print one JSON object a line", NULL },
		DR_OPTS_TRUST(&o.how.verify_key, &o.how.no_signature),
		DR_OPTS_STORE(&o.line),
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-prune",
		"-n SET --garbage [--grace D] [--yes] [--json] [-K FILE] "
		"[STORE...]",
		"Remove from stores what belongs to nothing.",
		"dr-prune -n main --garbage /backup\n"
		"dr-prune -n main --garbage --yes /backup\n",
		opts };
	struct dr_err err = { 0 };
	int first;

	dr_main_begin(cmd.name);
	if ((first = dr_opt_parse(&cmd, argc, argv, &err)) == -1)
		goto out;
	if (o.line.check)
		(void)dr_stores_check(DR_ROLE_PRUNE, o.how.set, argc - first,
		    argv + first, &o.stores, &o.line, o.json, &err);
	else if (check(&o, &err) == 0 && dr_stores_how(&o.line, &err) == 0 &&
	         dr_crypt_init(&err) == 0 &&
	         dr_stores_named(argc - first, argv + first, &o.stores, &err) ==
	             0)
		(void)run(&o, &err);

out:
	dr_strs_free(&o.stores);
	return dr_main_end(&err);
}
