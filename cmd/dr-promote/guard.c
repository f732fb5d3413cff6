/* dr-promote guard: before a server starts, and beside it. */
#include <stddef.h>

#include "base/opt.h"
#include "cmd/dr-promote/verbs.h"
#include "flow/guard.h"

static struct {
	struct dr_guard_opts o;
	struct dr_coord_line line;
	int glass;
	bool run;
	uint64_t ttl;
} g = { .ttl = 4000, .o = { .hang_ms = 10000 } };

static const struct dr_opt opts[] = {
	{ "set", 'n', DR_OPT_STR, &g.o.set, 0, 0, "SET", "of SET", "DR_SET" },
	{ "pgdata", 'D', DR_OPT_STR, &g.o.pgdata, 0, 0, "DIR",
	    "the server's data directory", NULL },
	{ "name", 0, DR_OPT_STR, &g.o.name, 0, 0, "NAME",
	    "the node's name (cluster_name)", NULL },
	DR_OPTS_COORD(&g.line),
	{ "ttl", 0, DR_OPT_MSEC, &g.ttl, 0, 0, "D",
	    "for how long it leads unless renewed (4s)", NULL },
	{ "break-glass", 0, DR_OPT_INT, &g.glass, 1, 2147483647, "EPOCH",
	    "let it start without etcd, in EPOCH", NULL },
	{ "run", 0, DR_OPT_FLAG, &g.run, 0, 0, NULL,
	    "guard the server from now on", NULL },
	{ "conninfo", 'd', DR_OPT_STR, &g.o.conninfo, 0, 0, "CONNINFO",
	    "connect to it so (the PG* environment)", NULL },
	{ "hang", 0, DR_OPT_MSEC, &g.o.hang_ms, 0, 0, "D",
	    "stop a primary that is silent for D (10s; 0s: never)", NULL },
	{ "stop", 0, DR_OPT_STR, &g.o.stop, 0, 0, "CMD",
	    "stop the server by CMD first", NULL },
	{ 0 },
};

static const struct dr_cmd cmd = { "dr-promote guard",
	"[-n SET] -D DIR [--name NAME] [--lock etcd://...] [--ttl D]\n"
	"           [--break-glass EPOCH | --run [-d CONNINFO] [--hang D] "
	"[--stop CMD]]",
	"May this server start? With --run: stop it when it may not go on.",
	"dr-promote guard -n main -D /var/lib/postgresql/15/main "
	"--lock etcd://etcd1:2379\n",
	opts };

static int
run(int argc, char **argv, struct dr_err *err)
{
	struct dr_guard_opts *o = &g.o;
	int rc = -1;

	(void)argv;
	if (promote_no_operand(&cmd, argc, err) == -1)
		return -1;
	if (g.ttl % 1000 != 0 || g.ttl < DR_GUARD_TTL_MIN * 1000 ||
	    g.ttl > DR_GUARD_TTL_MAX * 1000)
		return dr_err_set(err, DR_EUSAGE,
		    "--ttl is to be whole seconds, from %ds to %ds",
		    DR_GUARD_TTL_MIN, DR_GUARD_TTL_MAX);
	if (g.run ? g.glass != 0 : o->conninfo != NULL || o->stop != NULL) {
		dr_err_set(err, DR_EUSAGE,
		    g.run ? "--break-glass is for a start, and not for --run"
		          : "-d and --stop go with --run only");
		return dr_err_hint(err, "try 'dr-promote guard --help'");
	}
	o->ttl = (int)(g.ttl / 1000);
	o->break_glass = g.glass != 0 ? g.glass : -1;
	o->state = dr_common.state;
	if (promote_coord(&g.line, o->set, &o->etcd, &o->coord, err) == 0)
		rc = (g.run ? dr_guard_run : dr_guard_start)(o, err);
	dr_coord_free(o->coord);
	dr_etcd_free(o->etcd);
	return rc;
}

const struct promote_verb promote_guard = { &cmd, run };
