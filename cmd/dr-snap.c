/*
 * dr-snap - a consistent snapshot of a PostgreSQL cluster, of file trees, or
 * of what a command writes, as one tar (see dr-snap(1)).
 */
#include <string.h>

#include "base/buf.h"
#include "base/msg.h"
#include "base/num.h"
#include "base/opt.h"
#include "flow/options.h"
#include "flow/output.h"
#include "flow/snap_exec.h"
#include "flow/snap_files.h"
#include "flow/snap_pg.h"
#include "manifest/manifest.h"

/* How long --no-wal waits for the server's archiver to say or do anything. */
#define ARCHIVE_WAIT_MS 300000

#define RATE_MIN (32U << 10) /* what the protocol's MAX_RATE takes */
#define RATE_MAX (1U << 30)

struct snap_opts {
	struct dr_output_opts out;
	struct dr_snap_pg_opts pg;
	struct dr_snap_files_opts files;
	struct dr_strs labels, excludes;
	const char *exec, *from_stdin;
	int checkpoint;
	char *const *operands; /* NULL at the end */
	int n;
};

enum mode { MODE_PG, MODE_FILES, MODE_EXEC, MODE_STDIN };

/* Options of one mode given in another are an error, never ignored. */
static int
check(const struct snap_opts *o, enum mode *mode, struct dr_err *err)
{
	const struct dr_snap_pg_opts *pg = &o->pg;
	bool pg_only = pg->conninfo != NULL || pg->no_wal || pg->with_config ||
	               pg->allow_checksum_failures || pg->max_rate != 0 ||
	               pg->max_wal_retained != 0 || o->checkpoint != 0;
	bool files_only = o->excludes.n > 0 || o->files.one_file_system;

	if (o->exec != NULL && o->from_stdin != NULL)
		return dr_err_set(err, DR_EUSAGE,
		    "--exec and --stdin exclude each other");
	if (o->from_stdin != NULL && o->n > 0)
		return dr_err_set(err, DR_EUSAGE, "--stdin takes no operands");
	if (o->exec != NULL && o->n == 0)
		return dr_err_set(err, DR_EUSAGE,
		    "--exec needs a command after --");
	*mode = o->exec != NULL         ? MODE_EXEC
	        : o->from_stdin != NULL ? MODE_STDIN
	        : o->n > 0              ? MODE_FILES
	                                : MODE_PG;
	if (*mode != MODE_PG && pg_only)
		return dr_err_set(err, DR_EUSAGE,
		    "options of a PostgreSQL backup make no sense with %s",
		    *mode == MODE_EXEC    ? "--exec"
		    : *mode == MODE_STDIN ? "--stdin"
		                          : "a PATH");
	if (*mode != MODE_FILES && files_only)
		return dr_err_set(err, DR_EUSAGE,
		    "--exclude and --one-file-system need a PATH");
	if (pg->max_rate != 0 &&
	    (pg->max_rate < RATE_MIN || pg->max_rate > RATE_MAX))
		return dr_err_set(err, DR_EUSAGE,
		    "--max-rate must be from 32k to 1G a second");
	return 0;
}

static int
finish(struct dr_output *out, json_t *manifest, bool complete,
    struct dr_err *err)
{
	char when[DR_TIME_LEN];

	if (dr_manifest_set_bool(manifest, "complete", complete, err) == -1 ||
	    dr_manifest_set_int(manifest, "raw_size",
	        (int64_t)dr_output_size(out), err) == -1 ||
	    dr_manifest_set_str(manifest, "stopped",
	        dr_format_time(dr_now(), when), err) == -1 ||
	    dr_output_commit(out, manifest, err) == -1)
		return -1;
	if (complete)
		return 0;
	return dr_err_set(err, DR_EPARTIAL,
	    "some files changed or could not be read; what could be read is "
	    "in the stream");
}

static int
snap(struct snap_opts *o, enum mode mode, struct dr_err *err)
{
	static const char *const kinds[] = { "pg", "files", "stream",
		"stream" };
	struct dr_output *out = NULL;
	json_t *manifest = NULL;
	bool complete = true;
	size_t i;
	int rc = -1;

	if ((manifest = dr_manifest_new(kinds[mode], dr_now(), err)) == NULL)
		return -1;
	for (i = 0; i < o->labels.n; i++)
		if (dr_manifest_label(manifest, o->labels.v[i], err) == -1)
			goto out;
	if ((out = dr_output_open(&o->out, err)) == NULL)
		goto out;
	switch (mode) {
	case MODE_PG:
		rc = dr_snap_pg(&o->pg, dr_output_sink(out), manifest, err);
		break;
	case MODE_FILES:
		o->files.paths = (const char *const *)o->operands;
		o->files.n = (size_t)o->n;
		o->files.excludes = &o->excludes;
		rc = dr_snap_files(&o->files, dr_output_sink(out), manifest,
		    &complete, err);
		break;
	case MODE_EXEC:
		rc = dr_snap_exec(o->exec, o->operands, dr_output_sink(out),
		    manifest, err);
		break;
	case MODE_STDIN:
		rc = dr_snap_stdin(o->from_stdin, dr_output_sink(out), manifest,
		    err);
		break;
	}
	if (rc == 0)
		rc = finish(out, manifest, complete, err);

out:
	dr_output_free(out);
	json_decref(manifest);
	return rc;
}

int
main(int argc, char **argv)
{
	struct snap_opts o = { .pg.archive_wait = ARCHIVE_WAIT_MS };
	const struct dr_opt opts[] = {
		{ "conninfo", 'd', DR_OPT_STR, &o.pg.conninfo, 0, 0, "CONNINFO",
		    "connect so (the PG* environment)", NULL },
		DR_OPTS_OUTPUT(&o.out,
		    "write to FILE, and the manifest to FILE.json"),
		{ "label", 0, DR_OPT_LIST, &o.labels, 0, 0, "KEY=VALUE",
		    "a label for the manifest", NULL },
		{ "no-wal", 0, DR_OPT_FLAG, &o.pg.no_wal, 0, 0, NULL,
		    "leave the WAL to the server's archive", NULL },
		{ "checkpoint", 0, DR_OPT_CHOICE, &o.checkpoint, 0, 0,
		    "fast|spread", "how the server begins (fast)", NULL },
		{ "max-rate", 0, DR_OPT_SIZE, &o.pg.max_rate, 0, 0, "SIZE",
		    "bytes a second that the server may send", NULL },
		{ "max-wal-retained", 0, DR_OPT_SIZE, &o.pg.max_wal_retained, 0,
		    0, "SIZE", "give up when the server keeps more WAL", NULL },
		{ "with-config", 0, DR_OPT_FLAG, &o.pg.with_config, 0, 0, NULL,
		    "add the configuration files, wherever they lie", NULL },
		{ "allow-checksum-failures", 0, DR_OPT_FLAG,
		    &o.pg.allow_checksum_failures, 0, 0, NULL,
		    "do not have the server verify pages", NULL },
		{ "exclude", 0, DR_OPT_LIST, &o.excludes, 0, 0, "PATTERN",
		    "leave out what matches", NULL },
		{ "one-file-system", 0, DR_OPT_FLAG, &o.files.one_file_system,
		    0, 0, NULL, "do not go into other file systems", NULL },
		{ "exec", 0, DR_OPT_STR, &o.exec, 0, 0, "NAME",
		    "what the command after -- writes, under NAME", NULL },
		{ "stdin", 0, DR_OPT_STR, &o.from_stdin, 0, 0, "NAME",
		    "what standard input holds, under NAME", NULL },
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-snap",
		"[-d CONNINFO] [-o FILE] [PATH... | --exec NAME -- COMMAND "
		"[ARG]... | --stdin NAME]",
		"Write a consistent snapshot of a PostgreSQL cluster, of "
		"files, or of what a command gives, as one tar.",
		"dr-snap -d service=main | dr-pack | dr-seal -R ops.pub | "
		"dr-push -n main /backup\n"
		"dr-snap -o etc.tar /etc\n"
		"dr-snap --exec users.sql -- pg_dumpall --roles-only | ...",
		opts };
	struct dr_err err = { 0 };
	enum mode mode = MODE_PG;
	int at;

	dr_main_begin(cmd.name);
	at = dr_opt_parse(&cmd, argc, argv, &err);
	if (at != -1) {
		o.pg.spread = o.checkpoint == 1;
		o.operands = argv + at;
		o.n = argc - at;
		if (check(&o, &mode, &err) == 0)
			snap(&o, mode, &err);
	}
	dr_strs_free(&o.labels);
	dr_strs_free(&o.excludes);
	return dr_main_end(&err);
}
