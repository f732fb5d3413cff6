/* dr-promote failover, switchover, follow, undo. */
#include "base/buf.h"
#include "base/fd.h"
#include "cmd/dr-promote/line.h"
#include "cmd/dr-promote/verbs.h"

static struct promote_line line = PROMOTE_LINE_INIT;

static const struct dr_opt failover_opts[] = {
	PROMOTE_OPTS_WHOM(&line),
	PROMOTE_OPTS_HOW(&line),
	PROMOTE_OPTS_ACT(&line),
	{ "vote", 0, DR_OPT_STR, &line.o.vote, 0, 0, "NAME",
	    "be observer NAME, and say that it is down; then wait for others",
	    NULL },
	{ "restart-first", 0, DR_OPT_MSEC, &line.o.restart_ms, 0, 0, "D",
	    "try --start on the old primary first, for at most D", NULL },
	{ 0 },
};
static const struct dr_opt switchover_opts[] = {
	PROMOTE_OPTS_WHOM(&line),
	PROMOTE_OPTS_HOW(&line),
	PROMOTE_OPTS_ACT(&line),
	{ 0 },
};
static const struct dr_opt follow_opts[] = {
	PROMOTE_OPTS_WHOM(&line),
	{ "sync-names", 0, DR_OPT_STR, &line.o.sync_names, 0, 0, "NAMES",
	    "the primary's synchronous_standby_names from now on", NULL },
	PROMOTE_OPTS_ACT(&line),
	{ 0 },
};
static const struct dr_opt undo_opts[] = {
	PROMOTE_OPTS_WHOM(&line),
	{ "fence", 0, DR_OPT_STR, &line.o.fence, 0, 0, "CMD",
	    "CMD proves that who was being promoted is dead", NULL },
	{ "route", 0, DR_OPT_STR, &line.o.route, 0, 0, "CMD",
	    "CMD lets clients go on", NULL },
	PROMOTE_OPTS_ACT(&line),
	{ 0 },
};

static const struct dr_cmd failover_cmd = { "dr-promote failover",
	"-n SET -d CONNINFO... [--lock etcd://...|none] [--candidate NAME]\n"
	"           [--fence CMD] [--route CMD] [--through CONNINFO] "
	"[--max-loss SIZE]\n"
	"           [--allow-data-loss] [--allow-async] [--cross-region]\n"
	"           [--observers K] [--restart-first D --start CMD] "
	"[--yes | --dry-run] [--json]",
	"Make a standby primary, in place of one that is gone.",
	"dr-promote failover -n main -d host=a -d host=b -d host=c \\\n"
	"    --lock etcd://etcd1:2379 --fence fence-node --route "
	"route-pgbouncer --yes\n",
	failover_opts };
static const struct dr_cmd switchover_cmd = { "dr-promote switchover",
	"-n SET -d CONNINFO... [--lock etcd://...|none] [--candidate NAME]\n"
	"           --stop CMD --start CMD [--route CMD] [--through CONNINFO]\n"
	"           [--allow-async] [--cross-region] [--yes | --dry-run] "
	"[--json]",
	"Let the primary step down for a standby that has all it has.",
	"dr-promote switchover -n main -d host=a -d host=b --candidate b \\\n"
	"    --lock etcd://etcd1:2379 --stop node --start node --route "
	"route-pgbouncer --yes\n",
	switchover_opts };
static const struct dr_cmd follow_cmd = { "dr-promote follow",
	"-n SET -d CONNINFO... [--lock etcd://...|none] [--sync-names NAMES]\n"
	"           [--yes | --dry-run] [--json]",
	"Let all standbys stream from the primary there is.",
	"dr-promote follow -n main -d host=a -d host=b -d host=c \\\n"
	"    --lock etcd://etcd1:2379 --yes\n",
	follow_opts };
static const struct dr_cmd undo_cmd = { "dr-promote undo",
	"-n SET -d CONNINFO... [--lock etcd://...|none] [--fence CMD] "
	"[--route CMD]\n"
	"           [--yes | --dry-run] [--json]",
	"Take back what an interrupted run did before it promoted anybody.",
	"dr-promote undo -n main -d host=a -d host=b -d host=c \\\n"
	"    --lock etcd://etcd1:2379 --yes\n",
	undo_opts };

static int
run(const struct dr_cmd *cmd, enum dr_promote_verb verb, int argc,
    struct dr_err *err)
{
	static int (*const act[])(const struct dr_promote_opts *,
	    struct dr_promote_event *, struct dr_err *) = {
		[DR_VERB_FAILOVER] = dr_promote_failover,
		[DR_VERB_SWITCHOVER] = dr_promote_switchover,
		[DR_VERB_FOLLOW] = dr_promote_follow,
		[DR_VERB_UNDO] = dr_promote_undo,
	};
	struct dr_buf out = { .max = 65536 };
	struct dr_promote_event ev = { 0 };
	struct dr_err bad = { 0 };
	int rc = -1;

	if (promote_no_operand(cmd, argc, err) == -1)
		goto out;
	if (line.coord.lock == NULL) {
		dr_err_set(err, DR_EUSAGE, "no lock is named");
		(void)dr_err_hint(err,
		    "give --lock etcd://HOST:PORT, or --lock none");
		goto out;
	}
	if (promote_line_open(&line, err) == -1)
		goto out;
	if (line.o.dry_run) {
		rc = promote_plan_print(&line, (int)verb, err);
		goto out;
	}
	rc = act[verb](&line.o, &ev, err);
	/* What happened is told whether it went well or not. */
	if (ev.t_lock != 0 && ev.t_lock != DR_UNKNOWN && line.o.json &&
	    (dr_promote_event_json(&ev, &out, &bad) == -1 ||
	        dr_buf_str(&out, "\n", &bad) == -1 ||
	        dr_fd_write(1, out.data, out.len, "standard output", &bad) ==
	            -1) &&
	    rc == 0) {
		*err = bad;
		rc = -1;
	}

out:
	dr_buf_free(&out);
	promote_line_close(&line);
	return rc;
}

#define VERB(name, number)                                               \
	static int run_##name(int argc, char **argv, struct dr_err *err) \
	{                                                                \
		(void)argv;                                              \
		return run(&name##_cmd, number, argc, err);              \
	}                                                                \
	const struct promote_verb promote_##name = { &name##_cmd, run_##name }

VERB(failover, DR_VERB_FAILOVER);
VERB(switchover, DR_VERB_SWITCHOVER);
VERB(follow, DR_VERB_FOLLOW);
VERB(undo, DR_VERB_UNDO);
