/* dr-promote hold and resume. */
#include "flow/hold.h"
#include "base/buf.h"
#include "base/fd.h"
#include "cmd/dr-promote/verbs.h"

static struct dr_hold_opts o;
static struct dr_coord_line line;

static const struct dr_opt hold_opts[] = {
	{ "set", 'n', DR_OPT_STR, &o.set, 0, 0, "SET", "hold SET", "DR_SET" },
	DR_OPTS_COORD(&line),
	{ "why", 0, DR_OPT_STR, &o.why, 0, 0, "TEXT", "say why", NULL },
	{ "for", 0, DR_OPT_MSEC, &o.for_ms, 0, 0, "D",
	    "for so long (until resumed)", NULL },
	{ "json", 0, DR_OPT_FLAG, &o.json, 0, 0, NULL, "print JSON", NULL },
	{ 0 },
};

static const struct dr_cmd hold_cmd = { "dr-promote hold",
	"[-n SET] [--lock etcd://...] [--why TEXT] [--for D] [--json]",
	"Let nobody fail over by himself.",
	"dr-promote hold -n main --lock etcd://etcd1:2379 --why 'new kernels' "
	"--for 2h\n",
	hold_opts };

static const struct dr_opt resume_opts[] = {
	{ "set", 'n', DR_OPT_STR, &o.set, 0, 0, "SET", "resume SET", "DR_SET" },
	DR_OPTS_COORD(&line),
	{ "json", 0, DR_OPT_FLAG, &o.json, 0, 0, NULL, "print JSON", NULL },
	{ 0 },
};

static const struct dr_cmd resume_cmd = { "dr-promote resume",
	"[-n SET] [--lock etcd://...] [--json]", "End a hold.",
	"dr-promote resume -n main --lock etcd://etcd1:2379\n", resume_opts };

static int
run(const struct dr_cmd *cmd, int argc,
    int (*fn)(const struct dr_hold_opts *, struct dr_buf *, struct dr_err *),
    struct dr_err *err)
{
	struct dr_buf out = { .max = 65536 };
	struct dr_etcd *etcd = NULL;
	int rc = -1;

	if (promote_no_operand(cmd, argc, err) == 0 &&
	    promote_coord(&line, o.set, &etcd, &o.coord, err) == 0 &&
	    fn(&o, &out, err) == 0)
		rc = dr_fd_write(1, out.data, out.len, "standard output", err);
	dr_coord_free(o.coord);
	dr_etcd_free(etcd);
	dr_buf_free(&out);
	return rc;
}

static int
run_hold(int argc, char **argv, struct dr_err *err)
{
	(void)argv;
	return run(&hold_cmd, argc, dr_hold, err);
}

static int
run_resume(int argc, char **argv, struct dr_err *err)
{
	(void)argv;
	return run(&resume_cmd, argc, dr_resume, err);
}

const struct promote_verb promote_hold = { &hold_cmd, run_hold },
                          promote_resume = { &resume_cmd, run_resume };
