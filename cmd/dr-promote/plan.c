/* dr-promote plan, status, history: nothing is changed by them. */
#include "base/buf.h"
#include "base/fd.h"
#include "cmd/dr-promote/line.h"
#include "cmd/dr-promote/verbs.h"
#include "flow/promote_local.h"
#include "flow/stores.h"

#define OUT_MAX (4U << 20)

static struct promote_line line = PROMOTE_LINE_INIT;
static struct {
	bool failover, switchover;
	int last;
} own = { .last = 20 };

static const struct dr_opt plan_opts[] = {
	PROMOTE_OPTS_WHOM(&line),
	PROMOTE_OPTS_HOW(&line),
	{ "failover", 0, DR_OPT_FLAG, &own.failover, 0, 0, NULL,
	    "a failover, although a primary answers", NULL },
	{ "switchover", 0, DR_OPT_FLAG, &own.switchover, 0, 0, NULL,
	    "a switchover, although no primary answers", NULL },
	{ 0 },
};
static const struct dr_opt status_opts[] = {
	PROMOTE_OPTS_WHOM(&line),
	{ 0 },
};
static const struct dr_opt history_opts[] = {
	{ "set", 'n', DR_OPT_STR, &line.o.set, 0, 0, "SET", "of SET",
	    "DR_SET" },
	{ "last", 0, DR_OPT_INT, &own.last, 1, 100000, "N",
	    "the latest N runs (20)", NULL },
	{ "json", 0, DR_OPT_FLAG, &line.o.json, 0, 0, NULL, "print JSON",
	    NULL },
	DR_OPTS_COORD(&line.coord),
	{ 0 },
};

static const struct dr_cmd plan_cmd = { "dr-promote plan",
	"-n SET -d CONNINFO... [--lock etcd://...|none] [--candidate NAME]\n"
	"           [--failover | --switchover] [OPTION]... [--json]",
	"Say who could take over, what speaks against it, and what would be "
	"lost.",
	"dr-promote plan -n main -d host=a -d host=b -d host=c \\\n"
	"    --lock etcd://etcd1:2379\n",
	plan_opts };
static const struct dr_cmd status_cmd = { "dr-promote status",
	"-n SET -d CONNINFO... [--lock etcd://...|none] [--json]",
	"Say who leads, who holds what, and who looks after the servers.",
	"dr-promote status -n main -d host=a -d host=b "
	"--lock etcd://etcd1:2379\n",
	status_opts };
static const struct dr_cmd history_cmd = { "dr-promote history",
	"-n SET [--lock etcd://...|none] [--last N] [--json]",
	"Say what runs have been, how long they took, and what was lost.",
	"dr-promote history -n main --lock etcd://etcd1:2379\n", history_opts };

/* 0; 1 the servers were looked at, and etcd is away; -1. */
static int
look(struct promote_line *p, struct dr_promote_look *l, struct dr_err *err)
{
	const struct dr_promote_opts *o = &p->o;

	if (dr_promote_look(o, l, err) == 0)
		return o->coord != NULL
		           ? 0
		           : dr_promote_local_load(o->state, o->set, l, err);
	if (l->away.cause == DR_OK || l->away.cause != err->cause)
		return -1;
	dr_err_clear(err);
	return 1;
}

static enum dr_promote_verb
fitting(const struct dr_promote_look *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (dr_probe_answers(l->view[i].probe.state) &&
		    !l->view[i].in_recovery)
			return DR_VERB_SWITCHOVER;
	return DR_VERB_FAILOVER;
}

int
promote_plan_print(struct promote_line *p, int verb, struct dr_err *err)
{
	const struct dr_promote_opts *o = &p->o;
	struct dr_buf out = { .max = OUT_MAX };
	struct dr_promote_look l = { 0 };
	struct dr_plan plan = { 0 };
	int rc = -1, seen;

	if ((seen = look(p, &l, err)) == -1 ||
	    dr_promote_judge(o,
	        verb == -1 ? fitting(&l) : (enum dr_promote_verb)verb, &l, NULL,
	        &plan, err) == -1)
		goto out;
	if (seen == 0)
		plan.rto_us = dr_promote_rto(o);
	if ((o->json ? dr_plan_json : dr_plan_text)(o, &l, &plan, &out, err) ==
	        -1 ||
	    dr_fd_write(1, out.data, out.len, "standard output", err) == -1)
		goto out;
	rc = 0;
	if (seen == 1)
		rc = dr_err_set(err, DR_ERETRY, "%s", l.away.msg);
	else if (plan.refusals > 0)
		rc = dr_err_set(err, DR_EPARTIAL, "refused: %s",
		    plan.refusal[0].text);

out:
	dr_buf_free(&out);
	dr_promote_plan_wipe(&plan);
	dr_promote_look_wipe(&l);
	return rc;
}

static int
run_plan(int argc, char **argv, struct dr_err *err)
{
	int rc = -1;

	(void)argv;
	if (own.failover && own.switchover)
		return dr_err_set(err, DR_EUSAGE,
		    "--failover or --switchover, not both");
	if (promote_no_operand(&plan_cmd, argc, err) == 0 &&
	    promote_line_open(&line, err) == 0)
		rc = promote_plan_print(&line,
		    own.failover     ? DR_VERB_FAILOVER
		    : own.switchover ? DR_VERB_SWITCHOVER
		                     : -1,
		    err);
	promote_line_close(&line);
	return rc;
}

static int
run_status(int argc, char **argv, struct dr_err *err)
{
	struct dr_buf out = { .max = OUT_MAX };
	struct dr_promote_look l = { 0 };
	int rc = -1, seen;

	(void)argv;
	if (promote_no_operand(&status_cmd, argc, err) == 0 &&
	    promote_line_open(&line, err) == 0 &&
	    (seen = look(&line, &l, err)) != -1 &&
	    dr_promote_status(&line.o, &l, &out, err) == 0 &&
	    dr_fd_write(1, out.data, out.len, "standard output", err) == 0)
		rc = seen == 0 ? 0
		               : dr_err_set(err, DR_ERETRY, "%s", l.away.msg);
	dr_promote_look_wipe(&l);
	promote_line_close(&line);
	dr_buf_free(&out);
	return rc;
}

static int
run_history(int argc, char **argv, struct dr_err *err)
{
	struct dr_buf out = { .max = 64U << 20 };
	int rc = -1;

	(void)argv;
	line.o.state = dr_common.state;
	if (promote_no_operand(&history_cmd, argc, err) == 0 &&
	    dr_set_named(line.o.set, err) == 0 &&
	    dr_coord_line_open(&line.coord, line.o.set, &line.etcd,
	        &line.o.coord, err) == 0 &&
	    dr_promote_history(&line.o, (size_t)own.last, &out, err) == 0)
		rc = dr_fd_write(1, out.data, out.len, "standard output", err);
	promote_line_close(&line);
	dr_buf_free(&out);
	return rc;
}

const struct promote_verb promote_plan = { &plan_cmd, run_plan },
                          promote_status = { &status_cmd, run_status },
                          promote_history = { &history_cmd, run_history };
