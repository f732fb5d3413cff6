/*
 * verbs.h - the verbs of dr-promote, each in a file of this folder: its table
 * of options and the function that runs it.  To add one, write these, declare
 * it here and name it in cmd/dr-promote.c.
 */
#ifndef CMD_DR_PROMOTE_VERBS_H
#define CMD_DR_PROMOTE_VERBS_H

#include "base/err.h"
#include "base/opt.h"
#include "flow/coordline.h"

struct promote_verb {
	const struct dr_cmd *cmd;
	int (*run)(int argc, char **argv, struct dr_err *);
};

extern const struct promote_verb promote_failover, promote_switchover,
    promote_follow, promote_undo, promote_guard, promote_hold, promote_resume,
    promote_plan, promote_status, promote_history, promote_rejoin;

/* DR_EUSAGE where there are operands. */
int promote_no_operand(const struct dr_cmd *, int argc, struct dr_err *);

/* dr_coord_line_open for a verb that cannot do without: else DR_EUSAGE. */
int promote_coord(const struct dr_coord_line *, const char *set,
    struct dr_etcd **, struct dr_coord **, struct dr_err *);

#endif /* !CMD_DR_PROMOTE_VERBS_H */
