/*
 * restore_plan.h - what a restore from stores will do: which backup, and how
 * far and along what its server recovers.
 */
#ifndef DR_FLOW_RESTORE_PLAN_H
#define DR_FLOW_RESTORE_PLAN_H

#include "flow/from.h"
#include "flow/restore.h"

struct dr_plan_opts {
	const struct dr_from_opts *from;
	struct dr_target target;
	const char *standby; /* primary_conninfo, or NULL */
	bool as_is, same_timeline;
	enum dr_target_action action;
	const struct dr_identities *ids; /* NULL: none */
	/* Where these came from, for restore_command. */
	const struct dr_strs *identities;
	const char *identity_command, *passphrase_file;
};

struct dr_plan {
	char *id; /* the backup to restore; NULL: as it was named */
	struct dr_recovery recovery;
	char *command; /* what recovery borrows */
	char timeline[16];
};

/*
 * DR_EPARTIAL, and nothing written, where the target cannot be reached;
 * DR_EUSAGE for a target of what has none.  The caller wipes PLAN.
 */
int
dr_restore_plan(const struct dr_plan_opts *, struct dr_plan *, struct dr_err *);
void dr_plan_wipe(struct dr_plan *);

#endif /* !DR_FLOW_RESTORE_PLAN_H */
