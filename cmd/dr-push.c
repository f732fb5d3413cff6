/*
 * dr-push - publish a stream in stores (see dr-push(1)).
 */
#include <stdio.h>

#include "base/msg.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/tty.h"
#include "crypt/secret.h"
#include "flow/options.h"
#include "flow/push.h"
#include "flow/push_report.h"
#include "flow/stores.h"

struct options {
	struct dr_push_opts push;
	struct dr_input_opts in;
	struct dr_stores_line line;
	int require;
	bool json;
};

static void
print(const struct options *o, const struct dr_push_report *r,
    const struct dr_err *result)
{
	struct dr_buf text = { .max = 1U << 20 };
	struct dr_err err = { 0 };

	if (dr_push_json(&o->push, r, result, &text, &err) == 0)
		printf("%s\n", text.data);
	else
		dr_warn("%s", err.msg);
	dr_buf_free(&text);
}

static int
run(struct options *o, struct dr_err *err)
{
	struct dr_push_report r = { 0 };
	struct dr_input *in;
	char size[DR_SIZE_LEN];
	int rc;

	if (dr_crypt_init(err) == -1 ||
	    (in = dr_input_open(&o->in, err)) == NULL)
		return -1;
	dr_progress_begin("pushing", 0);
	rc = dr_push(in, &o->push, &r, err);
	dr_progress_end();
	if (r.manifest != NULL && o->json)
		print(o, &r, err);
	if (err->cause != DR_EUSAGE)
		dr_push_tell(&o->push, &r, err);
	if (rc == 0)
		dr_say(1, "backup %s, %s, %s %zu store%s", r.id,
		    dr_format_size(r.size, size),
		    r.again ? "was already in" : "is in", r.done,
		    dr_plural(r.done));
	dr_push_wipe(&r);
	dr_input_free(in);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o = { .line = DR_STORES_LINE_INIT };
	struct dr_strs stores = { NULL, 0 };
	const struct dr_opt opts[] = {
		{ "set", 'n', DR_OPT_STR, &o.push.set, 0, 0, "SET",
		    "publish in SET", "DR_SET" },
		DR_OPT_SIGN_KEY(&o.push.sign_key),
		{ "input", 0, DR_OPT_STR, &o.in.path, 0, 0, "FILE",
		    "publish FILE and FILE.json, not standard input", NULL },
		{ "require", 0, DR_OPT_INT, &o.require, 1, DR_PUSH_STORES, "N",
		    "succeed when N stores have it (all)", NULL },
		{ "plain", 0, DR_OPT_FLAG, &o.push.plain, 0, 0, NULL,
		    "an unsealed backup is meant", NULL },
		{ "verify-key", 'K', DR_OPT_STR, &o.in.verify_key, 0, 0, "FILE",
		    "verify the signature of --input with FILE",
		    "DR_VERIFY_KEY" },
		{ "no-signature", 0, DR_OPT_FLAG, &o.in.no_signature, 0, 0,
		    NULL, "do not verify the signature of --input", NULL },
		{ "json", 0, DR_OPT_FLAG, &o.json, 0, 0, NULL,
		    "print the result as JSON", NULL },
		{ "patience", 0, DR_OPT_MSEC, &o.line.how.patience_ms, 0, 0,
		    "DURATION", "give a store up that fails for DURATION (2m)",
		    NULL },
		DR_OPTS_STORE(&o.line),
		DR_OPTS_LOCK(&o.line),
		DR_OPTS_BODY(&o.line),
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-push",
		"[-n SET] [-k FILE] [--input FILE] [--require N] "
		"[--plain]\n"
		"               [--lock-days N | --lock-until TIME] "
		"[--lock-mode MODE]\n"
		"               [--legal-hold] [--storage-class CLASS] "
		"[--sse KIND]\n"
		"               [--limit-rate SIZE] [--patience DURATION] [--json] "
		"STORE...",
		"Publish a backup in one or more stores at once.",
		"dr-snap -d service=main | dr-pack | "
		"dr-seal -R /etc/dr/recipients |\n"
		"    dr-push -n main /backup /mnt/second/backup\n",
		opts };
	struct dr_err err = { 0 };
	int first;

	dr_main_begin(cmd.name);
	if ((first = dr_opt_parse(&cmd, argc, argv, &err)) == -1)
		goto out;
	if (o.line.check) {
		(void)dr_stores_check(DR_ROLE_BACKUP, o.push.set, argc - first,
		    argv + first, &stores, &o.line, o.json, &err);
		goto out;
	}
	if (dr_set_named(o.push.set, &err) == -1 ||
	    dr_stores_how(&o.line, &err) == -1 ||
	    dr_stores_named(argc - first, argv + first, &stores, &err) == -1)
		goto out;
	o.push.stores = stores.v;
	o.push.nstores = stores.n;
	o.push.how = &o.line.how;
	o.push.require = (size_t)o.require;
	o.push.state = o.in.state = dr_common.state;
	(void)run(&o, &err);

out:
	dr_strs_free(&stores);
	return dr_main_end(&err);
}
