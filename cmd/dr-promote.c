/*
 * dr-promote - who is primary (see dr-promote(1)).
 *
 * Each verb is in a file of cmd/dr-promote.
 */
#include "base/msg.h"
#include "base/opt.h"
#include "cmd/dr-promote/verbs.h"
#include "flow/stores.h"

static const struct promote_verb *const verbs[] = { &promote_plan,
	&promote_failover, &promote_switchover, &promote_follow, &promote_undo,
	&promote_rejoin, &promote_guard, &promote_hold, &promote_resume,
	&promote_status, &promote_history };

#define VERBS ((int)(sizeof(verbs) / sizeof(*verbs)))

int
promote_no_operand(const struct dr_cmd *cmd, int argc, struct dr_err *err)
{
	if (argc == 0)
		return 0;
	dr_err_set(err, DR_EUSAGE, "unexpected operand");
	return dr_err_hint(err, "try '%s --help'", cmd->name);
}

int
promote_coord(const struct dr_coord_line *line, const char *set,
    struct dr_etcd **etcd, struct dr_coord **coord, struct dr_err *err)
{
	if (dr_set_named(set, err) == -1 ||
	    dr_coord_line_open(line, set, etcd, coord, err) == -1)
		return -1;
	if (*coord != NULL)
		return 0;
	dr_err_set(err, DR_EUSAGE, "this needs etcd, and none is named");
	return dr_err_hint(err, "give --lock etcd://HOST:PORT, or set DR_LOCK");
}

int
main(int argc, char **argv)
{
	static const struct dr_cmd tool = { "dr-promote", "COMMAND [ARG]...",
		"Keep one primary, and move it.", "", NULL };
	const struct dr_cmd *list[VERBS];
	struct dr_err err = { 0 };
	int v, n;

	for (int i = 0; i < VERBS; i++)
		list[i] = verbs[i]->cmd;
	dr_main_begin(tool.name);
	if ((v = dr_opt_verb(&tool, list, VERBS, argc, argv, &err)) != -1 &&
	    (n = dr_opt_parse(verbs[v]->cmd, argc - 1, argv + 1, &err)) != -1)
		(void)verbs[v]->run(argc - 1 - n, argv + 1 + n, &err);
	return dr_main_end(&err);
}
